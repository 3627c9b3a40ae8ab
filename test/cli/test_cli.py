"""`blur-imu run` and `evaluate` as strangers meet them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros import __version__
from blur_imu_ros.cli.batch import _print
from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL
from blur_imu_ros.execution.batch import Outcome
from blur_imu_ros.recordings.camera_files import load_camera
from helpers.command_line import (
    RATE,
    CommandLine,
    needs_model,
    rows_of,
    turning_images,
    write_camera,
    write_folder,
)

HEADER = (
    "frame,t,wx,wy,wz,vx,vy,vz,s_wx,s_wy,s_wz,s_vx,s_vy,s_vz,"
    "blur_px,residual_px,direction_probability,valid"
)
NEIGHBOURS = ",registration_quality" + "".join(f",single_{n}" for n in "wx wy wz vx vy vz".split())
LAST = ",autocorrelation"
COUNT = 12


@pytest.fixture(scope="session")
def images() -> list[np.ndarray]:
    return turning_images(COUNT)


@pytest.fixture
def folder(tmp_path: Path, images: list[np.ndarray]) -> Path:
    return write_folder(tmp_path / "images", images)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "velocity.csv"


def angular(row: dict[str, str]) -> np.ndarray:
    """The angular velocity of a row, rad/s."""
    return np.array([float(row[name]) for name in ("wx", "wy", "wz")])


def test_run_writes_one_row_a_frame_in_input_order(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path
) -> None:
    # The camera turns about itself, which no hand does.
    given = ("--camera", camera, "--exposure", 0.01, "--motion-prior", "none")
    ended = blur_imu("run", folder, "-o", out, *given)
    assert ended.status == 0 and f"{out}: {COUNT} rows" in ended.out
    assert out.read_text().splitlines()[0] == HEADER + ",axes" + NEIGHBOURS + LAST
    rows = rows_of(out)
    assert [row["frame"] for row in rows] == [f"frame_{k}.png" for k in range(COUNT)]
    np.testing.assert_allclose([float(r["t"]) for r in rows], np.arange(COUNT) / 30, atol=1e-8)
    for row in rows:
        np.testing.assert_allclose(angular(row), RATE, atol=0.05)
        assert row["valid"] == "1" and float(row["direction_probability"]) > 0.9


def test_numbers_are_finite_also_where_a_frame_is_not_valid(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, images: list[np.ndarray]
) -> None:
    command = ("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert "not valid" not in blur_imu(*command).err
    cv2.imwrite(str(folder / "frame_5.png"), np.zeros_like(images[0]))
    ended = blur_imu(*command)
    assert ended.status == 0
    assert "1 of 12 rows are not valid; the first is frame_5.png: blur could be" in ended.err
    rows = rows_of(out)
    assert [row["valid"] for row in rows] == ["1"] * 5 + ["0"] + ["1"] * 6
    numbers = [[float(row[name]) for name in HEADER.split(",")[1:]] for row in rows]
    assert np.isfinite(numbers).all()


@pytest.mark.parametrize(
    ("axes", "wanted"),
    [
        ("optical", RATE),
        ("body", [RATE[2], -RATE[0], -RATE[1]]),
        ("gyro", GYRO_FROM_OPTICAL @ RATE),
    ],
)
def test_axes_are_those_asked_for(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, axes: str, wanted: np.ndarray
) -> None:
    blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01, "--axes", axes)
    np.testing.assert_allclose(angular(rows_of(out)[6]), wanted, atol=0.05)


def test_direction_previous_knows_all_signs_but_the_first_and_none_knows_none(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path
) -> None:
    common = ("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01, "--direction")
    assert blur_imu(*common, "previous").status == 0
    probability = [float(row["direction_probability"]) for row in rows_of(out)]
    assert probability[0] == 0.5 and min(probability[1:]) > 0.9
    assert blur_imu(*common, "none").status == 0
    assert {row["direction_probability"] for row in rows_of(out)} == {"0.500000"}


def test_stamps_come_from_a_csv_and_mean_what_is_said(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, tmp_path: Path
) -> None:
    stamps = tmp_path / "stamps.csv"
    stamps.write_text("t\n" + "".join(f"{100 + k / 25}\n" for k in range(COUNT)))
    blur_imu(
        "run", folder, "-o", out, "--camera", camera, "--exposure", 0.01,
        "--stamps", stamps, "--stamp-reference", "start",
    )  # fmt: skip
    found = [float(row["t"]) for row in rows_of(out)]
    np.testing.assert_allclose(found, 100.005 + np.arange(COUNT) / 25, atol=1e-8)


def test_a_ros_calibration_gives_the_same_numbers(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, tmp_path: Path
) -> None:
    flat = load_camera(camera)
    ros = tmp_path / "ros.yaml"
    ros.write_text(
        f"image_width: {flat.width}\nimage_height: {flat.height}\ncamera_name: cam\n"
        "camera_matrix: {rows: 3, cols: 3, data: "
        f"[{flat.fx}, 0, {flat.cx}, 0, {flat.fy}, {flat.cy}, 0, 0, 1]}}\n"
        "distortion_model: plumb_bob\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}\n"
    )
    blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    expected = out.read_bytes()
    assert blur_imu("run", folder, "-o", out, "--camera", ros, "--exposure", 0.01).status == 0
    assert out.read_bytes() == expected


def test_the_exposure_time_may_stand_in_the_camera_file(
    blur_imu: CommandLine, folder: Path, out: Path, tmp_path: Path
) -> None:
    camera = write_camera(tmp_path / "exposed.yaml", exposure_time=0.005)
    alone = ("--no-registration", "--motion-prior", "none")  # It turns about itself.
    command = ("run", folder, "-o", out, "--camera", camera, *alone)
    assert blur_imu(*command).status == 0
    assert out.read_text().splitlines()[0] == HEADER + ",axes" + LAST
    # The oracle's smear is that of 10 ms: in half the time it means twice the speed.
    np.testing.assert_allclose(angular(rows_of(out)[6]), 2 * RATE, atol=0.1)


def test_evaluate_finds_no_error_in_the_truth_itself(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, tmp_path: Path
) -> None:
    blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    figures, picture = tmp_path / "figures.json", tmp_path / "plot.png"
    ended = blur_imu("evaluate", out, out, "--json", figures, "--plot", picture)
    assert ended.status == 0 and f"{COUNT} rows compared; 0 not valid" in ended.out
    assert json.loads(figures.read_text())["rmse"] == [0] * 6
    assert cv2.imread(str(picture)) is not None


def test_evaluate_brings_both_to_the_same_axes(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, tmp_path: Path
) -> None:
    blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    body, figures = tmp_path / "body.csv", tmp_path / "figures.json"
    blur_imu("run", folder, "-o", body, "--camera", camera, "--exposure", 0.01, "--axes", "body")
    blur_imu("evaluate", out, body, "--truth-axes", "body", "--json", figures)
    np.testing.assert_allclose(json.loads(figures.read_text())["rmse"], 0, atol=2e-6)


def test_names_with_brackets_are_shown_as_they_are(blur_imu: CommandLine, tmp_path: Path) -> None:
    rows = "".join(f"{k / 30},{k % 5},2,1\n" for k in range(20))
    truth = tmp_path / "truth [red].csv"
    truth.write_text("t,wx,wy,wz\n" + rows)
    assert "against truth [red].csv" in blur_imu("evaluate", truth, truth).out


def test_the_reasons_of_failures_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    _print([Outcome("a", failure="pip install '.[photos]'")])
    assert "'.[photos]'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("speed", "told"),
    [(1, "fewer signs are right than by chance"), (0.2, "zero velocity would err less")],
)
def test_evaluate_in_wrong_axes_tells_how_to_find_the_right_ones(
    blur_imu: CommandLine, tmp_path: Path, speed: float, told: str
) -> None:
    """Fast, where signs are judged, and gentle, where none are."""
    estimate, truth = tmp_path / "estimate.csv", tmp_path / "truth.csv"
    for path, sign in ((estimate, 1), (truth, -1)):
        rows = [f"{k / 30},{3 * sign * speed},{2 * sign * speed},{sign * speed}" for k in range(20)]
        path.write_text("\n".join(["t,wx,wy,wz", *rows]))
    ended = blur_imu("evaluate", estimate, truth)
    assert ended.status == 0 and "no exposure time fits" in ended.out
    assert told in ended.out and "--truth-axes found" in ended.out
    assert (
        "no exposure time fits" in blur_imu("evaluate", estimate, truth, "--fit-exposure").refusal
    )
    assert "--truth-axes" not in blur_imu("evaluate", truth, truth).out


def test_run_draws_overlay_and_plot(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, images: list[np.ndarray]
) -> None:
    cv2.imwrite(str(folder / "frame_5.png"), np.zeros_like(images[0]))
    video, picture = out.with_name("overlay.mp4"), out.with_name("plot.png")
    ended = blur_imu(
        "run", folder, "-o", out, "--camera", camera, "--exposure", 0.01,
        "--overlay", video, "--plot", picture,
    )  # fmt: skip
    assert ended.status == 0
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) == COUNT
    assert cv2.imread(str(picture)) is not None


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["run", "images"],
        ["run", "images", "-o", "x.csv", "--axes", "sideways"],
        ["run", "images", "-o", "x.csv", "--exposure", "fast"],
        ["run", "images", "-o", "x.csv", "--no-such-option"],
        ["evaluate", "only.csv"],
        ["demo", "--seconds", "-1"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_exits_with_2(blur_imu: CommandLine, arguments: list[str]) -> None:
    ended = blur_imu(*arguments)
    assert ended.status == 2 and "Traceback" not in ended.err


@pytest.mark.parametrize("command", [[], ["run"], ["evaluate"], ["demo"]])
def test_help_is_given_without_loading_what_measures(command: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['blur-imu', *sys.argv[1:], '--help']\n"
        "from blur_imu_ros.cli import main\n"
        "try: main()\n"
        "finally: print('LOADED', *({'numpy', 'cv2', 'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0 and "Usage" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "LOADED"


def test_the_version_is_told(blur_imu: CommandLine) -> None:
    told = blur_imu("--version")
    assert told.status == 0 and told.out.strip() == __version__


def test_the_list_of_commands_cuts_no_sentence_off(
    blur_imu: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = blur_imu("--help").out
    assert "..." not in told.split("Commands:")[1]


@needs_model
def test_real_frames_are_measured_with_the_shipped_model(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "dining"
    frames = tmp_path / "frames"
    frames.mkdir()
    for path in sorted((source / "frames").iterdir())[:5]:
        (frames / path.name).symlink_to(path)
    out = tmp_path / "est.csv"
    command = [sys.executable, "-m", "blur_imu_ros.cli", "run", frames, "-o", out]
    ended = subprocess.run(
        [*map(str, command), "--camera", str(source / "camera.yaml"), "--axes", "gyro"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert [row["frame"] for row in rows_of(out)] == [f"{k:06d}.jpg" for k in range(5)]
    numbers = [[float(row[name]) for name in HEADER.split(",")[1:]] for row in rows_of(out)]
    assert np.isfinite(numbers).all()
