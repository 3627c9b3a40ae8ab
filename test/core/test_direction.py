"""The sign filter, on rendered rotations whose direction is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from scipy.linalg import expm

from blur_imu_ros.choices import Direction
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionConfig, DirectionFilter, Observation, _rays, _warp
from blur_imu_ros.core.estimate import VelocityEstimate
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of, seen_after, texture

SCENE = texture()
RATE = np.array([0.5, 3.0, -2.0])
STEP = 1 / 30


def estimate_of(angular: np.ndarray, t: float) -> VelocityEstimate:
    return VelocityEstimate(
        t=t,
        exposure_time=EXPOSURE,
        angular_velocity=np.asarray(angular, dtype=float),
        linear_velocity=np.zeros(3),
        covariance=np.eye(6) * 0.1,
        blur_px=5.0,
        residual_px=0.3,
        rank=6,
        condition=10.0,
    )


def observe(t: float, sign: float = 1.0, rate: np.ndarray = RATE, gain: float = 1.0) -> Observation:
    """A camera that turns at a constant rate, measured with the given sign."""
    image = np.clip(gain * seen_after(rate * t, SCENE), 0, 255).astype(np.uint8)
    return DirectionFilter().observe(
        image, field_of(rate, np.zeros(3)), estimate_of(sign * rate, t)
    )


def run(observations: list[Observation | None], mode: Direction | str) -> list[float]:
    direction = DirectionFilter(DirectionConfig(mode=mode))
    decided = [p for observation in observations for p in direction.push(observation)]
    return decided + direction.flush()


def showing(observation: Observation, **instead: object) -> Observation:
    """The same with another image, depth or camera than those of its view."""
    other = replace(observation)
    other.__dict__.update(instead)
    return other


SIGNS = np.array([1, 1, -1, 1, -1, -1, 1])


@pytest.mark.parametrize("mode", ["adjacent", "previous"])
def test_finds_the_sign_of_every_frame(mode):
    probabilities = run([observe(k * STEP, s) for k, s in enumerate(SIGNS)], mode)
    certain = np.array(probabilities if mode == "adjacent" else probabilities[1:])
    expected = SIGNS if mode == "adjacent" else SIGNS[1:]
    assert len(probabilities) == len(SIGNS)
    assert np.all(np.where(expected > 0, certain, 1 - certain) > 0.99)


def test_reversing_every_candidate_reverses_every_probability():
    plus, minus = (
        run([observe(k * STEP, sign * s) for k, s in enumerate(SIGNS)], "previous")
        for sign in (1, -1)
    )
    assert minus == pytest.approx([1 - p for p in plus], abs=1e-6)


def test_each_pair_uses_its_own_stamps():
    """With stamps twice and half as far apart the same filter still turns images into each
    other."""
    times = np.cumsum([0, 1, 2, 0.5, 1.5, 1]) * STEP
    assert min(run([observe(t) for t in times], "adjacent")) > 0.99
    first, second = observe(0.0), observe(2 * STEP)
    direction = DirectionFilter()
    right = direction._photometric(first, second)
    lied = replace(second, estimate=replace(second.estimate, t=STEP))
    wrong = direction._photometric(first, lied)
    assert right[0, 0] > wrong[0, 0] + 1


def test_adjacent_waits_for_one_frame_and_previous_for_none():
    adjacent, previous = (
        DirectionFilter(DirectionConfig(mode=m)) for m in ("adjacent", "previous")
    )
    counts = [
        (len(adjacent.push(observe(k * STEP))), len(previous.push(observe(k * STEP))))
        for k in range(3)
    ]
    assert counts == [(0, 1), (1, 1), (1, 1)]
    assert len(adjacent.flush()) == 1
    assert adjacent.flush() == previous.flush() == []


def test_none_leaves_every_sign_open():
    assert run([observe(0.0), None, observe(STEP)], "none") == [0.5, 0.5, 0.5]


def test_a_single_frame_stays_open():
    assert run([observe(0.0)], "adjacent") == [0.5]
    assert run([observe(0.0)], "previous") == [0.5]


def test_brightness_that_jumps_does_not_mislead():
    probabilities = run(
        [observe(k * STEP, gain=g) for k, g in enumerate((1, 0.6, 1, 0.7))], "adjacent"
    )
    assert min(probabilities) > 0.95


@pytest.mark.parametrize("t", [-1.0, STEP, 10.0], ids=["back in time", "same time", "after a gap"])
def test_a_jump_in_time_starts_anew(t):
    probabilities = run([observe(0.0), observe(STEP), observe(t)], "previous")
    assert probabilities[1] > 0.99
    assert probabilities[2] == 0.5


def test_a_frame_that_could_not_be_measured_keeps_its_place_and_starts_anew():
    frames = [observe(0.0), observe(STEP), None, observe(3 * STEP), observe(4 * STEP)]
    adjacent, previous = run(frames, "adjacent"), run(frames, "previous")
    assert len(adjacent) == len(previous) == 5
    assert adjacent[2] == previous[2] == previous[3] == 0.5
    assert min(adjacent[0], adjacent[1], adjacent[3], adjacent[4]) > 0.99


def test_another_image_size_starts_anew():
    small = observe(STEP)
    small = showing(small, camera=CAMERA.resized(80, 56))
    assert run([observe(0.0), small], "previous") == [0.5, 0.5]


def test_continuity_carries_the_sign_over_frames_that_tell_nothing():
    rate = 2 * RATE
    seen = [observe(k * STEP, rate=rate) for k in range(2)]
    grey = np.ones_like(seen[0].image)
    blind = [showing(observe(k * STEP, rate=rate), image=grey) for k in range(2, 5)]
    assert min(run(seen + blind, "previous")[2:]) > 0.85
    turned = replace(blind[1], estimate=blind[1].estimate.reversed())
    blind[1] = showing(turned, image=grey)
    assert run(seen + blind, "previous")[3] < 0.15


MOVES = {
    "right": ((1.0, 0, 0), lambda x, y: (x - 0.05, y)),
    "up": ((0, -1.0, 0), lambda x, y: (x, y + 0.05)),
    "forward": ((0, 0, 1.0), lambda x, y: (x / 0.95, y / 0.95)),
}


@pytest.mark.parametrize("move", MOVES)
def test_warping_finds_points_where_a_moving_camera_sees_them(move):
    """0.1 m at a distance of 2 m: what was at (x, y) is seen at `after`(x, y)."""
    linear, after = MOVES[move]
    here = observe(0.0)
    x, y, _ = _rays(here.camera, 1)
    for axis, position in ((0, x), (1, y)):
        source = showing(here, image=position.copy())
        (warped,), (seen,) = _warp(source, here, np.array([[0, 0, 0, *linear]]), 0.1, 1)
        assert seen.mean() > 0.8
        assert warped[seen] == pytest.approx(after(x, y)[axis][seen], abs=1e-4)


def test_warping_follows_a_camera_that_turns_while_it_moves():
    """Against the exact motion of a constant velocity in body axes, dP/dt = -v - omega x P."""
    here, dt = observe(0.0), STEP
    angular, linear = np.array([1.0, 6.0, -3.0]), np.array([1.0, -0.5, 2.0])
    rate = np.zeros((4, 4))
    rate[:3, :3] = -np.cross(np.eye(3), angular)
    rate[:3, 3] = -linear
    rays = _rays(here.camera, 1)
    points = np.dstack([*(rays / 0.5), np.ones(here.image.shape)]) @ expm(rate * dt).T
    source = showing(here, image=rays[0].copy())
    (warped,), (seen,) = _warp(source, here, np.concatenate([angular, linear])[None], dt, 1)
    assert warped[seen] == pytest.approx((points[..., 0] / points[..., 2])[seen], abs=2e-4)


def test_several_motions_are_warped_as_each_alone():
    source, target = observe(STEP), observe(0.0)
    velocities = np.array([[0.5, 3, -2, 0.1, 0, 1], [-1, 0, 4, 0, 0.5, -1], np.zeros(6)])
    together = _warp(source, target, velocities, STEP, 1)
    for k in range(3):
        alone = _warp(source, target, velocities[k : k + 1], STEP, 1)
        for all_, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(all_[k], one[0], atol=1e-5)


@pytest.mark.parametrize(
    ("shift", "lost"),
    [
        ((0, 0), None),
        ((0.5, 0), np.s_[:, 0]),
        ((-0.5, 0), np.s_[:, -1]),
        ((0, 0.5), np.s_[0]),
        ((0, -0.5), np.s_[-1]),
    ],
    ids=["none", "right", "left", "down", "up"],
)
def test_pixels_are_seen_as_far_as_the_outermost_ones(shift, lost):
    """By half a pixel; all numbers are exact in 32 bits."""
    camera = Camera(16, 8, 8, 8, 7, 3)
    image = np.ones((8, 16), np.float32)
    here = cast(Observation, SimpleNamespace(image=image, inverse_depth=image, camera=camera))
    velocity = np.array([0, 0, 0, shift[0] / 8, shift[1] / 8, 0])
    expected = np.ones(image.shape, bool)
    if lost is not None:
        expected[lost] = False
    np.testing.assert_array_equal(_warp(here, here, velocity[None], 1.0, 1)[1][0], expected)


def test_spaced_pixels_are_those_of_the_whole_image():
    source, target = observe(STEP), observe(0.0)
    velocities = np.array([[0.5, 3.0, -2.0, 0.1, 0.0, 1.0]])
    every, second = (_warp(source, target, velocities, STEP, spacing) for spacing in (1, 2))
    for dense, spaced in zip(every, second, strict=True):
        np.testing.assert_allclose(spaced, dense[:, ::2, ::2], atol=1e-5)


def test_the_past_is_never_certain():
    probabilities = run([observe(k * STEP) for k in range(4)], "previous")
    assert max(probabilities) <= 1 - DirectionConfig().transition_probability / 2


def test_a_featureless_image_tells_nothing():
    blank = np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8)
    slow = np.array([0.0, 0.1, 0.0])
    field = field_of(slow, np.zeros(3))
    frames = [
        DirectionFilter().observe(blank, field, estimate_of(slow, k * STEP)) for k in range(3)
    ]
    assert run(frames, "adjacent") == pytest.approx([0.5, 0.5, 0.5], abs=0.05)


def test_black_images_give_numbers():
    black = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    field = field_of(RATE, np.zeros(3))
    frames = [
        DirectionFilter().observe(black, field, estimate_of(RATE, k * STEP)) for k in range(3)
    ]
    assert np.isfinite(run(frames, "adjacent")).all()


def test_images_that_hardly_overlap_give_no_photometric_evidence():
    fast = np.array([0.0, 40.0, 0.0])
    evidence = DirectionFilter()._photometric(observe(0.0, rate=fast), observe(STEP, rate=fast))
    assert np.array_equal(evidence, np.zeros((2, 2)))


def test_a_change_is_judged_by_both_covariances_and_what_a_camera_can_do_meanwhile():
    config = DirectionConfig(acceleration=20.0, outlier_likelihood=0.05)
    first, second = observe(0.0), observe(STEP)
    first = replace(
        first, estimate=replace(estimate_of([0, 0, 1], 0.0), covariance=np.eye(6) * 0.3)
    )
    second = replace(
        second, estimate=replace(estimate_of([0, 0, 2], STEP), covariance=np.eye(6) * 0.2)
    )
    variance = 0.3 + 0.2 + (20.0 * STEP) ** 2
    likelihood = [0.05 + np.exp(-(change**2) / (2 * variance)) for change in (1, 3)]
    expected = np.log([likelihood, likelihood[::-1]])
    assert DirectionFilter(config)._continuity(first, second) == pytest.approx(expected)


def test_continuity_prefers_the_smaller_change_but_never_forbids():
    config = DirectionConfig()
    same = DirectionFilter(config)._continuity(observe(0.0), observe(STEP))
    assert same[0, 0] == same[1, 1] > same[0, 1]
    fast = np.array([0.0, 50.0, 0.0])
    limit = DirectionFilter(config)._continuity(observe(0.0, rate=fast), observe(STEP, rate=fast))
    assert limit[0, 0] - limit[0, 1] == pytest.approx(-np.log(config.outlier_likelihood), abs=0.1)


def test_images_overrule_continuity_when_the_camera_really_reverses():
    """It turns right, then within one frame turns back left."""
    rate = np.array([0.0, 3.0, 0.0])
    turns = [-2, -1, 0, -1, -2]
    rates = [1, 1, 0.05, -1, -1]
    frames = [
        DirectionFilter().observe(
            seen_after(rate * turn * STEP, SCENE),
            field_of(rate, np.zeros(3)),
            estimate_of(rate * r, k * STEP),
        )
        for k, (turn, r) in enumerate(zip(turns, rates, strict=True))
    ]
    probabilities = run(frames, "adjacent")
    assert min(probabilities[i] for i in (0, 1, 3, 4)) > 0.9


def test_the_mean_of_two_equal_motions_is_that_motion():
    """Turned by the whole motion one image becomes the other; by any part of it, it does not."""
    direction = DirectionFilter(DirectionConfig(evidence=1.0))
    first, second = observe(0.0), observe(STEP)

    def error(share: float) -> float:
        moved = [
            replace(s, estimate=replace(s.estimate, angular_velocity=share * RATE))
            for s in (first, second)
        ]
        return float(np.exp(-direction._photometric(*moved)[0, 0]))

    assert error(1.0) < 0.7 * min(error(2 / 3), error(4 / 3))


def test_a_mode_is_one_of_four_words() -> None:
    assert DirectionConfig(mode="smooth").mode is Direction.SMOOTH
    with pytest.raises(ValueError, match="sideways"):
        DirectionConfig(mode="sideways")
