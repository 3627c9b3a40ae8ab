"""What is judged by registrations alone: how hard a camera is shaken, and how wrong its blur is
read.

Both differ from camera to camera by far more than any constant could cover. On each axis, the
standard deviation of acceleration is chosen by how well each of a few predicts the next pair, and
the scale of blur's covariance by how well its reading fits the pairs before and behind it. Neither
can deceive itself: blur has no part in the state that judges it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.motion_process import SLOWEST, MotionFilterConfig, axis, symmetric
from blur_imu_ros.core.registration import Registration
from blur_imu_ros.core.velocity import VelocityPrior


@dataclass(frozen=True)
class BlurReading:
    """What the blur of one frame tells of its velocity, all that was assumed taken out again.

    Attributes:
        velocity: (6,) rad/s and m/s.
        covariance: (6, 6); very wide where blur tells nothing.
    """

    velocity: Array
    covariance: Array

    @classmethod
    def of(
        cls,
        estimate: VelocityEstimate,
        assumed: VelocityPrior,
        focal: float,
        inverse_depth: float,
        config: MotionFilterConfig,
    ) -> BlurReading:
        """Return the reading behind an estimate.

        What all frames share is left out: it would be taken for chance, and averaged away.

        Args:
            estimate: of the frame alone.
            assumed: the weak prior that it holds.
            focal: length of the network's view, pixels.
            inverse_depth: a usual one of the view, 1/m.
            config: tells how wrong short blur is.
        """
        total = np.linalg.inv(estimate.covariance - estimate.shared_covariance)
        size = np.sqrt(np.diag(assumed.information))
        values, vectors = np.linalg.eigh(
            (total - assumed.information) / np.outer(size, size)
        )  # in units of the prior's standard deviations
        axes = vectors.T / size
        covariance = (axes.T / np.maximum(values, 1e-2)) @ axes
        velocity = covariance @ (total @ estimate.velocity)
        short = config.short_px / (1 + (estimate.blur_px / config.short_until_px) ** 2)
        angular = short / (focal * estimate.exposure_time)
        linear = angular / max(inverse_depth, 1e-2)
        covariance = covariance + np.diag([angular**2] * 3 + [linear**2] * 3)
        return cls(velocity, symmetric(covariance))


@dataclass
class Judge:
    """What pairs alone tell of each axis: how hard it is shaken, and how wrong blur is.

    Attributes:
        mean: (3, 2) angular velocity and acceleration of each axis.
        covariance: (3, 2, 2) of these.
        accelerations: (3, k) log-weight of each acceleration of the configuration.
        blur_scales: (3, l) log-weight of each scale of the configuration.
    """

    config: MotionFilterConfig
    mean: Array = field(init=False)
    covariance: Array = field(init=False)
    accelerations: Array = field(init=False)
    blur_scales: Array = field(init=False)

    def __post_init__(self) -> None:
        self.accelerations = np.zeros((3, len(self.config.accelerations)))
        self.blur_scales = np.zeros((3, len(self.config.blur_scales)))
        self.restart()

    def restart(self) -> None:
        """Forget the velocity, not what was learnt of camera and blur."""
        self.mean = np.zeros((3, 2))
        self.covariance = np.zeros((3, 2, 2))
        self.covariance[:, 0, 0] = self.config.angular_std**2
        self.covariance[:, 1, 1] = self.variances

    @property
    def variances(self) -> Array:
        """(3,) of the angular acceleration of each axis, (rad/s^2)^2."""
        return np.asarray(_shares(self.accelerations) @ np.square(self.config.accelerations))

    @property
    def scales(self) -> Array:
        """(3,) by what the variance of blur is to be multiplied on each axis."""
        return np.asarray(1 / (_shares(self.blur_scales) @ (1 / np.array(self.config.blur_scales))))

    def pair(self, registration: Registration, dt: float) -> tuple[Array, Array]:
        """Take the pair that ends at this frame; return (3,) mean and variance of omega before
        it."""
        transition, noise = axis(dt, SLOWEST, 1 / self.config.acceleration_time)
        rows = transition[:, 1:]
        predicted = self.mean @ rows.T
        settled = rows @ self.covariance @ rows.T
        innovation = registration.velocity[:3] * dt - predicted[:, 0]
        own = np.diag(registration.covariance)[:3] * dt**2
        shaken = np.square(self.config.accelerations) * noise[0, 0]
        expected = (settled[:, 0, 0] + own)[:, None] + shaken
        self.accelerations = self._weighed(self.accelerations, innovation, expected)
        spread = settled + self.variances[:, None, None] * noise
        total = spread[:, 0, 0] + own
        before = (self.covariance @ rows[0]) / total[:, None]
        mean = self.mean[:, 0] + before[:, 0] * innovation
        variance = self.covariance[:, 0, 0] - before[:, 0] ** 2 * total
        gain = spread[:, :, 0] / total[:, None]
        self.mean = (predicted + gain * innovation[:, None])[:, 1:]
        self.covariance = (spread - gain[:, :, None] * spread[:, None, 0, :])[:, 1:, 1:]
        return mean, variance

    def blur(self, reading: BlurReading, mean: Array, variance: Array) -> None:
        """Take the blur of a frame whose angular velocity the pairs around it tell, (3,) each."""
        own = np.diag(reading.covariance)[:3, None] * np.array(self.config.blur_scales)
        # Of both signs the one that fits the pairs: a wrong one would be taken for a wrong reading.
        spread = variance + np.diag(reading.covariance)[:3] * self.scales
        towards = float(np.sum(reading.velocity[:3] * mean / spread))
        innovation = np.copysign(1.0, towards) * reading.velocity[:3] - mean
        self.blur_scales = self._weighed(self.blur_scales, innovation, variance[:, None] + own)

    def _weighed(self, weights: Array, innovation: Array, variance: Array) -> Array:
        """Return log-weights (3, k) after one more innovation (3,), by its variances (3, k)."""
        likelihood = -0.5 * (np.log(variance) + innovation[:, None] ** 2 / variance)
        weights = self.config.memory * weights + likelihood
        return np.asarray(weights - weights.max(axis=1, keepdims=True))


def _shares(log_weights: Array) -> Array:
    """(n, k) weights that sum to 1 on each of n rows."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
