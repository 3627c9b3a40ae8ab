"""The example scripts run as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from blur_imu_ros.simulation.room_renderer import blurred_image, furnished_room, hand_held
from helpers.command_line import needs_model, write_camera
from helpers.synthetic_fields import CAMERA

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPOSURE = 0.02


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Four blurred images of a furnished room, seen by `CAMERA`."""
    room, motion = furnished_room(), hand_held(seed=3)
    return [blurred_image(room, CAMERA, motion, 0.5 + k / 30, EXPOSURE) for k in range(4)]


def example(name: str, *arguments: object) -> str:
    """What a script prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["one_image.py", "video.py", "bag.py"])
def test_a_script_without_arguments_says_what_it_takes(name: str) -> None:
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"python examples/{name} " in done.stderr and "Traceback" not in done.stderr


@needs_model
def test_one_image_tells_the_motion_up_to_its_sign(
    tmp_path: Path, images: list[np.ndarray]
) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), images[0])
    lines = example("one_image.py", photo, EXPOSURE, CAMERA.fx).splitlines()
    assert len(lines) == 6 and lines[0].startswith("+/- angular velocity about x")


@needs_model
def test_a_video_is_measured_frame_by_frame(tmp_path: Path, images: list[np.ndarray]) -> None:
    folder, camera = tmp_path / "images", write_camera(tmp_path / "camera.yaml")
    folder.mkdir()
    for index, image in enumerate(images):
        cv2.imwrite(str(folder / f"{index}.png"), image)
    lines = example("video.py", folder, camera, EXPOSURE).splitlines()
    assert lines[0].startswith("t [s]") and len(lines) == 1 + len(images)


@needs_model
def test_a_bag_is_measured_without_ros(tmp_path: Path, images: list[np.ndarray]) -> None:
    lines = example("bag.py", write_bag(tmp_path / "drive.mcap", images), EXPOSURE).splitlines()
    assert lines and all("yaw" in line for line in lines)


def write_bag(path: Path, images: list[np.ndarray]) -> Path:
    """Write images and their camera_info as rosbag2."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types, k = store.types, CAMERA.matrix.ravel()
    roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:

        def write(topic: str, kind: str, t: int, *fields: object) -> None:
            stamp = types["builtin_interfaces/msg/Time"](sec=t // 10**9, nanosec=t % 10**9)
            message = types[kind](types["std_msgs/msg/Header"](stamp, "cam"), *fields)
            if topic not in topics:
                topics[topic] = bag.add_connection(topic, kind, typestore=store)
            bag.write(topics[topic], t, store.serialize_cdr(message, kind))

        topics: dict[str, object] = {}
        for index, image in enumerate(images):
            t, (rows, columns) = 10**10 + index * 33_333_333, image.shape[:2]
            info = (rows, columns, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), np.zeros(12))
            write("/cam/camera_info", "sensor_msgs/msg/CameraInfo", t, *info, 0, 0, roi)
            pixels = ("bgr8", 0, columns * 3, image.ravel())
            write("/cam/image_raw", "sensor_msgs/msg/Image", t, rows, columns, *pixels)
    return path


def test_the_listener_prints_what_the_node_publishes(ros: None) -> None:
    import rclpy
    from sensor_msgs.msg import Imu

    command = [sys.executable, str(EXAMPLES / "live_node.py")]
    heard = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    node = rclpy.create_node("camera")
    try:
        publisher = node.create_publisher(Imu, "imu_visual/data_raw", 10)
        deadline = time.monotonic() + 30
        while not publisher.get_subscription_count() and time.monotonic() < deadline:
            time.sleep(0.05)
        message = Imu()
        message.angular_velocity.z = 1.5
        publisher.publish(message)
        assert heard.stdout is not None and "yaw +1.50 rad/s" in heard.stdout.readline()
    finally:
        heard.terminate()
        heard.wait(timeout=20)
        node.destroy_node()
