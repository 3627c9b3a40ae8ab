"""Files of timestamps: of ours, EuRoC, TUM, KITTI, rpicam and others, known by what is in them."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.headings import SECONDS, canonical_unit
from blur_imu_ros.recordings.rising_times import rising
from blur_imu_ros.recordings.text_tables import decoded

SHORTEST_STEP = 0.002
"""Seconds. Frames are taken to be 0.002 s to 2 s apart, so that steps reveal the unit of a
stamp."""
LONGEST_STEP = 1000.0
"""Seconds between frames that are stamped in seconds since 1970; more, and it is another unit."""
EPOCH = 1e9, 5e9
"""Seconds since 1970, of recordings from 2001 on."""
TOLERATED = 0.1
"""Share of stamps that may not be later than those before them; their images are left out."""

_TIMECODE = re.compile(r"#\s*time(code|stamp) format v\d", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_TIME_NAME = re.compile(r"(t|time|times|timestamps?|stamp|sec|secs|seconds|nanoseconds)\b")
_PARTS = re.compile(r"(^|\W|_)secs?$"), re.compile(r"(^|\W|_)(nsecs?|nanosecs?)$")


@dataclass(frozen=True)
class Timestamps:
    """Timestamps of images.

    Attributes:
        times: (n,) seconds, rising, NaN where one cannot be used; or None, where none are given.
        names: of the n image files, or none where the file has none.
        note: how their unit was found, for a person; empty where the file states it.
    """

    times: Array | None
    names: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class _Table:
    """Cells of a file: rows of the same kind, the unit of their time if it is stated."""

    rows: list[list[str]]
    time_column: int | None = None
    unit: str | None = None


def read_timestamps(path: Path) -> Timestamps:
    """Read a file of timestamps.

    It is a table with a heading (`t`, in seconds; `timestamp [ns]`, ...), or rows that begin with a
    number or a date, name of the image behind it or not; `# timecode format v2` counts
    milliseconds. Where no unit is stated, the steps from one to the next decide.

    Raises:
        RecordingError: what is wrong with the file.
    """
    table = _table_of(path)
    column = _time_column(path, table) if table.time_column is None else table.time_column
    numbers = np.array([_number(row, column) for row in table.rows])
    unit = table.unit or unit_of(numbers)
    times = _usable(path, numbers * SECONDS[unit])
    return Timestamps(times, _names(table, column), _doubt(path, times, table.unit, unit))


def _doubt(path: Path, times: Array, stated: str | None, unit: str) -> str:
    """Return what a person should know of the unit, if anything."""
    if stated is None and unit != "s":
        return f"stamps of {path.name} are read as {unit}, judging by their steps"
    steps = np.diff(times[np.isfinite(times)])
    if len(steps) and np.median(steps) >= 1000 * SHORTEST_STEP:
        return (
            f"stamps of {path.name} are {np.median(steps):.3g} s apart; if they are not seconds, "
            "name the column after the unit: t_ms, t_us or t_ns"
        )
    return ""


def unit_of(numbers: Array) -> str:
    """Return the unit in which these stamps of frames count, by their size or their steps."""
    finite = numbers[np.isfinite(numbers)]
    steps = np.diff(finite)
    typical = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    for unit, seconds in SECONDS.items():
        since_1970 = len(finite) and EPOCH[0] <= finite[0] * seconds < EPOCH[1]
        if since_1970 and typical * seconds < LONGEST_STEP:
            return unit
    for unit, seconds in SECONDS.items():
        if SHORTEST_STEP <= typical * seconds < 1000 * SHORTEST_STEP:
            return unit
    return "s"


def _usable(path: Path, times: Array) -> Array:
    """Return the stamps with NaN for a few that do not rise; RecordingError where many do not."""
    kept = rising(times)
    if (~kept).sum() > TOLERATED * len(times):
        row = int(np.argmin(kept))
        if not np.isfinite(times[row]):
            raise RecordingError(f"{path}: time t is not a number of seconds at row {row}")
        falls = np.diff(times, prepend=-np.inf) <= 0
        raise RecordingError(f"{path}: time t does not increase at row {int(np.argmax(falls))}")
    return np.where(kept, times, np.nan)


def _table_of(path: Path) -> _Table:
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: is not a file of timestamps: it is not text") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise RecordingError(f"{path}: lacks a column t (seconds); found nothing")
    comments = [line for line in lines if line.startswith("#")]
    plain = [line for line in lines if not line.startswith("#")]
    if _TIMECODE.match(lines[0]):
        return _Table(_rows(path, plain), 0, "ms")
    dates = [_DATE.match(line) for line in plain]
    if plain and all(dates):
        return _Table([[_seconds_of(date)] for date in dates if date], 0, "s")
    first = _cells(plain[0]) if plain else []
    if first and not any(map(_is_number, first)):
        return _headed(path, first, plain[1:])
    headings = [_cells(line.lstrip("# ")) for line in comments if "," in line or "[" in line]
    for heading in headings:
        if plain and len(heading) == len(first):
            return _headed(path, heading, plain)
    return _Table(_rows(path, plain))


def _headed(path: Path, heading: Sequence[str], lines: Sequence[str]) -> _Table:
    """Return a table whose columns have names, among them the time's."""
    names = [name.strip(' "#%').lower() for name in heading]
    if len(names) == 1 and all(map(_DECIMAL_COMMA.fullmatch, lines)):
        lines = [line.replace(",", ".") for line in lines]
    rows = _rows(path, lines)
    whole, parts = (next((k for k, n in enumerate(names) if p.search(n)), None) for p in _PARTS)
    if whole is not None and parts is not None:  # As messages have them, in two numbers.
        sums = [_number(row, whole) + _number(row, parts) * SECONDS["ns"] for row in rows]
        return _Table([[repr(x), *row] for x, row in zip(sums, rows, strict=True)], 0, "s")
    for index, name in sorted(enumerate(names), key=lambda pair: pair[1] != "t"):
        words = re.split(r"[^a-zµ]+", name)
        if _TIME_NAME.match(name.replace("_", " ")):
            stated = (unit for unit in map(canonical_unit, words[1:]) if unit in SECONDS)
            unit = "s" if name in ("t", "seconds", "sec") else next(stated, None)
            return _Table(rows, index, unit)
    raise RecordingError(
        f"{path}: lacks a column t (seconds); found {', '.join(heading) or 'nothing'}"
    )


