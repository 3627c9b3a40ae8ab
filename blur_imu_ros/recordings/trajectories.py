"""Trajectories of other systems as velocities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_ros.recordings.headings import parsed
from blur_imu_ros.recordings.rising_times import MOST_WRONG, rising_rows, unit_by_steps

TUM_SUFFIXES = {".tum", ".txt"}
TEXT_SUFFIXES = {*TUM_SUFFIXES, ".csv", ".tsv", ".gcsv", ".log"}
LONGEST_STEP = 2.0
"""Seconds between poses; trajectories are sparser than logs."""
POSE_WIDTHS = _TUM_WIDTH, _KITTI_WIDTH = 8, 12
"""Numbers in each row of files without headings."""
_LOOSE = 0.1
"""By which the length of a quaternion may differ from 1."""
_POSE = (
    r".*time.*|t|.*stamp.*",
    *(rf"(|p|t|pos|.*position|.*translation|p \w+ \w+) ?{axis}" for axis in "xyz"),
    *(rf"(q|quat|.*quaternion|.*orientation|.*rotation|q \w+) ?{axis}" for axis in "xyzw"),
)
"""Headings of time, position and quaternion, without units and in small letters."""
LONGEST_GAP = 3.0
"""Median intervals between poses; across a longer gap the system had lost its way."""


@dataclass(frozen=True)
class PoseSeries:
    """Poses of a body in a world, over time.

    Attributes:
        t: (n,) seconds, strictly increasing.
        rotation: n rotations, body to world.
        position: (n, 3) of the body in the world, metres or the system's own unit.
        notes: on what was assumed or left out when they were read, a line each.
    """

    t: Array
    rotation: Rotation
    position: Array
    notes: tuple[str, ...] = ()

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
        return VelocitySeries(t, np.hstack([turn / dt, linear]), None, valid, notes=self.notes)


def read_poses(path: str | Path, seconds: float | None = None) -> PoseSeries:
    """Read a trajectory: TUM, KITTI with its times, or a CSV that names position and quaternion.

    Poses that hold no numbers, or whose time does not increase, are left out.

    Args:
        path: rows of t x y z qx qy qz qw; of the 12 numbers of [R | t], with times.txt beside; or
            with headings, as of EuRoC's ground truth and StrayScanner's odometry.
        seconds: that one unit of its time lasts; None takes the stated one, else the one that its
            steps suggest.

    Raises:
        RecordingError: what is wrong with the file.
    """
    table = CsvTable(path)
    columns = pose_columns(table.names)
    if columns is not None:
        rows, seconds = _columns(table, columns), seconds or parsed(table.names)[columns[0]].seconds
    elif table.width == _KITTI_WIDTH and not table.names:
        rows = _of_matrices(_columns(table, range(_KITTI_WIDTH)), _times_beside(Path(path)))
        seconds = seconds or 1.0
    elif table.width == _TUM_WIDTH and not table.names:
        rows = _columns(table, range(_TUM_WIDTH))
    else:
        raise RecordingError(
            f"{path}: is not a known trajectory format: it has rows of {table.width} numbers; TUM "
            "has t x y z qx qy qz qw, KITTI the 12 numbers of each pose"
        )
    return poses_of(rows, path, seconds, table.notes)


def pose_columns(names: Sequence[str]) -> list[int] | None:
    """Return the columns of t, x, y, z, qx, qy, qz and qw by their headings, None without them."""
    plain = [
        re.sub(r"[\W_]+", " ", re.sub(r"[\[(].*?[\])]", " ", name.lower().lstrip("#% "))).strip()
        for name in names
    ]
    found: list[int] = []
    for pattern in _POSE:
        matching = [k for k, name in enumerate(plain) if re.fullmatch(pattern, name)]
        if not matching:
            return None
        found.append(matching[0])
    return found


def _columns(table: CsvTable, columns: Iterable[int]) -> Array:
    return np.stack([table.column(k) for k in columns], axis=1)


def _times_beside(path: Path) -> Array:
    """Return the times (n,) of KITTI's poses, seconds."""
    sequence = path.parent.parent / "sequences" / path.stem
    for place in (
        path.with_name("times.txt"),
        path.with_name(f"{path.stem}_times.txt"),
        sequence / "times.txt",
    ):
        if place.is_file() and place != path:
            return CsvTable(place).column(0)
    raise RecordingError(
        f"{path}: holds KITTI's poses, which have no times: put its times.txt (seconds, one a "
        "line) beside"
    )


def _of_matrices(matrices: Array, t: Array) -> Array:
    """Return rows (n, 8) as TUM has them, of the rows (n, 12) of [R | t]."""
    if len(t) != len(matrices):
        raise RecordingError(f"times.txt has {len(t)} times for {len(matrices)} poses")
    poses = matrices.reshape(-1, 3, 4)
    known = np.asarray(np.isfinite(poses).all(axis=(1, 2)))
    rotations = np.where(known[:, None, None], poses[..., :3], 0)
    known &= np.abs(np.linalg.det(rotations) - 1) < _LOOSE
    quaternions = np.full((len(poses), 4), np.nan)
    if known.any():
        quaternions[known] = Rotation.from_matrix(poses[known, :, :3]).as_quat()
    return np.column_stack([t, poses[..., 3], quaternions])


def poses_of(
    rows: Array, path: str | Path, seconds: float | None, notes: Sequence[str] = ()
) -> PoseSeries:
    """Return the poses that can be used, of rows (n, 8) of t, position and quaternion.

    Raises:
        RecordingError: hardly any can, naming `path`.
    """
    if len(rows) < 2:
        raise RecordingError(f"{path}: holds {len(rows)} rows; a trajectory has two or more")
    with np.errstate(all="ignore"):
        norms = np.asarray(np.linalg.norm(rows[:, 4:], axis=1))
        good = np.asarray(np.isfinite(rows).all(axis=1) & (np.abs(norms - 1) < _LOOSE))
    if np.mean(~good) > MOST_WRONG:
        row = int(np.argmin(good))
        raise RecordingError(
            f"{path}: {np.sum(~good)} of {len(rows)} rows are not poses: the quaternion of row "
            f"{row} has length {norms[row]:.3g}, or a value there is not a finite number"
        )
    kept, left_out = rising_rows(np.where(good, rows[:, 0], np.nan), str(path))
    rows, notes = rows[kept], [*notes, *left_out]
    if len(rows) < 2:
        raise RecordingError(f"{path}: time does not increase")
    if seconds is None:
        seconds, unit = unit_by_steps(rows[:, 0], LONGEST_STEP)
        notes += (
            [f"{path}: its time is read as {unit}, judging by its steps"] if seconds != 1 else []
        )
    return PoseSeries(
        rows[:, 0] * seconds, Rotation.from_quat(rows[:, 4:]), rows[:, 1:4], tuple(notes)
    )
