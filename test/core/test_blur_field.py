"""The blur field and its grid of cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.core.blur_field import cell_centres
from helpers.synthetic_fields import COLUMNS, ROWS, STRIDE, field_of


def test_cell_centres_average_the_pixels_of_their_cell():
    u, v = cell_centres(ROWS, COLUMNS, STRIDE)
    assert u.shape == v.shape == (ROWS, COLUMNS)
    assert (u[0, 0], v[0, 0]) == (np.mean(np.arange(STRIDE)), np.mean(np.arange(STRIDE)))
    assert u[5, 7] == np.mean(np.arange(7 * STRIDE, 8 * STRIDE))
    assert v[5, 7] == np.mean(np.arange(5 * STRIDE, 6 * STRIDE))


def test_cells_of_one_pixel_are_pixels():
    u, v = cell_centres(2, 3, 1)
    assert np.array_equal(u, [[0, 1, 2], [0, 1, 2]])
    assert np.array_equal(v, [[0, 0, 0], [1, 1, 1]])


def test_motion_of_an_unsigned_field_lies_along_the_smear():
    signed = field_of((1, -2, 3), (0.1, 0.2, 0.3), signed=True)
    unsigned = replace(signed, signed_motion=None)
    cross = np.cross(
        np.pad(signed.motion, ((0, 0), (0, 0), (0, 1))),
        np.pad(unsigned.motion, ((0, 0), (0, 0), (0, 1))),
    )
    assert np.abs(cross).max() < 1e-9
    assert unsigned.blur_length == pytest.approx(np.linalg.norm(signed.motion, axis=-1))
    assert np.array_equal(signed.motion, signed.signed_motion)


def test_pixel_grid_fits_the_field():
    field = field_of((1, 0, 0), (0, 0, 0))
    u, v = field.pixel_grid()
    assert u.shape == field.q.shape[:2]
    assert (u.mean(), v.mean()) == ((320 - 1) / 2, (224 - 1) / 2)
