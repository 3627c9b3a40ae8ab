"""The blur that models are selected by: what its edges cover is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from blur_imu_ros.core.camera import Camera
from blur_imu_training.data.held_out import EXPOSURE_TIME, _mean_light

CAMERA = Camera(320, 120, 200.0, 200.0, 159.5, 59.5)
BOARD = slice(120, 200)
SHIFT = 0.15
"""Metres in the exposure: 30 px at 1 m, 7.5 px at 4 m."""


def blurred(wall: float, board: float, shift: float = SHIFT) -> np.ndarray:
    """Return the middle row of a board 1 m away before a wall at 4 m, both of one brightness."""
    light = np.full((120, 320, 3), wall, np.float32)
    inverse = np.full((120, 320), 0.25, np.float32)
    light[:, BOARD], inverse[:, BOARD] = board, 1.0
    velocity = np.array([shift, 0, 0]) / EXPOSURE_TIME
    return _mean_light(light, inverse, CAMERA, np.zeros(3), velocity)[60, :, 0]


@pytest.mark.parametrize("shift", [SHIFT, -SHIFT])
def test_an_edge_smears_as_far_as_the_board_that_it_belongs_to(shift: float) -> None:
    row = blurred(0.1, 0.9, shift)
    ramp = np.clip((np.arange(320) - (BOARD.start - 15.5)) / 30, 0, 1)
    expected = 0.1 + 0.8 * np.minimum(
        ramp, np.clip((BOARD.stop + 14.5 - np.arange(320)) / 30, 0, 1)
    )
    assert np.abs(row - expected).max() < 0.05


def test_without_parallax_nothing_is_hidden() -> None:
    light = np.random.default_rng(0).uniform(0, 1, (120, 320, 3)).astype(np.float32)
    inverse = np.full((120, 320), 0.5, np.float32)
    inverse[:, BOARD] = 2.0
    still = _mean_light(light, inverse, CAMERA, np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(still, light, atol=1e-4)


def test_a_near_floor_smears_farther_than_a_far_one() -> None:
    """A slope has no edges: each row's smear is that of its own depth."""
    light = np.zeros((120, 320, 3), np.float32)
    light[:, 159:161] = 1.0
    inverse = np.broadcast_to(
        np.linspace(0.1, 1, 120, dtype=np.float32)[:, None], (120, 320)
    ).copy()
    velocity = np.array([SHIFT, 0, 0]) / EXPOSURE_TIME
    image = _mean_light(light, inverse, CAMERA, np.zeros(3), velocity)[..., 0]
    widths = (image > 0.3 * image.max(axis=1, keepdims=True)).sum(axis=1)
    expected = SHIFT * CAMERA.fx * inverse[:, 0]
    assert np.abs(widths - expected).max() < 3.5
