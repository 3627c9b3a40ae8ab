"""rosbag1, and rosbag2 in sqlite3 or mcap, read without ROS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import BlurImuError, FrameError, RecordingError
from blur_imu_ros.recordings.bag_files import BagFile, is_ros, reason
from blur_imu_ros.recordings.camera_info import (
    camera_of,
    info_topics,
    named_rectified,
    rectified_doubt,
)
from blur_imu_ros.recordings.image_messages import image_of
from blur_imu_ros.recordings.mcap_files import GapError
from blur_imu_ros.recordings.message_times import stamp_of
from blur_imu_ros.recordings.reduced_jpeg import reduced_message
from blur_imu_ros.recordings.settings import FrameSettings
from blur_imu_ros.recordings.usable_frames import MOST_UNREAD, Item, usable_frames
from blur_imu_ros.recordings.video_packets import VIDEOS, PacketDecoder, codec_of

FIRST_STAMPS = 3
"""Images by which it is seen whether a camera stamps its images."""
LONGEST_SIMULATION = 1e6
"""Seconds. Clocks that begin at zero do not get so far."""
IMAGES = (
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "foxglove_msgs/msg/RawImage",
    "foxglove_msgs/msg/CompressedImage",
    *VIDEOS,
)
CAMERA_INFOS = ("sensor_msgs/msg/CameraInfo", "foxglove_msgs/msg/CameraCalibration")
EXPOSURES = ("realsense2_camera_msgs/msg/Metadata", "flir_camera_msgs/msg/ImageMetaData")
"""Messages by which drivers tell the exposure time of each image."""
LONGEST_REORDERING = 64
"""Packets of a video that wait for their image; the order of packets is not that of images."""

_Message = tuple[int, Any, Camera]
"""Time of recording (ns), message and camera of an image."""
_Picture = tuple[int, int, Any, Camera, NDArray[np.uint8] | None]
"""Number, then the same, and the image where the message does not hold it itself."""
DEPTH = "/compressedDepth"
"""How image_transport ends the names of topics of compressed depth images."""


class Bag:
    """The images of one topic of a bag."""

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """Find topic and camera; RecordingError names what is missing and lists candidates."""
        self.name = path.name
        self.notes: list[str] = []
        self._path, self._settings = path, settings
        with BagFile(path) as reader:
            self.notes += reader.notes
            self._topic = self._choose(reader)
            self._rectified = named_rectified(self._topic)
            self._info_topic = None if settings.camera else self._info_topic_in(reader)
            settings.require(path, has_camera=self._info_topic is not None)
            self._count = sum(c.msgcount for c in reader.connections if c.topic == self._topic)
            self._camera = settings.camera or self._first_camera(reader)
            self._look_at_first(reader)
            self._note_exposures(reader)
        if settings.camera and (doubt := rectified_doubt(self._topic, settings.camera)):
            self.notes.append(doubt)
        self.notes += settings.stamp_notes(self._count)

    def _note_exposures(self, reader: BagFile) -> None:
        """Say that exposure times of the driver are passed over: they may change with the light."""
        topics = sorted({c.topic for c in reader.connections if c.msgtype in EXPOSURES})
        if topics:
            self.notes.append(
                f"the exposure times that the driver recorded ({', '.join(topics)}) are not used: "
                "one is taken for all images; the ROS node follows them (exposure_source)"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images that can be used, those of a damaged bag as far as it can be read.

        The camera is that of the newest camera_info that can be used.
        """
        frame_ids: dict[str, None] = {}
        with BagFile(self._path) as reader:
            for frame in usable_frames(
                self._path, self._items(reader), self.notes, self._count, self._settings.strict
            ):
                frame_ids[frame.frame_id] = None
                yield frame
        if len(frame_ids) > 1:
            self.notes.append(
                f"images of {self._topic} come from the frames {', '.join(frame_ids)}: are there "
                "several cameras on the topic? They were measured as one"
            )

    def _items(self, reader: BagFile) -> Iterator[Item]:
        index = -1
        pictures = self._of_video if self._codec else _each_its_own
        try:
            for index, time, message, camera, image in pictures(self._images(reader)):
                name = f"{self._topic}:{index}"
                yield Item(name, partial(self._frame, message, camera, index, name, time, image))
        except DamagedBagError as error:
            # Stamps that are given by number do not fit behind a gap.
            misfit = error.has_gap and self._settings.stamps is not None
            if self._settings.strict or index < 0 or misfit:
                raise
            self.notes.append(f"{error}; what can be read of it is measured")

    def _of_video(self, messages: Iterator[_Message]) -> Iterator[_Picture]:
        """Yield the images of packets of a video, and note how many packets gave none."""
        assert self._codec is not None
        packets = _Packets(PacketDecoder(self._codec, f"{self._path} {self._topic}"))
        damage: DamagedBagError | None = None
        try:
            for message in messages:
                yield from packets.take(message)
        except DamagedBagError as error:
            damage = error
        yield from packets.rest()
        count, given = packets.count, packets.given
        if count and not given:
            raise RecordingError(
                f"{self._path} {self._topic}: its format '{self._codec}' is video, and none of its "
                f"{count} packets can be decoded; does it lack its key frames?"
            )
        if given < count:
            self.notes.append(
                f"{count - given} of {count} packets of video gave no image: they come before the "
                "first key frame, or are damaged"
            )
        if damage is not None:
            raise damage

    def _images(self, reader: BagFile) -> Iterator[tuple[int, Any, Camera]]:
        """Yield time of recording (ns), message and camera of each image."""
        camera, topics, unread = self._camera, (self._topic, self._info_topic), list[str]()
        chosen = [c for c in reader.connections if c.topic in topics]
        for connection, time, message in readable_messages(
            self._path, reader, chosen, tolerant=not self._settings.strict
        ):
            if connection.topic != self._info_topic:
                yield time, message, camera
                continue
            try:
                camera = self._camera_of(message)
            except RecordingError as error:
                if self._settings.strict:
                    raise
                unread.append(str(error))
        if unread:
            self.notes.append(
                f"{len(unread)} messages of {self._info_topic} cannot be used: {unread[0]}; the "
                "camera stays what it was before"
            )

    def _frame(
        self,
        message: Any,
        camera: Camera,
        index: int,
        name: str,
        time: int,
        image: NDArray[np.uint8] | None,
    ) -> Frame:
        if isinstance(message, DamagedBagError):
            raise FrameError(f"{name}: {message}")
        own = time * 1e-9 if self._unstamped else stamp_of(message)
        if own == 0 and self._zero_is_none and self._settings.stamps is None:
            raise FrameError(f"{name}: is not stamped: its time is 0")
        stamp = self._settings.stamp(index, own, self._path)
        frame = self._frame_of(message, camera, name, stamp, image)
        frame_id = message.frame_id if hasattr(message, "timestamp") else message.header.frame_id
        return replace(frame, frame_id=frame_id, received=time * 1e-9)

    def _frame_of(
        self,
        message: Any,
        camera: Camera,
        name: str,
        stamp: float,
        image: NDArray[np.uint8] | None,
    ) -> Frame:
        """Return the frame of an image, or of a message that is not decoded yet."""
        if image is not None:
            return self._settings.frame(image, stamp, camera, name)
        small = reduced_message(message, camera, self._settings.view)
        if small is None:
            return self._settings.frame(image_of(message), stamp, camera, name)
        frame = self._settings.frame(small[0], stamp, small[1], name)
        whole = partial(self._frame_of, message, camera, name, stamp)
        return replace(frame, whole=lambda: whole(image_of(message)))

    def _choose(self, reader: BagFile) -> str:
        """Return the topic asked for, or the only one that has images."""
        topics = sorted({c.topic for c in reader.connections if c.msgtype in IMAGES})
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
        colour = [topic for topic in topics if not topic.endswith(DEPTH)]
        if len(colour) == 1:
            return colour[0]
        if len(topics) != 1:
            raise RecordingError(
                f"{self._path}: has {len(topics)} image topics ({listed}); choose one of them",
                cures=("topic",),
            )
        return topics[0]

    def _info_topic_in(self, reader: BagFile) -> str | None:
        """Return the topic of the images' camera_info: beside theirs, or the only one."""
        known = sorted({c.topic for c in reader.connections if c.msgtype in CAMERA_INFOS})
        places = info_topics(self._topic)
        for place in places:
            if place in known:
                return place
        candidates = [topic for topic in known if _parent(topic) == _parent(places[0])] or known
        if len(candidates) > 1:
            raise RecordingError(
                f"{self._path}: several camera_info topics may belong to {self._topic} "
                f"({', '.join(candidates)}); give the calibration as a file",
                cures=("camera",),
            )
        return candidates[0] if candidates else None

    def _first_camera(self, reader: BagFile) -> Camera:
        """Return the camera of the first camera_info; RecordingError where there is none."""
        chosen = [c for c in reader.connections if c.topic == self._info_topic]
        camera, refusals = None, list[RecordingError]()
        # No connections would be taken for all.
        cameras = self._messages(reader, chosen) if chosen else iter(())
        while camera is None and len(refusals) < MOST_UNREAD and (info := next(cameras, None)):
            try:
                camera = self._camera_of(info)
            except RecordingError as error:
                refusals.append(error)
        if camera is None:
            if refusals:
                raise refusals[0]
            return self._settings.required_camera(self._path)
        if self._rectified:
            self.notes.append(
                f"the images of {self._topic} are rectified, by its name: P of camera_info is "
                "their calibration, without distortion"
            )
        return camera

    def _messages(self, reader: BagFile, chosen: Sequence[Connection]) -> Iterator[Any]:
        """Yield the messages that can be read, without a word on others."""
        with suppress(DamagedBagError):
            for _, _, message in readable_messages(self._path, reader, chosen, tolerant=True):
                if not isinstance(message, DamagedBagError):
                    yield message

    def _look_at_first(self, reader: BagFile) -> None:
        """See whether images are packets of a video, and stamped: stamps that are all zero are
        none."""
        chosen = [c for c in reader.connections if c.topic == self._topic]
        first = list(islice(self._messages(reader, chosen), FIRST_STAMPS))
        stamps = [stamp_of(message) for message in first]
        self._codec = codec_of(first[0]) if first else None
        if self._codec is not None:
            PacketDecoder(self._codec, f"{self._path} {self._topic}")
        self._unstamped = bool(stamps) and not any(stamps) and len(stamps) > 1
        self._zero_is_none = any(t > LONGEST_SIMULATION for t in stamps)
        if self._unstamped and self._settings.stamps is None:
            self.notes.append(
                f"the images of {self._topic} are not stamped: the time of their recording is taken"
            )

    def _camera_of(self, info: Any) -> Camera:
        if isinstance(info, DamagedBagError):
            raise info
        try:
            return camera_of(info, self._rectified)
        except BlurImuError as error:
            raise RecordingError(f"{self._path} {self._info_topic}: {error}") from error


