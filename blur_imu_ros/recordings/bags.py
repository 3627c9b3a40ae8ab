"""rosbag1, and rosbag2 in sqlite3 or mcap, read without ROS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from blur_imu_ros.camera import Camera
from blur_imu_ros.errors import BlurImuError, RecordingError
from blur_imu_ros.frame import Frame
from blur_imu_ros.image_decoding import CameraInfo, decode_compressed, decode_image
from blur_imu_ros.recordings.settings import FrameSettings
from blur_imu_ros.resources import PACKAGE, resource_path

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
            topics = {c.topic: c for c in reader.connections if c.msgtype in (RAW, COMPRESSED)}
            self._topic = self._choose(sorted(topics))
            self._count = int(topics[self._topic].msgcount)
            self._camera = settings.camera or self._camera_in(reader)

    def __len__(self) -> int:
        """Return the number of images."""
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; a damaged bag says so after its last readable one.

        A stray one whose stamp is not later than that before it is left out, and a note tells so.
        """
        with opened(self._path) as reader:
            connections = [c for c in reader.connections if c.topic == self._topic]
            messages = readable_messages(self._path, reader, connections)
            before, late, left_out = -np.inf, 0, []
            for index, (connection, time, message) in enumerate(messages):
                frame = self._frame(message, connection.msgtype, index)
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

    def _check_late(self, frame: Frame, before: float, late: int) -> None:
        """Raise RecordingError where so many images are late that it is no stray one."""
        if late > min(MOST_LATE, self._count // 2):
            raise RecordingError(
                f"{self._path} {frame.name}: its stamp, {frame.t:.6f} s, is not later than "
                f"that of an image before, {before:.6f} s, and so were those of the last {late}; "
                "give --stamps"
            )

    def _frame(self, message: Any, kind: str, index: int) -> Frame:
        name = f"{self._topic}:{index}"
        stamp = self._settings.stamp(index, stamp_of(message), self._path)
        try:
            return self._settings.frame(_image(message, kind), stamp, self._camera, name)
        except BlurImuError as error:
            if name in str(error):
                raise
            raise RecordingError(f"{self._path} {name}: {error}") from error

    def _choose(self, topics: list[str]) -> str:
        wanted = self._settings.topic
        listed = ", ".join(topics) or "none"
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

    def _camera_in(self, reader: AnyReader) -> Camera:
        """Return the first calibration of the topic that lies beside the images."""
        known = [c for c in reader.connections if c.msgtype == CAMERA_INFO]
        beside = [c for c in known if _parent(c.topic) in (_parent(self._topic), self._topic)]
        chosen = beside or (known if len(known) == 1 else [])
        infos = readable_messages(self._path, reader, chosen) if chosen else ()
        for connection, _, message in infos:
            try:
                return camera_of(message)
            except BlurImuError as error:
                raise RecordingError(f"{self._path} {connection.topic}: {error}") from error
        return self._settings.required_camera(self._path)


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


def _image(message: Any, kind: str) -> NDArray[np.uint8]:
    if kind == COMPRESSED:
        return decode_compressed(message.data)
    return decode_image(
        message.height,
        message.width,
        message.encoding,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )


def camera_of(message: Any) -> Camera:
    """Return the camera of a CameraInfo message of ROS 1 or 2; CameraError if it is unusable."""
    k = message.k if hasattr(message, "k") else message.K
    d = message.d if hasattr(message, "d") else message.D
    roi = message.roi
    return CameraInfo(
        width=message.width,
        height=message.height,
        k=[float(x) for x in k],
        d=[float(x) for x in d],
        distortion_model=message.distortion_model,
        binning_x=message.binning_x,
        binning_y=message.binning_y,
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
    ).camera()
