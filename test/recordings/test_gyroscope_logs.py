"""Logs of phones and data sets are read as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.velocities import read_velocities

LOGS = {
    "phyphox": (
        '"Time (s)","Gyroscope x (rad/s)","Gyroscope y (rad/s)","Gyroscope z (rad/s)",'
        '"Absolute (rad/s)"\n'
        "0.5,1,2,3,3.7\n0.51,4,5,6,8.8\n"
    ),
    "Sensor Logger": (
        "time,seconds_elapsed,z,y,x\n"
        "1732500000500000000,0.5,3,2,1\n1732500000510000000,0.51,6,5,4\n"
    ),
    "StrayScanner": (
        "timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z\n"
        "0.5, 0, 9.8, 0, 1, 2, 3\n0.51, 0, 9.8, 0, 4, 5, 6\n"
    ),
    "EuRoC": (
        "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],"
        "a_RS_S_x [m s^-2]\n"
        "500000000,1,2,3,9.8\n510000000,4,5,6,9.8\n"
    ),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", LOGS)
def test_a_log_of_a_known_kind_is_known_by_its_headings(tmp_path: Path, name: str) -> None:
    series = read_velocities(written(tmp_path, LOGS[name]))
    np.testing.assert_allclose(series.t, [0.5, 0.51], atol=1e-9)
    np.testing.assert_array_equal(series.velocity[:, :3], [[1, 2, 3], [4, 5, 6]])
    assert np.isnan(series.velocity[:, 3:]).all()


def test_rows_that_a_phone_repeats_are_left_out(tmp_path: Path) -> None:
    rows = "0.5,0.5,0,0,1\n0.5,0.5,0,0,2\n0.4,0.4,0,0,3\n,,,,\n0.6,0.6,0,0,4\n"
    series = read_velocities(written(tmp_path, f"time,seconds_elapsed,z,y,x\n{rows}"))
    np.testing.assert_array_equal(series.t, [0.5, 0.6])
    np.testing.assert_array_equal(series.velocity[:, 0], [1, 4])


@pytest.mark.parametrize(
    ("rows", "said"), [("1,x,0,0,0\n", "is no number"), ("1,2,0,0,0\n1,2,0,0,0\n", "does not rise")]
)
def test_a_log_that_tells_nothing_is_refused(tmp_path: Path, rows: str, said: str) -> None:
    path = written(tmp_path, f"time,seconds_elapsed,z,y,x\n{rows}")
    with pytest.raises(RecordingError, match=said):
        read_velocities(path)


@pytest.mark.parametrize("name", ["Accelerometer.csv", "MagnetometerUncalibrated.csv"])
def test_the_table_of_another_sensor_is_not_taken_for_rates(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, LOGS["Sensor Logger"]).rename(tmp_path / name)
    with pytest.raises(RecordingError, match=r"give Gyroscope\.csv"):
        read_velocities(path)
    gyroscope = path.rename(tmp_path / "Gyroscope.csv")
    assert len(read_velocities(gyroscope).t) == 2
