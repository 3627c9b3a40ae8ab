"""Resets a filter behind the node when simulated time steps back."""

from __future__ import annotations

from typing import Any

from rclpy.exceptions import InvalidServiceNameException
from rclpy.node import Node

from blur_imu_ros.errors import RosSetupError
from blur_imu_ros.ros.topics import Topics

try:
    from std_srvs.srv import Empty
except ImportError:
    Empty = None


class FilterReset:
    """Calls the service that lets a filter forget the time after a bag's new beginning.

    robot_localization has a parameter reset_on_time_jump, but in ROS 2 it does nothing.
    """

    def __init__(self, node: Node, topics: Topics, service: str) -> None:
        """Prepare to call `service`; an empty name never calls anything.

        Raises:
            RosSetupError: the name is not one of a service, or std_srvs is not installed.
        """
        self._node = node
        self._client: Any = None
        if not service:
            return
        if Empty is None:
            raise RosSetupError(
                "filter_reset_service needs std_srvs/Empty, which is not installed: install "
                "ros-$ROS_DISTRO-std-srvs"
            )
        try:
            self._client = topics.client(Empty, service)
        except InvalidServiceNameException as error:
            raise RosSetupError(
                f"parameter filter_reset_service is {service!r}: give the name of a service, as "
                "reset or /robot/reset"
            ) from error

    @property
    def is_offered(self) -> bool:
        """Whether somebody offers the service at present."""
        return self._client is not None and bool(self._client.service_is_ready())

    def time_stepped_back(self) -> None:
        """Reset the filter, if time is simulated; a real robot's filter has other sensors."""
        if self._client is None or not self._node.get_parameter("use_sim_time").value:
            return
        if not self.is_offered:
            self._node.get_logger().info(
                f"{self._client.srv_name} is not offered, so no filter is reset", once=True
            )
            return
        self._client.call_async(Empty.Request())
