"""The motion of a whole image, from images whose motion is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from blur_imu_ros.core.autocorrelation import (
    AutocorrelationConfig,
    WholeMotion,
    fused,
    whole_motion,
)
from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.links import Links
from blur_imu_ros.core.measurement import measured
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.registration import RegistrationConfig
from blur_imu_ros.core.tracker import Tracker
from blur_imu_ros.core.velocity import VelocityPrior, VelocitySolver
from helpers.synthetic_fields import CAMERA, COLUMNS, EXPOSURE, ROWS, STRIDE, field_of

Array = NDArray[Any]

CONFIG = AutocorrelationConfig()
YAW, PITCH, ROLL = np.eye(3)[[1, 0, 2]]
STILL = np.zeros(3)
FAR_AND_NEAR = np.where(np.arange(COLUMNS) < COLUMNS // 2, 0.7, 2.0) * np.ones((ROWS, 1))
"""Inverse depth, 1/m: the left half is farther away than the right half."""


FAR, WALL = np.full((ROWS, COLUMNS), 0.02), np.full((ROWS, COLUMNS), 0.5)
"""50 m away, so that only turns blur; and a wall 2 m away."""


def scene(seed: int = 0, spots: int = 400) -> Array:
    """Bright and dark rectangles of all sizes, as rooms are full of; linear light."""
    rng = np.random.default_rng(seed)
    image = np.full((3 * CAMERA.height, 3 * CAMERA.width), 0.4, np.float32)
    for _ in range(spots):
        left, top = rng.integers(0, image.shape[1]), rng.integers(0, image.shape[0])
        wide, high = rng.integers(4, 60, 2)
        image[top : top + high, left : left + wide] = rng.uniform(0.05, 0.85)
    return image


def photo(
    angular: Array, linear: Array = STILL, inverse_depth: Array = FAR, seed: int = 0
) -> Array:
    """The view (height, width, 3) of a camera that moves all through its exposure."""
    near = cv2.resize(inverse_depth, (CAMERA.width, CAMERA.height), interpolation=cv2.INTER_NEAREST)
    u, v = (g.astype(float) for g in np.meshgrid(range(CAMERA.width), range(CAMERA.height)))
    moved = motion_field(CAMERA, u, v, near, angular * EXPOSURE, linear * EXPOSURE)
    shots = []
    for share in np.linspace(-0.5, 0.5, 81):
        # What lies at a pixel was there, less its motion since the middle of the exposure.
        x = (u + CAMERA.width - share * moved[..., 0]).astype(np.float32)
        y = (v + CAMERA.height - share * moved[..., 1]).astype(np.float32)
        shots.append(cv2.remap(scene(seed), x, y, cv2.INTER_LINEAR))
    noise = 0.004 * np.random.default_rng(seed).standard_normal(shots[0].shape)
    grey = np.clip(255 * (np.mean(shots, axis=0) + noise) ** (1 / 2.2), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def read(
    angular: Array, linear: Array = STILL, inverse_depth: Array = FAR, sigma: float = 2.0
) -> tuple[BlurField, VelocityEstimate]:
    """What a network says that reads this motion, not surely."""
    field = field_of(angular, linear, inverse_depth, sigma=sigma)
    return field, VelocitySolver().solve(field, EXPOSURE, 0.0)


def found(view: Array, field: BlurField, estimate: VelocityEstimate) -> VelocityEstimate:
    return fused(estimate, whole_motion(view, field, estimate, CONFIG))


def error(estimate: VelocityEstimate, angular: Array) -> float:
    """How far the angular velocity is off, as a share of the true one; its sign is open."""
    sign = np.copysign(1, estimate.angular_velocity @ angular)
    return float(
        np.linalg.norm(sign * estimate.angular_velocity - angular) / np.linalg.norm(angular)
    )


@pytest.mark.parametrize("axis", [YAW, PITCH, ROLL, YAW - PITCH, (2 * YAW + ROLL) / 2])
@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_length_that_was_read_wrong_is_put_right(axis: Array, factor: float) -> None:
    angular = 7 * axis / np.linalg.norm(axis) * (2 if np.array_equal(axis, ROLL) else 1)
    field, estimate = read(factor * angular)
    assert error(estimate, angular) == pytest.approx(abs(factor - 1), abs=0.03)
    assert error(found(photo(angular), field, estimate), angular) < 0.07


def test_a_direction_that_was_read_wrong_is_put_right() -> None:
    """Yaw, read as yaw and some pitch."""
    field, estimate = read(6 * YAW + 1.2 * PITCH, sigma=8.0)
    assert error(estimate, 6 * YAW) > 0.19
    assert error(found(photo(6 * YAW), field, estimate), 6 * YAW) < 0.15


@pytest.mark.parametrize("length_px", [8, 15, 30, 60])
def test_short_and_long_blur(length_px: float) -> None:
    angular = length_px / (CAMERA.fx * EXPOSURE) * YAW
    field, estimate = read(0.8 * angular)
    assert error(found(photo(angular), field, estimate), angular) < 0.07


def test_the_surer_the_image_the_less_the_network_counts() -> None:
    angular = 6 * YAW
    field, estimate = read(0.8 * angular)
    better = found(photo(angular), field, estimate)
    assert np.all(np.linalg.eigvalsh(estimate.covariance - better.covariance) > -1e-9)
    assert better.sigma[1] < estimate.sigma[1] / 2
    # Errors that all frames share are those of the network.
    assert better.shared_covariance[1, 1] < estimate.shared_covariance[1, 1] / 4
    assert abs(better.angular_velocity[1]) == pytest.approx(6, abs=3 * better.sigma[1])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_stays_that_of_the_estimate(sign: int) -> None:
    field, estimate = read(5 * YAW)
    estimate = estimate if estimate.angular_velocity[1] * sign > 0 else estimate.reversed()
    better = found(photo(6 * YAW), field, estimate)
    assert better.angular_velocity[1] == pytest.approx(sign * 6, rel=0.05)
    assert better.direction_probability == 0.5


def test_a_sideways_motion_is_told_by_its_parallax() -> None:
    """The camera moves to its right by 3 m/s; the right half of the view is nearer."""
    linear = np.array([3.0, 0.0, 0.0])
    field, estimate = read(STILL, 0.7 * linear, inverse_depth=FAR_AND_NEAR)
    view = photo(STILL, linear, FAR_AND_NEAR)
    whole = whole_motion(view, field, estimate, CONFIG)
    assert whole is not None
    assert abs(whole.motion[3]) / EXPOSURE == pytest.approx(3, rel=0.15)
    assert abs(whole.motion[1]) / EXPOSURE < 0.5


def test_what_the_depth_does_not_tell_apart_is_not_told() -> None:
    """Before a wall, yaw and a motion to the side blur alike: only their sum is told."""
    field, estimate = read(5 * YAW, inverse_depth=WALL)
    whole = whole_motion(photo(6 * YAW, inverse_depth=WALL), field, estimate, CONFIG)
    assert whole is not None
    both = whole.information[np.ix_([1, 3], [1, 3])]
    size = np.sqrt(np.diag(both))
    # In units of what the image is most sure of.
    assert np.linalg.eigvalsh(both / np.outer(size, size))[0] < 0.2


def told(angular: Array = STILL, linear: Array = STILL, **settings: float) -> WholeMotion:
    """What an image tells of its motion, by other settings."""
    field, estimate = read(0.8 * angular, 0.8 * linear, inverse_depth=FAR_AND_NEAR)
    view = photo(angular, linear, FAR_AND_NEAR)
    whole = whole_motion(view, field, estimate, replace(CONFIG, **settings))
    assert whole is not None
    return whole


def test_no_number_of_edges_makes_surer_of_the_length_than_their_common_error() -> None:
    for std in (0.2, 0.5):
        whole = told(6 * YAW, length_std=std)
        assert 0.5 < std**2 * (whole.motion @ whole.information @ whole.motion) < 1


def test_a_weak_correlation_tells_less_by_its_square() -> None:
    # Without a common error of length, which would hide the difference.
    sure = told(6 * YAW, length_std=1e-6, sure_correlation=0.1)
    unsure = told(6 * YAW, length_std=1e-6, sure_correlation=0.8)
    share = unsure.information[1, 1] / sure.information[1, 1]
    assert share == pytest.approx((unsure.correlation / 0.8) ** 2, rel=1e-3)


@pytest.mark.parametrize("setting", ["depth_std", "depth_scale_std"])
def test_the_less_depth_is_known_the_less_is_told_of_translation(setting: str) -> None:
    linear = np.array([3.0, 0.0, 0.0])
    known = {"depth_std": 1e-6, "depth_scale_std": 1e-6, "length_std": 1e-6}
    surer, less_sure = told(linear=linear, **known), told(linear=linear, **known | {setting: 1.0})
    assert less_sure.information[3, 3] < 0.7 * surer.information[3, 3]


def blank(grey: int) -> Array:
    return np.full((CAMERA.height, CAMERA.width, 3), grey, np.uint8)


def noise() -> Array:
    grains = np.random.default_rng(0).normal(128, 6, (CAMERA.height, CAMERA.width, 1))
    return np.repeat(grains, 3, axis=2).clip(0, 255).astype(np.uint8)


def defocused() -> Array:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)).astype(float)
    return np.asarray(cv2.filter2D(photo(STILL), -1, disc / disc.sum()), np.uint8)


NOTHING = {
    "black": blank(0),
    "white": blank(255),
    "grey": blank(128),
    "noise": noise(),
    "sharp": photo(STILL),
    "soft": cv2.GaussianBlur(photo(STILL), (0, 0), 6),
    "out of focus": defocused(),
    "blurred the other way": photo(6 * PITCH),
}


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("length_px", [8, 15, 40])
def test_an_image_that_does_not_show_the_motion_tells_nothing(name: str, length_px: float) -> None:
    field, estimate = read(length_px / (CAMERA.fx * EXPOSURE) * YAW)
    whole = whole_motion(NOTHING[name], field, estimate, CONFIG)
    assert whole is None
    assert found(NOTHING[name], field, estimate) is estimate


def test_a_camera_at_rest_has_nothing_to_be_found() -> None:
    field, estimate = read(0.1 * YAW)
    assert whole_motion(photo(STILL), field, estimate, CONFIG) is None


def test_windows_that_are_blown_out_do_not_shorten_the_blur() -> None:
    """Light beyond what a pixel holds hides where its blur ends."""
    angular = 7 * YAW
    bright = np.clip(photo(angular).astype(float) * 1.3, 0, 255).astype(np.uint8)
    assert 0.1 < (bright == 255).mean() < 0.4
    field, estimate = read(0.8 * angular)
    assert error(found(bright, field, estimate), angular) < 0.06


def test_what_belongs_to_the_camera_is_left_out() -> None:
    """A dashboard across the lower half stands sharp while the rest is blurred."""
    angular = 6 * YAW
    view, dashboard = photo(angular), photo(STILL, seed=3)
    view[CAMERA.height // 2 :] = dashboard[CAMERA.height // 2 :]
    field, estimate = read(0.8 * angular)
    shown = cell_centres(ROWS, COLUMNS, STRIDE)[1] < CAMERA.height // 2
    part = replace(field, shown=shown)
    assert error(found(view, part, VelocitySolver().solve(part, EXPOSURE, 0.0)), angular) < 0.06


def test_an_image_that_the_network_cannot_read_is_valid_by_its_edges() -> None:
    angular = 6 * YAW
    field = field_of(0.8 * angular, STILL, FAR, sigma=60.0)
    frame = Frame(photo(angular), 0.0, EXPOSURE, CAMERA)
    alone = measured(frame, frame.image, field, VelocitySolver(), None)
    assert not alone.estimate.valid and "could be read in only" in alone.estimate.reasons[0]
    both = measured(frame, frame.image, field, VelocitySolver(), CONFIG)
    assert both.estimate.valid and both.estimate.reasons == ()
    assert both.whole is not None and both.whole.correlation < -CONFIG.unread_correlation
    assert error(both.estimate, angular) < 0.1


def test_the_estimate_tells_how_well_both_ends_agree() -> None:
    field, _ = read(6 * YAW)
    for view, least in ((photo(6 * YAW), 0.3), (photo(STILL), 0.0)):
        one = measured(Frame(view, 0.0, EXPOSURE, CAMERA), view, field, VelocitySolver(), CONFIG)
        assert one.estimate.autocorrelation == (-one.whole.correlation if one.whole else 0)
        assert (one.estimate.autocorrelation > least) == (least > 0)


def test_a_field_that_cannot_be_is_no_start() -> None:
    field, _ = read(6 * YAW)
    broken = replace(field, inverse_depth=np.full((ROWS, COLUMNS), np.nan))
    estimate = VelocitySolver().solve(broken, EXPOSURE, 0.0)
    assert whole_motion(photo(6 * YAW), broken, estimate, CONFIG) is None


@pytest.mark.parametrize("sigma", [1e-6, 1e-8, 1e-10])
def test_what_is_known_beforehand_better_than_any_image_tells_does_no_harm(sigma: float) -> None:
    known = 6 * np.eye(6)[1]
    prior = VelocityPrior(known, sigma**-2 * np.eye(6))
    field, estimate = read(4.8 * YAW)
    view = photo(6 * YAW)
    whole = whole_motion(view, field, estimate, CONFIG)
    frame = Frame(view, 0.0, EXPOSURE, CAMERA)
    for one in (
        measured(frame, view, field, VelocitySolver(), CONFIG, prior).estimate,
        fused(VelocitySolver().solve(field, EXPOSURE, 0.0, prior), whole),
    ):
        assert one.valid and np.all(np.abs(one.velocity - known) < 3 * one.sigma)


def test_nothing_far_away_tells_of_translation() -> None:
    """At infinity nothing moves by translation; what it tells of rotation is as good."""
    far = np.zeros((ROWS, COLUMNS))
    angular = 6 * YAW
    field, estimate = read(0.8 * angular, inverse_depth=far)
    whole = whole_motion(photo(angular, inverse_depth=far), field, estimate, CONFIG)
    assert whole is not None
    assert np.abs(whole.information[3:]).max() < 1e-6 * whole.information[1, 1]
    assert error(fused(estimate, whole), angular) < 0.05


def test_a_tracker_keeps_what_both_ends_tell_when_it_solves_anew_about_a_pivot() -> None:
    angular = 6 * YAW
    field, _ = read(0.8 * angular)
    view = photo(angular)
    single = measured(Frame(view, 0.0, EXPOSURE, CAMERA), view, field, VelocitySolver(), CONFIG)
    pivot = PivotConfig(lever_arm=(0.0, 0.0, 0.3))
    (held,) = Tracker(pivot=pivot, autocorrelation=CONFIG).follow([single])
    assert held.estimate.linear_velocity != pytest.approx(single.estimate.linear_velocity)
    assert held.estimate.autocorrelation == single.estimate.autocorrelation > 0.3
    assert error(held.estimate, angular) < 0.07


@pytest.mark.parametrize("config", [CONFIG, None])
def test_a_tracker_measures_anew_as_before_what_is_left_of_an_image(
    config: AutocorrelationConfig | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lower half turns out to be a dashboard."""
    field, _ = read(4.8 * YAW)
    shown = cell_centres(ROWS, COLUMNS, STRIDE)[1] < CAMERA.height // 2
    monkeypatch.setattr(Links, "shown", lambda *_: shown)
    view = photo(6 * YAW)
    single = measured(Frame(view, 0.0, EXPOSURE, CAMERA), view, field, VelocitySolver(), config)
    tracker = Tracker(registration=RegistrationConfig(), autocorrelation=config)
    (left,) = tracker.follow([single])
    assert left.field is not None and left.field.shown is shown
    assert (left.estimate.autocorrelation > 0.3) == (config is not None)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-6, 1e-3, 1.0]),
)
def test_fusing_makes_surer_and_stays_between(seed: int, tau: float) -> None:
    """Of two Gaussians the mean is nearer to both than they are to each other."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((6, 6))
    _, base = read(3 * YAW)
    estimate = replace(base, exposure_time=tau, covariance=factor @ factor.T + 0.1 * np.eye(6))
    other = rng.standard_normal((6, 6))
    told = (other @ other.T) / tau**2
    whole = WholeMotion(rng.standard_normal(6) * tau, told, -0.3)
    both = fused(estimate, whole)
    assert np.linalg.eigvalsh(both.covariance)[0] > 0
    assert np.linalg.eigvalsh(estimate.covariance - both.covariance)[0] > -1e-6
    # The other sign of the same motion says the same.
    turned = fused(estimate, replace(whole, motion=-whole.motion))
    assert turned.velocity == pytest.approx(both.velocity, rel=1e-6, abs=1e-9)
    apart = estimate.velocity - whole.motion / tau * np.copysign(
        1, estimate.velocity @ told @ whole.motion
    )
    gap = np.linalg.solve(estimate.covariance, estimate.velocity - both.velocity)
    assert apart @ gap >= -1e-9


def test_nothing_found_changes_nothing() -> None:
    _, estimate = read(3 * YAW)
    assert fused(estimate, None) is estimate
