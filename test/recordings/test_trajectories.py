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


QUATERNION = (0.1, -0.2, 0.3, np.sqrt(1 - 0.14))


def rows_of(form: str, count: int = 20) -> str:
    x, y, z, w = QUATERNION
    return "".join(
        form.format(t=0.01 * k, n=10_000_000 * k, p=0.02 * k, x=x, y=y, z=z, w=w) + "\n"
        for k in range(count)
    )


@pytest.mark.parametrize(
    "text",
    [
        rows_of("{t} {p} 0 0 {x} {y} {z} {w}"),
        "# timestamp tx ty tz qx qy qz qw\n" + rows_of("{t} {p} 0 0 {x} {y} {z} {w}"),
        "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], "
        "q_RS_z [], v_RS_R_x [m s^-1], b_w_RS_S_x [rad s^-1], b_w_RS_S_y [rad s^-1], "
        "b_w_RS_S_z [rad s^-1]\n" + rows_of("{n},{p},0,0,{w},{x},{y},{z},9,8,7,6"),
        "timestamp, frame, x, y, z, qx, qy, qz, qw\n"
        + rows_of("{t}, 000001, {p}, 0, 0, {x}, {y}, {z}, {w}"),
        "__time,/odom/pose/pose/position/x,/odom/pose/pose/position/y,/odom/pose/pose/position/z,"
        "/odom/pose/pose/orientation/x,/odom/pose/pose/orientation/y,"
        "/odom/pose/pose/orientation/z,/odom/pose/pose/orientation/w\n"
        + rows_of("{t},{p},0,0,{x},{y},{z},{w}"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_poses_are_known_by_their_headings(tmp_path: Path, text: str, suffix: str):
    path = tmp_path / f"poses{suffix}"
    path.write_text(text)
    found = read_velocities(path)
    along = Rotation.from_quat(QUATERNION).inv().apply([2.0, 0, 0])
    np.testing.assert_allclose(found.velocity[:, 3:], np.tile(along, (19, 1)), atol=1e-6)
    np.testing.assert_allclose(found.t, 0.005 + 0.01 * np.arange(19), atol=1e-9)


def test_the_poses_of_kitti_have_their_times_beside(tmp_path: Path):
    path, trajectory, t = tmp_path / "00.txt", hand_held(), np.arange(30) / 10
    poses = [trajectory.pose(float(time)) for time in t]
    rows = [np.column_stack([p.rotation.as_matrix(), p.position]).ravel() for p in poses]
    np.savetxt(path, rows)
    with pytest.raises(RecordingError, match=r"put its times\.txt"):
        read_velocities(path)
    np.savetxt(tmp_path / "times.txt", t)
    tum = read_velocities(write_tum(tmp_path / "a.tum", trajectory, t))
    np.testing.assert_allclose(read_velocities(path).velocity, tum.velocity, atol=1e-6)


def test_one_bad_pose_costs_itself_alone(tmp_path: Path):
    lines = rows_of("{t} {p} 0 0 {x} {y} {z} {w}", 40).splitlines()
    for bad in (lines[20], lines[10], "0.2 1 2 3 0 0 0 0", "nan 1 2 3 0 0 0 1"):
        path = tmp_path / "bad.tum"
        path.write_text("\n".join([*lines[:20], bad, *lines[21:]]))
        found = read_poses(path)
        assert len(found.t) >= 39 and np.all(np.diff(found.t) > 0)
    assert "1 of 40 rows have no time, or one out of order" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "rows of 0 numbers"),
        ("0 1 2 3 0 0 0 1\n", "holds 1 rows"),
        ("0 1 2 3\n1 1 2 3\n", "of 4 numbers"),
        ("0 1 2 3 0 0 0 1\n1 1 2 x 0 0 0 1\n", "is not a number"),
        ("0 1 2 3 0 0 0 1\n0 1 2 3 0 0 0 1\n", "time does not increase"),
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
