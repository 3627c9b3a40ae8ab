"""Errors of the depth that a network read, block by block of the image, and what they cost.

They are the largest errors of a registration, and alike over large parts of the image.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.registration_view import RegistrationConfig, View, sized
from blur_imu_ros.core.small_systems import add_to, added, inverse


def depth_information(view: View, settings: RegistrationConfig) -> Array:
    """(blocks, blocks) inverse covariance of the errors of the logarithm of a view's depth."""
    told = view.told
    covariance = depth_covariance(view, settings) if told is None else told.covariance
    return np.asarray(np.linalg.inv(covariance))


def depth_covariance(view: View, settings: RegistrationConfig) -> Array:
    """(blocks, blocks) covariance of the same before any parallax told of it."""
    std = settings.depth_share * view.sigma_log_depth.ravel()
    alike = _depth_correlation(settings.blocks, settings.depth_tilt, settings.depth_reach)
    return np.asarray(alike * (std[:, None] * std))


@lru_cache(maxsize=16)
def _depth_correlation(blocks: tuple[int, int], tilt: float, reach: float) -> Array:
    """(blocks, blocks) correlation of the errors of the logarithm of depth."""
    rows, columns = blocks
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) + 0.5
    x, y = 2 * x / columns - 1, 2 * y / rows - 1
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    slopes = 1.5 * (np.outer(x, x) + np.outer(y, y))
    return np.asarray(tilt * slopes + (1 - tilt) * np.exp(-apart / reach))


def turned_blocks(values: Array, first: Camera, second: Camera, rotation: Array) -> Array:
    """(rows, columns) values of blocks of the first image where the second one sees them, else
    0."""
    rows, columns = values.shape
    before = sized(first, columns, rows).matrix
    after = sized(second, columns, rows).matrix
    way = after @ cv2.Rodrigues(-rotation)[0] @ inverse(before)
    return np.asarray(cv2.warpPerspective(values, way, (columns, rows)))


def lost_to_any_depth(sums: Array, axes: Array, information: Array) -> Array:
    """(6, 6) information that unknown depth takes, of a translation of which little is known.

    Along each axis of its second moment, depth errs anew. Axis by axis, because LAPACK wakes
    threads for all three at once, which then wait for more at the cost of a core.

    Args:
        sums: (3, 6, blocks) products of each block's slopes along the axes of translation with all
            six.
        axes: (3, 3) root of the second moment of the translation.
        information: (blocks, blocks) on the logarithm of depth, before.
    """
    along = (axes.T @ sums.reshape(3, -1)).reshape(sums.shape)
    own = (axes.T @ along[:, 3:]).swapaxes(0, 1)
    first = np.linalg.inv(added(information, own[0, 0]))
    across = along[0] @ first
    lost = across @ along[0].T

    def left(i: int, j: int) -> Array:
        less: Array = first * own[0, j]
        less *= -own[0, i][:, None]
        return add_to(less, own[i, j])

    second, third = (along[i] - across * own[0, i] for i in (1, 2))
    inverse, between = np.linalg.inv(information + left(1, 1)), left(1, 2)
    across = second @ inverse
    third = third - across @ between
    last = information + left(2, 2) - between.T @ inverse @ between
    return np.asarray(lost + across @ second.T + third @ np.linalg.solve(last, third.T))


def root_of_moment(mean: Array, std: float) -> Array:
    """(3, 3) symmetric root of the second moment of a vector of this mean (3,), and of this
    standard deviation on each axis."""
    longer = math.sqrt(std**2 + float(mean @ mean))
    return add_to(np.multiply.outer(mean, mean) / (std + longer), std)
