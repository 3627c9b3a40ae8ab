"""The motion filter, on velocities that are made up: what it fuses is known, and how wrong it
is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from blur_imu_ros.core.blur_reading import BlurReading
from blur_imu_ros.core.motion_filter import Fused, MotionFilter, smoothed
from blur_imu_ros.core.motion_gain import GainEvidence
from blur_imu_ros.core.motion_process import MotionFilterConfig, Turning, axis
from blur_imu_ros.core.motion_step import Hold
from blur_imu_ros.core.registration import Registration
from blur_imu_ros.core.velocity import VelocitySolver

STEP, FINE = 1 / 30, 20
WIDE = 1e6


@dataclass(frozen=True)
class Motion:
    """A camera that is shaken: (n, 6) velocities at its frames, (n - 1, 6) means between them."""

    velocity: np.ndarray
    mean: np.ndarray


def shaken(acceleration: float, count: int = 200, seed: int = 0) -> Motion:
    """Angular velocities whose acceleration (rad/s^2) changes within 0.1 s; v follows at 0.3 m."""
    rng = np.random.default_rng(seed)
    dt = STEP / FINE
    keep = np.exp(-dt / 0.1)
    alpha, omega, path = acceleration * rng.standard_normal(3), np.zeros(3), []
    for _ in range(count * FINE):
        alpha = keep * alpha + acceleration * np.sqrt(1 - keep**2) * rng.standard_normal(3)
        omega = 0.998 * omega + alpha * dt
        path.append([*omega, *(0.3 * np.cross(omega, [0, 0, 1]))])
    fine = np.array(path).reshape(count, FINE, 6)
    return Motion(fine[:, 0], fine[:-1].mean(axis=1))


def pair_of(velocity: np.ndarray, k: int, std: float) -> Registration:
    covariance = np.diag([std**2] * 3 + [(3 * std) ** 2] * 3)
    interval = k * STEP, (k + 1) * STEP
    shared = np.zeros((6, 6))
    return Registration(*interval, velocity, covariance, 0.95, 0.9, 0.0, True, (), shared)


def blur_of(velocity: np.ndarray, std: float) -> BlurReading:
    return BlurReading(velocity, np.diag([std**2] * 3 + [(3 * std) ** 2] * 3))


def fused(
    motion: Motion,
    pair_std: float = 0.1,
    blur_std: float = 0.5,
    blur_told: float | None = None,
    pairs: bool = True,
    alike: float = 0.0,
) -> list[Fused]:
    """Go through the motion with noise on all.

    `blur_told` is the error that blur claims; pairs claim `alike` besides what they err by chance.
    """
    rng = np.random.default_rng(1)
    told = blur_std if blur_told is None else blur_told
    noise = np.array([1.0] * 3 + [3.0] * 3)
    readings = [
        blur_of(v + blur_std * noise * rng.standard_normal(6), told) for v in motion.velocity
    ]
    means = motion.mean + pair_std * noise * rng.standard_normal(motion.mean.shape)
    motions = MotionFilter()
    wide = 1.0 if pairs else WIDE
    return [
        motions.push(pair_of(m, k, np.hypot(pair_std, alike) * wide), readings[k], readings[k + 1])
        for k, m in enumerate(means)
    ]


def rmse(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - truth)[20:, :3] ** 2)))


def errors_of(chain: list[Fused], motion: Motion) -> tuple[float, float, float]:
    """Of what is known at once, one frame later, and in the end."""
    late = np.array([f.before.mean for f in chain])
    return (
        rmse(np.array([f.now.mean for f in chain]), motion.velocity[1:]),
        rmse(late, motion.velocity[:-1]),
        rmse(np.array([g.mean for g, _ in smoothed(chain)]), motion.velocity),
    )


@pytest.mark.parametrize("acceleration", [0.5, 10.0, 100.0])
def test_one_filter_is_never_worse_than_the_better_of_blur_and_pairs(acceleration):
    motion = shaken(acceleration)
    both = errors_of(fused(motion), motion)
    pairs = errors_of(fused(motion, blur_told=WIDE), motion)
    blur = 0.5
    for ours, theirs in zip(both, pairs, strict=True):
        assert ours < 1.05 * min(theirs, blur)
    assert both[1] <= 1.05 * both[0] and both[2] <= 1.05 * both[1]


def test_blur_that_claims_too_much_does_not_spoil_better_pairs():
    motion = shaken(5.0)
    pairs = errors_of(fused(motion, blur_told=WIDE), motion)
    believed = errors_of(fused(motion, blur_std=3.0, blur_told=0.1), motion)
    assert max(b / p for b, p in zip(believed, pairs, strict=True)) < 1.5


@pytest.mark.parametrize("acceleration", [1.0, 10.0, 100.0])
def test_the_covariance_is_that_of_the_errors(acceleration):
    """A little wider where no knocks come: they might have."""
    motion = shaken(acceleration, 300)
    chain = fused(motion)
    for velocities, truth in (
        ([f.now for f in chain], motion.velocity[1:]),
        ([f.before for f in chain], motion.velocity[:-1]),
    ):
        nees = [
            (g.mean - v)[:3] @ np.linalg.solve(g.covariance[:3, :3], (g.mean - v)[:3]) / 3
            for g, v in zip(velocities[20:], truth[20:], strict=True)
        ]
        assert 0.5 < np.mean(nees) < 1.4


def test_a_knock_is_followed_at_once():
    """After a long rest, within two frames of a jump to 5 rad/s."""
    velocity = np.zeros((40, 6))
    velocity[30:, 1] = 5.0
    motion = Motion(velocity, (velocity[1:] + velocity[:-1]) / 2)
    chain = fused(motion, pair_std=0.02, blur_std=0.5)
    assert chain[-7].now.mean[1] == pytest.approx(5.0, abs=0.5)
    assert chain[25].now.mean[1] == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("slowing", [1.0, 10.0, 30.0])
def test_the_mean_between_frames_is_the_mean_of_the_process(slowing):
    """Pose over time is the mean velocity, of a process that is integrated in small steps."""
    transition, noise = axis(0.04, slowing, 10.0)
    small, small_noise = axis(0.0004, slowing, 10.0)
    power, total = np.eye(3), np.zeros((3, 3))
    for _ in range(100):
        total = small @ total @ small.T + small_noise
        power = small @ power
    np.testing.assert_allclose(transition, power, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(noise, total, rtol=1e-4, atol=1e-12)


def test_a_step_of_a_turn_is_many_small_ones():
    """Pose, velocity, acceleration and vibration; the pose goes on from where it was."""
    config = MotionFilterConfig()
    whole, small = Turning.of(0.04, config), Turning.of(0.0004, config)
    step = np.column_stack([[1.0, 0, 0, 0], small.transition])
    power, shaken, vibrating = np.eye(4), np.zeros((4, 4)), np.zeros((4, 4))
    for _ in range(100):
        shaken = step @ shaken @ step.T + small.shaken
        vibrating = step @ vibrating @ step.T + small.vibrating
        power = step @ power
    np.testing.assert_allclose(whole.transition, power[:, 1:], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(whole.shaken, shaken, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(whole.vibrating, vibrating, rtol=1e-4, atol=1e-12)


def rattled(count: int = 150) -> Motion:
    """A robot that turns slowly to and fro and rattles at 9 and 13 Hz, by 0.06 rad/s each."""
    t = np.arange(count * FINE) * STEP / FINE
    path = np.zeros((len(t), 6))
    for axis_, start in enumerate((0.0, 1.0, 2.0)):
        for hertz in (9.0, 13.0):
            path[:, axis_] += 0.06 * np.sin(2 * np.pi * hertz * t + 5 * start + hertz)
    path[:, 1] += 0.5 * np.sin(2 * np.pi * 0.4 * t)
    fine = path.reshape(count, FINE, 6)
    return Motion(fine[:, 0], fine[:-1].mean(axis=1))


def test_what_a_robot_rattles_is_not_foretold():
    """What comes next of a rattle nobody knows: at once the error is that of the rattle."""
    motion = rattled()
    blind = fused(motion, pair_std=0.03, blur_told=WIDE, alike=0.05)
    at_once, later, _ = errors_of(blind, motion)
    rattle = rmse(motion.velocity - rattled_slowly(motion), np.zeros_like(motion.velocity))
    assert at_once < 1.15 * rattle
    assert later < at_once
    errors = np.array([f.now.mean for f in blind])[20:, :3] - motion.velocity[21:, :3]
    stds = np.array([np.sqrt(np.diag(f.now.covariance))[:3] for f in blind])[20:]
    assert 0.6 < np.sqrt(np.mean((errors / stds) ** 2)) < 1.5


def rattled_slowly(motion: Motion) -> np.ndarray:
    """The same robot's turn without its rattle."""
    slow = np.zeros_like(motion.velocity)
    slow[:, 1] = 0.5 * np.sin(2 * np.pi * 0.4 * STEP * np.arange(len(slow)))
    return slow


