"""The topics that the node publishes, and what of a measurement goes to each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TwistWithCovarianceStamped
from sensor_msgs.msg import CameraInfo, Image, Imu, PointCloud2

from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.results.ros_fields import IMU_TOPIC, MOTION_TOPIC, TWIST_TOPIC
from blur_imu_ros.ros import messages


class Outputs:
    """Publishers of velocities, and of pictures that are only made while somebody looks."""

    def __init__(self, create: Callable[[type, str], Any]) -> None:
        """Create the publishers by `create(message, topic)`."""
        self._imu = create(Imu, IMU_TOPIC)
        self._twist = create(TwistWithCovarianceStamped, TWIST_TOPIC)
        motion = messages.BlurMotion
        self._motion = None if motion is None else create(motion, MOTION_TOPIC)
        self._overlay = create(Image, "debug/overlay")
        self._depth = create(Image, "debug/depth")
        self._points = create(PointCloud2, "debug/points")
        self._view_info = create(CameraInfo, "debug/camera_info")

    def publish_velocity(self, estimate: VelocityEstimate, frame_id: str) -> None:
        """Publish an estimate that may be used, in the axes of `frame_id`."""
        self._imu.publish(messages.imu_message(estimate, frame_id))
        self._twist.publish(messages.twist_message(estimate, frame_id))

    def publish_motion(self, estimate: VelocityEstimate, frame_id: str, model: str) -> None:
        """Publish everything the core knows, whether it may be used or not."""
        if self._motion is not None:
            self._motion.publish(messages.motion_message(estimate, frame_id, model))

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
