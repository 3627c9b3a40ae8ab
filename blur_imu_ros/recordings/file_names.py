"""Names of image files: their natural order, and the stamps that some of them hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.recordings.headings import SECONDS
from blur_imu_ros.recordings.rising_times import rising
from blur_imu_ros.recordings.timestamp_files import EPOCH, TOLERATED, unit_of

LEAST_DIGITS = 12
"""Of a whole number that may be a time since the start of a machine; counters are shorter."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_NANOSECONDS = re.compile(r"\d{18,19}")
_SECONDS = re.compile(r"\d+\.\d+")
_FINE_SECONDS = re.compile(r"\d+\.\d{3,}")
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])\d{8}(\d{3})?")


def natural_order(path: Path) -> list[tuple[int, int | str]]:
    """Return a key by which frame_2 comes before frame_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def stamps_of_names(paths: Sequence[Path]) -> NDArray[np.float64] | None:
    """Return (n,) stamps in seconds where all names hold one, hardly two the same; else None.

    A stamp is a decimal number of seconds, or a whole number of ms, us or ns since 1970 or since
    the start of a machine; what stands before and behind it is the same in all names, or counts.
    """
    stems = [path.stem for path in paths]
    if len(stems) < 2 or len({_NUMBER.sub("0", stem) for stem in stems}) > 1:
        return None
    columns = list(zip(*map(_NUMBER.findall, stems), strict=True))
    alone = len(columns) == 1 and columns[0][0] == stems[0]
    for texts in reversed(columns):
        stamps = _stamps(texts, alone)
        if stamps is not None and (~rising(np.sort(stamps))).sum() <= TOLERATED * len(stamps):
            return stamps
    return None


def _stamps(texts: Sequence[str], alone: bool) -> NDArray[np.float64] | None:
    """Return numbers as seconds, None where they are not stamps."""

    def all_are(pattern: re.Pattern[str]) -> bool:
        return all(map(pattern.fullmatch, texts))

    if all_are(_SECONDS if alone else _FINE_SECONDS):
        return np.array([float(text) for text in texts])
    if not all(text.isdecimal() for text in texts) or all_are(_DATE):
        return None
    numbers = np.array([float(int(text)) for text in texts])
    if all_are(_NANOSECONDS):
        return numbers * SECONDS["ns"]
    for unit in ("ms", "us", "ns"):
        seconds = numbers * SECONDS[unit]
        if ((seconds >= EPOCH[0]) & (seconds < EPOCH[1])).all():
            return seconds
    if any(text.startswith("0") or len(text) < LEAST_DIGITS for text in texts):
        return None
    unit = unit_of(np.sort(numbers))
    return numbers * SECONDS[unit] if unit in ("us", "ns") else None
