"""A camera of this machine or of the network as a recording that ends on request."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import Note, RecordingError
from blur_imu_ros.recordings.live_camera import LiveCamera, without_password
from blur_imu_ros.recordings.settings import FrameSettings

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
        if settings.stamps is not None:
            raise RecordingError(
                f"{shown}: images of a camera have their own timestamps; leave out those given",
                cures=("stamps",),
            )
        camera = settings.required_camera(Path(shown))
        exposure_time = settings.exposure_time
        self._settings = settings
        self._live = LiveCamera(str(address), exposure_time, camera, clock=CameraClock().stamp)
        self.name, self.notes = self._live.name, self._live.notes

    def __len__(self) -> int:
        """Return 0: nobody knows how many images will come."""
        return 0

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images that there is time to measure; a camera can be gone through once."""
        count, before = 0, -np.inf
        try:
            with told_to_end() as end:
                for frame in self._live:
                    if end.is_set():
                        break
                    if frame.t > before:
                        before, count = frame.t, count + 1
                        middle = self._settings.stamp_reference.middle(frame.t, frame.exposure_time)
                        yield replace(frame, t=middle)
        except RecordingError as error:
            if not count:
                raise
            self.notes.append(str(error))
        finally:
            self._live.close()
        if self._live.dropped:
            self.notes.append(
                Note(
                    f"{self._live.dropped} images came while others were measured, and are left "
                    "out; a faster model measures more of them",
                    cures=("model",),
                )
            )


class CameraClock:
    """Puts the times of a camera, which are even, on the clock of this machine."""

    def __init__(self) -> None:
        """Start without a past."""
        self._begin: float | None = None
        self._before = -np.inf

    def stamp(self, camera_time: float) -> float:
        """Return the stamp (s since 1970) of an image that came now, stamped `camera_time`."""
        now = time.time()
        if not np.isfinite(camera_time) or camera_time <= self._before or camera_time <= 0:
            self._before = camera_time if np.isfinite(camera_time) else -np.inf
            self._begin = None
            return now
        self._before = camera_time
        if self._begin is None:
            self._begin = now - camera_time
        # It cannot have been taken after it came: then the camera's clock is fast, or began anew.
        self._begin = min(self._begin, now - camera_time)
        return self._begin + camera_time


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
