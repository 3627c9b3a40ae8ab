"""The subscription to the images, as reliable as they are offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from blur_imu_ros.ros.topics import Topics

AUTO = "auto"
COMPRESSED = "image/compressed"

LOOK_PERIOD = 0.2
"""Seconds between looks at who publishes."""


def offered(node: Node, topic: str) -> str | None:
    """Return the reliability that fits every publisher of a resolved topic, None without any.

    Best effort fits all, but loses most images of a reliable publisher in another process.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return None
    policies = {publisher.qos_profile.reliability for publisher in publishers}
    return "reliable" if policies == {ReliabilityPolicy.RELIABLE} else "best_effort"


def profile_of(reliability: str, depth: int) -> QoSProfile:
    """Return the profile of a subscription to images."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy[reliability.upper()])


def compressed_topic(node: Node) -> str:
    """Return the topic of compressed images: beside `image` where that alone is remapped, as
    image_transport has it, or that itself where it names them."""
    if _is_remapped(node, COMPRESSED) or not _is_remapped(node, "image"):
        return COMPRESSED
    base = str(node.resolve_topic_name("image"))
    return base if base.endswith("/compressed") else f"{base}/compressed"


def _is_remapped(node: Node, topic: str) -> bool:
    return bool(node.resolve_topic_name(topic) != node.resolve_topic_name(topic, only_expand=True))


class ImageTopic:
    """Subscribes reliably where every publisher is reliable, else best effort, which fits all.

    A reliable subscription hears nothing of a best-effort publisher. Who publishes is only known
    some time after the start, and may change.

    Attributes:
        name: resolved.
        reliability: that is asked for at present, best_effort or reliable.
    """

    def __init__(
        self,
        node: Node,
        topics: Topics,
        compressed: bool,
        wanted: str,
        depth: int,
        callback: Callable[[Any], None],
    ) -> None:
        """Subscribe to `image`, or `image/compressed`.

        Args:
            node: whose topic it is.
            topics: makes the subscription.
            compressed: whether the messages are CompressedImage.
            wanted: auto, best_effort or reliable.
            depth: messages kept.
            callback: takes them.
        """
        self._node, self._topics, self._depth, self._callback = node, topics, depth, callback
        self._kind = CompressedImage if compressed else Image
        self._follows = wanted == AUTO
        self._topic = compressed_topic(node) if compressed else "image"
        self.name = node.resolve_topic_name(self._topic)
        self.reliability = (offered(node, self.name) or "best_effort") if self._follows else wanted
        self._told = ""
        self._subscription = self._subscribe()

    def follow(self) -> None:
        """Ask for what is offered now, where that has changed."""
        found = offered(self._node, self.name) if self._follows else None
        if found is not None and found != self.reliability:
            self.reliability = found
            # One at a time, or images would come twice.
            self._topics.drop(self._subscription)
            self._subscription = self._subscribe()
        if self._told != self.reliability and self._publishers():
            self._told = self.reliability
            self._node.get_logger().info(f"images of {self.name} are taken as {self.reliability}")

    def why_none(self) -> str:
        """Return what explains that no images come, or nothing."""
        publishers = self._publishers()
        if not publishers:
            return f"nobody publishes on {self.name}"
        types = {publisher.topic_type.split("/")[-1] for publisher in publishers}
        if self._kind.__name__ not in types:
            found = f"{self.name} carries {', '.join(sorted(types))}"
            return f"{found}, not {self._kind.__name__}; remap image, or set image_transport"
        return ""

    def cure_of_losses(self) -> str:
        """Return what a person can do about images that get lost on the way."""
        if self.reliability == "best_effort":
            return "let the camera publish reliably, or use image_transport: compressed"
        return "use image_transport: compressed, smaller images, or see Transport in docs/ROS.md"

    def _publishers(self) -> list[Any]:
        return list(self._node.get_publishers_info_by_topic(self.name))

    def _subscribe(self) -> Any:
        profile = profile_of(self.reliability, self._depth)
        return self._topics.subscription(self._kind, self._topic, self._callback, profile)
