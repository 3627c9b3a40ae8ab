"""Velocities summed up to a pose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.ros.odometry import UNKNOWN, Odometry


def at(
    t: float, omega: Any = (0, 0, 0), v: Any = (0, 0, 0), sigma: float = 0.1
) -> VelocityEstimate:
    return VelocityEstimate(
        t=t, exposure_time=0.01, angular_velocity=np.array(omega, float),
        linear_velocity=np.array(v, float), covariance=np.eye(6) * sigma**2, blur_px=5.0,
        residual_px=0.1, rank=6, condition=1.0, direction_probability=1.0,
    )  # fmt: skip


def test_a_quarter_of_a_circle_ends_where_it_should() -> None:
    path, rate = Odometry(with_position=True), 90.0
    times = np.arange(0, 1 + 0.5 / rate, 1 / rate)
    for t in times:
        pose = path.add(at(t, omega=(0, 0, np.pi / 2), v=(np.pi / 2, 0, 0)))
    # One metre of radius: a quarter to the left ends one ahead and one to the left.
    np.testing.assert_allclose(pose.position, [1, 1, 0], atol=1e-3)
    turned = Rotation.from_quat(pose.orientation).as_rotvec()
    np.testing.assert_allclose(turned, [0, 0, np.pi / 2], atol=1e-6)


def test_position_is_not_invented() -> None:
    path = Odometry(with_position=False)
    for t in np.arange(0, 1, 0.1):
        pose = path.add(at(t, v=(1, 0, 0)))
    assert not pose.position.any()
    np.testing.assert_allclose(np.diag(pose.covariance)[:3], UNKNOWN)
    assert np.diag(pose.covariance)[3:].max() < 1


def test_the_doubt_grows_as_that_of_independent_measurements() -> None:
    path, n, dt, sigma = Odometry(with_position=True), 100, 0.02, 0.3
    for k in range(n + 1):
        pose = path.add(at(k * dt, sigma=sigma))
    expected = n * (sigma * dt) ** 2
    np.testing.assert_allclose(np.diag(pose.covariance), expected, rtol=0.01)
    assert np.linalg.eigvalsh(pose.covariance).min() > 0


@pytest.mark.parametrize("step", [2.0, -1.0], ids=["a gap", "back in time"])
def test_after_a_gap_the_pose_is_kept_and_its_doubt_is_told(step: float) -> None:
    path = Odometry(with_position=True)
    path.add(at(10.0, omega=(0, 0, 1)))
    before = path.add(at(10.1, omega=(0, 0, 1)))
    after = path.add(at(10.1 + step, omega=(0, 0, 1)))
    np.testing.assert_allclose(after.orientation, before.orientation)
    assert np.diag(after.covariance)[3:].min() > 9


def test_it_begins_anew_where_asked() -> None:
    path = Odometry(with_position=True)
    for t in (0.0, 0.1, 0.2):
        path.add(at(t, omega=(1, 0, 0), v=(1, 0, 0)))
    path.begin_anew()
    pose = path.add(at(0.3))
    assert not pose.position.any() and pose.orientation[3] == 1
