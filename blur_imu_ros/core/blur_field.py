"""What a network reads from one blurred image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import half_angle


@dataclass(frozen=True)
class BlurField:
    """Motion, inverse depth and their uncertainties on a grid of cells of the network's view.

    Attributes:
        q: (rows, columns, 2) double-angle field, pixels of `camera` over the exposure.
        sigma: (rows, columns) standard deviation of each component of the motion, pixels; where
            that depends on the direction, its geometric mean over directions.
        inverse_depth: (rows, columns) 1/m.
        sigma_log_depth: (rows, columns) standard deviation of the logarithm of depth.
        camera: pinhole of the network's view.
        stride: side of a cell, pixels.
        signed_motion: (rows, columns, 2) for networks that predict F, pixels. Its signs agree from
            cell to cell; the one of the whole is a guess like any other and stays open.
        shared_errors: whether all cells are wrong together, so that many of them are no better
            than one and their agreement proves nothing.
        anisotropy: (rows, columns, 2) for networks that know one direction better than another: (a,
            b) in the covariance sigma^2 expm([[a, b], [b, -a]]) of the motion. The least certain
            direction is at half the angle of (a, b), sigma exp(|(a, b)| / 2) there and sigma
            exp(-|(a, b)| / 2) across it; like q it is the same for F and -F.
        sigma_scale: factor from the standard deviations that the network gave to `sigma`.
        shown: (rows, columns) bool, False for cells that show the camera's own body and must not be
            used; None if all show the scene.
    """

    q: Array
    sigma: Array
    inverse_depth: Array
    sigma_log_depth: Array
    camera: Camera
    stride: int
    signed_motion: Array | None = None
    shared_errors: bool = False
    anisotropy: Array | None = None
    sigma_scale: float = 1.0
    shown: Array | None = None

    @cached_property
    def motion(self) -> Array:
        """(rows, columns, 2) motion along the blur, pixels; sign meaningless unless signed."""
        return half_angle(self.q) if self.signed_motion is None else self.signed_motion

    def pixel_grid(self) -> tuple[Array, Array]:
        """Return the pixel positions (u, v) of the cells' centres, (rows, columns) each."""
        rows, columns = self.q.shape[:2]
        return cell_centres(rows, columns, self.stride)

    @property
    def blur_length(self) -> Array:
        """(rows, columns) length of the motion blur, pixels of the network's view."""
        return np.hypot(self.q[..., 0], self.q[..., 1])

    @cached_property
    def principal_sigmas(self) -> tuple[Array, Array]:
        """Standard deviations in the least and the most certain direction, pixels, (rows, columns)
        each."""
        if self.anisotropy is None:
            return self.sigma, self.sigma
        half = np.exp(np.hypot(self.anisotropy[..., 0], self.anisotropy[..., 1]) / 2)
        return self.sigma * half, self.sigma / half


def cell_centres(rows: int, columns: int, stride: int) -> tuple[Array, Array]:
    """Return (u, v) of the centres of a grid of cells, pixels, (rows, columns) each."""
    offset = (stride - 1) / 2
    u, v = np.meshgrid(np.arange(columns) * stride + offset, np.arange(rows) * stride + offset)
    return u, v


def below_axis(camera: Camera, rows: int, columns: int, stride: int) -> Array:
    """Return (v - cy) / fy of the centres of a grid of cells, (rows, columns)."""
    return (cell_centres(rows, columns, stride)[1] - camera.cy) / camera.fy
