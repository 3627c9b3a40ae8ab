"""One step of a moving camera's state, with or without a lever arm.

The state (21,) is the pose since the frame before (6), (omega, v), their acceleration (6), and the
vibration that is in omega (3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.motion_noise import NoiseEstimator
from blur_imu_ros.core.motion_process import (
    Gaussian,
    Gaussians,
    MotionFilterConfig,
    Turning,
    axis,
    symmetric,
)
from blur_imu_ros.core.pivot import skew

POSE, VELOCITY, ACCELERATION = slice(0, 6), slice(6, 12), slice(12, 18)
_VIBRATION = slice(18, 21)
LASTING = slice(6, 21)
"""What is kept from frame to frame: the pose begins anew at each."""
_IDENTITY = np.eye(6)
_IDENTITY.setflags(write=False)
_STANDING = np.outer((0.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0))
"""What a vibration of variance 1 is before anything is known of it: (4, 4) of one axis."""


@dataclass(frozen=True)
class Hold:
    """How the camera is held, for one step.

    Attributes:
        lever_arm: (3,) metres, from the pivot to the camera.
        constraint_noise: (3, 3) covariance of v - omega x r, (m/s)^2.
    """

    lever_arm: Array
    constraint_noise: Array


@dataclass(frozen=True)
class Step:
    """From one frame to the next.

    Attributes:
        transition: (21, 15) of what lasts to all; the pose begins anew.
        shaken: (21, 21) noise of the shaken camera.
        other: (21, 21) noise of its vibration, and of the pivot.
    """

    transition: Array
    shaken: Array
    other: Array

    @classmethod
    def of(
        cls,
        turning: Turning,
        dt: float,
        hold: Hold | None,
        noise: NoiseEstimator,
        config: MotionFilterConfig,
    ) -> Step:
        """Return a step of `dt` seconds, that of one axis being `turning`."""
        held = _held(hold)
        spread, moved = held[:, :3], turning.transition
        transition = np.zeros((21, 15))
        transition[:18, 12:] = _kron(moved[:3, 2:], spread)
        transition[_VIBRATION, 12:] = moved[3, 2] * _IDENTITY[:3, :3]
        angular, pushed = _accelerations(hold, noise, config)
        shaken, of_axis = np.zeros((21, 21)), turning.shaken[:3, :3]
        other = _vibrating(hold, noise.vibrations, turning.vibrating)
        if hold is None:
            transition[:18, :12] = _kron(moved[:3, :2], _IDENTITY)
            shaken[:18, :18] = _kron(of_axis, _IDENTITY * np.concatenate([angular, pushed]))
            return cls(transition, shaken, other)
        decay = 1 / config.acceleration_time
        linear, left_over = axis(dt, 1 / config.constraint_noise_time, decay)
        released = 2 * _IDENTITY - held  # the inverse of `held`
        transition[:18, :12] = _kron(moved[:3, :2], spread @ released[:3])
        transition[:18, :12] += _kron(linear[:, 1:], held[:, 3:] @ released[3:])
        shaken[:18, :18] = _kron(of_axis, (spread * angular) @ spread.T)
        other[:18, :18] += _kron(left_over, held[:, 3:] @ pushed @ held[:, 3:].T)
        return cls(transition, shaken, other)

    def moved(self, states: Gaussians) -> Gaussians:
        """Return states one step on, without the noise of it."""
        covariances = self.transition @ states.covariances[:, LASTING, LASTING]
        return Gaussians(
            states.means[:, LASTING] @ self.transition.T,
            symmetric(covariances @ self.transition.T),
        )


def initial_state(hold: Hold | None, noise: NoiseEstimator, config: MotionFilterConfig) -> Gaussian:
    """Return what is known of a frame before anything is measured, (21,)."""
    angular, pushed = _accelerations(hold, noise, config)
    turning = np.full(3, config.angular_std**2)
    sliding = np.full(3, config.linear_std**2) if hold is None else hold.constraint_noise
    covariance = _vibrating(hold, noise.vibrations, _STANDING)
    covariance[VELOCITY, VELOCITY] += _tied(hold, turning, sliding)
    covariance[ACCELERATION, ACCELERATION] += _tied(hold, angular, pushed)
    return Gaussian(np.zeros(21), covariance)


def _accelerations(
    hold: Hold | None, noise: NoiseEstimator, config: MotionFilterConfig
) -> tuple[Array, Array]:
    """Return variances (3,) of the angular acceleration, and of the linear one beside it: (3,), or
    (3, 3) of a held camera."""
    variances = noise.variances
    if hold is None:
        along = config.lever**2 / 3 * variances.sum() + config.linear_acceleration**2
        return variances, np.array([along] * 3)
    slowing = 1 / config.constraint_noise_time
    # What makes the stationary variance of the constraint noise.
    return variances, hold.constraint_noise * slowing * (slowing + 1 / config.acceleration_time)


def _held(hold: Hold | None) -> Array:
    """Return the matrix (6, 6) that makes (omega, v) of (omega, u), v = omega x r + u."""
    if hold is None:
        return _IDENTITY
    held = _IDENTITY.copy()
    held[3:, :3] = -skew(hold.lever_arm)
    return held


def _tied(hold: Hold | None, angular: Array, linear: Array) -> Array:
    """Return the covariance (6, 6) of (omega, v) from those of omega and u, (3,) or (3, 3)."""
    held = _held(hold)
    along = held[:, 3:] * linear if linear.ndim == 1 else held[:, 3:] @ linear
    return np.asarray((held[:, :3] * angular) @ held[:, :3].T + along @ held[:, 3:].T)


def _vibrating(hold: Hold | None, variances: Array, noise: Array) -> Array:
    """Return covariance (21, 21) of a state by a vibration in omega.

    Args:
        hold: how the camera is held.
        variances: (3,) of the vibration of each axis.
        noise: (4, 4) of pose, velocity, acceleration and vibration of one axis, for variance 1.
    """
    held = _held(hold)[:, :3]
    found = np.zeros((21, 21))
    found[:18, :18] = _kron(noise[:3, :3], (held * variances) @ held.T)
    found[:18, _VIBRATION] = _kron(noise[:3, 3:], held * variances)
    found[_VIBRATION, :18] = found[:18, _VIBRATION].T
    found[_VIBRATION, _VIBRATION] = noise[3, 3] * variances * _IDENTITY[:3, :3]
    return found


def _kron(a: Array, b: Array) -> Array:
    """Return the Kronecker product of two small matrices; much faster than numpy's."""
    product = a[:, None, :, None] * b[None, :, None, :]
    return product.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])
