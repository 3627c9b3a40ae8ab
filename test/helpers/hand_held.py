"""Estimates as of a camera in a hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from blur_imu_ros.core.estimate import VelocityEstimate
from helpers.synthetic_fields import EXPOSURE

LEVER_ARM = np.array([-0.1, -0.05, 0.3])


def estimate(omega: np.ndarray, v: np.ndarray, t: float, std_v: float = 0.3) -> VelocityEstimate:
    covariance = np.diag([0.1**2] * 3 + [std_v**2] * 3)
    return VelocityEstimate(t, EXPOSURE, omega, v, covariance, 10.0, 0.1, 6, 10.0)


def hand(seed: int = 0, count: int = 150, noise: float = 0.1) -> Iterator[VelocityEstimate]:
    """Free estimates of a camera in a hand, with the sign of each left to chance."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        omega = rng.standard_normal(3) * 4
        v = np.cross(omega, LEVER_ARM) + noise * rng.standard_normal(3)
        sign = rng.choice([-1, 1])
        yield estimate(sign * omega, sign * v, k / 30)
