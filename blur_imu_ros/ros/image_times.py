"""The stamps of images as they come: which are refused, what is missing, where time begins anew."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from builtin_interfaces.msg import Time

from blur_imu_ros.errors import FrameError

RESTART = 1.0
"""Seconds. A larger step back is a bag that loops or a clock that was set; a smaller one disorder."""

INTERVALS = 15
"""Times between images from which the usual one is learnt."""


class ImageTimes:
    """Follows the stamps of images; safe to call from any thread.

    Attributes:
        epoch: counts the beginnings; what was learnt in another epoch is no longer true.
        late: images that were refused because a newer one, or the same, had come before.
        missing: images that the camera must have taken but that never came.
    """

    def __init__(self) -> None:
        """Begin without a past."""
        self._lock = threading.Lock()
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=INTERVALS)
        self.epoch = self.late = self.missing = 0

    def begin_anew(self) -> None:
        """Forget the past: the clock has jumped, or the node has rested."""
        with self._lock:
            self._restart()

    def admit(self, stamp: Time) -> float:
        """Return an image's stamp in seconds; FrameError if the image must not be used."""
        seconds = checked_seconds(stamp)
        with self._lock:
            step = None if self._last is None else seconds - self._last
            if step is not None and -RESTART <= step <= 0:
                self.late += 1
                again = "has the stamp of" if step == 0 else "is older than"
                raise FrameError(f"the image {again} the one before")
            if step is not None and step < 0:
                self._restart()
            elif step is not None:
                self._learn(step)
            self._last = seconds
        return seconds

    def _restart(self) -> None:
        self.epoch += 1
        self._last = None
        self._intervals.clear()

    def _learn(self, interval: float) -> None:
        usual = float(np.median(self._intervals)) if len(self._intervals) > 3 else interval
        # A long pause is a camera that was off, not a thousand lost images.
        if 1.5 * usual < interval < RESTART:
            self.missing += round(interval / usual) - 1
        self._intervals.append(interval)


def checked_seconds(stamp: Time) -> float:
    """Return a stamp in seconds; FrameError if it is zero or malformed."""
    if stamp.nanosec >= 10**9 or stamp.sec < 0:
        raise FrameError("the image's stamp is malformed: negative, or nanosec is 1e9 or more")
    if stamp.sec == 0 and stamp.nanosec == 0:
        raise FrameError("the image has no stamp (0); its driver must stamp images")
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)
