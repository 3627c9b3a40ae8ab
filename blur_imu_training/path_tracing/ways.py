"""Ways of cameras through a room: how hands shake and robots drive, from a given start."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.simulation.room_renderer import Pose, Trajectory, constant_velocity, hand_held

LEVER_ARM = (-0.2, -0.15, 0.27)
"""From the wrist to the camera, camera axes, metres."""

HAND_SWAY = 0.04
"""Metres that the wrist sways by."""

HAND_RATE = 2 * np.pi * 1.3
"""rad/s: how fast hands swing to and fro, in the middle."""

ROBOT_SPEED = 0.5
ROBOT_YAW = (0.5, 0.35)
RATTLE = 0.06
"""m/s forward; rad/s of the two waves of yaw, and of each of the rattle's, in all axes."""

STEP = 0.002
"""Seconds of constant velocity that a drive is put together of."""


def hand_shake(start: Pose, seed: int, rate: float) -> Trajectory:
    """Return a shake of a hand about a wrist, at most at about `rate` rad/s in each axis."""
    shake = hand_held(seed, turn=rate / HAND_RATE, sway=HAND_SWAY, lever_arm=LEVER_ARM)
    first = shake.pose(0.0)

    def pose(t: float) -> Pose:
        now = shake.pose(t)
        turn = start.rotation * first.rotation.inv()
        return Pose(turn * now.rotation, start.position + turn.apply(now.position - first.position))

    return Trajectory(pose, shake.velocity)


def robot_drive(start: Pose, seed: int, duration: float) -> Trajectory:
    """Return a drive: forward, yawing to about 1 rad/s, on a floor that makes the robot rattle."""
    rng = np.random.default_rng(seed)
    rate = 2 * np.pi * np.array([0.4, 0.7, 9.0, 12.0]) * rng.uniform(0.8, 1.2, (3, 4))
    phase = rng.uniform(0, 2 * np.pi, (3, 4))
    size = np.array([[0.02, 0.02, RATTLE, RATTLE], [*ROBOT_YAW, RATTLE, RATTLE],
                     [0.01, 0.01, RATTLE, RATTLE]])  # fmt: skip

    def velocity(t: float) -> Array:
        angular = (size * np.sin(rate * t + phase)).sum(axis=1)
        return np.concatenate([angular, [0.0, 0.0, ROBOT_SPEED]])

    return integrated(velocity, start, duration)


def integrated(velocity: Callable[[float], Array], start: Pose, duration: float) -> Trajectory:
    """Return the way of a body with the velocity (6,) in its own axes, from `start` at 0 s."""
    times = np.arange(0, duration + STEP, STEP)
    poses = [start]
    for t in times[:-1]:
        poses.append(
            _step(velocity(float(t) + STEP / 2), poses[-1], float(t)).pose(float(t) + STEP)
        )

    def pose(t: float) -> Pose:
        index = int(np.clip(bisect_right(times, t) - 1, 0, len(times) - 1))
        begun = float(times[index])
        return _step(velocity((begun + t) / 2), poses[index], begun).pose(t)

    return Trajectory(pose, velocity)


def _step(velocity: Array, pose: Pose, t: float) -> Trajectory:
    return constant_velocity(velocity[:3], velocity[3:], pose, t)
