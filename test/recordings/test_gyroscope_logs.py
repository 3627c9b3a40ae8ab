"""Logs of phones and data sets are read as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.choices import Unit
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.velocities import read_velocities
from helpers.gyroscope_logs import LOGS, ROWS, lines


def written(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


def same(path: Path) -> None:
    series, expected = read_velocities(path), np.array(ROWS)
    np.testing.assert_allclose(series.t, expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(series.velocity[:, :3], expected[:, 1:], rtol=1e-9)
    assert np.isnan(series.velocity[:, 3:]).all()


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_known_by_its_headings(tmp_path: Path, name: str) -> None:
    same(written(tmp_path, LOGS[name]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "log.csv"
    text = LOGS["phyphox"].replace("Absolute (rad/s)", "Temp (°C)")
    path.write_bytes(text.encode(encoding))
    same(path)


def long_log(**changes: float) -> str:
    """A hundred rows, some of them with another time."""
    times = {k: 0.01 * k for k in range(100)} | {int(k[1:]): v for k, v in changes.items()}
    return "t,wx,wy,wz\n" + "".join(f"{t},{k},0,0\n" for k, t in times.items())


@pytest.mark.parametrize(
    ("changes", "left", "said"),
    [
        ({"_50": 0.49}, 99, "1 of 100 rows repeat the time"),
        ({"_50": 0.51, "_51": 0.5}, 99, "out of order"),
        ({"_50": float("nan")}, 99, "one out of order"),
        ({"_50": 0.0}, 99, "out of order"),
        ({"_50": 1e12}, 99, "out of order"),
        ({"_0": -1e9}, 99, "out of order"),
    ],
)
def test_a_few_wrong_times_cost_their_rows(
    tmp_path: Path, changes: dict[str, float], left: int, said: str
) -> None:
    series = read_velocities(written(tmp_path, long_log(**changes)))
    assert len(series.t) == left and said in " ".join(series.notes)


def test_many_wrong_times_are_refused(tmp_path: Path) -> None:
    text = long_log() + long_log().partition("\n")[2]
    with pytest.raises(RecordingError, match="several recordings in it"):
        read_velocities(written(tmp_path, text))


def test_half_a_row_at_the_end_is_left_out(tmp_path: Path) -> None:
    series = read_velocities(written(tmp_path, long_log() + "1.0,5"))
    assert len(series.t) in (100, 101) and "not numbers" in " ".join(series.notes)


@pytest.mark.parametrize(("unit", "factor"), [("deg", np.pi / 180), ("rad", 1.0), ("ms", 1.0)])
def test_units_can_be_told(tmp_path: Path, unit: str, factor: float) -> None:
    path = written(tmp_path, "t,wx,wy,wz\n" + lines("{t},{x},{y},{z}"))
    series = read_velocities(path, units=[Unit(unit)])
    assert series.velocity[0, 0] == pytest.approx(factor)
    assert series.t[0] == pytest.approx(0.5e-3 if unit == "ms" else 0.5)


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,2\n", "1,2\n3,4\n", '"X (m/s^2)","Y (m/s^2)","Z (m/s^2)","Time (s)"\n1,2,3,4\n'],
)
def test_what_names_no_gyroscope_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordingError, match=r"log\.csv: (names neither|has no headings)"):
        read_velocities(written(tmp_path, text))


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "phyphox.csv"
    path.write_bytes(b"PK\x03\x04" + bytes(30))
    with pytest.raises(RecordingError, match="unpack it"):
        read_velocities(path)


def test_rows_that_a_phone_repeats_are_left_out(tmp_path: Path) -> None:
    rows = "0.5,0.5,0,0,1\n0.5,0.5,0,0,2\n,,,,\n0.6,0.6,0,0,4\n"
    series = read_velocities(written(tmp_path, f"time,seconds_elapsed,z,y,x\n{rows}"))
    np.testing.assert_array_equal(series.t, [0.5, 0.6])
    assert "1 of 3 rows repeat the time" in " ".join(series.notes)


@pytest.mark.parametrize(
    ("rows", "said"),
    [("1,1,x,0,0\n", "is not a number"), ("1,2,0,0,0\n1,2,0,0,0\n", "does not increase")],
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
    assert len(read_velocities(gyroscope).t) == len(ROWS)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_told_so(tmp_path: Path, content: str):
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(RecordingError, match="is empty"):
        read_velocities(tmp_path / "log.csv")
