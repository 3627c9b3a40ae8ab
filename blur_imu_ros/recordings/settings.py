"""What a recording does not tell of itself: camera, exposure time, stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.camera import Camera
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.frame import Frame
from blur_imu_ros.results import CsvTable


class StampReference(str, Enum):
    """Which moment of the exposure a stamp means."""

    START = "start"
    MIDDLE = "middle"
    END = "end"

    def middle(self, stamp: float, exposure_time: float) -> float:
        """Return the middle of the exposure, seconds."""
        shift = {StampReference.START: 0.5, StampReference.MIDDLE: 0.0, StampReference.END: -0.5}
        return stamp + shift[self] * exposure_time


@dataclass(frozen=True)
class FrameSettings:
    """What the user says of a recording.

    Attributes:
        exposure_time: seconds.
        camera: calibration; bags may hold their own.
        stamps: (n,) seconds, one a frame; without, the recording's own.
        stamp_reference: which moment of the exposure a stamp means.
        topic: of the images, in bags with several.
    """

    exposure_time: float
    camera: Camera | None = None
    stamps: NDArray[Any] | None = None
    stamp_reference: StampReference = StampReference.MIDDLE
    topic: str | None = None

    def frame(self, image: NDArray[np.uint8], stamp: float, camera: Camera, name: str) -> Frame:
        """Return the frame of an image stamped `stamp`."""
        t = self.stamp_reference.middle(stamp, self.exposure_time)
        return Frame(image, t, self.exposure_time, camera, name)

    def stamp(self, index: int, own: float, source: Path) -> float:
        """Return the stamp of frame `index`, `own` being the recording's."""
        if self.stamps is None:
            return own
        if index >= len(self.stamps):
            raise RecordingError(
                f"{source}: has more than {len(self.stamps)} frames, which is all that the stamps "
                "are for; give a stamp for every frame"
            )
        return float(self.stamps[index])

    def required_camera(self, source: Path) -> Camera:
        """Return the camera, or raise RecordingError asking for one."""
        if self.camera is None:
            raise RecordingError(f"{source}: the camera is not known; give --camera camera.yaml")
        return self.camera


class Recording(Protocol):
    """Frames in order of time."""

    name: str

    def __len__(self) -> int:
        """Return the number of frames, or 0 where it is not known beforehand."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; RecordingError or FrameError names the first that cannot be read."""


def read_stamps(path: Path) -> NDArray[Any]:
    """Return column `t` (seconds) of a CSV; RecordingError names what is wrong with it."""
    return CsvTable(path).time()
