"""The images are taken as reliably as they are offered, whoever publishes them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from blur_imu_ros.ros.image_topic import compressed_topic
from blur_imu_ros.ros.topics import LATCHED
from helpers.ros_bench import WIDTH, Bench, Oracle, started

OFFERED = {
    "reliable": QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE),
    "best_effort": QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT),
}


def publish_as(one: Bench, reliability: str) -> Any:
    """Let another camera publish instead of the one before; return its publisher."""
    one.peer.destroy_publisher(one.image)
    one.image = one.peer.create_publisher(Image, "image", OFFERED[reliability])
    return one.image


@pytest.mark.parametrize("order", [("reliable", "best_effort"), ("best_effort", "reliable")])
def test_each_publisher_is_heard_as_it_offers(bench: Any, order: tuple[str, str]) -> None:
    one = started(bench)
    for reliability in order:
        publish_as(one, reliability)
        assert one.until(lambda wanted=reliability: one.session.images.reliability == wanted)
        heard = len(one.heard["imu"])
        assert one.send_until(lambda heard=heard: len(one.heard["imu"]) > heard)
        assert one.until(lambda wanted=reliability: one.fact("image reliability") == wanted)


def test_of_two_publishers_the_weaker_decides(bench: Any) -> None:
    one = started(bench)
    publish_as(one, "reliable")
    assert one.until(lambda: one.session.images.reliability == "reliable")
    other = one.peer.create_publisher(Image, "image", OFFERED["best_effort"])
    assert one.until(lambda: one.session.images.reliability == "best_effort")
    one.peer.destroy_publisher(other)
    assert one.until(lambda: one.session.images.reliability == "reliable")


def test_a_calibration_that_was_published_once_and_for_all_is_heard(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)))
    one.peer.destroy_publisher(one.info)
    one.info = one.peer.create_publisher(CameraInfo, "camera_info", LATCHED)
    one.calibrate()  # Long before the node listens.
    one.node.trigger_configure()
    one.node.trigger_activate()
    assert one.send_until(lambda: one.heard["imu"])
    # A camera that sends it with each image instead is heard as before.
    one.peer.destroy_publisher(one.info)
    one.info = one.peer.create_publisher(CameraInfo, "camera_info", OFFERED["best_effort"])
    assert one.until(lambda: one.info.get_subscription_count() > 0)
    one.heard["diag"].clear()
    for _ in range(60):
        one.calibrate(width=WIDTH + 1)
        one.send()
        if one.until(lambda: any(f"{WIDTH + 1}x" in s.message for s in one.statuses()), 0.1):
            break
    assert any(f"{WIDTH + 1}x" in s.message for s in one.statuses())


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ([], "/robot/image/compressed"),
        (["image:=/cam/image_raw"], "/cam/image_raw/compressed"),
        (["image:=/cam/image_raw/compressed"], "/cam/image_raw/compressed"),
        (["image:=/cam/a", "image/compressed:=/cam/b"], "/cam/b"),
        (["image/compressed:=/cam/b"], "/cam/b"),
    ],
)
def test_compressed_images_are_those_beside_the_topic_that_is_remapped(
    bench: Any, rules: list[str], wanted: str
) -> None:
    arguments = [part for rule in rules for part in ("-r", rule)]
    node = rclpy.create_node("remapped", namespace="/robot", cli_args=["--ros-args", *arguments])
    try:
        assert node.resolve_topic_name(compressed_topic(node)) == wanted
    finally:
        node.destroy_node()


def test_what_the_user_asks_for_is_kept(bench: Any) -> None:
    one = started(bench, image_reliability="best_effort")
    publish_as(one, "reliable")
    assert one.send_until(lambda: one.heard["imu"])
    one.wait(0.5)
    assert one.session.images.reliability == "best_effort"


def test_losses_are_told_with_their_cure(bench: Any) -> None:
    one = started(bench, image_reliability="best_effort")
    told = "images did not arrive: let the camera publish reliably"
    for _ in range(40):
        one.send()
        one.wait(0.02)
        one.send()
        # The third of three is lost.
        one.stamp += 1 / 30
        if one.until(lambda: any(told in s.message for s in one.statuses()), 0.02):
            break
    assert any(told in s.message for s in one.statuses())
    assert int(one.fact("images missing")) > 0
