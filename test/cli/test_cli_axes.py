"""The axes that `run` wrote its result in hold without being told again; contradictions are
refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from blur_imu_ros.choices import Axes
from blur_imu_ros.evaluation.metrics import in_axes
from blur_imu_ros.results.run_record import RunRecord
from helpers.camera_and_gyro import Apart, apart
from helpers.command_line import CommandLine, rows_of, turning_images, write_folder


def written(path: Path, t: np.ndarray, omega: np.ndarray, axes: str | None = None) -> Path:
    names = "t,wx,wy,wz" + (",valid,axes" if axes else "")
    end = f",1,{axes}" if axes else ""
    rows = [f"{a},{b[0]},{b[1]},{b[2]}{end}" for a, b in zip(t, omega, strict=True)]
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


@pytest.fixture
def true() -> Apart:
    return apart(6, noise=0.1)


@pytest.fixture
def gyro(tmp_path: Path, true: Apart) -> Path:
    return written(tmp_path / "gyro.csv", true.gyro.t, true.gyro.velocity[:, :3])


def estimate(folder: Path, true: Apart, axes: Axes, column: bool, record: bool) -> Path:
    series = in_axes(true.camera, Axes.OPTICAL, axes)
    name = axes.value if column else None
    path = written(folder / "est.csv", series.t, series.velocity[:, :3], name)
    if record:
        RunRecord({"axes": axes.value}).save(path)
    return path


@pytest.mark.parametrize("axes", list(Axes))
@pytest.mark.parametrize(("column", "record"), [(True, False), (False, True), (True, True)])
def test_calibrate_finds_the_same_mounting_from_any_axes(
    blur_imu: CommandLine, tmp_path: Path, true: Apart, gyro: Path, axes, column, record
) -> None:
    path, out = estimate(tmp_path, true, axes, column, record), tmp_path / "out.yaml"
    calibrated = blur_imu("calibrate", path, gyro, "-o", out)
    assert calibrated.status == 0
    assert "process noise of a filter that follows this motion: angular " in calibrated.out
    found = yaml.safe_load(out.read_text())["camera_imu_rotation"]
    np.testing.assert_allclose(found, true.rotation, atol=0.02)


def test_evaluate_gives_the_same_figures_from_any_axes(
    blur_imu: CommandLine, tmp_path: Path, true: Apart
) -> None:
    optical = written(tmp_path / "truth.csv", true.camera.t, true.camera.velocity[:, :3])
    for axes in Axes:
        path, out = estimate(tmp_path, true, axes, True, False), tmp_path / "out.json"
        assert blur_imu("evaluate", path, optical, "--json", out).status == 0
        assert json.loads(out.read_text())["rmse"][:3] == pytest.approx([0, 0, 0], abs=1e-4)


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_contradictions_are_refused(
    blur_imu: CommandLine, tmp_path: Path, true: Apart, gyro: Path, command: str
) -> None:
    rest = ["-o", tmp_path / "o.yaml"] if command == "calibrate" else ["--truth-axes", "found"]
    path = estimate(tmp_path, true, Axes.BODY, True, True)
    told = blur_imu(command, path, gyro, "--axes", "optical", *rest).refusal
    assert "its column axes says body" in told and "--axes says optical" in told
    RunRecord({"axes": "gyro"}).save(path)
    assert "its .run.json says gyro" in blur_imu(command, path, gyro, *rest).refusal
    text = path.read_text().replace(",body", ",optical", 1)
    path.write_text(text)
    assert "column axes holds body, optical" in blur_imu(command, path, gyro, *rest).refusal


def test_a_truth_that_tells_its_axes_is_not_taken_in_others(
    blur_imu: CommandLine, tmp_path: Path, true: Apart
) -> None:
    path = estimate(tmp_path, true, Axes.BODY, True, False)
    told = blur_imu("evaluate", path, path, "--truth-axes", "optical").refusal
    assert "its column axes says body, --truth-axes says optical" in told
    for given in ((), ("--truth-axes", "body")):
        assert "body axes" in blur_imu("evaluate", path, path, *given).out


def test_run_writes_its_axes_into_every_row(
    blur_imu: CommandLine, tmp_path: Path, camera: Path
) -> None:
    folder, out = write_folder(tmp_path / "images", turning_images(3)), tmp_path / "est.csv"
    done = blur_imu(
        "run", folder, "-o", out, "--camera", camera, "--exposure", 0.01, "--axes", "body"
    )
    assert done.status == 0 and {row["axes"] for row in rows_of(out)} == {"body"}
