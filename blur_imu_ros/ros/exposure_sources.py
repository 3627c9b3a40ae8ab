"""Where the exposure time of an image comes from: a parameter, or a topic of the camera's
driver."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.errors import FrameError, RosSetupError
from blur_imu_ros.recordings.message_times import seconds

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "100us": 1e-4}
"""Seconds in each unit; 100 us is that of V4L2 and of RealSense's colour stream."""

REMEMBERED = 64
"""Readings kept; about two seconds of a fast camera."""

PATIENCE = 0.02
"""Seconds to wait for the reading of the newest image: drivers send it just after the image."""

SAME_STAMP = 1e-5
"""Seconds within which two stamps are of one exposure."""


class ExposureSource(Protocol):
    """Knows the exposure time of images, or why it does not."""

    name: str

    def exposure_time(self, stamp: float) -> float:
        """Return the exposure time (s) of the image stamped `stamp` (s).

        Raises FrameError with the reason, in words that do not change from image to image.
        """

    def facts(self) -> dict[str, str]:
        """Return what diagnostics show of it."""


class FixedExposure:
    """The same for every image: a camera with manual exposure."""

    name = "fixed"

    def __init__(self, exposure_time: float | None) -> None:
        """Take seconds, or None while it is not known."""
        self._exposure_time = exposure_time

    def exposure_time(self, stamp: float) -> float:
        """See `ExposureSource`."""
        if self._exposure_time is None:
            raise FrameError("the exposure time is not known; set exposure_time (seconds)")
        return self._exposure_time

    def facts(self) -> dict[str, str]:
        """See `ExposureSource`."""
        known = self._exposure_time
        return {"exposure time [ms]": "not known" if known is None else f"{known * 1e3:.3f}"}


@dataclass(frozen=True)
class Reading:
    """An exposure as a message states it; `stamp` (s) is None where it has none."""

    value: float
    stamp: float | None


@dataclass(frozen=True)
class TopicKind:
    """A message that states the exposure.

    Attributes:
        package, message: its type.
        read: returns the reading of a message, or None where it is about something else;
            FrameError if it is malformed.
        unit: a key of `UNITS` where the driver fixes it, else None: the user must say it.
    """

    package: str
    message: str
    read: Callable[[Any], Reading | None]
    unit: str | None


@dataclass(frozen=True)
class _Known:
    """A reading in seconds, and when it came (monotonic, s)."""

    exposure_time: float
    stamp: float | None
    came: float

    def distance(self, stamp: float) -> float:
        """Return the seconds to an image's stamp; without a stamp it is for any image."""
        return 0.0 if self.stamp is None else abs(self.stamp - stamp)

    def reaches(self, stamp: float) -> bool:
        return self.stamp is None or self.stamp > stamp - SAME_STAMP


class TopicExposure:
    """The last message of a topic: nearest in stamp within a tolerance, forgotten after a while."""

    def __init__(self, name: str, topic: str, unit: str, tolerance: float, timeout: float) -> None:
        """Read messages of a kind.

        Args:
            name: a key of `KINDS`.
            topic: for messages to people.
            unit: a key of `UNITS`.
            tolerance: seconds between the stamps of image and reading that are allowed.
            timeout: seconds after its arrival when a reading is forgotten.
        """
        self.name = name
        self._topic, self._read, self._scale = topic, KINDS[name].read, UNITS[unit]
        self._tolerance, self._timeout = tolerance, timeout
        self._known: deque[_Known] = deque(maxlen=REMEMBERED)
        self._complaint = ""
        self._told = threading.Condition()

    def take(self, message: Any) -> None:
        """Remember the content of a message; nonsense is remembered as a complaint."""
        try:
            reading = self._read(message)
            if reading is None:
                return
            exposure_time = check_exposure_time(reading.value * self._scale)
        except FrameError as error:
            self._complaint = f"; the last message was refused: {error}"
            return
        with self._told:
            self._complaint = ""
            self._known.append(_Known(exposure_time, reading.stamp, time.monotonic()))
            self._told.notify_all()

    def exposure_time(self, stamp: float) -> float:
        """See `ExposureSource`."""
        with self._told:
            if self._known:
                self._told.wait_for(lambda: self._known[-1].reaches(stamp), PATIENCE)
            oldest = time.monotonic() - self._timeout
            fresh = [known for known in self._known if known.came >= oldest]
            said = "has stopped" if self._known else "has sent no exposure yet"
        if not fresh:
            raise FrameError(
                f"the exposure time is not known: {self._topic} {said}{self._complaint}"
            )
        nearest = min(reversed(fresh), key=lambda known: known.distance(stamp))
        if nearest.distance(stamp) > self._tolerance:
            raise FrameError(
                f"the exposure time is not known: {self._topic} has no message stamped within "
                f"exposure_tolerance ({self._tolerance:g} s) of the image{self._complaint}"
            )
        return nearest.exposure_time

    def facts(self) -> dict[str, str]:
        """See `ExposureSource`."""
        with self._told:
            newest = self._known[-1] if self._known else None
        if newest is None:
            return {"exposure time [ms]": "not known", "exposure age [s]": "never came"}
        return {
            "exposure time [ms]": f"{newest.exposure_time * 1e3:.3f}",
            "exposure age [s]": f"{time.monotonic() - newest.came:.2f}",
        }


