"""Draw what the network reads on the image that it reads it from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.network_view import NetworkView

LINES_ACROSS = 20
LONGEST_COLOURED = 40.0
"""Pixels of the network's view at which the colour scale ends."""
_SUBPIXEL = 4
_BAND = (16, 14, 12)
"""BGR behind the writing."""
_TEXT = cv2.FONT_HERSHEY_SIMPLEX
SHORT = {
    Axes.OPTICAL: "x right, y down, z forward",
    Axes.BODY: "x forward, y left, z up",
    Axes.GYRO: "w: x up, y left, z back; v: x right, y down, z forward",
}
"""The axes in a few words of ASCII, which is what OpenCV can write."""
_COLUMNS = (0.01, 0.17, 0.45, 0.73)
"""Where the columns of text begin, of the width."""


def draw_overlay(
    image: Image,
    field: BlurField | None,
    estimate: VelocityEstimate | None,
    axes: Axes = Axes.OPTICAL,
) -> Image:
    """Return a BGR copy of `image` with the motion blur as line segments and the velocities as
    text.

    Args:
        image: (height, width, 3) BGR or (height, width) grey, the network's view, or the whole
            frame `without_lens`.
        field: what the network read; None draws no segments.
        estimate: expressed in `axes`; None draws no text and no legend.
        axes: those of the estimate.
    """
    grey = image.ndim == 2
    canvas: Image = np.array(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if grey else image, np.uint8)
    if field is not None:
        _draw_segments(canvas, field)
    if estimate is not None:
        if field is not None:
            _draw_legend(canvas)
        _draw_velocities(canvas, estimate, axes)
    return np.asarray(canvas, np.uint8)


def without_lens(frame: Frame) -> Image:
    """Return the frame's image without lens distortion, in its own size: what the motion blur lies
    on."""
    frame = frame.full_size
    camera = frame.camera
    return _undistorting(camera).apply(frame.image) if camera.is_distorted else frame.image


@lru_cache(maxsize=2)
def _undistorting(camera: Camera) -> NetworkView:
    return NetworkView(camera, camera.width, camera.height)


