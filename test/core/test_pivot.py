"""The lever arm of a hand-held camera: found online, used as a prior, refused where there is
none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.pivot import PivotConfig, PivotFilter, skew
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.errors import SettingsError
from helpers.hand_held import LEVER_ARM, estimate, hand
from helpers.synthetic_fields import EXPOSURE, field_of, random_inverse_depth

ASSUMED = VelocitySolver().weak_prior


def after(estimates: Iterator[VelocityEstimate], config: PivotConfig | None = None) -> PivotFilter:
    pivot = PivotFilter(config)
    for one in estimates:
        pivot.update(one, ASSUMED)
    return pivot


def test_a_camera_before_the_wrist_that_yaws_left_moves_left():
    """r points forward (z); yaw left is a turn about -y; left is -x."""
    yaw_left = np.array([0.0, -1.0, 0.0])
    assert skew(yaw_left) @ [0, 0, 0.3] == pytest.approx([-0.3, 0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_the_lever_arm_is_found_whatever_the_signs(seed: int):
    pivot = after(hand(seed))
    assert pivot.lever_arm == pytest.approx(LEVER_ARM, abs=0.05)
    assert pivot.trusted
    std = np.sqrt(np.diag(pivot.covariance))
    assert np.all(std < 0.05)


@pytest.mark.parametrize(
    "arm", [(-0.2, -0.05, 0.22), (0.2, -0.25, 0.27), (0.0, 0.1, 0.1)], ids=["right", "left", "head"]
)
def test_any_lever_arm_is_found_of_clear_frames(arm: tuple[float, float, float]):
    rng = np.random.default_rng(0)
    pivot = PivotFilter()
    for k in range(90):
        omega = rng.standard_normal(3) * 4
        pivot.update(estimate(omega, np.cross(omega, arm), k / 30), ASSUMED)
    assert pivot.lever_arm == pytest.approx(arm, abs=0.02)
    assert pivot.found


def test_nose_up_is_expected_to_lift_a_camera_in_a_hand_and_to_take_it_back():
    """Before anything is learnt: wrist and elbow are below and behind it. Nose up is a turn about
    x."""
    nose_up = np.array([2.0, 0.0, 0.0])
    x, y, z = np.cross(nose_up, PivotFilter().lever_arm)
    assert x == pytest.approx(0)
    assert y < -0.3 and z < -0.2


def test_the_error_of_the_lever_arm_is_as_large_as_the_filter_says():
    errors = []
    for seed in range(30):
        pivot = after(hand(seed, count=40, noise=0.6), PivotConfig(constraint_noise_per_rate=0.12))
        error = pivot.lever_arm - LEVER_ARM
        errors.append(error @ np.linalg.solve(pivot.covariance, error) / 3)
    assert 0.3 < np.mean(errors) < 1.7


@pytest.mark.parametrize("seed", range(4))
def test_errors_in_proportion_to_the_velocity_do_not_shorten_the_lever_arm(seed: int):
    """Depth read much too near or too far: frames read short must not count more."""
    rng = np.random.default_rng(seed)
    pivot = PivotFilter()
    for one in hand(seed):
        read = one.linear_velocity * rng.choice([0.4, 1.6])
        linear = np.concatenate([np.zeros(3), read])
        shared = 0.6**2 * np.outer(linear, linear)
        covariance = one.covariance + shared
        pivot.update(
            replace(one, linear_velocity=read, covariance=covariance, shared_covariance=shared),
            ASSUMED,
        )
    along = pivot.lever_arm @ LEVER_ARM / (LEVER_ARM @ LEVER_ARM)
    assert along == pytest.approx(1, abs=0.2)  # with the shared errors in, 0.6 to 0.72


@pytest.mark.parametrize("scale", [0.4, 2.0])
def test_the_usual_length_corrects_an_arm_that_wrong_depth_makes_short_or_long(scale: float):
    read = (replace(e, linear_velocity=scale * e.linear_velocity) for e in hand(count=60))
    pivot = after(read)
    true, found, held = (
        float(np.linalg.norm(arm)) for arm in (LEVER_ARM, pivot.lever_arm, pivot.held[0])
    )
    assert abs(np.log(held / true)) < 0.75 * abs(np.log(found / true))
    assert np.cross(pivot.held[0], pivot.lever_arm) == pytest.approx(np.zeros(3), abs=1e-9)


def test_the_length_of_a_given_lever_arm_is_not_asked():
    given = (-0.05, 0.0, 0.1)
    assert np.array_equal(PivotFilter(PivotConfig(lever_arm=given)).held[0], given)


def test_the_prior_expects_the_velocity_of_the_turn():
    pivot = after(hand())
    omega = np.array([0.0, -4.0, 1.0])
    prior = pivot.prior(estimate(omega, np.zeros(3), 6.0))
    assert prior is not None
    x = np.concatenate([omega, np.cross(omega, LEVER_ARM)])
    wrong = np.concatenate([omega, np.cross(omega, LEVER_ARM) + [0, 0, 2.0]])
    assert x @ prior.information @ x < 1
    assert wrong @ prior.information @ wrong > 5
    assert np.linalg.eigvalsh(prior.information).min() > -1e-9


def test_with_the_prior_a_far_wall_leaves_the_linear_velocity_known():
    """Behind a flat wall far away no parallax tells sideways motion from a turn."""
    rng = np.random.default_rng(1)
    omega = np.array([0.5, -3.0, 1.0])
    v = np.cross(omega, LEVER_ARM)
    depth = np.full((28, 40), 0.25) + 0.002 * random_inverse_depth(rng)
    noise = rng.standard_normal((28, 40, 2))
    field = field_of(omega, v, depth, sigma=1.0, error=noise)
    solver = VelocitySolver()
    free = solver.solve(field, EXPOSURE, 0.0)
    prior = after(hand()).prior(free)
    held = solver.solve(field, EXPOSURE, 0.0, prior)
    assert held.sigma[3] < 0.6 * free.sigma[3]

    def miss(found: VelocityEstimate) -> float:
        sign = np.sign(found.angular_velocity @ omega)
        return float(np.linalg.norm(sign * found.linear_velocity - v))

    assert miss(held) < 0.3


def test_a_robot_that_drives_is_not_taken_for_a_hand():
    """Forward at 3 m/s whatever the turn: no lever arm explains that, and the prior is withheld."""
    rng = np.random.default_rng(2)
    drive = (
        estimate(0.3 * rng.standard_normal(3), np.array([0, 0, 3.0]), k / 30) for k in range(60)
    )
    pivot = after(drive)
    assert not pivot.trusted
    assert pivot.prior(estimate(np.ones(3), np.ones(3), 3.0)) is None


def test_trust_comes_back_when_the_motion_fits_again():
    rng = np.random.default_rng(3)
    pivot = after(
        estimate(rng.standard_normal(3), np.array([0, 0, 3.0]), k / 30) for k in range(30)
    )
    for one in hand(3):
        pivot.update(one, ASSUMED)
    assert pivot.trusted
    assert pivot.lever_arm == pytest.approx(LEVER_ARM, abs=0.06)


def test_an_impossible_lever_arm_is_forgotten():
    """A camera that moves 2 m/s for each rad/s is on no wrist."""
    rng = np.random.default_rng(4)
    pivot = PivotFilter(PivotConfig(constraint_noise_per_rate=0.5, start_std=(0.5, 0.5, 0.5)))
    for k in range(60):
        omega = rng.standard_normal(3) * 4
        pivot.update(estimate(omega, np.cross(omega, [0, 0, 2.0]), k / 30), ASSUMED)
        assert np.linalg.norm(pivot.lever_arm) <= pivot.config.longest
    assert not pivot.trusted


@pytest.mark.parametrize("arm", [(0.0, 0.0, 30.0), (0.0, np.nan, 0.0), (0.1, 0.2)])
def test_a_lever_arm_in_other_units_is_refused(arm: tuple[float, ...]):
    with pytest.raises(SettingsError, match="three numbers in metres"):
        PivotConfig(lever_arm=arm)


def test_a_given_lever_arm_stays():
    config = PivotConfig(lever_arm=(0.0, 0.0, 0.5))
    pivot = after(hand(), config)
    assert pivot.lever_arm == pytest.approx([0, 0, 0.5])


def test_frames_that_hold_nothing_teach_nothing():
    pivot = PivotFilter()
    before = pivot.covariance.copy()
    pivot.update(VelocitySolver().invalid_estimate(EXPOSURE, 0.0, "black"), ASSUMED)
    assert np.array_equal(pivot.covariance, before)