class _Packets:
    """Messages that hold packets of a video, and the images that come out of them.

    Attributes:
        count, given: how many packets went in, and how many images came out.
    """

    def __init__(self, decoder: PacketDecoder) -> None:
        self._decoder, self._waiting = decoder, dict[int, _Message]()
        self.count = self.given = 0

    def take(self, message: _Message) -> Iterator[_Picture]:
        """Yield the images that are ready once the packet of a message is in."""
        number, self.count = self.count, self.count + 1
        self._waiting[number] = message
        self._waiting.pop(number - LONGEST_REORDERING, None)
        data = b"" if isinstance(message[1], DamagedBagError) else bytes(message[1].data)
        yield from self._pictures(self._decoder.decode(number, data))

    def rest(self) -> Iterator[_Picture]:
        """Yield what is still in the decoder."""
        yield from self._pictures(self._decoder.flush())

    def _pictures(self, images: Iterator[tuple[int, NDArray[np.uint8]]]) -> Iterator[_Picture]:
        for number, image in images:
            if number in self._waiting:
                self.given += 1
                yield (number, *self._waiting.pop(number), image)


def _each_its_own(messages: Iterator[_Message]) -> Iterator[_Picture]:
    """Yield the messages that hold their images themselves."""
    for index, one in enumerate(messages):
        yield (index, *one, None)


