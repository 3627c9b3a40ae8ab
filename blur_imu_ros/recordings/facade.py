"""Guess what a path holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.bag_names import BAG_SUFFIXES, is_bag
from blur_imu_ros.recordings.file_names import natural_order
from blur_imu_ros.recordings.images import (
    IMAGE_SUFFIXES,
    NO_COLOUR,
    ImageFolder,
    images_at,
)
from blur_imu_ros.recordings.live import LiveVideo, address_of
from blur_imu_ros.recordings.settings import FrameSettings, Recording
from blur_imu_ros.recordings.stray_scanner import StrayScan, is_stray_scan
from blur_imu_ros.recordings.videos import VIDEO_SUFFIXES, Video

__all__ = ["FrameSettings", "Recording", "open_recording", "recordings_in"]

LIST_SUFFIX = ".txt"
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".xz", ".zst"}
COLOUR = {"rgb", "color", "colour", "images"}
"""Names of folders beside which those of depth cameras hold no recordings."""


def open_recording(path: str | Path, settings: FrameSettings | None = None) -> Recording:
    """Return the frames of a folder of images, an image, a video, a bag or a camera.

    Args:
        path: of the recording.
        settings: what is not recorded in it.

    Raises:
        RecordingError: the path does not exist, or is not a known kind of recording.
        FrameError: the exposure time is impossible.
    """
    path, settings = Path(path), settings or FrameSettings()
    if settings.exposure_time is not None:
        check_exposure_time(settings.exposure_time)
    address = address_of(path)
    if address is not None:
        return LiveVideo(address, settings)
    if not os.path.exists(path):  # of a name that is too long pathlib raises OSError
        raise RecordingError(f"{path}: there is no such file or folder")
    if not (path.is_file() or path.is_dir()):
        raise RecordingError(
            f"{path}: is a pipe or a device, neither file nor folder; write its content to a file"
        )
    if is_bag(path):
        from blur_imu_ros.recordings.bags import Bag

        return Bag(path, settings)
    if is_stray_scan(path):
        return StrayScan(path, settings)
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in IMAGE_SUFFIXES:
        return ImageFolder(path, settings)
    if suffix in VIDEO_SUFFIXES:
        return Video(path, settings)
    raise RecordingError(
        f"{path}: is not a known kind of recording{_cure(suffix)}; known are folders of images, "
        f"images ({_listed(IMAGE_SUFFIXES)}), videos ({_listed(VIDEO_SUFFIXES)}) and bags "
        f"({_listed(BAG_SUFFIXES)})"
    )


def _cure(suffix: str) -> str:
    if suffix in ARCHIVES:
        return " (unpack it, and give the folder)"
    return " (turn it into a video or images, for example by ffmpeg)" if suffix == ".gif" else ""


def _listed(suffixes: Iterable[str]) -> str:
    return " ".join(sorted(suffixes))


def recordings_in(path: Path) -> list[Path]:
    """Return the recordings of a list (.txt, a path a line) or of a folder that is none itself.

    Videos, bags and folders of images count, at any depth, in natural order, but not the depth
    images beside those in colour; a path that is neither list nor such a folder stands for itself.

    Raises:
        RecordingError: the list cannot be read, or is empty.
    """
    if path.suffix == LIST_SUFFIX and path.is_file():
        return [one for line in _lines(path) for one in recordings_in(path.parent / line)]
    return _recordings_below(path) or [path]


def _recordings_below(folder: Path, above: frozenset[Path] = frozenset()) -> list[Path]:
    """Return the recordings in a folder; `above` are those that it is in, to which links may lead
    back."""
    if not folder.is_dir():
        return [folder] if folder.suffix.lower() in VIDEO_SUFFIXES | BAG_SUFFIXES else []
    if is_bag(folder) or is_stray_scan(folder) or images_at(folder):
        return [folder]
    place = folder.resolve()
    if place in above:
        return []
    shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if any(path.stem.lower() in COLOUR for path in shown):
        shown = [path for path in shown if path.name.lower() not in NO_COLOUR]
    below = sorted(shown, key=natural_order)
    return [found for path in below for found in _recordings_below(path, above | {place})]


def _lines(path: Path) -> list[str]:
    """Return the lines of a list that say something."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: cannot be read as a list of recordings") from error
    said = [line for line in lines if line and not line.startswith("#")]
    if not said:
        raise RecordingError(f"{path}: lists no recordings; give a path on each line")
    return said
