"""Velocities over time from a CSV, a trajectory, or a topic of a bag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from blur_imu_ros.choices import Unit
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.csv_tables import CsvTable, series_of_table
from blur_imu_ros.recordings.gyroscope_logs import names_gyroscope, read_log
from blur_imu_ros.recordings.trajectories import (
    POSE_WIDTHS,
    TEXT_SUFFIXES,
    TUM_SUFFIXES,
    pose_columns,
    read_poses,
)

Row = tuple[Array, Array, bool]
"""(6,) velocity, (6,) standard deviations, whether it may be used; NaN where not known."""


def read_velocities(
    path: Path, topic: str | None = None, units: Sequence[Unit] = ()
) -> VelocitySeries:
    """Return the velocities of a CSV, log, trajectory or bag.

    Args:
        path: a CSV as `read_series` takes it, a gyroscope's log, a trajectory as `read_poses` takes it,
            which is differentiated, or a bag with Imu, TwistWithCovarianceStamped or BlurMotion.
        topic: which one, for bags with several.
        units: of a file that tells them not or wrongly.

    Raises:
        RecordingError: what is wrong with the file, or which topics there are.
    """
    from blur_imu_ros.recordings.bags import is_bag

    seconds = next((unit.seconds for unit in units if unit.seconds), None)
    radians = next((unit.radians for unit in units if unit.radians), None)
    if path.suffix not in TEXT_SUFFIXES and is_bag(path):
        return _read_topic(path, topic)
    table = CsvTable(path)
    if {"t", "wx", "wy", "wz"} <= set(table.names):
        return series_of_table(table, seconds, radians or 1.0)
    poses = pose_columns(table.names) is not None and not names_gyroscope(table.names)
    log = None if poses else read_log(table, seconds, radians)
    if log is not None:
        return log
    plain = not table.names and table.width in POSE_WIDTHS
    if poses or plain or path.suffix in TUM_SUFFIXES:
        return read_poses(path, seconds).velocities()
    if not table.names:
        raise RecordingError(
            f"{path}: has no headings that tell what its {table.width} columns are"
        )
    raise RecordingError(
        f"{path}: names neither a gyroscope nor a trajectory: it needs columns t, wx, wy, wz; found "
        f"{', '.join(table.names[:20])}"
    )


def _read_topic(path: Path, topic: str | None) -> VelocitySeries:
    from blur_imu_ros.recordings.bags import (
        DamagedBagError,
        opened,
        readable_messages,
        stamp_of,
        topics_of,
    )

    with opened(path) as reader:
        kinds = {c.topic: c.msgtype for c in reader.connections if c.msgtype in _ROWS}
        if not kinds:
            known = ", ".join(kind.split("/")[-1] for kind in _ROWS)
            raise RecordingError(
                f"{path}: holds no velocities ({known}); its topics are: {topics_of(reader)}"
            )
        chosen = _choose(path, kinds, topic)
        connections = [c for c in reader.connections if c.topic == chosen]
        times, recorded, rows, notes, unread = [], [], list[Row](), list[str](), list[str]()
        try:
            for connection, time, message in readable_messages(
                path, reader, connections, tolerant=True
            ):
                if isinstance(message, DamagedBagError):
                    unread.append(str(message))
                    continue
                rows.append(_ROWS[connection.msgtype](message))
                times.append(stamp_of(message))
                recorded.append(time * 1e-9)
        except DamagedBagError as error:
            if not rows:
                raise
            notes.append(f"{error}; what can be read of it is used")
    if unread:
        notes.append(f"{len(unread)} messages cannot be read: {unread[0]}")
    t = np.array(times)
    series = _series(f"{path} {chosen}", t, rows)
    latency = np.array(recorded) - t if len(series.t) == len(t) else None
    return replace(series, latency=latency, notes=(*series.notes, *notes))


def _choose(path: Path, kinds: dict[str, str], wanted: str | None) -> str:
    """Return the topic asked for, else the only one, else the one that knows most."""
    listed = ", ".join(sorted(kinds))
    if wanted is not None:
        if wanted not in kinds:
            raise RecordingError(f"{path}: no velocity topic '{wanted}'; there are: {listed}")
        return wanted
    complete = [topic for topic, kind in kinds.items() if kind.endswith("/BlurMotion")]
    for candidates in (list(kinds), complete):
        if len(candidates) == 1:
            return candidates[0]
    raise RecordingError(
        f"{path}: has {len(kinds)} topics with velocities ({listed}); choose with --topic, "
        "or --truth-topic for the truth"
    )


def _series(name: str, t: Array, rows: list[Row]) -> VelocitySeries:
    if not rows:
        raise RecordingError(f"{name}: holds no messages")
    rising = np.diff(t, prepend=-np.inf) > 0
    if not rising.all():
        raise RecordingError(f"{name}: stamps do not increase at message {np.argmin(rising)}")
    velocity, sigma = (np.stack([row[k] for row in rows]) for k in (0, 1))
    valid = np.array([row[2] for row in rows])
    return VelocitySeries(t, velocity, None if np.isnan(sigma).all() else sigma, valid)


def _imu_row(message: Any) -> Row:
    unknown = np.full(3, np.nan)
    velocity = np.concatenate([_three(message.angular_velocity), unknown])
    sigma = _sigma(message.angular_velocity_covariance, 3)
    return velocity, np.concatenate([sigma, unknown]), True


def _twist_row(message: Any) -> Row:
    twist = message.twist.twist
    velocity = np.concatenate([_three(twist.angular), _three(twist.linear)])
    return velocity, np.roll(_sigma(message.twist.covariance, 6), 3), True


def _motion_row(message: Any) -> Row:
    velocity = np.concatenate([_three(message.angular_velocity), _three(message.linear_velocity)])
    return velocity, _sigma(message.covariance, 6), bool(message.valid)


_ROWS: dict[str, Callable[[Any], Row]] = {
    "sensor_msgs/msg/Imu": _imu_row,
    "geometry_msgs/msg/TwistWithCovarianceStamped": _twist_row,
    "blur_imu_ros/msg/BlurMotion": _motion_row,
}


def _three(vector: Any) -> Array:
    return np.array([vector.x, vector.y, vector.z])


def _sigma(covariance: Any, size: int) -> Array:
    """Return (size,) standard deviations; NaN where the message says that it knows none."""
    variance = np.diag(np.asarray(covariance, float).reshape(size, size))
    return np.sqrt(np.where(variance > 0, variance, np.nan))
