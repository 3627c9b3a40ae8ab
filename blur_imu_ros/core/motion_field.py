"""The rigid motion field: the one place where its signs are written down.

A static point P in the axes of a camera that moves with angular velocity omega and linear velocity
v (both of the camera body, in its own axes) moves as dP/dt = -v - omega x P. Projected, and held
constant over an exposure of tau seconds with theta = omega tau and t = v tau, a point seen at the
normalised position (x, y) and at inverse depth rho moves by F pixels:

    Fx = fx ((x tz - tx) rho + x y theta_x - (1 + x^2) theta_y + y theta_z)
    Fy = fy ((y tz - ty) rho + (1 + y^2) theta_x - x y theta_y - x theta_z)

(Longuet-Higgins & Prazdny 1980; Trucco & Verri 1998, 8.2.) F points from where the point is when
the shutter opens to where it is when it closes.

A blurred image is the same for F and -F. Its sign-free form is the double-angle field
q = (Fx^2 - Fy^2, 2 Fx Fy) / |F|: as long as F, at twice its angle.
"""

from __future__ import annotations

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera


def motion_rows(camera: Camera, u: Array, v: Array, inverse_depth: Array) -> Array:
    """Return the rows A of F = A x with x = (theta, t).

    Args:
        camera: undistorted pinhole of the pixels.
        u, v: (...) pixel positions.
        inverse_depth: (...) 1/m.

    Returns:
        (..., 2, 6): pixels per radian (first three columns) and per metre (last three).
    """
    x, y = camera.normalised(u, v)
    zero = np.zeros_like(x)
    rho = inverse_depth
    row_x = np.stack([x * y, -(1 + x * x), y, -rho, zero, x * rho], axis=-1) * camera.fx
    row_y = np.stack([1 + y * y, -x * y, -x, zero, -rho, y * rho], axis=-1) * camera.fy
    return np.stack([row_x, row_y], axis=-2)


def motion_field(
    camera: Camera, u: Array, v: Array, inverse_depth: Array, rotation: Array, translation: Array
) -> Array:
    """Return the motion F of pixels (u, v) over the exposure, (..., 2) in pixels.

    Args:
        camera: undistorted pinhole of the pixels.
        u, v: (...) pixel positions.
        inverse_depth: (...) 1/m.
        rotation: (3,) theta = omega tau, rad.
        translation: (3,) t = v tau, m.
    """
    x = np.concatenate([rotation, translation])
    return np.asarray(motion_rows(camera, u, v, inverse_depth) @ x)


def double_angle(field: Array) -> Array:
    """Return q of a motion field (..., 2): its length kept, its angle doubled, its sign gone."""
    fx, fy = field[..., 0], field[..., 1]
    length = np.hypot(fx, fy)
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return np.stack([(fx * fx - fy * fy) * scale, 2 * fx * fy * scale], axis=-1)


def half_angle(q: Array) -> Array:
    """Return the motion field of a double-angle field (..., 2), with its x component >= 0."""
    doubled = np.ascontiguousarray(q, dtype=float).view(complex)
    halved: Array = np.sqrt(np.abs(doubled)) * np.sqrt(doubled)
    return np.asarray(halved.view(float))
