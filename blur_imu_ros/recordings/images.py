"""Folders of images and single images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import FrameError, Note, RecordingError
from blur_imu_ros.recordings.bag_names import BAG_SUFFIXES
from blur_imu_ros.recordings.file_names import natural_order, stamps_of_names
from blur_imu_ros.recordings.image_messages import decode_compressed
from blur_imu_ros.recordings.photos import (
    HEIF_SUFFIXES,
    RAW_SUFFIXES,
    PhotoFacts,
    approximate_camera,
    decode_heif,
    decode_raw,
    read_photo_facts,
)
from blur_imu_ros.recordings.reduced_jpeg import reduced, reduction
from blur_imu_ros.recordings.settings import FrameSettings
from blur_imu_ros.recordings.usable_frames import MOST_UNREAD, Item, usable_frames
from blur_imu_ros.recordings.videos import FALLBACK_FRAME_RATE, VIDEO_SUFFIXES

IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"),
    *HEIF_SUFFIXES,
    *RAW_SUFFIXES,
}
PAGED_SUFFIXES = {".tif", ".tiff", ".webp"}
"""Files that may hold many images."""
NO_COLOUR = {"depth", "confidence"}
"""Names of folders beside the images of depth cameras."""
JPEG_SUFFIXES = {".jpg", ".jpeg"}
OTHER_EXPOSURE = 1.25
"""Ratio of two exposure times from which on they are not the same one."""


class ImageFolder:
    """The images of a folder, or one image alone, in order of the stamps that are their names, or
    in natural order.

    Exposure times and focal lengths that are not given come from each photo's EXIF.
    """

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """List the images; RecordingError if there is none, or what it needs is not known."""
        self.name = path.name
        self.notes: list[str] = []
        self._path, self._settings = path, settings
        self._images = self._once(sorted(images_at(path), key=natural_order))
        self._note_others()
        if not self._images:
            raise RecordingError(
                f"{path}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) and no bag"
            )
        self._note_pages()
        self._stamps = self._own_stamps() if settings.stamps is None else self._given_stamps()
        of_each = ((path, read_photo_facts(path)) for path in self._images[:MOST_UNREAD])
        first, facts = next(
            ((p, f) for p, f in of_each if f.is_known), (self._images[0], PhotoFacts())
        )
        settings.require(path, facts.exposure_time, facts.film_focal is not None)
        self._note_exposure(facts)
        self._camera = settings.camera or self._camera_of_photo(first, facts)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images that can be used; RecordingError if none can."""
        items = (Item(path.name, partial(self._frame, k)) for k, path in enumerate(self._images))
        yield from usable_frames(
            self._path, items, self.notes, len(self._images), self._settings.strict
        )

    def _frame(self, index: int) -> Frame:
        path = self._images[index]
        stamp = float(self._stamps[index])
        if np.isnan(stamp):
            raise FrameError(f"{path.name}: has no usable timestamp")
        facts = self._facts(path)
        small = self._reduced(path, facts)
        if small is None:
            return self._whole(path, facts, stamp)
        image, camera = small
        frame = self._settings.frame(image, stamp, camera, path.name, facts.exposure_time)
        return replace(frame, whole=partial(self._whole, path, facts, stamp))

    def _facts(self, path: Path) -> PhotoFacts:
        """Return what a photo says, where anything is not given."""
        settings = self._settings
        if settings.exposure_time is not None and settings.camera is not None:
            return PhotoFacts()
        return read_photo_facts(path)

    def _whole(self, path: Path, facts: PhotoFacts, stamp: float) -> Frame:
        image = _read_image(path)
        camera = self._camera_of(facts, (image.shape[1], image.shape[0]))
        return self._settings.frame(image, stamp, camera, path.name, facts.exposure_time)

    def _camera_of(self, facts: PhotoFacts, size: tuple[int, int] | None) -> Camera:
        """Return what was given, else the camera of a photo: phones have several, and are held
        either way. Where it says nothing it is taken to be like the first."""
        if self._settings.camera is not None or facts.film_focal is None or size is None:
            return self._camera
        return approximate_camera(*size, facts.film_focal)

    def _reduced(self, path: Path, facts: PhotoFacts) -> tuple[NDArray[np.uint8], Camera] | None:
        """Return an image no larger than its view needs, and its camera; None where it is read
        whole."""
        view = self._settings.view
        if view is None or path.suffix.lower() not in JPEG_SUFFIXES:
            return None
        camera = self._camera_of(facts, facts.size)
        if reduction(camera, view) == 1:  # The file would be read twice.
            return None
        try:
            return reduced(path.read_bytes(), camera, view)
        except OSError:
            return None

    def _once(self, images: list[Path]) -> list[Path]:
        """Return the images without raw ones that lie there as JPEG or the like, too."""
        special = HEIF_SUFFIXES | RAW_SUFFIXES
        common = {path.stem for path in images if path.suffix.lower() not in special}
        kept = [p for p in images if p.suffix.lower() not in special or p.stem not in common]
        if len(kept) < len(images):
            self.notes.append(
                f"{len(images) - len(kept)} photos exist twice, as {kept[0].suffix} and raw; the "
                "raw ones are left out"
            )
        return kept

    def _note_others(self) -> None:
        """Say what lies beside the images and is not measured with them: recordings, as in the
        folder of a phone, and folders of images, as of a camera that begins a new one every hour.
        """
        beside = sorted(self._path.iterdir()) if self._path.is_dir() else []
        others = [p.name for p in beside if p.suffix.lower() in VIDEO_SUFFIXES | BAG_SUFFIXES]
        if others:
            more = ", ..." if len(others) > 1 else ""
            self.notes.append(
                f"{self.name} is measured as a folder of images; videos and bags in it "
                f"({others[0]}{more}) are not: name them to measure them"
            )
        folders = [p for p in beside if p.is_dir() and p.name.lower() not in NO_COLOUR]
        folders = [p for p in folders if not p.name.startswith(".") and _holds_images(p)]
        if folders and self._images:
            more = ", ..." if len(folders) > 1 else ""
            self.notes.append(
                f"of {self.name} only its own {len(self._images)} images are measured, not those "
                f"in folders below it ({folders[0].name}{more}): name these, too, to measure them"
            )

    def _note_pages(self) -> None:
        """Refuse one file of many images, as microscopes and fast cameras write them; note that
        of such files in a folder only the first image counts."""
        first = self._images[0]
        pages = _pages_of(first)
        if pages < 2:
            return
        cure = "write them into a folder, a file for each"
        if not self._path.is_dir():
            raise RecordingError(f"{first}: holds {pages} images; {cure}")
        self.notes.append(
            f"{first.name} holds {pages} images, of which only the first is measured; {cure}"
        )

    def _given_stamps(self) -> NDArray[np.float64]:
        """Return the stamps that are given: by the names of the images, else in order."""
        settings, count = self._settings, len(self._images)
        stamps = np.asarray(settings.stamps, float)
        by_name = dict(
            zip((Path(name).stem for name in settings.stamp_names), stamps, strict=False)
        )
        named = np.array([by_name.get(path.stem, np.nan) for path in self._images])
        if np.isnan(named).all():
            settings.stamp(count - 1, 0.0, self._path)
            self.notes += settings.stamp_notes(count)
            return stamps[:count]
        order = np.argsort(named, kind="stable")  # What has no stamp comes last.
        self._images = [self._images[k] for k in order]
        self.notes += [settings.stamp_note] if settings.stamp_note else []
        return named[order]

    def _own_stamps(self) -> NDArray[np.float64]:
        """Return the stamps in the names, putting the images in their order, or even ones."""
        evenly = np.arange(len(self._images)) / FALLBACK_FRAME_RATE
        if len(self._images) < 2:
            return evenly
        stamps = stamps_of_names(self._images)
        if stamps is None:
            if self._settings.timed:
                self.notes.append(
                    Note(
                        f"no timestamps are known: {FALLBACK_FRAME_RATE:g} images per second are "
                        "assumed; at another rate signs and velocities are wrong, so give a CSV "
                        "with a column t",
                        cures=("stamps",),
                    )
                )
            return evenly
        order = np.argsort(stamps)
        self._images = [self._images[k] for k in order]
        self.notes.append(f"timestamps are taken from the file names ({self._images[0].name}, ...)")
        return stamps[order]

    def _note_exposure(self, facts: PhotoFacts) -> None:
        given, own = self._settings.exposure_time, facts.exposure_time
        if own is None:
            return
        if given is None:
            self.notes.append(f"exposure times are taken from EXIF (first: {own * 1e3:.3g} ms)")
        elif not 1 / OTHER_EXPOSURE <= own / given <= OTHER_EXPOSURE:
            self.notes.append(
                f"the exposure time given, {given * 1e3:.3g} ms, is taken, although EXIF says "
                f"{own * 1e3:.3g} ms of the first image"
            )

    def _camera_of_photo(self, path: Path, facts: PhotoFacts) -> Camera:
        """Return an approximate camera from EXIF; RecordingError where that has none."""
        if facts.film_focal is None:
            return self._settings.required_camera(self._path)
        if facts.size is None:
            height, width = _read_image(path).shape[:2]
        else:
            width, height = facts.size
        camera = approximate_camera(width, height, facts.film_focal)
        self.notes.append(
            Note(
                f"no calibration is given: focal lengths are taken from EXIF (first: "
                f"{camera.fx:.0f} px, {facts.film_focal:g} mm on 35 mm film), without distortion; "
                "a calibration is better",
                cures=("camera",),
            )
        )
        return camera


