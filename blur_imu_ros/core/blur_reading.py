"""What the blur of one frame measures of its velocity, as the motion filter takes it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.motion_gain import Gain
from blur_imu_ros.core.motion_process import MotionFilterConfig, symmetric
from blur_imu_ros.core.small_systems import added, principal
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
        size = np.sqrt(assumed.information.diagonal())
        # In units of the prior's standard deviations.
        values, vectors = principal((total - assumed.information) / (size[:, None] * size))
        axes = vectors.T / size
        covariance = (axes.T / np.maximum(values, 1e-2)) @ axes
        velocity = covariance @ (total @ estimate.velocity)
        short = config.short_px / (1 + (estimate.blur_px / config.short_until_px) ** 2)
        angular = short / (focal * estimate.exposure_time)
        linear = angular / max(inverse_depth, 1e-2)
        covariance = added(covariance, np.array([angular**2] * 3 + [linear**2] * 3))
        return cls(velocity, symmetric(covariance))

    def agrees(self, velocity: Array) -> bool:
        """Return whether a velocity (6,) is rather on the side of its own than on the other."""
        return bool(self.velocity @ np.linalg.solve(self.covariance, velocity) >= 0)

    def multiplied(self, gain: Gain) -> BlurReading:
        """Return it with a factor, and with what is not known of that."""
        factor = math.exp(gain.log)
        velocity = factor * self.velocity
        unsure = gain.variance * velocity[:, None] * velocity
        return BlurReading(velocity, factor**2 * self.covariance + unsure)
