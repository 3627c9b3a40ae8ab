"""rosbag1, and rosbag2 in sqlite3 or mcap, read without ROS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import BlurImuError, RecordingError
from blur_imu_ros.execution.resources import PACKAGE, resource_path
from blur_imu_ros.recordings.camera_info import camera_of, named_rectified
from blur_imu_ros.recordings.image_messages import image_of
from blur_imu_ros.recordings.settings import FrameSettings

BAG_SUFFIXES = {".bag", ".mcap", ".db3"}
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
MOTION = f"{PACKAGE}/msg/BlurMotion"

MOST_LATE = 10
"""Images in succession that may be left out for their stamps; more, and it is the clock."""


def is_bag(path: Path) -> bool:
    """Return whether a file or folder is a bag."""
    return path.suffix in BAG_SUFFIXES or (path / "metadata.yaml").is_file()


def stamp_of(message: Any) -> float:
    """Return a message's header stamp, seconds."""
    stamp = message.header.stamp
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


class Bag:
    """The images of one topic of a bag."""

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """Find topic and camera; RecordingError names what is missing and lists candidates."""
        self.name = path.name
        self.notes: list[str] = []
        self._path, self._settings = path, settings
        settings.required_exposure_time(path)
        with opened(path) as reader:
            self._topic = self._choose(reader)
            self._rectified = named_rectified(self._topic)
            self._info_topic = None if settings.camera else self._info_topic_in(reader)
            self._count = sum(c.msgcount for c in reader.connections if c.topic == self._topic)
            self._camera = settings.camera or self._first_camera(reader)
        self.notes += settings.unused_stamps(self._count)

    def __len__(self) -> int:
        """Return the number of images."""
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; a damaged bag says so after its last readable one.

        The camera is that of the newest camera_info. A stray image whose stamp is not later than that
        before it is left out, and a note tells so.
        """
        with opened(self._path) as reader:
            before, late, left_out = -np.inf, 0, []
            for index, (time, message, camera) in enumerate(self._images(reader)):
                frame = self._frame(message, camera, index)
                if frame.t <= before:
                    late += 1
                    left_out.append(frame.name)
                    self._check_late(frame, before, late)
                    continue
                before, late = frame.t, 0
                yield replace(frame, frame_id=message.header.frame_id, received=time * 1e-9)
        if left_out:
            self.notes.append(
                f"{len(left_out)} of {self._count} images are left out ({left_out[0]}, ...): their "
                "stamps are not later than that of the image before; --stamps would give others"
            )

    def _images(self, reader: AnyReader) -> Iterator[tuple[int, Any, Camera]]:
        """Yield time of recording (ns), message and camera of each image."""
        camera, topics = self._camera, (self._topic, self._info_topic)
        chosen = [c for c in reader.connections if c.topic in topics]
        for connection, time, message in readable_messages(self._path, reader, chosen):
            if connection.topic == self._info_topic:
                camera = self._camera_of(message)
            else:
                yield time, message, camera

    def _check_late(self, frame: Frame, before: float, late: int) -> None:
        """Raise RecordingError where so many images are late that it is no stray one."""
        if late > min(MOST_LATE, self._count // 2):
            raise RecordingError(
                f"{self._path} {frame.name}: its stamp, {frame.t:.6f} s, is not later than "
                f"that of an image before, {before:.6f} s, and so were those of the last {late}; "
                "give --stamps"
            )

    def _frame(self, message: Any, camera: Camera, index: int) -> Frame:
        name = f"{self._topic}:{index}"
        stamp = self._settings.stamp(index, stamp_of(message), self._path)
        try:
            return self._settings.frame(image_of(message), stamp, camera, name)
        except BlurImuError as error:
            if name in str(error):
                raise
            raise RecordingError(f"{self._path} {name}: {error}") from error

    def _choose(self, reader: AnyReader) -> str:
        """Return the topic asked for, or the only one that has images."""
        topics = sorted({c.topic for c in reader.connections if c.msgtype in (RAW, COMPRESSED)})
        wanted, listed = self._settings.topic, ", ".join(topics)
        if not topics:
            raise RecordingError(
                f"{self._path}: holds no images (Image or CompressedImage); "
                f"its topics are: {topics_of(reader)}"
            )
        if wanted is not None:
            if wanted not in topics:
                raise RecordingError(
                    f"{self._path}: no image topic '{wanted}'; image topics are: {listed}"
                )
            return wanted
        if len(topics) != 1:
            raise RecordingError(
                f"{self._path}: has {len(topics)} image topics ({listed}); choose with --topic"
            )
        return topics[0]

    def _info_topic_in(self, reader: AnyReader) -> str | None:
        """Return the topic of the images' camera_info: beside theirs, or the only one."""
        known = sorted({c.topic for c in reader.connections if c.msgtype == CAMERA_INFO})
        images = self._topic.removesuffix("/compressed")
        for beside in (f"{_parent(images)}/camera_info", f"{images}/camera_info"):
            if beside in known:
                return beside
        candidates = [topic for topic in known if _parent(topic) == _parent(images)] or known
        if len(candidates) > 1:
            raise RecordingError(
                f"{self._path}: which camera_info is that of {self._topic} is not clear "
                f"({', '.join(candidates)}); give --camera camera.yaml"
            )
        return candidates[0] if candidates else None

    def _first_camera(self, reader: AnyReader) -> Camera:
        """Return the camera of the first camera_info; RecordingError where there is none."""
        chosen = [c for c in reader.connections if c.topic == self._info_topic]
        # No connections would be taken for all.
        first = next(readable_messages(self._path, reader, chosen), None) if chosen else None
        if first is None:
            return self._settings.required_camera(self._path)
        if self._rectified:
            self.notes.append(
                f"the images of {self._topic} are rectified, by its name: P of camera_info is their "
                "calibration, without distortion"
            )
        return self._camera_of(first[2])

    def _camera_of(self, info: Any) -> Camera:
        try:
            return camera_of(info, self._rectified)
        except BlurImuError as error:
            raise RecordingError(f"{self._path} {self._info_topic}: {error}") from error


