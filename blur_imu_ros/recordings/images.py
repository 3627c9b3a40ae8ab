"""Folders of images, single images, and videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import FrameError, RecordingError
from blur_imu_ros.recordings.file_names import natural_order, stamps_of_names
from blur_imu_ros.recordings.image_messages import decode_compressed
from blur_imu_ros.recordings.photos import PhotoFacts, approximate_camera, read_photo_facts
from blur_imu_ros.recordings.settings import FrameSettings

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm"}
FALLBACK_FRAME_RATE = 30.0
"""Hz, of folders without stamps."""


class ImageFolder:
    """The images of a folder, or one image alone, in order of the stamps that are their names, or
    in natural order.

    Exposure times and focal length that are not given come from the photos' EXIF.
    """

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """List the images; RecordingError if there is none, or what it needs is not known."""
        self.name = path.name
        self.notes: list[str] = []
        self._path, self._settings = path, settings
        self._images = sorted(images_at(path), key=natural_order)
        if not self._images:
            raise RecordingError(
                f"{path}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) and no bag"
            )
        self._stamps = self._own_stamps()
        if settings.stamps is not None:
            settings.stamp(len(self._images) - 1, 0.0, path)
            self.notes += settings.unused_stamps(len(self._images))
        first = self._images[0]
        facts = read_photo_facts(first)
        self._check_exposure(facts)
        self._camera = settings.camera or self._camera_of_photo(first, facts)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; RecordingError names one that cannot be read."""
        for index, path in enumerate(self._images):
            image = _read_image(path)
            stamp = self._settings.stamp(index, float(self._stamps[index]), self._path)
            yield self._settings.frame(
                image, stamp, self._camera, path.name, self._exposure_time(path)
            )

    def _own_stamps(self) -> NDArray[np.float64]:
        """Return the stamps in the names, putting the images in their order, or even ones."""
        evenly = np.arange(len(self._images)) / FALLBACK_FRAME_RATE
        if self._settings.stamps is not None or len(self._images) < 2:
            return evenly
        stamps = stamps_of_names(self._images)
        if stamps is None:
            self.notes.append(
                f"no stamps are known: {FALLBACK_FRAME_RATE:g} images a second are assumed; "
                "--stamps FILE.csv gives others"
            )
            return evenly
        order = np.argsort(stamps)
        self._images = [self._images[k] for k in order]
        self.notes.append(f"stamps are taken from the file names ({self._images[0].name}, ...)")
        return stamps[order]

    def _exposure_time(self, path: Path) -> float:
        """Return what was given, else what the photo says of itself, seconds."""
        if self._settings.exposure_time is not None:
            return self._settings.exposure_time
        exposure_time = read_photo_facts(path).exposure_time
        return self._settings.required_exposure_time(path, exposure_time)

    def _check_exposure(self, facts: PhotoFacts) -> None:
        settings = self._settings
        exposure_time = settings.required_exposure_time(self._path, facts.exposure_time)
        if settings.exposure_time is None:
            self.notes.append(
                f"exposure times are taken from EXIF (first: {exposure_time * 1e3:.3g} ms)"
            )

    def _camera_of_photo(self, path: Path, facts: PhotoFacts) -> Camera:
        """Return an approximate camera from EXIF; RecordingError where that has none."""
        if facts.film_focal is None:
            return self._settings.required_camera(self._path)
        height, width = _read_image(path).shape[:2]
        camera = approximate_camera(width, height, facts.film_focal)
        self.notes.append(
            f"no --camera is given: a focal length of {camera.fx:.0f} px is approximated from EXIF "
            f"({facts.film_focal:g} mm on 35 mm film), without distortion; a calibration is better"
        )
        return camera


def images_at(path: Path) -> list[Path]:
    """Return the images of a folder that are not hidden, or the path itself."""
    if not path.is_dir():
        return [path]
    try:
        names = list(path.iterdir())
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    shown = [name for name in names if not name.name.startswith(".")]
    return [name for name in shown if name.suffix.lower() in IMAGE_SUFFIXES]


def _read_image(path: Path) -> NDArray[np.uint8]:
    """Return the BGR image, turned as its orientation tag says; RecordingError if it is none."""
    try:
        return decode_compressed(path.read_bytes())
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    except FrameError as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error


class Video:
    """A video file with the time stamps that it carries."""

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """Open the video; RecordingError if it cannot be."""
        self.name = path.name
        self.notes: list[str] = []
        self._path, self._settings = path, settings
        settings.required_exposure_time(path)
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
        self.notes += self._settings.unused_stamps(index)
        if index < self._count * 0.9:
            raise RecordingError(
                f"{self._path}: ends after {index} of {self._count} frames; is it truncated?"
            )
