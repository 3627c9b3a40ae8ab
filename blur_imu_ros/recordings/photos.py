"""What a photo says about itself, exposure time and focal length, from EXIF; photos of phones and
raw ones."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import FrameError, install_hint

FILM_DIAGONAL = float(np.hypot(36.0, 24.0))
"""mm, of the film to which focal lengths of phones are converted."""

_UPRIGHT = (5, 6, 7, 8)
"""Orientation tags of images that are shown with their sides exchanged."""


@dataclass(frozen=True)
class PhotoFacts:
    """What EXIF holds.

    Attributes:
        exposure_time: seconds, or None.
        film_focal: focal length in mm on 35 mm film of the same diagonal view, or None.
        size: (width, height) of the image as it is shown, pixels; None where it is not known, as of
            raw photos, whose header tells the size of their preview.
    """

    exposure_time: float | None = None
    film_focal: float | None = None
    size: tuple[int, int] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the photo says anything."""
        return self.exposure_time is not None or self.film_focal is not None


HEIF_SUFFIXES = {".heic", ".heif", ".hif"}
RAW_SUFFIXES = {".dng"}
NEEDED = (
    "{} photos need the package {} (" + install_hint("photos") + "); or convert them to JPEG, "
    "for example by `{}`"
)


def decode_heif(path: Path) -> NDArray[np.uint8]:
    """Return the BGR image of a HEIC photo as it is shown; FrameError if it cannot be read."""
    _open_heif()
    try:
        with Image.open(path) as photo:
            shown = ImageOps.exif_transpose(photo).convert("RGB")
    except Exception as error:  # Pillow raises what its readers meet.
        raise FrameError(f"is damaged, or no HEIC photo: {error}") from error
    return np.ascontiguousarray(np.asarray(shown)[..., ::-1])


def decode_raw(path: Path) -> NDArray[np.uint8]:
    """Return the BGR image of a DNG photo as it is shown; FrameError if it cannot be read."""
    try:
        import rawpy
    except ImportError as error:
        raise FrameError(NEEDED.format("DNG", "rawpy", f"dcraw -c {path.name} | cjpeg")) from error
    try:
        with rawpy.imread(str(path)) as photo:
            # The same brightness in all photos: blur is compared with what is around it, not
            # scaled.
            image = photo.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=8)
    except Exception as error:  # The library raises types of its own.
        raise FrameError(f"is damaged, or no DNG photo: {error}") from error
    return np.ascontiguousarray(image[..., ::-1])


def _open_heif() -> None:
    """Teach Pillow HEIC; FrameError where the library is not installed."""
    try:
        import pillow_heif
    except ImportError as error:
        cure = "heif-convert PHOTO.heic PHOTO.jpg"
        raise FrameError(NEEDED.format("HEIC", "pillow-heif", cure)) from error
    pillow_heif.register_heif_opener()


def read_photo_facts(path: Path) -> PhotoFacts:
    """Return what a photo says about itself; nothing where it has no EXIF or cannot be read."""
    is_raw = path.suffix.lower() in RAW_SUFFIXES
    try:
        if path.suffix.lower() in HEIF_SUFFIXES:
            _open_heif()
        with warnings.catch_warnings(), Image.open(path) as photo:
            warnings.simplefilter("ignore")
            exif, (width, height) = photo.getexif(), photo.size
            tags, is_turned = exif.get_ifd(ExifTags.IFD.Exif), photo.format == "TIFF"
    except Exception:  # Pillow raises what its readers meet; the image's decoder says it better.
        return _raw_facts(path) if is_raw else PhotoFacts()
    # Of a TIFF, Pillow gives the size of the image as it is shown.
    is_upright = exif.get(ExifTags.Base.Orientation) in _UPRIGHT and not is_turned
    shown = (height, width) if is_upright else (width, height)
    return PhotoFacts(
        _positive(tags.get(ExifTags.Base.ExposureTime)),
        _positive(tags.get(ExifTags.Base.FocalLengthIn35mmFilm)),
        None if is_raw else shown,
    )


def _raw_facts(path: Path) -> PhotoFacts:
    """Return the facts of a raw photo that holds no preview, which Pillow would know."""
    try:
        import rawpy

        with rawpy.imread(str(path)) as photo:
            return PhotoFacts(_positive(photo.other.shutter_speed))
    except Exception:  # As above.
        return PhotoFacts()


def approximate_camera(width: int, height: int, film_focal: float) -> Camera:
    """Return the camera of an image (pixels) with that focal length, centred and undistorted."""
    focal = film_focal * float(np.hypot(width, height)) / FILM_DIAGONAL
    return Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def _positive(value: Any) -> float | None:
    """Return a tag as a number; zero means unknown, and a rational may be anything over zero."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if np.isfinite(number) and number > 0 else None