def topics_of(reader: AnyReader) -> str:
    """Return the topics of a bag and their types, for a person."""
    return ", ".join(f"{c.topic} ({c.msgtype})" for c in reader.connections) or "none"


def _parent(topic: str) -> str:
    return topic.rsplit("/", 1)[0]


def typestore() -> Typestore:
    """Return the messages of ROS 2 and ours, for bags that do not hold definitions."""
    store = get_typestore(Stores.ROS2_JAZZY)
    definition = resource_path("msg", "BlurMotion.msg")
    if definition is not None:
        store.register(get_types_from_msg(definition.read_text(), MOTION))
    return store


def readable_messages(
    path: Path, reader: AnyReader, connections: Sequence[Connection], decode: bool = True
) -> Iterator[tuple[Connection, int, Any]]:
    """Yield connection, time of recording (ns) and message, or its bytes without `decode`.

    Raises:
        RecordingError: the bag is damaged; all that is readable has been given.
    """
    count = 0
    messages = reader.messages(connections=connections)
    while True:
        try:
            connection, time, raw = next(messages)
            message = reader.deserialize(raw, connection.msgtype) if decode else raw
        except StopIteration:
            return
        except Exception as error:  # rosbags raises what its readers meet.
            raise RecordingError(
                f"{path}: is damaged after {count} messages: {_reason(error)}"
            ) from error
        yield connection, time, message
        count += 1


def opened(path: Path) -> AnyReader:
    """Return an open reader; it is a context manager that closes it."""
    return _Reader(path)  # type: ignore[return-value]


class _Reader:
    """Turns what rosbags raises on opening into one clear line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: AnyReader | None = None

    def __enter__(self) -> AnyReader:
        try:
            self._reader = AnyReader([_bag_path(self._path)], default_typestore=typestore())
            return self._reader.__enter__()
        except Exception as error:  # rosbags raises what its readers meet.
            raise RecordingError(
                f"{self._path}: cannot be read as a bag: {_reason(error)}"
            ) from error

    def __exit__(self, *details: Any) -> None:
        if self._reader is not None:
            self._reader.__exit__(*details)


def _bag_path(path: Path) -> Path:
    """Return the folder for the storage file of a rosbag2 with metadata, else the path."""
    if path.suffix in {".db3", ".mcap"} and (path.parent / "metadata.yaml").is_file():
        return path.parent
    return path


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    if isinstance(error, AnyReaderError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
