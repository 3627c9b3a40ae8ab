"""Tables of numbers as CSV: what `blur-imu run` wrote, timestamps, ground truth."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VELOCITIES, VelocitySeries
from blur_imu_ros.errors import RecordingError


class CsvTable:
    """Columns of numbers by name."""

    def __init__(self, path: str | Path) -> None:
        """Read the file; RecordingError if it is not a CSV with at least one row."""
        self.path = path
        try:
            # Spreadsheets put a mark before the first name.
            with Path(path).open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file, skipinitialspace=True)
                reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
                self._rows, self.names = list(reader), list(reader.fieldnames)
        except OSError as error:
            raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise RecordingError(f"{path}: is not a CSV file: {error}") from error
        if self.names and not self._rows:
            raise RecordingError(f"{path}: holds no rows")

    def column(self, name: str) -> Array:
        """Return a column (n,), NaN where it is empty; RecordingError if it is not there or no number."""
        if name not in self.names:
            raise RecordingError(f"{self.path}: lacks a column {name}")
        try:
            return np.array([float(row[name].strip() or "nan") for row in self._rows])
        except (TypeError, ValueError, AttributeError) as error:
            raise RecordingError(f"{self.path}: column {name} holds what is no number") from error

    def text(self, name: str) -> tuple[str, ...]:
        """Return a column as it stands, empty where the file lacks it."""
        return tuple(row[name] or "" for row in self._rows) if name in self.names else ()

    def time(self) -> Array:
        """Return column t (n,), seconds; RecordingError unless it is there, finite, and increases."""
        if "t" not in self.names:
            listed = ", ".join(self.names) or "nothing"
            raise RecordingError(f"{self.path}: lacks a column t (seconds); found {listed}")
        t = self.column("t")
        if not np.isfinite(t).all():
            row = int(np.argmin(np.isfinite(t)))
            raise RecordingError(f"{self.path}: time t is not a number of seconds at row {row}")
        rising = np.diff(t, prepend=-np.inf) > 0
        if not rising.all():
            row = int(np.argmin(rising))
            raise RecordingError(f"{self.path}: time t does not increase at row {row}")
        return t


def read_series(path: str | Path) -> VelocitySeries:
    """Read a CSV with columns t and some of wx ... vz; RecordingError names what is wrong."""
    return series_of_table(CsvTable(path))


def series_of_table(table: CsvTable) -> VelocitySeries:
    """Return columns t and some of wx ... vz; RecordingError names what is wrong."""
    t = table.time()
    if not {"wx", "wy", "wz"} <= set(table.names):
        raise RecordingError(f"{table.path}: lacks the columns wx, wy, wz (rad/s)")

    def six(prefix: str) -> Array:
        unknown = np.full(len(t), np.nan)
        names = [f"{prefix}{name}" for name in VELOCITIES]
        return np.stack([table.column(n) if n in table.names else unknown for n in names], axis=1)

    sigma = six("s_") if "s_wx" in table.names else None
    valid = table.column("valid") > 0 if "valid" in table.names else np.ones(len(t), bool)
    blur_px = table.column("blur_px") if "blur_px" in table.names else None
    return VelocitySeries(t, six(""), sigma, valid, blur_px, table.text("frame"))
