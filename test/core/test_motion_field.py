"""The signs of the motion field, in motions that a person can picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.motion_field import double_angle, half_angle, motion_field, motion_rows
from helpers.synthetic_fields import CAMERA, seen_after

CENTRE = (CAMERA.cx, CAMERA.cy)
ABOVE = (CAMERA.cx, CAMERA.cy - 60)
RIGHT_OF_CENTRE = (CAMERA.cx + 60, CAMERA.cy)
LEFT, RIGHT, UP, DOWN = (-1, 0), (1, 0), (0, -1), (0, 1)

YAW_LEFT = (0, -0.02, 0)
PITCH_UP = (0.02, 0, 0)
ROLL_CLOCKWISE = (0, 0, 0.02)
STILL = (0, 0, 0)

PICTURES = [
    ("yaw left: the scene slides right", YAW_LEFT, STILL, CENTRE, RIGHT),
    ("pitch up: the scene slides down", PITCH_UP, STILL, CENTRE, DOWN),
    ("roll clockwise: what is above slides left", ROLL_CLOCKWISE, STILL, ABOVE, LEFT),
    ("roll clockwise: what is right slides up", ROLL_CLOCKWISE, STILL, RIGHT_OF_CENTRE, UP),
    ("move forward: what is above slides up", STILL, (0, 0, 0.02), ABOVE, UP),
    ("move forward: what is right slides right", STILL, (0, 0, 0.02), RIGHT_OF_CENTRE, RIGHT),
    ("move right: the scene slides left", STILL, (0.02, 0, 0), CENTRE, LEFT),
    ("move up: the scene slides down", STILL, (0, -0.02, 0), CENTRE, DOWN),
]


def motion_at(u: float, v: float, rho: float, rotation: object, translation: object) -> np.ndarray:
    return motion_field(
        CAMERA, np.array(u), np.array(v), np.array(rho), np.array(rotation), np.array(translation)
    )


@pytest.mark.parametrize(
    ("rotation", "translation", "pixel", "direction"),
    [p[1:] for p in PICTURES],
    ids=[p[0] for p in PICTURES],
)
def test_a_person_can_picture_it(rotation, translation, pixel, direction):
    motion = motion_at(*pixel, 0.5, rotation, translation)
    assert motion / np.linalg.norm(motion) == pytest.approx(direction, abs=1e-9)


@pytest.mark.parametrize("turn", [YAW_LEFT, PITCH_UP, ROLL_CLOCKWISE], ids=["yaw", "pitch", "roll"])
def test_a_rendered_dot_moves_as_the_field_says(turn):
    scene = np.zeros((1200, 1200), np.uint8)
    cv2.circle(scene, (640, 560), 6, 255, -1)
    before, after = (centroid(seen_after(angle, scene)) for angle in (np.zeros(3), np.array(turn)))
    predicted = motion_at(*before, 0.0, turn, STILL)
    assert after - before == pytest.approx(predicted, abs=0.15)


def centroid(image: np.ndarray) -> np.ndarray:
    weights = image[..., 0].astype(float)
    v, u = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(u * weights).sum(), (v * weights).sum()]) / weights.sum()


def test_agrees_with_projecting_a_moved_camera():
    rng = np.random.default_rng(5)
    theta, t = 1e-4 * rng.standard_normal(3), 1e-4 * rng.standard_normal(3)
    points = rng.uniform([-1, -1, 1], [1, 1, 4], (50, 3))
    moved = (points - t) @ Rotation.from_rotvec(theta).as_matrix()
    before, after = (p[:, :2] / p[:, 2:] * CAMERA.fx + CENTRE for p in (points, moved))
    motion = motion_field(CAMERA, before[:, 0], before[:, 1], 1 / points[:, 2], theta, t)
    assert motion == pytest.approx(after - before, abs=2e-5)
    assert np.abs(motion).max() > 0.02


def test_rows_are_linear_in_inverse_depth_and_only_for_translation():
    u, v = np.array([10.0, 200.0]), np.array([30.0, 90.0])
    far, near = (motion_rows(CAMERA, u, v, np.full(2, rho)) for rho in (0.5, 1.0))
    assert near.shape == (2, 2, 6)
    assert np.array_equal(near[..., :3], far[..., :3])
    assert near[..., 3:] == pytest.approx(2 * far[..., 3:])


components = st.floats(-50, 50, allow_nan=False).filter(
    lambda value: value == 0 or abs(value) > 1e-6
)


@given(components, components)
def test_double_angle_forgets_the_sign_and_nothing_else(fx, fy):
    motion = np.array([fx, fy])
    q = double_angle(motion)
    assert double_angle(-motion) == pytest.approx(q)
    assert np.linalg.norm(q) == pytest.approx(np.linalg.norm(motion))
    back = half_angle(q)
    assert min(np.abs(back - motion).max(), np.abs(back + motion).max()) < 1e-6
    assert back[0] >= 0


def test_double_angle_of_no_motion_is_zero():
    assert np.array_equal(double_angle(np.zeros((3, 2))), np.zeros((3, 2)))
