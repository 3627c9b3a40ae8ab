"""The measurement that leaves the core."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from blur_imu_ros.core.arrays import Array

CHI2_95_SIX = 12.59
"""95th percentile of chi-squared with six degrees of freedom."""


@dataclass(frozen=True)
class VelocityEstimate:
    """Velocity of the camera body in its own (OpenCV) axes at mid-exposure.

    Attributes:
        t: middle of the exposure, seconds.
        exposure_time: seconds.
        angular_velocity: (3,) rad/s.
        linear_velocity: (3,) m/s.
        covariance: (6, 6) of (angular, linear), always finite and positive definite.
        blur_px: median length of the motion blur, pixels of the network's view.
        residual_px: robust standard deviation of motion field minus its fit, pixels.
        rank: how many of the six degrees of freedom the image determines.
        condition: condition number of the solve in pixels (scaled columns).
        direction_probability: probability that the sign is right; 0.5 if undecided.
        valid: whether the numbers may be used.
        reasons: why not, as short phrases; empty if valid.
        shared_covariance: (6, 6) the part of `covariance` that is common to frames of the same
            scene and model and does not average out: scale of blur length and of depth.
        single: (6,) velocity from the image alone, if neighbours changed it; else None.
        registration_quality: correlation with the previous frame after registration; 0 without.
        autocorrelation: how well both ends of the blur of this image agree, along the motion
            found: minus the correlation of its second derivative at one and at the other (0.5 is
            perfect); 0 where they told nothing.
    """

    t: float
    exposure_time: float
    angular_velocity: Array
    linear_velocity: Array
    covariance: Array
    blur_px: float
    residual_px: float
    rank: int
    condition: float
    direction_probability: float = 0.5
    valid: bool = True
    reasons: tuple[str, ...] = field(default=())
    shared_covariance: Array = field(default_factory=lambda: np.zeros((6, 6)))
    single: Array | None = None
    registration_quality: float = 0.0
    autocorrelation: float = 0.0

    @property
    def velocity(self) -> Array:
        """(6,) angular, then linear velocity."""
        return np.concatenate([self.angular_velocity, self.linear_velocity])

    @property
    def sigma(self) -> Array:
        """(6,) standard deviations of (angular, linear)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    def reversed(self) -> VelocityEstimate:
        """Return the other motion that leaves the same blur."""
        return replace(
            self,
            angular_velocity=-self.angular_velocity,
            linear_velocity=-self.linear_velocity,
            direction_probability=1 - self.direction_probability,
            single=None if self.single is None else -self.single,
        )

    def agrees(self, other: VelocityEstimate) -> bool:
        """Whether another estimate of about the same motion has the same sign."""
        return bool(self.velocity @ np.linalg.solve(other.covariance, other.velocity) >= 0)

    def rejected(self, reason: str) -> VelocityEstimate:
        """Return the same estimate marked as not to be used, with the reason added."""
        return replace(self, valid=False, reasons=(*self.reasons, reason))

    @property
    def covariance_with_sign(self) -> Array:
        """(6, 6) covariance that includes the doubt about the sign: C + 4 (1 - p) x x^T.

        It is the mean squared deviation from x where the ground truth is -x with probability 1 - p.
        """
        p, x = self.direction_probability, self.velocity
        return np.asarray(self.covariance + 4 * (1 - p) * np.outer(x, x))

    @property
    def is_moving(self) -> bool:
        """Whether the velocity differs significantly (95 %) from zero, so that its sign matters."""
        x = self.velocity
        return bool(x @ np.linalg.solve(self.covariance, x) > CHI2_95_SIX)


_SIGNS = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])


def mean_velocities(first: Array, second: Array) -> Array:
    """(4, n) means of two velocities (n,) whose signs are open: under ++, +-, -+ and --."""
    return np.asarray(_SIGNS @ np.stack([first, second]) / 2)
