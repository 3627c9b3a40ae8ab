"""Links between frames: what time stamps and two likely motions do to them."""

from __future__ import annotations

import numpy as np
import pytest

from blur_imu_ros.core.links import Clock

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


def test_nothing_is_said_of_few_stamps():
    assert clock_of(np.array([0.03, 0.05, 0.02])).jitter == 0
