"""Keys of calibrations, whatever their spelling, and which of them were understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from blur_imu_ros.core.camera import COEFFICIENTS, lens_name
from blur_imu_ros.errors import CameraError

EXPECTED = "image_width, image_height, fx, fy, cx, cy"
"""Of a flat camera file."""

KINDS = "what ROS, OpenCV, Kalibr, EuRoC, ORB-SLAM, VINS, Basalt or COLMAP (cameras.txt) write"

_MAY_NAME_A_LENS = re.compile(r".*(model|type|lens|projection|fisheye|distortion).*")
_FOREIGN_LENS = re.compile(
    r"(distortion[._])?(inverse[ _]?brown[ _]?conrady|f[ _]?theta|fov|atan|division|scaramuzza"
    r"|ocam(calib)?|fisheye[ _]?624|(rad[ _]?tan[ _]?)?thin[ _]?prism([ _]?fisheye)?)"
)
"""Lenses of other programs, which are refused, in whatever key they are named."""
_YES = ("true", "yes", "on", "1")
_OF_A_LENS = re.compile(
    r"[kpds]\d|r\d|xi|alpha|beta|.*dist.*|.*coef.*|.*mirror.*|.*lens.*|poly.*|inv_?poly.*"
)
"""Keys that would be left out at the cost of wrong numbers."""


class Keys:
    """The keys of a camera by their letters and digits alone, and which of them were asked for."""

    def __init__(self, content: Mapping[Any, Any]) -> None:
        self._values = {re.sub(r"[^a-z0-9]", "", str(k).lower()): v for k, v in content.items()}
        self._used: set[str] = set()

    def get(self, names: Iterable[str]) -> Any:
        """Return the value of the first of the names that is there, or None."""
        for name in names:
            if self._values.get(name) is not None:
                self._used.add(name)
                return self._values[name]
        return None

    def has(self, names: Iterable[str]) -> bool:
        """Return whether one of the names is there."""
        return any(self._values.get(name) is not None for name in names)

    def number(self, names: Iterable[str], shown: str) -> float:
        """Return a number; CameraError says what is missing."""
        value = self.get(names)
        if value is None:
            raise CameraError(f"lacks {shown}; expected {EXPECTED}, or {KINDS}")
        return as_number(value, shown)

    def unfold(self, names: Iterable[str]) -> dict[str, Any]:
        """Take the keys of inner dicts for ours; return these dicts."""
        unfolded = {}
        for name in names:
            inner = self._values.get(name)
            if isinstance(inner, dict) and "data" not in inner:
                unfolded[name] = self._values.pop(name)
                self._values |= Keys(inner)._values
        return unfolded

    def lenses(self) -> list[str]:
        """Return the names of lenses that texts say, and `fisheye` where that is true."""
        found = []
        for name, value in self._values.items():
            if not _MAY_NAME_A_LENS.fullmatch(name):
                continue
            if "fisheye" in name and str(value).strip().lower() in _YES:
                found.append("fisheye")
            elif isinstance(value, str) and (
                lens_name(value) in COEFFICIENTS or _FOREIGN_LENS.fullmatch(value.strip().lower())
            ):
                found.append(value)
        return found

    def refuse_unused(self) -> None:
        """Refuse keys of a lens that were not asked for, unless they are zero."""
        for name, value in self._values.items():
            if name not in self._used and _OF_A_LENS.fullmatch(name) and _tells_numbers(value):
                raise CameraError(
                    f"{name} seems to describe the lens and is not understood; give "
                    "distortion_model and distortion_coefficients"
                )


def _tells_numbers(value: Any) -> bool:
    """Return whether there are numbers that are not zero in a value, at any depth."""
    if isinstance(value, dict):
        return any(map(_tells_numbers, value.values()))
    if isinstance(value, list):
        return any(map(_tells_numbers, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0


def flattened(given: Any, name: str) -> list[Any]:
    """Return the numbers of a list, of rows, or of the `data` of a matrix; CameraError names what
    is none."""
    listed = given.get("data") if isinstance(given, dict) else given
    if isinstance(listed, str):
        listed = re.split(r"[\s,;]+", listed.strip(" []()"))
    if not isinstance(listed, list):
        missing = (
            "it lacks data, the list of numbers" if listed is None else "not a list of numbers"
        )
        raise CameraError(f"{name} is {given!r}, {missing}")
    return [x for row in listed for x in (row if isinstance(row, list) else [row])]


def as_number(value: Any, name: str) -> float:
    """Return a number; CameraError names what is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(f"{name} is {value!r}, not a number") from error
