"""A sharp picture, moved while the shutter is open: radiance of the blurred image and its ground
truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Float32
from blur_imu_ros.core.blur_field import cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_training.scene.exposure_motion import ExposureMotion

MOST_SUBFRAMES = 96

FARTHEST_COMER = 64.0
"""Pixels that something may come from to lie before something else; about the margin of a
sample."""

NEAREST_Z = 0.1
"""Of a point's distance before and after: what comes nearer than that is not followed."""

HIDES = 1.25
"""Inverse depth over that of what it lies before: a step of less is read as a slope."""


class Geometry(Protocol):
    """What a camera at rest has before it."""

    @property
    def inverse_depth(self) -> Float32:
        """(rows, columns) 1/m."""

    @property
    def camera(self) -> Camera:
        """Pinhole of its picture."""


@dataclass(frozen=True)
class SharpView:
    """What a camera at rest would see, in linear light.

    Attributes:
        radiance: (rows, columns, 3) linear light, float32; 1 is where the sensor clips.
        inverse_depth: (rows, columns) 1/m.
        camera: pinhole of the picture.
    """

    radiance: Float32
    inverse_depth: Float32
    camera: Camera


def mean_over_exposure(
    view: SharpView,
    motion: ExposureMotion,
    window: Camera,
    left: int,
    top: int,
    step: float,
    skew: float = 0.0,
) -> Float32:
    """Return the mean radiance over the exposure in a window of the view.

    Sub-frames are at most `step` pixels of motion apart. Each pixel of a sub-frame looks up where
    it came from at mid-exposure: P_mid = R P_sub + t, with the inverse depth of the nearest surface
    that comes to lie there. What nothing of the picture shows, behind an edge that has moved away,
    is taken from beyond that edge.

    Args:
        view: the picture at mid-exposure, with a margin around the window.
        motion: of the camera over the exposure.
        window: pinhole of the window; its principal point in the window's pixels.
        left, top: where the window lies in the view, pixels.
        step: pixels.
        skew: read-out time of a rolling shutter in exposures; the middle row is exposed at s = 0.
    """
    _, v, rays = half_grid(window)
    nearby = foremost(view, motion, window, left, top, skew)
    total = np.zeros((window.height, window.width, 3), np.float32)
    times = subframe_times(view, motion, window, left, top, step)
    for s in times:
        map_x, map_y, _ = _lookup(view, motion, rays, nearby, s + _row_times(v, window, skew))
        total += cv2.remap(
            view.radiance,
            _at_full_size(map_x, window),
            _at_full_size(map_y, window),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    return np.asarray(total / np.float32(len(times)), np.float32)


def inverse_depth_seen(
    view: Geometry, motion: ExposureMotion, window: Camera, left: int, top: int, skew: float
) -> Float32:
    """Return 1/m of the window's pixels, each row at the middle of its own exposure.

    Args:
        view, motion, window, left, top, skew: as of `mean_over_exposure`.
    """
    inside = view.inverse_depth[top : top + window.height, left : left + window.width]
    if not skew:
        return inside
    _, v, rays = half_grid(window)
    nearby = foremost(view, motion, window, left, top, skew)
    _, _, inverse = _lookup(view, motion, rays, nearby, _row_times(v, window, skew))
    return _at_full_size(inverse, window)


def half_grid(window: Camera) -> tuple[Float32, Float32, Float32]:
    """Return pixels (u, v) of every second row and column, and their rays.

    Coordinates are smooth: half resolution is enough for them, with one more cell all around
    so that they need not be extrapolated.
    """
    rows, columns = (window.height + 1) // 2 + 2, (window.width + 1) // 2 + 2
    u, v = np.meshgrid(
        np.arange(columns, dtype=np.float32) * 2 - 1.5, np.arange(rows, dtype=np.float32) * 2 - 1.5
    )
    x, y = window.normalised(u, v)
    rays = np.stack([x, y, np.ones_like(x)], -1).astype(np.float32)
    return u, v, rays


def foremost(
    view: Geometry, motion: ExposureMotion, window: Camera, left: int, top: int, skew: float
) -> Float32:
    """Return the inverse depth of the nearest that may come to lie on each pixel of the half
    grid."""
    side = 2 * foremost_reach(view, motion, skew) + 1
    nearest = cv2.dilate(view.inverse_depth, np.ones((side, side), np.uint8))
    u, v, _ = half_grid(window)
    return _nearest(np.asarray(nearest, np.float32), u + left, v + top)


def foremost_reach(view: Geometry, motion: ExposureMotion, skew: float) -> int:
    """Return from how far something may come to lie before something else, pixels."""
    path = float(np.linalg.norm(motion.translation)) * motion.unevenness * 0.5 * (1 + skew)
    reach = path * float(view.inverse_depth.max()) * view.camera.focal
    return int(min(np.ceil(reach), FARTHEST_COMER))


def _row_times(v: Float32, window: Camera, skew: float) -> NDArray[np.float64]:
    """Return when the rows (rows,) of the half grid are at mid-exposure, or one 0 for all (1,)."""
    if not skew:
        return np.zeros(1)
    return (v[:, 0].astype(float) / (window.height - 1) - 0.5) * skew


def _nearest(values: Float32, u: Float32, v: Float32) -> Float32:
    found = cv2.remap(values, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def _at_full_size(half: Float32, window: Camera) -> Float32:
    double = cv2.resize(half, (half.shape[1] * 2, half.shape[0] * 2))
    return np.asarray(double[2 : 2 + window.height, 2 : 2 + window.width], np.float32)


def subframe_times(
    view: Geometry, motion: ExposureMotion, window: Camera, left: int, top: int, step: float
) -> NDArray[np.float64]:
    """Return the middles of as many equal parts of the exposure as `step` pixels ask for."""
    u, v = (one[::8, ::8] for one in half_grid(window)[:2])
    here = _nearest(view.inverse_depth, u + left, v + top)
    field = motion_field(window, u, v, here, motion.rotation, motion.translation)
    longest = float(np.hypot(field[..., 0], field[..., 1]).max()) * motion.unevenness
    count = int(np.clip(np.ceil(longest / step), 2, MOST_SUBFRAMES))
    return (np.arange(count) + 0.5) / count - 0.5


def _lookup(
    view: Geometry, motion: ExposureMotion, rays: Float32, nearby: Float32, s: NDArray[np.float64]
) -> tuple[Float32, Float32, Float32]:
    """Return where in the view the pixels of a sub-frame come from, and their inverse depth then.

    s: (1,) or (rows,), for rows that are exposed at different times.
    """
    turns, shifts = motion.at(s)
    matrices = Rotation.from_rotvec(turns).as_matrix().astype(np.float32)
    turned = rays @ matrices.transpose(0, 2, 1) if len(s) > 1 else rays @ matrices[0].T
    shift = shifts.astype(np.float32).T[..., None]
    camera = view.camera

    def origin(inverse: Float32) -> tuple[Float32, Float32, Float32]:
        z = np.maximum(turned[..., 2] + shift[2] * inverse, NEAREST_Z)
        map_x = (turned[..., 0] + shift[0] * inverse) / z * camera.fx + camera.cx
        map_y = (turned[..., 1] + shift[1] * inverse) / z * camera.fy + camera.cy
        return map_x.astype(np.float32), map_y.astype(np.float32), z

    # Were it the foremost thing around that is seen, it would come from here; if something farther
    # away is found here, then that is what is seen, unless its own place lies behind something.
    first_x, first_y, _ = origin(nearby)
    seen = _nearest(view.inverse_depth, first_x, first_y)
    map_x, map_y, z = origin(seen)
    hidden = _nearest(view.inverse_depth, map_x, map_y) > HIDES * seen
    return (
        np.where(hidden, first_x, map_x),
        np.where(hidden, first_y, map_y),
        np.asarray(seen * z, np.float32),
    )


def true_field(
    camera: Camera, inverse_depth: Float32, motion: ExposureMotion, stride: int
) -> tuple[Float32, Float32]:
    """Return the motion (rows, columns, 2) in pixels and inverse depth in 1/m of each cell."""
    rows, columns = camera.height // stride, camera.width // stride
    cells = cv2.resize(inverse_depth, (columns, rows), interpolation=cv2.INTER_AREA)
    u, v = cell_centres(rows, columns, stride)
    field = motion_field(camera, u, v, cells, motion.rotation, motion.translation)
    return field.astype(np.float32), np.asarray(cells, np.float32)
