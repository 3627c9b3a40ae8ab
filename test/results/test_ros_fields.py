"""What ROS is told, and when it is told nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.results.ros_fields import (
    SMALLEST_VARIANCE,
    imu_fields,
    motion_fields,
    output_frame,
    silence,
    twist_fields,
)

MOVING = VelocityEstimate(
    1.5, 0.01, np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]),
    np.diag([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), 9.0, 0.5, 6, 2.0, direction_probability=0.9,
)  # fmt: skip
RESTING = replace(MOVING, angular_velocity=np.zeros(3), linear_velocity=np.zeros(3))
UNSURE = 0.79


def test_a_sure_estimate_passes_and_one_that_is_not_valid_says_why_not() -> None:
    assert silence(MOVING, "adjacent") is None
    refused = MOVING.rejected("too dark").rejected("no texture")
    assert silence(refused, "adjacent") == "too dark; no texture"


def test_an_unsure_direction_is_silent_only_where_it_matters() -> None:
    unsure = replace(MOVING, direction_probability=UNSURE)
    assert silence(unsure, "adjacent") == "the sign of the motion is too uncertain"
    assert silence(unsure, "adjacent", 0.75) is None
    assert silence(unsure, "none") is None
    assert silence(replace(RESTING, direction_probability=UNSURE), "adjacent") is None


def test_blur_that_no_single_motion_explains_is_silent_where_that_is_limited() -> None:
    assert MOVING.residual_px == 0.5
    assert silence(MOVING, "adjacent", maximum_residual_px=0.6) is None
    said = silence(MOVING, "adjacent", maximum_residual_px=0.4)
    assert said is not None and "maximum_residual" in said


def test_variances_for_filters_have_a_floor() -> None:
    certain = replace(RESTING, covariance=1e-12 * np.eye(6))
    covariance = twist_fields(certain, "f")["twist"]["covariance"].reshape(6, 6)
    np.testing.assert_array_equal(covariance, SMALLEST_VARIANCE * np.eye(6))
    motion = motion_fields(certain, "f", "m")["covariance"].reshape(6, 6)
    np.testing.assert_array_equal(motion, certain.covariance)


def test_covariances_hold_the_doubt_about_the_sign() -> None:
    doubt = MOVING.covariance_with_sign
    assert (np.diag(doubt) > np.diag(MOVING.covariance)).all()
    angular = imu_fields(MOVING, "f")["angular_velocity_covariance"].reshape(3, 3)
    np.testing.assert_array_equal(angular, doubt[:3, :3])
    twist = twist_fields(MOVING, "f")["twist"]["covariance"].reshape(6, 6)
    np.testing.assert_array_equal(twist[:3, :3], doubt[3:, 3:])
    np.testing.assert_array_equal(twist[:3, 3:], doubt[3:, :3])
    motion = motion_fields(MOVING, "f", "m")["covariance"].reshape(6, 6)
    np.testing.assert_array_equal(motion, doubt)


@pytest.mark.parametrize(
    ("axes", "image_frame", "wanted"),
    [
        (Axes.OPTICAL, "cam_optical_frame", "cam_optical_frame"),
        (Axes.BODY, "cam_optical_frame", "cam_frame"),
        (Axes.BODY, "cam_optical", "cam"),
        (Axes.BODY, "cam", "cam_body"),
        (Axes.BODY, "", "camera_frame"),
        (Axes.OPTICAL, "", "camera_optical_frame"),
        (Axes.OPTICAL, "/cam", "cam"),
        (Axes.BODY, "/robot/cam_optical_frame", "robot/cam_frame"),
    ],
)
def test_frames_are_named_as_rep_103_pairs_them(axes: Axes, image_frame: str, wanted: str) -> None:
    assert output_frame(axes, image_frame) == wanted


def test_stamps_are_whole_nanoseconds_of_the_middle_of_the_exposure() -> None:
    assert imu_fields(MOVING, "f")["header"]["stamp"] == {"sec": 1, "nanosec": 500_000_000}
    early = replace(MOVING, t=-0.5)
    assert imu_fields(early, "f")["header"]["stamp"] == {"sec": 0, "nanosec": 0}
