"""Videos that play in a browser and on a phone, each picture at its own time.

H.264 through PyAV or the ffmpeg executable, whichever is there; VP9 or AV1 where their FFmpeg lacks
H.264; else what OpenCV can write by itself, with a note that says what it is worth.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.errors import RecordingError, install_hint

CLOCK = 90_000
"""Ticks of a video's clock in a second, as usual in MPEG."""
QUALITY: dict[str, dict[str, str]] = {
    "libx264": {"crf": "33", "preset": "medium", "tune": "animation"},
    "libopenh264": {"b": "2500000"},
    "libvpx-vp9": {"crf": "36", "b": "0", "deadline": "realtime", "cpu-used": "7"},
    "libsvtav1": {"crf": "38", "preset": "9"},
}
"""Options of each encoder, the one that most players can show first."""
NAMES = {"libx264": "H.264", "libopenh264": "H.264", "libvpx-vp9": "VP9", "libsvtav1": "AV1"}
INSTALL = f"install ffmpeg, or PyAV ({install_hint('video')}),"


class Encoder(Protocol):
    """Takes pictures of one size and writes a video.

    Attributes:
        note: what a person should know of the kind of video; empty where there is nothing to say.
    """

    note: str

    def write(self, picture: Image, t: float) -> None:
        """Append a BGR picture (height, width, 3), shown from `t` seconds of the video on."""

    def close(self) -> None:
        """Finish the file."""


def open_encoder(path: Path, width: int, height: int, rate: float) -> Encoder:
    """Return the best encoder that this machine has.

    Args:
        path: of the video (.mp4).
        width, height: pixels, even.
        rate: frames per second, about; the times given to `write` count.

    Raises:
        RecordingError: the file cannot be written.
    """
    name = _encoder_of_pyav()
    if name:
        return _PyAv(path, width, height, rate, name)
    name = _encoder_of_ffmpeg()
    if name:
        return _Ffmpeg(path, width, height, name)
    return _OpenCv(path, width, height, rate)


@cache
def _encoder_of_pyav() -> str | None:
    try:
        import av
    except ImportError:
        return None
    return _first_that(lambda name: bool(av.codec.Codec(name, "w")))


@cache
def _encoder_of_ffmpeg() -> str | None:
    if shutil.which("ffmpeg") is None:
        return None
    encoders = subprocess.run(
        ["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True, check=False
    ).stdout.split()
    return _first_that(lambda name: name in encoders)


def forget_encoders() -> None:
    """Look again at the next video for what this machine has."""
    _encoder_of_pyav.cache_clear()
    _encoder_of_ffmpeg.cache_clear()


def _first_that(works: Callable[[str], bool]) -> str | None:
    for name in QUALITY:
        try:
            if works(name):
                return name
        except ValueError:  # PyAV's, of a codec that it does not know
            continue
    return None


def _note(path: Path, name: str) -> str:
    kind = NAMES[name]
    if kind == "H.264":
        return ""
    return (
        f"{path}: is {kind} video, which older phones do not play: there is no H.264 encoder here"
    )


def _unwritable(path: Path, reason: str) -> RecordingError:
    return RecordingError(f"{path}: the overlay video cannot be written: {reason.split(': ')[-1]}")


class _PyAv:
    """FFmpeg's libraries, through PyAV."""

    def __init__(self, path: Path, width: int, height: int, rate: float, name: str) -> None:
        import av

        # Typed or not, as the version of PyAV is.
        file: Any
        stream: Any
        self._path, self.note = path, _note(path, name)
        try:
            # The index goes to the front, so that a browser plays while it loads.
            file = av.open(str(path), "w", options={"movflags": "+faststart"})
            stream = file.add_stream(
                name, rate=Fraction(rate).limit_denominator(1000), options=QUALITY[name]
            )
        except (OSError, ValueError) as error:  # PyAV's errors are of both kinds
            raise self._unwritable(error) from error
        self._file, self._stream = file, stream
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, CLOCK)
        self._frame_of = av.VideoFrame.from_ndarray

    def write(self, picture: Image, t: float) -> None:
        frame = self._frame_of(np.ascontiguousarray(picture), format="bgr24")
        frame.pts, frame.time_base = round(t * CLOCK), Fraction(1, CLOCK)
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._file.mux(packet)
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        self._mux(None)
        try:
            self._file.close()
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> RecordingError:
        return _unwritable(self._path, str(getattr(error, "strerror", None) or error))


class _Ffmpeg:
    """The ffmpeg executable, which gets the pictures as a Matroska stream, which has their
    times."""

    def __init__(self, path: Path, width: int, height: int, name: str) -> None:
        self._path, self.note = path, _note(path, name)
        options = [x for pair in QUALITY[name].items() for x in (f"-{pair[0]}:v", pair[1])]
        command = [
            "ffmpeg", "-loglevel", "error", "-nostdin", "-y", "-f", "matroska", "-i", "pipe:0",
            "-vsync", "passthrough", "-enc_time_base", f"1:{CLOCK}",
            "-video_track_timescale", f"{CLOCK}", "-c:v", name, *options,
            "-pix_fmt", "yuv420p", "-color_range", "tv", "-movflags", "+faststart", str(path),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._send(_matroska_head(width, height))

    def write(self, picture: Image, t: float) -> None:
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        self._send(_matroska_cluster(jpeg, t))

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except OSError as error:
            self.close()
            raise _unwritable(self._path, "ffmpeg ended too early") from error

    def close(self) -> None:
        try:
            _, output = self._process.communicate()
        except ValueError:  # closed before
            return
        if self._process.returncode:
            lines = output.decode(errors="replace").strip().splitlines()
            raise _unwritable(self._path, lines[-1] if lines else "ffmpeg failed")


class _OpenCv:
    """MPEG-4 part 2, which OpenCV writes everywhere; pictures follow each other at an even rate."""

    def __init__(self, path: Path, width: int, height: int, rate: float) -> None:
        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._video = cv2.VideoWriter(str(path), code, rate, (width, height))
        if not self._video.isOpened():
            raise _unwritable(path, "OpenCV refuses it")
        self.note = (
            f"{path}: is MPEG-4 part 2 video at an even {rate:.4g} frames per second, which "
            f"browsers and phones do not play; {INSTALL} for H.264 at the recording's own times"
        )

    def write(self, picture: Image, t: float) -> None:
        self._video.write(picture)

    def close(self) -> None:
        self._video.release()


_TICK = 1e-4
"""Seconds: of the Matroska stream's clock."""


def _element(number: str, content: bytes) -> bytes:
    """Return an element of EBML (RFC 8794): its number, its size in eight bytes, its content."""
    return bytes.fromhex(number) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def _integer(number: str, value: int) -> bytes:
    return _element(number, value.to_bytes(8, "big"))


def _matroska_head(width: int, height: int) -> bytes:
    """Return what comes before the pictures (RFC 9559): one track of JPEGs."""
    size = _integer("B0", width) + _integer("BA", height)
    track = _integer("D7", 1) + _integer("73C5", 1) + _integer("83", 1)
    track += _element("86", b"V_MJPEG") + _element("E0", size)
    endless = bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7
    clock = _element("1549A966", _integer("2AD7B1", round(_TICK * 1e9)))
    kind = _element("1A45DFA3", _element("4282", b"matroska"))
    return kind + endless + clock + _element("1654AE6B", _element("AE", track))


def _matroska_cluster(jpeg: bytes, t: float) -> bytes:
    block = _element("A3", b"\x81\x00\x00\x80" + jpeg)
    return _element("1F43B675", _integer("E7", round(t / _TICK)) + block)
