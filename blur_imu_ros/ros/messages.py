"""Messages in and out: images and camera_info to arrays, estimates to messages."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistWithCovarianceStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu

from blur_imu_ros import image_decoding, ros_outputs
from blur_imu_ros.camera import Camera
from blur_imu_ros.estimate import VelocityEstimate

try:
    from blur_imu_ros.msg import BlurMotion as BlurMotion
except ImportError:  # Neither colcon nor tools/build_messages.py has built it.
    BlurMotion = None


def seconds(stamp: Time) -> float:
    """Return a stamp in seconds."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def stamp(t: float) -> Time:
    """Return the stamp of a time in seconds, rounded to nanoseconds."""
    sec, nanosec = divmod(ros_outputs.nanoseconds(t), 10**9)
    return Time(sec=sec, nanosec=nanosec)


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
    return _filled(Imu(), ros_outputs.imu_fields(estimate, frame_id))


def twist_message(estimate: VelocityEstimate, frame_id: str) -> TwistWithCovarianceStamped:
    """Return both velocities; the covariance is row-major with linear velocity first."""
    return _filled(TwistWithCovarianceStamped(), ros_outputs.twist_fields(estimate, frame_id))


def motion_message(estimate: VelocityEstimate, frame_id: str, model: str) -> Any:
    """Return everything the core knows, as BlurMotion (which must have been built)."""
    return _filled(BlurMotion(), ros_outputs.motion_fields(estimate, frame_id, model))


def _filled(message: Any, fields: ros_outputs.Fields) -> Any:
    """Return the message with its fields set, nested ones in place."""
    for name, value in fields.items():
        if isinstance(value, dict):
            _filled(getattr(message, name), value)
        else:
            setattr(message, name, value)
    return message
