"""Guess what a path holds."""

from __future__ import annotations

from pathlib import Path

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.frame import check_exposure_time
from blur_imu_ros.recordings.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES, ImageFolder, Video
from blur_imu_ros.recordings.settings import FrameSettings, Recording

__all__ = ["FrameSettings", "Recording", "open_recording"]


def open_recording(path: Path, settings: FrameSettings) -> Recording:
    """Return the frames of a folder of images, an image, a video or a bag.

    Raises:
        RecordingError: nothing is there, or it is of no known kind.
        FrameError: the exposure time is not known, or cannot be one.
    """
    if settings.exposure_time is not None:
        check_exposure_time(settings.exposure_time)
    if not path.exists():
        raise RecordingError(f"{path}: there is no such file or folder")
    from blur_imu_ros.recordings.bags import Bag, is_bag

    if is_bag(path):
        return Bag(path, settings)
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in IMAGE_SUFFIXES:
        return ImageFolder(path, settings)
    if suffix in VIDEO_SUFFIXES:
        return Video(path, settings)
    raise RecordingError(
        f"{path}: is no folder of images, image, video or bag that is known by its name"
    )
