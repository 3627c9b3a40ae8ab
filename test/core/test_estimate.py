"""What may be done with a velocity estimate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.axes import express
from blur_imu_ros.core.estimate import VelocityEstimate

ESTIMATE = VelocityEstimate(
    t=1.0,
    exposure_time=0.01,
    angular_velocity=np.array([1.0, -2.0, 3.0]),
    linear_velocity=np.array([0.1, 0.2, -0.3]),
    covariance=np.diag([1.0, 4.0, 9.0, 0.01, 0.04, 0.09]),
    blur_px=4.0,
    residual_px=0.2,
    rank=6,
    condition=5.0,
    direction_probability=0.8,
)


def test_sigma_is_the_root_of_the_variances():
    assert ESTIMATE.sigma == pytest.approx([1, 2, 3, 0.1, 0.2, 0.3])


def test_reversing_turns_both_velocities_and_the_probability():
    other = ESTIMATE.reversed()
    assert np.array_equal(other.angular_velocity, [-1, 2, -3])
    assert np.array_equal(other.linear_velocity, [-0.1, -0.2, 0.3])
    assert other.direction_probability == pytest.approx(0.2)
    assert other.covariance is ESTIMATE.covariance
    again = other.reversed()
    assert np.array_equal(again.angular_velocity, ESTIMATE.angular_velocity)


def test_what_both_ends_of_the_blur_told_is_the_same_under_either_sign_and_in_any_axes():
    found = replace(ESTIMATE, autocorrelation=0.4)
    assert ESTIMATE.autocorrelation == 0
    for other in (found.reversed(), found.rejected("too dark"), express(found, Axes.BODY)):
        assert other.autocorrelation == 0.4


def test_refusing_keeps_the_numbers_and_gathers_the_reasons():
    refused = ESTIMATE.rejected("too dark").rejected("too flat")
    assert ESTIMATE.valid
    assert not refused.valid
    assert refused.reasons == ("too dark", "too flat")
    assert np.array_equal(refused.angular_velocity, ESTIMATE.angular_velocity)
