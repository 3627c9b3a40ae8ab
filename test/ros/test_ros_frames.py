"""TF, with a small imitation of tf2_ros, which is on no package index: what the node asks of it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from blur_imu_ros.ros import frames, messages
from helpers.ros_bench import Bench, Oracle

SAID = "publishing, but TF does not lead from base_link to camera_frame"


class Tree:
    """What is known of TF, and who listens."""

    def __init__(self) -> None:
        self.reached: set[tuple[str, str]] = set()
        self.listeners = 0

    def can_transform(self, target: str, source: str, time: Any) -> bool:
        return (target, source) in self.reached

    def listener(self, buffer: Tree, node: Any, spin_thread: bool) -> Any:
        assert buffer is self and not spin_thread, "our own executor must do the work"
        self.listeners += 1
        return SimpleNamespace(unregister=self.unregister)

    def unregister(self) -> None:
        self.listeners -= 1


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Tree:
    """An installed tf2, with an empty tree."""
    one = Tree()
    imitation = SimpleNamespace(Buffer=lambda: one, TransformListener=one.listener)
    monkeypatch.setattr(frames, "tf2_ros", imitation)
    monkeypatch.setattr(frames, "PATIENCE", 0.0)
    return one


@pytest.fixture
def publishing(bench: Any) -> Callable[..., Bench]:
    """A node that measures, beside somebody who publishes TF (of any type: none is installed)."""

    def make(**values: Any) -> Bench:
        one: Bench = bench(Oracle((0, -2, 0)), **values)
        one.peer.create_publisher(TransformStamped, "/tf", 1)
        one.start()
        one.calibrate()
        assert one.send_until(lambda: one.heard["imu"])
        return one

    return make


def test_a_base_that_tf_does_not_reach_is_told_until_it_is(
    tree: Tree, publishing: Callable[..., Bench]
) -> None:
    one = publishing()
    assert one.complaint(SAID)
    assert one.statuses()[-1].level == DiagnosticStatus.WARN and tree.listeners == 1
    assert one.fact("TF from base_link") == "does not reach camera_frame"
    tree.reached.add(("base_link", "camera_frame"))
    one.heard["diag"].clear()
    assert one.send_until(lambda: any(s.message == "publishing" for s in one.statuses()))
    assert one.fact("TF from base_link") == "reaches camera_frame"
    assert tree.listeners == 0, "TF is many messages: nobody listens when the question is answered"


def test_a_frame_that_is_set_while_the_node_works_is_looked_for_too(
    tree: Tree, publishing: Callable[..., Bench]
) -> None:
    tree.reached.add(("base_link", "camera_frame"))
    one = publishing()
    assert one.send_until(lambda: one.fact("TF from base_link") == "reaches camera_frame")
    assert one.set("frame_id", "elsewhere") == ""
    assert one.complaint("publishing, but TF does not lead from base_link to elsewhere")
    assert one.set("frame_id", "") == ""
    assert one.send_until(lambda: one.fact("TF from base_link") == "reaches camera_frame")
    assert tree.listeners == 0


def test_tf_is_listened_to_while_the_node_is_active_only(
    tree: Tree, publishing: Callable[..., Bench]
) -> None:
    one = publishing()
    assert tree.listeners == 1
    one.node.trigger_deactivate()
    assert tree.listeners == 0
    one.node.trigger_activate()
    assert tree.listeners == 1


def test_a_camera_without_a_robot_is_not_bothered(tree: Tree, bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)))
    one.start()
    one.calibrate()
    said = "does not reach camera_frame: nobody publishes TF"
    assert one.send_until(lambda: one.fact("TF from base_link") == said)
    assert not any("publishing, but" in s.message for s in one.statuses())


def test_the_base_reaches_itself(tree: Tree, publishing: Callable[..., Bench]) -> None:
    one = publishing(frame_id="base_link")
    assert one.send_until(lambda: one.fact("TF from base_link") == "reaches base_link")
    assert tree.listeners == 0


def test_an_empty_base_frame_asks_for_nothing(tree: Tree, publishing: Callable[..., Bench]) -> None:
    one = publishing(base_frame="")
    assert one.send_until(lambda: any(s.message == "publishing" for s in one.statuses()))
    assert tree.listeners == 0 and not any("TF" in p.key for p in one.statuses()[-1].values)


def test_where_tf2_is_not_installed_that_is_a_fact_and_no_fault(
    monkeypatch: pytest.MonkeyPatch, publishing: Callable[..., Bench]
) -> None:
    monkeypatch.setattr(frames, "tf2_ros", None)
    one = publishing()
    assert one.send_until(lambda: any(s.message == "publishing" for s in one.statuses()))
    assert one.fact("TF from base_link") == "not known: tf2_ros is not installed"


def test_images_that_name_no_frame_get_one_that_is_told(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)), axes="optical")
    one.start()
    one.calibrate()
    header = Header(frame_id="")
    said = "the images name no frame, so camera_optical_frame is taken"

    def send() -> bool:
        header.stamp = messages.stamp(one.stamp)
        one.send(header=header)
        return bool(one.until(lambda: any(said in s.message for s in one.statuses()), 0.1))

    assert any(send() for _ in range(60))
    assert one.heard["imu"][-1].header.frame_id == "camera_optical_frame"


def test_a_slash_of_ros_1_is_no_part_of_a_frame(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)))
    one.start()
    one.calibrate()
    for _ in range(3):
        one.send(header=Header(stamp=messages.stamp(one.stamp), frame_id="/cam_optical_frame"))
        one.wait(0.1)
    assert one.until(lambda: one.heard["imu"])
    assert one.heard["imu"][-1].header.frame_id == "cam_frame"


def test_two_cameras_on_one_topic_are_told_and_not_compared(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)))
    one.start()
    one.calibrate()
    said = "come from the frames left and right: are there two cameras on the topic?"
    epochs = set()

    def send(frame: str) -> bool:
        one.send(header=Header(stamp=messages.stamp(one.stamp), frame_id=frame))
        assert one.until(lambda: one.session._image_frame == frame)
        epochs.add(one.session.times.epoch)
        return bool(one.until(lambda: any(said in s.message for s in one.statuses()), 0.05))

    # It may be told of the first change, before there is another.
    told = [send(frame) for frame in ("left", "right", "left")]
    assert any(told) or any(send("right") or send("left") for _ in range(40))
    assert len(epochs) > 2


# --- the body frame on /tf_static ---------------------------------------------------------------


def test_forward_of_the_body_is_where_the_camera_looks() -> None:
    transform = frames.body_transform("cam_optical_frame", Time(sec=5))
    assert transform.header.frame_id == "cam_optical_frame"
    assert transform.child_frame_id == "cam_frame"
    q = transform.transform.rotation
    turn = Rotation.from_quat([q.x, q.y, q.z, q.w])
    for body, optical in (
        ((1, 0, 0), (0, 0, 1)),  # forward is the optical axis
        ((0, 1, 0), (-1, 0, 0)),  # left
        ((0, 0, 1), (0, -1, 0)),  # up
    ):
        np.testing.assert_allclose(turn.apply(body), optical, atol=1e-12)
    at = transform.transform.translation
    assert (at.x, at.y, at.z) == (0, 0, 0)


def test_the_body_frame_is_published_once_for_each_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "TFMessage", SimpleNamespace)
    sent: list[Any] = []
    topics: list[str] = []

    def publisher(kind: Any, topic: str) -> Any:
        topics.append(topic)
        return SimpleNamespace(publish=sent.append)

    body = frames.BodyFrame(publisher)
    for frame in ("left_optical", "left_optical", "", "right_optical"):
        body.publish(frame, Time(sec=5))
    assert topics == ["/tf_static"]
    told = [[transform.child_frame_id for transform in message.transforms] for message in sent]
    assert told == [["left"], ["left", "right"]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "ros-$ROS_DISTRO-tf2-msgs"),
        ({"axes": "optical"}, "publish_body_frame is for axes: body"),
    ],
    ids=["not installed", "optical axes"],
)
def test_a_body_frame_that_cannot_be_published_fails_to_configure(
    monkeypatch: pytest.MonkeyPatch, bench: Any, values: dict[str, str], said: str
) -> None:
    monkeypatch.setattr(frames, "TFMessage", None)
    one = bench(Oracle(), publish_body_frame=True, **values)
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    assert one.until(lambda: any(said in s.message for s in one.statuses()))
