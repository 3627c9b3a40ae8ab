"""Velocities over time from a CSV, a trajectory, or a topic of a bag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from blur_imu_ros.choices import Unit
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.bag_names import is_bag
from blur_imu_ros.recordings.csv_tables import CsvTable, series_of_table
from blur_imu_ros.recordings.gyroscope_logs import names_gyroscope, read_log
from blur_imu_ros.recordings.trajectories import (
    POSE_WIDTHS,
    TEXT_SUFFIXES,
    TUM_SUFFIXES,
    pose_columns,
    read_poses,
)
from blur_imu_ros.recordings.videos import VIDEO_SUFFIXES


def read_velocities(
    path: Path, topic: str | None = None, units: Sequence[Unit] = ()
) -> VelocitySeries:
    """Return the velocities of a CSV, log, trajectory or bag.

    Args:
        path: a CSV as `read_series` takes it, a gyroscope's log, a trajectory as `read_poses` takes
            it, which is differentiated, or a bag with Imu, TwistStamped, TwistWithCovarianceStamped
            or BlurMotion, or with the poses of Odometry, PoseStamped, TransformStamped or tf, or a
            video of an action camera with its gyroscope in it.
        topic: which one, for bags with several.
        units: of a file that does not state them, or wrongly.

    Raises:
        RecordingError: what is wrong with the file, or which topics there are.
    """
    seconds = next((unit.seconds for unit in units if unit.seconds), None)
    radians = next((unit.radians for unit in units if unit.radians), None)
    if path.suffix not in TEXT_SUFFIXES and is_bag(path):
        from blur_imu_ros.recordings.bag_velocities import read_topic

        return scaled(read_topic(path, topic), seconds, radians)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        from blur_imu_ros.recordings.video_gyroscopes import read_video_gyroscope

        return scaled(read_video_gyroscope(path), seconds, radians)
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
        if not table.width:
            raise RecordingError(f"{path}: the file is empty")
        raise RecordingError(f"{path}: has no headings that say what its {table.width} columns are")
    raise RecordingError(
        f"{path}: names neither a gyroscope nor a trajectory: it needs columns t, wx, wy, wz; "
        f"found {', '.join(table.names[:20])}"
    )


def scaled(series: VelocitySeries, seconds: float | None, radians: float | None) -> VelocitySeries:
    """Return a series whose time and angular velocities are in other units than it says."""
    factors = np.array([radians or 1.0] * 3 + [1.0] * 3)
    sigma = None if series.sigma is None else series.sigma * factors
    single = None if series.single is None else series.single * factors
    t = series.t * (seconds or 1.0)
    return replace(series, t=t, velocity=series.velocity * factors, sigma=sigma, single=single)
