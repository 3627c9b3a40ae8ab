"""Velocities summed up to a pose: orientation since the start, and position where it is asked
for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.results.ros_fields import LINEAR_FIRST

UNKNOWN = 1e6
"""Variance (m^2) of a position that nobody measures."""

LONGEST_GAP = 0.5
"""Seconds without a velocity above which it may have been anything meanwhile."""

LOST = np.array([np.pi, np.pi, np.pi]) ** 2
"""Variance (rad^2) of an orientation after such a gap."""


@dataclass(frozen=True)
class Pose:
    """Position (3,) m, orientation (x, y, z, w), and their covariance (6, 6), position first."""

    position: Array
    orientation: Array
    covariance: Array


class Odometry:
    """Integrates velocities in the camera's own axes; drifts, as every integral does."""

    def __init__(self, with_position: bool) -> None:
        """Start at the origin; without `with_position` it stays there, and its variance says so."""
        self._with_position = with_position
        self.begin_anew()

    def begin_anew(self) -> None:
        """Start at the origin."""
        self._last: VelocityEstimate | None = None
        self._position = np.zeros(3)
        self._turn = Rotation.identity()
        self._covariance = np.zeros((6, 6))

    def add(self, estimate: VelocityEstimate) -> Pose:
        """Go on to an estimate, in axes that do not change; return the pose there."""
        last, self._last = self._last, estimate
        if last is not None:
            self._step(last, estimate)
        covariance = self._covariance + 1e-9 * np.eye(6)
        if not self._with_position:
            covariance[:3], covariance[:, :3] = 0.0, 0.0
            covariance[:3, :3] = UNKNOWN * np.eye(3)
        return Pose(self._position.copy(), self._turn.as_quat(), covariance)

    def _step(self, last: VelocityEstimate, now: VelocityEstimate) -> None:
        dt = now.t - last.t
        if not 0 < dt <= LONGEST_GAP:
            self._covariance[3:, 3:] += np.diag(LOST)
            self._covariance[:3, :3] += UNKNOWN * np.eye(3)
            return
        mean = (last.velocity + now.velocity) / 2
        half = Rotation.from_rotvec(mean[:3] * dt / 2)
        midway = self._turn * half
        if self._with_position:
            self._position = self._position + midway.apply(mean[3:]) * dt
        self._turn = midway * half
        # Each interval holds two halves of two measurements, whose errors are their own.
        both = (last.covariance_with_sign + now.covariance_with_sign) / 4
        axes = np.kron(np.eye(2), midway.as_matrix())
        self._covariance += axes @ both[np.ix_(LINEAR_FIRST, LINEAR_FIRST)] @ axes.T * 2 * dt**2
