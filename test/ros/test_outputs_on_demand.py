"""Outputs that are asked for: odometry, a merged Imu, other timestamps, no linear velocity, a
reset."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")
pytest.importorskip("std_srvs", reason="std_srvs is not installed")
pytest.importorskip("nav_msgs", reason="nav_msgs is not installed")

from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu
from std_srvs.srv import Trigger

from blur_imu_ros.ros import frames, messages
from helpers.ros_bench import TAU, Bench, Oracle, started, vector


def hear(one: Bench, kind: Any, topic: str) -> list[Any]:
    """Return what comes on a topic from now on."""
    heard: list[Any] = []
    one.peer.create_subscription(kind, topic, heard.append, 10)
    one.until(lambda: one.node.count_subscribers(topic) > 0)
    return heard


@pytest.mark.parametrize("odometry", ["orientation", "pose"])
def test_odometry_is_published_where_asked(bench: Any, odometry: str) -> None:
    one = started(bench, Oracle((0, -1, 0), (0, 0, 1)), odometry=odometry, odom_frame="start")
    heard = hear(one, Odometry, "odom_visual")
    assert one.send_until(lambda: len(heard) > 5)
    last = heard[-1]
    assert (last.header.frame_id, last.child_frame_id) == ("start", "camera_frame")
    elapsed = messages.seconds(last.header.stamp) - messages.seconds(
        one.heard["imu"][0].header.stamp
    )
    # Turning left and going ahead.
    assert 2 * np.arcsin(last.pose.pose.orientation.z) == pytest.approx(elapsed, rel=0.1)
    assert (last.pose.pose.position.x > 0.5 * elapsed) == (odometry == "pose")
    assert (last.pose.covariance[0] >= 1e6) == (odometry == "orientation")
    np.testing.assert_allclose(vector(last.twist.twist.linear), [1, 0, 0], atol=0.3)


def test_without_being_asked_there_is_neither_odometry_nor_a_merged_imu(bench: Any) -> None:
    one = started(bench)
    names = {name for name, _ in one.node.get_publisher_names_and_types_by_node("blur_imu", "/")}
    assert "/odom_visual" not in names and "/imu/data" not in names


def test_odometry_that_is_not_installed_is_named(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(messages, "Odometry", None)
    one = bench(Oracle(), odometry="pose")
    one.node.trigger_configure()
    assert one.until(lambda: any("ros-$ROS_DISTRO-nav-msgs" in s.message for s in one.statuses()))


def test_linear_velocity_is_left_out_where_asked(bench: Any) -> None:
    one = started(bench, publish_linear=False)
    assert one.send_until(lambda: len(one.heard["imu"]) > 2)
    assert not one.heard["twist"]


@pytest.mark.parametrize("direction", ["none", "adjacent"])
def test_outputs_are_stamped_as_the_image_where_asked(bench: Any, direction: str) -> None:
    one = started(
        bench, output_stamp="image", stamp_reference="start", direction=direction,
        minimum_direction_probability=0.5,
    )  # fmt: skip
    assert one.send_until(lambda: len(one.heard["imu"]) > 2 and len(one.heard["twist"]) > 2)
    sent = [messages.stamp(100.0 + k / 30) for k in range(200)]
    for message in (*one.heard["imu"], *one.heard["twist"], *one.heard["motion"]):
        assert message.header.stamp in sent, "to the nanosecond"


class Accelerometer:
    """Publishes an acceleration at 200 Hz around the images of a bench."""

    def __init__(self, one: Bench, frame_id: str) -> None:
        self.one, self.frame_id = one, frame_id
        self.out = one.peer.create_publisher(Imu, "accelerometer", 200)
        one.until(lambda: self.out.get_subscription_count() > 0)

    def tell(self, value: Any = (1.0, 2.0, 9.0)) -> None:
        for k in range(-10, 20):
            message = Imu()
            message.header.stamp = messages.stamp(self.one.stamp + k / 200)
            message.header.frame_id = self.frame_id
            a = message.linear_acceleration
            a.x, a.y, a.z = (float(x) for x in value)
            message.linear_acceleration_covariance = np.diag([0.1, 0.2, 0.3]).ravel()
            self.out.publish(message)
        self.one.wait(0.05)

    def heard(self, heard: list[Any]) -> bool:
        for _ in range(30):
            self.tell()
            self.one.send()
            if self.one.until(lambda: heard, 0.2):
                return True
        return False


def test_a_real_acceleration_is_merged(bench: Any) -> None:
    one = started(bench, merge_accelerometer=True)
    heard = hear(one, Imu, "imu/data")
    assert one.send_until(lambda: one.heard["imu"]) and not heard, "none without acceleration"
    assert Accelerometer(one, "camera_frame").heard(heard)
    (merged, *_), t = heard, messages.seconds(heard[0].header.stamp)
    np.testing.assert_allclose(vector(merged.linear_acceleration), [1, 2, 9])
    np.testing.assert_allclose(
        np.diag(np.reshape(merged.linear_acceleration_covariance, (3, 3))), [0.1, 0.2, 0.3]
    )
    np.testing.assert_allclose(vector(merged.angular_velocity), [0, 0, 2], atol=0.1)
    assert merged.orientation_covariance[0] == -1 and merged.header.frame_id == "camera_frame"
    assert any(abs(messages.seconds(m.header.stamp) - t) < 1e-9 for m in one.heard["imu"])
    assert one.until(lambda: one.fact("accelerometer") == "merged, from camera_frame")


def test_an_accelerometer_of_another_frame_is_turned_by_tf(bench: Any, monkeypatch: Any) -> None:
    half = np.sqrt(0.5)
    turn = SimpleNamespace(x=0.0, y=0.0, z=half, w=half)
    found = SimpleNamespace(transform=SimpleNamespace(rotation=turn))
    buffer = SimpleNamespace(
        can_transform=lambda *_: True, lookup_transform=lambda target, source, t: found
    )
    listener = SimpleNamespace(unregister=lambda: None)
    imitation = SimpleNamespace(Buffer=lambda: buffer, TransformListener=lambda *_, **__: listener)
    monkeypatch.setattr(frames, "tf2_ros", imitation)
    one = started(bench, merge_accelerometer=True, base_frame="")
    heard = hear(one, Imu, "imu/data")
    assert Accelerometer(one, "imu_link").heard(heard)
    np.testing.assert_allclose(vector(heard[0].linear_acceleration), [-2, 1, 9], atol=1e-9)
    covariance = np.reshape(heard[0].linear_acceleration_covariance, (3, 3))
    np.testing.assert_allclose(np.diag(covariance), [0.2, 0.1, 0.3], atol=1e-9)


def test_an_accelerometer_that_tf_does_not_reach_is_told(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(frames, "tf2_ros", None)
    one = started(bench, merge_accelerometer=True)
    heard = hear(one, Imu, "imu/data")
    assert not Accelerometer(one, "imu_link").heard(heard)
    told = "TF does not lead from camera_frame to imu_link"
    assert one.until(lambda: one.fact("accelerometer") == told)


def test_a_reset_forgets_direction_lever_arm_and_odometry(bench: Any) -> None:
    one = started(
        bench, Oracle((0, -1, 0)), motion_prior="pivot", odometry="orientation", direction="previous",
        minimum_direction_probability=0.5,
    )  # fmt: skip
    heard = hear(one, Odometry, "odom_visual")
    assert one.send_until(lambda: len(heard) > 3)
    tracker = one.session._chain._tracker
    client = one.peer.create_client(Trigger, "blur_imu/reset")
    assert one.until(client.service_is_ready)
    answer = client.call_async(Trigger.Request())
    assert one.until(answer.done) and answer.result().success
    count = len(heard)
    assert one.send_until(lambda: len(heard) > count)
    assert one.session._chain._tracker is not tracker
    assert heard[count].pose.pose.orientation.w == 1
    assert messages.seconds(heard[count].header.stamp) > 100 + TAU
