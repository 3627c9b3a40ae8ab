"""The topics that the node publishes, and what of a measurement goes to each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistWithCovarianceStamped
from sensor_msgs.msg import CameraInfo, Image, Imu, PointCloud2

from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.errors import RosSetupError
from blur_imu_ros.results.ros_fields import IMU_TOPIC, MOTION_TOPIC, TWIST_TOPIC
from blur_imu_ros.ros import messages
from blur_imu_ros.ros.accelerometer import Acceleration
from blur_imu_ros.ros.odometry import Odometry, Pose
from blur_imu_ros.ros.parameters import Settings

MERGED_TOPIC, ODOMETRY_TOPIC = "imu/data", "odom_visual"


class Outputs:
    """Publishers of velocities, and of pictures that are only made while somebody looks."""

    def __init__(self, create: Callable[[type, str], Any], settings: Settings) -> None:
        """Create the publishers by `create(message, topic)`.

        Raises:
            RosSetupError: the message of one that is asked for is not installed.
        """
        self._imu = create(Imu, IMU_TOPIC)
        self._twist = (
            create(TwistWithCovarianceStamped, TWIST_TOPIC) if settings.publish_linear else None
        )
        motion = messages.BlurMotion
        self._motion = None if motion is None else create(motion, MOTION_TOPIC)
        self._merged = create(Imu, MERGED_TOPIC) if settings.merge_accelerometer else None
        self._odometry, self._path = None, Odometry(settings.odometry == "pose")
        self._odom_frame = settings.odom_frame
        if settings.odometry != "none":
            if messages.Odometry is None:
                raise RosSetupError(
                    "parameter odometry needs the message nav_msgs/Odometry, which is not "
                    "installed: install ros-$ROS_DISTRO-nav-msgs"
                )
            self._odometry = create(messages.Odometry, ODOMETRY_TOPIC)
        self._overlay = create(Image, "debug/overlay")
        self._depth = create(Image, "debug/depth")
        self._points = create(PointCloud2, "debug/points")
        self._view_info = create(CameraInfo, "debug/camera_info")

    def begin_anew(self) -> None:
        """Start odometry at the origin."""
        self._path.begin_anew()

    def publish_velocity(
        self,
        estimate: VelocityEstimate,
        frame_id: str,
        stamp: Time,
        acceleration: Acceleration | None = None,
    ) -> None:
        """Publish an estimate that may be used, in the axes of `frame_id`."""
        imu = messages.imu_message(estimate, frame_id)
        imu.header.stamp = stamp
        self._imu.publish(imu)
        if self._twist is not None:
            twist = messages.twist_message(estimate, frame_id)
            twist.header.stamp = stamp
            self._twist.publish(twist)
        if self._merged is not None and acceleration is not None:
            # Its own message: the one before may still be on its way.
            merged = messages.imu_message(estimate, frame_id)
            merged.header.stamp = stamp
            self._merged.publish(messages.with_acceleration(merged, acceleration))
        if self._odometry is not None:
            pose = self._path.add(estimate)
            self._odometry.publish(self._odometry_message(estimate, pose, frame_id, stamp))

    def _odometry_message(
        self, estimate: VelocityEstimate, pose: Pose, frame_id: str, stamp: Time
    ) -> Any:
        message = messages.odometry_message(estimate, pose, self._odom_frame, frame_id)
        message.header.stamp = stamp
        return message

    def publish_motion(
        self, estimate: VelocityEstimate, frame_id: str, model: str, stamp: Time
    ) -> None:
        """Publish the numbers of an estimate, whether they may be used or not."""
        if self._motion is not None:
            motion = messages.motion_message(estimate, frame_id, model)
            motion.header.stamp = stamp
            self._motion.publish(motion)

    def publish_debug(self, measurement: Measurement, image_frame: str) -> None:
        """Publish the pictures that are looked at, in the optical frame of the camera."""
        frame, field = measurement.frame, measurement.field
        if self._overlay.get_subscription_count():
            from blur_imu_ros.viz.overlay import draw_overlay, without_lens

            picture = draw_overlay(without_lens(frame), field, measurement.estimate)
            self._overlay.publish(messages.image_message(picture, frame.t, image_frame))
        if field is None:
            return
        if self._depth.get_subscription_count():
            self._depth.publish(messages.depth_message(field, frame.t, image_frame))
        if self._view_info.get_subscription_count():
            info = messages.camera_info_message(field.camera, frame.t, image_frame)
            self._view_info.publish(info)
        if self._points.get_subscription_count():
            self._points.publish(messages.points_message(field, frame.t, image_frame))
