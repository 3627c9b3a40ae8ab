"""Draw what the network reads on the image that it reads it from."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.blur_field import BlurField
from blur_imu_ros.camera import Camera
from blur_imu_ros.estimate import VelocityEstimate

Image = NDArray[np.uint8]

LINES_ACROSS = 20
LONGEST_COLOURED = 40.0
"""Pixels of the network's view at which the colour scale ends."""
_SUBPIXEL = 4
_TEXT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(image: Image, field: BlurField | None, estimate: VelocityEstimate | None) -> Image:
    """Return a BGR copy of `image` with the smear as line segments and the velocities as text.

    Args:
        image: (height, width, 3) BGR or (height, width) grey, the whole frame or the network's view.
        field: what the network read; None draws no segments.
        estimate: in OpenCV axes; None draws no text.
    """
    grey = image.ndim == 2
    canvas: Image = np.array(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if grey else image, np.uint8)
    if field is not None:
        _draw_segments(canvas, field)
    if estimate is not None:
        _draw_velocities(canvas, estimate)
    return np.asarray(canvas, np.uint8)


def _draw_segments(canvas: Image, field: BlurField) -> None:
    """Draw the smear of a sparse grid of cells; the less certain, the fainter."""
    scale, shift = _view_to_image(field.camera, canvas.shape[1], canvas.shape[0])
    every = max(1, round(field.q.shape[1] / LINES_ACROSS))
    inner = (slice(every // 2, None, every), slice(every // 2, None, every))
    u, v = (c[inner].ravel() for c in field.pixel_grid())
    motion = field.motion[inner].reshape(-1, 2)
    length = np.hypot(motion[:, 0], motion[:, 1])
    colours = _colours(length)
    trust = 1 / (1 + (field.sigma[inner].ravel() / np.maximum(2.0, 0.4 * length)) ** 2)
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


def _colours(length: NDArray[Any]) -> NDArray[np.uint8]:
    level = np.clip(length / LONGEST_COLOURED, 0, 1) ** 0.5 * 255
    mapped = cv2.applyColorMap(level.astype(np.uint8)[:, None], cv2.COLORMAP_TURBO)
    return np.asarray(mapped[:, 0], np.uint8)


def _draw_velocities(canvas: Image, estimate: VelocityEstimate) -> None:
    size = max(0.4, canvas.shape[1] / 1100)
    line = round(26 * size)
    rows = [
        _row("w", "rad/s", estimate.angular_velocity, estimate.sigma[:3]),
        _row("v", "m/s", estimate.linear_velocity, estimate.sigma[3:]),
    ]
    if not estimate.valid:
        rows = ["not valid: " + "; ".join(estimate.reasons)]
    height = line * len(rows) + line // 2
    canvas[-height:] = (canvas[-height:] * 0.35).astype(np.uint8)
    for index, text in enumerate(rows):
        place = (line // 2, canvas.shape[0] - height + line * (index + 1) - line // 6)
        cv2.putText(canvas, text, place, _TEXT, size, (255, 255, 255), 1, cv2.LINE_AA)


def _row(name: str, unit: str, values: NDArray[Any], sigma: NDArray[Any]) -> str:
    parts = [f"{a} {v:+6.2f} +-{s:.2f}" for a, v, s in zip("xyz", values, sigma, strict=True)]
    return f"{name} [{unit}]  " + "   ".join(parts)
