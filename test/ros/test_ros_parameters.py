"""The declaration of the parameters, the shipped file of them, and the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from blur_imu_ros.choices import StampReference
from blur_imu_ros.errors import RosSetupError
from blur_imu_ros.ros import parameters

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {name: parameter.default for name, parameter in parameters.PARAMETERS.items()}


def test_the_shipped_parameters_are_declared_and_valid() -> None:
    content = yaml.safe_load((ROOT / "config" / "blur_imu.yaml").read_text())
    values = content["/**"]["ros__parameters"]
    assert set(values) <= set(DEFAULTS)
    for name, value in values.items():
        assert type(value) is type(DEFAULTS[name]), name
    parameters.checked(DEFAULTS | values)


def test_the_documented_table_is_the_declaration() -> None:
    assert parameters.markdown_table() in (ROOT / "docs" / "ROS.md").read_text(), (
        "put what blur_imu_ros.ros.parameters.markdown_table() returns into docs/ROS.md"
    )


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_every_parameter_has_a_sentence_and_a_default_that_is_allowed(name: str) -> None:
    parameter = parameters.PARAMETERS[name]
    assert parameter.text.endswith(".") and "|" not in parameter.text
    parameter.check(name, parameter.default)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backend", "abacus"), ("threads", -1), ("threads", 65), ("image_depth", 0),
        ("exposure_tolerance", float("inf")), ("exposure_time", float("nan")),
        ("exposure_time", 8.0), ("time_offset", -11.0), ("diagnostics_period", 0.0),
        ("readout_time", 33.0), ("maximum_rate", -1.0), ("maximum_residual", -0.1),
        ("motion_prior", "wheels"), ("lever_arm", [0.1, 0.2]), ("lever_arm", [0.0, 0.0, 300.0]),
        ("frame_id", "/camera"), ("frame_id", "a b"), ("base_frame", "robot\n"), ("odom_frame", "\x00"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_allowed_is_named(name: str, value: Any) -> None:
    with pytest.raises(RosSetupError, match=f"parameter {name}"):
        parameters.checked(DEFAULTS | {name: value})


def test_every_setting_is_a_parameter() -> None:
    settings = parameters.checked(DEFAULTS)
    assert set(vars(settings)) - {"pivot", "linear_scale", "method"} == set(DEFAULTS) - {
        "autostart", "motion_prior", "lever_arm", "settings_file",
    }  # fmt: skip


def test_a_hand_held_camera_has_a_pivot_and_a_robot_has_none() -> None:
    assert parameters.checked(DEFAULTS).pivot is None
    pivot = parameters.checked(DEFAULTS | {"motion_prior": "pivot"}).pivot
    assert pivot is not None and pivot.lever_arm is None
    given = {"motion_prior": "pivot", "lever_arm": [0.0, 0.1, 0.3]}
    pivot = parameters.checked(DEFAULTS | given).pivot
    assert pivot is not None and pivot.lever_arm == (0.0, 0.1, 0.3)


def test_a_calibration_sets_what_no_parameter_says(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("exposure_time: 0.008\ntime_offset: 0.01\nlinear_scale: 1.5\n")
    settings = parameters.checked(DEFAULTS | {"calibration": str(path)})
    assert (settings.exposure_time, settings.time_offset) == (0.008, 0.01)
    assert settings.linear_scale == 1.5
    told = {"exposure_time": 0.01, "time_offset": -0.02}
    settings = parameters.checked(DEFAULTS | {"calibration": str(path)} | told)
    assert (settings.exposure_time, settings.time_offset) == (0.01, -0.02)


@pytest.mark.parametrize(
    ("found_for", "reference", "offset"),
    [
        ("middle", "middle", 0.02),
        ("middle", "start", 0.016),
        ("middle", "end", 0.024),
        ("start", "end", 0.028),
        ("start", "start", 0.02),
    ],
)
def test_an_offset_is_that_of_the_moment_that_it_was_found_for(
    tmp_path: Path, found_for: str, reference: str, offset: float
) -> None:
    path = tmp_path / "calibration.yaml"
    text = f"time_offset: 0.02\nstamp_reference: {found_for}\n"
    path.write_text(f"exposure_time: 0.008\n{text}")
    given = DEFAULTS | {"calibration": str(path), "stamp_reference": reference}
    settings = parameters.checked(given)
    assert settings.time_offset == pytest.approx(offset)
    moved = settings.stamp_reference.middle(10 + settings.shift, 0.008)
    assert moved == pytest.approx(StampReference(found_for).middle(10.02, 0.008))
    assert parameters.checked(given | {"time_offset": 0.5}).time_offset == 0.5
    path.write_text(text)
    if found_for == reference:
        assert parameters.checked(given).time_offset == 0.02
    else:
        with pytest.raises(RosSetupError, match=f"set stamp_reference: {found_for}"):
            parameters.checked(given)


def test_an_offset_that_was_found_leads_to_the_middle_row_already(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("exposure_time: 0.008\ntime_offset: 0.02\nstamp_reference: start\n")
    given = DEFAULTS | {"calibration": str(path), "readout_time": 0.03}
    assert parameters.checked(given).shift == pytest.approx(0.02)
    assert parameters.checked(given | {"time_offset": 0.01}).shift == pytest.approx(0.025)
    path.write_text("exposure_time: 0.008\ntime_offset: 0.02\n")
    assert parameters.checked(given).shift == pytest.approx(0.035)


def test_an_offset_to_another_clock_is_not_taken_for_the_cameras(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("exposure_time: 0.008\ntime_offset: 1.7e+9\n")
    with pytest.raises(RosSetupError, match="another clock than the camera; remove that line"):
        parameters.checked(DEFAULTS | {"calibration": str(path)})


def test_a_calibration_that_was_read_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("linear_scale: 1.5\ntime_offset: 0.02\n")
    before = parameters.checked(DEFAULTS | {"calibration": str(path)})
    path.unlink()
    changed = DEFAULTS | {"calibration": str(path), "exposure_time": 0.004}
    after = parameters.checked(changed, before)
    assert (after.exposure_time, after.linear_scale, after.time_offset) == (0.004, 1.5, 0.02)


def test_a_wrong_calibration_names_the_parameter_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("linear_scale: 0\n")
    with pytest.raises(RosSetupError, match=r"parameter calibration: .*calibration\.yaml"):
        parameters.checked(DEFAULTS | {"calibration": str(path)})


def test_a_home_in_a_parameter_file_is_that_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "c.yaml").write_text("linear_scale: 1.5\n")
    (tmp_path / "s.yaml").write_text("solver: {linear_std: 2.0}\n")
    given = {"calibration": "~/c.yaml", "settings_file": "~/s.yaml", "model": "~/m.onnx"}
    settings = parameters.checked(DEFAULTS | given)
    assert settings.linear_scale == 1.5 and settings.method.solver.linear_std == 2.0
    assert settings.model == str(tmp_path / "m.onnx")
    assert parameters.checked(DEFAULTS).model == DEFAULTS["model"]


def test_settings_of_the_method_come_from_a_file_that_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("solver: {linear_std: 2.0}\npivot: {given_std: 0.1}\n")
    given = DEFAULTS | {"settings_file": str(path), "motion_prior": "pivot"}
    before = parameters.checked(given)
    assert before.method.solver.linear_std == 2.0
    assert before.pivot is not None and before.pivot.given_std == 0.1
    path.unlink()
    assert parameters.checked(given, before).method == before.method
    with pytest.raises(RosSetupError, match="parameter settings_file: .*settings.yaml"):
        parameters.checked(given)
