"""Linear algebra of a few numbers, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from blur_imu_ros.core.small_systems import added, inverse, principal, solved

HALF = np.random.default_rng(0).normal(size=(8, 8))
SQUARE = HALF @ HALF.T + np.eye(8)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 4)])
def test_equations_are_solved_also_those_of_a_part_of_a_matrix(shape):
    matrix, right = SQUARE[:6, :6], np.ones(shape)
    np.testing.assert_allclose(solved(matrix, right), np.linalg.solve(matrix, right), rtol=1e-12)
    column = SQUARE[:6, 7]
    np.testing.assert_allclose(solved(matrix, column), np.linalg.solve(matrix, column), rtol=1e-12)


def test_the_inverse_is_numpys():
    for n in (3, 6):
        part = SQUARE[:n, :n]
        np.testing.assert_allclose(inverse(part), np.linalg.inv(part), rtol=1e-10, atol=1e-12)


def test_a_singular_matrix_is_refused():
    singular = np.outer(np.arange(1.0, 7), np.arange(1.0, 7))
    for attempt in (lambda: solved(singular, np.ones(6)), lambda: inverse(singular)):
        with pytest.raises(np.linalg.LinAlgError, match="Singular"):
            attempt()


def test_principal_axes_make_the_matrix_again():
    sizes, axes = principal(SQUARE)
    np.testing.assert_allclose((axes * sizes) @ axes.T, SQUARE, rtol=1e-10)
    np.testing.assert_allclose(axes.T @ axes, np.eye(8), atol=1e-12)
    np.testing.assert_allclose(sizes[::-1], np.linalg.eigvalsh(SQUARE), rtol=1e-10)


def test_a_diagonal_is_added_to_a_copy():
    before = SQUARE.copy()
    np.testing.assert_array_equal(added(SQUARE, np.arange(8.0)), before + np.diag(np.arange(8.0)))
    np.testing.assert_array_equal(SQUARE, before)
