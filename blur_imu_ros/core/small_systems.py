"""Linear algebra of a few numbers: numpy takes 5 us a call before it begins, and ten times that
once a network has emptied the caches; OpenCV takes a fraction of it for all."""

from __future__ import annotations

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array


def solved(matrix: Array, right: Array) -> Array:
    """Return x (n,) or (n, m) of matrix @ x = right, float64.

    Pivots of `matrix` (n, n) below 2e-14 count as 0: not for what may be as small as that.

    Raises:
        numpy.linalg.LinAlgError: the matrix is singular.
    """
    solvable, found = cv2.solve(matrix, right.reshape(len(matrix), -1))
    if not solvable:
        raise np.linalg.LinAlgError("Singular matrix")
    return np.asarray(found.reshape(right.shape))


def inverse(matrix: Array) -> Array:
    """Return the inverse of a matrix (n, n) of float64; what holds of `solved` holds here."""
    condition, found = cv2.invert(matrix)
    if condition == 0:
        raise np.linalg.LinAlgError("Singular matrix")
    return np.asarray(found)


def principal(matrix: Array) -> tuple[Array, Array]:
    """Return the eigenvalues (n,) of a symmetric matrix (n, n) of float64, the largest first, and
    its eigenvectors, the columns of (n, n)."""
    _, values, vectors = cv2.eigen(matrix)
    return np.asarray(values[:, 0]), np.asarray(vectors.T)


def added(square: Array, diagonal: Array) -> Array:
    """(n, n) a matrix and what is added to its diagonal (n,)."""
    return add_to(square.copy(), diagonal)


def add_to(square: Array, diagonal: Array | float) -> Array:
    """Return the very matrix (n, n), with what is added to its diagonal (n,), or to all of it."""
    square.ravel()[:: len(square) + 1] += diagonal
    return square
