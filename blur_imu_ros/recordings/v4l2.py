"""The exposure as a Video4Linux camera reports it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_GET_CONTROL = 0xC008561B
"""VIDIOC_G_CTRL of a v4l2_control: its number and its value, 32 bits each."""
_EXPOSURE_AUTO, _EXPOSURE_ABSOLUTE = 0x009A0901, 0x009A0902
_MANUAL, _SHUTTER_PRIORITY = 1, 2
"""Values of V4L2_CID_EXPOSURE_AUTO at which the exposure time is the one that is set."""
_UNIT = 1e-4
"""Seconds: of V4L2_CID_EXPOSURE_ABSOLUTE."""


@dataclass(frozen=True)
class ExposureControl:
    """The exposure of a camera as its driver reports it.

    Attributes:
        exposure_time: seconds.
        automatic: whether the camera changes it; many drivers then do not report the present one.
    """

    exposure_time: float
    automatic: bool


def read_exposure(device: str | Path) -> ExposureControl | None:
    """Return what the driver of a device (/dev/video0) reports, None where it reports nothing."""
    time = _control(device, _EXPOSURE_ABSOLUTE)
    if time is None or time <= 0:
        return None
    mode = _control(device, _EXPOSURE_AUTO)
    return ExposureControl(time * _UNIT, mode not in (_MANUAL, _SHUTTER_PRIORITY))


def _control(device: str | Path, number: int) -> int | None:
    try:
        import fcntl
    except ImportError:  # not a Unix
        return None
    try:
        with open(device, "rb", buffering=0) as file:
            answer = fcntl.ioctl(file, _GET_CONTROL, struct.pack("=Ii", number, 0))
    except OSError:
        return None
    return int(struct.unpack("=Ii", answer)[1])
