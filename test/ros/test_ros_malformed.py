"""Messages that are wrong in every way: refused with a reason, or right; nothing else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.errors import BlurImuError, CameraError
from blur_imu_ros.recordings.camera_info import camera_of
from blur_imu_ros.recordings.image_messages import image_of
from blur_imu_ros.ros import messages
from blur_imu_ros.ros.image_times import ImageTimes
from helpers.ros_bench import FOCAL, HEIGHT, WIDTH, numbers, started

SMALL = np.zeros((24, 32), np.uint8)
GREY = np.zeros((HEIGHT, WIDTH), np.uint8)


def malformed(rng: np.random.Generator) -> Image:
    """Return a small image of which a few header fields are wrong."""
    message = messages.image_message(SMALL, 1.0, "camera_optical_frame")
    message.header.stamp = messages.stamp(float(rng.uniform(0, 2e9)))
    garbage = {
        "height": lambda: int(rng.choice([0, 1, 23, 2**16, 2**32 - 1])),
        "width": lambda: int(rng.choice([0, 1, 33, 2**16, 2**32 - 1])),
        "step": lambda: int(rng.choice([1, 31, 1000, 2**32 - 1])),
        "encoding": lambda: str(
            rng.choice(["", "bgr8", "mono16", "nv12", "bayer_rggb8", "x" * 99])
        ),
        "is_bigendian": lambda: int(rng.choice([1, 255])),
        "data": lambda: rng.integers(0, 256, rng.integers(0, 700), dtype=np.uint8).tobytes(),
    }
    for name in rng.choice(list(garbage), rng.integers(1, 4), replace=False):
        setattr(message, name, garbage[name]())
    return message


def garbled(rng: np.random.Generator) -> CameraInfo:
    """Return a camera_info of which a few fields are wrong."""
    info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob")
    info.k = [FOCAL, 0.0, 159.5, 0.0, FOCAL, 119.5, 0.0, 0.0, 1.0]
    odd = [0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-300]
    garbage = {
        "width": lambda: int(rng.choice([0, 1, 2**32 - 1])),
        "height": lambda: int(rng.choice([0, 1, 2**32 - 1])),
        "k": lambda: rng.choice(odd, 9),
        "d": lambda: rng.choice(odd, rng.integers(0, 15)).tolist(),
        "distortion_model": lambda: str(rng.choice(["", "equidistant", "fisheye", "x" * 99])),
        "binning_x": lambda: int(rng.choice([2, 10**6, 2**32 - 1])),
        "roi": lambda: RegionOfInterest(
            x_offset=int(rng.choice([0, 2**32 - 1])),
            height=int(rng.choice([1, 2**32 - 1])),
            width=int(rng.choice([1, 2**32 - 1])),
        ),
    }
    for name in rng.choice(list(garbage), rng.integers(1, 4), replace=False):
        setattr(info, name, garbage[name]())
    return info


def impossible(rng: np.random.Generator) -> Time:
    """Return a stamp of which seconds or nanoseconds may be anything."""
    sec = rng.choice([-(2**31), -1, 0, 1, 2**31 - 1])
    return Time(sec=int(sec), nanosec=int(rng.choice([0, 1, 10**9 - 1, 10**9, 2**32 - 1])))


def resident_bytes() -> int:
    """Return the memory that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- ten thousand, where they are converted -----------------------------------------------------


def refusals(count: int, attempt: Callable[[], Any]) -> Counter[str]:
    """Return how often each kind of refusal came of `count` attempts; other errors are raised."""
    found: Counter[str] = Counter()
    for _ in range(count):
        try:
            attempt()
            found["taken"] += 1
        except BlurImuError as error:
            assert len(str(error).splitlines()) == 1
            found[type(error).__name__] += 1
    return found


def test_six_thousand_malformed_images_are_images_or_refused() -> None:
    rng = np.random.default_rng(7)

    def attempt() -> None:
        message = malformed(rng)
        image = image_of(message)
        assert image.dtype == np.uint8 and image.shape[:2] == (message.height, message.width)

    refusals(500, attempt)
    before = resident_bytes()
    found = refusals(5500, attempt)
    assert set(found) == {"taken", "FrameError"} and min(found.values()) > 100
    assert resident_bytes() - before < 20e6


def test_three_thousand_garbled_calibrations_are_cameras_or_refused() -> None:
    rng = np.random.default_rng(8)

    def attempt() -> None:
        camera = camera_of(garbled(rng))
        assert np.isfinite(camera.matrix).all() and camera.fx > 0 and camera.fy > 0
        assert 0 < camera.width and 0 < camera.height

    found = refusals(3000, attempt)
    assert set(found) == {"taken", "CameraError"} and min(found.values()) > 30


def test_a_camera_that_is_taken_gives_a_view_or_a_reason() -> None:
    rng = np.random.default_rng(9)

    def attempt() -> None:
        # Garbage among what is small enough to be quick.
        info = garbled(rng)
        if max(info.width, info.height) > 1000:
            raise CameraError("not asked for here")
        assert NetworkView(camera_of(info), 64, 48).camera.width == 64

    found = refusals(400, attempt)
    assert set(found) == {"taken", "CameraError"}


def test_a_thousand_stamps_are_times_in_order_or_refused() -> None:
    rng, times = np.random.default_rng(10), ImageTimes()
    taken: list[tuple[int, float]] = []

    def attempt() -> None:
        seconds = times.admit(impossible(rng))
        taken.append((times.epoch, seconds))

    found = refusals(1000, attempt)
    assert set(found) == {"taken", "FrameError"} and min(found.values()) > 30
    assert taken == sorted(set(taken)), "within an epoch stamps increase"
    assert all(seconds > 0 for _, seconds in taken)


# --- hundreds, over the wire --------------------------------------------------------------------


def test_hundreds_of_malformed_images_harm_nothing(bench: Any) -> None:
    one = started(bench)
    one.peer.destroy_publisher(one.image)
    one.image = one.peer.create_publisher(Image, "image", 1)
    one.until(lambda: one.image.get_subscription_count() > 0)
    rng = np.random.default_rng(5)
    for _ in range(400):
        one.image.publish(malformed(rng))
        one.executor.spin_once(timeout_sec=0.005)
    assert one.complaint("no output")
    assert not one.heard["imu"] and not one.heard["twist"]
    silences = [p.key for p in one.statuses()[-1].values if p.key.startswith("silent")]
    assert 1 < len(silences) <= 13
    one.stamp = 2.1e9
    assert one.send_until(lambda: one.heard["imu"])
    assert np.isfinite(numbers(one)).all()


def test_hundreds_of_garbled_calibrations_harm_nothing(bench: Any) -> None:
    one = started(bench)
    rng = np.random.default_rng(6)
    for index in range(300):
        one.info.publish(garbled(rng))
        if index % 3 == 0:
            one.send(GREY)
        one.executor.spin_once(timeout_sec=0.005)
    one.wait(0.2)
    assert not any("internal error" in s.message for s in one.statuses())
    one.calibrate()
    one.heard["imu"].clear()
    assert one.send_until(lambda: one.heard["imu"])
    assert np.isfinite(numbers(one)).all()
