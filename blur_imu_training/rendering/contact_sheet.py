"""Look at what is learned from: a grid of samples with the true motion blur drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.file_names import natural_order
from blur_imu_ros.recordings.images import IMAGE_SUFFIXES
from blur_imu_ros.viz.overlay import draw_overlay
from blur_imu_training.rendering.samples import STRIDE, BlurredSample

GAP = 4
"""Pixels between pictures."""


def contact_sheet(samples: Sequence[BlurredSample], columns: int, real: Sequence[Image]) -> Image:
    """Return a BGR sheet: each sample plain and, below, with its ground truth; real frames in the
    last row.

    Args:
        samples: all of one size.
        columns: pictures in a row.
        real: frames to compare with, of any size.
    """
    height, width = samples[0].image.shape[:2]
    rows: list[Image] = []
    for first in range(0, len(samples), columns):
        row = samples[first : first + columns]
        rows.append(_row([s.image for s in row], columns, width, height))
        rows.append(_row([drawn(s) for s in row], columns, width, height))
    for first in range(0, len(real), columns):
        rows.append(_row(real[first : first + columns], columns, width, height))
    return np.concatenate(rows)


def drawn(sample: BlurredSample) -> Image:
    """Return the picture with its true motion blur as line segments."""
    certain = np.zeros(sample.inverse_depth.shape)
    q = double_angle(sample.field)
    field = BlurField(q, certain, sample.inverse_depth, certain, sample.camera, STRIDE)
    return draw_overlay(sample.image, field, None)


def _row(pictures: Sequence[Image], columns: int, width: int, height: int) -> Image:
    row = np.full((height + GAP, columns * (width + GAP), 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        left = number * (width + GAP)
        row[:height, left : left + width] = filled(picture, width, height)
    return row


def filled(picture: Image, width: int, height: int) -> Image:
    """Return the picture as the network sees it in a view of `width` x `height`."""
    rows, columns = picture.shape[:2]
    # The focal length does not matter: nothing is undistorted.
    camera = Camera(columns, rows, columns, columns, columns / 2, rows / 2)
    return NetworkView(camera, width, height).apply(picture)


def read_real_frames(folder: Path, count: int) -> list[Image]:
    """Return `count` images spread over a folder; RecordingError if it holds none."""
    if not folder.is_dir():
        raise RecordingError(f"{folder}: is not a folder of images")
    paths = sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_order
    )
    chosen = [paths[round(i)] for i in np.linspace(0, len(paths) - 1, min(count, len(paths)))]
    images = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in chosen]
    usable = [np.asarray(image, np.uint8) for image in images if image is not None]
    if not usable:
        raise RecordingError(f"{folder}: holds no readable images")
    return usable


def write_sheet(path: Path, sheet: Image) -> None:
    """Write the sheet as an image; RecordingError if it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), sheet)
    except (OSError, cv2.error) as error:
        raise RecordingError(f"{path}: cannot be written: use a name that ends in .png") from error
    if not written:
        raise RecordingError(f"{path}: cannot be written")
