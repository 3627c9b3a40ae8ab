"""The CSV: written row by row, read back as it was, refused where it cannot be right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.csv_tables import CsvTable, read_series
from blur_imu_ros.results.csv_files import CsvWriter, whole_rows

ESTIMATE = VelocityEstimate(
    1700000000.123456, 0.01, np.array([1e-7, -2.5, 1e4]), np.array([0.1, -0.2, 0.3]),
    np.diag(np.arange(1.0, 7.0) ** 2), 12.5, 0.25, 6, 3.0, 0.875,
)  # fmt: skip


def frame(name: str) -> Frame:
    return Frame(np.zeros((8, 8), np.uint8), 0.0, 0.01, Camera(8, 8, 8.0, 8.0, 3.5, 3.5), name)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "est.csv"
    with CsvWriter(path) as writer:
        writer.write(frame("a.png"), ESTIMATE)
    assert path.read_bytes().count(b"\n") == 2 and b"\r" not in path.read_bytes()
    series = read_series(path)
    assert series.sigma is not None
    np.testing.assert_allclose(series.t, [ESTIMATE.t], rtol=0, atol=3e-7)
    np.testing.assert_allclose(series.velocity[0], [0, -2.5, 1e4, 0.1, -0.2, 0.3], atol=5e-7)
    np.testing.assert_allclose(series.sigma[0], np.arange(1, 7))
    table = CsvTable(path)
    for name, value in (("blur_px", 12.5), ("residual_px", 0.25), ("direction_probability", 0.875)):
        assert table.column(name) == [value]


@pytest.mark.parametrize("neighbours", [False, True])
def test_what_both_ends_of_the_blur_tell_is_the_last_column(
    tmp_path: Path, neighbours: bool
) -> None:
    path = tmp_path / "est.csv"
    with CsvWriter(path, neighbours=neighbours) as writer:
        writer.write(frame("a.png"), replace(ESTIMATE, autocorrelation=0.375))
        writer.write(frame("b.png"), ESTIMATE)
    assert CsvTable(path).names[-1] == "autocorrelation"
    assert list(CsvTable(path).column("autocorrelation")) == [0.375, 0]
    assert whole_rows(path) == 2


@pytest.mark.parametrize("name", ["a,b.png", 'say "cheese".png', "zwei\nzeilen.png", "Straße.png"])
def test_any_file_name_stays_one_row(tmp_path: Path, name: str) -> None:
    path = tmp_path / "est.csv"
    with CsvWriter(path) as writer:
        writer.write(frame(name), ESTIMATE)
    assert CsvTable(path).column("valid") == [1]


def test_an_estimate_that_is_not_valid_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "est.csv"
    with CsvWriter(path) as writer:
        writer.write(frame("a.png"), ESTIMATE.rejected("too dark"))
    assert not read_series(path).valid.any()


def test_a_full_disk_is_named() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(RecordingError, match="No space left on device"),
        CsvWriter(full) as writer,
    ):
        writer.write(frame("a.png"), ESTIMATE)


def test_an_empty_cell_is_a_velocity_that_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "gyro.csv"
    path.write_text("t,wx,wy,wz,vx,vy,vz\n0,1,2,3,,,\n1,1,2,3,4,5,6\n")
    series = read_series(path)
    assert np.isnan(series.velocity[0, 3:]).all() and np.isfinite(series.velocity[1]).all()


def test_the_mark_and_blanks_that_spreadsheets_put_into_a_header_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("t , wx, wy ,wz\n0 , 1, 2 ,3\n", encoding="utf-8-sig")
    np.testing.assert_array_equal(read_series(path).velocity[0, :3], [1, 2, 3])


def test_an_empty_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gyro.csv"
    path.write_text("t,wx,wy,wz\n0,1,2,3\n,1,2,3\n")
    with pytest.raises(RecordingError, match="row 1"):
        read_series(path)


def test_a_time_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gyro.csv"
    path.write_text("t,wx,wy,wz\n0,1,2,3\ninf,1,2,3\n")
    with pytest.raises(
        RecordingError, match="t: time .* is not a number, in 1 of 2 rows, .* row 1"
    ):
        read_series(path)