def test_an_error_that_all_pairs_share_stays_in_the_covariance():
    """Depth that is wrong makes the same error in each pair; many of them do not average it."""
    motions, wrong = MotionFilter(), np.array([0.05, 0, 0, 0, 0, 0])
    for k in range(150):
        found = motions.push(pair_of(wrong, k, 0.06), None, None).now
    assert found.mean[0] == pytest.approx(0.05, abs=0.01)
    assert 0.03 < np.sqrt(found.covariance[0, 0]) < 0.06


def linear_stds(step: float, std: float) -> np.ndarray:
    """(2,) of what is known at once and one frame later, after a second of pairs whose linear
    velocity errs by `std`."""
    motions = MotionFilter()
    for k in range(round(1 / step)):
        covariance = np.diag([0.05**2] * 3 + [std**2] * 3)
        times = k * step, (k + 1) * step
        pair = replace(pair_of(np.zeros(6), k, 1.0), t0=times[0], t1=times[1])
        found = motions.push(replace(pair, covariance=covariance), None, None)
    return np.sqrt([found.now.covariance[4, 4], found.before.covariance[4, 4]])


@pytest.mark.parametrize("step", [1 / 60, 1 / 30, 1 / 15])
@pytest.mark.parametrize("std", [0.1, 1.0])
def test_the_covariance_of_v_is_about_that_of_one_pair(step, std):
    """Depth is wrong alike in neighbouring pairs, whatever the rate of the frames."""
    now, before = linear_stds(step, std)
    assert 0.65 * std < before < 1.5 * std
    assert before <= now < 1.8 * std


