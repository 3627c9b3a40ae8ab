"""The process that a moving camera follows, and the settings of the filter over it.

Acceleration is an Ornstein-Uhlenbeck process (Singer 1970) on each axis; velocity is its integral,
and the pose since the frame before that of velocity. To angular velocity a vibration is added, such
a process as well but much shorter: it moves the camera, and nothing foretells it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blur_imu_ros.core.arrays import Array

_NODES, _WEIGHTS = (a / 2 for a in np.polynomial.legendre.leggauss(6))
_TIMES = np.append(_NODES + 0.5, 1.0)
"""Shares of a step: where its noise is integrated, and its end."""
SLOWEST = 1e-3
"""1/s: the decay of a velocity that has none; keeps the closed forms away from 0/0."""


@dataclass(frozen=True, kw_only=True)
class MotionFilterConfig:
    """How neighbouring frames are fused.

    Attributes:
        accelerations: standard deviations of angular acceleration among which each axis chooses,
            rad/s^2: from a robot that rolls to a hand that jerks.
        acceleration_time: correlation time of acceleration, seconds.
        together: share of the variance of acceleration that all axes have in common: what shakes
            one shakes the others.
        vibrations: standard deviations of a vibration among which each axis chooses, rad/s.
        vibration_time: its correlation time, seconds.
        lever: linear acceleration for each rad/s^2 of angular acceleration, metres: without a
            lever arm, what turns also moves.
        linear_acceleration: of a camera that does not turn, m/s^2.
        constraint_noise_time: correlation time of the velocity of the pivot, seconds.
        knocks: how many times as hard as usual a camera may be shaken from one frame to the next,
            and how often it is.
        memory: share of the evidence for an acceleration, a vibration or a scale of blur's
            covariance that is still there one frame later.
        alike: error of a registered angular velocity that stays alike from pair to pair, as depth
            is wrong there, rad/s: part of its covariance, and not averaged away.
        blur_scales: by what blur's covariance may have to be multiplied.
        gain_std: how far from 1 the factor is, as a rule, by which all blur of a recording is too
            short: half of the logarithms are nearer to 0, and a few far away.
        largest_gain: the largest such factor; the smallest is its inverse.
        gain_share: share of a frame's evidence for it that counts: neighbouring ones err alike.
        gain_memory: share of that which is still there one frame later.
        lasting: seconds for which errors of depth stay alike. They are not averaged away over that
            time, so the covariance of a linear velocity is multiplied by its frames in the end, but
            not to more than one pair errs by.
        angular_std, linear_std: of the velocity before anything is known, rad/s and m/s.
        short_px: error of short blur, pixels of the network's view: it is read as none.
        short_until_px: length of blur at which that error has fallen to half.
        degrees: of freedom of the Student-t distribution of innovations.
    """

    accelerations: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    acceleration_time: float = 0.1
    together: float = 0.2
    vibrations: tuple[float, ...] = (0.0, 0.03, 0.1)
    vibration_time: float = 0.02
    lever: float = 0.3
    linear_acceleration: float = 2.0
    constraint_noise_time: float = 0.03
    knocks: tuple[tuple[float, float], ...] = ((1.0, 0.85), (5.0, 0.15))
    memory: float = 0.9
    alike: float = 0.05
    blur_scales: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0)
    gain_std: float = 0.03
    largest_gain: float = 4.0
    gain_share: float = 0.5
    gain_memory: float = 0.97
    lasting: float = 0.2
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


@dataclass(frozen=True)
class Gaussians:
    """n Gaussians of m entries: means (n, m) and covariances (n, m, m)."""

    means: Array
    covariances: Array

    def __getitem__(self, rows: Array | list[int]) -> Gaussians:
        """Return some of them, in the order of `rows`."""
        return Gaussians(self.means[rows], self.covariances[rows])

    def observed(
        self, rows: slice, values: Array, covariance: Array, nis: Array, degrees: float
    ) -> Gaussians:
        """Return the posteriors of observations of some entries, outliers held back.

        Args:
            rows: the entries that are observed, k of them, angular ones first.
            values: (n, k) of the observations.
            covariance: (k, k) of each of them.
            nis: (n,) normalised squared innovation of the three angular entries.
            degrees: of freedom of the Student-t distribution of these.
        """
        innovations = values - self.means[:, rows]
        across, within = self.covariances[:, rows], self.covariances[:, rows, rows]
        heavier = np.maximum(1.0, (degrees + nis) / (degrees + 3))[:, None, None]
        gains = np.linalg.solve(within + heavier * covariance, across).swapaxes(1, 2)
        means = self.means + (gains @ innovations[:, :, None])[:, :, 0]
        return Gaussians(means, symmetric(self.covariances - gains @ across))

    def merged(self, weights: Array) -> Gaussians:
        """Return one Gaussian for each of r mixtures (r, n) of these, their shares not all zero."""
        shares = weights / weights.sum(axis=1, keepdims=True)
        if len(self.means) == 1:
            return self if len(shares) == 1 else self[[0] * len(shares)]
        means = shares @ self.means
        apart = self.means - means[:, None]
        size = self.covariances.shape[1:]
        covariances = (shares @ self.covariances.reshape(len(self.means), -1)).reshape(-1, *size)
        covariances += (apart * shares[:, :, None]).swapaxes(1, 2) @ apart
        return Gaussians(means, symmetric(covariances))


@dataclass(frozen=True)
class Turning:
    """A step of the angular velocity of one axis: pose, velocity, acceleration and vibration, where
    velocity holds the vibration as well.

    Attributes:
        transition: (4, 3) of the last three to all; the pose begins anew.
        shaken: (4, 4) noise of an acceleration of variance 1.
        vibrating: (4, 4) noise of a vibration of variance 1.
    """

    transition: Array
    shaken: Array
    vibrating: Array

    @classmethod
    def of(cls, dt: float, config: MotionFilterConfig) -> Turning:
        """Return a step of `dt` seconds."""
        smooth, noise = axis(dt, SLOWEST, 1 / config.acceleration_time)
        time = config.vibration_time
        kept = np.exp(-dt / time)
        transition = np.zeros((4, 3))
        transition[:3, :2] = smooth[:, 1:]
        transition[:2, 2] = (1 - kept) * time - smooth[0, 1], kept - smooth[1, 1]
        transition[3, 2] = kept
        shaken = np.zeros((4, 4))
        shaken[:3, :3] = noise
        moved = 2 * time * (dt - 2 * time * (1 - kept) + time * (1 - kept**2) / 2)
        both, left = time * (1 - kept) ** 2, 1 - kept**2
        vibrating = np.array(
            (
                (moved, both, 0.0, both),
                (both, left, 0.0, left),
                (0.0, 0.0, 0.0, 0.0),
                (both, left, 0.0, left),
            )
        )
        return cls(transition, shaken, vibrating)


def axis(dt: float, slowing: float, decay: float) -> tuple[Array, Array]:
    """Return transition and noise, (3, 3), of pose, velocity and acceleration of one axis.

    Args:
        dt: seconds.
        slowing, decay: of velocity and of acceleration, 1/s.

    The noise is that of an acceleration of variance 1.
    """
    responses = _response(dt * _TIMES, slowing, decay)
    shaken = responses[:-1, :, 2]
    return responses[-1], 2 * decay * dt * (shaken.T * _WEIGHTS) @ shaken


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
    both: Array = matrix + matrix.swapaxes(-1, -2)
    both *= 0.5
    return both
