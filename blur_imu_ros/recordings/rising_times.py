"""Timestamps as cameras and loggers write them: mostly rising."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.errors import Loss, RecordingError

MOST_WRONG = 0.05
"""Share of the rows that may be out of order, without a time, or alone far away."""
MOST_REPEATED = 0.6
"""Share of the rows that may repeat the time before, as coarse clocks and phones do."""
FEWEST_ROWS = 10
"""From which on one wrong row counts as few, and steps reveal a unit."""
_UNITS_BY_STEP = (
    (500.0, 1e-3, "milliseconds"),
    (2e5, 1e-6, "microseconds"),
    (np.inf, 1e-9, "nanoseconds"),
)
"""Up to which median step a time is of a unit, in seconds, that is not seconds themselves."""
_LONGEST_STEP = 100.0
"""Seconds between a few rows, whose steps may be of any kind."""
_FAR = 1e4
"""Median intervals from its neighbours, beyond which the time of a single row counts as
damaged."""


def rising(times: Sequence[float] | Array) -> NDArray[np.bool_]:
    """Return which (n,) stamps rise, as many as possible; one that is not a number never does."""
    usable, values = np.isfinite(times), np.asarray(times, float).tolist()
    if usable.all() and np.all(np.diff(times) > 0):
        return usable
    ends: list[float] = []  # of the rising runs of each length, the smallest
    last: list[int] = []
    before = [-1] * len(values)
    for index in np.flatnonzero(usable).tolist():
        t = values[index]
        place = bisect_left(ends, t)
        if place < len(ends) and ends[place] == t:
            continue  # Of two alike the first is taken.
        before[index] = last[place - 1] if place else -1
        ends[place:place + 1], last[place:place + 1] = [t], [index]  # fmt: skip
    kept = np.zeros(len(times), bool)
    index = last[-1] if last else -1
    while index >= 0:
        kept[index], index = True, before[index]
    return kept


def rising_rows(t: Array, name: str) -> tuple[Array, list[str]]:
    """Return (n,) which rows to keep so that time rises, as many as can be, and a note on the
    others.

    Raises:
        RecordingError: that many would be left out that the file is another than it seems.
    """
    t = np.where(np.isfinite(t), t, np.nan)
    kept = _without_strays(t, rising(t))
    same = np.diff(t) == 0
    repeated = ~kept & (np.append(same, False) | np.append(False, same))
    wrong = int(np.sum(~kept & ~repeated))
    most = max(MOST_WRONG * len(t), len(t) >= FEWEST_ROWS)
    if wrong > most or repeated.sum() > MOST_REPEATED * len(t):
        row = int(np.argmax(~kept & ~repeated if wrong else repeated))
        raise RecordingError(
            f"{name}: time does not increase, or is not a number, in {len(t) - int(kept.sum())} of "
            f"{len(t)} rows, the first of them row {row}: are several recordings in it?"
        )
    left = [
        f"{count} of {len(t)} rows {what}"
        for count, what in (
            (int(repeated.sum()), "repeat the time of the one before"),
            (wrong, "have no time, or one out of order"),
        )
        if count
    ]
    return kept, [Loss(f"{name}: {' and '.join(left)}; left out")] if left else []


def _without_strays(t: Array, kept: Array) -> Array:
    """Return the rows without those at the ends that lie alone, far from all others."""
    rows = np.flatnonzero(kept)
    if len(rows) < FEWEST_ROWS:
        return kept
    steps = np.diff(t[rows])
    far = np.flatnonzero(steps > _FAR * np.median(steps))
    kept = kept.copy()
    for gap in far:
        if gap < MOST_WRONG * len(rows):
            kept[rows[: gap + 1]] = False
        elif gap >= len(rows) - 1 - MOST_WRONG * len(rows):
            kept[rows[gap + 1 :]] = False
    return kept


def unit_by_steps(t: Array, longest: float = 0.5) -> tuple[float, str]:
    """Return how many seconds a unit of the time (n,) of a log lasts, and its name.

    Args:
        t: rising.
        longest: step that may be seconds; a log has two rows a second or more.
    """
    step = float(np.median(np.diff(t)))
    if step <= (longest if len(t) >= FEWEST_ROWS else _LONGEST_STEP):
        return 1.0, "seconds"
    return next((unit, name) for most, unit, name in _UNITS_BY_STEP if step <= most)
