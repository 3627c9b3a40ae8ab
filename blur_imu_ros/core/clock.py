"""How evenly a camera stamps its images."""

from __future__ import annotations

import math
from collections import deque

_INTERVALS = 32
"""Latest intervals that count."""
_DEVIATIONS = 1.4826
"""Standard deviations of a Gaussian in its median absolute deviation."""


class Clock:
    """How far timestamps are from even ones: drivers that stamp on arrival are late by chance."""

    def __init__(self) -> None:
        """Start without stamps."""
        self.intervals: deque[float] = deque(maxlen=_INTERVALS)

    def take(self, interval: float) -> None:
        """Take the seconds from one frame to the next; frames may be missing in between."""
        self.intervals.append(interval)

    @property
    def jitter(self) -> float:
        """Standard deviation of a stamp, seconds; 0 while only one interval is known."""
        count = len(self.intervals)
        if count < 2:
            return 0.0
        # The lower one of two: where frames are missing, intervals are longer.
        usual = sorted(self.intervals)[(count - 1) // 2]
        apart = [t - max(round(t / usual), 1) * usual for t in self.intervals]
        if count < _INTERVALS // 4:
            return math.sqrt(math.fsum(t * t for t in apart) / (count - 1) / 2)
        middle = sorted(map(abs, apart))[(count - 1) // 2 : count // 2 + 1]
        return _DEVIATIONS * sum(middle) / len(middle) / math.sqrt(2)
