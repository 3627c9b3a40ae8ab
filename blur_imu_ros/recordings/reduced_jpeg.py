"""JPEGs decoded at a half, quarter or eighth of their size, where a smaller view needs no more.

The decoder leaves out the high frequencies of each block of 8x8 pixels, which is the mean over
2x2, 4x4 or 8x8 pixels but for a little sharpness, and costs less than to decode them all.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.recordings.image_messages import mosaic_of, whole_image

_FLAGS = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_APP1 = 0xE1


def reduced(data: bytes, camera: Camera, view: tuple[int, int]) -> tuple[Image, Camera] | None:
    """Return a JPEG as small as fills a view, with its camera; None where it has to be whole.

    Args:
        data: of an image file.
        camera: calibration of the whole image.
        view: (width, height) that must be filled, pixels.
    """
    factor = reduction(camera, view)
    if factor == 1 or not _is_as_expected(data, camera, factor):
        return None
    whole = np.frombuffer(whole_image(data), np.uint8)
    try:
        image = cv2.imdecode(whole, _FLAGS[factor]) if len(whole) else None
    except cv2.error:
        return None
    smaller = camera.reduced(factor)
    if image is None or image.shape[:2] != (smaller.height, smaller.width):
        return None
    return np.asarray(image, np.uint8), smaller


def reduced_message(
    message: Any, camera: Camera, view: tuple[int, int] | None
) -> tuple[Image, Camera] | None:
    """Return the same of an image message of ROS, None where that is not a JPEG in colour or
    grey."""
    if view is None or reduction(camera, view) == 1:
        return None
    if hasattr(message, "encoding") or mosaic_of(message.format) is not None:
        return None
    return reduced(bytes(message.data), camera, view)


def reduction(camera: Camera, view: tuple[int, int]) -> int:
    """Return by how much an image may be reduced and still fill the view."""
    larger = min(camera.width / view[0], camera.height / view[1])
    return next((factor for factor in (8, 4, 2) if larger >= factor), 1)


def _is_as_expected(data: bytes, camera: Camera, factor: int) -> bool:
    """Whether data is a JPEG of 8 bits and the camera's size, at whose borders nothing is lost.

    Where a side is not a multiple of the factor, the last pixel is that of a border that is partly
    made up; an orientation tag may turn it to the other side.
    """
    size, has_tags = _told_by_header(data)
    if not has_tags:
        return size == (camera.width, camera.height)
    multiple = camera.width % factor == camera.height % factor == 0
    return multiple and size in ((camera.width, camera.height), (camera.height, camera.width))


def _told_by_header(data: bytes) -> tuple[tuple[int, int] | None, bool]:
    """Return (width, height) of a JPEG of 8 bits, None of others, and whether EXIF tags precede."""
    at, has_tags = 2, False
    if not data.startswith(b"\xff\xd8"):
        return None, False
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # Any number of them may fill the space before a marker.
            at += 1
            continue
        if marker in _START_OF_FRAME:
            height, width = (int.from_bytes(data[at + k : at + k + 2], "big") for k in (5, 7))
            return ((width, height) if data[at + 4] == 8 else None), has_tags
        has_tags |= marker == _APP1
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None, has_tags
