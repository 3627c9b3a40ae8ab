"""What a calibration says is what a recording is measured with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import CameraError
from blur_imu_ros.recordings.calibration_files import KnownCalibration, read_calibration
from helpers.command_line import CommandLine, rows_of, turning_images, write_folder
from helpers.synthetic_fields import CAMERA, field_of

FAST = np.array([0.0, 1.0, 0.0]), np.array([0.5, -0.3, 0.4])


class Moving:
    """Reads the same turn and shift from every image, in a scene at known depth."""

    input_size = (CAMERA.width, CAMERA.height)

    def predict(self, image: np.ndarray, camera: object) -> object:
        return field_of(*FAST, sigma=0.05)


def written(folder: Path, text: str) -> Path:
    path = folder / "calibration.yaml"
    path.write_text(text)
    return path


def test_what_calibrate_writes_is_read(tmp_path: Path) -> None:
    text = "image_width: 640\nexposure_time: 0.008\ntime_offset: -0.02\nlinear_scale: 1.5\n"
    assert read_calibration(written(tmp_path, text)) == KnownCalibration(0.008, -0.02, 1.5)


def test_a_log_on_another_clock_does_not_hinder_measuring(tmp_path: Path) -> None:
    found = read_calibration(written(tmp_path, "exposure_time: 0.008\ntime_offset: 1.7e+9\n"))
    assert found.exposure_time == 0.008


def test_what_a_calibration_does_not_know_changes_nothing(tmp_path: Path) -> None:
    found = read_calibration(written(tmp_path, "exposure_scale: 1.1\ngyro_bias: [0, 0, 0]\n"))
    assert found == KnownCalibration(None, 0.0, 1.0)


def test_without_an_exposure_time_the_scale_holds_for_the_one_that_was_assumed(
    tmp_path: Path,
) -> None:
    text = "exposure_scale: 1.25\nlinear_scale: 1.5\n"
    assert read_calibration(written(tmp_path, text)).linear_scale == pytest.approx(1.2)
    both = read_calibration(written(tmp_path, text + "exposure_time: 0.01\n"))
    assert (both.exposure_time, both.linear_scale) == (0.01, 1.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exposure_scale: 0\nlinear_scale: 1\n", "exposure_scale is 0"),
        ("time_offset: 0\nstamp_reference: begin\n", "stamp_reference is 'begin'; use start"),
        ("exposure_scale: much\nlinear_scale: 1\n", "exposure_scale is 'much', not a number"),
        ("fx: 500\n", "write one with blur-imu calibrate"),
        ("[1, 2]", "is not a calibration"),
        ("a: [", "is not a calibration"),
        ("linear_scale: wide\n", "linear_scale is 'wide', not a number"),
        ("linear_scale: .nan\n", "not a number"),
        (f"time_offset: {10**400}\n", "not a number"),
        ("linear_scale: 0\n", "use 0.01 to 100"),
        ("exposure_time: 8\n", "exposure"),
    ],
)
def test_what_is_no_calibration_is_refused_with_its_name(
    tmp_path: Path, text: str, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CameraError, match=said) as refusal:
        read_calibration(path)
    assert str(path) in str(refusal.value)


def test_a_missing_calibration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="No such file"):
        read_calibration(tmp_path / "none.yaml")


def test_a_scene_twice_as_far_away_means_twice_the_speed_and_the_same_turn() -> None:
    frame = Frame(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), 0.0, 0.01, CAMERA)
    near, far = (
        VisualImu(Moving(), linear_scale=scale).measure(frame).estimate for scale in (1.0, 2.0)
    )
    np.testing.assert_allclose(far.linear_velocity, 2 * near.linear_velocity, rtol=0.05, atol=0.01)
    np.testing.assert_allclose(far.angular_velocity, near.angular_velocity, rtol=0.02, atol=0.02)


def test_run_measures_with_a_calibration(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(4))
    calibration = written(tmp_path, "exposure_time: 0.02\nlinear_scale: 1.2\n")
    found = {}
    for name, given in {
        "given": ["--exposure", 0.01],
        "known": ["--calibration", calibration],
    }.items():
        out = tmp_path / f"{name}.csv"
        command = ("run", folder, "-o", out, "--camera", camera, "--no-registration", *given)
        assert blur_imu(*command).status == 0
        found[name] = float(rows_of(out)[-1]["wy"])
    # The same motion blur in twice the time.
    assert found["known"] == pytest.approx(found["given"] / 2, rel=0.02)


def test_run_refuses_a_calibration_that_is_none(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(2))
    wrong = written(tmp_path, "linear_scale: -1\n")
    given = ["--camera", camera, "--exposure", 0.01, "--calibration", wrong]
    assert "linear_scale is -1" in blur_imu("run", folder, "-o", tmp_path / "o.csv", *given).refusal


def test_a_scale_that_is_not_applied_is_told(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(3))
    whole = written(tmp_path, camera.read_text() + "\nexposure_time: 0.01\nlinear_scale: 1.24\n")
    command = ("run", folder, "-o", tmp_path / "v.csv", "--camera", whole)
    assert "linear_scale, 1.24, is not applied" in blur_imu(*command).err
    assert "not applied" not in blur_imu(*command, "--calibration", whole).err
