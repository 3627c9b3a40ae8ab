"""Videos, with the timestamps that they carry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import Note, RecordingError
from blur_imu_ros.recordings.settings import FrameSettings
from blur_imu_ros.recordings.usable_frames import Item, usable_frames

VIDEO_SUFFIXES = {
    *(".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv", ".mjpeg", ".mjpg"),
    *(".ts", ".mts", ".m2ts", ".3gp", ".insv", ".lrv", ".360", ".h264", ".h265", ".hevc", ".264"),
}
BARE_STREAMS = {".h264", ".264", ".h265", ".hevc", ".mjpeg", ".mjpg"}
"""Videos without a container, and so without timestamps."""
UNCOUNTED = {".mkv", ".webm", ".ts", ".mts", ".m2ts"}
"""Videos whose containers do not say how many frames they hold."""
_FIRST_FRAME = getattr(cv2, "CAP_PROP_PTS", -1)
"""What OpenCV, if it is new enough, calls the place of the frame just read in a longer video."""
FALLBACK_FRAME_RATE = 30.0
"""Hz, where no timestamps and no frame rate are known."""
LEAST_TRIES, MOST_TRIES = 3, 1000
"""Frames in succession that are tried to decode before a video is taken to be at its end."""
ROWS = 16
"""Of which one is looked at, whether anything was decoded."""
ALL_BUT_A_FEW = 0.9
"""Share of the frames that a video says to hold, below which a note says so; the number is a guess
in some containers."""


class Video:
    """A video file with the timestamps that it carries."""

    def __init__(self, path: Path, settings: FrameSettings) -> None:
        """Open the video; RecordingError if it cannot be."""
        self.name = path.name
        self.notes: list[str] = []
        self._path, self._settings = path, settings
        settings.require(path)
        self._camera = settings.required_camera(path)
        self._count = self.count_of(path)
        capture = _opened(path)
        self._rate = float(capture.get(cv2.CAP_PROP_FPS)) or FALLBACK_FRAME_RATE
        if path.suffix.lower() in BARE_STREAMS and settings.stamps is None:
            self.notes.append(
                Note(
                    f"{path.name} holds no timestamps: {self._rate:g} images per second are "
                    "assumed; a file of timestamps gives the true ones (rpicam writes one)",
                    cures=("stamps",),
                )
            )
        capture.release()

    @staticmethod
    def size_of(path: Path) -> tuple[int, int]:
        """Return width and height of the images of a video as it is shown, pixels."""
        capture = _opened(path)
        width, height = (
            int(capture.get(x)) for x in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        capture.release()
        return width, height

    @staticmethod
    def count_of(path: Path) -> int:
        """Return the number of frames that a video claims to have."""
        capture = _opened(path)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if path.suffix.lower() in UNCOUNTED and capture.read()[0]:
            # Worked out of the time at the end: a part of a longer video does not begin at zero.
            count -= max(0, int(capture.get(_FIRST_FRAME)))
        capture.release()
        return max(0, count)

    def __len__(self) -> int:
        """Return the number of frames that the file claims to have."""
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames that can be used; others, and fewer than the file promises, are
        noted."""
        frames = _Decoded(_opened(self._path), self._rate, self._count)
        items = (self._item(*decoded) for decoded in frames)
        try:
            yield from usable_frames(
                self._path, items, self.notes, self._count, self._settings.strict
            )
        finally:
            frames.close()
        self.notes += self._settings.stamp_notes(frames.index)
        for said in frames.complaints():
            if self._settings.strict or not frames.index:
                raise RecordingError(f"{self._path}: {said}")
            self.notes.append(f"{self._path}: {said}")

    def _item(self, index: int, own: float, image: NDArray[Any]) -> Item:
        name = f"{self._path.name}:{index}"
        return Item(name, partial(self._frame, image, index, own, name))

    def _frame(self, image: NDArray[Any], index: int, own: float, name: str) -> Frame:
        stamp = self._settings.stamp(index, own, self._path)
        return self._settings.frame(np.asarray(image, np.uint8), stamp, self._camera, name)


def _opened(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise RecordingError(f"{path}: cannot be opened as a video; is it damaged?")
    return capture


class _Decoded:
    """Number, own stamp (s) and image of the frames of a video; damaged ones are passed over.

    Attributes:
        index: of the frame that comes next.
        lost: frames that were damaged, with others behind them.
        empty: frames that are black, or the one before again: nothing was decoded.
    """

    def __init__(self, capture: cv2.VideoCapture, rate: float, count: int) -> None:
        self._capture, self._rate, self._count = capture, rate, count
        self.index = self.lost = self.empty = 0

    def __iter__(self) -> Iterator[tuple[int, float, NDArray[Any]]]:
        before, failed = -np.inf, 0
        seen: NDArray[Any] = np.zeros(0)
        while failed <= max(LEAST_TRIES, min(MOST_TRIES, self._count - self.index)):
            ok, image = self._capture.read()
            if not ok:  # At the end, or at a frame that cannot be decoded.
                failed += 1
                continue
            own = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000  # of the frame just read
            self.index, self.lost, failed = self.index + failed, self.lost + failed, 0
            if own <= before:  # Some containers carry no stamps of their own.
                own = before + 1 / self._rate if np.isfinite(before) else 0.0
            before = own
            self.index += 1
            rows = image[::ROWS]
            self.empty += not rows.any() or np.array_equal(rows, seen)
            seen = rows.copy()
            yield self.index - 1, own, image

    def complaints(self) -> Iterator[str]:
        """Yield what a person should know of the frames that did not come."""
        if self.lost:
            yield f"{self.lost} of {self._count} frames are damaged, and left out"
        if self.empty > self.index / 2:
            yield (
                f"{self.empty} of {self.index} frames are black, or the one before again: is the "
                "video interlaced? Some of these cannot be decoded here; ffmpeg -i IN -vf bwdif "
                "OUT.mp4 makes it a progressive one"
            )
        if self.index < self._count * ALL_BUT_A_FEW:
            yield (
                f"gave {self.index} of the {self._count} frames that it claims to hold: it was "
                "trimmed without re-encoding, or cut off"
            )

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