def sparse_cells(field: BlurField) -> tuple[slice, slice]:
    """Return the rows and columns of the cells whose motion blur is shown."""
    every = max(1, round(field.q.shape[1] / LINES_ACROSS))
    return slice(every // 2, None, every), slice(every // 2, None, every)


def _draw_segments(canvas: Image, field: BlurField) -> None:
    """Draw the motion blur of a sparse grid of cells; the less certain, the fainter."""
    scale, shift = _view_to_image(field.camera, canvas.shape[1], canvas.shape[0])
    inner = sparse_cells(field)
    u, v = (c[inner].ravel() for c in field.pixel_grid())
    motion = field.motion[inner].reshape(-1, 2)
    length = np.hypot(motion[:, 0], motion[:, 1])
    colours = colours_of(length)
    sigma = field.sigma[inner].ravel() / field.sigma_scale
    trust = 1 / (1 + (sigma / np.maximum(2.0, 0.4 * length)) ** 2)
    layer = canvas.copy()
    thickness = max(1, round(canvas.shape[1] / 400))
    for order in np.argsort(trust):
        centre = np.array([u[order], v[order]]) * scale + shift
        half = motion[order] * scale / 2
        ends = [
            tuple(int(x) for x in np.round((centre + s * half) * 2**_SUBPIXEL)) for s in (-1, 1)
        ]
        blend = float(trust[order])
        colour = tuple(int(c) for c in colours[order])
        target = canvas if blend > 0.5 else layer
        cv2.line(target, ends[0], ends[1], (0, 0, 0), thickness + 2, cv2.LINE_AA, _SUBPIXEL)
        cv2.line(target, ends[0], ends[1], colour, thickness, cv2.LINE_AA, _SUBPIXEL)
    cv2.addWeighted(canvas, 0.75, layer, 0.25, 0, dst=canvas)


def _view_to_image(view: Camera, width: int, height: int) -> tuple[float, NDArray[Any]]:
    """Return scale and shift from the view's pixels to those of the image it was cut from."""
    scale = min(width / view.width, height / view.height)
    corner = (np.array([width, height]) - scale * np.array([view.width, view.height])) / 2
    return scale, corner + (scale - 1) / 2


def colours_of(length: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a colour (n, 3) BGR for each length (n,) of motion blur, pixels of the network's
    view."""
    level = np.clip(length / LONGEST_COLOURED, 0, 1) ** 0.5 * 255
    mapped = cv2.applyColorMap(level.astype(np.uint8)[:, None], cv2.COLORMAP_TURBO)
    return np.asarray(mapped[:, 0], np.uint8)


def _draw_legend(canvas: Image) -> None:
    """Tell in the upper right corner what the colours of the segments mean."""
    width = canvas.shape[1]
    size = max(0.35, width / 1500)
    line = round(33 * size)
    wide, margin = round(0.2 * width), max(2, width // 100)
    left, top = width - wide - 3 * margin, margin
    box = canvas[top : top + 3 * line, left - margin : width - margin]
    box[:] = (box * 0.35).astype(np.uint8)
    ramp = colours_of(np.linspace(0, LONGEST_COLOURED, wide))
    canvas[top + line + line // 4 : top + 2 * line - line // 4, left : left + wide] = ramp
    _centred(canvas, "motion blur [px of view]", left + wide / 2, top + line * 0.85, size, wide)
    for share in (0.0, 0.25, 0.5, 1.0):
        text = f"{share * LONGEST_COLOURED:g}" + ("+" if share == 1 else "")
        _centred(canvas, text, left + share * wide, top + 2.8 * line, size, wide // 4)


def _centred(canvas: Image, text: str, x: float, y: float, size: float, room: int) -> None:
    """Write white text about `x`, smaller where it would be wider than `room` pixels."""
    natural = cv2.getTextSize(text, _TEXT, 1.0, 1)[0][0]
    size = min(size, room / natural)
    left = min(round(x - size * natural / 2), canvas.shape[1] - round(size * natural) - 1)
    cv2.putText(canvas, text, (left, round(y)), _TEXT, size, (255, 255, 255), 1, cv2.LINE_AA)


def _draw_velocities(canvas: Image, estimate: VelocityEstimate, axes: Axes) -> None:
    rows = [
        ("w [rad/s]", *_cells(estimate.angular_velocity, estimate.sigma[:3])),
        ("v [m/s]", *_cells(estimate.linear_velocity, estimate.sigma[3:])),
        (
            f"blur {estimate.blur_px:.1f} px",
            f"sign right: {estimate.direction_probability:.0%}",
            "+- is 1 sigma",
            SHORT[axes],
        ),
    ]
    both_ends = estimate.autocorrelation
    said = f"{both_ends:.2f}" if both_ends else "not found"
    rows.append(("image", f"agreement of both ends of the blur: {said}"))
    if estimate.single is not None:
        quality = estimate.registration_quality
        pair = (
            f"agreement with previous frame: {quality:.2f}"
            if quality
            else "not registered to previous frame"
        )
        rows.append(("fused", pair))
    if not estimate.valid:
        rows = [("not valid",), *((reason,) for reason in estimate.reasons)]
    _write(canvas, rows)


def _cells(values: NDArray[Any], sigma: NDArray[Any]) -> tuple[str, ...]:
    return tuple(f"{a} {v:+.2f} +- {s:.2f}" for a, v, s in zip("xyz", values, sigma, strict=True))


def _write(canvas: Image, rows: Sequence[tuple[str, ...]]) -> None:
    """Write rows of cells on a dark band at the bottom, in columns, as large as fits the width."""
    width = canvas.shape[1]
    cells = [
        (int(start * width), line, text)
        for line, row in enumerate(rows)
        for start, text in zip(_COLUMNS, row, strict=False)
    ]
    ends = _cell_ends(cells, width)
    natural = [cv2.getTextSize(text, _TEXT, 1.0, 1)[0][0] for _, _, text in cells]
    room = [end - left for (left, _, _), end in zip(cells, ends, strict=True)]
    size = min(max(0.4, width / 1100), *(r / max(n, 1) for r, n in zip(room, natural, strict=True)))
    height = max(1, round(33 * size))
    band = min(canvas.shape[0], height * len(rows) + height // 2)
    # What shows through would cost a video the sharpness of the writing.
    canvas[-band:] = _BAND
    for left, line, text in cells:
        place = (left, canvas.shape[0] - band + height * (line + 1) - height // 8)
        cv2.putText(canvas, text, place, _TEXT, size, (255, 255, 255), 1, cv2.LINE_AA)


def _cell_ends(cells: Sequence[tuple[int, int, str]], width: int) -> list[int]:
    """Return where each cell must end: before the next one of its line, or at the border."""
    after = [*cells[1:], (width, -1, "")]
    margin = round(_COLUMNS[0] * width)
    return [
        (left if line == own else width) - margin
        for (_, own, _), (left, line, _) in zip(cells, after, strict=True)
    ]
