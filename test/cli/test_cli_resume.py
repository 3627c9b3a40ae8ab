"""`blur-imu run --resume` ends where an uninterrupted run ends, whatever stopped it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from blur_imu_ros.choices import Direction, MotionPrior
from blur_imu_ros.cli.run import run
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.tracker import TrackerState
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.network.model_card import CALIBRATION, INTERFACE, ModelCard
from blur_imu_ros.results.run_record import SAVED_EVERY, RecordKeeper, RunRecord
from helpers.command_line import (
    CommandLine,
    Oracle,
    rows_of,
    turning_images,
    write_camera,
    write_folder,
)

COUNT = 9


class Stopped(BaseException):
    """As a signal stops a run."""


class MortalOracle(Oracle):
    """Stops the run at its n-th image."""

    def __init__(self, images: int) -> None:
        self.images = images

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        self.images -= 1
        if self.images < 0:
            raise Stopped
        return super().predict(image, camera)


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    """A run over images of which the fifth is black, so that the chain of signs breaks there."""
    folder = write_folder(tmp_path / "images", turning_images(COUNT))
    cv2.imwrite(str(folder / "frame_4.png"), np.zeros((224, 320, 3), np.uint8))
    camera = write_camera(tmp_path / "camera.yaml", exposure_time=0.01)
    return RunOptions(source=folder, output=tmp_path / "est.csv", camera=camera)


def whole(options: RunOptions) -> bytes:
    """The result of an uninterrupted run."""
    elsewhere = replace(options, output=options.output.with_name("whole.csv"), resume=False)
    run(elsewhere, Oracle())
    return elsewhere.output.read_bytes()


@pytest.mark.parametrize(
    ("direction", "prior"),
    [
        ("adjacent", MotionPrior.PIVOT),
        ("adjacent", MotionPrior.NONE),
        ("previous", MotionPrior.PIVOT),
        ("smooth", MotionPrior.PIVOT),
        ("none", MotionPrior.PIVOT),
    ],
)
def test_wherever_it_is_stopped_the_rows_are_those_of_a_whole_run(
    options: RunOptions, direction: Direction, prior: MotionPrior
) -> None:
    options = replace(options, direction=Direction(direction), motion_prior=prior, resume=True)
    wanted = whole(options)
    for images in (1, 4, 5, 6, 8):
        options.output.unlink(missing_ok=True)
        with pytest.raises(Stopped):
            run(options, MortalOracle(images))
        run(options, Oracle())
        assert options.output.read_bytes() == wanted, images


def test_a_run_that_is_stopped_again_and_again_measures_each_frame_hardly_more_than_once(
    options: RunOptions,
) -> None:
    options = replace(options, resume=True)
    wanted, sittings = whole(options), 0
    while True:
        sittings += 1
        try:
            run(options, MortalOracle(3))
            break
        except Stopped:
            continue
    # The last frame of a sitting is measured again, because the filter compares images with it.
    assert options.output.read_bytes() == wanted and sittings <= COUNT // 2 + 1


def test_half_a_row_and_rows_of_which_the_filters_know_nothing_are_measured_again(
    options: RunOptions,
) -> None:
    options = replace(options, resume=True)
    wanted = whole(options)
    with pytest.raises(Stopped):
        run(options, MortalOracle(6))
    with options.output.open("ab") as file:
        file.write(b"frame_5.png,0.166666667,0.1\nframe_6.pn")
    run(options, Oracle())
    assert options.output.read_bytes() == wanted


def test_after_a_damaged_image_is_mended_the_run_goes_on(options: RunOptions) -> None:
    options = replace(options, resume=True, strict=True)
    wanted = whole(options)
    damaged = options.source / "frame_6.png"
    good = damaged.read_bytes()
    damaged.write_bytes(b"damaged")
    with pytest.raises(RecordingError, match=r"frame_6\.png"):
        run(options, Oracle())
    damaged.write_bytes(good)
    run(options, Oracle())
    assert options.output.read_bytes() == wanted


def test_what_is_finished_is_left_alone_until_the_recording_grows(options: RunOptions) -> None:
    options = replace(options, resume=True)
    run(options, Oracle())
    assert "9 rows, measured before" in run(options, MortalOracle(0))
    cv2.imwrite(str(options.source / "frame_9.png"), turning_images(10)[9])
    assert "10 rows" in run(options, Oracle())
    assert options.output.read_bytes() == whole(options)


def test_a_recording_that_was_exchanged_since_is_told(
    options: RunOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "photo.png"
    cv2.imwrite(str(image), turning_images(1)[0])
    options = replace(options, source=image, resume=True)
    run(options, Oracle())
    for seconds, told in ((-60, False), (60, True)):
        os.utime(image, (time.time() + seconds,) * 2)
        assert "measured before" in run(options, MortalOracle(0))
        assert ("was written after" in capsys.readouterr().err) is told


def test_an_image_of_a_folder_that_was_exchanged_since_is_told(
    options: RunOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(options, resume=True)
    run(options, Oracle())
    for seconds, told in ((-60, False), (60, True)):
        os.utime(options.source / "frame_3.png", (time.time() + seconds,) * 2)
        assert "measured before" in run(options, MortalOracle(0))
        assert ("was written after" in capsys.readouterr().err) is told


def test_images_that_were_exchanged_under_their_names_are_not_gone_on_with(
    options: RunOptions,
) -> None:
    with pytest.raises(Stopped):
        run(options, MortalOracle(6))
    options = replace(options, resume=True)
    for index, image in enumerate(turning_images(COUNT)):
        cv2.imwrite(str(options.source / f"frame_{index}.png"), np.ascontiguousarray(image[::-1]))
    with pytest.raises(RecordingError, match=r"frame_5\.png: is another image than"):
        run(options, Oracle())


def test_an_image_that_is_coded_anew_is_still_the_same(options: RunOptions) -> None:
    with pytest.raises(Stopped):
        run(options, MortalOracle(6))
    image = cv2.imread(str(options.source / "frame_5.png"))
    assert image is not None
    noise = np.random.default_rng(0).integers(-3, 4, image.shape)
    cv2.imwrite(str(options.source / "frame_5.png"), np.clip(image.astype(int) + noise, 0, 255))
    assert "9 rows" in run(replace(options, resume=True), Oracle())


def test_a_plot_that_is_asked_for_later_is_drawn_of_what_is_finished(options: RunOptions) -> None:
    options = replace(options, resume=True)
    run(options, Oracle())
    asked = replace(options, plot=options.output.with_name("est.png"))
    assert "9 rows, measured before" in run(asked, MortalOracle(0))
    assert asked.plot is not None and asked.plot.is_file()


def test_a_run_that_is_stopped_says_how_it_is_completed(
    options: RunOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = options.output.with_name("overlay.mp4")
    for asked, told in ((options, True), (replace(options, overlay=overlay), False)):
        with pytest.raises(Stopped):
            run(asked, MortalOracle(3))
        assert ("--resume measures the rest" in capsys.readouterr().err) is told


def test_a_result_of_another_run_is_refused_and_kept(
    blur_imu: CommandLine, options: RunOptions, tmp_path: Path
) -> None:
    run(options, Oracle())
    kept = options.output.read_bytes()
    command = ["run", options.source, "-o", options.output, "--camera", options.camera]
    assert "measured before" in blur_imu(*command, "--resume").out
    refusal = blur_imu(*command, "--exposure", 0.02, "--axes", "body", "--resume").refusal
    assert "est.csv: comes from another run" in refusal
    assert "exposure_time was 0.01 and is now 0.02" in refusal
    assert "axes was optical and is now body" in refusal and "version" not in refusal
    other = write_folder(tmp_path / "other", turning_images(COUNT))
    refusal = blur_imu("run", other, *command[2:], "--resume").refusal
    assert f"recording was {options.source}" in refusal and str(other) in refusal
    (tmp_path / "est.csv.run.json").unlink()
    assert "does not tell which run" in blur_imu(*command, "--resume").refusal
    (tmp_path / "est.csv.run.json").write_text("{}")
    assert "est.csv.run.json: cannot be read" in blur_imu(*command, "--resume").refusal
    assert options.output.read_bytes() == kept
    # Without --resume a result is replaced, as ever.
    assert blur_imu(*command, "--axes", "body").status == 0


class Calibrated(Oracle):
    """A network whose card says something."""

    def __init__(self, **calibration: float) -> None:
        self.card = ModelCard(
            "oracle", INTERFACE, 320, 224, 8, (0, 0, 0), (1, 1, 1), 250.0, "", **calibration
        )


@pytest.mark.parametrize("name", CALIBRATION)
def test_a_result_of_the_same_network_calibrated_otherwise_is_refused(
    options: RunOptions, name: str
) -> None:
    """Its weights are the same, its velocities or their covariances are not."""
    run(options, Calibrated())
    with pytest.raises(RecordingError, match=f"{name} was .* and is now 0.5"):
        run(replace(options, resume=True), Calibrated(**{name: 0.5}))


def test_a_changed_result_or_recording_is_not_gone_on_with(options: RunOptions) -> None:
    with pytest.raises(Stopped):
        run(options, MortalOracle(6))
    options = replace(options, resume=True)
    (options.source / "frame_0.png").unlink()
    with pytest.raises(RecordingError, match=r"was frame_5\.png.*the recording has changed"):
        run(options, Oracle())
    for index in range(1, 5):
        (options.source / f"frame_{index}.png").unlink()
    with pytest.raises(RecordingError, match="fewer than the 6 frames"):
        run(options, Oracle())
    write_folder(options.source / "again", turning_images(6))
    for path in (options.source / "again").iterdir():
        path.rename(options.source / path.name)
    for content in (b"frame,t\n", b"frame,t\ncaf\xe9.png,1\n", b"frame,\0t\n"):
        options.output.write_bytes(content)
        with pytest.raises(RecordingError, match="lacks rows"):
            run(options, Oracle())


def test_a_bag_and_an_overlay_begin_anew_and_say_so(
    blur_imu: CommandLine, options: RunOptions, tmp_path: Path
) -> None:
    bag, video = tmp_path / "est.mcap", tmp_path / "overlay.mp4"
    for changed in ({"output": bag}, {"overlay": video}):
        asked = replace(options, **changed)
        with pytest.raises(Stopped):
            run(asked, MortalOracle(6))
        command = ["run", asked.source, "-o", asked.output, "--camera", asked.camera, "--resume"]
        if asked.overlay is not None:
            command += ["--overlay", video]
        ended = blur_imu(*command)
        assert ended.status == 0 and "cannot be resumed; starting" in ended.err
        assert "measured before" in blur_imu(*command).out
    with AnyReader([bag]) as reader:
        assert {c.topic: c.msgcount for c in reader.connections}["/motion"] == COUNT
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) == COUNT


def test_a_record_is_written_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    """Memory cards wear out: a run of thousands of frames writes two a second, and one when it
    stops."""
    result = tmp_path / "v.csv"
    result.touch()
    keeper = RecordKeeper(RunRecord({}), result)

    def rows() -> int:
        record = RunRecord.load(result)
        assert record is not None
        return record.rows

    state = TrackerState(1, 1, ("frame", 0.0), (0.5, 0.5), None)
    keeper.keep(1, state)
    assert rows() == 0
    time.sleep(SAVED_EVERY)
    keeper.keep(2, state)
    assert rows() == 2
    keeper.keep(3, state)
    assert rows() == 2
    keeper.close()
    assert rows() == 3


def test_other_settings_of_the_method_are_another_measurement(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    images, settings = write_folder(tmp_path / "images", turning_images(4)), tmp_path / "s.yaml"
    settings.write_text("solver: {length_std: 0.6}\n")
    command = ("run", images, "-o", tmp_path / "a.csv", "--camera", camera, "--exposure", 0.01)
    command = (*command, "--no-registration")
    assert blur_imu(*command).status == 0
    wide = (tmp_path / "b.csv", tmp_path / "a.csv")
    other = blur_imu(*command[:3], wide[0], *command[4:], "--settings", settings)
    assert other.status == 0, other.err
    sigma = [float(rows_of(path)[1]["s_wy"]) for path in wide]
    assert sigma[0] > 2 * sigma[1], "the settings reach the solver"
    assert "settings" in blur_imu(*command, "--settings", settings, "--resume").refusal


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("rows", [0, 2])
def test_a_result_with_fewer_rows_than_its_record_is_completed(
    options: RunOptions, capsys: pytest.CaptureFixture[str], finished: bool, rows: int
) -> None:
    options = replace(options, resume=True)
    wanted = whole(options)
    if finished:
        run(options, Oracle())
    else:
        with pytest.raises(Stopped):
            run(options, MortalOracle(6))
    lines = options.output.read_bytes().splitlines(keepends=True)
    options.output.write_bytes(b"".join(lines[: rows + 1]))
    run(options, Oracle())
    assert options.output.read_bytes() == wanted
    assert f"holds {rows} of the" in capsys.readouterr().err
