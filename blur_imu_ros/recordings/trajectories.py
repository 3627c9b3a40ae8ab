"""Trajectories of other systems (TUM: t x y z qx qy qz qw) as velocities."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError

TUM_SUFFIXES = {".tum", ".txt"}
LONGEST_GAP = 3.0
"""Median intervals between poses; across a longer gap the system had lost its way."""


@dataclass(frozen=True)
class PoseSeries:
    """Poses of a body in a world, over time.

    Attributes:
        t: (n,) seconds, strictly increasing.
        rotation: n rotations, body to world.
        position: (n, 3) of the body in the world, metres or the system's own unit.
    """

    t: Array
    rotation: Rotation
    position: Array

    def velocities(self) -> VelocitySeries:
        """Return the body's velocities in its own axes, midway between the poses.

        Both are central differences: of the rotation on the group, so exact at a constant rate, and
        of the position, turned into the body's axes as they are midway. Velocities across a gap
        are not valid.
        """
        dt = np.diff(self.t)[:, None]
        turn = (self.rotation[:-1].inv() * self.rotation[1:]).as_rotvec()
        midway = self.rotation[:-1] * Rotation.from_rotvec(turn / 2)
        linear = midway.inv().apply(np.diff(self.position, axis=0)) / dt
        valid = dt[:, 0] <= LONGEST_GAP * np.median(dt)
        t = (self.t[:-1] + self.t[1:]) / 2
        return VelocitySeries(t, np.hstack([turn / dt, linear]), None, valid)


def read_poses(path: str | Path) -> PoseSeries:
    """Read a TUM trajectory; RecordingError names what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which is told below
            table = np.loadtxt(path, comments="#", ndmin=2)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise RecordingError(
            f"{path}: is no TUM trajectory (t x y z qx qy qz qw): {str(error).splitlines()[0]}"
        ) from error
    if table.shape[0] < 2 or table.shape[1] != 8:
        raise RecordingError(
            f"{path}: holds {table.shape[0]} rows of {table.shape[1]} numbers; a TUM trajectory has "
            "two rows or more of t x y z qx qy qz qw"
        )
    return _checked(table, path)


def _checked(table: Array, path: str | Path) -> PoseSeries:
    if not np.isfinite(table).all():
        raise RecordingError(f"{path}: holds a value that is not a finite number")
    rising = np.diff(table[:, 0], prepend=-np.inf) > 0
    if not rising.all():
        raise RecordingError(f"{path}: time does not increase at row {int(np.argmin(rising))}")
    norms = np.linalg.norm(table[:, 4:], axis=1)
    if np.any(np.abs(norms - 1) > 0.1):
        row = int(np.argmax(np.abs(norms - 1)))
        raise RecordingError(f"{path}: the quaternion of row {row} has length {norms[row]:.3g}")
    return PoseSeries(table[:, 0], Rotation.from_quat(table[:, 4:]), table[:, 1:4])
