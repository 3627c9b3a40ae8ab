"""Links between frames: what timestamps and two likely motions do to them."""

from __future__ import annotations

import numpy as np
import pytest

from blur_imu_ros.core.clock import Clock

STEP = 1 / 30


def clock_of(intervals: np.ndarray) -> Clock:
    clock = Clock()
    for interval in intervals:
        clock.take(float(interval))
    return clock


def test_even_stamps_do_not_jitter_also_where_frames_are_missing():
    intervals = np.full(40, STEP)
    intervals[[5, 11, 30]] *= 2
    assert clock_of(intervals).jitter == pytest.approx(0, abs=1e-9)


def test_stamps_on_arrival_jitter_as_much_as_they_do():
    late = 0.004 * np.random.default_rng(0).standard_normal(400)
    t = np.arange(400) * STEP + late
    found = [clock_of(np.diff(t[k : k + 33])).jitter for k in range(0, 360, 30)]
    assert np.mean(found) == pytest.approx(0.004, rel=0.25)


def test_the_first_stamps_tell_roughly_how_much_they_jitter():
    late = 0.004 * np.random.default_rng(1).standard_normal(4000)
    t = np.arange(4000) * STEP + late
    for count in (2, 3, 5):
        found = [clock_of(np.diff(t[k : k + count + 1])).jitter for k in range(0, 3900, 7)]
        assert np.sqrt(np.mean(np.square(found))) == pytest.approx(0.004, rel=0.3)


@pytest.mark.parametrize("intervals", [[1, 2], [2, 1], [1, 3, 1], [1, 1, 2, 1]])
def test_a_frame_that_is_missing_at_the_start_is_no_jitter(intervals):
    assert clock_of(np.array(intervals) * STEP).jitter == pytest.approx(0, abs=1e-9)


def test_one_interval_says_nothing_of_jitter():
    assert clock_of(np.array([0.05])).jitter == 0
