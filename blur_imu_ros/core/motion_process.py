"""The process that a moving camera follows, and the settings of the filter over it.

Acceleration is an Ornstein-Uhlenbeck process (Singer 1970) on each axis; velocity is its integral,
and the pose since the frame before that of velocity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blur_imu_ros.core.arrays import Array

_NODES, _WEIGHTS = (a / 2 for a in np.polynomial.legendre.leggauss(6))
SLOWEST = 1e-3
"""1/s: the decay of a velocity that has none; keeps the closed forms away from 0/0."""


@dataclass(frozen=True, kw_only=True)
class MotionFilterConfig:
    """How neighbouring frames are fused.

    Attributes:
        accelerations: standard deviations of angular acceleration among which each axis chooses,
            rad/s^2: from a robot that rolls to a hand that jerks.
        acceleration_time: correlation time of acceleration, seconds.
        lever: linear acceleration for each rad/s^2 of angular acceleration, metres: without a
            lever arm, what turns also moves.
        linear_acceleration: of a camera that does not turn, m/s^2.
        constraint_noise_time: correlation time of the velocity of the pivot, seconds.
        knocks: how many times as hard as usual a camera may be shaken from one frame to the next,
            and how often it is.
        memory: share of the evidence for an acceleration, or for a scale of blur's covariance, that
            is still there one frame later.
        blur_scales: by what blur's covariance may have to be multiplied.
        lasting: frames for which errors of depth stay alike; by that the covariance of a linear
            velocity is multiplied in the end, because these errors are not averaged away.
        angular_std, linear_std: of the velocity before anything is known, rad/s and m/s.
        short_px: error of short blur, pixels of the network's view: it is read as none.
        short_until_px: length of blur at which that error has fallen to half.
        degrees: of freedom of the Student-t distribution of innovations.
    """

    accelerations: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    acceleration_time: float = 0.1
    lever: float = 0.3
    linear_acceleration: float = 2.0
    constraint_noise_time: float = 0.03
    knocks: tuple[tuple[float, float], ...] = ((1.0, 0.8), (3.0, 0.15), (10.0, 0.05))
    memory: float = 0.9
    blur_scales: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0)
    lasting: float = 5.0
    angular_std: float = 10.0
    linear_std: float = 4.0
    short_px: float = 1.5
    short_until_px: float = 2.0
    degrees: float = 5.0


@dataclass(frozen=True)
class Gaussian:
    """A mean and a covariance."""

    mean: Array
    covariance: Array

    def part(self, rows: slice) -> Gaussian:
        """Return the marginal of some entries."""
        return Gaussian(self.mean[rows], self.covariance[rows, rows])


def observed(
    states: Sequence[Gaussian], rows: slice, values: Array, covariance: Array, degrees: float
) -> list[Gaussian]:
    """Return the posteriors of observations of some entries of n states, outliers held back.

    Args:
        states: before the observations.
        rows: the entries that are observed.
        values: (n, m) of the observations.
        covariance: (m, m) of each of them.
        degrees: of freedom of the Student-t distribution of the three angular innovations.
    """
    means = np.array([state.mean for state in states])
    covariances = np.array([state.covariance for state in states])
    innovations = values - means[:, rows]
    across, within = covariances[:, :, rows], covariances[:, rows, rows]
    angular = innovations[:, :3, None]
    nis = np.sum(angular * np.linalg.solve((within + covariance)[:, :3, :3], angular), axis=(1, 2))
    heavier = np.maximum(1.0, (degrees + nis) / (degrees + 3))[:, None, None]
    gains = np.linalg.solve(within + heavier * covariance, across.swapaxes(1, 2)).swapaxes(1, 2)
    means = means + (gains @ innovations[:, :, None])[:, :, 0]
    covariances = symmetric(covariances - gains @ across.swapaxes(1, 2))
    return [Gaussian(*one) for one in zip(means, covariances, strict=True)]


def axis(dt: float, slowing: float, decay: float) -> tuple[Array, Array]:
    """Return transition and noise, (3, 3), of pose, velocity and acceleration of one axis.

    Args:
        dt: seconds.
        slowing, decay: of velocity and of acceleration, 1/s.

    The noise is that of an acceleration of variance 1.
    """
    response = _response(dt * (_NODES + 0.5), slowing, decay)[:, :, 2]
    noise = 2 * decay * dt * (response.T * _WEIGHTS) @ response
    return _response(np.array([dt]), slowing, decay)[0], noise


def _response(s: Array, slowing: float, decay: float) -> Array:
    """(n, 3, 3) transitions of one axis over times s (n,)."""
    if abs(decay - slowing) < 1e-3 * decay:  # The closed forms are 0/0 there.
        slowing = 0.999 * decay
    slow, fast = np.exp(-slowing * s), np.exp(-decay * s)
    out = np.zeros((len(s), 3, 3))
    out[:, 0, 0], out[:, 1, 1], out[:, 2, 2] = 1, slow, fast
    out[:, 0, 1] = (1 - slow) / slowing
    out[:, 1, 2] = (slow - fast) / (decay - slowing)
    out[:, 0, 2] = (out[:, 0, 1] - (1 - fast) / decay) / (decay - slowing)
    return out


def symmetric(matrix: Array) -> Array:
    """Return matrices (..., n, n) without what rounding made of their symmetry."""
    return np.asarray((matrix + matrix.swapaxes(-1, -2)) / 2)
