"""What stands still in the image while everything else moves: a dashboard, a bonnet, the robot's
own body.

Registration takes it for a scene at rest, and the more texture it has, the surer. Two images cannot
say which of two motions is that of the camera; but what is far or ahead moves as soon as the camera
turns, and what belongs to the camera never does.
"""

from __future__ import annotations

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.registration_view import View

_BLOCK = 4
"""Pixels of a view's finest level; side of the squares that are judged."""
_WINDOW = 3
"""Blocks over which change and texture are averaged."""
_FLICKER = 7
"""Blocks over which a change is one of brightness."""
_TEXTURE = 1.5
"""Grey levels per pixel, below which a change of place hardly shows."""
_STANDS, _MOVES = 0.25, 0.5
"""Pixels by which what stands still seems to move at most, and what moves at least."""
_OTHERS_MOVE = 1.0
"""Pixels by which others must move, so that standing still means something."""
_PAIRS = 10
"""Of images in which that happened, until it is believed."""
_LARGEST_SHARE = 0.45
"""Of the image; if more of it stands still, the rest is what moves."""
_SMALLEST_SHARE = 0.03
"""Of the image, below which a part that stands still does no harm."""
_SMALLEST_WIDTH = 0.5
"""Of the image, in which something moves if the camera does; a passer-by takes up less."""


class StillParts:
    """Finds the parts of the image that belong to the camera, from the frames so far."""

    def __init__(self) -> None:
        """Start without a past."""
        self._before: Array | None = None
        self._hidden: Array | None = None
        self.counts: Array = np.zeros((0, 0), np.int32)
        """(rows, columns) of each block: in how many pairs it stood still while others moved."""

    def forget(self) -> None:
        """Forget the last image, not what was learnt of the camera."""
        self._before = None

    def resume(self, last: View, counts: Array) -> None:
        """Go on after the frame of the view `last` with the counts that there were then."""
        self._before, self.counts = last.levels[0], np.array(counts, np.int32)

    def take(self, view: View) -> Array | None:
        """Take the next image; return which part of it shows the scene: (h, w) bool of its finest
        level, or None if all of it does."""
        image, before = view.levels[0], self._before
        self._before = image
        shape = tuple(side // _BLOCK for side in image.shape)
        if self.counts.shape != shape:
            self.counts = np.zeros(shape, np.int32)
        elif before is not None and before.shape == image.shape:
            self._compare(before, image, view.gradients[0])
        self._hidden = self._found()
        return self.shown(image.shape)

    def shown(self, shape: tuple[int, ...]) -> Array | None:
        """Return the same, by the last image, on a grid (rows, columns) over the view."""
        if self._hidden is None:
            return None
        near = cv2.resize(self._hidden, shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return np.asarray(near == 0)

    def _compare(self, before: Array, image: Array, gradients: Array) -> None:
        change = image - before
        squares = gradients * gradients
        steep2 = _smooth(_blocks(squares[0] + squares[1], self.counts.shape))
        # Less the change of brightness, which is alike over a larger part of the image.
        mean, mean2 = (_blocks(part, self.counts.shape) for part in (change, change * change))
        even = cv2.blur(mean, (_FLICKER, _FLICKER))
        moved2 = _smooth(mean2 - (2 * mean - even) * even)
        textured = steep2 > _TEXTURE**2
        moved = np.sqrt(np.maximum(moved2, 0) / np.maximum(steep2, _TEXTURE**2))
        others = (textured & (moved > _OTHERS_MOVE)).any(axis=0)
        if np.count_nonzero(others) > _SMALLEST_WIDTH * others.size:
            self.counts += textured & (moved < _STANDS)
        self.counts[textured & (moved > _MOVES)] = 0

    def _found(self) -> Array | None:
        """(rows, columns) uint8, 1 for the blocks that belong to the camera; None if none do."""
        still = self.counts >= _PAIRS
        if not still.any():
            return None
        # Between its edges there is little texture, and its outline moves with the scene behind.
        closed = cv2.morphologyEx(still.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9)))
        _, parts, found, _ = cv2.connectedComponentsWithStats(closed)
        rows, columns = closed.shape
        left, top, width, height, size = found.T
        # The camera's own body comes in from outside.
        inside = (left > 1) & (top > 1) & (left + width < columns - 1) & (top + height < rows - 1)
        own = ~inside & (size >= _SMALLEST_SHARE * closed.size)
        own[0] = False
        hidden = own[parts].astype(np.uint8)
        if not 0 < np.mean(hidden) <= _LARGEST_SHARE:
            return None
        return cv2.dilate(hidden, np.ones((5, 5)))


def _blocks(values: Array, shape: tuple[int, ...]) -> Array:
    """Return means (rows, columns) over the blocks of an image."""
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=cv2.INTER_AREA))


def _smooth(blocks: Array) -> Array:
    return np.asarray(cv2.blur(blocks, (_WINDOW, _WINDOW)))
