"""Long motion blur, read in a smaller view.

A network has a limited receptive field: blur that is longer looks like any texture, and is
underestimated. In a view of half the size the same blur is half as long, and read as well as
any. So an image with long blur is read twice, and each cell takes the view that suits it. Depth
stays that of the full view: on held-out frames linear velocity is read better by it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.motion_field import double_angle

LONG = (50.0, 80.0)
"""Pixels of the full view, the mean of what both views read: up to the first a cell keeps what the
full view says, from the second on it takes what the smaller one says."""

WORTH_A_LOOK = 25.0
"""Pixels of the full view, as that reads them. It reads blur of 75 pixels as 34 at the median."""
FEWEST = 0.2
"""Share of the cells. Of the frames that a second look changes, it leaves out one in a hundred."""


def has_long_blur(field: BlurField) -> bool:
    """Return whether a second look, in a smaller view, is worth its time."""
    return float(np.mean(field.blur_length > WORTH_A_LOOK)) > FEWEST


def with_long_blur(full: BlurField, smaller: BlurField) -> BlurField:
    """Return the field of a view whose long blur is that of a smaller view.

    Args:
        full: of the network's view.
        smaller: of the same image at a smaller size.
    """
    coarse = _on_grid_of(full, smaller)
    first, second = LONG
    length = (full.blur_length + coarse.blur_length) / 2
    share = np.clip((length - first) / (second - first), 0.0, 1.0)
    return _mean(full, coarse, share) if share.any() else full


def _on_grid_of(full: BlurField, smaller: BlurField) -> BlurField:
    """Return a smaller view's motion in the pixels and cells of the full one, with its depth."""
    wider = full.camera.width / smaller.camera.width
    higher = full.camera.height / smaller.camera.height
    cells = full.sigma.shape[::-1]

    def there(values: Array) -> Array:
        # Both grids fill the same view, so that cells are placed as pixels of two sizes are.
        near = cv2.resize(np.asarray(values, np.float32), cells, interpolation=cv2.INTER_LINEAR)
        return np.asarray(near, np.float64)

    # Bilinear means are of q, which has no sign; of motions opposite signs would cancel.
    q = there(double_angle(smaller.motion * (wider, higher)))
    return replace(
        full,
        q=q,
        sigma=there(smaller.sigma) * np.sqrt(wider * higher),
        anisotropy=None if smaller.anisotropy is None else there(smaller.anisotropy),
    )


def _mean(one: BlurField, other: BlurField, share: Array) -> BlurField:
    """Return the mean of the motions of one grid, with a share (rows, columns) of the other."""

    def between(a: Array, b: Array) -> Array:
        weight = share.reshape(share.shape + (1,) * (a.ndim - 2))
        return np.asarray(a + weight * (b - a))

    anisotropy = None
    if one.anisotropy is not None and other.anisotropy is not None:
        anisotropy = between(one.anisotropy, other.anisotropy)
    return replace(
        one,
        q=between(one.q, other.q),
        sigma=between(one.sigma, other.sigma),
        anisotropy=anisotropy,
    )
