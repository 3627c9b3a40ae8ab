"""Where lenses show rays, and calibrations that can hardly be those of their images."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera

FARTHEST = 0.3
"""Of the image from its edge, beyond which principal points are; those of whole images are near the
middle."""
LARGEST_RATIO = 1.5
"""Of the focal lengths; pixels are square but for a few sensors."""
SMALLEST_SIDE = 32
"""Pixels. No camera has smaller images, whatever a principal point seems to be the middle of."""
_RADII = 200


def double_sphere(x: Array, y: Array, xi: float = 0.0, alpha: float = 0.0) -> tuple[Array, Array]:
    """Return normalised image points of the rays (x, y, 1): Usenko et al., 3DV 2018, (40) to
    (42)."""
    second = xi * np.sqrt(x * x + y * y + 1) + 1
    scale = alpha * np.sqrt(x * x + y * y + second * second) + (1 - alpha) * second
    return x / scale, y / scale


def extended_unified(
    x: Array, y: Array, alpha: float = 0.0, beta: float = 1.0
) -> tuple[Array, Array]:
    """Return normalised image points of the rays (x, y, 1): Khomutenko et al., RA-L 2016."""
    scale = alpha * np.sqrt(beta * (x * x + y * y) + 1) + 1 - alpha
    return x / scale, y / scale


def omnidirectional(
    x: Array,
    y: Array,
    xi: float = 0.0,
    k1: float = 0.0,
    k2: float = 0.0,
    p1: float = 0.0,
    p2: float = 0.0,
) -> tuple[Array, Array]:
    """Return normalised image points of the rays (x, y, 1): Mei and Rives, ICRA 2007."""
    scale = 1 + xi * np.sqrt(x * x + y * y + 1)
    x, y = x / scale, y / scale
    square = x * x + y * y
    radial = 1 + square * (k1 + square * k2)
    return (
        x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
    )


WIDE: dict[str, Callable[..., tuple[Array, Array]]] = {
    "double_sphere": double_sphere,
    "extended_unified": extended_unified,
    "omnidirectional": omnidirectional,
}
"""Models of wide lenses that OpenCV's pinhole and fisheye modules do not know."""


def pixels_of_rays(camera: Camera, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the pixels (u, v) at which the camera shows the rays (x, y, 1)."""
    if camera.distortion_model in WIDE:
        u, v = WIDE[camera.distortion_model](x, y, *camera.distortion)
        return camera.fx * u + camera.cx, camera.fy * v + camera.cy
    if camera.distortion_model == "equidistant":
        rays = np.stack([x, y], axis=-1).reshape(-1, 1, 2).astype(float)
        points = cv2.fisheye.distortPoints(rays, camera.matrix, camera.coefficients)
    else:
        ahead = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(float)
        points = cv2.projectPoints(
            ahead, np.zeros(3), np.zeros(3), camera.matrix, camera.coefficients
        )[0]
    shown = np.asarray(points).reshape(*np.shape(x), 2)
    return shown[..., 0], shown[..., 1]


def doubts(camera: Camera) -> Iterator[str]:
    """Yield why a calibration can hardly be that of its images, with the likely cause."""
    across, down = (camera.cx + 0.5) / camera.width, (camera.cy + 0.5) / camera.height
    if not all(FARTHEST <= share <= 1 - FARTHEST for share in (across, down)):
        width, height = round(2 * camera.cx + 1), round(2 * camera.cy + 1)
        likely = f", such as {width}x{height}" if min(width, height) >= SMALLEST_SIDE else ""
        yield (
            f"the principal point ({camera.cx:g}, {camera.cy:g}) is far from the middle of the "
            f"{camera.width}x{camera.height} image: is the calibration that of another size"
            f"{likely}, or of the whole of a cropped image?"
        )
    if not 1 / LARGEST_RATIO <= camera.fx / camera.fy <= LARGEST_RATIO:
        yield (
            f"focal lengths fx={camera.fx:g} and fy={camera.fy:g} differ more than those of any "
            "common camera: is the calibration that of another size or aspect?"
        )
    if camera.is_distorted and _folds(camera):
        yield (
            f"the lens distortion {camera.distortion_model} {list(camera.distortion)} folds the "
            "image onto itself inside its corners: are all coefficients there, in this order and "
            "of this model?"
        )


def _folds(camera: Camera) -> bool:
    """Return whether farther rays come nearer to the middle, up to the corner of the undistorted
    view."""
    view = camera.undistorted()
    corner = max(
        float(np.hypot(*view.normalised(np.array(u), np.array(v))))
        for u in (0.0, camera.width - 1.0)
        for v in (0.0, camera.height - 1.0)
    )
    with np.errstate(all="ignore"):
        u, _ = pixels_of_rays(camera, np.linspace(0, corner, _RADII), np.zeros(_RADII))
        return not bool(np.all(np.diff(u) > 0))
