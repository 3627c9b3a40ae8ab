"""The words that a user can choose from, declared once; without numpy, so that --help is quick."""

from __future__ import annotations

from enum import Enum
from math import pi

DEFAULT_MODEL = "compact"
"""Model of everything that takes one, unless another is named: commands, node, library."""

BACKENDS = ("auto", "onnx", "torch")
"""What runs a model."""

DEVICES = ("cpu", "cuda", "tensorrt")
"""Where a model runs."""


class Axes(str, Enum):
    """Axes of the six numbers of a velocity.

    optical: OpenCV's camera axes for both velocities.
    body: x forward, y left, z up (REP-103) for both.
    gyro: a phone's gyroscope axes (x up, y left, z backwards) for angular velocity, OpenCV's for
        linear velocity, as in the published curves.
    """

    OPTICAL = "optical"
    BODY = "body"
    GYRO = "gyro"


class MotionPrior(str, Enum):
    """What is assumed of how the camera moves.

    none: nothing; for cameras on robots.
    pivot: it turns about a point at a fixed lever arm; for cameras in hands.
    """

    NONE = "none"
    PIVOT = "pivot"


class Direction(str, Enum):
    """Which neighbours decide the sign of a frame and are fused with it.

    adjacent: the frames before and the next one.
    previous: the frames before.
    smooth: the whole recording.
    none: no frame; each image is measured alone.
    """

    ADJACENT = "adjacent"
    PREVIOUS = "previous"
    SMOOTH = "smooth"
    NONE = "none"


NODE_DIRECTIONS = (Direction.ADJACENT, Direction.PREVIOUS, Direction.NONE)
"""What a node can do, which does not know the whole recording."""

MESSAGE_AXES = (Axes.BODY, Axes.OPTICAL)
"""Axes in which both velocities are, as one message has them."""


class StampReference(str, Enum):
    """Which moment of the exposure a stamp means."""

    START = "start"
    MIDDLE = "middle"
    END = "end"

    def middle(self, stamp: float, exposure_time: float) -> float:
        """Return the middle of the exposure, seconds."""
        shift = {StampReference.START: 0.5, StampReference.MIDDLE: 0.0, StampReference.END: -0.5}
        return stamp + shift[self] * exposure_time


class TruthAxes(str, Enum):
    """Axes of the ground truth: known, or found from the data."""

    OPTICAL = "optical"
    BODY = "body"
    GYRO = "gyro"
    FOUND = "found"

    @property
    def known(self) -> Axes | None:
        """The axes, or None where they are to be found."""
        return None if self is TruthAxes.FOUND else Axes(self.value)


class Unit(str, Enum):
    """Unit of the time, or of the angular velocities, of a ground truth that does not state it."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    RADIANS = "rad"
    DEGREES = "deg"

    @property
    def seconds(self) -> float | None:
        """How long one lasts, None for those of angles."""
        return {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}.get(self.value)

    @property
    def radians(self) -> float | None:
        """How many radians one is, None for those of time."""
        return {"rad": 1.0, "deg": pi / 180}.get(self.value)
