"""The stamps of images as they come: which are refused, what is missing, where time begins anew."""

from __future__ import annotations

import math
import threading
from collections import deque

import numpy as np
from builtin_interfaces.msg import Time

from blur_imu_ros.errors import FrameError
from blur_imu_ros.recordings.message_times import seconds
from blur_imu_ros.results.ros_fields import RESTART

EARLY = 0.1
"""Share of the interval of a limited rate by which an image may come early: stamps jitter."""

INTERVALS = 30
"""Times between images from which the camera's period is learnt."""

SHORT = 10
"""Percentile of those intervals that is one period, give or take jitter, though many be missing."""

PAUSE = 1.0
"""Seconds. If neither image nor calibration is stamped for so long, the camera was off (or the bag
was elsewhere): not a thousand lost images."""

SHORTEST = 0.001
"""Seconds. No camera's period is shorter: the image came twice, or of two cameras."""


class ImageTimes:
    """Follows the stamps of images; safe to call from any thread.

    Attributes:
        epoch: counts the beginnings; what was learnt in another epoch is no longer true.
        steps_back: how many of them are because time stepped back.
        late: images that were refused because a newer one, or the same, had come before.
        missing: images that the camera must have taken but that never came.
        skipped: images that were left out because more come than are asked for.
    """

    def __init__(self) -> None:
        """Begin without a past."""
        self._lock = threading.Lock()
        self._last: float | None = None
        # The newest sign of life, and since the last image the seconds in which there were some.
        self._alive, self._alive_for = -math.inf, 0.0
        self._intervals: deque[float] = deque(maxlen=INTERVALS)
        self._due = -math.inf
        self.epoch = self.steps_back = self.late = self.missing = self.skipped = 0
        self._settled = 0
        self._came = self._came_before = self._missing_before = 0

    def begin_anew(self, stepped_back: bool = False) -> None:
        """Forget the past: the clock has stepped back, or the node has rested."""
        with self._lock:
            self.steps_back += stepped_back
            self._restart()

    def admit(self, stamp: Time) -> float:
        """Return an image's stamp in seconds; FrameError if the image must not be used."""
        t = checked_seconds(stamp)
        with self._lock:
            step = None if self._last is None else t - self._last
            if step is not None and -RESTART <= step <= 0:
                self.late += 1
                again = "has the stamp of" if step == 0 else "is older than"
                raise FrameError(f"the image {again} the one before")
            if step is not None and step < 0:
                self.steps_back += 1
                self._restart()
            elif step is not None:
                self._learn(self._lived(t, step))
            if step is None or step < 0:
                self._alive, self._alive_for = t, 0.0
            self._last = t
            self._came += 1
        return t

    def alive(self, stamp: Time) -> None:
        """Take the stamp of a calibration: the camera was on, and took an image then."""
        with self._lock:
            if self._last is not None:
                self._live_until(seconds(stamp))

    def recent(self, enough: int = 1) -> tuple[int, int] | None:
        """Return how many images came since the last answer, and how many are missing among them;
        None as long as both together are fewer than `enough`."""
        with self._lock:
            # A period that is known better may take some back.
            came = self._came - self._came_before
            missing = max(0, self.missing - self._missing_before)
            if came + missing < enough:
                return None
            self._came_before, self._missing_before = self._came, self.missing
        return came, missing

    def is_due(self, t: float, rate: float) -> bool:
        """Return whether an image that was admitted keeps to at most `rate` Hz; 0 is no limit."""
        if rate <= 0:
            return True
        interval = 1 / rate
        with self._lock:
            # A slower rate may have been asked for before.
            self._due = min(self._due, t + (1 + EARLY) * interval)
            if t < self._due - EARLY * interval:
                self.skipped += 1
                return False
            # On a grid, not from image to image: 20 Hz of 30 Hz would become 15 Hz.
            on_time = t < self._due + interval
            self._due = (self._due if on_time else t) + interval
        return True

    def _restart(self) -> None:
        self.epoch += 1
        self._last, self._due = None, -math.inf
        self._settled = self.missing
        self._intervals.clear()

    def _live_until(self, t: float) -> None:
        step = t - self._alive
        if step > 0:
            self._alive = t
            self._alive_for += step if step < PAUSE else 0

    def _lived(self, t: float, step: float) -> float:
        """Return for how long (s) the camera was on from the last image to that of time `t`."""
        self._live_until(t)
        ahead = self._alive - t
        if ahead >= PAUSE:  # The calibrations are stamped by another clock.
            self._alive, ahead = t, 0.0
            self._alive_for = step if step < PAUSE else 0.0
        lived = max(0.0, self._alive_for - ahead)
        self._alive_for = min(ahead, self._alive_for)
        return lived

    def _learn(self, interval: float) -> None:
        if interval < SHORTEST:
            return
        oldest = self._intervals[0] if len(self._intervals) == INTERVALS else None
        self._intervals.append(interval)
        if len(self._intervals) <= 3:
            return
        period = self._period()
        if oldest is not None:
            self._settled += _between(oldest, period)
        # Those of before the period was known count as well.
        self.missing = self._settled + sum(_between(one, period) for one in self._intervals)

    def _period(self) -> float:
        """Return the camera's own period: the mean of the intervals without an image missing."""
        intervals = np.array(self._intervals)
        short = float(np.percentile(intervals, SHORT))
        return float(intervals[intervals < 1.5 * short].mean())


def _between(interval: float, period: float) -> int:
    """Return how many images a camera takes between two that are `interval` apart."""
    return max(0, round(interval / period) - 1)


def checked_seconds(stamp: Time) -> float:
    """Return a stamp in seconds; FrameError if it is zero or malformed."""
    if stamp.nanosec >= 10**9 or stamp.sec < 0:
        raise FrameError("the image's stamp is malformed: negative, or nanosec is 1e9 or more")
    if stamp.sec == 0 and stamp.nanosec == 0:
        raise FrameError("the image has no stamp (0); its driver must stamp images")
    return seconds(stamp)
