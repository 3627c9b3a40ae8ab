"""Publishers, subscriptions, services and clients of a session: made and given back together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)

NEWEST_ONLY = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
SENSOR = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
FAST_SENSOR = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Topics:
    """Makes entities on a node and remembers them."""

    def __init__(self, node: Node, mismatch: Callable[[str], None]) -> None:
        """Make them on `node`; `mismatch` is called with a publisher whose QoS does not fit."""
        self._node, self._mismatch = node, mismatch
        self._owned: dict[Any, Callable[[Any], Any]] = {}

    def publisher(self, message: type, topic: str, profile: QoSProfile = RELIABLE) -> Any:
        """Return a publisher."""
        publisher: Any = self._node.create_publisher(message, topic, profile)
        self._owned[publisher] = self._node.destroy_publisher
        return publisher

    def subscription(
        self, message: Any, topic: str, callback: Callable[[Any], None], profile: QoSProfile
    ) -> Any:
        """Return a subscription."""

        def report(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            name = self._node.resolve_topic_name(topic)
            text = f"a publisher of {name} offers another QoS than requested: {policy}"
            self._mismatch(text)
            self._node.get_logger().warning(text)

        events = SubscriptionEventCallbacks(incompatible_qos=report)
        subscription: Any = self._node.create_subscription(
            message, topic, callback, profile, event_callbacks=events
        )
        self._owned[subscription] = self._node.destroy_subscription
        return subscription

    def timer(self, period: float, callback: Callable[[], None], clock: Any) -> None:
        """Call something every `period` seconds."""
        timer: Any = self._node.create_timer(period, callback, clock=clock)
        self._owned[timer] = self._node.destroy_timer

    def service(self, kind: Any, name: str, callback: Callable[[Any, Any], Any]) -> None:
        """Offer a service."""
        service: Any = self._node.create_service(kind, name, callback)
        self._owned[service] = self._node.destroy_service

    def client(self, kind: Any, name: str) -> Any:
        """Return what calls a service."""
        client: Any = self._node.create_client(kind, name)
        self._owned[client] = self._node.destroy_client
        return client

    def drop(self, entity: Any) -> None:
        """Give one back."""
        self._owned.pop(entity)(entity)

    def close(self) -> None:
        """Give all back."""
        for entity in list(self._owned):
            self.drop(entity)
