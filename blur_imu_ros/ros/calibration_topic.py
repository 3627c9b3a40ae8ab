"""The subscription to the calibration, which a camera sends with each image, or once for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo

from blur_imu_ros.ros.topics import LATCHED, NEWEST_ONLY, Topics


def calibration_profile(node: Node, topic: str) -> QoSProfile:
    """Return the profile that hears what every publisher of a resolved topic sends, or has sent.

    Only a transient-local subscription gets what was published before it, and it hears nothing of
    volatile publishers.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    kinds = {publisher.qos_profile.durability for publisher in publishers}
    return LATCHED if kinds == {DurabilityPolicy.TRANSIENT_LOCAL} else NEWEST_ONLY


class CalibrationTopic:
    """Subscribes to `camera_info` as its publishers offer it, who may come late and change."""

    def __init__(self, node: Node, topics: Topics, callback: Callable[[CameraInfo], None]) -> None:
        """Subscribe on behalf of `node` by `topics`."""
        self._node, self._topics, self._callback = node, topics, callback
        self._name = node.resolve_topic_name("camera_info")
        self._profile = calibration_profile(node, self._name)
        self._subscription = self._subscribe()

    def follow(self) -> None:
        """Subscribe anew, where the publishers offer something else than before."""
        if not self._node.count_publishers(self._name):
            return
        profile = calibration_profile(self._node, self._name)
        if profile is not self._profile:
            self._profile = profile
            self._topics.drop(self._subscription)
            self._subscription = self._subscribe()

    def _subscribe(self) -> Any:
        return self._topics.subscription(CameraInfo, "camera_info", self._callback, self._profile)
