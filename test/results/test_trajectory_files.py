"""Velocities become a trajectory that other tools read, and that leads back to the velocities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.trajectories import read_poses
from blur_imu_ros.results.trajectory_files import integrated, sampled, write_tum


def swinging(noise: float = 0.0, n: int = 300) -> VelocitySeries:
    t = 50 + np.arange(n) / 100
    velocity = np.sin(t[:, None] * np.arange(2, 8)) * [2, 3, 1, 0.5, 0.2, 0.4]
    velocity += np.random.default_rng(0).normal(0, 1, velocity.shape) * noise
    return VelocitySeries(t, velocity, None, np.ones(n, bool))


def test_a_trajectory_leads_back_to_its_velocities(tmp_path: Path) -> None:
    series = swinging()
    write_tum(tmp_path / "new" / "est.tum", integrated(series))
    again = read_poses(tmp_path / "new" / "est.tum").velocities()
    midway = (series.velocity[1:] + series.velocity[:-1]) / 2
    np.testing.assert_allclose(again.velocity, midway, atol=1e-5)
    np.testing.assert_allclose(again.t, (series.t[1:] + series.t[:-1]) / 2, atol=1e-8)


def test_rows_that_are_not_valid_are_passed_over() -> None:
    series = swinging()
    wild = series.velocity.copy()
    wild[100:103] = 1e3
    valid = np.ones(len(wild), bool)
    valid[100:103] = False
    bridged = integrated(replace(series, velocity=wild, valid=valid))
    whole = integrated(series)
    off = whole.rotation[-1].inv() * bridged.rotation[-1]
    assert len(bridged.t) == len(whole.t) - 3 and off.magnitude() < 0.02
    with pytest.raises(RecordingError, match="at least two"):
        integrated(replace(series, valid=np.zeros(len(valid), bool)))


def test_without_linear_velocity_the_position_rests() -> None:
    series = swinging()
    series.velocity[:, 3:] = np.nan
    assert np.all(integrated(series).position == 0)


def test_evo_finds_the_errors_that_we_find(tmp_path: Path) -> None:
    """The relative pose error of evo, a frame apart, is our error of the mean angular velocity."""
    pytest.importorskip("evo", reason="evo, which is GPL and brings pandas, is not installed")
    from evo.core import metrics
    from evo.tools import file_interface

    truth, estimate = swinging(), swinging(noise=0.1)
    write_tum(tmp_path / "truth.tum", integrated(truth))
    write_tum(tmp_path / "est.tum", integrated(estimate))
    read = file_interface.read_tum_trajectory_file
    pair = read(str(tmp_path / "truth.tum")), read(str(tmp_path / "est.tum"))
    error = estimate.velocity - truth.velocity
    ours = np.linalg.norm((error[1:, :3] + error[:-1, :3]) / 2, axis=1)
    rpe = metrics.RPE(metrics.PoseRelation.rotation_angle_rad, 1, metrics.Unit.frames)
    rpe.process_data(pair)
    theirs = rpe.get_statistic(metrics.StatisticsType.rmse) * 100
    assert theirs == pytest.approx(float(np.sqrt(np.mean(ours**2))), rel=0.01)
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data(pair)
    apart = integrated(truth).position - integrated(estimate).position
    distance = np.linalg.norm(apart, axis=1)
    assert ape.get_statistic(metrics.StatisticsType.max) == pytest.approx(distance.max(), rel=1e-3)


def test_poses_in_between_are_seen_from_the_first_of_them() -> None:
    poses = integrated(swinging())
    t = poses.t[50:-5] + 0.003
    between = sampled(poses, t)
    assert between.rotation[0].magnitude() < 1e-9 and np.all(between.position[0] == 0)
    t0, velocity = between.velocities().t, between.velocities().velocity
    whole = poses.velocities()
    true = np.stack([np.interp(t0, whole.t, column) for column in whole.velocity.T], axis=1)
    np.testing.assert_allclose(velocity, true, atol=0.05)
