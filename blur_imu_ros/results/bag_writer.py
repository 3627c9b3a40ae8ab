"""Velocities as a bag (rosbag2 in mcap) with the messages that the live node would publish."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.convert.converter import migrate_bytes
from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from blur_imu_ros.choices import Axes, Direction
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.bag_files import MOTION, BagFile, is_ros, is_ros1, typestore
from blur_imu_ros.recordings.bag_names import is_bag
from blur_imu_ros.recordings.bags import readable_messages
from blur_imu_ros.recordings.mcap_rescue import rescue
from blur_imu_ros.results.result_file import ResultFile
from blur_imu_ros.results.ros_fields import (
    IMU_TOPIC,
    MOTION_TOPIC,
    RESTART,
    TWIST_TOPIC,
    Fields,
    imu_fields,
    motion_fields,
    nanoseconds,
    output_frame,
    silence,
    twist_fields,
)

_TYPES = {
    f"/{IMU_TOPIC}": "sensor_msgs/msg/Imu",
    f"/{TWIST_TOPIC}": "geometry_msgs/msg/TwistWithCovarianceStamped",
    f"/{MOTION_TOPIC}": MOTION,
}


def _as_ros2(ros1: Typestore) -> Typestore:
    """Return the messages of a rosbag1 as ROS 2 has them: without a header's sequence number."""
    store = get_typestore(Stores.EMPTY)
    ours = typestore().fielddefs
    names = ros1.fielddefs.keys() & {"std_msgs/msg/Header"}
    store.register({**ros1.fielddefs, **{name: ours[name] for name in names}})
    return store


class BagWriter(ResultFile):
    """Writes what the node would publish; the bag is complete when it is closed, for any reason."""

    def __init__(self, path: Path, axes: Axes, direction: Direction, model: str) -> None:
        """Create the bag, in place of one of that name.

        Args:
            path: the .mcap file.
            axes: of the estimates; they name the frame of the messages.
            direction: how the sign was decided; `none` lets every sign through.
            model: name of the network.

        Raises:
            RecordingError: it cannot be written, or messages cannot be in these axes.
        """
        if axes is Axes.GYRO:
            raise RecordingError(
                f"{path}: a message has one frame for both velocities; use axes optical or body",
                cures=("axes",),
            )
        self._path, self._axes, self._model = path, axes, model
        self._direction, self._last = direction, -np.inf
        self._store = typestore()
        if MOTION not in self._store.types:
            raise RecordingError("msg/BlurMotion.msg is not there; reinstall the package")
        # The library writes a folder; the file in it becomes ours when it is complete.
        self._folder = path.with_name(f".{path.name}.part")
        try:
            if path.is_dir():
                raise IsADirectoryError(None, "it is a folder")
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            self._writer = Writer(
                self._folder / path.stem, version=9, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.open()
        except OSError as error:
            raise self._unwritable(error) from error
        self._topics = {
            topic: self._writer.add_connection(topic, kind, typestore=self._store)
            for topic, kind in _TYPES.items()
        }

    def write(self, frame: Frame, estimate: VelocityEstimate) -> None:
        """Append the messages of one frame; RecordingError where the disk is full."""
        frame_id = output_frame(self._axes, frame.frame_id)
        time = nanoseconds(estimate.t if frame.received is None else frame.received)
        messages = {MOTION_TOPIC: motion_fields(estimate, frame_id, self._model)}
        if self._may_be_used(estimate):
            messages[IMU_TOPIC] = imu_fields(estimate, frame_id)
            messages[TWIST_TOPIC] = twist_fields(estimate, frame_id)
        for topic, fields in messages.items():
            self._append(self._topics[f"/{topic}"], time, self._serialized(f"/{topic}", fields))

    def _may_be_used(self, estimate: VelocityEstimate) -> bool:
        """Return whether Imu and twist are written; like the node's, their stamps increase."""
        late = self._last - RESTART <= estimate.t <= self._last
        if late or silence(estimate, self._direction) is not None:
            return False
        self._last = estimate.t
        return True

    def keep(self, source: Path, topics: Sequence[str]) -> None:
        """Copy topics of a bag: of a rosbag2 byte for byte, of a rosbag1 as ROS 2 writes them.

        Raises:
            RecordingError: they are not in it, or it is of another kind.
        """
        if not topics:
            return
        if not is_bag(source):
            raise RecordingError(f"{source}: is not a bag, so it has no topics to keep")
        with BagFile(source) as reader:
            known = [c for c in reader.connections if c.topic not in _TYPES and is_ros(c)]
            names = {c.topic for c in known}
            for topic in topics:
                if topic not in names:
                    raise RecordingError(
                        f"{source}: no topic '{topic}' to keep; topics are: "
                        f"{', '.join(sorted(names))}"
                    )
            chosen = [c for c in known if c.topic in topics]
            kept = {c.topic: self._copied(c, reader) for c in reversed(chosen)}
            ours = {c.topic: _as_ros2(reader.store_of(c)) for c in chosen if is_ros1(c)}
            for connection, time, raw in readable_messages(source, reader, chosen, decode=False):
                if is_ros1(connection):
                    kind, theirs = connection.msgtype, reader.store_of(connection)
                    store = ours[connection.topic]
                    raw = migrate_bytes(
                        theirs, store, kind, kind, {}, raw, src_is2=False, dst_is2=True
                    )
                self._append(kept[connection.topic], time, raw)

    def _copied(self, connection: Connection, reader: BagFile) -> Connection:
        store = reader.store_of(connection)
        if is_ros1(connection):
            store = _as_ros2(store)
        if not isinstance(connection.ext, ConnectionExtRosbag2) or is_ros1(connection):
            return self._writer.add_connection(
                connection.topic, connection.msgtype, typestore=store
            )
        return self._writer.add_connection(
            connection.topic,
            connection.msgtype,
            typestore=store,
            serialization_format=connection.ext.serialization_format,
            offered_qos_profiles=connection.ext.offered_qos_profiles,
        )

    def _append(self, connection: Connection, time: int, raw: bytes | memoryview) -> None:
        try:
            self._writer.write(connection, time, raw)
        except OSError as error:
            raise self._unwritable(error) from error

    def _serialized(self, topic: str, fields: Fields) -> memoryview:
        kind = _TYPES[topic]
        return self._store.serialize_cdr(self._message(kind, fields), kind)

    def _message(self, kind: str, fields: Fields) -> Any:
        """Return the library's message of a type, nested ones included."""
        values = dict(fields)
        for name, (_, of) in self._store.fielddefs[kind][1]:
            if isinstance(fields[name], dict):
                values[name] = self._message(str(of), fields[name])
        return self._store.types[kind](**values)

    def _unwritable(self, error: OSError) -> RecordingError:
        return RecordingError(f"{self._path}: cannot be written: {error.strerror}")

    def complete(self, failed: bool) -> None:
        """Complete the file, whatever ended the run; a failure before all messages leaves none."""
        try:
            self._writer.close()
            if not failed or any(self._writer.counts.values()):
                name = self._path.stem
                (self._folder / name / f"{name}.mcap").replace(self._path)
        except OSError as failure:
            self._rescue()
            raise self._unwritable(failure) from failure
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _rescue(self) -> None:
        """Put what was written before the disk was full in its place."""
        name = self._path.stem
        partial = self._folder / name / f"{name}.mcap"
        assert self._writer.storage is not None
        with suppress(OSError):  # Closing tries to write the rest once more.
            self._writer.storage.abort()
        with suppress(OSError):
            if rescue(partial):
                partial.replace(self._path)
