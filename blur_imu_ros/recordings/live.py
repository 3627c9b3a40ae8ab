"""A camera of this machine or of the network as a recording that ends when it is told to."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import FrameError, RecordingError
from blur_imu_ros.recordings.settings import FrameSettings

PATIENCE = 10.0
"""Seconds without an image after which a camera is taken to be gone."""

_ADDRESS = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt):/+(.+)", re.IGNORECASE)
_NUMBERED = re.compile(r"camera:(\d{1,3})")
_DEVICE = re.compile(r"/dev/video\d{1,3}")


def address_of(source: Path) -> str | int | None:
    """Return the address or number of a camera, as OpenCV takes it; None where a path names none.

    `rtsp://HOST/PATH` (a `Path` has one of its slashes less), `/dev/video0`, or `camera:0`.
    """
    text = str(source)
    if match := _ADDRESS.fullmatch(text):
        return f"{match[1].lower()}://{match[2]}"
    if match := _NUMBERED.fullmatch(text):
        return int(match[1])
    return text if _DEVICE.fullmatch(text) else None


class LiveVideo:
    """The images of a camera as they come, until Ctrl-C (SIGINT) or SIGTERM, or the camera ends.

    While one image is measured others come; the newest is taken then, and the rest are counted.
    """

    def __init__(self, address: str | int, settings: FrameSettings) -> None:
        """Open the camera; RecordingError where it cannot be, or stamps are given beforehand."""
        shown = f"camera {address}" if isinstance(address, int) else without_password(address)
        self.name = shown
        self.notes: list[str] = []
        self._settings = settings
        settings.required_exposure_time(shown)
        self._camera = settings.required_camera(Path(shown))
        if settings.stamps is not None:
            raise RecordingError(
                f"{shown}: images of a camera have their own stamps; leave out --stamps"
            )
        self._capture = cv2.VideoCapture(address)
        if not self._capture.isOpened():
            raise RecordingError(f"{shown}: cannot be opened as a camera; is it there, and free?")

    def __len__(self) -> int:
        """Return 0: nobody knows how many images will come."""
        return 0

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images that there is time to measure; a camera can be gone through once."""
        grabber = _Grabber(self._capture)
        count = 0
        try:
            with told_to_end() as end:
                while (taken := grabber.newest(end)) is not None:
                    stamp, image = taken
                    name = f"{self.name}:{count}"
                    try:
                        frame = self._settings.frame(image, stamp, self._camera, name)
                    except FrameError as error:  # It will be so with all of them.
                        raise RecordingError(str(error)) from error
                    count += 1
                    yield frame
                if not end.is_set():
                    self.notes.append(f"{self.name} gives no images any more")
        finally:
            grabber.close()
        if grabber.came > count:
            self.notes.append(
                f"{grabber.came - count} of {grabber.came} images came while others were measured, and "
                "are left out; a faster --model measures more of them"
            )


class _Grabber:
    """Takes images from a camera in a thread of its own, and keeps the newest.

    Attributes:
        came: how many images there were.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._fresh = threading.Condition()
        self._newest: tuple[float, Any] | None = None
        self._stopped, self.came = False, 0
        self._thread = threading.Thread(target=self._grab, daemon=True)
        self._thread.start()

    def newest(self, end: threading.Event) -> tuple[float, Any] | None:
        """Return stamp (s) and image of the next image to measure, None at the end."""
        waited = time.monotonic() + PATIENCE
        with self._fresh:
            while self._newest is None and not self._stopped and not end.is_set():
                if time.monotonic() > waited:
                    return None
                self._fresh.wait(0.1)
            taken, self._newest = self._newest, None
        return None if end.is_set() else taken

    def close(self) -> None:
        """Let the camera go."""
        self._stopped = True
        self._thread.join(PATIENCE)
        if not self._thread.is_alive():
            self._capture.release()

    def _grab(self) -> None:
        clock, before = _CameraClock(), -np.inf
        while not self._stopped:
            ok, image = self._capture.read()
            if not ok:
                break
            stamp = clock.stamp(time.time(), self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            if stamp <= before:
                continue
            before = stamp
            with self._fresh:
                self._newest, self.came = (stamp, np.asarray(image, np.uint8)), self.came + 1
                self._fresh.notify()
        with self._fresh:
            self._stopped = True
            self._fresh.notify()


class _CameraClock:
    """Puts the times that a camera tells, which are even, on the clock of this machine."""

    def __init__(self) -> None:
        self._begin: float | None = None
        self._before = -np.inf

    def stamp(self, now: float, told: float) -> float:
        """Return the stamp (s since 1970) of an image that came `now`, when its camera told `told`."""
        if not np.isfinite(told) or told <= self._before or told <= 0:
            self._before = told if np.isfinite(told) else -np.inf
            self._begin = None
            return now
        self._before = told
        if self._begin is None:
            self._begin = now - told
        # It cannot have been taken after it came: then the camera's clock is fast, or began anew.
        self._begin = min(self._begin, now - told)
        return self._begin + told


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """Give what is set at the first SIGINT or SIGTERM; the second one does what it always does."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, frame: object) -> None:
        event.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, end)
    try:
        yield event
    finally:
        restore()


def without_password(address: str) -> str:
    """Return an address without the user and password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", address)
