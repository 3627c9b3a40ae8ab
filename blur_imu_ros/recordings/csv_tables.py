"""Tables of numbers as CSV: what `blur-imu run` wrote, ground truth, logs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VELOCITIES, VelocitySeries
from blur_imu_ros.errors import Loss, RecordingError
from blur_imu_ros.recordings.rising_times import rising_rows, unit_by_steps
from blur_imu_ros.recordings.text_tables import number, read_table

MOST_DAMAGED = 0.05
"""Share of the cells of a column that may hold no number."""


class CsvTable:
    """Columns of numbers by name, or by place where there are no names.

    Attributes:
        names: of the columns.
        width: how many columns there are.
        preamble: names and values above the headings.
        notes: on cells that were left out, a line each.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the file; RecordingError if it is not a table with at least one row."""
        self.path = path
        table = read_table(path)
        self._rows, self.names, self.preamble = table.rows, list(table.names), table.preamble
        self.width = len(self.names) or max(map(len, self._rows), default=0)
        self.notes: list[str] = []
        if self.names and not self._rows:
            raise RecordingError(f"{path}: holds no rows")

    def column(self, name: str | int) -> Array:
        """Return a column (n,), NaN where it is empty, or, in few rows, no number.

        Raises:
            RecordingError: it is missing, or not one of numbers.
        """
        if isinstance(name, str) and name not in self.names:
            raise RecordingError(f"{self.path}: lacks a column {name}")
        index = self.names.index(name) if isinstance(name, str) else name
        values, damaged = np.full(len(self._rows), np.nan), 0
        for place, row in enumerate(self._rows):
            try:
                values[place] = number(row[index])
            except (ValueError, IndexError):  # half a row, as at the end of a log that was cut off
                damaged += 1
        if damaged > MOST_DAMAGED * len(values):
            shown = name if isinstance(name, str) else name + 1
            raise RecordingError(
                f"{self.path}: column {shown} holds something that is not a number"
            )
        if damaged:
            note = f"{self.path}: {damaged} cells of column {name} are not numbers; left out"
            self.notes.append(Loss(note))
        return values

    def text(self, name: str) -> tuple[str, ...]:
        """Return a column as it stands, empty where the file lacks it."""
        if name not in self.names:
            return ()
        index = self.names.index(name)
        return tuple(row[index] if index < len(row) else "" for row in self._rows)

    def time(self) -> Array:
        """Return column t (n,), seconds; RecordingError unless it rises in every row."""
        t = self.column("t")
        if not np.all(np.diff(t, prepend=-np.inf) > 0):
            raise RecordingError(f"{self.path}: t does not increase in every row")
        return t


def read_series(path: str | Path) -> VelocitySeries:
    """Read a CSV with columns t and some of wx ... vz; RecordingError names what is wrong."""
    return series_of_table(CsvTable(path))


def series_of_table(
    table: CsvTable, seconds: float | None = None, radians: float = 1.0
) -> VelocitySeries:
    """Return columns t and some of wx ... vz; RecordingError names what is wrong.

    Args:
        table: a CSV of ours or of others.
        seconds: that one unit of t lasts; where None, the steps decide for files of others.
        radians: rad/s that one unit of wx, wy, wz is.
    """
    if "t" not in table.names:
        listed = ", ".join(table.names) or "nothing"
        raise RecordingError(f"{table.path}: lacks a column t (seconds); found {listed}")
    if not {"wx", "wy", "wz"} <= set(table.names):
        raise RecordingError(f"{table.path}: lacks the columns wx, wy, wz (rad/s)")
    t = table.column("t")
    kept, notes = rising_rows(t, f"{table.path}: t")

    def six(prefix: str) -> Array:
        unknown = np.full(len(kept), np.nan)
        names = [f"{prefix}{name}" for name in VELOCITIES]
        columns = [table.column(n) if n in table.names else unknown for n in names]
        return np.stack(columns, axis=1)[kept] * ([radians] * 3 + [1.0] * 3)

    t = t[kept]
    if seconds is None and "valid" not in table.names and len(t) > 1:
        seconds, unit = unit_by_steps(t)
        notes += (
            [f"{table.path}: t is read as {unit}, judging by its steps"] if seconds != 1 else []
        )
    sigma = six("s_") if "s_wx" in table.names else None
    valid = table.column("valid")[kept] > 0 if "valid" in table.names else np.ones(len(t), bool)
    blur_px = table.column("blur_px")[kept] if "blur_px" in table.names else None
    frames = tuple(np.array(table.text("frame"), object)[kept]) if "frame" in table.names else ()
    velocity, axes = six(""), _axes_of(table)
    notes = [*dict.fromkeys(table.notes), *notes]
    return VelocitySeries(
        t * (seconds or 1.0), velocity, sigma, valid, blur_px, frames,
        axes=axes, notes=tuple(notes),
        single=six("single_") if "single_wx" in table.names else None,
    )  # fmt: skip


def _axes_of(table: CsvTable) -> Axes | None:
    """Return the axes that every row names, None where there is no such column."""
    named = set(table.text("axes")) - {""}
    if not named:
        return None
    if len(named) > 1 or not named <= {axes.value for axes in Axes}:
        known = ", ".join(axes.value for axes in Axes)
        raise RecordingError(
            f"{table.path}: column axes holds {', '.join(sorted(named)[:3])}; it names one of "
            f"{known}"
        )
    return Axes(named.pop())
