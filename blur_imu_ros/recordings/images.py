"""Folders of images, single images, and videos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.frame import Frame
from blur_imu_ros.recordings.settings import FrameSettings

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm"}
FALLBACK_FRAME_RATE = 30.0
"""Hz, of folders without stamps."""


def natural_order(path: Path) -> list[tuple[int, int | str]]:
    """Return a key by which frame_2 comes before frame_10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


class ImageFolder:
    """The images of a folder, or one image alone, in natural order of their names."""

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """List the images; RecordingError if there is none."""
        self.name = path.name
        self._path, self._settings = path, settings
        self._camera = settings.required_camera(path)
        if path.is_dir():
            images = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
            self._images = sorted(images, key=natural_order)
        else:
            self._images = [path]
        if not self._images:
            raise RecordingError(
                f"{path}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) and no bag"
            )
        if settings.stamps is not None:
            settings.stamp(len(self._images) - 1, 0.0, path)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; RecordingError names one that cannot be read."""
        for index, path in enumerate(self._images):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise RecordingError(f"{path}: cannot be read as an image; is it damaged?")
            stamp = self._settings.stamp(index, index / FALLBACK_FRAME_RATE, self._path)
            yield self._settings.frame(np.asarray(image, np.uint8), stamp, self._camera, path.name)


class Video:
    """A video file with the time stamps that it carries."""

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """Open the video; RecordingError if it cannot be."""
        self.name = path.name
        self._path, self._settings = path, settings
        self._camera = settings.required_camera(path)
        capture = self._open()
        self._count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._rate = float(capture.get(cv2.CAP_PROP_FPS)) or FALLBACK_FRAME_RATE
        capture.release()

    def __len__(self) -> int:
        """Return the number of frames that the file claims to have."""
        return self._count

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise RecordingError(f"{self._path}: cannot be opened as a video; is it damaged?")
        return capture

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; a video that ends early says so after its last frame."""
        capture, index, before = self._open(), 0, -np.inf
        try:
            while True:
                ok, image = capture.read()
                if not ok:
                    break
                own = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000  # of the frame just read
                if own <= before:  # Some containers carry no stamps of their own.
                    own = before + 1 / self._rate if np.isfinite(before) else 0.0
                before = own
                stamp = self._settings.stamp(index, own, self._path)
                name = f"{self._path.name}:{index}"
                yield self._settings.frame(np.asarray(image, np.uint8), stamp, self._camera, name)
                index += 1
        finally:
            capture.release()
        if index < self._count * 0.9:
            raise RecordingError(
                f"{self._path}: ends after {index} of {self._count} frames; is it truncated?"
            )