def test_one_jerk_is_no_reason_to_mistrust_blur():
    """Between two frames a hand turns round: for pairs alone that is far from what blur says."""
    motion = shaken(20.0, 60)
    velocity, mean = motion.velocity.copy(), motion.mean.copy()
    velocity[40:43, 1] = -4.5, 11.0, 5.0
    mean[39:43, 1] = (velocity[39:43, 1] + velocity[40:44, 1]) / 2
    chain = fused(Motion(velocity, mean), blur_std=0.3)
    assert rmse_of(chain[40:42], velocity[41:43]) < 1.0


def rmse_of(chain: list[Fused], truth: np.ndarray) -> float:
    found = np.array([f.now.mean for f in chain])
    return float(np.sqrt(np.mean((found - truth)[:, 1] ** 2)))


def read_as(motion: Motion, factor: float, blur_std: float = 0.3, pairs: int = 1000) -> list[Fused]:
    """Go through the motion, all blur read `factor` times as long as it is; only the first `pairs`
    tell anything."""
    rng = np.random.default_rng(3)
    noise = np.array([1.0] * 3 + [3.0] * 3)
    readings = [
        blur_of(factor * (v + blur_std * noise * rng.standard_normal(6)), factor * blur_std)
        for v in motion.velocity
    ]
    means = motion.mean + 0.03 * noise * rng.standard_normal(motion.mean.shape)
    motions = MotionFilter()
    return [
        motions.push(pair_of(m, k, 0.05 if k < pairs else WIDE), readings[k], readings[k + 1])
        for k, m in enumerate(means)
    ]


