"""The CSV of `blur-imu run`: written row by row, so that nothing computed is ever lost."""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.series import VELOCITIES
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import ENCODING, UNKNOWN, make_folder_of
from blur_imu_ros.results.result_file import ResultFile

COLUMNS = (
    "frame",
    "t",
    *VELOCITIES,
    *(f"s_{name}" for name in VELOCITIES),
    "blur_px",
    "residual_px",
    "direction_probability",
    "valid",
    "axes",
)
LINE_END = "\n"
NEIGHBOURS = ("registration_quality", *(f"single_{name}" for name in VELOCITIES))
"""Columns behind these where neighbouring frames are fused."""
LAST = ("autocorrelation",)
"""Columns behind all others."""


class CsvWriter(ResultFile):
    """Writes one row a frame and flushes it."""

    def __init__(
        self,
        path: Path,
        kept: int = 0,
        axes: Axes = Axes.OPTICAL,
        neighbours: bool = False,
    ) -> None:
        """Create the file, or go on behind its first `kept` rows; RecordingError if it cannot be.

        `axes` are those of the estimates, and stand in every row. `neighbours` adds what each frame
        measures alone, and how well the one before fits it.
        """
        make_folder_of(path)
        self._neighbours, columns = neighbours, columns_of(neighbours)
        try:
            if kept:
                _cut_rows(path, kept, columns)
            mode = "a" if kept else "w"
            self._file = path.open(mode, newline="", encoding=ENCODING, errors=UNKNOWN)
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error
        self._path, self._axes = path, axes.value
        self._writer = csv.writer(self._file, lineterminator=LINE_END)
        if not kept:
            self._writer.writerow(columns)

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
        texts = [f"{estimate.t:.9f}", *(f"{x:.6f}" for x in numbers)]
        row = [frame.name, *texts, int(estimate.valid), self._axes]
        if self._neighbours:
            single = estimate.velocity if estimate.single is None else estimate.single
            row += [f"{x:.6f}" for x in (estimate.registration_quality, *single)]
        row.append(f"{estimate.autocorrelation:.6f}")
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

    def complete(self, failed: bool) -> None:
        """Close the file; RecordingError where the disk is full."""
        try:
            self._file.close()
        except OSError as failure:
            raise self._unwritable(failure) from failure


def columns_of(neighbours: bool) -> tuple[str, ...]:
    """Return the columns of a file, with those of neighbouring frames if they are fused."""
    return COLUMNS + (NEIGHBOURS if neighbours else ()) + LAST


def whole_rows(path: Path) -> int | None:
    """Return how many rows a CSV of ours has, without half a one at its end; None if it is none."""
    try:
        with path.open(newline="", encoding=ENCODING) as file:
            reader = csv.reader(file)
            columns = next(reader, [])
            if tuple(columns) not in (columns_of(False), columns_of(True)):
                return None
            return sum(len(row) == len(columns) for row in reader)
    except (OSError, csv.Error, UnicodeDecodeError):
        return None


def _cut_rows(path: Path, kept: int, columns: tuple[str, ...]) -> None:
    """Cut a CSV of ours behind its first `kept` rows, half a row at the end included."""
    rows: list[list[str]] = []
    with path.open(newline="", encoding=ENCODING) as file, suppress(csv.Error, UnicodeDecodeError):
        rows += islice(csv.reader(file), kept + 1)
    if len(rows) <= kept or rows[0] != list(columns) or len(rows[-1]) != len(columns):
        raise RecordingError(
            f"{path}: lacks rows that were written to it; start anew, without resuming",
            cures=("resume",),
        )
    shortened = path.with_name(path.name + ".new")
    with shortened.open("w", newline="", encoding=ENCODING) as file:
        csv.writer(file, lineterminator=LINE_END).writerows(rows)
    shortened.replace(path)
