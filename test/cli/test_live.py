"""`blur-imu live` shows velocities while they are measured, from whatever OpenCV can open."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros.choices import Axes
from blur_imu_ros.cli import live
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings import live_camera, v4l2
from blur_imu_ros.recordings.csv_tables import read_series
from blur_imu_ros.viz.dashboard import Dashboard, in_blocks, sparkline
from helpers.command_line import RATE, CommandLine, Oracle
from helpers.synthetic_fields import CAMERA, EXPOSURE


@pytest.fixture
def blur_imu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr(live, "load_network", lambda *_: Oracle())
    monkeypatch.setenv("COLUMNS", "120")
    return CommandLine(capsys)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "walk.mp4"
    size = CAMERA.width, CAMERA.height
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, size)
    for _ in range(12):
        writer.write(np.random.default_rng(0).integers(60, 120, (*size[::-1], 3), np.uint8))
    writer.release()
    return path


def test_a_video_is_shown_at_its_own_pace_and_kept(
    blur_imu: CommandLine, video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "velocity"
    ended = blur_imu("live", video, "--exposure", 0.01, "-o", out, "--picture", "--axes", "body")
    assert ended.status == 0 and ended.err == ""
    for told in ("wx", "rad/s", "m/s", "1 sigma", "frames/s", "x forward", "▀", "exposure 10 ms"):
        assert told in ended.out
    assert "a horizontal field of view of 65 degrees is assumed" in " ".join(ended.out.split())
    series = read_series(tmp_path / "velocity.csv")
    assert 1 <= len(series.t) <= 12 and series.t[-1] == pytest.approx(11 / 30, abs=0.02)
    assert series.axes is Axes.BODY
    refusal = blur_imu("live", video, "--exposure", 0.01, "-o", out).refusal
    assert "velocity.csv: exists already" in refusal


def test_it_ends_after_the_seconds(blur_imu: CommandLine, video: Path) -> None:
    ended = blur_imu("live", video, "--exposure", 0.01, "--seconds", 0, "--field-of-view", 70)
    assert ended.status == 0 and "assumed" not in ended.out


def test_what_is_missing_is_named(
    blur_imu: CommandLine, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.sys, "stdin", open("/dev/null"))
    assert "(--exposure)" in blur_imu("live", video).refusal
    assert "cannot be opened" in blur_imu("live", video.with_name("no.mp4")).refusal
    assert "milliseconds?" in blur_imu("live", video, "--exposure", 10).refusal
    video.write_text("no video")
    assert "cannot be opened" in blur_imu("live", video, "--exposure", 0.01).refusal


@pytest.mark.parametrize(("mode", "automatic"), [(1, False), (3, True), (0, True)])
def test_the_driver_tells_the_exposure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, automatic: bool
) -> None:
    import fcntl

    def answer(_: object, request: int, asked: bytes) -> bytes:
        number, _ = struct.unpack("=Ii", asked)
        assert request == 0xC008561B
        return struct.pack("=Ii", number, {0x009A0901: mode, 0x009A0902: 156}[number])

    (tmp_path / "video0").touch()
    assert v4l2.read_exposure(tmp_path / "video0") is None
    monkeypatch.setattr(fcntl, "ioctl", answer)
    control = v4l2.read_exposure(tmp_path / "video0")
    assert control == v4l2.ExposureControl(pytest.approx(0.0156), automatic)
    assert v4l2.read_exposure(tmp_path / "video1") is None


def test_a_changing_exposure_is_followed(monkeypatch: pytest.MonkeyPatch, video: Path) -> None:
    times = iter([0.01, 0.02])
    monkeypatch.setattr(
        live_camera, "read_exposure", lambda _: v4l2.ExposureControl(next(times), True)
    )
    monkeypatch.setattr(live_camera, "READ_EXPOSURE_EVERY", -1.0)
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    camera = live_camera.LiveCamera(str(video))
    assert camera.exposure_time == 0.02
    assert "automatic exposure is on" in camera.notes[0] and "v4l2-ctl" in camera.notes[0]
    camera.close()


class Stalled:
    """A camera that gives one image and then nothing, as a network that fails."""

    def __init__(self, _: object) -> None:
        self.goes_on, self.images = threading.Event(), 1
        self.is_reading = self.is_released = False

    def isOpened(self) -> bool:
        return True

    def get(self, _: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.images:
            self.images -= 1
            return True, np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
        self.is_reading = True
        self.goes_on.wait()
        self.is_reading = False
        return False, None

    def release(self) -> None:
        assert not self.is_reading, "OpenCV ends the process where a read is under way"
        self.is_released = True


def test_a_camera_that_no_longer_answers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "PATIENCE", 0.2)
    monkeypatch.setattr(cv2, "VideoCapture", Stalled)
    source = live_camera.LiveCamera("rtsp://nowhere", EXPOSURE, CAMERA)
    frames = iter(source)
    assert next(frames).camera == CAMERA
    with pytest.raises(RecordingError, match="delivers no image any more"):
        next(frames)
    source.close()
    capture = source._capture
    assert isinstance(capture, Stalled) and not capture.is_released
    capture.goes_on.set()
    source._thread.join(5)
    assert capture.is_released


def test_a_camera_that_was_never_asked_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Stalled)
    source = live_camera.LiveCamera("rtsp://nowhere", EXPOSURE, CAMERA)
    source.close()
    assert source._capture.is_released  # type: ignore[attr-defined]


def test_what_is_not_valid_says_why_instead_of_numbers() -> None:
    board = Dashboard()
    assert "waiting" in str(board.__rich__())
    black = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    board.add(VisualImu(Oracle()).measure(Frame(black, 0.0, EXPOSURE, CAMERA)), -0.1, 0.01)
    assert "not valid" in board._status().plain
    bright = np.full_like(black, 90)
    for k in range(11):
        board.add(VisualImu(Oracle()).measure(Frame(bright, k, EXPOSURE, CAMERA)), k / 10, 0.01)
    assert board.rate == pytest.approx(10) and "blur" in board._status().plain
    assert abs(board._past[-1][1]) == pytest.approx(RATE[1], rel=0.05)


def test_curves_and_pictures_are_characters() -> None:
    assert sparkline(np.array([-1, 0.1, np.nan, 1.0])) == "▁▅ █"
    image = np.zeros((60, 80, 3), np.uint8)
    image[:30] = (0, 0, 255)
    text = in_blocks(image, 8)
    assert text.plain.splitlines() == ["▀" * 8] * 3
    assert str(text.spans[0].style) == "rgb(255,0,0) on rgb(255,0,0)"
