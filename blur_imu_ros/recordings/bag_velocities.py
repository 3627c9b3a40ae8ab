"""Velocities over time from a topic of a bag: as they are, or from poses and transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import Loss, VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.bag_files import BagFile
from blur_imu_ros.recordings.bags import (
    DamagedBagError,
    opened,
    readable_messages,
    stamp_of,
    topics_of,
)
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
    with opened(path) as reader:
        chosen = _choose(path, reader, name or None)
        connections = [c for c in reader.connections if c.topic == chosen]
        pair = None
        if connections[0].msgtype in TRANSFORMS:
            pair = _frames(path, reader, connections, frames)
        times, recorded, rows, notes, unread = [], [], list[Row](), list[str](), list[str]()
        try:
            for connection, time, message in readable_messages(
                path, reader, connections, tolerant=True
            ):
                if isinstance(message, DamagedBagError):
                    unread.append(str(message))
                    continue
                for stamped, row in _rows_of(connection.msgtype, message, pair):
                    rows.append(row)
                    times.append(stamp_of(stamped))
                    recorded.append(time * 1e-9)
        except DamagedBagError as error:
            if not rows:
                raise
            notes.append(Loss(f"{error}; what can be read of it is used"))
    if unread:
        notes.append(Loss(f"{len(unread)} messages cannot be read: {unread[0]}"))
    if not rows:
        raise RecordingError(f"{path} {chosen}: holds no messages")
    series = _series(f"{path} {chosen}", np.array(times), rows, np.array(recorded))
    return replace(series, notes=(*series.notes, *notes))


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
    raise RecordingError(
        f"{path}: has {len(kinds)} topics with velocities ({listed}); choose one of them",
        cures=("topic", "truth_topic"),
    )


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
    "blur_imu_ros/msg/BlurMotion": _motion_row,
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