def test_a_pan_whose_blur_is_read_a_quarter_short_turns_as_fast_as_its_pairs_say():
    velocity = np.tile([0.0, 1.5, 0.0, 0.0, 0.0, 0.0], (60, 1))
    chain = read_as(Motion(velocity, velocity[1:]), 0.75, 0.1)
    found = np.array([f.now.mean[1] for f in chain[30:]])
    assert found == pytest.approx(1.5, abs=0.06)
    assert found.mean() == pytest.approx(1.5, abs=0.02)


def test_blur_that_was_read_a_quarter_short_has_its_length_where_pairs_are_lost():
    motion = shaken(60.0)
    chain = read_as(motion, 0.75, pairs=150)
    found = np.array([f.now.mean[:3] for f in chain[151:]])
    truth = motion.velocity[152:, :3]
    length = np.linalg.norm(found, axis=1) / np.linalg.norm(truth, axis=1)
    assert np.median(length) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("told", [0.5, 2.0, 3.0])
def test_an_exposure_time_told_wrong_by_a_factor_does_little_harm(told):
    motion = shaken(60.0)
    right, wrong = (errors_of(read_as(motion, factor), motion) for factor in (1.0, 1 / told))
    for ours, theirs in zip(wrong, right, strict=True):
        assert ours < 1.15 * theirs


def test_a_vibration_faster_than_the_frames_is_not_taken_for_long_blur():
    """Pairs see none of it, blur does, and its sign is open: so it is in the covariance."""
    velocity = np.zeros((60, 6))
    velocity[:, 0] = 0.6 * np.cos(np.pi * np.arange(60) + 0.3)
    chain = read_as(Motion(velocity, np.zeros((59, 6))), 1.0, 0.05)
    for fused_one, truth in zip(chain[20:], velocity[21:], strict=True):
        off = (fused_one.now.mean - truth)[:3]
        assert off @ np.linalg.solve(fused_one.now.covariance[:3, :3], off) < 16.3


def test_blur_of_another_axis_than_the_pairs_tells_nothing_of_its_length():
    evidence = GainEvidence(0.03, 4.0, 0.5, 0.97)
    for _ in range(30):
        evidence.take(np.array([0.0, 1.0, 0.0]), np.array([2.0, 0.0, 0.0]), 0.01 * np.eye(3))
    assert evidence.gain.log == pytest.approx(0.0, abs=0.02)
    for _ in range(30):
        evidence.take(np.array([-1.0, 0.0, 0.0]), np.array([2.0, 0.0, 0.0]), 0.01 * np.eye(3))
    assert np.exp(evidence.gain.log) == pytest.approx(2.0, rel=0.1)


def test_a_lever_arm_ties_linear_velocity_to_the_turn():
    arm, omega = np.array([0.0, 0.0, 0.3]), np.array([0.0, 3.0, 0.0])
    truth = np.concatenate([omega, np.cross(omega, arm)])
    motions = MotionFilter()
    hold = Hold(arm, np.eye(3) * 0.05**2)
    motions.restart(hold)
    blind = replace(pair_of(truth, 0, 0.05), covariance=np.diag([0.05**2] * 3 + [WIDE] * 3))
    for k in range(20):
        pair = replace(blind, t0=k * STEP, t1=(k + 1) * STEP)
        found = motions.push(pair, None, None, hold).now
    assert found.mean[3:] == pytest.approx(truth[3:], abs=0.15)
    assert np.sqrt(np.diag(found.covariance)[3:]).max() < 0.2
    free = MotionFilter()
    for k in range(20):
        found = free.push(replace(blind, t0=k * STEP, t1=(k + 1) * STEP), None, None).now
    assert np.sqrt(np.diag(found.covariance)[3:]).min() > 1


