"""The camera's frames in TF: whether the robot's base reaches them, and the body frame itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.axes import BODY_FROM_OPTICAL
from blur_imu_ros.errors import RosSetupError
from blur_imu_ros.results.ros_fields import body_frame

try:
    import tf2_ros
except ImportError:  # It is in ROS installations, but not among the packages of PyPI.
    tf2_ros = None

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

PATIENCE = 5.0
"""Seconds after the start in which TF may come without a complaint."""


class Transforms:
    """Transforms between frames, from TF; it is listened to from the first question on."""

    def __init__(self, node: Node) -> None:
        """Look on behalf of `node`."""
        self._node = node
        self._buffer: Any = None
        self._listener: Any = None

    @property
    def listens(self) -> bool:
        """Whether TF is listened to."""
        return self._listener is not None

    def start(self) -> bool:
        """Listen; return False where tf2 is not installed."""
        if tf2_ros is None:
            return False
        if self._listener is None:
            self._buffer = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._buffer, self._node, spin_thread=False)
        return True

    def reach(self, target: str, source: str) -> bool:
        """Return whether TF leads from one frame to the other, as far as has been heard."""
        return self.start() and bool(self._buffer.can_transform(target, source, Time()))

    def rotation(self, target: str, source: str) -> tuple[float, float, float, float] | None:
        """Return the quaternion (x, y, z, w) that turns vectors of `source` into `target`'s axes,
        None where TF does not lead there."""
        if not self.reach(target, source):
            return None
        found = self._buffer.lookup_transform(target, source, Time()).transform.rotation
        return found.x, found.y, found.z, found.w

    def stop(self) -> None:
        """Listen no longer."""
        if self._listener is not None:
            self._listener.unregister()
        self._listener = self._buffer = None


class BaseFrame:
    """Looks in TF, until it is found once, for the way from the robot's base to our frame."""

    def __init__(self, node: Node, name: str) -> None:
        """Look on behalf of `node` for the frame `name`; an empty one is not looked for."""
        self._node, self.name = node, name
        self._transforms, self._since = Transforms(node), 0.0
        self.state = "not asked for" if not name else "not looked for"

    def start(self) -> None:
        """Begin to listen, where there is tf2."""
        if not self.name:
            return
        self.stop()
        if not self._transforms.start():
            self.state = "not known: tf2_ros is not installed"
            return
        self._since, self.state = time.monotonic(), "not known yet"

    def stop(self) -> None:
        """Listen no longer: TF is many messages, and one look is enough."""
        self._transforms.stop()

    def complaint(self, frame_id: str) -> str:
        """Return what a person must mend so that `frame_id` is reached, or nothing."""
        if not self._transforms.listens:
            return ""
        if frame_id == self.name or self._transforms.reach(self.name, frame_id):
            self.stop()
            self.state = f"reaches {frame_id}"
            return ""
        if time.monotonic() - self._since < PATIENCE:
            return ""
        self.state = f"does not reach {frame_id}"
        if not any(self._node.count_publishers(topic) for topic in ("/tf", "/tf_static")):
            # A camera without a robot: nobody could miss the frame.
            self.state += ": nobody publishes TF"
            return ""
        return (
            f"TF does not lead from {self.name} to {frame_id}, so filters silently drop our "
            "messages: publish that transform, or set base_frame or frame_id"
        )


class BodyFrame:
    """Publishes the body-aligned frame of the camera, below its optical one, on /tf_static."""

    def __init__(self, publisher: Callable[[Any, str], Any]) -> None:
        """Create the latched publisher by `publisher(message, topic)`.

        Raises:
            RosSetupError: the message is not installed.
        """
        if TFMessage is None:
            raise RosSetupError(
                "publish_body_frame needs the message tf2_msgs/TFMessage, which is not installed: "
                "install ros-$ROS_DISTRO-tf2-msgs"
            )
        self._out = publisher(TFMessage, "/tf_static")
        self._told: dict[str, TransformStamped] = {}

    def publish(self, optical_frame: str, stamp: Any) -> None:
        """Publish the transform of an optical frame that is new, with those published before."""
        if optical_frame and optical_frame not in self._told:
            self._told[optical_frame] = body_transform(optical_frame, stamp)
            # Who comes late gets the last message only.
            self._out.publish(TFMessage(transforms=list(self._told.values())))


def body_transform(optical_frame: str, stamp: Any) -> TransformStamped:
    """Return the body frame (x forward, y left, z up) as a child of the optical one."""
    transform = TransformStamped(child_frame_id=body_frame(optical_frame))
    transform.header.frame_id, transform.header.stamp = optical_frame, stamp
    x, y, z, w = Rotation.from_matrix(BODY_FROM_OPTICAL.T).as_quat()
    rotation = transform.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = float(x), float(y), float(z), float(w)
    return transform
