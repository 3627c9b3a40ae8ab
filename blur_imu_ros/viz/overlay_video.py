"""The overlay as a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import make_folder_of


class OverlayWriter:
    """A video of overlays, opened at the first frame; the null object where none is wanted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._video: Any = None
        self._panel: Any = None

    def write(self, measurement: Measurement) -> None:
        """Append one frame: the smear and the numbers on the image, depth and curves beneath."""
        if self._path is None:
            return
        from blur_imu_ros.viz.overlay import draw_overlay, without_lens

        image = without_lens(measurement.frame)
        if self._video is None:
            self._open(self._path, image.shape[1], image.shape[0])
        picture = draw_overlay(image, measurement.field, measurement.estimate)
        self._video.write(np.vstack([picture, self._panel.draw(measurement)]))

    def _open(self, path: Path, width: int, height: int) -> None:
        import cv2

        from blur_imu_ros.viz.overlay_panel import OverlayPanel

        make_folder_of(path)
        self._panel = OverlayPanel(width, height)
        size = (width, height + self._panel.height)
        self._video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, size)
        if not self._video.isOpened():
            raise RecordingError(f"{path}: the overlay video cannot be written")

    def close(self) -> None:
        """Finish the file."""
        if self._video is not None:
            self._video.release()