def pushed(velocity: np.ndarray, mean: np.ndarray, seen: np.ndarray) -> list[Fused]:
    """Pairs of 0.1 rad/s and blur of 0.3 under whatever sign, (n, 6) each."""
    motions = MotionFilter()
    return [
        motions.push(pair_of(m, k, 0.1), blur_of(seen[k], 0.3), blur_of(seen[k + 1], 0.3))
        for k, m in enumerate(mean)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_signs_left_to_chance_change_nothing(seed):
    motion = shaken(30.0, 60, seed)
    signs = np.random.default_rng(seed).choice([-1, 1], 60)
    chain = pushed(motion.velocity, motion.mean, motion.velocity)
    turned = pushed(motion.velocity, motion.mean, signs[:, None] * motion.velocity)
    for one, other, sign in zip(chain, turned, signs[1:], strict=True):
        np.testing.assert_allclose(one.now.mean, other.now.mean, atol=1e-6)
        right = other.posterior.probability
        assert one.posterior.probability == pytest.approx(right if sign > 0 else 1 - right)


def test_a_jerk_that_nothing_announced_keeps_its_sign():
    """From gentle to ten times as fast and back within three frames, as a hand does."""
    velocity = np.zeros((40, 6))
    velocity[:, 1] = 0.5 * np.sin(np.arange(40) / 3)
    velocity[30:33, 1] = -4.5, 11.0, 5.0
    mean = (velocity[1:] + velocity[:-1]) / 2
    mean[29:32, 1] += 1.0, -1.0, 0.5  # the path between frames is not straight either
    chain = pushed(velocity, mean, velocity)
    found = [velocity for velocity, _ in smoothed(chain)]
    for k in (30, 31, 32):
        assert chain[k].before.mean[1] == pytest.approx(velocity[k, 1], abs=1.5)
        assert found[k].mean[1] == pytest.approx(velocity[k, 1], abs=1.5)
    assert chain[30].now.mean[1] == pytest.approx(11.0, abs=2.0)


def test_a_sign_that_is_open_is_no_evidence_of_direction():
    motions = MotionFilter()
    blind = replace(pair_of(np.zeros(6), 0, 0.1), covariance=np.eye(6) * WIDE)
    reading = blur_of(np.array([0.0, 3.0, 0, 0, 0, 0]), 0.1)
    found = motions.push(blind, reading, reading)
    assert found.posterior.probability == pytest.approx(0.5, abs=0.01)
    assert found.now.mean == pytest.approx(np.zeros(6), abs=0.05)
    assert np.sqrt(found.now.covariance[1, 1]) == pytest.approx(3.0, rel=0.05)


def test_all_that_comes_later_decides_a_sign_in_the_end():
    """Two frames turn, and no pair tells which way until one frame after them."""
    turning = np.array([0.0, 4.0, 0, 0, 0, 0])
    motions = MotionFilter()
    for k in range(10):
        motions.push(pair_of(turning, k, 0.1), None, None)
    motions.restart()
    blind = [replace(pair_of(turning, k, 0.1), covariance=np.eye(6) * WIDE) for k in (0, 1)]
    reading = blur_of(-turning, 0.3)
    chain = [motions.push(pair, reading, reading) for pair in blind]
    assert chain[1].last.probability == pytest.approx(0.5, abs=0.01)
    chain.append(motions.push(pair_of(turning, 2, 0.1), reading, reading))
    for velocity, probability in smoothed(chain):
        assert velocity.mean[1] == pytest.approx(4.0, abs=0.5)
        assert probability < 0.02


def test_a_reading_holds_no_prior_and_short_blur_is_less_sure():
    solver, config = VelocitySolver(), MotionFilterConfig()
    unknown = solver.invalid_estimate(0.01, 0.0, "nothing")
    assert (
        np.diag(BlurReading.of(unknown, solver.weak_prior, 250.0, 0.5, config).covariance).min()
        > 100 * np.diag(unknown.covariance).min() / 2
    )
    sure = replace(unknown, covariance=np.eye(6) * 1e-4)
    short, long = (
        BlurReading.of(replace(sure, blur_px=px), solver.weak_prior, 250.0, 0.5, config)
        for px in (0.0, 20.0)
    )
    assert np.sqrt(short.covariance[0, 0]) == pytest.approx(1.5 / 2.5, rel=0.01)
    assert np.sqrt(long.covariance[0, 0]) < 0.02


def test_a_pair_that_may_be_wrong_is_believed_where_it_fits_what_is_known():
    """Two motions explain the images: behind a smooth motion the one that goes on is not a
    guess."""
    motions, std = MotionFilter(), 0.05
    steady = np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    for k in range(20):
        motions.push(pair_of(steady, k, std), None, None)
    state, stds = motions.state, []
    for velocity in (steady, -8 * steady):
        pair = replace(pair_of(velocity, 20, std), ambiguity=0.3)
        wide = pair.covariance + 0.3 * np.diag([25.0] * 3 + [4.0] * 3)
        motions.resume(state)
        found = motions.push(replace(pair, covariance=wide), None, None).now
        assert found.mean[1] == pytest.approx(2.0, abs=0.2)
        stds.append(np.sqrt(found.covariance[1, 1]))
    believed, doubted = stds
    assert doubted > 1.05 * believed


def test_what_is_known_before_a_doubtful_pair_counts_once():
    """Asked for its doubt and then given the same pair, the filter judges both alike."""
    steady = np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    motions = MotionFilter()
    for k, noise in enumerate(0.3 * np.random.default_rng(0).standard_normal(20)):
        motions.push(pair_of(steady + noise, k, 0.1), None, None)
    state = motions.state
    for off in (0.5, 1.0, 1.5, 2.0):
        pair = replace(pair_of(steady + [0, off, 0, 0, 0, 0], 20, 0.1), ambiguity=0.4)
        wide = pair.covariance + 0.4 * np.diag([25.0] * 3 + [4.0] * 3)
        pair = replace(pair, covariance=wide)
        motions.resume(state)
        doubt = motions.doubt(pair, None)
        linked = motions.push(pair, None, None).linked
        unlinked = np.all(linked.observed.means == linked.hypotheses.predicted.means, axis=1)
        assert linked.hypotheses.weights[unlinked].sum() == pytest.approx(doubt, abs=0.05)


def test_a_wrong_pair_that_may_be_one_does_not_turn_the_sign_of_the_blur():
    """Registered the wrong way round, with a doubt of a quarter, while blur goes on as it was."""
    turning = np.array([3.0, -6.0, -2.0, 0, 0, 0])
    motions, reading = MotionFilter(), blur_of(turning, 1.0)
    for k in range(20):
        found = motions.push(pair_of(turning, k, 0.1), reading, reading)
    pair = replace(pair_of(-turning, 20, 0.3), ambiguity=0.25)
    wide = pair.covariance + 0.25 * np.diag([25.0] * 3 + [4.0] * 3)
    found = motions.push(replace(pair, covariance=wide), reading, reading)
    assert found.posterior.probability > 0.9
    assert found.now.mean[:3] == pytest.approx(turning[:3], abs=1.0)


def test_going_on_from_a_state_is_going_on():
    motion = shaken(30.0, 20)
    whole, first, second = MotionFilter(), MotionFilter(), MotionFilter()
    for k in range(19):
        pair = pair_of(motion.mean[k], k, 0.1)
        readings = blur_of(motion.velocity[k], 0.5), blur_of(motion.velocity[k + 1], 0.5)
        wanted = whole.push(pair, *readings)
        if k < 10:
            first.push(pair, *readings)
            second.resume(first.state)
        else:
            found = second.push(pair, *readings)
    assert np.array_equal(found.now.mean, wanted.now.mean)
    assert np.array_equal(found.before.covariance, wanted.before.covariance)
