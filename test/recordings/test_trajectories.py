"""Poses of other systems become velocities of the body in its own axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.trajectories import read_poses
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.simulation.room_renderer import constant_velocity, hand_held
from helpers.trajectories import write_tum


def test_a_constant_velocity_is_found_exactly(tmp_path: Path):
    angular, linear = np.array([1.0, -2.0, 0.5]), np.array([0.4, -0.8, 0.2])  # parallel: no arc
    start = constant_velocity(np.ones(3), np.ones(3)).pose(0.7)
    path = write_tum(
        tmp_path / "a.tum", constant_velocity(angular, linear, start), np.arange(20) / 30
    )
    found = read_velocities(path)
    np.testing.assert_allclose(found.velocity[:, :3], np.tile(angular, (19, 1)), atol=1e-9)
    np.testing.assert_allclose(found.velocity[:, 3:], np.tile(linear, (19, 1)), atol=1e-9)
    np.testing.assert_allclose(found.t, (np.arange(19) + 0.5) / 30)


def test_a_hand_held_motion_is_found_midway_between_the_poses(tmp_path: Path):
    trajectory = hand_held()
    found = read_velocities(write_tum(tmp_path / "a.txt", trajectory, 1 + np.arange(200) / 200))
    expected = np.stack([trajectory.velocity(float(t)) for t in found.t])
    np.testing.assert_allclose(found.velocity, expected, atol=5e-3)
    assert found.valid.all()


def test_where_the_world_stands_makes_no_difference(tmp_path: Path):
    trajectory, t = hand_held(), np.arange(10) / 30
    poses = read_poses(write_tum(tmp_path / "a.tum", trajectory, t))
    turn, shift = Rotation.from_euler("xyz", [0.3, -1.0, 2.0]), np.array([5.0, -3.0, 100.0])
    moved = type(poses)(poses.t, turn * poses.rotation, turn.apply(poses.position) + shift)
    np.testing.assert_allclose(moved.velocities().velocity, poses.velocities().velocity, atol=1e-9)


def test_a_gap_is_no_velocity(tmp_path: Path):
    t = np.concatenate([np.arange(10), np.arange(20, 30)]) / 30
    found = read_velocities(write_tum(tmp_path / "a.tum", hand_held(), t))
    assert np.flatnonzero(~found.valid).tolist() == [9]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "rows"),
        ("0 1 2 3 0 0 0 1\n", "holds 1 rows"),
        ("0 1 2 3\n1 1 2 3\n", "of 4 numbers"),
        ("0 1 2 3 0 0 0 1\n1 1 2 x 0 0 0 1\n", "no TUM trajectory"),
        ("0 1 2 3 0 0 0 1\n0 1 2 3 0 0 0 1\n", "does not increase at row 1"),
        ("0 1 2 3 0 0 0 1\n1 1 2 3 0 0 0 0\n", "quaternion of row 1"),
        ("0 1 2 3 0 0 0 1\n1 1 nan 3 0 0 0 1\n", "finite"),
    ],
)
def test_a_bad_trajectory_is_named(tmp_path: Path, text: str, said: str):
    path = tmp_path / "bad.tum"
    path.write_text(text)
    with pytest.raises(RecordingError, match=said) as caught:
        read_poses(path)
    assert "bad.tum" in str(caught.value)


def test_a_missing_trajectory_is_named(tmp_path: Path):
    with pytest.raises(RecordingError, match="cannot be read"):
        read_poses(tmp_path / "none.tum")


def test_a_csv_stays_a_csv(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("t,wx,wy,wz\n0,1,2,3\n")
    assert read_velocities(path).velocity[0, :3].tolist() == [1, 2, 3]
