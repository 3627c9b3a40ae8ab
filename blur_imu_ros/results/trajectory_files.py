"""Velocities as a trajectory that other tools read: integrated, in TUM's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import write_text
from blur_imu_ros.recordings.trajectories import PoseSeries


def integrated(series: VelocitySeries) -> PoseSeries:
    """Return the poses that velocities lead through, from the identity at the first valid row.

    Dead reckoning: errors add up. Between two valid rows the mean of their velocities holds (the
    inverse of `PoseSeries.velocities`); rows that are not valid are passed over.

    Args:
        series: of one body, both velocities in the body's own axes; where its linear velocity is
            not known the position rests.

    Raises:
        RecordingError: fewer than two rows are valid.
    """
    used = series.valid & np.isfinite(series.velocity[:, :3]).all(axis=1)
    t, velocity = series.t[used], np.nan_to_num(series.velocity[used])
    if len(t) < 2:
        raise RecordingError("a trajectory needs at least two valid velocities")
    step = np.diff(t)[:, None] * (velocity[1:] + velocity[:-1]) / 2
    rotation = [Rotation.identity()]
    position = [np.zeros(3)]
    for angle, distance in zip(step[:, :3], step[:, 3:], strict=True):
        midway = rotation[-1] * Rotation.from_rotvec(angle / 2)
        position.append(position[-1] + midway.apply(distance))
        rotation.append(rotation[-1] * Rotation.from_rotvec(angle))
    return PoseSeries(t, Rotation.concatenate(rotation), np.stack(position))


def sampled(poses: PoseSeries, t: Array) -> PoseSeries:
    """Return poses at times t (n,) between the first and the last, seen from the first of them.

    Tools that pair poses by the nearest stamp would else see the time in between as an error.
    """
    rotation = Slerp(poses.t, poses.rotation)(t)
    columns = [np.interp(t, poses.t, column) for column in poses.position.T]
    back = rotation[0].inv()
    position = back.apply(np.stack(columns, axis=1) - [column[0] for column in columns])
    return PoseSeries(t, back * rotation, position)


def write_tum(path: Path, poses: PoseSeries) -> None:
    """Write rows of `t x y z qx qy qz qw`, body to world; RecordingError where that is not
    possible."""
    table = np.column_stack([poses.t, poses.position, poses.rotation.as_quat()])
    rows = (f"{row[0]:.9f} " + " ".join(f"{x:.9f}" for x in row[1:]) + "\n" for row in table)
    write_text(path, "".join(rows))
