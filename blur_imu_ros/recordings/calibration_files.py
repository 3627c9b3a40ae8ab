"""What `blur-imu calibrate` wrote, for those who measure with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blur_imu_ros.choices import StampReference
from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.errors import BlurImuError, CameraError
from blur_imu_ros.recordings.yaml_files import load_yaml

SCALES = (0.01, 100.0)
LARGEST = 1e15
"""More than any clock reads; YAML also knows integers that no float holds."""


@dataclass(frozen=True)
class KnownCalibration:
    """What changes how a recording is measured; the defaults change nothing.

    Attributes:
        exposure_time: seconds, or None.
        time_offset: seconds to add to the camera's stamps; of a log on another clock, any number.
        linear_scale: how much farther away things are than the network takes them to be, and so how
            much faster what parallax tells of linear velocity.
        stamp_reference: moment of the exposure that stamps were taken to refer to when the time
            offset was found; None if that is not stated.
    """

    exposure_time: float | None = None
    time_offset: float = 0.0
    linear_scale: float = 1.0
    stamp_reference: StampReference | None = None

    def offset_for(self, reference: StampReference) -> float | None:
        """Return the time offset (s) where stamps are taken to refer to `reference`; None where it
        was found for another moment, and the time between the two is not known."""
        if self.stamp_reference in (None, reference) or not self.time_offset:
            return self.time_offset
        if self.exposure_time is None:
            return None
        tau = self.exposure_time
        assert self.stamp_reference is not None
        return self.time_offset + self.stamp_reference.middle(0, tau) - reference.middle(0, tau)


def read_calibration(path: Path) -> KnownCalibration:
    """Read a calibration; CameraError names the file, what is wrong with it, and the cure."""
    content = load_yaml(path, "is not a calibration (YAML)")
    known = ("exposure_time", "exposure_scale", "time_offset", "linear_scale")
    if not isinstance(content, dict) or not content.keys() & {*known}:
        raise CameraError(
            f"{path}: is not a calibration: it has none of {', '.join(known)}; write one with "
            "blur-imu calibrate"
        )
    try:
        found = _known({name: _number(content, name) for name in known if name in content})
        return replace(found, stamp_reference=_reference(content.get("stamp_reference")))
    except BlurImuError as error:
        raise CameraError(f"{path}: {error}") from error


def _reference(given: Any) -> StampReference | None:
    try:
        return None if given is None else StampReference(given)
    except ValueError as error:
        known = ", ".join(reference.value for reference in StampReference)
        raise CameraError(f"stamp_reference is {given!r}; use {known}") from error


def _number(content: dict[Any, Any], name: str) -> float:
    value = content[name]
    if type(value) not in (int, float) or not abs(value) <= LARGEST:
        raise CameraError(f"{name} is {value!r}, not a number")
    return float(value)


def _known(values: dict[str, float]) -> KnownCalibration:
    exposure_scale = values.pop("exposure_scale", 1.0)
    _check_scale("exposure_scale", exposure_scale)
    if "exposure_time" not in values and "linear_scale" in values:
        # It was found for the true exposure time, but what is measured will assume the old one.
        values["linear_scale"] /= exposure_scale
    found = KnownCalibration(
        values.get("exposure_time"), values.get("time_offset", 0.0), values.get("linear_scale", 1.0)
    )
    if found.exposure_time is not None:
        check_exposure_time(found.exposure_time)
    _check_scale("linear_scale", found.linear_scale)
    return found


def _check_scale(name: str, scale: float) -> None:
    least, most = SCALES
    if not least <= scale <= most:
        raise CameraError(f"{name} is {scale:g}; use {least:g} to {most:g}")
