"""Evaluation says what is true of series made to be just so wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.metrics import (
    evaluate,
    in_axes,
    match,
    truth_at,
    with_exposure_scaled,
    worst_rows,
)
from blur_imu_ros.recordings.csv_tables import read_series
from blur_imu_ros.results.csv_files import CsvWriter, columns_of


def series(n: int = 200, seed: int = 0, sigma: float | None = None) -> VelocitySeries:
    t = np.arange(n) / 30
    rng = np.random.default_rng(seed)
    phase, rate = rng.uniform(0, 6, 6), rng.uniform(2, 8, 6)
    velocity = 4 * np.sin(t[:, None] * rate + phase)
    deviations = None if sigma is None else np.full((n, 6), sigma)
    return VelocitySeries(t, velocity, deviations, np.ones(n, bool))


def test_the_truth_agrees_with_itself() -> None:
    result = evaluate(match(series(), series()))
    np.testing.assert_allclose(result.rmse, 0, atol=1e-12)
    np.testing.assert_allclose(result.correlation, 1)
    assert result.right_signs == 1 and result.exposure_scale == pytest.approx(1)
    assert abs(result.time_offset) < 1e-9 and result.rows == 200


def test_errors_are_told_per_axis() -> None:
    truth = series()
    offset = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    result = evaluate(match(replace(truth, velocity=truth.velocity + offset), truth))
    np.testing.assert_allclose(result.rmse, offset)
    np.testing.assert_allclose(result.mae, offset)
    np.testing.assert_allclose(result.zero_rmse, np.sqrt(np.mean(truth.velocity**2, axis=0)))


def test_reversed_turns_count_as_wrong_signs() -> None:
    truth = series()
    flipped = truth.velocity.copy()
    flipped[:50] *= -1
    result = evaluate(match(replace(truth, velocity=flipped), truth))
    clear = np.linalg.norm(truth.velocity[:, :3], axis=1) > 2
    assert result.right_signs == pytest.approx(1 - clear[:50].sum() / clear.sum())


@pytest.mark.parametrize("factor", [-1.0, 0.0])
def test_no_exposure_time_mends_turns_that_do_not_go_with_the_truth(factor: float) -> None:
    truth = series()
    result = evaluate(match(replace(truth, velocity=factor * truth.velocity), truth))
    assert np.isnan(result.exposure_scale) and result.as_json()["exposure_scale"] is None


def test_a_wrong_exposure_time_is_found_and_mended() -> None:
    truth = series()
    # Assumed 10 ms where 12 ms are true: everything seems 1.2 times as fast.
    matched = match(replace(truth, velocity=truth.velocity * 1.2), truth)
    scale = evaluate(matched).exposure_scale
    assert scale == pytest.approx(1.2)
    np.testing.assert_allclose(evaluate(with_exposure_scaled(matched, scale)).rmse, 0, atol=1e-9)


@pytest.mark.parametrize("shift", [-0.05, 0.0, 0.04])
def test_a_time_offset_is_found(shift: float) -> None:
    truth = series(2000)
    late = replace(truth, t=truth.t - shift)
    assert evaluate(match(late, truth)).time_offset == pytest.approx(shift, abs=0.005)


def test_honest_standard_deviations_give_a_nees_of_one() -> None:
    truth = series(5000)
    noise = np.random.default_rng(1).normal(0, 0.3, truth.velocity.shape)
    noisy = replace(truth, velocity=truth.velocity + noise, sigma=np.full_like(noise, 0.3))
    result = evaluate(match(noisy, truth))
    np.testing.assert_allclose(result.nees, 1, atol=0.05)
    np.testing.assert_allclose(result.coverage[0], 0.683, atol=0.03)
    np.testing.assert_allclose(result.coverage[1], 0.954, atol=0.015)


def test_invalid_rows_are_left_out_and_counted() -> None:
    truth = series()
    valid = np.ones(200, bool)
    valid[:20] = False
    velocity = truth.velocity.copy()
    velocity[:20] = 1e6
    result = evaluate(match(replace(truth, velocity=velocity, valid=valid), truth))
    assert result.invalid == 20 and result.rows == 180
    np.testing.assert_allclose(result.rmse, 0, atol=1e-12)


def test_refusing_frames_cannot_flatter_the_figure_of_all_rows() -> None:
    truth = series()
    valid = np.arange(200) >= 20
    velocity = truth.velocity.copy()
    velocity[:20] = 0.0
    result = evaluate(match(replace(truth, velocity=velocity, valid=valid), truth))
    expected = np.sqrt(np.sum(truth.velocity[:20] ** 2, axis=0) / 200)
    np.testing.assert_allclose(result.rmse_all_rows, expected)
    np.testing.assert_allclose(result.rmse, 0, atol=1e-12)
    assert result.as_json()["rmse_all_rows"] == pytest.approx(expected.tolist(), abs=1e-6)


def test_errors_are_told_by_the_length_of_the_smear() -> None:
    truth = series()
    blur = np.where(np.arange(200) < 50, 3.0, 30.0)
    error = np.where(blur[:, None] > 10, 1.0, 0.1)
    result = evaluate(match(replace(truth, velocity=truth.velocity + error, blur_px=blur), truth))
    assert [(b.low, b.high, b.rows) for b in result.by_blur] == [(2, 5, 50), (20, 40, 150)]
    np.testing.assert_allclose(result.by_blur[0].rmse, 0.1)
    np.testing.assert_allclose(result.by_blur[1].rmse, 1.0)
    assert result.as_json()["by_blur"][1]["rmse"] == [1.0, 1.0]


def test_the_worst_rows_come_first() -> None:
    truth = series()
    velocity = truth.velocity.copy()
    velocity[[7, 120, 33], 1] += [5.0, -9.0, 2.0]
    matched = match(replace(truth, velocity=velocity), truth)
    assert worst_rows(matched, 3).tolist() == [120, 7, 33]


def test_a_time_offset_is_found_past_rows_that_are_not_valid() -> None:
    truth = series(2000)
    valid = np.random.default_rng(0).uniform(size=2000) > 0.5
    late = replace(truth, t=truth.t - 0.04, valid=valid)
    assert evaluate(match(late, truth)).time_offset == pytest.approx(0.04, abs=0.002)


def test_clocks_that_do_not_meet_are_named() -> None:
    truth = series()
    with pytest.raises(RecordingError, match="clocks"):
        match(replace(truth, t=truth.t + 1e6), truth)


def test_dense_truth_is_averaged_over_the_exposure() -> None:
    t = np.arange(0, 2, 0.001)
    spike = np.zeros((len(t), 6))
    spike[(t > 0.995) & (t < 1.005)] = 1.0
    truth = VelocitySeries(t, spike, None, np.ones(len(t), bool))
    nearest = truth_at(truth, np.array([1.0]), None)
    mean = truth_at(truth, np.array([1.0]), 0.1)
    assert nearest[0, 0] == 1 and mean[0, 0] == pytest.approx(0.1, abs=0.01)


def test_axes_are_exchanged_there_and_back() -> None:
    one = series(sigma=0.1)
    there = in_axes(one, Axes.GYRO, Axes.BODY)
    back = in_axes(there, Axes.BODY, Axes.GYRO)
    np.testing.assert_allclose(back.velocity, one.velocity)
    np.testing.assert_allclose(
        in_axes(one, Axes.OPTICAL, Axes.GYRO).velocity[:, 0], -one.velocity[:, 1]
    )


def test_unknown_linear_velocity_stays_unknown_without_harm() -> None:
    gyro_only = series()
    gyro_only.velocity[:, 3:] = np.nan
    result = evaluate(match(series(), in_axes(gyro_only, Axes.BODY, Axes.BODY)))
    np.testing.assert_allclose(result.rmse[:3], 0, atol=1e-12)
    assert result.as_json()["rmse"][3] is None


def test_published_and_zero_figures_of_the_real_sequence(shared_data: Path) -> None:
    truth = read_series(shared_data / "dining" / "truth.csv")
    result = evaluate(match(read_series(shared_data / "dining" / "published.csv"), truth))
    np.testing.assert_allclose(result.rmse, [0.82, 0.50, 1.24, 0.90, 0.58, 0.77], atol=0.006)
    np.testing.assert_allclose(result.zero_rmse, [4.48, 1.48, 3.57, 1.28, 1.03, 1.16], atol=0.006)


def test_rows_are_there_as_soon_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out" / "est.csv"
    estimate = VelocityEstimate(
        1.5, 0.01, np.arange(3.0), np.arange(3.0, 6.0), np.diag([4.0] * 6), 5.0, 0.5, 6, 3.0, 0.9
    )
    camera = Camera(8, 8, 8.0, 8.0, 3.5, 3.5)
    frame = Frame(np.zeros((8, 8), np.uint8), 0.0, 0.01, camera, "a.jpg")
    with CsvWriter(path) as writer:
        for t in (0.5, 1.5, 2.5):
            writer.write(frame, replace(estimate, t=t))
            assert len(path.read_text().splitlines()) == 1 + int(t + 0.5)
    back = read_series(path)
    assert path.read_text().splitlines()[0] == ",".join(columns_of(neighbours=False))
    np.testing.assert_allclose(back.t, [0.5, 1.5, 2.5])
    np.testing.assert_allclose(back.velocity[1], np.arange(6.0))
    assert back.sigma is not None and np.all(back.sigma == 2) and back.valid.all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks a column t"),
        ("a,b\n1,2\n", "lacks a column t"),
        ("t,a\n1,2\n", "wx"),
        ("t,wx,wy,wz\n", "no rows"),
        ("t,wx,wy,wz\n0,1,x,3\n", "wy"),
        ("t,wx,wy,wz\n0,1,2\n", "wz"),
        ("t,wx,wy,wz\n1,1,2,3\n0,1,2,3\n", "time does not increase"),
        ("t,wx,wy,wz\nnan,1,2,3\n", "is not a number"),
    ],
)
def test_bad_csv_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=said) as caught:
        read_series(path)
    assert "bad.csv" in str(caught.value)


def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        read_series(tmp_path / "none.csv")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot be written"):
        CsvWriter(tmp_path / "file" / "est.csv")


def test_gaps_in_the_truth_are_neither_bridged_nor_counted() -> None:
    """One second without angular velocity, another without linear velocity."""
    t = np.arange(0, 4, 0.01)
    velocity = np.stack([np.sin(t + k) for k in range(6)], axis=1)
    holed = velocity.copy()
    holed[(t > 1) & (t < 2), :3] = np.nan
    holed[(t > 2.5) & (t < 3), 3:] = np.nan
    everywhere = np.ones(len(t), bool)
    estimate = VelocitySeries(t, velocity + 0.1, None, everywhere)
    for exposure in (None, 0.05):
        matched = match(estimate, VelocitySeries(t, holed, None, everywhere), exposure)
        assert not np.any((matched.t > 1.06) & (matched.t < 1.94))
        result = evaluate(matched)
        assert result.rmse == pytest.approx(np.full(6, 0.1), abs=2e-3)
        assert np.isfinite(result.correlation).all()


def test_a_truth_that_is_not_valid_is_not_known() -> None:
    t = np.arange(0, 2, 0.01)
    velocity = np.ones((len(t), 6))
    lost = t > 1
    wild = np.where(lost[:, None], 99.0, velocity)
    estimate = VelocitySeries(t, velocity, None, np.ones(len(t), bool))
    matched = match(estimate, VelocitySeries(t, wild, None, ~lost))
    assert evaluate(matched).rmse == pytest.approx(np.zeros(6))
