"""Messages in and out: images and camera_info to arrays, estimates to messages."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistWithCovarianceStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu

from blur_imu_ros import image_decoding
from blur_imu_ros.camera import Camera
from blur_imu_ros.estimate import VelocityEstimate

try:
    from blur_imu_ros.msg import BlurMotion as BlurMotion
except ImportError:  # Neither colcon nor tools/build_messages.py has built it.
    BlurMotion = None

_LINEAR_FIRST = [3, 4, 5, 0, 1, 2]


def seconds(stamp: Time) -> float:
    """Return a stamp in seconds."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def stamp(t: float) -> Time:
    """Return the stamp of a time in seconds, rounded to nanoseconds."""
    nanoseconds = max(0, round(t * 1e9))
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def image_array(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """Return the BGR or grey uint8 image of a message; FrameError if it is malformed."""
    if isinstance(message, CompressedImage):
        return image_decoding.decode_compressed(message.data)
    return image_decoding.decode_image(
        message.height,
        message.width,
        message.encoding,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )


def camera(message: CameraInfo) -> Camera:
    """Return the camera of a message; CameraError if it cannot be used."""
    roi = message.roi
    return image_decoding.CameraInfo(
        width=message.width,
        height=message.height,
        k=message.k.tolist() if hasattr(message.k, "tolist") else list(message.k),
        d=list(message.d),
        distortion_model=message.distortion_model,
        binning_x=message.binning_x,
        binning_y=message.binning_y,
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
    ).camera()


def image_message(image: NDArray[np.uint8], t: float, frame_id: str) -> Image:
    """Return the message of a BGR (height, width, 3) or grey (height, width) image."""
    message = Image()
    message.header.stamp, message.header.frame_id = stamp(t), frame_id
    message.height, message.width = image.shape[:2]
    message.encoding = "mono8" if image.ndim == 2 else "bgr8"
    message.step = image[0].size
    # An array.array is taken over as it is; a list or ndarray would be checked byte by byte.
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).data.cast("B"))
    message.data = data
    return message


def imu_message(estimate: VelocityEstimate, frame_id: str) -> Imu:
    """Return angular velocity alone: orientation and acceleration are marked as unknown (-1)."""
    message = Imu()
    message.header.stamp, message.header.frame_id = stamp(estimate.t), frame_id
    message.orientation.w = 1.0
    message.orientation_covariance[0] = -1.0
    message.linear_acceleration_covariance[0] = -1.0
    _fill(message.angular_velocity, estimate.angular_velocity)
    message.angular_velocity_covariance = estimate.covariance_with_sign[:3, :3].ravel()
    return message


def twist_message(estimate: VelocityEstimate, frame_id: str) -> TwistWithCovarianceStamped:
    """Return both velocities; the covariance is row-major with linear velocity first."""
    message = TwistWithCovarianceStamped()
    message.header.stamp, message.header.frame_id = stamp(estimate.t), frame_id
    _fill(message.twist.twist.linear, estimate.linear_velocity)
    _fill(message.twist.twist.angular, estimate.angular_velocity)
    covariance = estimate.covariance_with_sign[np.ix_(_LINEAR_FIRST, _LINEAR_FIRST)]
    message.twist.covariance = covariance.ravel()
    return message


def motion_message(estimate: VelocityEstimate, frame_id: str, model: str) -> Any:
    """Return everything the core knows, as BlurMotion (which must have been built)."""
    message = BlurMotion()
    message.header.stamp, message.header.frame_id = stamp(estimate.t), frame_id
    message.exposure_time = float(estimate.exposure_time)
    message.model = model
    _fill(message.angular_velocity, estimate.angular_velocity)
    _fill(message.linear_velocity, estimate.linear_velocity)
    message.covariance = estimate.covariance_with_sign.ravel()
    message.blur_px = float(estimate.blur_px)
    message.residual_px = float(estimate.residual_px)
    message.rank = int(estimate.rank)
    message.condition = float(estimate.condition)
    message.direction_probability = float(estimate.direction_probability)
    message.valid = bool(estimate.valid)
    message.reasons = list(estimate.reasons)
    return message


def _fill(vector: Any, values: NDArray[Any]) -> None:
    vector.x, vector.y, vector.z = (float(value) for value in values)
