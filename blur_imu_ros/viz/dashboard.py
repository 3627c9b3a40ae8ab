"""Velocities in a terminal while they are measured."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.axes import MEANING, express
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.series import UNITS, VELOCITIES
from blur_imu_ros.viz.overlay import draw_overlay, without_lens

KEPT = 40
"""Frames shown in the curves."""
BARS = "▁▂▃▄▅▆▇█"
PICTURE_WIDTH = 72
"""Columns of the terminal."""
STYLES = ("red", "green", "blue") * 2
"""Of the axes, as everywhere in ROS."""


class Dashboard:
    """The last measurements as something that rich draws."""

    def __init__(self, axes: Axes = Axes.OPTICAL, picture: bool = False) -> None:
        """Show velocities in `axes`, and with `picture` the image with its motion blur."""
        self._axes, self._picture = axes, picture
        self._past: deque[Array] = deque(maxlen=KEPT)
        self._came: deque[float] = deque(maxlen=KEPT)
        self._last: Measurement | None = None
        self._latency = 0.0
        self.dropped = 0

    @property
    def rate(self) -> float:
        """Frames measured a second, lately."""
        if len(self._came) < 2:
            return 0.0
        return (len(self._came) - 1) / max(self._came[-1] - self._came[0], 1e-9)

    def add(self, measurement: Measurement, now: float, latency: float) -> None:
        """Take a measurement that was finished at `now` (s), `latency` (s) after its image came."""
        estimate = express(measurement.estimate, self._axes)
        self._past.append(estimate.velocity if estimate.valid else np.full(6, np.nan))
        self._came.append(now)
        self._last, self._latency = measurement, latency

    def __rich__(self) -> RenderableType:
        """Return what is shown now."""
        if self._last is None:
            return Text("waiting for the first image ...")
        estimate = express(self._last.estimate, self._axes)
        table = Table(title=MEANING[self._axes], title_justify="left")
        for heading in ("", "now", "1 sigma", "unit"):
            table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        table.add_column(f"last {len(self._past)} frames", min_width=KEPT, no_wrap=True)
        past = np.array(self._past)
        for index, name in enumerate(VELOCITIES):
            value = f"{estimate.velocity[index]:+.2f}" if estimate.valid else "-"
            table.add_row(
                Text(name, style=STYLES[index]),
                Text(value, style="bold"),
                f"{estimate.sigma[index]:.2f}",
                UNITS[index],
                Text(sparkline(past[:, index]), style=STYLES[index]),
            )
        parts: list[RenderableType] = [table, self._status()]
        if self._picture:
            frame, field = self._last.frame, self._last.field
            parts.insert(0, in_blocks(draw_overlay(without_lens(frame), field, None)))
        return Group(*parts)

    def _status(self) -> Text:
        assert self._last is not None
        estimate = self._last.estimate
        if not estimate.valid:
            return Text(f"not valid: {'; '.join(estimate.reasons)}", style="yellow")
        return Text(
            f"{self.rate:.1f} frames/s, {self.dropped} dropped   latency {1e3 * self._latency:.0f} "
            "ms   "
            f"blur {estimate.blur_px:.1f} px   sign right {estimate.direction_probability:.0%}   "
            f"exposure {1e3 * estimate.exposure_time:g} ms"
        )


def sparkline(values: Array) -> str:
    """Return numbers (n,) as n blocks, zero in the middle; a blank where one is not known."""
    reach = max(float(np.nanmax(np.abs(values), initial=0.0)), 0.1)
    level = np.clip((values / reach + 1) / 2 * (len(BARS) - 1), 0, len(BARS) - 1)
    return "".join(" " if np.isnan(x) else BARS[round(float(x))] for x in level)


def in_blocks(image: Image, width: int = PICTURE_WIDTH) -> Text:
    """Return a BGR image (height, width, 3) as coloured half blocks, two pixels in each
    character."""
    rows = max(1, round(width * image.shape[0] / image.shape[1] / 2))
    small = cv2.resize(image, (width, 2 * rows), interpolation=cv2.INTER_AREA)[..., ::-1]
    text = Text(no_wrap=True)
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for (r, g, b), (s, h, c) in zip(upper, lower, strict=True):
            text.append("▀", style=f"rgb({r},{g},{b}) on rgb({s},{h},{c})")
        text.append("\n")
    return text
