"""What a photo tells of itself: exposure time and focal length, from EXIF."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from blur_imu_ros.core.camera import Camera

FILM_DIAGONAL = float(np.hypot(36.0, 24.0))
"""mm, of the film to which focal lengths of phones are converted."""


@dataclass(frozen=True)
class PhotoFacts:
    """What EXIF holds.

    Attributes:
        exposure_time: seconds, or None.
        film_focal: focal length in mm on 35 mm film of the same diagonal view, or None.
    """

    exposure_time: float | None = None
    film_focal: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the photo tells anything."""
        return self.exposure_time is not None or self.film_focal is not None


def read_photo_facts(path: Path) -> PhotoFacts:
    """Return what a photo tells; nothing where it has no EXIF or cannot be read."""
    try:
        with warnings.catch_warnings(), Image.open(path) as photo:
            warnings.simplefilter("ignore")
            tags = photo.getexif().get_ifd(ExifTags.IFD.Exif)
    except Exception:  # Pillow raises what its readers meet; the image's decoder tells it better.
        return PhotoFacts()
    return PhotoFacts(
        _positive(tags.get(ExifTags.Base.ExposureTime)),
        _positive(tags.get(ExifTags.Base.FocalLengthIn35mmFilm)),
    )


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
