"""Velocities over time from a topic of a bag: as they are, or from poses and transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import Loss, RecordingError
from blur_imu_ros.recordings.bag_files import MOTION, BagFile
from blur_imu_ros.recordings.bags import (
    DamagedBagError,
    readable_messages,
    topics_of,
)
from blur_imu_ros.recordings.message_times import stamp_of
from blur_imu_ros.recordings.rising_times import rising_rows
from blur_imu_ros.recordings.trajectories import poses_of

UNKNOWN, UNKNOWN_POSE = np.full(6, np.nan), np.full(7, np.nan)
TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")


@dataclass(frozen=True)
class Row:
    """The content of a message.

    Attributes:
        velocity: (6,) rad/s and m/s, NaN where not known.
        sigma: (6,) standard deviations, NaN where not known.
        valid: whether it may be used.
        pose: (7,) position and quaternion x, y, z, w of the body in the world, or None.
    """

    velocity: Array
    sigma: Array
    valid: bool = True
    pose: Array | None = None


def read_topic(path: Path, topic: str | None) -> VelocitySeries:
    """Return the velocities of a topic of a bag.

    Args:
        path: of the bag.
        topic: which one, for bags with several; of transforms with the frames behind colons:
            `/tf:map:camera`, of which the last is the body.

    Raises:
        RecordingError: what is wrong with the bag, or which topics there are.
    """
    name, _, frames = (topic or "").partition(":")
    with BagFile(path) as reader:
        chosen = _choose(path, reader, name or None)
        connections = [c for c in reader.connections if c.topic == chosen]
        pair = None
        if connections[0].msgtype in TRANSFORMS:
            pair = _frames(path, reader, connections, frames)
        read = _Read()
        read.all_of(path, reader, connections, pair)
    source = f"{path} {chosen}"
    if not read.rows:
        raise _nothing(source, read)
    series = _series(source, np.array(read.times), read.rows, np.array(read.recorded))
    return replace(series, notes=(*series.notes, *read.notes()))


@dataclass
class _Read:
    """What has been read of a topic.

    Attributes:
        times, recorded, rows: stamp (s), time of recording (s) and content of each message.
        unread: why messages cannot be read.
        silent: how many messages say that they know no motion.
        damage: where the bag ends before its end.
    """

    times: list[float] = field(default_factory=list)
    recorded: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    silent: int = 0
    damage: str = ""

    def all_of(
        self,
        path: Path,
        reader: BagFile,
        connections: Sequence[Connection],
        pair: tuple[str, str] | None,
    ) -> None:
        """Take all messages that can be read; RecordingError where that is none."""
        try:
            for connection, time, message in readable_messages(
                path, reader, connections, tolerant=True
            ):
                if isinstance(message, DamagedBagError):
                    self.unread.append(str(message))
                    continue
                for stamped, row in _rows_of(connection.msgtype, message, pair):
                    self._take(stamp_of(stamped), time * 1e-9, row)
        except DamagedBagError as error:
            if not self.rows:
                raise
            self.damage = str(error)

    def _take(self, t: float, recorded: float, row: Row) -> None:
        if not _tells_motion(row):
            self.silent += 1
            return
        self.times.append(t)
        self.recorded.append(recorded)
        self.rows.append(row)

    def notes(self) -> Iterator[str]:
        """Yield what was lost, a line each."""
        if self.damage:
            yield Loss(f"{self.damage}; what can be read of it is used")
        if self.unread:
            yield Loss(f"{len(self.unread)} messages cannot be read: {self.unread[0]}")
        if self.silent:
            yield Loss(f"{self.silent} messages say that they know no angular velocity; left out")


def _nothing(name: str, read: _Read) -> RecordingError:
    """Return why a topic gives no velocities."""
    if not read.silent:
        return RecordingError(f"{name}: holds no messages")
    return RecordingError(
        f"{name}: its messages say that they know no angular velocity (covariance -1), as those of "
        "an accelerometer do; choose the topic of the gyroscope",
        cures=("topic", "truth_topic"),
    )


def _choose(path: Path, reader: BagFile, wanted: str | None) -> str:
    """Return the topic asked for, else the only one of the most informative kind."""
    kinds = {c.topic: c.msgtype for c in reader.connections if _rank(c.msgtype) is not None}
    if not kinds:
        known = ", ".join(kind.split("/")[-1] for kind in (*_ROWS, TRANSFORMS[0]))
        raise RecordingError(
            f"{path}: holds no velocities ({known}); its topics are: {topics_of(reader)}"
        )
    listed = ", ".join(sorted(kinds))
    if wanted is not None:
        if wanted not in kinds:
            raise RecordingError(f"{path}: no velocity topic '{wanted}'; there are: {listed}")
        return wanted
    best = min(_rank(kind) or 0 for kind in kinds.values())
    candidates = [topic for topic, kind in kinds.items() if _rank(kind) == best]
    complete = [topic for topic in candidates if kinds[topic].endswith("/BlurMotion")]
    for names in (candidates, complete):
        if len(names) == 1:
            return names[0]
    # Drivers of depth cameras publish gyroscope and accelerometer one by one, both as Imu.
    telling = [topic for topic in candidates if _begins_with_motion(path, reader, topic)]
    if len(telling) == 1:
        return telling[0]
    raise RecordingError(
        f"{path}: has {len(kinds)} topics with velocities ({listed}); choose one of them",
        cures=("topic", "truth_topic"),
    )


def _begins_with_motion(path: Path, reader: BagFile, topic: str) -> bool:
    """Whether the first message of a topic tells a motion; so may one that cannot be read."""
    chosen = [c for c in reader.connections if c.topic == topic]
    with suppress(RecordingError):
        for connection, _, message in readable_messages(path, reader, chosen, tolerant=True):
            if not isinstance(message, DamagedBagError):
                return _tells_motion(_ROWS[connection.msgtype](message))
    return True


def _tells_motion(row: Row) -> bool:
    return row.pose is not None or not np.isnan(row.velocity).all()


def _rank(kind: str) -> int | None:
    """Return which kinds of messages are preferred, the lowest first; None for all others."""
    if kind in TRANSFORMS:
        return 2
    if kind not in _ROWS:
        return None
    return 1 if kind in _POSES else 0


def _frames(
    path: Path, reader: BagFile, connections: Sequence[Connection], wanted: str
) -> tuple[str, str]:
    """Return the parent and child whose transform is asked for, or the only one that there is."""
    pairs: dict[tuple[str, str], None] = {}
    for _, _, message in readable_messages(path, reader, connections, tolerant=True):
        if isinstance(message, DamagedBagError):
            continue
        pairs |= {_pair(transform): None for transform in message.transforms}
    asked = tuple(part.lstrip("/") for part in wanted.split(":")) if wanted else ()
    found = [pair for pair in pairs if not asked or pair[-len(asked) :] == asked]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(":".join(pair) for pair in pairs)
    topic = connections[0].topic
    raise RecordingError(
        f"{path} {topic}: has the transforms {listed}; name one, its body last, as "
        f"{topic}:PARENT:CHILD"
    )


def _pair(transform: Any) -> tuple[str, str]:
    return transform.header.frame_id.lstrip("/"), transform.child_frame_id.lstrip("/")


def _rows_of(kind: str, message: Any, pair: tuple[str, str] | None) -> Iterator[tuple[Any, Row]]:
    """Yield stamps and contents."""
    if pair is None:
        yield message, _ROWS[kind](message)
        return
    for transform in message.transforms:
        if _pair(transform) == pair:
            yield transform, _transform_row(transform)


def _series(name: str, t: Array, rows: list[Row], recorded: Array) -> VelocitySeries:
    poses = [UNKNOWN_POSE if row.pose is None else row.pose for row in rows]
    velocity, sigma = np.stack([r.velocity for r in rows]), np.stack([r.sigma for r in rows])
    # Odometry without velocities leaves them all zero.
    if np.isfinite(poses).any() and not np.any(np.nan_to_num(velocity)):
        series = poses_of(np.column_stack([t, poses]), name, 1.0).velocities()
        note = f"{name}: velocities are the differences of its poses"
        return replace(series, notes=(*series.notes, note))
    kept, notes = rising_rows(t, name)
    valid = np.array([row.valid for row in rows])[kept]
    std = None if np.isnan(sigma).all() else sigma[kept]
    latency = (recorded - t)[kept]
    return VelocitySeries(t[kept], velocity[kept], std, valid, latency=latency, notes=tuple(notes))


def _imu_row(message: Any) -> Row:
    unknown = np.full(3, np.nan)
    if message.angular_velocity_covariance[0] == -1:  # It has none, says sensor_msgs/Imu.
        return Row(UNKNOWN, UNKNOWN)
    velocity = np.concatenate([_three(message.angular_velocity), unknown])
    sigma = _sigma(message.angular_velocity_covariance, 3)
    return Row(velocity, np.concatenate([sigma, unknown]))


def _twist_row(message: Any) -> Row:
    return Row(_six(message.twist), UNKNOWN)


def _twist_with_covariance_row(message: Any) -> Row:
    return Row(_six(message.twist.twist), np.roll(_sigma(message.twist.covariance, 6), 3))


def _odometry_row(message: Any) -> Row:
    sigma = np.roll(_sigma(message.twist.covariance, 6), 3)
    return Row(_six(message.twist.twist), sigma, pose=_seven(message.pose.pose))


def _pose_row(message: Any) -> Row:
    pose = message.pose.pose if hasattr(message.pose, "pose") else message.pose
    return Row(UNKNOWN, UNKNOWN, pose=_seven(pose))


def _transform_row(message: Any) -> Row:
    moved = message.transform
    pose = np.concatenate([_three(moved.translation), _four(moved.rotation)])
    return Row(UNKNOWN, UNKNOWN, pose=pose)


def _motion_row(message: Any) -> Row:
    velocity = np.concatenate([_three(message.angular_velocity), _three(message.linear_velocity)])
    return Row(velocity, _sigma(message.covariance, 6), bool(message.valid))


_POSES: dict[str, Callable[[Any], Row]] = {
    "nav_msgs/msg/Odometry": _odometry_row,
    "geometry_msgs/msg/PoseStamped": _pose_row,
    "geometry_msgs/msg/PoseWithCovarianceStamped": _pose_row,
    "geometry_msgs/msg/TransformStamped": _transform_row,
}
_ROWS: dict[str, Callable[[Any], Row]] = {
    "sensor_msgs/msg/Imu": _imu_row,
    "geometry_msgs/msg/TwistStamped": _twist_row,
    "geometry_msgs/msg/TwistWithCovarianceStamped": _twist_with_covariance_row,
    MOTION: _motion_row,
    **_POSES,
}


def _three(vector: Any) -> Array:
    return np.array([vector.x, vector.y, vector.z])


def _four(quaternion: Any) -> Array:
    return np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w])


def _six(twist: Any) -> Array:
    return np.concatenate([_three(twist.angular), _three(twist.linear)])


def _seven(pose: Any) -> Array:
    return np.concatenate([_three(pose.position), _four(pose.orientation)])


def _sigma(covariance: Any, size: int) -> Array:
    """Return (size,) standard deviations; NaN where the message says that it knows none."""
    variance = np.diag(np.asarray(covariance, float).reshape(size, size))
    return np.sqrt(np.where(variance > 0, variance, np.nan))
