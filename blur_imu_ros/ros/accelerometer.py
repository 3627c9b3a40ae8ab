"""The acceleration of a real accelerometer, to go with our angular velocity into one Imu."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.recordings.message_times import seconds
from blur_imu_ros.ros.frames import Transforms

REMEMBERED = 400
"""Messages; two seconds of a fast accelerometer."""

LONGEST_GAP = 0.1
"""Seconds between accelerations above which nothing is said of the time between them."""


@dataclass(frozen=True)
class Acceleration:
    """Proper acceleration (3,) m/s^2 with its covariance (3, 3), in the axes that were asked
    for."""

    value: Array
    covariance: Array


class Accelerometer:
    """Remembers the acceleration of an Imu topic; `at` gives it for another time and
    frame."""

    def __init__(self, transforms: Transforms) -> None:
        """Look up in `transforms` how the accelerometer is turned against the camera."""
        self._transforms = transforms
        self._lock = threading.Lock()
        self._known: deque[tuple[float, Array, Array]] = deque(maxlen=REMEMBERED)
        self._frame = ""
        self.state = "has sent nothing yet"

    def take(self, message: Any) -> None:
        """Remember a message; one without acceleration, or out of order, is left out."""
        covariance = np.array(message.linear_acceleration_covariance, float).reshape(3, 3)
        a = message.linear_acceleration
        value = np.array([a.x, a.y, a.z], float)
        stamp = seconds(message.header.stamp)
        if covariance[0, 0] < 0 or not np.isfinite(value).all():
            self.state = "gives no acceleration"
            return
        with self._lock:
            if self._known and stamp < self._known[-1][0]:
                self._known.clear()
            self._known.append((stamp, value, covariance))
            self._frame = message.header.frame_id

    def at(self, t: float, frame_id: str) -> Acceleration | None:
        """Return the acceleration at a time (s) in the axes of a frame, or None; `state` says
        why."""
        with self._lock:
            found, frame = _between(list(self._known), t), self._frame
        if found is None:
            self.state = "has no sample at the time of the images" if frame else self.state
            return None
        value, covariance = found
        if frame == frame_id:
            turn = np.eye(3)
        else:
            rotation = self._transforms.rotation(frame_id, frame)
            if rotation is None:
                self.state = f"TF does not lead from {frame_id} to {frame}"
                return None
            turn = Rotation.from_quat(rotation).as_matrix()
        self.state = f"merged, from {frame}"
        return Acceleration(turn @ value, turn @ covariance @ turn.T)


def _between(known: list[tuple[float, Array, Array]], t: float) -> tuple[Array, Array] | None:
    """Return the value at `t`, linear between its neighbours; None outside, or in a gap."""
    for before, after in zip(known, known[1:], strict=False):
        if before[0] <= t <= after[0] and after[0] - before[0] <= LONGEST_GAP:
            share = (t - before[0]) / max(after[0] - before[0], 1e-9)
            return before[1] + share * (after[1] - before[1]), after[2]
    return None
