"""Calibration finds what a synthetic recording was made with, or says why it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from blur_imu_ros.choices import Axes, StampReference
from blur_imu_ros.cli.application import app
from blur_imu_ros.cli.calibrate import print_gain
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import FrameError, RecordingError
from blur_imu_ros.evaluation.calibration import LENGTH_STD, Calibration, calibrate
from blur_imu_ros.evaluation.metrics import in_axes
from blur_imu_ros.recordings.calibration_files import read_calibration
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time
from blur_imu_ros.results.run_record import RunRecord, record_path
from helpers.camera_and_gyro import EVERY, Apart, apart, shake

EXPOSURE = 0.01
DEPTH_SCALE = 0.7
"""Estimated over true linear velocity once the exposure time is right."""


def with_linear(true: Apart, seed: int, noise: float = 0.0) -> Apart:
    """The same two, who also know their linear velocity, the camera at the wrong scale."""
    rng = np.random.default_rng(seed)
    linear = 0.5 * shake(true.gyro.t, seed + 1, EVERY)
    at = true.camera.t + true.offset
    seen = 0.5 * shake(at, seed + 1, EVERY) @ true.rotation.T * true.scale * DEPTH_SCALE
    seen += noise * rng.standard_normal(seen.shape)
    camera = np.hstack([true.camera.velocity[:, :3], seen])
    gyro = np.hstack([true.gyro.velocity[:, :3], linear])
    return replace(
        true,
        camera=replace(true.camera, velocity=camera),
        gyro=replace(true.gyro, velocity=gyro),
    )


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_everything_that_was_put_in_comes_out(seed):
    true = with_linear(apart(seed), seed)
    found = calibrate(true.camera, true.gyro, EXPOSURE).values()
    # The mean over the exposure makes the gyroscope a little slower than it was made.
    assert found["exposure_time"] == pytest.approx(EXPOSURE * true.scale, rel=2e-3)
    assert found["time_offset"] == pytest.approx(true.offset, abs=1e-4)
    np.testing.assert_allclose(found["camera_imu_rotation"], true.rotation, atol=1e-3)
    np.testing.assert_allclose(found["gyro_bias"], true.bias, atol=2e-3)
    assert found["linear_scale"] == pytest.approx(1 / DEPTH_SCALE, rel=5e-3)


def test_standard_deviations_tell_the_size_of_the_errors():
    squared = []
    for seed in range(12):
        true = with_linear(apart(seed, noise=0.3, flips=0.05), seed, noise=0.3)
        found = calibrate(true.camera, true.gyro)
        values, deviations = found.values(), found.standard_deviations()
        squared.append(
            [
                (values["linear_scale"] - 1 / DEPTH_SCALE) / deviations["linear_scale"],
                (values["exposure_scale"] - true.scale) / found.alignment.exposure_scale_std,
            ]
        )
    assert 0.3 < np.mean(np.square(squared)) < 2.5


@pytest.mark.parametrize("axes", [Axes.GYRO, Axes.BODY, Axes.OPTICAL])
def test_axes_known_in_part_give_the_same_rotation_and_bias(axes):
    """Mixed axes, angular and linear, are those of the gyroscope that a phone gives."""
    true = with_linear(apart(2), 2)
    in_optical = replace(
        true.gyro, velocity=true.gyro.velocity @ np.kron(np.eye(2), true.rotation.T)
    )
    mixed = in_axes(in_optical, Axes.OPTICAL, axes)
    found = calibrate(true.camera, mixed, truth_axes=axes)
    angular = in_axes(
        VelocitySeries(np.zeros(3), np.hstack([np.eye(3), np.eye(3)]), None, np.ones(3, bool)),
        axes,
        Axes.OPTICAL,
    ).velocity[:, :3]
    np.testing.assert_allclose(found.alignment.rotation, angular.T, atol=1e-3)
    expected = angular @ true.rotation @ true.bias
    np.testing.assert_allclose(found.alignment.bias, expected, atol=1e-3)
    assert found.linear_scale == pytest.approx(1 / DEPTH_SCALE, rel=5e-3)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("assumed", [0.005, 0.03, 0.1])
def test_the_exposure_time_found_does_not_depend_on_the_one_assumed(assumed, fused):
    """Nor on neighbouring frames, whose motion is that between them whatever the exposure time."""
    true, exposure = apart(3), 0.03
    t, omega = true.gyro.t, true.gyro.velocity[:, :3]
    at = true.camera.t + true.offset
    angle = np.concatenate([np.zeros((1, 3)), np.cumsum((omega[1:] + omega[:-1]) * 0.0025, axis=0)])
    ends = [
        np.stack([np.interp(at + k * exposure / 2, t, c) for c in angle.T], axis=1) for k in (-1, 1)
    ]
    seen = (ends[1] - ends[0]) / assumed @ true.rotation.T
    velocity = np.hstack([seen, np.full_like(seen, np.nan)])
    camera = replace(true.camera, velocity=velocity)
    if fused:  # the sign of an image alone may be the other one
        signs = np.where(np.arange(len(at)) % 7, 1.0, -1.0)[:, None]
        right = velocity * assumed / exposure
        camera = replace(true.camera, velocity=right, single=signs * velocity)
    found = calibrate(camera, true.gyro, assumed)
    assert found.values()["exposure_time"] == pytest.approx(exposure, rel=2e-3)


def test_the_error_of_the_model_counts_in_that_of_the_exposure_time():
    found = calibrate(apart(4).camera, apart(4).gyro, EXPOSURE)
    value, deviation = (x["exposure_time"] for x in (found.values(), found.standard_deviations()))
    assert deviation == pytest.approx(LENGTH_STD * value, rel=0.05)


def test_a_bias_that_is_not_observable_is_left_out():
    noisy = calibrate(apart(4, noise=1.2).camera, apart(4).gyro)
    assert "gyro_bias" not in noisy.values() | noisy.standard_deviations()
    assert "gyro_bias" in calibrate(apart(4).camera, apart(4).gyro).values()


@pytest.mark.parametrize("rotated", [True, False])
def test_linear_truth_is_taken_in_the_axes_by_which_it_agrees(rotated):
    true = with_linear(apart(2), 2)
    velocity = true.gyro.velocity.copy()
    if not rotated:
        velocity[:, 3:] = velocity[:, 3:] @ true.rotation.T
    found = calibrate(true.camera, replace(true.gyro, velocity=velocity))
    assert found.linear_scale == pytest.approx(1 / DEPTH_SCALE, rel=5e-3)
    assert f"in the {'gyroscope' if rotated else 'camera'}'s axes, not" in found.linear_note


def test_a_gyroscope_alone_tells_no_linear_scale():
    true = apart(3)
    found = calibrate(true.camera, true.gyro, EXPOSURE)
    assert "linear_scale" not in found.values() | found.standard_deviations()


def test_a_recording_too_noisy_or_too_short_is_refused_by_what_it_cannot_tell():
    true = apart(4, noise=1.0)
    short = true.camera.t < 3.5
    camera = VelocitySeries(
        true.camera.t[short], true.camera.velocity[short], None, true.camera.valid[short]
    )
    with pytest.raises(RecordingError, match="cannot be determined from .* record longer"):
        calibrate(camera, true.gyro)


@pytest.mark.parametrize(
    ("axes", "said"),
    [(np.array([0, 1.0, 0]), "one axis only"), (1e-2 * EVERY, "hardly rotates")],
)
def test_a_motion_that_tells_nothing_is_refused(axes, said):
    true = apart(5, axes=axes)
    with pytest.raises(RecordingError, match=said):
        calibrate(true.camera, true.gyro)


def files(folder: Path) -> tuple[Apart, list[str]]:
    """A recording as files, and the arguments that calibrate it."""
    true = with_linear(apart(6, noise=0.1), 6, noise=0.1)
    for name, series in (("est", true.camera), ("gyro", true.gyro)):
        np.savetxt(
            folder / f"{name}.csv",
            np.column_stack([series.t, series.velocity]),
            delimiter=",",
            header="t,wx,wy,wz,vx,vy,vz",
            comments="",
        )
    return true, ["calibrate", str(folder / "est.csv"), str(folder / "gyro.csv"), "-o"]


def test_the_yaml_is_a_camera_that_run_takes(tmp_path: Path):
    true, arguments = files(tmp_path)
    camera = tmp_path / "camera.yaml"
    camera.write_text(
        "image_width: 640\nimage_height: 480\nfx: 500\nfy: 500\ncx: 320\ncy: 240\n"
        "exposure_time: 0.01\n"
    )
    out = tmp_path / "out" / "calibrated.yaml"
    done = CliRunner().invoke(app, [*arguments, str(out), "--camera", str(camera)])
    assert done.exit_code == 0, done.output
    assert load_camera(out) == load_camera(camera)
    assert load_exposure_time(out) == pytest.approx(EXPOSURE * true.scale, rel=0.02)
    content = yaml.safe_load(out.read_text())
    assert set(content["standard_deviations"]) <= set(content)
    np.testing.assert_allclose(content["camera_imu_rotation"], true.rotation, atol=0.02)


def test_the_exposure_time_that_run_noted_counts(tmp_path: Path):
    true, arguments = files(tmp_path)
    RunRecord({"exposure_time": EXPOSURE}).save(tmp_path / "est.csv")
    out = tmp_path / "found.yaml"
    assert CliRunner().invoke(app, [*arguments, str(out)]).exit_code == 0
    assert load_exposure_time(out) == pytest.approx(EXPOSURE * true.scale, rel=0.02)
    assert read_calibration(out).stamp_reference is None
    RunRecord({"stamp_reference": "start"}).save(tmp_path / "est.csv")
    assert CliRunner().invoke(app, [*arguments, str(out)]).exit_code == 0
    assert read_calibration(out).stamp_reference is StampReference.START
    for damaged in ("{", '{"recipe": 5, "state": null}'):
        record_path(tmp_path / "est.csv").write_text(damaged)
        assert CliRunner().invoke(app, [*arguments, str(out)]).exit_code == 0
        assert "exposure_scale" in yaml.safe_load(out.read_text())


@pytest.mark.parametrize("linear", [True, False])
def test_a_scale_that_run_applied_stays_part_of_the_calibration(tmp_path: Path, linear: bool):
    _, arguments = files(tmp_path)
    if not linear:
        gyro = Path(arguments[2])
        rows = [line.split(",")[:4] for line in gyro.read_text().splitlines()]
        gyro.write_text("".join(",".join(row) + "\n" for row in rows))
    found = {}
    for applied in (1.0, 1.6):
        RunRecord({"exposure_time": EXPOSURE, "linear_scale": applied}).save(tmp_path / "est.csv")
        out = tmp_path / f"{applied}.yaml"
        done = CliRunner().invoke(app, [*arguments, str(out)])
        assert done.exit_code == 0, done.output
        assert ("too little of it" in done.output) == (not linear)
        found[applied] = yaml.safe_load(out.read_text()).get("linear_scale")
    if linear:
        assert found[1.6] == pytest.approx(1.6 * found[1.0], rel=1e-4)
    else:
        assert found == {1.0: None, 1.6: 1.6}


def test_evaluate_takes_the_exposure_time_that_run_noted_too(tmp_path: Path):
    _, (_, estimate, truth, _) = files(tmp_path)
    compare = ["evaluate", estimate, truth, "--truth-axes", "found"]
    assert " ms" not in told_of_exposure(CliRunner().invoke(app, compare).output)
    RunRecord({"exposure_time": EXPOSURE}).save(Path(estimate))
    noted = told_of_exposure(CliRunner().invoke(app, compare).output)
    given = CliRunner().invoke(app, [*compare, "--exposure", str(EXPOSURE)]).output
    assert " ms" in noted and noted == told_of_exposure(given)


def told_of_exposure(output: str) -> str:
    return next(line for line in output.splitlines() if "exposure that fits best" in line)


@pytest.mark.parametrize(("mended", "said"), [(0.771, False), (0.80, True)])
def test_an_error_that_is_larger_by_chance_is_not_blamed_on_the_exposure_time(
    mended: float, said: bool, capsys: pytest.CaptureFixture[str]
):
    print_gain(0.770, mended)
    assert ("the others worse" in capsys.readouterr().out) is said


def test_an_exposure_time_that_makes_the_recording_worse_is_told(tmp_path: Path):
    """Most frames read 20 % too slow, and some twice as fast: the typical one is not the mean."""
    true, arguments = files(tmp_path)
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "good.yaml")])
    assert "rad/s as measured" in done.output and "keep the assumed one" not in done.output
    assert "gyro_bias [rad/s]" in done.output
    factor = np.full(len(true.camera.t), 0.8)
    factor[::5] = 2.0
    estimate = np.column_stack([true.camera.t, factor[:, None] * true.camera.velocity / true.scale])
    names = "t,wx,wy,wz,vx,vy,vz"
    np.savetxt(tmp_path / "est.csv", estimate, delimiter=",", header=names, comments="")
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "bad.yaml")])
    assert "keep the assumed one" in " ".join(done.output.split())


def test_an_exposure_time_of_zero_is_refused_although_the_camera_knows_another(tmp_path: Path):
    _, arguments = files(tmp_path)
    camera = tmp_path / "camera.yaml"
    camera.write_text(
        "image_width: 640\nimage_height: 480\nfx: 500\nfy: 500\ncx: 320\ncy: 240\n"
        "exposure_time: 0.01\n"
    )
    told = [str(tmp_path / "out.yaml"), "--camera", str(camera), "--exposure", "0"]
    done = CliRunner().invoke(app, [*arguments, *told])
    assert isinstance(done.exception, FrameError), done.output


def test_without_an_exposure_time_its_scale_is_told(tmp_path: Path):
    true, arguments = files(tmp_path)
    out = tmp_path / "found.yaml"
    done = CliRunner().invoke(app, [*arguments, str(out)])
    assert done.exit_code == 0 and "--exposure" in done.output
    content = yaml.safe_load(out.read_text())
    assert content["exposure_scale"] == pytest.approx(true.scale, rel=0.02)
    assert "exposure_time" not in content


def test_values_and_deviations_go_by_the_same_names():
    true = apart(7)
    found = calibrate(true.camera, true.gyro, EXPOSURE)
    assert isinstance(found, Calibration)
    assert list(found.values()) == list(found.standard_deviations())
