"""A ground truth in other units is understood or asked for, whatever its axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.camera_and_gyro import apart
from helpers.command_line import CommandLine


def written(path: Path, t: np.ndarray, omega: np.ndarray) -> Path:
    table = np.column_stack([t, omega])
    np.savetxt(path, table, delimiter=",", header="t,wx,wy,wz", comments="")
    return path


@pytest.fixture
def estimate(tmp_path: Path) -> Path:
    camera = apart(6, noise=0.1).camera
    return written(tmp_path / "est.csv", camera.t, camera.velocity[:, :3])


def truth(folder: Path, seconds: float = 1.0, radians: float = 1.0) -> Path:
    gyro = apart(6).gyro
    return written(folder / "gyro.csv", gyro.t / seconds, gyro.velocity[:, :3] / radians)


@pytest.mark.parametrize("axes", ["optical", "body", "gyro", "found"])
@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_degrees_are_asked_for_with_any_axes(
    blur_imu: CommandLine, tmp_path: Path, estimate: Path, axes: str, command: str
) -> None:
    degrees = truth(tmp_path, radians=np.pi / 180)
    given = [command, estimate, degrees, "--truth-axes", axes]
    given += ["-o", tmp_path / "out.yaml"] if command == "calibrate" else []
    refusal = blur_imu(*given).refusal
    assert "in degrees per second?" in refusal and "(--truth-unit)" in refusal
    assert blur_imu(*given, "--truth-unit", "deg").status == 0


@pytest.mark.parametrize("axes", ["optical", "found"])
@pytest.mark.parametrize("seconds", [1e-3, 1e-6, 1e-9])
def test_the_unit_of_the_time_is_found_by_its_steps(
    blur_imu: CommandLine, tmp_path: Path, estimate: Path, axes: str, seconds: float
) -> None:
    whole = blur_imu("evaluate", estimate, truth(tmp_path), "--truth-axes", axes).out
    other = truth(tmp_path, seconds=seconds)
    found = blur_imu("evaluate", estimate, other, "--truth-axes", axes)
    assert found.out == whole and "seconds, judging by its steps" in found.err


def test_degrees_of_a_slow_motion_are_known_in_spite_of_noise(
    blur_imu: CommandLine, tmp_path: Path
) -> None:
    slow, rng = apart(6).camera, np.random.default_rng(0)
    omega = 0.03 * slow.velocity[:, :3]
    estimate = written(tmp_path / "est.csv", slow.t, omega + 0.1 * rng.standard_normal(omega.shape))
    rad, deg = (written(tmp_path / f"{k}.csv", slow.t, k * omega) for k in (1, 57.3))
    assert "in degrees per second?" in blur_imu("evaluate", estimate, deg).refusal
    assert blur_imu("evaluate", estimate, rad).status == 0


def test_strict_refuses_what_is_left_out_otherwise(
    blur_imu: CommandLine, tmp_path: Path, estimate: Path
) -> None:
    path = truth(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:50], lines[49], *lines[50:]]) + "\n")
    told = "1 of 4001 rows repeat the time of the one before; left out"
    assert told in blur_imu("evaluate", estimate, path).err
    for command in (["evaluate"], ["calibrate", "-o", tmp_path / "out.yaml"]):
        refusal = blur_imu(*command, estimate, path, "--strict").refusal
        assert told in refusal and "without --strict the rest is used" in refusal
