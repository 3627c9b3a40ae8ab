"""What is shown beneath the overlay video: depth in colours, and the velocities of the last
seconds."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.estimate import VelocityEstimate

HEIGHT = 0.34
"""Of the panel, of the image's."""
SECONDS = 3.0
"""Shown of the velocities."""
NEAR = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Metres at which the colours of depth may end."""
LIMITS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
"""rad/s or m/s at which the curves may end."""

BACKGROUND, GRID, WRITING, FAINT = (28, 24, 22), (78, 70, 64), (230, 230, 230), (150, 150, 150)
AXES = {"x": (90, 90, 240), "y": (110, 200, 90), "z": (245, 160, 80)}
"""Colours (BGR) of the axes: red, green, blue, as everywhere in ROS."""
_TEXT = cv2.FONT_HERSHEY_SIMPLEX


class OverlayPanel:
    """Draws the panel of one frame after the other; it remembers the last seconds."""

    def __init__(self, width: int, height: int) -> None:
        """Prepare for images of `width` by `height` pixels; the panel is as wide."""
        self.width = width
        self.height = max(64, 2 * round(HEIGHT * height / 2))
        self._text = min(self.height / 400, self.width / 1200)  # upright images are narrow
        self._thick = max(3, self.height // 40)
        self._past: deque[tuple[float, NDArray[Any]]] = deque()
        self._near: float | None = None
        self._start: float | None = None

    def draw(self, estimate: VelocityEstimate, field: BlurField | None) -> Image:
        """Return the panel (height, width, 3) BGR that goes with a frame."""
        canvas = np.full((self.height, self.width, 3), BACKGROUND, np.uint8)
        self._remember(estimate)
        left = self._draw_depth(canvas, field)
        middle = left + (self.width - left) // 2
        velocities = np.array([velocity for _, velocity in self._past])
        for first, right, name in ((0, middle, "w [rad/s]"), (3, self.width, "v [m/s]")):
            begin = left if first == 0 else middle
            columns = [*range(first, first + 3), *range(first + 6, first + 9)]
            self._draw_curves(canvas, velocities[:, columns], begin, right, name)
        return canvas

    def _remember(self, estimate: VelocityEstimate) -> None:
        if self._start is None:
            self._start = estimate.t
        if self._past and estimate.t <= self._past[-1][0]:
            self._past.clear()  # a recording that begins anew
        unknown = np.full(6, np.nan)
        velocity = estimate.velocity if estimate.valid else unknown
        single = unknown if estimate.single is None else estimate.single
        self._past.append((estimate.t, np.concatenate([velocity, single])))
        while self._past[-1][0] - self._past[0][0] > SECONDS:
            self._past.popleft()

    def _draw_depth(self, canvas: Image, field: BlurField | None) -> int:
        """Draw the depth at the left, linear in its inverse as perspective is; return where it
        ends."""
        room = (self.width // 3, self.height - 2 * self._thick - round(40 * self._text))
        if field is None:
            return room[0]
        scale = min(room[0] / field.camera.width, room[1] / field.camera.height)
        size = (int(field.camera.width * scale), int(field.camera.height * scale))
        near = self._nearest(field)
        picture = depth_in_colours(field.inverse_depth, near)
        canvas[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        self._draw_scale(canvas, near, size)
        return size[0]

    def _draw_scale(self, canvas: Image, near: float, size: tuple[int, int]) -> None:
        """Draw what the colours mean beneath the depth: from infinity to `near` metres."""
        width, top = size
        margin, thick = width // 12, self._thick
        ramp = np.linspace(0, 1 / near, width - 2 * margin)[None]
        canvas[top + thick : top + 2 * thick, margin : width - margin] = depth_in_colours(
            ramp, near
        )
        labels = {0.0: "depth: far", 0.5: f"{2 * near:g} m", 1.0: f"{near:g} m"}
        if sum(map(self._width, labels.values())) > width:  # beneath an upright image
            labels = {0.0: "far", 1.0: f"{near:g} m"}
        for share, text in labels.items():
            place = margin + share * (width - 2 * margin)
            self._write(canvas, text, place, top + 2 * thick + 34 * self._text, WRITING, 0.5)

    def _nearest(self, field: BlurField) -> float:
        """Return the distance (m) at which the colours end: the same in all frames."""
        if self._near is None:
            closest = float(np.percentile(field.inverse_depth, 95))
            self._near = max((near for near in NEAR if 1 / near >= closest), default=NEAR[0])
        return self._near

    def _draw_curves(
        self, canvas: Image, values: NDArray[Any], left: int, right: int, name: str
    ) -> None:
        """Draw (n, 6) velocities of the frames remembered between two columns of the canvas.

        The first three as fused, the others, thin, of each image alone.
        """
        pad = round(36 * self._text)
        top, bottom, begin, end = pad, self.height - pad, left + pad, right - pad
        largest = float(np.nanmax(np.abs(values[:, :3]), initial=0.0))
        limit = min((x for x in LIMITS if x >= 1.05 * largest), default=LIMITS[-1])
        for share in (-1, 0, 1):
            line = round((top + bottom) / 2 - share * (bottom - top) / 2)
            cv2.line(canvas, (begin, line), (end, line), GRID, 1)
            label = "0" if share == 0 else f"{share * limit:+g}"
            self._write(canvas, label, begin, line - 6 * self._text, WRITING, 0.0)
        times = np.array([t for t, _ in self._past])
        self._draw_seconds(canvas, float(times[-1]), (begin, end), (top, bottom))
        x = end - (times[-1] - times) / SECONDS * (end - begin)
        y = (top + bottom) / 2 - np.clip(values / limit, -1, 1) * (bottom - top) / 2
        for axis, colour in enumerate(AXES.values()):
            faint = np.array(colour) * 0.6 + np.array(BACKGROUND) * 0.4
            _curve(canvas, x, y[:, 3 + axis], (int(faint[0]), int(faint[1]), int(faint[2])), 1)
        for axis, colour in enumerate(AXES.values()):
            _curve(canvas, x, y[:, axis], colour, max(1, self.height // 110))
        if np.isfinite(values[:, 3:]).any():
            beneath = bottom - 8 * self._text
            self._write(canvas, "thin: image alone", begin + 70 * self._text, beneath, FAINT, 0.0)
        place = begin + (end - begin) * 0.3
        self._write(canvas, name, place, top - 6 * self._text, WRITING, 0.0)
        for index, (axis_name, colour) in enumerate(AXES.items()):
            at = end - (2.5 - index) * 34 * self._text
            self._write(canvas, axis_name, at, top - 6 * self._text, colour, 0.5)

    def _draw_seconds(
        self, canvas: Image, now: float, across: tuple[int, int], down: tuple[int, int]
    ) -> None:
        """Draw a line at each whole second since the recording's start, with its number."""
        assert self._start is not None
        since = now - self._start
        for second in range(max(0, math.ceil(since - SECONDS)), math.floor(since) + 1):
            x = round(across[1] - (since - second) / SECONDS * (across[1] - across[0]))
            cv2.line(canvas, (x, down[0]), (x, down[1]), GRID, 1)
            self._write(canvas, f"{second} s", x, down[1] + 30 * self._text, WRITING, 0.5)

    def _width(self, text: str) -> int:
        return int(cv2.getTextSize(text, _TEXT, self._text, 1)[0][0])

    def _write(
        self, canvas: Image, text: str, x: float, y: float, colour: Any, centred: float
    ) -> None:
        """Write text on a line at `y`, `centred` (0 to 1) of its width to the left of `x`."""
        place = max(2, round(x - centred * self._width(text))), round(y)
        cv2.putText(canvas, text, place, _TEXT, self._text, colour, 1, cv2.LINE_AA)


def depth_in_colours(inverse_depth: NDArray[Any], near: float) -> Image:
    """Return inverse depth (rows, columns), 1/m, in colours that end at `near` metres."""
    level = np.clip(inverse_depth * near, 0, 1) * 255
    return np.asarray(cv2.applyColorMap(level.astype(np.uint8), cv2.COLORMAP_INFERNO), np.uint8)


def _curve(
    canvas: Image, x: NDArray[Any], y: NDArray[Any], colour: tuple[int, int, int], thickness: int
) -> None:
    """Draw a curve with a dot at its end; it is broken where `y` is not a number."""
    points = np.stack([x, y], axis=1)
    for part in np.split(points, np.flatnonzero(np.isnan(y))):
        known = part[~np.isnan(part[:, 1])]
        fixed = np.round(known * 16).astype(np.int32)[:, None]
        cv2.polylines(canvas, [fixed], False, colour, thickness, cv2.LINE_AA, 4)
    if np.isfinite(y[-1]):
        end = round(float(x[-1])), round(float(y[-1]))
        cv2.circle(canvas, end, 2 * thickness, colour, -1, cv2.LINE_AA)
