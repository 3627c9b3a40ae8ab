"""The tracker alone: measurements in, measurements out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from blur_imu_ros.choices import Direction
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.tracker import Tracker
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import BlurImuError, RecordingError
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of, seen_after, texture

STEP = 1 / 30


def unusable(number: int) -> Measurement:
    """A frame that tells nothing."""
    image = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    frame = Frame(image, number * STEP, EXPOSURE, CAMERA, f"{number}", tag=f"tag {number}")
    return Measurement(frame, VelocitySolver().invalid_estimate(EXPOSURE, frame.t, "dark"))


def test_whatever_travels_with_a_frame_comes_back_with_its_measurement():
    found = list(Tracker().follow(map(unusable, range(3))))
    assert [m.frame.tag for m in found] == ["tag 0", "tag 1", "tag 2"]


def test_an_error_of_the_input_comes_after_what_was_measured():
    def two_then_damage():
        yield from map(unusable, range(2))
        raise BlurImuError("damaged")

    tracked = Tracker().follow(two_then_damage())
    assert [next(tracked).frame.name for _ in range(2)] == ["0", "1"]
    with pytest.raises(BlurImuError, match="damaged"):
        next(tracked)


def test_resuming_behind_another_frame_is_refused():
    tracker = Tracker()
    tracker.push(unusable(0))
    other = unusable(0)
    other = replace(other, frame=replace(other.frame, name="other"))
    with pytest.raises(RecordingError, match="the recording has changed"):
        Tracker().resume(other, tracker.state)


RATE = np.array([0.4, 3.0, -1.0])
SCENE, OTHER = texture(0), texture(1)


class Reader:
    """A network that reads the true field of whatever frame comes, or nothing."""

    input_size = (CAMERA.width, CAMERA.height)

    def __init__(self, rate: np.ndarray = RATE, sigma: float = 0.3) -> None:
        self.field = field_of(rate, np.zeros(3), sigma=sigma)

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        return replace(self.field, camera=camera)


def frames(count: int, rate: np.ndarray = RATE, scene: np.ndarray = SCENE) -> list[Frame]:
    """A camera that turns at a constant rate."""
    return [
        Frame(seen_after(rate * k * STEP, scene), k * STEP, EXPOSURE, CAMERA, f"{k}")
        for k in range(count)
    ]


def tracked(
    taken: list[Frame], mode: Direction | str = "adjacent", **how: Any
) -> list[Measurement]:
    imu = VisualImu(Reader(**how), direction=DirectionConfig(mode=mode))
    found = list(imu.track(taken))
    assert [m.frame for m in found] == taken
    for measurement in found:
        assert np.isfinite(measurement.estimate.covariance).all()
        assert np.linalg.eigvalsh(measurement.estimate.covariance).min() > 0
    return found


def linked(found: list[Measurement]) -> list[bool]:
    return [m.estimate.single is not None for m in found]


def surely_wrong(found: list[Measurement], rate: np.ndarray = RATE) -> list[str]:
    """Frames that claim a velocity which is not true by more than four standard deviations."""
    return [
        m.frame.name
        for m in found
        if m.estimate.valid
        and m.estimate.direction_probability > 0.9
        and (np.abs(m.estimate.angular_velocity - rate) > 4 * m.estimate.sigma[:3] + 0.05).any()
    ]


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
def test_neighbours_make_a_velocity_surer(mode):
    found = tracked(frames(8), mode)
    assert linked(found) == [mode != "previous"] + [True] * 7
    for measurement in found[1:]:
        estimate = measurement.estimate
        np.testing.assert_allclose(estimate.angular_velocity, RATE, atol=0.05)
        assert measurement.registration is not None and estimate.registration_quality > 0.9
        assert estimate.direction_probability > 0.99


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth", "none"])
def test_what_both_ends_of_its_blur_told_stays_with_a_frame(mode):
    imu = VisualImu(Reader(), direction=DirectionConfig(mode=mode))
    told = [0.1, 0.0, 0.3, 0.4]
    singles = [imu.measure(frame) for frame in frames(4)]
    told_of = [
        replace(single, estimate=replace(single.estimate, autocorrelation=value))
        for single, value in zip(singles, told, strict=True)
    ]
    found = [one.estimate.autocorrelation for one in imu.tracker().follow(told_of)]
    assert found == told


def test_one_frame_tells_what_it_tells_alone():
    (alone,) = tracked(frames(1))
    single = VisualImu(Reader()).measure(frames(1)[0]).estimate
    assert np.array_equal(np.abs(alone.estimate.velocity), np.abs(single.velocity))
    assert alone.estimate.direction_probability == 0.5 and alone.registration is None


def test_a_sharp_image_of_a_camera_that_rests_is_zero_with_a_small_sigma():
    """Blur tells nothing there, and yet the frames are valid."""
    found = tracked(frames(9, np.zeros(3)), rate=np.zeros(3), sigma=1e3)
    for measurement in found:
        assert measurement.estimate.valid and measurement.estimate.reasons == ()
        assert np.abs(measurement.estimate.velocity).max() < 0.05
    assert max(m.estimate.sigma[:3].max() for m in found[5:]) < 0.6


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
def test_black_frames_stay_silent_and_cost_themselves_only(mode):
    taken = frames(8)
    taken[3] = replace(taken[3], image=np.zeros_like(taken[3].image))
    found = tracked(taken, mode)
    assert not linked(found)[3] and found[3].estimate.registration_quality == 0
    assert linked(found)[4:] == [True] * 4
    assert found[4].registration.t0 == taken[2].t, "the pair goes across the black frame"
    assert not surely_wrong(found)


def test_all_black_is_never_valid():
    taken = [replace(f, image=np.zeros_like(f.image)) for f in frames(5)]
    found = tracked(taken, sigma=1e3)
    assert not any(m.estimate.valid for m in found)


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
def test_a_half_black_frame_is_never_surely_wrong(mode):
    taken = frames(8)
    for k in (2, 5):
        image = taken[k].image.copy()
        image[:, CAMERA.width // 2 :] = 0
        taken[k] = replace(taken[k], image=image)
    assert not surely_wrong(tracked(taken, mode))


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
def test_a_cut_ends_the_chain(mode):
    """Behind it another scene and the opposite motion."""
    after = [replace(f, t=f.t + 6 * STEP, name=f"{k + 6}") for k, f in enumerate(back(6))]
    taken = [*frames(6), *after]
    found = tracked(taken, mode)
    assert not surely_wrong(found[:6])
    assert not surely_wrong(found[6:], -RATE)
    assert found[6].registration is not None and not found[6].registration.valid


def back(count: int) -> list[Frame]:
    return frames(count, -RATE, OTHER)


@pytest.mark.parametrize("gap", [10.0, 0.0, -0.5], ids=["10 s", "the same stamp", "back in time"])
def test_a_jump_in_time_ends_the_chain(gap):
    taken = frames(10)
    moved = [replace(f, t=f.t - STEP + gap) for f in taken[5:]]
    found = tracked([*taken[:5], *moved])
    assert not surely_wrong(found)
    assert found[5].estimate.registration_quality == 0
    assert found[7].estimate.registration_quality > 0.9


def coded(image: np.ndarray) -> np.ndarray:
    """The image, stored with losses."""
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
@pytest.mark.parametrize("again", [np.copy, coded], ids=["the same bytes", "coded once more"])
def test_a_repeated_frame_is_no_rest_and_costs_itself_only(mode, again):
    """A driver or video that has an image twice under two stamps: nothing is at rest."""
    taken = frames(8)
    taken[4] = replace(taken[4], image=again(taken[3].image))
    found = tracked(taken, mode)
    assert not surely_wrong(found)
    assert not found[4].registration.valid
    assert found[5].registration.valid
    assert found[5].registration.t0 == taken[3].t, "the image was taken when it came first"


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
@pytest.mark.parametrize("again", [np.copy, coded], ids=["the same bytes", "coded once more"])
@pytest.mark.parametrize("start", ["the first frame", "behind a cut"])
def test_the_frame_that_begins_a_chain_may_be_repeated(start, again, mode):
    before = [] if start == "the first frame" else frames(5, scene=OTHER)
    n, taken = len(before), frames(10)[5:] if before else frames(5)
    taken[1] = replace(taken[1], image=again(taken[0].image))
    found = tracked([*before, *taken], mode)
    assert not surely_wrong(found)
    assert not found[n + 1].registration.valid
    assert found[n + 2].registration.valid and found[n + 2].registration.t0 == taken[0].t


def test_a_hand_that_turns_back_between_two_first_frames_is_no_repetition():
    """The mean velocity is zero there too, and the images are not quite the same."""
    first, second = frames(2)
    one = replace(first, image=cv2.blur(first.image, (1, 25)))
    other = replace(second, image=cv2.blur(first.image, (25, 1)))
    assert "the same image twice" not in tracked([one, other])[1].registration.reasons


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
def test_a_video_with_every_frame_twice_is_not_twice_as_fast(mode):
    taken = []
    for frame in frames(8):
        taken += [frame, replace(frame, t=frame.t + STEP / 2, name=f"{frame.name} again")]
    assert not surely_wrong(tracked(taken, mode))


def test_a_repeated_frame_has_the_sign_of_the_first_without_registration_too():
    taken = frames(8)
    taken[4] = replace(taken[4], image=taken[3].image)
    imu = VisualImu(Reader(), registration=None)
    found = list(imu.track(taken))
    assert not surely_wrong(found)
    assert found[4].estimate.angular_velocity @ RATE > 0


def test_a_camera_that_stops_rests_though_its_images_are_out_of_focus():
    """Blur says motion then, as it does of a repeated frame."""
    taken = frames(6)
    rng = np.random.default_rng(0)
    for k in range(30):
        noise = rng.normal(0, 2, taken[5].image.shape)
        image = np.clip(taken[5].image + noise, 0, 255).astype(np.uint8)
        taken.append(replace(taken[5], image=image, t=(6 + k) * STEP, name=f"{6 + k}"))
    found = tracked(taken)
    for measurement in found[24:]:
        assert measurement.registration.valid
        np.testing.assert_allclose(measurement.registration.velocity[:3], 0, atol=0.1)


def test_another_exposure_time_and_brightness_change_nothing():
    taken = frames(8)
    for k in (3, 4, 5):
        taken[k] = replace(taken[k], image=(taken[k].image * 0.6).astype(np.uint8))
    found = tracked(taken)
    for measurement in found[1:]:
        np.testing.assert_allclose(measurement.estimate.angular_velocity, RATE, atol=0.05)


def test_a_camera_of_another_size_goes_on():
    """A stream that switches to half the size in the middle."""
    taken = frames(8)
    camera = CAMERA.resized(CAMERA.width // 2, CAMERA.height // 2)
    for k in range(4, 8):
        image = cv2.resize(taken[k].image, (camera.width, camera.height))
        taken[k] = replace(taken[k], image=image, camera=camera)
    found = tracked(taken)
    assert not surely_wrong(found) and all(m.estimate.valid for m in found)


@pytest.mark.parametrize("mode", ["adjacent", "previous", "smooth"])
def test_a_dropped_frame_is_bridged_with_its_own_time(mode):
    taken = [f for k, f in enumerate(frames(10)) if k not in (4, 7)]
    found = tracked(taken, mode)
    assert all(linked(found)[1:])
    for measurement in found[1:]:
        np.testing.assert_allclose(measurement.estimate.angular_velocity, RATE, atol=0.05)


def test_smoothing_a_long_recording_gives_every_frame_once_and_in_order():
    found = tracked(frames(150, RATE / 10), "smooth", rate=RATE / 10)
    assert all(linked(found))
    for measurement in found[1:]:
        np.testing.assert_allclose(measurement.estimate.angular_velocity, RATE / 10, atol=0.05)


@pytest.mark.parametrize("mode", ["adjacent", "previous"])
def test_resumed_anywhere_it_gives_the_same_numbers(mode):
    taken = frames(9)
    taken[4] = replace(taken[4], image=np.zeros_like(taken[4].image))
    taken[6] = replace(taken[6], image=taken[5].image)
    imu = VisualImu(Reader(), direction=DirectionConfig(mode=mode), pivot=PivotConfig())
    wanted = list(imu.track(taken))
    for stop in range(1, 9):
        before, after = imu.tracker(), imu.tracker()
        found = [m for f in taken[:stop] for m in before.push(imu.measure(f))]
        state = before.state
        if state is None:
            continue
        after.resume(imu.measure(taken[stop - 1]), state)
        found += [m for f in taken[stop:] for m in after.push(imu.measure(f))] + after.flush()
        for ours, theirs in zip(found, wanted, strict=True):
            assert np.array_equal(ours.estimate.velocity, theirs.estimate.velocity), stop
            assert np.array_equal(ours.estimate.covariance, theirs.estimate.covariance), stop
