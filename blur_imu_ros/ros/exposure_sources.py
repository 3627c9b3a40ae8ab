"""Where the exposure time of an image comes from."""

from __future__ import annotations

from typing import Protocol


class ExposureSource(Protocol):
    """Knows the exposure time of images, or not."""

    name: str

    def exposure_time(self, stamp: float) -> float | None:
        """Return the exposure time (s) of the image stamped `stamp` (s), or None if unknown."""


class FixedExposure:
    """The same for every image: a camera with manual exposure."""

    name = "fixed"

    def __init__(self, exposure_time: float | None) -> None:
        """Take seconds, or None while it is not known."""
        self._exposure_time = exposure_time

    def exposure_time(self, stamp: float) -> float | None:
        """See `ExposureSource`."""
        return self._exposure_time
