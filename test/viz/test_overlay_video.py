"""The overlay video plays everywhere, each frame at its own time."""

from __future__ import annotations

import builtins
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.viz import video_encoder
from blur_imu_ros.viz.overlay_pictures import overlay_pictures
from blur_imu_ros.viz.overlay_video import LONGEST_PAUSE, NARROWEST, WIDEST, OverlayWriter
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of

UNEVEN = np.cumsum(np.random.default_rng(0).uniform(0.008, 0.05, 40)) + 1e5
"""Times (s) of a recording whose rate varies."""
EVEN_60 = 20.0 + np.arange(30) / 60


class Yaw:
    input_size = (CAMERA.width, CAMERA.height)

    def predict(self, image, camera):
        return field_of(np.array([0.0, 2.0, 0.0]), np.zeros(3), camera=camera)


def measured(t: float, width: int = CAMERA.width, height: int = CAMERA.height) -> Measurement:
    image = np.random.default_rng(0).integers(60, 120, (height, width, 3), np.uint8)
    camera = CAMERA if width == CAMERA.width else CAMERA.scaled(width / CAMERA.width)
    return VisualImu(Yaw()).measure(Frame(image, t, EXPOSURE, camera, "0"))


def write(path: Path, times: Any) -> OverlayWriter:
    writer, one = OverlayWriter(path), measured(0.0)
    for t in times:
        moved = Frame(one.frame.image, t, EXPOSURE, CAMERA, "0")
        writer.write(Measurement(moved, one.estimate, one.view, one.field))
    writer.close()
    return writer


def times_of(path: Path) -> np.ndarray:
    """When each frame of a video is shown, seconds."""
    video, times = cv2.VideoCapture(str(path)), []
    while video.read()[0]:
        times.append(video.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return np.array(times)


def codec_of(path: Path) -> str:
    code = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FOURCC))
    return code.to_bytes(4, "little").decode()


@pytest.fixture(params=["PyAV", "ffmpeg", "OpenCV"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine that has this encoder and none that is better."""
    if request.param == "PyAV":
        pytest.importorskip("av", reason="the extra video is not installed")
        return request.param
    imported = builtins.__import__

    def without_av(name: str, *rest: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_av)
    if request.param == "OpenCV":
        monkeypatch.setattr(video_encoder.shutil, "which", lambda _: None)
    elif shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg")
    video_encoder.forget_encoders()
    request.addfinalizer(video_encoder.forget_encoders)
    return request.param


@pytest.mark.parametrize("times", [EVEN_60, UNEVEN], ids=["60 a second", "uneven"])
def test_frames_are_shown_at_the_times_of_the_recording(
    tmp_path: Path, encoder: str, times: np.ndarray
) -> None:
    writer = write(tmp_path / "overlay.mp4", times)
    shown = times_of(tmp_path / "overlay.mp4")
    assert len(shown) == len(times)
    if encoder == "OpenCV":
        assert codec_of(tmp_path / "overlay.mp4") in {"FMP4", "mp4v"}
        assert "do not play" in writer.note and "'.[video]'" in writer.note
        if times is EVEN_60:
            np.testing.assert_allclose(shown, times - times[0], atol=2e-3)
    else:
        np.testing.assert_allclose(shown, times - times[0], atol=2e-4)
        assert (codec_of(tmp_path / "overlay.mp4") in {"avc1", "h264"}) == (writer.note == "")


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path, encoder: str) -> None:
    place = tmp_path / "overlay.mp4"
    place.mkdir()
    with pytest.raises(RecordingError, match=r"overlay.mp4: the overlay video cannot be written"):
        write(place, EVEN_60)


def test_a_pause_is_shortened_and_a_recording_that_begins_anew_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "overlay.mp4", [5.0, 5.1, 1e9, 1e9 + 0.1, 3.0, 3.1])
    if codec_of(tmp_path / "overlay.mp4") in {"FMP4", "mp4v"}:
        pytest.skip("no encoder for uneven times")
    shown = times_of(tmp_path / "overlay.mp4")
    np.testing.assert_allclose(np.diff(shown), [0.1, LONGEST_PAUSE, 0.1, 0.1, 0.1], atol=1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_a_recording_of_few_frames_has_a_video_too(tmp_path: Path, count: int) -> None:
    write(tmp_path / "overlay.mp4", EVEN_60[:count])
    assert len(times_of(tmp_path / "overlay.mp4")) == count


def test_no_path_writes_nothing() -> None:
    writer = OverlayWriter(None)
    writer.write(measured(0.0))
    writer.close()
    assert writer.note == ""


@pytest.mark.parametrize(("width", "wide"), [(160, NARROWEST), (1920, WIDEST), (802, 802)])
def test_images_are_scaled_to_what_can_be_read_and_played(
    tmp_path: Path, width: int, wide: int
) -> None:
    image = np.full((width * 3 // 4 + 1, width, 3), 90, np.uint8)
    writer = OverlayWriter(tmp_path / "overlay.mp4", Axes.BODY)
    estimate = measured(0.0).estimate
    camera = CAMERA.__class__(width, image.shape[0], 200.0, 200.0, width / 2, width / 3)
    writer.write(Measurement(Frame(image, 0.0, EXPOSURE, camera, "0"), estimate))
    writer.close()
    video = cv2.VideoCapture(str(tmp_path / "overlay.mp4"))
    size = video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)
    assert size[0] == wide and size[0] % 2 == size[1] % 2 == 0


def test_pictures_are_those_of_their_rows_where_times_are_uneven(tmp_path: Path) -> None:
    writer = OverlayWriter(tmp_path / "overlay.mp4")
    one = measured(0.0)
    for k, t in enumerate(UNEVEN):
        image = np.zeros((480, 640, 3), np.uint8)
        image[150:250, 16 * k : 16 * k + 16] = 255
        camera = CAMERA.__class__(640, 480, 300.0, 300.0, 320.0, 240.0)
        writer.write(Measurement(Frame(image, t, EXPOSURE, camera, "0"), one.estimate))
    writer.close()
    for row, jpeg in zip(
        [31, 4], overlay_pictures(tmp_path / "overlay.mp4", [31, 4], len(UNEVEN)), strict=True
    ):
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        place = np.mean(np.flatnonzero(picture[160:240].mean(axis=0) > 127))
        assert (place - 7.5) / 16 == pytest.approx(row, abs=0.2)
