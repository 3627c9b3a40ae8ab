"""A camera and a gyroscope on one body, put apart in axes, clock, bias and scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.series import VelocitySeries

EVERY = np.ones(3)


@dataclass(frozen=True)
class Apart:
    """A camera and a gyroscope on one body, and how they differ."""

    camera: VelocitySeries
    gyro: VelocitySeries
    rotation: np.ndarray
    offset: float
    bias: np.ndarray
    scale: float


def shake(t: np.ndarray, seed: int, axes: np.ndarray) -> np.ndarray:
    """A smooth turn (n, 3), rad/s, about the axes that are not zero."""
    rng = np.random.default_rng(seed)
    waves = [np.sin(t[:, None] * rng.uniform(1, 8, 3) + rng.uniform(0, 6, 3)) for _ in range(4)]
    return np.asarray(axes * sum(waves))


def series(t: np.ndarray, omega: np.ndarray) -> VelocitySeries:
    velocity = np.hstack([omega, np.full_like(omega, np.nan)])
    return VelocitySeries(t, velocity, None, np.ones(len(t), bool))


def apart(seed: int, noise: float = 0.0, flips: float = 0.0, axes: np.ndarray = EVERY) -> Apart:
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed).as_matrix()
    bias, offset, scale = rng.normal(0, 0.05, 3), rng.uniform(-0.1, 0.1), rng.uniform(0.8, 1.25)
    t = np.arange(0, 20, 0.005)
    seen = np.arange(1, 19, 1 / 30)
    omega = scale * shake(seen + offset, seed, axes) @ rotation.T
    omega[rng.uniform(size=len(seen)) < flips] *= -1
    omega += noise * rng.standard_normal(omega.shape)
    return Apart(
        series(seen, omega), series(t, shake(t, seed, axes) + bias), rotation, offset, bias, scale
    )
