"""Frames of an image topic as they come, for `blur-imu live`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame, check_exposure_time
from blur_imu_ros.core.lens import doubts
from blur_imu_ros.errors import BlurImuError, FrameError, RecordingError
from blur_imu_ros.execution.newest import Newest
from blur_imu_ros.recordings.camera_info import (
    camera_of,
    info_topics,
    named_rectified,
    rectified_doubt,
)
from blur_imu_ros.recordings.image_messages import image_of
from blur_imu_ros.ros.calibration_topic import calibration_profile
from blur_imu_ros.ros.image_times import ImageTimes
from blur_imu_ros.ros.image_topic import offered, profile_of

PATIENCE = 5.0
"""Seconds to wait for a publisher, for the calibration, and for an image."""
DISCOVERY = 1.0
"""Seconds in which the publisher of the calibration is found after that of the images."""
KINDS = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}
MOST_NOTES = 10
"""Remarks on one topic; damaged images can make endless ones."""
QUEUE = 5
"""Images that may wait to be taken; only the newest is measured."""


class LiveTopic:
    """The newest image of a topic, again and again.

    Attributes:
        notes: what was assumed, a line each.
    """

    def __init__(self, topic: str, exposure_time: float | None, camera: Camera | None) -> None:
        """Subscribe.

        Args:
            topic: of Image or CompressedImage.
            exposure_time: seconds.
            camera: calibration; None takes the `camera_info` beside the topic.

        Raises:
            FrameError: the exposure time is not known.
            RecordingError: nobody publishes images there.
        """
        self.name, self.notes = topic, list[str]()
        if exposure_time is None:
            raise FrameError(
                f"{topic}: the exposure time is not known: give it in seconds (0.010 for 10 ms)",
                cures=("exposure",),
            )
        self.exposure_time = check_exposure_time(exposure_time)
        self._camera, self._camera_error, self._times = camera, "", ImageTimes()
        if camera is not None and (doubt := rectified_doubt(topic, camera)):
            self.notes.append(doubt)
        self._newest: Newest[Any] = Newest()
        rclpy.init()
        self._node = rclpy.create_node("blur_imu_live")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        try:
            self._subscribe(KINDS[self._kind()])
        except BaseException:
            self.close()
            raise

    @property
    def dropped(self) -> int:
        """How many images came while another was measured."""
        return self._newest.dropped

    def _kind(self) -> str:
        """Return the type of the topic, as soon as somebody publishes it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            known = dict(self._node.get_topic_names_and_types())
            for kind in known.get(self.name, []):
                if kind in KINDS:
                    return kind
            self._executor.spin_once(timeout_sec=0.05)
        images = [name for name, kinds in known.items() if set(kinds) & set(KINDS)]
        raise RecordingError(
            f"{self.name}: nobody publishes images there; image topics: "
            f"{', '.join(images) or 'none'}"
        )

    def _subscribe(self, kind: type) -> None:
        # Who publishes is known here: it has been waited for.
        profile = profile_of(offered(self._node, self.name) or "best_effort", QUEUE)
        self._node.create_subscription(kind, self.name, self._newest.put, profile)
        if self._camera is None:
            self._rectified = named_rectified(self.name)
            self._info_topic = self._published(info_topics(self.name))
            profile = calibration_profile(self._node, self._info_topic)
            self._node.create_subscription(CameraInfo, self._info_topic, self._on_info, profile)

    def _published(self, topics: tuple[str, ...]) -> str:
        """Return the first topic that is published, as soon as one is; the first where none is."""
        end = time.monotonic() + DISCOVERY
        while time.monotonic() < end:
            for topic in topics:
                if self._node.count_publishers(topic):
                    return topic
            self._executor.spin_once(timeout_sec=0.05)
        return topics[0]

    def _on_info(self, message: CameraInfo) -> None:
        try:
            self._camera, self._camera_error = camera_of(message, self._rectified), ""
        except BlurImuError as error:
            self._camera, self._camera_error = None, f"{self._info_topic}: {error}"

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            self._newest.end()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest image that can be used, whenever asked.

        Raises:
            RecordingError: none comes any more, or none of those that come can be used.
        """
        self._thread.start()
        index, usable = 0, time.monotonic()
        looked_at: Camera | None = None
        while True:
            message = self._newest.take(PATIENCE)
            if message is None:
                raise RecordingError(f"{self.name}: delivers no image" + " any more" * bool(index))
            waited_long = time.monotonic() - usable > PATIENCE
            if (camera := self._camera) is None:
                if waited_long:
                    raise RecordingError(
                        self._camera_error
                        or f"{self._info_topic}: no calibration arrives; give one as a file",
                        cures=("camera",),
                    )
                continue
            try:
                frame = self._frame(message, camera, f"{self.name}:{index}")
            except FrameError as error:
                if waited_long:
                    raise RecordingError(f"{self.name}: {error}", cures=error.cures) from error
                self._note(f"{self.name}: an image is left out: {error}")
                continue
            finally:
                index += 1
            if camera != looked_at:
                looked_at = camera
                for doubt in doubts(camera):
                    self._note(doubt)
            usable = time.monotonic()
            yield frame

    def _frame(self, message: Any, camera: Camera, name: str) -> Frame:
        t = self._times.admit(message.header.stamp)
        return Frame(image_of(message), t, self.exposure_time, camera, name)

    def _note(self, text: str) -> None:
        """Take a note that is not there yet."""
        if text not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(text)

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        if self._thread.is_alive():  # What it waits in must not be taken down under it.
            self._thread.join(PATIENCE)
        self._node.destroy_node()
        rclpy.try_shutdown()
