"""Play frames to the node in its own process, over real ROS 2, and collect what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TwistWithCovarianceStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, Imu

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import RosSetupError
from blur_imu_ros.results.ros_fields import LINEAR_FIRST, MINIMUM_DIRECTION_PROBABILITY
from blur_imu_ros.ros import messages

DISCOVERY_TIMEOUT = 40.0
"""Seconds for the node to start, load its model and be found."""

SAME_STAMP = 1e-6
"""Seconds that a stamp may lose on its way."""

LAST_ANSWERS = 1.0
"""Seconds to wait for after the last image."""


@dataclass(frozen=True)
class Heard:
    """What came back.

    Attributes:
        t: (n,) stamps of the twists, seconds.
        velocity, sigma: (n, 6) in body axes.
        latency: (n,) seconds from image to twist.
        unanswered: how many frames have no twist, by the reason.
    """

    t: Array
    velocity: Array
    sigma: Array
    latency: Array
    unanswered: dict[str, int]


class _Listener:
    """Collects twists with the time at which they came."""

    def __init__(self, node: Node) -> None:
        self.twists: list[tuple[float, TwistWithCovarianceStamped]] = []
        self.turns: list[Imu] = []
        self.motions: list[Any] = []
        node.create_subscription(TwistWithCovarianceStamped, "twist", self._on_twist, 100)
        node.create_subscription(Imu, "imu_visual/data_raw", self.turns.append, 100)
        if messages.BlurMotion is not None:
            node.create_subscription(messages.BlurMotion, "motion", self.motions.append, 100)

    def _on_twist(self, message: TwistWithCovarianceStamped) -> None:
        self.twists.append((time.monotonic(), message))


def replay(
    frames: list[Frame],
    model: str,
    progress: Callable[[Iterable[Frame], str], Iterable[Frame]],
    rate: float = 30.0,
) -> Heard:
    """Publish `frames` at `rate` to a node of ours in another process; return its answers.

    Args:
        frames: with one camera and exposure time.
        model: name or path of the node's model.
        progress: wraps the frames to show how far it got.
        rate: Hz.

    Raises:
        RosSetupError: the node does not start or is not found.
    """
    keep_apart()
    rclpy.init()
    try:
        sure = MINIMUM_DIRECTION_PROBABILITY
        with our_node(model, frames[0].exposure_time, sure) as process:
            return _Player(frames, rate).play(process, progress)
    finally:
        rclpy.try_shutdown()


class _Player:
    """A node that is camera and listener at once."""

    def __init__(self, frames: list[Frame], rate: float) -> None:
        self._frames, self._rate = frames, rate
        self._node = rclpy.create_node("demo_camera")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._listener = _Listener(self._node)
        reliable = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        self._image_out = self._node.create_publisher(Image, "image", reliable)
        self._info_out = self._node.create_publisher(CameraInfo, "camera_info", reliable)

    def play(
        self,
        process: subprocess.Popen[bytes],
        progress: Callable[[Iterable[Frame], str], Iterable[Frame]],
    ) -> Heard:
        try:
            self._wait_for_node(process)
            sent = {}
            next_time = time.monotonic()
            for frame in progress(self._frames, "Playing to the node"):
                image = messages.image_message(frame.image, frame.t, "camera_optical_frame")
                info = messages.camera_info_message(frame.camera, frame.t, "camera_optical_frame")
                self._spin_until(next_time)
                sent[frame.t] = time.monotonic()
                self._info_out.publish(info)
                self._image_out.publish(image)
                next_time = max(next_time + 1 / self._rate, time.monotonic())
            self._spin_until(time.monotonic() + LAST_ANSWERS)
        finally:
            self._executor.shutdown()
            self._node.destroy_node()
        return _collected(self._listener, sent)

    def _wait_for_node(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + DISCOVERY_TIMEOUT
        topics = (self._image_out, self._info_out)
        while time.monotonic() < end:
            heard = self._node.count_publishers("twist") > 0
            if heard and all(topic.get_subscription_count() for topic in topics):
                # Its side may learn of us a little later.
                self._spin_until(time.monotonic() + 1.0)
                return
            if process.poll() is not None:
                raise RosSetupError("the node ended before it was ready; its log is above")
            self._executor.spin_once(timeout_sec=0.05)
        raise RosSetupError(
            f"the node was not found within {DISCOVERY_TIMEOUT:.0f} s: did its model load (see its "
            "log above), and does this machine allow UDP on the loopback interface?"
        )

    def _spin_until(self, end: float) -> None:
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)


def _collected(listener: _Listener, sent: dict[float, float]) -> Heard:
    if not listener.twists:
        raise RosSetupError("the node answered nothing; see its log above")
    stamps, rows, sigmas, latency = [], [], [], []
    known = np.array(list(sent))
    for came, message in listener.twists:
        t = messages.seconds(message.header.stamp)
        twist = message.twist.twist
        rows.append(
            [twist.angular.x, twist.angular.y, twist.angular.z,
             twist.linear.x, twist.linear.y, twist.linear.z]
        )  # fmt: skip
        sigma = np.sqrt(np.diag(np.array(message.twist.covariance).reshape(6, 6)))
        sigmas.append(sigma[LINEAR_FIRST])  # and back
        latency.append(came - sent[float(known[np.argmin(np.abs(known - t))])])
        stamps.append(t)
    unanswered = _unanswered(listener, known, np.array(stamps))
    return Heard(np.array(stamps), np.array(rows), np.array(sigmas), np.array(latency), unanswered)


def _unanswered(listener: _Listener, sent: Array, answered: Array) -> dict[str, int]:
    """Return how many of the frames sent (by stamp) were not answered, by the reason."""
    motions = {messages.seconds(m.header.stamp): m for m in listener.motions}
    bounds = np.array([*motions, np.inf])
    reasons: Counter[str] = Counter()
    for t in sent:
        if np.min(np.abs(answered - t)) < SAME_STAMP:
            continue
        nearest = float(bounds[np.argmin(np.abs(bounds - t))])
        if abs(nearest - t) > SAME_STAMP:
            reasons["the node was still busy with an earlier one"] += 1
        elif not motions[nearest].valid:
            reasons[str(motions[nearest].reasons[0])] += 1
        elif t == sent[0]:
            reasons["the first frame has no predecessor to decide its sign"] += 1
        else:
            reasons["the sign is too uncertain"] += 1
    return dict(reasons)


def keep_apart() -> None:
    """Put this process, and those it starts, in a ROS domain of their own."""
    os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 90 + 10)


@contextmanager
def our_node(
    model: str, exposure_time: float, minimum_direction_probability: float = 0.5
) -> Iterator[subprocess.Popen[bytes]]:
    """Run our node in its own process, and end it.

    Args:
        model: name or path.
        exposure_time: of every image, seconds.
        minimum_direction_probability: below which a moving frame is not answered.
    """
    command = [
        sys.executable, "-m", "blur_imu_ros.ros.node", "--ros-args", "--log-level", "warn",
        "-p", f"model:={model}", "-p", f"exposure_time:={exposure_time}",
        "-p", "stamp_reference:=middle",
        # The frames have stamps of their own time.
        "-p", "use_sim_time:=true",
        "-p", f"minimum_direction_probability:={minimum_direction_probability}",
        "-p", "motion_prior:=pivot",
    ]  # fmt: skip
    # The wheels of ROS 2 restart Python once and remember it; another process must do so itself.
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
