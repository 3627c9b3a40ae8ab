"""One image with everything that is needed to measure a velocity from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import FrameError

SHORTEST_EXPOSURE = 1e-6
LONGEST_EXPOSURE = 1.0
"""Seconds. A longer exposure time is read as a unit error and refused."""

LATEST = 1e11
"""Seconds. A later time, after the year 5000, is read as a unit error and refused."""

COARSEST = 1e-4
"""Seconds between two times of a floating-point type that can be told apart."""


def check_time(t: float) -> None:
    """Raise FrameError, saying why, if `t` cannot be the time of a frame in seconds."""
    if not (isinstance(t, Real) and np.isfinite(float(t))):
        raise FrameError(f"timestamp {t} is not a number")
    if abs(float(t)) >= LATEST:
        raise FrameError(f"timestamp {t:.6g} s: milliseconds or nanoseconds? Give seconds")
    if isinstance(t, np.floating) and np.spacing(abs(t)) > COARSEST:
        raise FrameError(
            f"timestamp {t} is a {type(t).__name__}, too coarse for a time of that size; give a "
            "float of 64 bits"
        )


def check_exposure_time(exposure_time: float) -> float:
    """Return `exposure_time` in seconds, or raise FrameError saying why it cannot be one."""
    if not isinstance(exposure_time, Real) or isinstance(exposure_time, bool):
        raise FrameError(f"exposure time {exposure_time!r}: must be a number of seconds")
    exposure_time = float(exposure_time)
    if not np.isfinite(exposure_time) or exposure_time <= 0:
        raise FrameError(f"exposure time {exposure_time} s: must be a positive number of seconds")
    if exposure_time < SHORTEST_EXPOSURE:
        raise FrameError(
            f"exposure time {exposure_time} s is shorter than a microsecond: give seconds, for "
            "example 0.010"
        )
    if exposure_time > LONGEST_EXPOSURE:
        raise FrameError(
            f"exposure time {exposure_time} s is longer than {LONGEST_EXPOSURE:g} s: milliseconds? "
            "Give seconds, for example 0.010"
        )
    return exposure_time


@dataclass(frozen=True)
class Frame:
    """An image as the camera gave it.

    Attributes:
        image: (height, width, 3) BGR or (height, width) grey, uint8.
        t: time of the middle of the exposure, seconds.
        exposure_time: seconds.
        camera: calibration of `image`.
        name: for messages and CSV (file name, index, topic).
        frame_id: the camera's frame in ROS; empty if unknown.
        received: when the image was recorded, seconds on the clock of the recording, or None.
        tag: anything that the caller wants back with the measurement, such as a message header.
        whole: reads the frame anew where `image` is smaller than what the camera gave; None where
            it is not.
    """

    image: NDArray[np.uint8]
    t: float
    exposure_time: float
    camera: Camera
    name: str = ""
    frame_id: str = ""
    received: float | None = None
    tag: Any = None
    whole: Callable[[], Frame] | None = None

    @property
    def full_size(self) -> Frame:
        """The frame with all pixels that the camera gave."""
        return self if self.whole is None else self.whole()

    def __post_init__(self) -> None:
        """Refuse what cannot be measured: wrong layout, size, stamp or exposure time."""
        image, camera = self.image, self.camera
        if not isinstance(image, np.ndarray):
            raise FrameError(
                f"{self.name}: the image is of type {type(image).__name__}; give an array of "
                "uint8, grey or BGR"
            )
        if not isinstance(camera, Camera):
            raise FrameError(
                f"{self.name}: the camera is of type {type(camera).__name__}; give a Camera, as "
                "load_camera returns it"
            )
        if image.dtype != np.uint8 or not (
            image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        ):
            raise FrameError(
                f"{self.name}: image of shape {image.shape} and type {image.dtype}; give uint8 "
                "grey or BGR"
            )
        if image.shape[:2] != (camera.height, camera.width):
            turned = image.shape[:2] == (camera.width, camera.height)
            cure = "give the matching calibration"
            if turned:
                cure += ": that of the image as it is shown, turned by its orientation tag"
            raise FrameError(
                f"{self.name}: image is {image.shape[1]}x{image.shape[0]} but the camera "
                f"calibration is for {camera.width}x{camera.height}; {cure}"
            )
        try:
            check_time(self.t)
        except FrameError as error:
            raise FrameError(f"{self.name}: {error}") from error
        # Of other types, fractions too, what is computed with them would be of these types.
        object.__setattr__(self, "t", float(self.t))
        object.__setattr__(self, "exposure_time", check_exposure_time(self.exposure_time))
