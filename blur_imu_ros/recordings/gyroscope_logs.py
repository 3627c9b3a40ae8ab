"""Logs of gyroscopes as apps for phones, cameras, autopilots and data sets write them.

The headings say which columns are the time and the three rates; a time whose unit nothing names is
known judging by its steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_ros.recordings.headings import WEB, Heading, parsed
from blur_imu_ros.recordings.rising_times import rising_rows, unit_by_steps
from blur_imu_ros.recordings.text_tables import is_number, number

_RATES = (
    re.compile(r"omega|ang(ular)? ?vel|rotation ?rate|rot ?rate|turn ?rate|^w( |$)"),
    re.compile(r"gyr|gyro|g[iy]rosc|jirosk|żyrosk|гироск|γυροσκ|陀螺|ジャイロ|자이로|con quay|^g$"),
)
"""What angular velocities are called, the surest names first."""
_OTHER = re.compile(r"^b( |$)|covarian|varian|bias|drift|std|sigma|setpoint|target|accel|magn|raw")
_TIMES = (
    re.compile(r"^seconds elapsed$"),
    re.compile(r"header stamp|^stamp$"),
    re.compile(
        r"time|zeit|temps|tiempo|tempo|czas|tijd|vreme|время|час|zaman|时间|時間|时刻|시간|cts"
    ),
    re.compile(r"^(t|tid|čas|aika|idő|(milli|micro|nano)?sec(ond)?s?|ms|us|ns)$"),
)
_OTHER_SENSORS = ("accelerometer", "gravity", "magnetometer", "totalacceleration", "orientation")
"""Sensor Logger gives all its tables the same headings; their files' names distinguish them."""


def names_gyroscope(names: Sequence[str]) -> bool:
    """Return whether headings name angular velocities by a word, not only by x, y and z."""
    rates = _rates_of(parsed(names))
    return rates is not None and any(name.search(rates[0].stem) for name in _RATES)


def read_log(
    table: CsvTable, seconds: float | None = None, radians: float | None = None
) -> VelocitySeries | None:
    """Return the rates of a log in its own axes, None where it names no gyroscope.

    Rows without rates, or whose time does not increase, are left out.

    Args:
        table: the log.
        seconds: that one unit of its time lasts; None takes the stated one, else the one that its
            steps suggest.
        radians: rad/s that one unit of its rates is; None takes the stated one, else 1.

    Raises:
        RecordingError: no time rises, cells are not numbers, or it is the table of another sensor.
    """
    if not table.names:
        return _read_without_headings(table, seconds, radians or 1.0)
    headings = parsed(table.names)
    rates, times = _rates_of(headings), list(_times_of(table, headings))
    if rates is None or not times:
        return None
    named_by_file = not rates[0].stem and not rates[0].radians
    if named_by_file and Path(table.path).name.lower().startswith(_OTHER_SENSORS):
        raise RecordingError(f"{table.path}: holds no angular velocities; give Gyroscope.csv")
    # Betaflight's raw values and browsers' are degrees a second.
    in_degrees = "gyroadc" in rates[0].stem or rates[0].stem == WEB
    stated = rates[0].radians or (np.pi / 180 if in_degrees else 1.0)
    factor = (radians or stated) * (_of_preamble(table, "gscale") or 1.0)
    omega = np.stack([table.column(table.names[h.index]) for h in rates], axis=1)
    name, t, unit = max(times, key=lambda time: np.sum(np.diff(time[1]) > 0))
    return _series(table, name, t, seconds or _of_preamble(table, "tscale") or unit, factor * omega)


def _read_without_headings(
    table: CsvTable, seconds: float | None, radians: float
) -> VelocitySeries | None:
    """Return what four columns of numbers hold, of which one is a time."""
    if table.width != 4:
        return None
    columns = [table.column(k) for k in range(4)]
    for place in (0, 3):
        if np.all(np.diff(columns[place]) > 0):
            omega = np.stack([c for k, c in enumerate(columns) if k != place], axis=1)
            return _series(table, f"column {place + 1}", columns[place], seconds, radians * omega)
    return None


