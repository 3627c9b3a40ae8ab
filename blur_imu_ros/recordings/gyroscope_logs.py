"""Logs of gyroscopes as apps for phones and data sets write them, known by their headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.csv_tables import CsvTable


@dataclass(frozen=True)
class LogKind:
    """Headings of a log.

    Attributes:
        t: of the time.
        rates: of the three rates, rad/s.
        seconds: that one unit of the time lasts.
    """

    t: str
    rates: tuple[str, str, str]
    seconds: float = 1.0


KINDS = {
    "phyphox": LogKind(
        "Time (s)", ("Gyroscope x (rad/s)", "Gyroscope y (rad/s)", "Gyroscope z (rad/s)")
    ),
    "Sensor Logger": LogKind("seconds_elapsed", ("x", "y", "z")),
    "StrayScanner": LogKind("timestamp", ("alpha_x", "alpha_y", "alpha_z")),
    "EuRoC": LogKind(
        "#timestamp [ns]",
        ("w_RS_S_x [rad s^-1]", "w_RS_S_y [rad s^-1]", "w_RS_S_z [rad s^-1]"),
        1e-9,
    ),
}

# Sensor Logger gives all its tables the same headings; their files' names tell them apart.
OTHER_SENSORS = ("accelerometer", "gravity", "magnetometer", "totalacceleration")


def kind_of(names: Sequence[str]) -> LogKind | None:
    """Return the kind of log that has these headings, None where no kind is known."""
    matching = (kind for kind in KINDS.values() if {kind.t, *kind.rates} <= set(names))
    return next(matching, None)


def read_log(table: CsvTable, kind: LogKind) -> VelocitySeries:
    """Return the rates of a log; rows whose time does not rise, as phones repeat some, are left out.

    Raises:
        RecordingError: a cell is no number, no time rises, or another sensor's table was given.
    """
    if kind is KINDS["Sensor Logger"] and Path(table.path).name.lower().startswith(OTHER_SENSORS):
        raise RecordingError(f"{table.path}: holds no angular velocities; give Gyroscope.csv")
    t = table.column(kind.t) * kind.seconds
    rates = np.stack([table.column(name) for name in kind.rates], axis=1)
    newest = np.fmax.accumulate(np.concatenate([[-np.inf], t[:-1]]))
    kept = t > newest
    if kept.sum() < 2:
        raise RecordingError(f"{table.path}: column {kind.t} does not rise")
    velocity = np.hstack([rates, np.full_like(rates, np.nan)])[kept]
    return VelocitySeries(t[kept], velocity, None, np.ones(len(velocity), bool))