def _stamp(message: Any) -> float | None:
    """Return the stamp of a message's header in seconds; None for zero, which means unknown."""
    return seconds(message.header.stamp) or None


def _from_json(message: Any) -> Reading:
    """Read `actual_exposure` of RealSense's JSON."""
    try:
        content = json.loads(message.json_data)
    except (ValueError, RecursionError) as error:
        raise FrameError("its json_data is not JSON") from error
    value = content.get("actual_exposure") if isinstance(content, dict) else None
    if value is None:
        raise FrameError("its JSON has no actual_exposure")
    return Reading(_number(value), _stamp(message))


def _from_diagnostics(message: Any) -> Reading | None:
    """Read the key ExposureTime; other nodes' diagnostics have none."""
    for status in message.status:
        for pair in status.values:
            if pair.key == "ExposureTime":
                return Reading(_number(pair.value), _stamp(message))
    return None


def _from_time_reference(message: Any) -> Reading:
    """Read the duration in time_ref; the stamp is that of the image."""
    return Reading(seconds(message.time_ref), _stamp(message))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise FrameError(f"exposure {value!r:.40} is not a number") from error


KINDS = {
    "metadata_json": TopicKind("realsense2_camera_msgs", "Metadata", _from_json, None),
    "diagnostics": TopicKind("diagnostic_msgs", "DiagnosticArray", _from_diagnostics, "us"),
    "float64": TopicKind("std_msgs", "Float64", lambda m: Reading(float(m.data), None), None),
    "time_reference": TopicKind("sensor_msgs", "TimeReference", _from_time_reference, "s"),
    "flir": TopicKind(
        "flir_camera_msgs",
        "ImageMetaData",
        lambda m: Reading(float(m.exposure_time), _stamp(m)),
        "us",
    ),
}
"""Exposure sources that are topics, by the value of the parameter exposure_source."""


def message_type(name: str) -> Any:
    """Return the message of a topic source; RosSetupError names the package that is missing."""
    kind = KINDS[name]
    try:
        return getattr(importlib.import_module(f"{kind.package}.msg"), kind.message)
    except (ImportError, AttributeError) as error:
        raise RosSetupError(
            f"exposure_source '{name}' needs the message {kind.package}/{kind.message}, which is "
            f"not installed: install ros-$ROS_DISTRO-{kind.package.replace('_', '-')}"
        ) from error


def unit_of(name: str, unit: str) -> str:
    """Return the unit of a topic source, `auto` being the driver's; RosSetupError if in doubt."""
    fixed = KINDS[name].unit
    if unit == "auto" and fixed is None:
        raise RosSetupError(
            f"exposure_source '{name}' does not define its unit: set exposure_unit to one of "
            f"{', '.join(UNITS)} (RealSense: us for depth and infrared, 100us for colour of a D400)"
        )
    return str(fixed) if unit == "auto" else unit
