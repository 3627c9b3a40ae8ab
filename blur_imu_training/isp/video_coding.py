"""What a video's intra-coded frames lose, as H.264 loses it: for arrays and tensors alike.

Blocks of 4 x 4 or 8 x 8 whose frequencies all have the same step, small ones rounded to nothing, at
half the colour resolution; then edges between blocks are smoothed where they are no edges of the
picture (ITU-T H.264, 8.7). There is no prediction: it saves bits, and what it leaves is rounded
with the same steps.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_training.isp.parameters import VideoCoding

CHROMA_BLOCK, MACROBLOCK = 8, 16
"""Pixels. The means of four blocks of colour are coded together, as if they were one of 8 x 8."""

NO_COLOUR = 128
"""Colours are rounded as what they differ from it, so that grey stays grey."""

DEAD_ZONE = 1 / 6
"""Steps that a frequency is read as smaller before it is rounded, as encoders do to save bits."""


def video_coded(picture: NDArray[np.uint8], video: VideoCoding) -> NDArray[np.uint8]:
    """Return a BGR picture as it comes out of a video."""
    height, width = picture.shape[:2]
    below, beside = -height % MACROBLOCK, -width % MACROBLOCK
    padded = cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    luma, *chroma = cv2.split(cv2.cvtColor(padded, cv2.COLOR_BGR2YCrCb))
    size = (luma.shape[1], luma.shape[0])
    half = (size[0] // 2, size[1] // 2)
    step = video.step
    coded = quantised(luma.astype(np.float32), *_as_arrays(video.block), step)
    channels = [deblocked(coded, video.block, *edge_limits(video.quantiser))]
    for colour in chroma:
        small = cv2.resize(colour, half, interpolation=cv2.INTER_AREA).astype(np.float32)
        coded = quantised(small - NO_COLOUR, *_as_arrays(CHROMA_BLOCK), step)
        channels.append(cv2.resize(coded + NO_COLOUR, size))
    merged = np.asarray(np.clip(np.rint(cv2.merge(channels)), 0, 255), np.uint8)
    return np.asarray(cv2.cvtColor(merged, cv2.COLOR_YCrCb2BGR)[:height, :width], np.uint8)


def _as_arrays(block: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.array(cosines(block), np.float32), np.array(dead_zones(block), np.float32)


@cache
def cosines(block: int) -> tuple[tuple[float, ...], ...]:
    """Return the orthonormal cosines of a block's side, (frequency, place)."""
    place, frequency = np.meshgrid(np.arange(block), np.arange(block))
    basis = np.cos((2 * place + 1) * frequency * np.pi / (2 * block)) * np.sqrt(2 / block)
    basis[0] /= np.sqrt(2)
    return tuple(tuple(float(x) for x in row) for row in basis)


@cache
def dead_zones(block: int) -> tuple[tuple[float, ...], ...]:
    """Return by how many steps each frequency of a block is read as smaller: not its mean."""
    zones = np.full((block, block), DEAD_ZONE)
    zones[0, 0] = 0
    return tuple(tuple(float(x) for x in row) for row in zones)


def quantised(channels: Any, basis: Any, zones: Any, step: Any) -> Any:
    """Return channels (..., height, width) with their blocks' frequencies rounded to multiples of
    `step`.

    Args:
        channels: sides are whole blocks.
        basis, zones: `cosines` and `dead_zones`.
        step: a number, or one for each picture, (n, 1, 1, 1, 1, 1).
    """
    block = len(basis)

    def along(values: Any, matrix: Any) -> Any:
        return (values.reshape(-1, block) @ matrix).reshape(values.shape)

    frequencies = along(along(channels, basis.T).swapaxes(-1, -2), basis.T)
    *pictures, columns, rows = frequencies.shape
    blocks = frequencies.reshape(*pictures, columns // block, block, rows // block, block) / step
    zones = zones[:, None]
    kept = (blocks - blocks.clip(-zones, zones)).round()
    return along(along((kept * step).reshape(frequencies.shape), basis).swapaxes(-1, -2), basis)


def edge_limits(quantiser: float) -> tuple[float, float, float]:
    """Return how high a step between blocks, and one beside it, is smoothed, and by how much at
    most."""
    across = max(0.0, 0.8 * (2 ** (quantiser / 6) - 1))
    return across, max(0.0, 0.5 * quantiser - 7), 1 + across / 10


def deblocked(luma: Any, block: int, across: Any, beside: Any, most: Any) -> Any:
    """Return brightness (..., height, width), the edges between its blocks smoothed in place.

    Args:
        luma: 0 to 255.
        block: side, pixels.
        across, beside, most: `edge_limits`: numbers, or one for each picture, (n, 1, 1, 1).
    """
    for picture in (luma, luma.swapaxes(-1, -2)):
        last = picture.shape[-1] - 1
        p1, p0 = picture[..., block - 2 : last - 1 : block], picture[..., block - 1 : last : block]
        q0, q1 = picture[..., block::block], picture[..., block + 1 :: block]
        is_smooth = (abs(p1 - p0) < beside) & (abs(q1 - q0) < beside)
        shift = ((4 * (q0 - p0) + p1 - q1) / 8).clip(-most, most)
        shift = shift * (is_smooth & (abs(q0 - p0) < across))
        p0 += shift
        q0 -= shift
    return luma
