"""What a recording does not say about itself: camera, exposure time, stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.choices import StampReference
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame, check_exposure_time
from blur_imu_ros.errors import CameraError, FrameError, RecordingError
from blur_imu_ros.recordings.camera_keys import EXPECTED

EXPOSURE_UNKNOWN = (
    "the exposure time is not known: give it in seconds (0.010 for 10 ms), or as exposure_time in "
    "the camera's YAML"
)
CAMERA_UNKNOWN = (
    f"the camera is not known: give a calibration file, of ROS or with the lines {EXPECTED}, in "
    "pixels. Without a calibration cx, cy are the middle, and fx = fy = image_width / (2 "
    "tan(horizontal field of view / 2)), or the longer side * focal length in 35 mm film (data "
    "sheet, EXIF) / 34.6; see docs/FAQ.md"
)


@dataclass(frozen=True)
class FrameSettings:
    """What the user states about a recording.

    Attributes:
        exposure_time: seconds; by default that of EXIF or of a live camera.
        camera: calibration; by default that of a bag or of EXIF.
        stamps: (n,) timestamps, seconds, one per frame, NaN if unusable; by default the
            recording's.
        stamp_names: names of the n image files of the timestamps; by default they are in order.
        stamp_note: a remark on how the timestamps were read.
        stamp_reference: the moment of the exposure that a timestamp refers to.
        topic: of the images, for bags with several.
        timed: whether timestamps matter, because neighbouring frames are used.
        view: (width, height) of what images are looked at, pixels: JPEGs that are much larger are
            decoded smaller, which is faster; None keeps all pixels.
        strict: stop at the first image that cannot be used, instead of leaving it out.
    """

    exposure_time: float | None = None
    camera: Camera | None = None
    stamps: NDArray[Any] | None = None
    stamp_reference: StampReference = StampReference.MIDDLE
    topic: str | None = None
    strict: bool = False
    timed: bool = True
    stamp_names: tuple[str, ...] = ()
    stamp_note: str = ""
    view: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Take words and lists for what they stand for; FrameError or CameraError names what is of
        another kind."""
        if not (self.camera is None or isinstance(self.camera, Camera)):
            raise CameraError(
                f"camera is of type {type(self.camera).__name__}; give a Camera, as load_camera "
                "returns it"
            )
        try:
            object.__setattr__(self, "stamp_reference", StampReference(self.stamp_reference))
        except ValueError as error:
            known = ", ".join(reference.value for reference in StampReference)
            raise FrameError(f"stamp_reference is {self.stamp_reference!r}; use {known}") from error
        if self.stamps is not None:
            object.__setattr__(self, "stamps", _as_stamps(self.stamps))

    def frame(
        self,
        image: NDArray[np.uint8],
        stamp: float,
        camera: Camera,
        name: str,
        exposure_time: float | None = None,
    ) -> Frame:
        """Return the frame of an image stamped `stamp`; its own exposure time serves if none is
        set.

        Raises:
            FrameError: the exposure time is not known, or one of them cannot be used.
        """
        exposure_time = exposure_time if self.exposure_time is None else self.exposure_time
        if exposure_time is None:
            raise FrameError(f"{name}: {EXPOSURE_UNKNOWN}", cures=("exposure",))
        tau = check_exposure_time(exposure_time)
        return Frame(image, self.stamp_reference.middle(stamp, tau), tau, camera, name)

    def stamp(self, index: int, own: float, source: Path) -> float:
        """Return the stamp of frame `index`, `own` being the recording's."""
        if self.stamps is None:
            return own
        if index >= len(self.stamps):
            raise RecordingError(
                f"{source}: has more than {len(self.stamps)} frames, but there are no more "
                "timestamps; give one for every frame"
            )
        return float(self.stamps[index])

    def stamp_notes(self, images: int) -> list[str]:
        """Return the notes about the stamps that are given, also if there are too many."""
        notes = [self.stamp_note] if self.stamp_note else []
        count = 0 if self.stamps is None else len(self.stamps)
        if count <= images:
            return notes
        return [
            *notes,
            f"the last {count - images} of {count} stamps are not used: there are {images} images; "
            "do they belong to this recording?",
        ]

    def required_camera(self, source: Path) -> Camera:
        """Return the camera, or raise RecordingError asking for one."""
        if self.camera is None:
            raise RecordingError(f"{source}: {CAMERA_UNKNOWN}", cures=("camera",))
        return self.camera

    def require(
        self, source: Path, exposure_time: float | None = None, has_camera: bool = False
    ) -> None:
        """Refuse a recording of which something is not known, naming all of it at once.

        Args:
            source: for the message.
            exposure_time: seconds, as the recording itself states it.
            has_camera: whether it states its camera.

        Raises:
            FrameError: the exposure time cannot be one.
            RecordingError: exposure time or camera are not known.
        """
        exposure_time = exposure_time if self.exposure_time is None else self.exposure_time
        if exposure_time is not None:
            check_exposure_time(exposure_time)
        missing = {} if exposure_time is not None else {"exposure": EXPOSURE_UNKNOWN}
        if self.camera is None and not has_camera:
            missing["camera"] = CAMERA_UNKNOWN
        if missing:
            raise RecordingError(f"{source}: {'; '.join(missing.values())}", cures=tuple(missing))


def _as_stamps(given: Any) -> NDArray[Any]:
    """Return timestamps as an array (n,); FrameError where they are none."""
    try:
        stamps = np.asarray(given, float)
    except (TypeError, ValueError) as error:
        raise FrameError(
            f"stamps are of type {type(given).__name__}; give an array of seconds"
        ) from error
    if stamps.ndim != 1:
        raise FrameError(f"stamps have the shape {stamps.shape}; give (n,), seconds")
    return stamps


class Recording(Protocol):
    """Frames in order of time."""

    name: str
    notes: list[str]
    """What was assumed or found that the user should know, a line each."""

    def __len__(self) -> int:
        """Return the number of frames, or 0 where it is not known beforehand."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames that can be used, and note the others; RecordingError if none can."""
