"""Sizes of the views of a network that takes images of any size.

A view of a fixed shape shows two thirds of a wide video, and two fifths of one that is held
upright. So the view follows the shape of the image, at about the same number of pixels.
"""

from __future__ import annotations

from blur_imu_ros.core.camera import Camera

MULTIPLE = 32
"""Pixels; our networks halve an image five times."""

LONGEST_SHAPE = 2.5
"""Longer over shorter side of a view; of an image that is longer, the middle is shown."""

Size = tuple[int, int]
"""Width and height, pixels."""


def in_shape_of(camera: Camera, size: Size) -> Size:
    """Return the size of as many pixels as `size` that suits the shape of a camera's image."""
    shape = min(max(camera.width / camera.height, 1 / LONGEST_SHAPE), LONGEST_SHAPE)
    pixels = size[0] * size[1]
    return _whole((pixels * shape) ** 0.5), _whole((pixels / shape) ** 0.5)


def smaller(view: Size, full: Size, smaller_than_full: Size) -> Size:
    """Return the size that is to `view` as a smaller view is to the full one."""
    ratios = (small / large for small, large in zip(smaller_than_full, full, strict=True))
    width, height = (_whole(side * ratio) for side, ratio in zip(view, ratios, strict=True))
    return width, height


def _whole(side: float) -> int:
    return max(1, round(side / MULTIPLE)) * MULTIPLE
