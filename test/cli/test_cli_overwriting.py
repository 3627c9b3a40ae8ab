"""No command writes over what it reads, nor `run` over the result of another recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.camera_and_gyro import apart
from helpers.command_line import CommandLine, rows_of, turning_images, write_folder


@pytest.fixture
def velocities(tmp_path: Path) -> tuple[Path, Path]:
    """Estimate and truth of one motion."""
    true = apart(6, noise=0.1)
    paths = tmp_path / "est.csv", tmp_path / "gyro.csv"
    for path, series in zip(paths, (true.camera, true.gyro), strict=True):
        table = np.column_stack([series.t, series.velocity[:, :3]])
        np.savetxt(path, table, delimiter=",", header="t,wx,wy,wz", comments="")
    return paths


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("calibrate", "--output"),
        ("evaluate", "--json"),
        ("evaluate", "--html"),
        ("evaluate", "--plot"),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_neither_input_of_a_comparison_is_written_over(
    blur_imu: CommandLine, velocities: tuple[Path, Path], command: str, option: str, which: int
) -> None:
    before = velocities[which].read_bytes()
    told = blur_imu(command, *velocities, option, velocities[which]).refusal
    assert f"{velocities[which].name}: would overwrite the input" in told
    assert velocities[which].read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "a.csv", "b.csv", "--json"),
        ("evaluate", "a.csv", "b.csv", "--trajectory"),
        ("calibrate", "a.csv", "b.csv", "--output"),
        ("compare", "images", "b.csv", "--json"),
        ("run", "images", "--output"),
        ("run", "images", "--output", "a.csv", "--overlay"),
        ("run", "images", "more", "--output", "{name}.csv", "--summary"),
        ("live", "video.mp4", "--exposure", "0.01", "--output"),
        ("benchmark", "--json"),
        ("import-checkpoint", "weights.pth", "--output"),
        ("export", "model.onnx", "--output"),
    ],
)
def test_a_folder_is_refused_where_a_file_is_written(
    blur_imu: CommandLine, command: tuple[str, ...]
) -> None:
    assert ".: is a folder; name the file to write in it" in blur_imu(*command, ".").refusal


def test_a_folder_is_no_estimate(blur_imu: CommandLine, velocities: tuple[Path, Path]) -> None:
    for command in (("evaluate",), ("calibrate", "--output", "calibration.yaml")):
        assert ".: cannot be read" in blur_imu(*command, ".", velocities[1]).refusal


@pytest.mark.parametrize("option", ["output", "overlay", "plot", "rerun"])
def test_run_writes_over_none_of_its_inputs(
    blur_imu: CommandLine, tmp_path: Path, camera: Path, option: str
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(3))
    stamps = tmp_path / "stamps.csv"
    stamps.write_text("t\n0\n1\n2\n")
    given = {"output": tmp_path / "est.csv", "camera": camera, "exposure": 0.01, "stamps": stamps}
    options = [x for k, v in (given | {option: stamps}).items() for x in (f"--{k}", v)]
    assert "would overwrite the input" in blur_imu("run", folder, *options).refusal
    assert stamps.read_text() == "t\n0\n1\n2\n"


def test_the_result_of_another_recording_is_kept(
    blur_imu: CommandLine, tmp_path: Path, camera: Path
) -> None:
    few, more = (write_folder(tmp_path / str(n), turning_images(n)) for n in (3, 4))
    out = tmp_path / "est.csv"

    def run(folder: Path, *options: str) -> str:
        done = blur_imu("run", folder, "--camera", camera, "--exposure", 0.01, "-o", out, *options)
        assert done.status == 0, done
        return done.err

    run(few)
    assert "kept" not in run(few)
    assert "est.1.csv" in run(more)
    assert len(rows_of(tmp_path / "est.1.csv")) == 3 and len(rows_of(out)) == 4
    assert "kept" not in run(few, "--force")
    assert len(rows_of(out)) == 3 and not (tmp_path / "est.2.csv").exists()


def test_one_recording_of_several_is_not_written_over_by_another(
    blur_imu: CommandLine, tmp_path: Path, camera: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mcap").write_bytes(b"not read so far")
    sources = [tmp_path / "a.mcap", tmp_path / "b.mcap"]
    told = blur_imu("run", *sources, "--exposure", 0.01, "-o", tmp_path / "{name}.mcap").refusal
    assert "would overwrite the input" in told
