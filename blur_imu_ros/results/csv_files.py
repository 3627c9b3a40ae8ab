"""The CSV of `blur-imu run`: written row by row, so that nothing computed is ever lost."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import RecordingError

Array = NDArray[Any]

VELOCITIES = ("wx", "wy", "wz", "vx", "vy", "vz")
COLUMNS = (
    "frame",
    "t",
    *VELOCITIES,
    *(f"s_{name}" for name in VELOCITIES),
    "blur_px",
    "residual_px",
    "direction_probability",
    "valid",
)


def make_folder_of(path: Path) -> None:
    """Make the folder in which `path` will lie; RecordingError if that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error


def write_json(path: Path, content: Any) -> None:
    """Write plain numbers, lists and dicts as JSON; RecordingError if that is not possible."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8; RecordingError if that is not possible."""
    make_folder_of(path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error


class CsvWriter:
    """Writes one row a frame and flushes it."""

    def __init__(self, path: Path, kept: int = 0) -> None:
        """Create the file, or go on behind its first `kept` rows; RecordingError if it cannot be."""
        make_folder_of(path)
        try:
            if kept:
                _cut_rows(path, kept)
            self._file = path.open("a" if kept else "w", newline="")
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error
        self._path = path
        self._writer = csv.writer(self._file)
        if not kept:
            self._writer.writerow(COLUMNS)

    def write(self, frame: Frame, estimate: VelocityEstimate) -> None:
        """Append the row of one frame; RecordingError where the disk is full."""
        numbers = [
            *estimate.angular_velocity,
            *estimate.linear_velocity,
            *estimate.sigma,
            estimate.blur_px,
            estimate.residual_px,
            estimate.direction_probability,
        ]
        row = [frame.name, f"{estimate.t:.9f}", *(f"{x:.6f}" for x in numbers), int(estimate.valid)]
        whole = os.fstat(self._file.fileno()).st_size
        try:
            self._writer.writerow(row)
            self._file.flush()
        except OSError as error:
            self._give_up(whole)
            raise self._unwritable(error) from error

    def _give_up(self, whole: int) -> None:
        """Close the file and leave its first `whole` bytes: no half a row behind the last one."""
        with suppress(OSError):  # Closing tries to write the rest once more.
            self._file.close()
        with suppress(OSError):  # Devices have no length.
            os.truncate(self._path, whole)

    def _unwritable(self, error: OSError) -> RecordingError:
        return RecordingError(
            f"{self._path}: cannot be written: {error.strerror}; earlier rows are kept"
        )

    def __enter__(self) -> CsvWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; RecordingError where the disk is full."""
        try:
            self._file.close()
        except OSError as failure:
            raise self._unwritable(failure) from failure


def _cut_rows(path: Path, kept: int) -> None:
    """Cut a CSV of ours behind its first `kept` rows, half a row at the end included."""
    with path.open(newline="") as file:
        reader = csv.reader(file)
        rows = [row for _, row in zip(range(kept + 1), reader, strict=False)]
    if len(rows) <= kept or rows[0] != list(COLUMNS) or len(rows[-1]) != len(COLUMNS):
        raise RecordingError(
            f"{path}: lacks rows that were written to it; leave out --resume to measure anew"
        )
    shortened = path.with_name(path.name + ".new")
    with shortened.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    shortened.replace(path)


@dataclass(frozen=True)
class VelocitySeries:
    """Velocities over time, of an estimate or of the truth.

    Attributes:
        t: (n,) seconds, strictly increasing.
        velocity: (n, 6) angular (rad/s), then linear (m/s); NaN columns where not known.
        sigma: (n, 6) standard deviations, or None.
        valid: (n,) whether a row may be used.
        blur_px: (n,) length of the smear, pixels of the network's view, or None.
        frames: the n names of the frames, or none.
        latency: (n,) seconds from the stamp to the recording of each message of a bag, or None.
    """

    t: Array
    velocity: Array
    sigma: Array | None
    valid: Array
    blur_px: Array | None = None
    frames: tuple[str, ...] = ()
    latency: Array | None = None


def series_of(estimates: Iterable[VelocityEstimate]) -> VelocitySeries:
    """Return estimates in order of time as a series; RecordingError if there are none."""
    listed = list(estimates)
    if not listed:
        raise RecordingError("the recording is too short: no velocity came out of it")
    return VelocitySeries(
        np.array([e.t for e in listed]),
        np.stack([e.velocity for e in listed]),
        np.stack([e.sigma for e in listed]),
        np.array([e.valid for e in listed]),
        np.array([e.blur_px for e in listed]),
    )


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
