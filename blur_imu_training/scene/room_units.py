"""How long the unit of a scene is: scene files do not say it, and few are drawn in metres."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from blur_imu_ros.errors import RecordingError

SCALE_FILE = "metres_per_unit.txt"
"""In the folder of a room: one number."""

KNOWN = {
    "bathroom": 1.0, "bathroom2": 0.075, "classroom": 1.0, "dining-room": 0.32,
    "living-room": 1.0, "staircase": 0.6, "staircase2": 0.48,
}  # fmt: skip
"""Metres per unit of rooms of Bitterli's rendering resources, measured on what stands in them, to
5 % (`bathroom2` and `classroom`, whose furniture disagrees: 15 %)."""

CEILINGS = (2.0, 3.5)
"""Metres over the floor, of most rooms that people live in; those of `KNOWN` are 2.4 to 3.0 m high,
and were 3.9 to 34 where they were read as metres and are not."""


def metres_per_unit(folder: Path) -> float:
    """Return what the folder of a room says in `SCALE_FILE`, else what is known of a room of that
    name, else 1; RecordingError if the file is not a length."""
    path = folder / SCALE_FILE
    if not path.exists():
        return KNOWN.get(folder.name, 1.0)
    try:
        metres = float(path.read_text())
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: must hold one number, metres per unit: {error}") from error
    if not (math.isfinite(metres) and metres > 0):
        raise RecordingError(f"{path}: {metres:g} metres per unit cannot be; it must be above 0")
    return metres


def scales(units: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return what `set.json` notes of the units of rooms: those that are not a metre.

    So sets of rooms in metres are what they were before scenes had a scale.
    """
    others = {name: unit for name, unit in units.items() if unit != 1}
    return {"metres_per_unit": others} if others else {}


def unscaled(rooms: Iterable[str]) -> list[str]:
    """Return which rooms are known not to be in metres."""
    return sorted(name for name in rooms if KNOWN.get(name, 1.0) != 1)
