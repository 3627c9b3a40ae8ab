"""Messages that go out, and stamps."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistWithCovarianceStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, Imu, PointCloud2, PointField
from std_msgs.msg import Header

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.recordings.message_times import seconds as seconds
from blur_imu_ros.results import ros_fields
from blur_imu_ros.ros.accelerometer import Acceleration
from blur_imu_ros.ros.odometry import Pose

try:
    from nav_msgs.msg import Odometry as Odometry
except ImportError:
    Odometry = None

try:  # It is in ROS installations, but not among the packages of PyPI.
    from sensor_msgs_py.point_cloud2 import create_cloud
except ImportError:
    create_cloud = None

try:
    from blur_imu_ros.msg import BlurMotion as BlurMotion
except ImportError:  # Neither colcon nor tools/build_messages.py has built it.
    BlurMotion = None
else:
    if "registration_quality" not in BlurMotion.get_fields_and_field_types():
        # Of an older version of the package.
        BlurMotion = None


def stamp(t: float) -> Time:
    """Return the stamp of a time in seconds, rounded to nanoseconds."""
    sec, nanosec = divmod(ros_fields.nanoseconds(t), 10**9)
    return Time(sec=sec, nanosec=nanosec)


def image_message(image: NDArray[np.uint8], t: float, frame_id: str) -> Image:
    """Return the message of a BGR (height, width, 3) or grey (height, width) image."""
    return _image(image, "mono8" if image.ndim == 2 else "bgr8", t, frame_id)


def depth_message(field: BlurField, t: float, frame_id: str) -> Image:
    """Return the depth of the network's view: 32FC1, metres, NaN where it is not known
    (REP-118)."""
    size = (field.camera.width, field.camera.height)
    inverse = cv2.resize(field.inverse_depth.astype(np.float32), size)
    return _image(_depth(inverse), "32FC1", t, frame_id)


def points_message(field: BlurField, t: float, frame_id: str) -> PointCloud2:
    """Return one point (x, y, z) for each cell, metres, optical axes; unknown ones are left out."""
    x, y = field.camera.normalised(*field.pixel_grid())
    z = _depth(field.inverse_depth.astype(np.float32))
    points = np.stack([x * z, y * z, z], axis=-1).reshape(-1, 3).astype(np.float32)
    points = points[np.isfinite(points).all(axis=1)]
    header = Header(stamp=stamp(t), frame_id=frame_id)
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    if create_cloud is not None:
        cloud: PointCloud2 = create_cloud(header, fields, points)
        cloud.is_dense = True
        return cloud
    message = PointCloud2(height=1, width=len(points), point_step=12, row_step=12 * len(points))
    message.header, message.fields = header, fields
    message.is_bigendian, message.is_dense = sys.byteorder == "big", True
    message.data = _bytes(points)
    return message


def camera_info_message(camera: Camera, t: float, frame_id: str) -> CameraInfo:
    """Return the calibration of an image; its own axes are the rectified ones."""
    message = CameraInfo(width=camera.width, height=camera.height)
    message.header.stamp, message.header.frame_id = stamp(t), frame_id
    message.distortion_model = camera.distortion_model
    message.d = [float(x) for x in camera.distortion]
    message.k = camera.matrix.ravel()
    message.r = np.eye(3).ravel()
    message.p = np.hstack([camera.matrix, np.zeros((3, 1))]).ravel()
    return message


def _depth(inverse: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(inverse > 0, 1 / inverse, np.nan).astype(np.float32)


def _image(image: NDArray[Any], encoding: str, t: float, frame_id: str) -> Image:
    message = Image()
    message.header.stamp, message.header.frame_id = stamp(t), frame_id
    message.height, message.width = image.shape[:2]
    message.encoding, message.is_bigendian = encoding, sys.byteorder == "big"
    message.step = image[0].nbytes
    message.data = _bytes(image)
    return message


def _bytes(values: NDArray[Any]) -> array[int]:
    """Return the bytes as an array.array, taken over as it is; all else is checked byte by byte."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return data


def imu_message(estimate: VelocityEstimate, frame_id: str) -> Imu:
    """Return angular velocity alone: orientation and acceleration are marked as unknown (-1)."""
    return _filled(Imu(), ros_fields.imu_fields(estimate, frame_id))


def twist_message(estimate: VelocityEstimate, frame_id: str) -> TwistWithCovarianceStamped:
    """Return both velocities; the covariance is row-major with linear velocity first."""
    return _filled(TwistWithCovarianceStamped(), ros_fields.twist_fields(estimate, frame_id))


def motion_message(estimate: VelocityEstimate, frame_id: str, model: str) -> Any:
    """Return the numbers of an estimate as BlurMotion (which must have been built)."""
    return _filled(BlurMotion(), ros_fields.motion_fields(estimate, frame_id, model))


def with_acceleration(message: Imu, acceleration: Acceleration) -> Imu:
    """Return the message with the acceleration of a real accelerometer, in its axes."""
    a = message.linear_acceleration
    a.x, a.y, a.z = (float(x) for x in acceleration.value)
    message.linear_acceleration_covariance = acceleration.covariance.ravel()
    return message


def odometry_message(
    estimate: VelocityEstimate, pose: Pose, odom_frame: str, child_frame: str
) -> Any:
    """Return a pose in `odom_frame` with the velocities of `child_frame`, as nav_msgs/Odometry."""
    message = Odometry(child_frame_id=child_frame)
    message.header.stamp, message.header.frame_id = stamp(estimate.t), odom_frame
    position, turn = message.pose.pose.position, message.pose.pose.orientation
    position.x, position.y, position.z = (float(x) for x in pose.position)
    turn.x, turn.y, turn.z, turn.w = (float(x) for x in pose.orientation)
    message.pose.covariance = pose.covariance.ravel()
    twist = twist_message(estimate, child_frame)
    message.twist = twist.twist
    return message


def _filled(message: Any, fields: ros_fields.Fields) -> Any:
    """Return the message with its fields set, nested ones in place."""
    for name, value in fields.items():
        if isinstance(value, dict):
            _filled(getattr(message, name), value)
        else:
            setattr(message, name, value)
    return message
