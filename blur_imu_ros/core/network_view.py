"""The way from a camera's image to the network's view of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.lens import WIDE, pixels_of_rays
from blur_imu_ros.errors import CameraError

_OUTSIDE = -1e5
"""Pixel of rays that the lens does not show."""

_COARSEST = 1.75
"""Pixels of an image for one that is interpolated; of more some would count for nothing."""

LARGEST_SCALED_SIDE = 8192
"""Pixels of an image that is scaled to fill the network's view."""


@dataclass(frozen=True)
class NetworkView:
    """What the network sees of a camera: undistorted, scaled to fill `width` x `height`, cropped.

    The scale is the same in both directions, so blur keeps its direction; the crop is central.
    """

    source: Camera
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse a strip of an image: filling the view would take memory without end."""
        if max(self._scaled_size) > LARGEST_SCALED_SIDE:
            raise CameraError(
                f"camera image {self.source.width}x{self.source.height} is too narrow a strip to "
                f"fill the network's view of {self.width}x{self.height}"
            )

    @property
    def _scaled_size(self) -> tuple[int, int]:
        scale = max(self.width / self.source.width, self.height / self.source.height)
        return (
            max(self.width, round(self.source.width * scale)),
            max(self.height, round(self.source.height * scale)),
        )

    @property
    def _corner(self) -> tuple[int, int]:
        width, height = self._scaled_size
        return (width - self.width) // 2, (height - self.height) // 2

    @cached_property
    def camera(self) -> Camera:
        """Pinhole of the view."""
        left, top = self._corner
        scaled = self.source.undistorted().resized(*self._scaled_size)
        return scaled.cropped(left, top, self.width, self.height)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view of `image`: (height, width[, 3]) uint8, channels as given."""
        scaled = _scaled(image, *self._scaled_size)
        if self.source.is_distorted:
            return np.asarray(
                cv2.remap(scaled, *self._undistortion_maps, cv2.INTER_LINEAR), np.uint8
            )
        left, top = self._corner
        return np.asarray(scaled[top : top + self.height, left : left + self.width], np.uint8)

    @cached_property
    def _undistortion_maps(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Where in the scaled, still distorted image each pixel of the view comes from."""
        lens = self.source.resized(*self._scaled_size)
        size = (self.width, self.height)
        if lens.distortion_model in WIDE:
            u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
            with np.errstate(all="ignore"):
                shown = np.stack(pixels_of_rays(lens, *self.camera.normalised(u, v)))
            maps = np.nan_to_num(shown, nan=_OUTSIDE).clip(_OUTSIDE, -_OUTSIDE).astype(np.float32)
            return maps[0], maps[1]
        model = cv2.fisheye if lens.distortion_model == "equidistant" else cv2
        maps = model.initUndistortRectifyMap(
            lens.matrix, lens.coefficients, np.eye(3), self.camera.matrix, size, cv2.CV_16SC2
        )
        return maps[0], maps[1]


def _scaled(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return the image at another size, every pixel the mean of the area that it covers.

    Only halves are fast as means of areas, ten times as fast as other fractions. So the image is
    interpolated to a multiple of the size that is near its own, and that is halved.
    """
    rows, columns = image.shape[:2]
    while rows % 2 == columns % 2 == 0 and min(columns / width, rows / height) >= 2 * _COARSEST:
        rows, columns = rows // 2, columns // 2
        image = _resized(image, columns, rows, cv2.INTER_AREA)
    multiple = 1
    while min(columns / width, rows / height) >= _COARSEST * multiple:
        multiple *= 2
    image = _resized(image, multiple * width, multiple * height, cv2.INTER_LINEAR)
    while multiple > 1:
        multiple //= 2
        image = _resized(image, multiple * width, multiple * height, cv2.INTER_AREA)
    return image


def _resized(image: NDArray[np.uint8], width: int, height: int, method: int) -> NDArray[np.uint8]:
    if image.shape[1::-1] == (width, height):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
