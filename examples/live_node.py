"""Listen to the running node: python examples/live_node.py

Start the node first:

    ros2 launch blur_imu_ros blur_imu.launch.py image:=/camera/image_raw \
        camera_info:=/camera/camera_info exposure_time:=0.010
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Imu


class Listener(Node):  # type: ignore[misc,unused-ignore]
    """Prints the angular velocity of every message."""

    def __init__(self) -> None:
        """Subscribe to the node's Imu."""
        super().__init__("blur_imu_listener")
        self.create_subscription(Imu, "imu_visual/data_raw", self._print, 10)

    def _print(self, message: Imu) -> None:
        stamp, rate = message.header.stamp, message.angular_velocity
        sigma = message.angular_velocity_covariance[8] ** 0.5
        print(
            f"{stamp.sec}.{stamp.nanosec:09d} yaw {rate.z:+.2f} rad/s, sigma {sigma:.2f}",
            flush=True,
        )


def main() -> None:
    """Listen until interrupted."""
    rclpy.init()
    try:
        rclpy.spin(Listener())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
