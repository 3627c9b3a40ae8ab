"""The solver of the published method, to compare with."""

from __future__ import annotations

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_rows


def solve_published(flow: Array, depth: Array, camera: Camera) -> Array:
    """Return (6,) x = (theta, t) by the published solver: plain least squares, no weights.

    It keeps every 10th pixel, counted row after row, inside a border of 20 pixels. In a view 320
    wide these are the same 28 columns of every row.

    Args:
        flow: (2, height, width) motion over the exposure, pixels, with its sign.
        depth: (height, width) metres.
        camera: pinhole of the pixels.
    """
    height, width = depth.shape
    v, u = (grid[20:-20, 20:-20].ravel()[::10] for grid in np.mgrid[:height, :width])
    rows = motion_rows(camera, u, v, 1 / depth[v, u].astype(float))
    motion = flow[:, v, u].T
    return np.asarray(np.linalg.lstsq(rows.reshape(-1, 6), motion.reshape(-1), rcond=None)[0])