def _rates_of(headings: Sequence[Heading]) -> tuple[Heading, Heading, Heading] | None:
    """Return the headings of three rates: those of the surest name, else of the right unit."""
    triples = [t for t in _triples(headings) if not _OTHER.search(t[0].stem)]
    triples = [t for t in triples if t[0].radians or not t[0].unit]
    accelerations = any(heading.stem in ("a", "acc", "accel") for heading in headings)
    for name in _RATES:
        for triple in triples:
            if name.search(triple[0].stem):
                return triple
    for triple in triples:
        stem = triple[0].stem
        if triple[0].radians or stem in ("", "xyz") or (stem == "alpha" and accelerations):
            return triple
    return None


def _triples(headings: Sequence[Heading]) -> Iterable[tuple[Heading, Heading, Heading]]:
    """Yield the headings that differ in their axis alone."""
    for x in headings:
        if x.axis != "x":
            continue
        others = [
            next((h for h in headings if (h.stem, h.axis, h.unit) == (x.stem, axis, x.unit)), None)
            for axis in "yz"
        ]
        if others[0] and others[1]:
            yield x, others[0], others[1]


def _times_of(
    table: CsvTable, headings: Sequence[Heading]
) -> Iterator[tuple[str, Array, float | None]]:
    """Yield name, values (n,) and unit (s) of what may be the time, the likeliest first."""
    for rest in headings:
        seconds = re.sub(r"n(ano)?sec(s?)$", r"sec\2", rest.stem)
        for whole in headings:
            if seconds != rest.stem and whole.stem == seconds:
                parts = (table.column(table.names[h.index]) for h in (whole, rest))
                yield table.names[whole.index], next(parts) + 1e-9 * next(parts), 1.0
    for pattern in _TIMES:
        for heading in headings:
            if pattern.search(heading.stem) and not _OTHER.search(heading.stem):
                name = table.names[heading.index]
                with suppress(ValueError, OverflowError):
                    yield name, _of_dates(table.text(name)), 1.0
                with suppress(RecordingError):  # another kind of date
                    # GoPro's composition time is in milliseconds.
                    unit = 1e-3 if heading.stem == "cts" else heading.seconds
                    yield name, table.column(name), unit


def _of_dates(cells: Sequence[str]) -> Array:
    """Return dates (n,) as seconds since 1970, of Greenwich where they name no zone."""
    dates = [datetime.fromisoformat(cell.strip().replace("Z", "+00:00")) for cell in cells]
    return np.array(
        [(d if d.tzinfo else d.replace(tzinfo=timezone.utc)).timestamp() for d in dates]
    )


def _series(
    table: CsvTable, name: str, t: Array, unit: float | None, omega: Array
) -> VelocitySeries:
    """Return the rows that can be used, with notes on what was assumed and left out."""
    known = np.isfinite(omega).all(axis=1)
    t, omega, notes = t[known], omega[known], list(dict.fromkeys(table.notes))
    kept, left_out = rising_rows(t, f"{table.path}: {name}")
    t, omega = t[kept], omega[kept]
    if len(t) < 2:
        raise RecordingError(f"{table.path}: column {name} does not increase")
    if unit is None:
        unit, said = unit_by_steps(t)
        notes += (
            [f"{table.path}: {name} is read as {said}, judging by its steps"] if unit != 1 else []
        )
    velocity = np.hstack([omega, np.full_like(omega, np.nan)])
    valid = np.ones(len(t), bool)
    return VelocitySeries(t * unit, velocity, None, valid, notes=(*notes, *left_out))


def _of_preamble(table: CsvTable, name: str) -> float | None:
    """Return a factor that a .gcsv names above its rows, None where it does not."""
    text = table.preamble.get(name)
    if text is None:
        return None
    factor = number(text) if is_number(text) else float("nan")
    if not 0 < factor < np.inf:
        raise RecordingError(f"{table.path}: {name} is {text!r}, not a positive number")
    return factor
