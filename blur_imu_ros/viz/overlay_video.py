"""The video that `blur-imu run --overlay` writes: image, blur and numbers; depth and curves
beneath."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.axes import express
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.execution.files import make_folder_of
from blur_imu_ros.viz.overlay import draw_overlay, without_lens
from blur_imu_ros.viz.overlay_panel import OverlayPanel
from blur_imu_ros.viz.video_encoder import Encoder, open_encoder

NARROWEST, WIDEST = 640, 1280
"""Pixels of width between which the image is scaled: to be read, and to be played by a phone."""
LOOK_AHEAD = 9
"""Pictures from whose times the rate is taken before the file is opened."""
LONGEST_PAUSE = 2.0
"""Seconds. Where a recording stops for longer, the video waits as long as this."""
USUAL_RATE = 30.0
RATES = (1.0, 1000.0)


class OverlayWriter:
    """A video of overlays, opened after some frames; the null object where none is wanted."""

    def __init__(self, path: Path | None, axes: Axes = Axes.OPTICAL) -> None:
        """Write to `path` (.mp4), velocities in `axes`."""
        self._path, self._axes = path, axes
        self._panel: OverlayPanel | None = None
        self._encoder: Encoder | None = None
        self._waiting: list[tuple[Image, float]] = []
        self._clock = _VideoClock()
        self._size = (0, 0)

    @property
    def note(self) -> str:
        """What a person should know of the kind of video; empty where there is nothing to say."""
        return "" if self._encoder is None else self._encoder.note

    def write(self, measurement: Measurement) -> None:
        """Append one frame; RecordingError where the file cannot be written."""
        if self._path is None:
            return
        self._waiting.append((self._draw(measurement), self._clock.of(measurement.frame.t)))
        if self._encoder is not None or len(self._waiting) >= LOOK_AHEAD:
            self._write_waiting(self._path)

    def _draw(self, measurement: Measurement) -> Image:
        image = _of_good_size(without_lens(measurement.frame))
        if self._panel is None or self._panel.width != image.shape[1]:
            self._panel = OverlayPanel(image.shape[1], image.shape[0])
        estimate = express(measurement.estimate, self._axes)
        picture = draw_overlay(image, measurement.field, estimate, self._axes)
        return _even(np.vstack([picture, self._panel.draw(estimate, measurement.field)]))

    def _write_waiting(self, path: Path) -> None:
        if self._encoder is None:
            make_folder_of(path)
            height, width = self._waiting[0][0].shape[:2]
            self._encoder = open_encoder(path, width, height, _rate([t for _, t in self._waiting]))
            self._size = width, height
        for picture, t in self._waiting:
            # A recording whose images change their size goes on in the size of the first.
            alike = picture.shape[1::-1] == self._size
            resized = picture if alike else cv2.resize(picture, self._size)
            self._encoder.write(np.asarray(resized, np.uint8), t)
        self._waiting.clear()

    def close(self) -> None:
        """Finish the file."""
        if self._path is not None and self._waiting:
            self._write_waiting(self._path)
        if self._encoder is not None:
            self._encoder.close()


class _VideoClock:
    """Times in the video of times in the recording: from zero, rising, without long pauses."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._time = 0.0
        self._step = 1 / USUAL_RATE

    def of(self, t: float) -> float:
        if self._last is not None:
            step = t - self._last
            # A recording that begins anew goes on at its rate.
            self._step = min(step, LONGEST_PAUSE) if step > 1 / RATES[1] else self._step
            self._time += self._step
        self._last = t
        return self._time


def _rate(times: list[float]) -> float:
    """Return frames per second."""
    if len(times) < 2:
        return USUAL_RATE
    return float(np.clip(1 / np.median(np.diff(times)), *RATES))


def _of_good_size(image: Image) -> Image:
    width = image.shape[1]
    wanted = min(max(width, NARROWEST), WIDEST)
    if wanted == width:
        return image
    scale = wanted / width
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=way), np.uint8)


def _even(picture: Image) -> Image:
    """Return the picture with even sides, which the codecs need."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
