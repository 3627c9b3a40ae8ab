"""Frames of a camera as they come: a webcam, a stream, or a video played at its own pace."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame, check_exposure_time
from blur_imu_ros.errors import FrameError, Note, RecordingError
from blur_imu_ros.execution.newest import Newest
from blur_imu_ros.recordings.v4l2 import read_exposure
from blur_imu_ros.recordings.videos import FALLBACK_FRAME_RATE

USUAL_FIELD_OF_VIEW = 65.0
"""Degrees across: of a laptop's camera, about."""
PATIENCE = 5.0
"""Seconds without an image after which a camera counts as gone."""
READ_EXPOSURE_EVERY = 1.0
"""Seconds."""


class LiveCamera:
    """The newest image of a source, again and again; what comes while one is measured is dropped.

    Attributes:
        notes: what was assumed, a line each.
    """

    def __init__(
        self,
        source: str,
        exposure_time: float | None = None,
        camera: Camera | None = None,
        field_of_view: float | None = None,
        clock: Callable[[float], float] | None = None,
    ) -> None:
        """Open the source.

        Args:
            source: number of a webcam, device, video file, or address (rtsp://...).
            exposure_time: seconds; None asks the driver.
            camera: calibration; None assumes a pinhole of `field_of_view`.
            field_of_view: degrees across the image; None assumes the usual one of a webcam.
            clock: makes stamps, s, of the times of a camera or stream, s; None stamps images when
                they come, by the monotonic clock.

        Raises:
            RecordingError: the source cannot be opened.
            FrameError: the exposure time is not known, or cannot be one.
        """
        self.name, self.notes, self._clock = without_password(source), list[str](), clock
        self._device = f"/dev/video{source}" if source.isdigit() else source
        self._is_file = not source.isdigit() and Path(source).is_file()
        self._exposure_time = None if exposure_time is None else check_exposure_time(exposure_time)
        self._capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
        if not self._capture.isOpened():
            raise RecordingError(f"{self.name}: cannot be opened as a camera, stream or video")
        self._asked = -np.inf
        self._told_exposure = self._from_driver() if exposure_time is None else None
        if self._exposure_time is None and self._told_exposure is None:
            self._capture.release()
            raise FrameError(
                f"{self.name}: the exposure time is not known, and the driver does not report it: "
                "give it in seconds (0.010 for 10 ms)",
                cures=("exposure",),
            )
        self._camera, self._field_of_view = camera, field_of_view
        self._rate = float(self._capture.get(cv2.CAP_PROP_FPS)) or FALLBACK_FRAME_RATE
        self._newest: Newest[tuple[Image, float]] = Newest()
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def dropped(self) -> int:
        """How many images came while another was measured."""
        return self._newest.dropped

    @property
    def exposure_time(self) -> float:
        """Seconds: what was given, else what the driver last reported."""
        if self._exposure_time is not None:
            return self._exposure_time
        if time.monotonic() - self._asked > READ_EXPOSURE_EVERY:
            self._told_exposure = self._from_driver() or self._told_exposure
        assert self._told_exposure is not None
        return self._told_exposure

    def _from_driver(self) -> float | None:
        self._asked, first = time.monotonic(), not np.isfinite(self._asked)
        control = None if self._is_file else read_exposure(self._device)
        if control is not None and control.automatic and first:
            self.notes.append(
                f"{self.name}: automatic exposure is on, so its time changes, and many drivers do "
                f"not report the current one; v4l2-ctl -d {self._device} -c auto_exposure=1 -c "
                "exposure_time_absolute=100 fixes it to 10 ms"
            )
        return None if control is None else control.exposure_time

    def _read(self) -> None:
        """Keep the newest image; a file is played at its own pace."""
        try:
            self._read_all()
        finally:
            self._capture.release()

    def _read_all(self) -> None:
        begun, index = time.monotonic(), 0
        while not self._newest.ended:
            ok, image = self._capture.read()
            own = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if ok else 0.0
            if self._is_file and ok:
                own = own if own > 0 or index == 0 else index / self._rate
                time.sleep(max(0.0, begun + own - time.monotonic()))
            if not ok:
                self._newest.end()
                return
            if not self._is_file:
                own = time.monotonic() if self._clock is None else self._clock(own)
            self._newest.put((np.asarray(image, np.uint8), own))
            index += 1

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest image whenever asked; the last one ends it.

        Raises:
            RecordingError: the camera delivers no image any more.
        """
        self._thread.start()
        index = 0
        while True:
            newest = self._newest.take(PATIENCE)
            if newest is None:
                if self._newest.ended and self._is_file and index:
                    return
                raise RecordingError(f"{self.name}: delivers no image" + " any more" * bool(index))
            image, t = newest
            yield Frame(
                image, t, self.exposure_time, self._camera_of(image), f"{self.name}:{index}"
            )
            index += 1

    def _camera_of(self, image: Image) -> Camera:
        if self._camera is None:
            height, width = image.shape[:2]
            angle = self._field_of_view or USUAL_FIELD_OF_VIEW
            focal = width / (2 * np.tan(np.radians(angle) / 2))
            centre = (width - 1) / 2, (height - 1) / 2
            self._camera = Camera(width, height, focal, focal, *centre)
            if self._field_of_view is None:
                self.notes.append(
                    Note(
                        f"no calibration: a horizontal field of view of {angle:g} degrees is "
                        "assumed; a wrong one scales every velocity",
                        cures=("camera", "field_of_view"),
                    )
                )
        return self._camera

    def close(self) -> None:
        """Let go of the camera; one that no longer answers is let go of when it does."""
        self._newest.end()
        if self._thread.ident is None:
            self._capture.release()
        else:  # Released under the thread that waits for an image, it would take all down.
            self._thread.join(timeout=PATIENCE)


def without_password(address: str) -> str:
    """Return an address without the user and password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", address)
