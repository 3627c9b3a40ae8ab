"""What registrations alone tell of noise: how a camera moves, and how wrong its blur is read.

Both differ from camera to camera by far more than any constant could cover. On each axis, the
standard deviations of acceleration and vibration are chosen by how well each of a few, followed for
itself, predicts the next pair, and the scale of blur's covariance by how well its reading fits the
pairs before and behind it; so is the factor by which all blur is too short. None can deceive
itself: blur has no part in the state by which it is weighed. What blur shows and no pair does is
motion between frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_reading import BlurReading
from blur_imu_ros.core.motion_gain import GainEvidence
from blur_imu_ros.core.motion_process import MotionFilterConfig, Turning
from blur_imu_ros.core.registration import Registration
from blur_imu_ros.core.small_systems import added

_VIBRATION = np.outer((1.0, 0.0, 1.0), (1.0, 0.0, 1.0))
"""Covariance of velocity, acceleration and vibration, that a vibration of variance 1 makes."""
_DEGREES = 3.0
"""Of freedom of the Student-t distribution of the distance of blur from pairs: of a hand that jerks
between frames pairs tell little, and one such frame is no reason to mistrust blur."""
_MOST = 25.0
"""Of the square of a distance of blur from pairs, in variances: one frame is not a vibration."""
_NEITHER = 9.0
"""Normalised square of that distance, of three axes, beyond which neither sign of blur fits."""
_CHANCE = 1.75
"""Of its square in variances: what is thought to be chance."""
_NO_VIBRATION = 1e-3
"""Standard deviation of a vibration that is none, rad/s: covariances stay regular."""


@dataclass
class NoiseEstimator:
    """What pairs alone tell of each axis: how it moves, and how wrong blur is.

    A Kalman filter follows each axis under each of k models, an acceleration and a vibration
    of the configuration (multiple models: Magill 1965).

    Attributes:
        mean: (3, k, 3) angular velocity, acceleration and vibration of each axis.
        covariance: (3, k, 3, 3) of these.
        models: (3, k) log-weight of each model of motion.
        blur_scales: (3, l) log-weight of each scale of the configuration.
        gains: evidence for the factor by which all blur is too short.
        unseen: (3,) variance of a motion that blur shows and pairs do not, (rad/s)^2: a vibration
            that is faster than the frames.
    """

    config: MotionFilterConfig
    mean: Array = field(init=False)
    covariance: Array = field(init=False)
    models: Array = field(init=False)
    blur_scales: Array = field(init=False)
    gains: GainEvidence = field(init=False)
    unseen: Array = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        both = np.meshgrid(config.accelerations, config.vibrations, indexing="ij")
        self._acceleration_std, self._vibration_std = (std.ravel() for std in both)
        self._accelerations, self._vibrations = (np.square(std.ravel()) for std in both)
        self.models = np.zeros((3, len(self._accelerations)))
        self._possible_scales = np.array(config.blur_scales)
        self.blur_scales = np.zeros((3, len(config.blur_scales)))
        self.gains = GainEvidence(
            config.gain_std, config.largest_gain, config.gain_share, config.gain_memory
        )
        self.unseen = np.zeros(3)
        self.restart()

    def restart(self) -> None:
        """Forget the velocity, not what was learnt of camera and blur."""
        self.mean = np.zeros((*self.models.shape, 3))
        self.covariance = np.zeros((*self.models.shape, 3, 3))
        self.covariance[..., 0, 0] = self.config.angular_std**2
        self.covariance[..., 1, 1] = self._accelerations
        vibration = self._vibrations[:, None, None] * _VIBRATION
        self.covariance += vibration

    @property
    def variances(self) -> Array:
        """(3,) of the angular acceleration of each axis, (rad/s^2)^2."""
        own = np.square(_shares(self.models) @ self._acceleration_std)
        together = self.config.together
        return np.asarray((1 - together) * own + together / 3 * own.sum())

    @property
    def vibrations(self) -> Array:
        """(3,) variances of the vibration of each axis, (rad/s)^2; never zero."""
        std = _shares(self.models) @ self._vibration_std
        return np.asarray(np.square(np.maximum(std, _NO_VIBRATION)))

    @property
    def scales(self) -> Array:
        """(3,) by what the variance of blur is to be multiplied on each axis."""
        return np.asarray(1 / (_shares(self.blur_scales) @ (1 / self._possible_scales)))

    def pair(self, registration: Registration, turning: Turning, dt: float) -> tuple[Array, Array]:
        """Take the pair that ends at this frame; return (3,) mean and variance of omega before
        it."""
        transition = turning.transition
        predicted = self.mean @ transition.T
        across = self.covariance @ transition.T
        spread = transition @ across
        spread += self._accelerations[:, None, None] * turning.shaken
        spread += self._vibrations[:, None, None] * turning.vibrating
        own = registration.covariance.diagonal()[:3] * dt**2
        innovation = registration.velocity[:3, None] * dt - predicted[..., 0]
        total = spread[..., 0, 0] + own[:, None]
        self.models = self._weighed(self.models, -0.5 * (np.log(total) + innovation**2 / total))
        gain = across[..., 0, 0] / total
        before = self.mean[..., 0] + gain * innovation
        variance = self.covariance[..., 0, 0] - gain**2 * total
        gains = spread[..., 0] / total[..., None]
        self.mean = (predicted + gains * innovation[..., None])[..., 1:]
        spread -= gains[..., None] * spread[..., None, 0, :]
        self.covariance = spread[..., 1:, 1:]
        shares = _shares(self.models)
        mean = (shares * before).sum(axis=1)
        apart = before - mean[:, None]
        return mean, (shares * (variance + apart**2)).sum(axis=1)

    def blur(self, reading: BlurReading, mean: Array, variance: Array) -> None:
        """Take the blur of a frame whose angular velocity the pairs around it tell, (3,) each."""
        blur, covariance, scales = reading.velocity[:3], reading.covariance[:3, :3], self.scales
        std = np.sqrt(scales)
        expected = added(covariance * (std[:, None] * std), variance + self.config.alike**2)
        self.gains.take(blur, mean, expected)
        # Without its variance: that would take all noise of blur for a factor that is not known.
        factor = math.exp(self.gains.gain.log)
        blur, claimed = factor * blur, factor**2 * covariance.diagonal()
        # Of both signs the one that fits the pairs: a wrong one would be taken for a wrong reading.
        towards = float((blur * mean / (variance + claimed * scales)).sum())
        blur = math.copysign(1.0, towards) * blur
        self._unexplained(blur, mean, variance + claimed)
        innovation = blur - mean
        expected = variance[:, None] + claimed[:, None] * self._possible_scales
        nis = innovation[:, None] ** 2 / expected
        likelihood = -0.5 * np.log(expected) - (_DEGREES + 1) / 2 * np.log1p(nis / _DEGREES)
        self.blur_scales = self._weighed(self.blur_scales, likelihood)

    def _unexplained(self, blur: Array, mean: Array, claimed: Array) -> None:
        """Take blur (3,) under the sign that fits pairs better, their mean, and the variance of the
        difference; blur that is too short shows no motion."""
        away, kept = blur - mean, self.config.memory
        found = np.zeros(3)
        if blur @ away > 0:
            # Where neither sign fits, it is open: both, about the mean.
            open_sign = float((away**2 / claimed).sum()) > _NEITHER
            found = np.minimum(blur**2 + mean**2 if open_sign else away**2, _MOST * claimed)
        self.unseen = np.maximum(kept * self.unseen + (1 - kept) * (found - _CHANCE * claimed), 0.0)

    def _weighed(self, weights: Array, log_likelihood: Array) -> Array:
        """Return log-weights (3, k) after one more observation."""
        weights = self.config.memory * weights + log_likelihood
        return np.asarray(weights - weights.max(axis=1, keepdims=True))


def _shares(log_weights: Array) -> Array:
    """(n, k) weights that sum to 1 on each of n rows."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