def _rows(path: Path, lines: Sequence[str]) -> list[list[str]]:
    if not lines:
        raise RecordingError(f"{path}: holds no rows")
    return [_cells(line) for line in lines]


def _cells(line: str) -> list[str]:
    """Return what semicolons, tabs, commas or spaces part; spaces in headings part nothing.

    Beside semicolons and tabs, commas are those of decimals.
    """
    for separator in (";", "\t", ","):
        if separator in line:
            return [cell.strip(" ,") for cell in line.split(separator)]
    return line.split()


def _time_column(path: Path, table: _Table) -> int:
    """Return the column that rises, and not as a counter does where another rises, too."""
    width = min(map(len, table.rows))
    columns = {k: np.array([_number(row, k) for row in table.rows]) for k in range(width)}
    times = {
        k: x for k, x in columns.items()
        if np.isfinite(x).any() and (~rising(x)).sum() <= TOLERATED * len(x)
    }  # fmt: skip
    if not times:
        wrong = next((x for x in columns.values() if np.isfinite(x).any()), None)
        if wrong is not None:
            _usable(path, wrong)
        raise RecordingError(f"{path}: lacks a column t (seconds); found {' '.join(table.rows[0])}")
    no_counters = [k for k, x in times.items() if not np.all(np.diff(x) == 1)]
    return (no_counters or list(times))[0]


def _names(table: _Table, time_column: int) -> tuple[str, ...]:
    """Return the file names in the first column that has one in each row."""
    width = min(map(len, table.rows))
    for column in range(width):
        cells = [row[column].strip('"') for row in table.rows]
        if column != time_column and all(re.search(r"\.[A-Za-z]\w*$", cell) for cell in cells):
            return tuple(cell.replace("\\", "/").rsplit("/", 1)[-1] for cell in cells)
    return ()


def _number(row: Sequence[str], column: int) -> float:
    cell = row[column].strip('"') if column < len(row) else ""
    try:
        return float(int(cell)) if cell.isdecimal() else float(cell.replace(",", "."))
    except (ValueError, OverflowError):
        return float("nan")


def _is_number(cell: str) -> bool:
    return bool(np.isfinite(_number([cell], 0)))


def _seconds_of(date: re.Match[str]) -> str:
    """Return a date as seconds since 1970; parts of a second may have any number of digits."""
    try:
        moment = datetime.fromisoformat(f"{date[1]} {date[2]}").replace(tzinfo=timezone.utc)
    except ValueError:
        return "nan"
    return repr(moment.timestamp() + float(f"0{date[3] or ''}" if date[3] else 0))