def images_at(path: Path) -> list[Path]:
    """Return the images of a folder that are not hidden, or the path itself."""
    if not path.is_dir():
        return [path]
    try:
        with os.scandir(path) as entries:
            return [path / entry.name for entry in entries if _is_image(entry)]
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error


def _pages_of(path: Path) -> int:
    """Return how many images a file holds, 1 where it is not known."""
    if path.suffix.lower() not in PAGED_SUFFIXES:
        return 1
    try:
        return int(cv2.imcount(str(path)))
    except cv2.error:
        return 1


def _holds_images(folder: Path) -> bool:
    """Whether there are images in a folder, as far as it can be read."""
    try:
        return bool(images_at(folder))
    except RecordingError:
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is called like an image; nothing may ever come of a pipe or a
    device that is."""
    if entry.name.startswith(".") or Path(entry.name).suffix.lower() not in IMAGE_SUFFIXES:
        return False
    # What is damaged, a broken link too, is told of later.
    return entry.is_file() or entry.is_dir() or not os.path.exists(entry)


def _read_image(path: Path) -> NDArray[np.uint8]:
    """Return the BGR image, turned as its orientation tag says; FrameError if it is none."""
    suffix = path.suffix.lower()
    try:
        if suffix in HEIF_SUFFIXES:
            return decode_heif(path)
        if suffix in RAW_SUFFIXES:
            return decode_raw(path)
        return decode_compressed(path.read_bytes())
    except OSError as error:
        raise FrameError(f"{path.name}: cannot be read: {error.strerror}") from error
    except FrameError as error:
        raise FrameError(f"{path.name}: cannot be read: {error}") from error
