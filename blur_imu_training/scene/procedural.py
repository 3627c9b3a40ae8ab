"""Pictures and geometry made from nothing, so that training runs anywhere."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def smooth_noise(
    height: int, width: int, cells: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return standard-normal noise that varies over about 1/`cells` of the picture."""
    rows = max(2, round(cells * height / width) + 1)
    columns = max(2, round(cells) + 1)
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    return np.asarray(
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
    )


def _leaf(
    rng: np.random.Generator, centre: NDArray[np.float64], radius: float
) -> NDArray[np.int32]:
    """Return the corners of a disc, an ellipse, a bar or a ragged polygon."""
    corners = int(rng.choice([3, 4, 4, 4, 6, 24]))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 2 * np.pi)
    lengths = radius * (1 if corners == 24 else rng.uniform(0.6, 1.3, corners))
    stretch = np.array([1.0, np.exp(rng.normal(0, 0.8))])
    points = np.stack([np.cos(angles), np.sin(angles)], -1) * np.reshape(lengths, (-1, 1)) * stretch
    turn = rng.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(np.round((points @ rotation + centre) * 16), np.int32)


def dead_leaves(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a dead-leaves picture (Lee, Mumford & Huang 2001): radii follow a 1/r^3 law."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = rng.integers(0, 256, 3)
    palette = rng.integers(0, 256, (int(rng.integers(4, 30)), 3))
    smallest, largest = 2.0, float(rng.uniform(60, 250))
    for progress in np.linspace(0, 1, 300):
        # Large leaves tend to lie below, or nothing small would be left to see.
        u = rng.uniform() * (0.3 + 0.7 * progress)
        radius = 1 / np.sqrt((1 - u) / largest**2 + u / smallest**2) if u else largest
        centre = rng.uniform((0, 0), (width, height))
        colour = palette[rng.integers(len(palette))] + rng.normal(0, 12, 3)
        cv2.fillPoly(
            picture,
            [_leaf(rng, centre, radius)],
            np.clip(colour, 0, 255).tolist(),
            lineType=cv2.LINE_AA,
            shift=4,
        )
    grain = sum(
        smooth_noise(height, width, width / size, rng) * rng.uniform(0, 8)
        for size in (2, 5, 16, 60)
    )
    return np.asarray(np.clip(picture + np.asarray(grain)[..., None], 0, 255), np.uint8)


def invented_inverse_depth(
    height: int, width: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a made-up inverse depth (1/m): a tilted plane, soft relief, and things before it."""
    full_size = (width, height)
    height, width = (height + 2) // 3, (width + 2) // 3
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
    slope = rng.normal(0, 0.5, 2)
    log_inverse = slope[0] * x + (slope[1] + 0.5) * y
    log_inverse += rng.uniform(0, 0.3) * smooth_noise(height, width, rng.uniform(2, 8), rng)
    for _ in range(int(rng.integers(0, 6))):
        shape = np.zeros((height, width), np.uint8)
        centre = rng.uniform((0, 0), (width, height))
        cv2.fillPoly(shape, [_leaf(rng, centre, rng.uniform(0.05, 0.35) * width)], 1, shift=4)
        log_inverse = np.where(shape > 0, log_inverse + rng.uniform(0.1, 1.2), log_inverse)
    median_depth = np.exp(rng.normal(np.log(2.5), 0.6))
    inverse = np.exp(np.clip(log_inverse, -3, 3)).astype(np.float32) / np.float32(median_depth)
    return np.asarray(cv2.resize(inverse, full_size, interpolation=cv2.INTER_NEAREST), np.float32)
