"""Single frames of the overlay video that `blur-imu run --overlay` wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.errors import RecordingError

WIDEST = 960
"""Pixels. A wider picture is scaled down to it."""
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 80]


def overlay_pictures(path: Path, rows: Iterable[int], count: int) -> list[bytes]:
    """Return JPEGs of some frames of an overlay video, in the order of `rows`.

    Args:
        path: of the video, which has a frame for each row of the CSV of the same run.
        rows: places of the frames, from 0.
        count: rows of the CSV.

    Raises:
        RecordingError: the video cannot be read, or is of another run.
    """
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise RecordingError(f"{path}: cannot be opened as a video; is it damaged?")
        frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        if frames != count:
            raise RecordingError(
                f"{path}: has {frames} frames, but the estimate {count} rows; give the overlay "
                "and the CSV of the same run"
            )
        wanted = list(rows)
        found = _pictures(video, path, sorted(set(wanted)))
        return [found[row] for row in wanted]
    finally:
        video.release()


def _pictures(video: cv2.VideoCapture, path: Path, rising: list[int]) -> dict[int, bytes]:
    """Return the frames one after the other: jumping by number is wrong where times are uneven."""
    found, place = {}, 0
    for row in rising:
        while place < row and video.grab():
            place += 1
        ok, image = video.read()
        if not ok:
            raise RecordingError(f"{path}: frame {row} cannot be read; is it damaged?")
        place += 1
        found[row] = _jpeg(np.asarray(image, np.uint8))
    return found


def _jpeg(image: Image) -> bytes:
    scale = min(1.0, WIDEST / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, _JPEG)[1].tobytes()
