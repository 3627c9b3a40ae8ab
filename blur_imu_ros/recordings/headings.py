"""What the headings of a log mean: name, axis and unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blur_imu_ros.choices import Unit

WEB = "rotation rate of a browser"
SECONDS = {unit.value: unit.seconds for unit in Unit if unit.seconds is not None}
"""How long a unit of time lasts, the longest first."""
_RADIANS = {
    "rad/s": 1.0,
    "deg/s": np.pi / 180,
    "mdeg/s": np.pi / 180e3,
    "rpm": np.pi / 30,
}
_SPELLINGS = (
    (r"[\s·*^().]|-1$|⁻¹$", ""),
    (r"(?<=.)per(?=s)|(?<=rad)(?=s)|(?<=deg)(?=s)|p(?=s$)", "/"),
    (r"millis(ec(ond)?s?)?$|m(illi)?sec(ond)?s?$|мс$", "ms"),
    (r"micros(ec(ond)?s?)?$|[uµμ]sec(ond)?s?$|[µμ]s$|мкс$", "us"),
    (r"nanos(ec(ond)?s?)?$|nsec(ond)?s?$|нс$", "ns"),
    (r"sec(ond)?s?$|(?<![a-z])с$|秒$", "s"),
    (r"^rad(ian)?s?/|^рад/", "rad/"),
    (r"^(deg(ree)?s?|grad|[°º]|d(?=/)|град)/?(?=[/s])", "deg/"),
    (r"^m(deg|d)/", "mdeg/"),
    (r"//+", "/"),
)
"""What units are called, in small letters, and what they become one after the other."""
_NAMED_AXES = (
    (
        {"x": r"roll ?(rate|speed)", "y": r"pitch ?(rate|speed)", "z": r"yaw ?(rate|speed)"},
        "rotation rate",
    ),
    # Of browsers: about z, x and y (W3C DeviceMotion), in degrees.
    (
        {
            "z": r"rotation ?rate ?alpha",
            "x": r"rotation ?rate ?beta",
            "y": r"rotation ?rate ?gamma",
        },
        WEB,
    ),
)
"""Words for axes, and what is left of the name."""
_BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
_TRAILING_UNIT = re.compile(
    r"[ _](?:in )?(ns|us|ms|s|rad[ _]?p?e?r?[ _]?s|deg[ _]?p?e?r?[ _]?s|dps)$"
)


@dataclass(frozen=True)
class Heading:
    """One heading.

    Attributes:
        index: of the column.
        stem: its name in small letters, words and numbers only, without axis and unit.
        axis: "x", "y", "z", or empty.
        unit: a unit of `SECONDS` or `_RADIANS`, another in its own spelling, or empty.
    """

    index: int
    stem: str
    axis: str
    unit: str

    @property
    def seconds(self) -> float | None:
        """How long one unit lasts, None for what is no time; a column may be called by its unit."""
        return SECONDS.get(self.unit or canonical_unit(self.stem))

    @property
    def radians(self) -> float | None:
        """How many rad/s one unit is, None for what is not an angular velocity."""
        return _RADIANS.get(self.unit)


def parsed(names: Sequence[str]) -> list[Heading]:
    """Return what headings mean."""
    return [_parsed(index, name) for index, name in enumerate(names)]


def _parsed(index: int, name: str) -> Heading:
    text, unit, axis = name.lower().lstrip("#%_ "), "", ""
    for inside in _BRACKETS.findall(text):
        if inside.strip() in ("0", "1", "2"):
            axis = "xyz"[int(inside)]
        elif inside.strip() in ("x", "y", "z"):
            axis = inside.strip()
        else:
            unit = unit or canonical_unit(inside)
    text = re.sub(r"[\W_]+", " ", _BRACKETS.sub(" ", text)).strip()
    trailing = _TRAILING_UNIT.search(text)
    if trailing and not unit:
        unit, text = canonical_unit(trailing[1]), text[: trailing.start()]
    if not axis:
        text, axis = _axis_of(text)
    return Heading(index, text.strip(), axis, unit)


def _axis_of(text: str) -> tuple[str, str]:
    """Return a name without its axis, and the axis."""
    for names, stem in _NAMED_AXES:
        for axis, name in names.items():
            if re.search(rf"(^|\W){name}$", text):
                return stem, axis
    for place in (r" ?\b([xyz])$", r"^([xyz])( axis)? ", r" ([xyz])( axis)?(?= |$)", r"([xyz])$"):
        found = re.search(place, text)
        if found:
            return (text[: found.start()] + text[found.end() :]).strip(), found[1]
    return text, ""


def canonical_unit(text: str) -> str:
    """Return a unit as `SECONDS` and `_RADIANS` spell it, as far as it is one of them."""
    text = text.strip().lower().replace("_", "")
    for spelling, canonical in _SPELLINGS:
        text = re.sub(spelling, canonical, text)
    return text
