"""Camera and gyroscope are brought together as a synthetic series put them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.alignment import Alignment, align, in_camera
from helpers.camera_and_gyro import EVERY, Apart, apart, series, shake


def errors(found: Alignment, true: Apart) -> np.ndarray:
    """(8,) rotation, offset, bias and scale, each over its standard deviation."""
    turn = Rotation.from_matrix(found.rotation @ true.rotation.T).as_rotvec()
    return np.array(
        [
            *(turn / found.rotation_std),
            (found.time_offset - true.offset) / found.time_offset_std,
            *((found.bias - true.bias) / found.bias_std),
            (found.exposure_scale - true.scale) / found.exposure_scale_std,
        ]
    )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_without_noise_everything_is_found_as_it_was_put_in(seed):
    true = apart(seed)
    found = align(true.camera, true.gyro)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=1e-3)
    assert found.time_offset == pytest.approx(true.offset, abs=1e-4)
    np.testing.assert_allclose(found.bias, true.bias, atol=1e-3)
    assert found.exposure_scale == pytest.approx(true.scale, rel=1e-3)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(found.rotation) > 0


def test_standard_deviations_tell_the_size_of_the_errors():
    cases = [apart(seed, noise=0.3, flips=0.05) for seed in range(12)]
    squared = np.array([errors(align(c.camera, c.gyro), c) ** 2 for c in cases])
    assert 0.5 < squared.mean() < 2.0


def test_slow_turns_whose_blur_is_misread_do_not_decide_the_exposure():
    rng, t, at = np.random.default_rng(8), np.arange(0, 20, 0.005), np.arange(1, 19, 1 / 30)

    def motion(t: np.ndarray) -> np.ndarray:
        return np.where(np.sin(t) > 0, 0.25, 1.5)[:, None] * shake(t, 8, EVERY)

    omega = motion(at)
    speed = np.linalg.norm(omega, axis=1, keepdims=True)
    error = 0.1 + 0.2 * speed
    seen = omega * np.where(speed < 1.5, 0.7, 1.0) + error * rng.standard_normal(omega.shape)
    told = replace(series(at, seen), sigma=np.repeat(error, 6, axis=1))
    found = align(told, series(t, motion(t)))
    assert found.exposure_scale == pytest.approx(1.0, abs=0.04)
    assert abs(found.exposure_scale - 1.0) < 2.5 * found.exposure_scale_std


def test_invalid_rows_take_no_part():
    true = apart(1)
    velocity = true.camera.velocity.copy()
    velocity[::3] = 50.0
    valid = np.ones(len(velocity), bool)
    valid[::3] = False
    found = align(replace(true.camera, velocity=velocity, valid=valid), true.gyro)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=1e-3)


def test_the_mean_over_the_exposure_is_what_a_camera_sees():
    true = apart(2)
    t, omega = true.gyro.t, true.gyro.velocity[:, :3]
    box = np.ones(17) / 17  # 80 ms of 5 ms samples
    mean = np.stack([np.convolve(c, box, "same") for c in omega.T], axis=1)
    at = true.camera.t
    blurred = np.stack([np.interp(at, t, c) for c in mean.T], axis=1) @ true.rotation.T
    camera = series(at, blurred)
    averaged, sampled = align(camera, true.gyro, exposure_time=0.08), align(camera, true.gyro)
    assert averaged.exposure_scale == pytest.approx(1, abs=2e-3)
    assert sampled.exposure_scale < 0.997


def test_what_was_found_brings_the_gyroscope_to_the_camera():
    true = apart(3)
    there = in_camera(true.gyro, align(true.camera, true.gyro))
    expected = true.camera.velocity[:, :3] / true.scale + true.bias @ true.rotation.T
    found = np.stack([np.interp(true.camera.t, there.t, c) for c in there.velocity.T[:3]], axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("axes", "said"),
    [(np.array([1.0, 0, 0]), "one axis only"), (1e-2 * EVERY, "hardly rotates")],
)
def test_a_motion_that_tells_nothing_is_refused(axes, said):
    true = apart(4, axes=axes)
    with pytest.raises(RecordingError, match=said):
        align(true.camera, true.gyro)


def test_too_few_estimates_are_no_matter_of_clocks():
    true = apart(3)
    rows = slice(200, 220)
    few = series(true.camera.t[rows], true.camera.velocity[rows, :3])
    with pytest.raises(
        RecordingError, match="only 20 valid estimates; 30 are needed: record longer"
    ):
        align(few, true.gyro)


def test_estimates_that_are_not_valid_do_not_ask_for_a_longer_recording():
    true = apart(3)
    refused = replace(true.camera, valid=np.zeros(len(true.camera.t), bool))
    with pytest.raises(RecordingError, match=r"only 0 valid .* were made; run says why"):
        align(refused, true.gyro)


def test_series_of_different_motions_are_refused():
    with pytest.raises(RecordingError, match="hardly agree"):
        align(apart(5).camera, apart(6).gyro)


@pytest.mark.parametrize("signs", [(-1, 1, 1), (1, 1, -1), (-1, -1, -1)])
def test_axes_of_a_left_hand_are_named_as_the_cause(signs):
    true = apart(5)
    gyro = true.gyro.velocity.copy()
    gyro[:, :3] *= signs
    with pytest.raises(RecordingError, match=r"only if all signs .* left-handed\? Then change"):
        align(true.camera, replace(true.gyro, velocity=gyro))


def part(whole: VelocitySeries, chosen: np.ndarray) -> VelocitySeries:
    return series(whole.t[chosen], whole.velocity[chosen, :3])


@pytest.mark.parametrize("shift", [2.0, -30.0, 1.7e9])
def test_a_clock_of_its_own_is_found_from_the_motion(shift):
    true = apart(7, noise=0.3)
    short = part(true.camera, (true.camera.t > 4) & (true.camera.t < 14))
    found = align(replace(short, t=short.t - shift), true.gyro)
    assert found.time_offset == pytest.approx(shift + true.offset, abs=5e-3)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=0.05)


def test_a_recording_that_the_log_lacks_is_given_no_place_in_it():
    lacking = apart(5)
    with pytest.raises(RecordingError, match="hardly agree at any time offset"):
        align(replace(apart(6).camera, t=lacking.camera.t + 1e6), lacking.gyro)


def steps(t: np.ndarray, wander: float) -> np.ndarray:
    """A camera carried by somebody who walks: the same turns at each step, and some that are
    not."""
    gait = [np.sin(12 * t), 1.3 * np.sin(6 * t + 1), 0.8 * np.cos(12 * t + 2)]
    return np.asarray(np.stack(gait, axis=1) + wander * shake(t, 3, EVERY))


def walk(wander: float, begun: float = 3.0) -> Apart:
    """A log that began `begun` seconds before the recording; both count from zero."""
    rng, t, seen = np.random.default_rng(0), np.arange(0, 20, 0.01), np.arange(0, 12, 1 / 30)
    rotation = Rotation.from_euler("xyz", [0.1, -0.1, 0.2]).as_matrix()
    omega = steps(seen + begun, wander) @ rotation.T
    omega += 0.3 * rng.standard_normal(omega.shape)
    return Apart(
        series(seen, omega), series(t, steps(t, wander)), rotation, begun, np.zeros(3), 1.0
    )


def test_a_gait_that_fits_nearby_too_is_placed_where_it_fits_best():
    true = walk(0.15)
    found = align(true.camera, true.gyro)
    assert found.time_offset == pytest.approx(3.0, abs=0.01)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=0.05)


def test_a_motion_that_repeats_itself_is_given_no_place_unless_one_is_named():
    true = walk(0.0)
    with pytest.raises(RecordingError, match="several time offsets") as caught:
        align(true.camera, true.gyro)
    assert "+3.00 s" in str(caught.value) and "time offset" in str(caught.value)
    found = align(true.camera, true.gyro, near=2.8)
    assert found.time_offset == pytest.approx(3.0, abs=0.01)


def test_clocks_that_count_from_the_same_epoch_agree_where_the_motion_does_not_tell():
    true = walk(0.0, begun=0.1)
    camera, gyro = (replace(s, t=s.t + 1.7e9) for s in (true.camera, true.gyro))
    assert align(camera, gyro).time_offset == pytest.approx(0.1, abs=0.01)


def test_an_offset_that_is_named_wrongly_is_refused():
    true = walk(0.15)
    with pytest.raises(RecordingError, match=r"clearly better at \+3\.00 s"):
        align(true.camera, true.gyro, near=14.5)


def test_gaps_and_empty_cells_of_a_log_are_left_out():
    true = apart(8)
    omega = true.gyro.velocity[:, :3].copy()
    omega[100:110, 1] = np.nan
    torn = part(series(true.gyro.t, omega), (true.gyro.t < 8) | (true.gyro.t > 8.4))
    found = align(true.camera, torn, exposure_time=0.02)
    assert found.exposure_scale == pytest.approx(true.scale, rel=2e-3)
    assert found.time_offset == pytest.approx(true.offset, abs=1e-4)


@pytest.mark.parametrize(
    ("factors", "said"), [((1.0, 57.3), "degrees"), ((1e3, 1.0), "in seconds")]
)
def test_a_log_in_other_units_is_refused_by_its_name(factors, said):
    true = apart(9)
    time, rate = factors
    log = series(true.gyro.t * time, true.gyro.velocity[:, :3] * rate)
    with pytest.raises(RecordingError, match=said):
        align(true.camera, log)
