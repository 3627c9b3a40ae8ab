"""Which way is which, for people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.axes import express, six_from_optical
from blur_imu_ros.core.estimate import VelocityEstimate


def estimate(omega: tuple[float, ...], v: tuple[float, ...]) -> VelocityEstimate:
    return VelocityEstimate(
        t=0,
        exposure_time=0.01,
        angular_velocity=np.array(omega, float),
        linear_velocity=np.array(v, float),
        covariance=np.diag([1.0, 2, 3, 4, 5, 6]),
        blur_px=1,
        residual_px=1,
        rank=6,
        condition=1,
    )


def test_what_frames_share_of_the_covariance_turns_with_it() -> None:
    forward = np.diag([0.0, 0, 0, 0, 0, 1])
    shared = replace(estimate((0, 0, 0), (0, 0, 1)), shared_covariance=forward)
    np.testing.assert_allclose(
        np.diag(express(shared, Axes.BODY).shared_covariance), [0, 0, 0, 1, 0, 0]
    )


def test_yaw_left_gives_plus_z_in_the_body() -> None:
    # Left is a turn about the upward axis; upward is -y of the optical axes.
    body = express(estimate((0, -1, 0), (0, 0, 0)), Axes.BODY)
    np.testing.assert_allclose(body.angular_velocity, [0, 0, 1])


def test_pitch_up_gives_minus_y_in_the_body() -> None:
    # Right hand rule about y left: nose down is positive (REP-103).
    body = express(estimate((1, 0, 0), (0, 0, 0)), Axes.BODY)
    np.testing.assert_allclose(body.angular_velocity, [0, -1, 0])


def test_roll_clockwise_gives_plus_x_in_the_body() -> None:
    body = express(estimate((0, 0, 1), (0, 0, 0)), Axes.BODY)
    np.testing.assert_allclose(body.angular_velocity, [1, 0, 0])


@pytest.mark.parametrize(
    ("optical", "body"),
    [((0, 0, 1), (1, 0, 0)), ((-1, 0, 0), (0, 1, 0)), ((0, -1, 0), (0, 0, 1))],
    ids=["forward", "left", "up"],
)
def test_moves_in_the_body(optical: tuple[float, ...], body: tuple[float, ...]) -> None:
    np.testing.assert_allclose(
        express(estimate((0, 0, 0), optical), Axes.BODY).linear_velocity, body
    )


def test_variances_go_with_their_axes() -> None:
    body = express(estimate((0, 0, 0), (0, 0, 0)), Axes.BODY)
    np.testing.assert_allclose(np.diag(body.covariance), [3, 1, 2, 6, 4, 5])


def test_gyro_axes_leave_linear_velocity_alone() -> None:
    gyro = express(estimate((1, 2, 3), (4, 5, 6)), Axes.GYRO)
    np.testing.assert_allclose(gyro.angular_velocity, [-2, -1, -3])
    np.testing.assert_allclose(gyro.linear_velocity, [4, 5, 6])


@pytest.mark.parametrize("axes", list(Axes))
def test_lengths_are_kept_and_axes_stay_right_handed(axes: Axes) -> None:
    matrix = six_from_optical(axes)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(6))
    for block in (matrix[:3, :3], matrix[3:, 3:]):
        assert np.linalg.det(block) == pytest.approx(1)
