"""`blur-imu live` follows an image topic."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

import rclpy
from rclpy.context import Context
from sensor_msgs.msg import CameraInfo, Image

from blur_imu_ros.errors import FrameError, RecordingError
from blur_imu_ros.ros import live_topic, messages
from blur_imu_ros.ros.live_topic import LiveTopic
from blur_imu_ros.ros.topics import LATCHED
from helpers.synthetic_fields import CAMERA


@pytest.fixture
def topic() -> Iterator[str]:
    """The topic of a camera that publishes images and its calibration."""
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("camera", context=context)
    images = node.create_publisher(Image, "/live_test/image_raw", 5)
    infos = node.create_publisher(CameraInfo, "/live_test/camera_info", 5)
    ended = threading.Event()

    def publish() -> None:
        for k in range(10**6):
            if ended.wait(0.03):
                return
            picture = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
            infos.publish(messages.camera_info_message(CAMERA, 1 + k / 30, "camera"))
            images.publish(messages.image_message(picture, 1 + k / 30, "camera"))

    thread = threading.Thread(target=publish)
    thread.start()
    yield "/live_test/image_raw"
    ended.set()
    thread.join()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_calibration_that_was_published_once_and_for_all_is_heard() -> None:
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("camera", context=context)
    images = node.create_publisher(Image, "/latched/image_raw", 5)
    infos = node.create_publisher(CameraInfo, "/latched/camera_info", LATCHED)
    infos.publish(messages.camera_info_message(CAMERA, 1.0, "camera"))
    source = LiveTopic("/latched/image_raw", 0.01, None)
    ended = threading.Event()

    def publish() -> None:
        picture = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
        while not ended.wait(0.03):
            images.publish(messages.image_message(picture, 1.0, "camera"))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        assert next(iter(source)).camera == CAMERA
    finally:
        ended.set()
        thread.join()
        source.close()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def test_images_come_with_the_calibration_beside_them(topic: str) -> None:
    source = LiveTopic(topic, 0.01, None)
    try:
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    finally:
        source.close()
    assert [frame.exposure_time for frame in frames] == [0.01] * 5
    assert frames[0].camera == CAMERA and frames[0].image.shape == (CAMERA.height, CAMERA.width, 3)
    assert all(np.diff([frame.t for frame in frames]) > 0)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_topic, "PATIENCE", 0.3)
    with pytest.raises(FrameError, match="the exposure time is not known"):
        LiveTopic("/nothing", None, None)
    with pytest.raises(RecordingError, match="/nothing: nobody publishes images there"):
        LiveTopic("/nothing", 0.01, CAMERA)


def test_the_process_ends_in_order(topic: str) -> None:
    program = (
        "from blur_imu_ros.ros.live_topic import LiveTopic\n"
        f"source = LiveTopic({topic!r}, 0.01, None)\n"
        "next(iter(source))\n"
        "source.close()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")


PICTURE = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)


@contextmanager
def camera_of(
    image: Callable[[int], Image],
    info: Callable[[int], CameraInfo],
    topic: str = "/other_test/image_raw",
) -> Iterator[LiveTopic]:
    """What follows a camera that publishes the images and calibrations of 0, 1, 2, ..."""
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("other_camera", context=context)
    images = node.create_publisher(Image, topic, 5)
    infos = node.create_publisher(CameraInfo, f"{topic.rpartition('/')[0]}/camera_info", 5)
    ended = threading.Event()

    def publish() -> None:
        for k in range(10**6):
            if ended.wait(0.03):
                return
            infos.publish(info(k))
            images.publish(image(k))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        source = LiveTopic(topic, 0.01, None)
        try:
            yield source
        finally:
            source.close()
    finally:
        ended.set()
        thread.join()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def picture(k: int) -> Image:
    return messages.image_message(PICTURE, 1 + k / 30, "camera")


def calibration(k: int) -> CameraInfo:
    return messages.camera_info_message(CAMERA, 1 + k / 30, "camera")


def test_a_camera_that_is_not_calibrated_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_topic, "PATIENCE", 1.0)

    def empty(k: int) -> CameraInfo:
        return CameraInfo(width=CAMERA.width, height=CAMERA.height)

    with (
        camera_of(picture, empty) as source,
        pytest.raises(RecordingError, match=r"/other_test/camera_info: .*not calibrated"),
    ):
        next(iter(source))


def test_a_damaged_image_costs_itself_alone() -> None:
    def image(k: int) -> Image:
        message = picture(k)
        if k % 2:
            message.data = message.data[:100]
        return message

    with camera_of(image, calibration) as source:
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    assert len(frames) == 5
    assert any("image data holds 100 bytes" in note for note in source.notes)


def test_images_none_of_which_can_be_read_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_topic, "PATIENCE", 0.5)

    def image(k: int) -> Image:
        message = picture(k)
        message.encoding = "32FC1"
        return message

    with (
        camera_of(image, calibration) as source,
        pytest.raises(RecordingError, match="encoding '32FC1' is not known"),
    ):
        next(iter(source))


def test_images_without_stamps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_topic, "PATIENCE", 0.5)

    def image(k: int) -> Image:
        return messages.image_message(PICTURE, 0.0, "camera")

    with (
        camera_of(image, calibration) as source,
        pytest.raises(RecordingError, match="the image has no stamp"),
    ):
        next(iter(source))


def test_images_that_are_not_later_are_left_out() -> None:
    def image(k: int) -> Image:
        return messages.image_message(PICTURE, 1 + (k - k % 3) / 30, "camera")

    with camera_of(image, calibration) as source:
        times = [frame.t for frame, _ in zip(source, range(5), strict=False)]
    assert all(np.diff(times) > 0)
    assert any("has the stamp of the one before" in note for note in source.notes)


def test_the_newest_calibration_is_taken() -> None:
    zoomed = replace(CAMERA, fx=CAMERA.fx * 1.5, fy=CAMERA.fy * 1.5)

    def info(k: int) -> CameraInfo:
        return messages.camera_info_message(CAMERA if k < 40 else zoomed, 1 + k / 30, "camera")

    with camera_of(picture, info) as source:
        focal = [frame.camera.fx for frame, _ in zip(source, range(60), strict=False)]
    assert focal[0] == CAMERA.fx and focal[-1] == zoomed.fx
