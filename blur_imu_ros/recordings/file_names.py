"""Names of image files: their natural order, and the stamps that some of them are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_NANOSECONDS = re.compile(r"\d{18,19}")
_SECONDS = re.compile(r"\d+\.\d+")


def natural_order(path: Path) -> list[tuple[int, int | str]]:
    """Return a key by which frame_2 comes before frame_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def stamp_of_name(path: Path) -> float | None:
    """Return the stamp (s) in a name like 1700000000123456789.png (ns) or 12.345.png (s), if any."""
    if _NANOSECONDS.fullmatch(path.stem):
        return int(path.stem) * 1e-9
    return float(path.stem) if _SECONDS.fullmatch(path.stem) else None


def stamps_of_names(paths: Sequence[Path]) -> NDArray[np.float64] | None:
    """Return (n,) stamps in seconds where all names are stamps, no two the same; else None."""
    stamps = [stamp for stamp in map(stamp_of_name, paths) if stamp is not None]
    if len(stamps) < len(paths) or len(paths) < 2 or len(set(stamps)) < len(stamps):
        return None
    return np.array(stamps)
