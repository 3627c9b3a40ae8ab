"""Axes in which velocities are reported, and the rotations between them.

The core speaks OpenCV's camera axes (x right, y down, z forward).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.estimate import VelocityEstimate

MEANING = {
    Axes.OPTICAL: "optical axes (x right, y down, z forward)",
    Axes.BODY: "body axes (x forward, y left, z up)",
    Axes.GYRO: "w in gyroscope axes (x up, y left, z backward), v in optical axes",
}
"""What to write beside numbers in these axes."""

BODY_FROM_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
GYRO_FROM_OPTICAL = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
"""(3, 3) rotations from optical axes to these."""


def from_optical(axes: Axes) -> tuple[Array, Array]:
    """Return the 3x3 matrices that take angular and linear velocity from optical to `axes`."""
    if axes is Axes.BODY:
        return BODY_FROM_OPTICAL, BODY_FROM_OPTICAL
    if axes is Axes.GYRO:
        return GYRO_FROM_OPTICAL, np.eye(3)
    return np.eye(3), np.eye(3)


def six_from_optical(axes: Axes) -> Array:
    """Return the 6x6 matrix that takes (angular, linear) velocity from optical to `axes`."""
    angular, linear = from_optical(axes)
    zero = np.zeros((3, 3))
    return np.block([[angular, zero], [zero, linear]])


def express(estimate: VelocityEstimate, axes: Axes) -> VelocityEstimate:
    """Return an estimate in optical axes re-expressed in `axes`, with its covariance."""
    matrix = six_from_optical(axes)
    return replace(
        estimate,
        angular_velocity=matrix[:3, :3] @ estimate.angular_velocity,
        linear_velocity=matrix[3:, 3:] @ estimate.linear_velocity,
        covariance=matrix @ estimate.covariance @ matrix.T,
        shared_covariance=matrix @ estimate.shared_covariance @ matrix.T,
        single=None if estimate.single is None else matrix @ estimate.single,
    )
