"""cv_bridge where it works, our own reader where not: the same images either way."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from sensor_msgs.msg import Image

from blur_imu_ros.errors import FrameError
from blur_imu_ros.recordings.image_messages import image_of
from blur_imu_ros.ros.image_reader import PIXEL_BYTES, ImageReader

WIDTH, HEIGHT = 12, 8


def message(encoding: str, padding: int = 0, big_endian: bool = False) -> Image:
    """A message of random pixels whose rows have so many bytes of padding."""
    channels = {"nv12": 1.5, "nv21": 1.5, "uyvy": 2, "yuv422_yuy2": 2, "mono16": 2, "16UC1": 2}
    used = int(WIDTH * channels.get(encoding, PIXEL_BYTES.get(encoding, 1)))
    rows = HEIGHT
    if encoding in ("nv12", "nv21"):
        used, rows = WIDTH, HEIGHT * 3 // 2
    step = used + padding
    data = np.random.default_rng(0).integers(0, 256, rows * step, dtype=np.uint8)
    return Image(
        height=HEIGHT, width=WIDTH, encoding=encoding, step=step, is_bigendian=big_endian,
        data=data.tobytes(),
    )  # fmt: skip


class Bridge:
    """An imitation of cv_bridge for three encodings; refuses the others."""

    used: list[str]

    def __init__(self) -> None:
        self.used = []

    def imgmsg_to_cv2(self, image: Any, desired_encoding: str) -> Any:
        self.used.append(image.encoding)
        if image.encoding not in ("rgb8", "bgr8", "mono8"):
            raise TypeError(f"Unrecognized image encoding [{image.encoding}]")
        rows = np.frombuffer(image.data, np.uint8).reshape(image.height, image.step)
        pixels = rows[:, : image.width * PIXEL_BYTES[image.encoding]]
        pixels = pixels.reshape(image.height, image.width, -1).squeeze()
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if image.encoding == "rgb8" else pixels


def install(monkeypatch: Any, bridge: Any) -> None:
    module = ModuleType("cv_bridge")
    module.CvBridge = bridge  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv_bridge", module)


def test_without_cv_bridge_our_own_reader_serves_and_nothing_is_said(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    said: list[str] = []
    reader = ImageReader(said.append)
    assert reader.name == "own reader" and not said
    np.testing.assert_array_equal(reader.read(message("rgb8")), image_of(message("rgb8")))


def test_where_it_works_it_is_used(monkeypatch: Any) -> None:
    install(monkeypatch, Bridge)
    reader = ImageReader(lambda text: pytest.fail(text))
    assert reader.name == "cv_bridge"
    np.testing.assert_array_equal(reader.read(message("rgb8", 6)), image_of(message("rgb8", 6)))
    assert reader._bridge.used == ["rgb8", "rgb8"], "the trial, and the image"


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "uyvy", "mono16", "bgra8", "bayer_rggb8"])
def test_what_it_refuses_or_reads_otherwise_is_read_by_us(monkeypatch: Any, encoding: str) -> None:
    install(monkeypatch, Bridge)
    reader = ImageReader(lambda text: pytest.fail(text))
    one = message(encoding, big_endian=encoding == "mono16")
    np.testing.assert_array_equal(reader.read(one), image_of(one))


def test_rows_that_it_misreads_are_read_by_us(monkeypatch: Any) -> None:
    install(monkeypatch, Bridge)
    reader = ImageReader(lambda text: pytest.fail(text))
    one = message("rgb8", padding=4)
    np.testing.assert_array_equal(reader.read(one), image_of(one))
    assert reader._bridge.used == ["rgb8"], "the trial alone"


def test_a_damaged_message_is_told_in_our_words(monkeypatch: Any) -> None:
    install(monkeypatch, Bridge)
    one = message("bgr8")
    one.height = 4000
    with pytest.raises(FrameError, match="its header needs"):
        ImageReader(lambda text: None).read(one)


def broken(*_: Any) -> Any:
    raise AttributeError("_ARRAY_API not found")


@pytest.mark.parametrize("when", ["imported", "used", "wrong"])
def test_one_that_does_not_work_is_said_once_and_left_out(monkeypatch: Any, when: str) -> None:
    if when == "imported":
        install(monkeypatch, broken)
    elif when == "used":
        monkeypatch.setattr(Bridge, "imgmsg_to_cv2", broken)
        install(monkeypatch, Bridge)
    else:
        monkeypatch.setattr(Bridge, "imgmsg_to_cv2", lambda self, image, _: np.zeros((2, 2, 3)))
        install(monkeypatch, Bridge)
    said: list[str] = []
    reader = ImageReader(said.append)
    assert reader.name == "own reader" and len(said) == 1
    assert "cv_bridge does not work" in said[0]
    np.testing.assert_array_equal(reader.read(message("bgr8")), image_of(message("bgr8")))


@pytest.mark.parametrize("pixels", [0, 2], ids=["no padding", "padding of two pixels"])
@pytest.mark.parametrize("encoding", sorted(PIXEL_BYTES))
def test_the_real_one_reads_what_we_read(encoding: str, pixels: int) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")
    reader = ImageReader(lambda text: pytest.skip(text))
    assert isinstance(reader._bridge, cv_bridge.CvBridge)
    one = message(encoding, padding=pixels * PIXEL_BYTES[encoding])
    np.testing.assert_array_equal(reader.read(one), image_of(one))
