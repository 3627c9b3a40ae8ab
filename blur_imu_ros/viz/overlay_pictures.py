"""Single frames of the overlay video that `blur-imu run --overlay` wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2

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
        return [_picture(video, path, row) for row in rows]
    finally:
        video.release()


def _picture(video: cv2.VideoCapture, path: Path, row: int) -> bytes:
    video.set(cv2.CAP_PROP_POS_FRAMES, row)
    ok, image = video.read()
    if not ok:
        raise RecordingError(f"{path}: frame {row} cannot be read; is it damaged?")
    scale = min(1.0, WIDEST / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, _JPEG)[1].tobytes()
