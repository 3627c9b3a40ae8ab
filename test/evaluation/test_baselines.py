"""The methods that ours is compared with do what they are said to do, and own up to failures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from blur_imu_ros.choices import Axes, MotionPrior
from blur_imu_ros.cli.application import app
from blur_imu_ros.cli.compare import Compared, CompareOptions, axes_remark, run_compare
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.series import VelocitySeries, series_of
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.baselines import OpticalFlow, ZeroVelocity, from_trajectory
from blur_imu_ros.recordings.trajectories import read_poses
from blur_imu_ros.simulation.room_renderer import hand_held
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of, seen_after, texture
from helpers.trajectories import write_tum

RATE = np.array([0.4, 1.5, -0.8])
STEP = 1 / 30


class Oracle:
    """A network that sees the one turn that there is."""

    input_size = (CAMERA.width, CAMERA.height)

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        return field_of(RATE, np.zeros(3), camera=camera)


def turning(count: int) -> list[Frame]:
    scene = texture()
    return [
        Frame(seen_after(RATE * k * STEP, scene), k * STEP, EXPOSURE, CAMERA, f"{k}")
        for k in range(count)
    ]


BLUR = ["blur and neighbours", "blur, each image alone"]
REST = ["registration from rest", "registration from rest, half rate"]


def test_zero_says_zero_of_every_frame():
    series = ZeroVelocity().series(turning(4))
    assert series.t.tolist() == [k * STEP for k in range(4)]
    assert not series.velocity.any() and series.valid.all()


def test_flow_finds_the_turn_midway_between_the_frames_with_its_sign():
    series = OpticalFlow().series(turning(5))
    np.testing.assert_allclose(series.t, (np.arange(4) + 0.5) * STEP)
    assert series.valid.all()
    np.testing.assert_allclose(series.velocity[:, :3], np.tile(RATE, (4, 1)), atol=0.12)


def test_flow_goes_by_the_true_time_between_frames():
    late = [replace(f, t=2 * f.t) for f in turning(4)]
    series = OpticalFlow().series(late)
    np.testing.assert_allclose(series.velocity[:, :3], np.tile(RATE / 2, (3, 1)), atol=0.06)


def test_flow_takes_depth_from_a_network():
    series = OpticalFlow(network=Oracle()).series(turning(3))
    np.testing.assert_allclose(series.velocity[:, :3], np.tile(RATE, (2, 1)), atol=0.12)


def test_flow_owns_up_where_frames_have_nothing_in_common():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (2, CAMERA.height, CAMERA.width, 3), np.uint8)
    frames = [Frame(image, k * STEP, EXPOSURE, CAMERA, "") for k, image in enumerate(noise)]
    assert not OpticalFlow().series(frames).valid.any()


def test_flow_does_not_cross_a_gap():
    first, second = turning(2)
    series = OpticalFlow().series([first, replace(second, t=5.0)])
    assert series.valid.tolist() == [False]
    assert series.t.tolist() == [5.0]


def test_a_recording_without_a_pair_is_named():
    with pytest.raises(RecordingError, match="too short"):
        OpticalFlow().series(turning(1))
    with pytest.raises(RecordingError, match="too short"):
        series_of([])


def test_a_trajectory_of_any_scale_is_brought_to_that_of_the_truth(tmp_path: Path):
    trajectory, t = hand_held(), 1 + np.arange(60) / 60
    velocity = np.stack([trajectory.velocity(float(x)) for x in t])
    truth = VelocitySeries(t, velocity, None, np.ones(len(t), bool))
    poses = read_poses(write_tum(tmp_path / "a.tum", trajectory, t))
    small = replace(poses, position=0.1 * poses.position)
    found = from_trajectory("other", small, truth).series([])
    between = np.stack([trajectory.velocity(float(x)) for x in found.t])
    np.testing.assert_allclose(found.velocity, between, atol=0.06)


def recorded(folder: Path) -> RunOptions:
    """The turning camera as a folder of images with truth.csv, camera.yaml and other.tum."""
    images = folder / "frames"
    images.mkdir()
    frames = turning(8)
    for k, frame in enumerate(frames):
        cv2.imwrite(str(images / f"{k}.png"), frame.image)
    rows = [[f.t, *RATE, 0, 0, 0] for f in frames]
    np.savetxt(folder / "truth.csv", rows, delimiter=",", header="t,wx,wy,wz,vx,vy,vz", comments="")
    (folder / "camera.yaml").write_text(
        f"image_width: {CAMERA.width}\nimage_height: {CAMERA.height}\nfx: {CAMERA.fx}\n"
        f"fy: {CAMERA.fy}\ncx: {CAMERA.cx}\ncy: {CAMERA.cy}\nexposure_time: {EXPOSURE}\n"
    )
    return RunOptions(
        source=images,
        output=Path(),
        camera=folder / "camera.yaml",
        stamps=folder / "truth.csv",
        motion_prior=MotionPrior.NONE,  # it turns about itself, which no hand does
    )


def test_compare_puts_all_methods_in_one_table(tmp_path: Path, capsys):
    run = recorded(tmp_path)
    lost = tmp_path / "lost.tum"
    lost.write_text("90 0 0 0 0 0 0 1\n91 0 0 0 0 0 0 1\n")
    (tmp_path / "half.csv").write_text(
        "t,wx,wy,wz\n" + "".join(f"{k * STEP},0.4,1.5,-0.8\n" for k in range(4))
    )
    options = CompareOptions(
        run=run,
        truth=tmp_path / "truth.csv",
        others=(f"lost={lost}", str(tmp_path / "half.csv")),
        json=tmp_path / "out.json",
    )
    lines = {line.name: line for line in run_compare(options, Oracle())}
    assert list(lines) == ["zero velocity", "optical flow", *REST, *BLUR, "lost", "half"]
    assert {name: line.failures for name, line in lines.items()} == {
        "zero velocity": 0,
        "optical flow": 1,
        REST[0]: 1,
        REST[1]: 2,
        BLUR[0]: 0,
        BLUR[1]: 0,
        "lost": 8,
        "half": 4,
    }
    np.testing.assert_allclose(lines["zero velocity"].rmse[:3], np.abs(RATE))
    assert lines["optical flow"].rmse[:3].max() < 0.12
    assert lines[BLUR[0]].rmse[:3].max() < 0.05
    assert max(lines[name].rmse[:3].max() for name in REST) < 0.12
    assert lines["lost"].result is None
    said = capsys.readouterr().out
    assert "fails" in said and "[of 8]" in said
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["frames"] == 8
    assert content["methods"][6] == {"name": "lost", "failures": 8, "figures": None}
    assert len(content["methods"][0]["figures"]["rmse"]) == 6


def test_what_a_method_refused_is_counted_beside(tmp_path: Path, capsys):
    run = recorded(tmp_path)
    rows = "".join(f"{k * STEP},{0.4 if k else 9},1.5,-0.8,{int(k > 0)}\n" for k in range(8))
    (tmp_path / "picky.csv").write_text("t,wx,wy,wz,valid\n" + rows)
    others = (str(tmp_path / "picky.csv"),)
    options = CompareOptions(
        run=run,
        truth=tmp_path / "truth.csv",
        others=others,
        flow=False,
        blur=False,
        from_rest=False,
    )
    picky = run_compare(options)[-1]
    assert picky.failures == 1 and picky.result is not None
    assert picky.rmse[0] == pytest.approx(0)
    assert picky.result.rmse_all_rows[0] == pytest.approx(8.6 / np.sqrt(8))
    assert "with its invalid rows" in capsys.readouterr().out


def test_a_truth_of_another_clock_is_refused_before_anything_is_measured(tmp_path: Path):
    run = recorded(tmp_path)
    rows = "".join(f"{1.7e9 + k * STEP:.6f},0.4,1.5,-0.8\n" for k in range(8))
    (tmp_path / "late.csv").write_text("t,wx,wy,wz\n" + rows)

    class Never:
        input_size = (320, 224)

        def predict(self, *_):
            raise AssertionError("the network was asked")

    with pytest.raises(RecordingError, match=r"late\.csv: knows 0 of the 8 frames") as refusal:
        run_compare(CompareOptions(run=run, truth=tmp_path / "late.csv"), Never())
    assert "1700000000.000 to" in str(refusal.value) and refusal.value.cures == ("stamps",)


def test_a_method_that_answers_in_a_gap_of_the_truth_fails_alone(tmp_path: Path):
    run = recorded(tmp_path)
    for name, places in (("gap.csv", (*range(8), *range(20, 28))), ("late.csv", range(9, 18))):
        rows = "".join(f"{k * STEP},0.4,1.5,-0.8\n" for k in places)
        (tmp_path / name).write_text("t,wx,wy,wz\n" + rows)
    options = CompareOptions(
        run=run,
        truth=tmp_path / "gap.csv",
        others=(str(tmp_path / "late.csv"),),
        flow=False,
        blur=False,
        from_rest=False,
    )
    zero, late = run_compare(options)
    assert zero.result is not None and late.result is None


def test_the_table_is_in_the_axes_of_the_truth(tmp_path: Path):
    options = CompareOptions(
        run=recorded(tmp_path),
        truth=tmp_path / "truth.csv",
        truth_axes=Axes.GYRO,
        flow=False,
        from_rest=False,
    )
    blur = run_compare(options, Oracle())[1]
    # The ground truth, read as a phone's gyroscope, is another motion than the one in the images.
    assert blur.result is not None and blur.rmse[:3].max() > 0.5


def test_a_truth_in_other_axes_than_taken_is_suspected(tmp_path: Path):
    options = CompareOptions(run=recorded(tmp_path), truth=tmp_path / "truth.csv", flow=False)
    lines = run_compare(options, Oracle())
    assert not list(axes_remark(lines))
    zero, *methods = (line for line in lines if line.result is not None)

    def wrong(*shares: float) -> list[Compared]:
        some = zip(methods, shares, strict=False)
        return [zero, *(replace(m, result=replace(m.result, right_signs=s)) for m, s in some)]

    (remark,) = axes_remark(wrong(0.3, 0.4))
    assert "--truth-axes" in remark
    assert not list(axes_remark(wrong(0.3, 0.9)))

    def erring(*errors: float) -> list[Compared]:
        """Methods on a gentle motion, of which no sign is judged, with errors by those of zero."""
        some = zip(methods, errors, strict=False)
        slow = ((m, replace(m.result, right_signs=np.nan), e) for m, e in some)
        return [zero, *(replace(m, result=replace(r, rmse=e * r.zero_rmse)) for m, r, e in slow)]

    (remark,) = axes_remark(erring(1.3, 1.1))
    assert "with every method zero velocity would err less" in remark and "--truth-axes" in remark
    assert not list(axes_remark(erring(1.3, 0.9))) and not list(axes_remark([zero]))


def test_compare_works_from_the_command_line_and_names_what_is_missing(tmp_path: Path):
    run = recorded(tmp_path)
    arguments = ["compare", str(run.source), str(tmp_path / "truth.csv"), "--no-blur"]
    files = ["--camera", str(run.camera), "--stamps", str(run.stamps)]
    done = CliRunner().invoke(app, [*arguments, *files], env={"COLUMNS": "120"})
    assert done.exit_code == 0, done.output
    assert "optical flow" in done.output and "blur and neighbours" not in done.output
    failed = CliRunner().invoke(app, [*arguments, *files, "--other", "x=none.csv"])
    assert isinstance(failed.exception, RecordingError) and "none.csv" in str(failed.exception)


def test_zero_and_published_on_the_real_sequence(shared_data: Path):
    folder = shared_data / "dining"
    stamps, camera = folder / "truth.csv", folder / "camera.yaml"
    run = RunOptions(
        source=folder / "frames", output=Path(), camera=camera, stamps=stamps, axes=Axes.GYRO
    )
    others = (str(folder / "published.csv"),)
    options = CompareOptions(
        run=run,
        truth=stamps,
        truth_axes=Axes.GYRO,
        others=others,
        flow=False,
        blur=False,
        axes=Axes.GYRO,
        from_rest=False,
    )
    zero, published = run_compare(options)
    np.testing.assert_allclose(zero.rmse, [4.48, 1.48, 3.57, 1.28, 1.03, 1.16], atol=0.006)
    np.testing.assert_allclose(published.rmse, [0.82, 0.50, 1.24, 0.90, 0.58, 0.77], atol=0.006)
    assert (zero.failures, published.failures) == (0, 0)