def topics_of(reader: BagFile) -> str:
    """Return the topics of a bag and their types, for a person."""
    return ", ".join(f"{c.topic} ({c.msgtype})" for c in reader.connections) or "none"


def _parent(topic: str) -> str:
    return topic.rsplit("/", 1)[0]


class DamagedBagError(RecordingError):
    """Part of a bag cannot be read.

    Attributes:
        has_gap: whether messages behind that part have been given.
    """

    def __init__(self, text: str, has_gap: bool = False) -> None:
        """Keep the text, and whether messages are missing between others."""
        super().__init__(text)
        self.has_gap = has_gap


def readable_messages(
    path: Path,
    reader: BagFile,
    connections: Sequence[Connection],
    decode: bool = True,
    tolerant: bool = False,
) -> Iterator[tuple[Connection, int, Any]]:
    """Yield connection, time of recording (ns) and message, or its bytes without `decode`.

    Args:
        path: of the bag, for messages.
        reader: an open one.
        connections: whose messages are wanted.
        decode: whether messages or bytes are.
        tolerant: yield a DamagedBagError in place of a message that cannot be decoded; else it ends
            the reading.

    Raises:
        DamagedBagError: the bag is damaged; all that is readable has been given.
        RecordingError: the type of the messages is not known.
    """
    count = 0
    messages = reader.messages(connections)
    for connection in filter(is_ros, connections) if decode else ():
        reader.store_of(connection)
    while True:
        try:
            connection, time, raw = next(messages)
        except StopIteration:
            return
        except Exception as error:  # rosbags raises what its readers meet.
            said = f"{path}: is damaged after {count} messages: {reason(error)}"
            raise DamagedBagError(said, isinstance(error, GapError)) from error
        try:
            message = reader.deserialize(raw, connection) if decode else raw
        except Exception as error:
            message = DamagedBagError(f"{path}: is damaged after {count} messages: {reason(error)}")
            if not tolerant:
                raise message from error
        yield connection, time, message
        count += 1
