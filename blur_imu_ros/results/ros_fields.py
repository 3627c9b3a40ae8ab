"""An estimate as ROS gets it, in plain fields: one place for the live node and for bags."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.choices import Axes, Direction
from blur_imu_ros.core.estimate import VelocityEstimate

Fields = dict[str, Any]
"""Fields of a message by name, nested; all of them, so that nothing is left to a default."""

IMU_TOPIC, TWIST_TOPIC, MOTION_TOPIC = "imu_visual/data_raw", "twist", "motion"

MINIMUM_DIRECTION_PROBABILITY = 0.8
"""Imu and twist stay silent while the sign is less sure, unless another limit is asked for."""

RESTART = 1.0
"""Seconds. A larger step back in time is a recording that begins anew, a bag that loops or a clock
that was set; a smaller one is disorder."""

SMALLEST_VARIANCE = 1e-8
"""(rad/s)^2 and (m/s)^2. Below 1e-9 robot_localization trusts a measurement without limit."""

LINEAR_FIRST = [3, 4, 5, 0, 1, 2]
"""How messages order the six axes of a velocity."""

UNNAMED_CAMERA = "camera_optical_frame"
"""Frame of images that name none."""


def silence(
    estimate: VelocityEstimate,
    direction: Direction,
    minimum_direction_probability: float = MINIMUM_DIRECTION_PROBABILITY,
    maximum_residual_px: float = math.inf,
) -> str | None:
    """Return why an estimate must not become Imu and twist, or None where it may.

    Unless `direction` is none, a motion needs that probability of its sign.
    """
    if not estimate.valid:
        return "; ".join(estimate.reasons)
    if estimate.residual_px > maximum_residual_px:
        return "no single motion explains the blur: its residual is above maximum_residual"
    unsure = estimate.direction_probability < minimum_direction_probability
    if direction != Direction.NONE and unsure and estimate.is_moving:
        return "the sign of the motion is too uncertain"
    return None


def imu_fields(estimate: VelocityEstimate, frame_id: str) -> Fields:
    """Return angular velocity alone: orientation and acceleration are marked as unknown (-1)."""
    unknown = np.array([-1.0, 0, 0, 0, 0, 0, 0, 0, 0])
    return {
        "header": _header(estimate, frame_id),
        "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
        "orientation_covariance": unknown,
        "angular_velocity": _vector(estimate.angular_velocity),
        "angular_velocity_covariance": _covariance(estimate)[:3, :3].ravel(),
        "linear_acceleration": _vector(np.zeros(3)),
        "linear_acceleration_covariance": unknown,
    }


def twist_fields(estimate: VelocityEstimate, frame_id: str) -> Fields:
    """Return both velocities; the covariance is row-major with linear velocity first."""
    covariance = _covariance(estimate)[np.ix_(LINEAR_FIRST, LINEAR_FIRST)]
    twist = {
        "linear": _vector(estimate.linear_velocity),
        "angular": _vector(estimate.angular_velocity),
    }
    return {
        "header": _header(estimate, frame_id),
        "twist": {"twist": twist, "covariance": covariance.ravel()},
    }


def motion_fields(estimate: VelocityEstimate, frame_id: str, model: str) -> Fields:
    """Return the numbers of an estimate, whether they may be used or not."""
    alone = estimate.velocity if estimate.single is None else estimate.single
    return {
        "header": _header(estimate, frame_id),
        "exposure_time": float(estimate.exposure_time),
        "model": model,
        "angular_velocity": _vector(estimate.angular_velocity),
        "linear_velocity": _vector(estimate.linear_velocity),
        "covariance": estimate.covariance_with_sign.ravel(),
        "blur_px": float(estimate.blur_px),
        "residual_px": float(estimate.residual_px),
        "rank": int(estimate.rank),
        "condition": float(estimate.condition),
        "direction_probability": float(estimate.direction_probability),
        "registration_quality": float(estimate.registration_quality),
        "single_angular_velocity": _vector(alone[:3]),
        "single_linear_velocity": _vector(alone[3:]),
        "valid": bool(estimate.valid),
        "reasons": list(estimate.reasons),
    }


def nanoseconds(t: float) -> int:
    """Return a time in seconds as whole nanoseconds, not below zero."""
    return max(0, round(t * 1e9))


def image_frame_of(name: str) -> str:
    """Return the frame of images as tf2 takes it: ROS 1 put a slash before it, and some drivers
    name none."""
    return name.lstrip("/") or UNNAMED_CAMERA


def output_frame(axes: Axes, image_frame: str) -> str:
    """Return the frame of an output in `axes` from that of the images."""
    image_frame = image_frame_of(image_frame)
    return image_frame if axes is Axes.OPTICAL else body_frame(image_frame)


def body_frame(image_frame: str) -> str:
    """Return the name of the body-aligned frame of an optical one, as REP-103 pairs them."""
    for suffix, other in (("_optical_frame", "_frame"), ("_optical", "")):
        if image_frame.endswith(suffix):
            return image_frame[: -len(suffix)] + other
    return f"{image_frame}_body"


def _covariance(estimate: VelocityEstimate) -> NDArray[Any]:
    """Return the covariance of a filter's input: no variance below `SMALLEST_VARIANCE`."""
    covariance = estimate.covariance_with_sign
    lacking = np.maximum(SMALLEST_VARIANCE - np.diag(covariance), 0)
    return np.asarray(covariance + np.diag(lacking))


def _header(estimate: VelocityEstimate, frame_id: str) -> Fields:
    sec, nanosec = divmod(nanoseconds(estimate.t), 10**9)
    return {"stamp": {"sec": sec, "nanosec": nanosec}, "frame_id": frame_id}


def _vector(values: NDArray[Any]) -> Fields:
    return {axis: float(value) for axis, value in zip("xyz", values, strict=True)}
