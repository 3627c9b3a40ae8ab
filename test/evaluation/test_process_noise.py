"""The process noise that a recorded motion asks of a filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.evaluation.process_noise import FASTEST, process_noise_of
from blur_imu_ros.recordings.csv_tables import read_series


def test_a_random_walk_gives_its_own() -> None:
    rng, rate = np.random.default_rng(0), 30.0
    steps = rng.normal(size=(20000, 6)) * np.sqrt(np.array([9, 9, 9, 2, 2, 2]) / rate)
    angular, linear = process_noise_of(np.arange(20000) / rate, np.cumsum(steps, axis=0))
    assert angular / FASTEST == pytest.approx(9, rel=0.25)
    assert linear / FASTEST == pytest.approx(2, rel=0.25)


@pytest.mark.parametrize("rate", [4.0, 30.0, 200.0])
def test_noise_of_the_measurement_adds_little(rate: float) -> None:
    t = np.arange(0, 60, 1 / rate)
    still = np.random.default_rng(1).normal(size=(len(t), 6)) * 0.1
    angular, linear = process_noise_of(t, still)
    assert max(angular, linear) < 6


def test_what_is_not_known_is_not_told() -> None:
    velocity = np.random.default_rng(2).normal(size=(100, 6))
    velocity[:, 3:] = np.nan
    angular, linear = process_noise_of(np.arange(100) / 30, velocity)
    assert angular > 0 and np.isnan(linear)
    assert np.isnan(process_noise_of(np.zeros(1), np.zeros((1, 6)))).all()


def test_gaps_between_images_are_no_lag() -> None:
    t = np.array([0.0, 0.05, 3.0, 3.05])
    angular, linear = process_noise_of(t, np.random.default_rng(3).normal(size=(4, 6)))
    assert np.isnan([angular, linear]).all()


def test_a_real_hand_asks_for_about_what_ekf_carried_has(shared_data: Path) -> None:
    truth = read_series(shared_data / "dining" / "truth.csv")
    angular, linear = process_noise_of(truth.t, truth.velocity)
    assert 5000 < angular < 20000 and 300 < linear < 2000
