"""The physics of blur and its signs, proven by a renderer that knows no motion field."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.simulation.room_renderer import (
    Pose,
    Quad,
    Scene,
    blurred_image,
    constant_velocity,
    furnished_room,
    hand_held,
    mean_radiance,
)

CAMERA = Camera(160, 120, 140, 140, 79.5, 59.5)
TAU = 0.02
ZERO = np.zeros(3)


def wall_with_spots(depth: float = 2.0, spots: tuple[int, ...] = (100, 200, 300)) -> Scene:
    """A dark wall before the camera with bright spots on a grid; texel 200 is on the axis."""
    texture = np.zeros((400, 400, 3), np.float32)
    for y in spots:
        for x in spots:
            texture[y - 3 : y + 3, x - 3 : x + 3] = 1.0
    size = 2.0 * depth
    corner = np.array([-size / 2, -size / 2, depth])
    return Scene([Quad(corner, np.array([size, 0, 0]), np.array([0, size, 0]), texture)])


def spot(scene: Scene, pose: Pose) -> np.ndarray:
    """Return the pixel of the middle spot."""
    light = scene.radiance(CAMERA, pose)[..., 0]
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([np.sum(x * light), np.sum(y * light)]) / light.sum()


PICTURABLE = {
    "yaw left": ((0, -1, 0), ZERO, (+1, 0)),
    "pitch up": ((1, 0, 0), ZERO, (0, +1)),
    "to the right": (ZERO, (1, 0, 0), (-1, 0)),
    "upwards": (ZERO, (0, -1, 0), (0, +1)),
}


@pytest.mark.parametrize("name", PICTURABLE)
def test_what_is_seen_moves_as_a_person_expects(name: str) -> None:
    angular, linear, expected = PICTURABLE[name]
    scene = wall_with_spots(spots=(200,))
    path = constant_velocity(np.array(angular, float), np.array(linear, float))
    moved = spot(scene, path.pose(0.05)) - spot(scene, path.pose(-0.05))
    assert np.sign(np.round(moved)).tolist() == list(expected)


def test_rolling_clockwise_turns_the_picture_counter_clockwise() -> None:
    texture = np.zeros((400, 400, 3), np.float32)
    texture[198:202, 298:302] = 1.0  # a spot to the right of the axis
    scene = Scene(
        [Quad(np.array([-2.0, -2, 2]), np.array([4.0, 0, 0]), np.array([0, 4.0, 0]), texture)]
    )
    path = constant_velocity(np.array([0, 0, 1.0]), ZERO)
    moved = spot(scene, path.pose(0.1)) - spot(scene, path.pose(-0.1))
    assert moved[1] < -5  # what is on the right goes up


def test_moving_forward_makes_things_grow() -> None:
    scene = wall_with_spots(spots=(200,))
    path = constant_velocity(ZERO, np.array([0, 0, 1.0]))
    near, far = (scene.radiance(CAMERA, path.pose(t)).sum() for t in (0.5, -0.5))
    assert near > 1.5 * far


@pytest.mark.parametrize("seed", range(8))
def test_points_move_by_the_motion_field(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angular, linear = rng.normal(0, 2, 3), rng.normal(0, 1, 3)
    path = constant_velocity(angular, linear)
    point = rng.uniform((-0.5, -0.4, 1.5), (0.5, 0.4, 3.0))

    def seen(t: float) -> np.ndarray:
        pose = path.pose(t)
        x, y, z = pose.rotation.inv().apply(point - pose.position)
        return np.array([CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy])

    tau = 0.01
    u, v = seen(0.0)
    field = motion_field(
        CAMERA, np.array(u), np.array(v), np.array(1 / point[2]), angular * tau, linear * tau
    )
    np.testing.assert_allclose(seen(tau / 2) - seen(-tau / 2), field, atol=0.01)


def test_a_spot_under_yaw_smears_to_focal_length_times_angle() -> None:
    scene = wall_with_spots(spots=(200,))
    path = constant_velocity(np.array([0, 10.0, 0]), ZERO)
    light = mean_radiance(scene, CAMERA, path, 0.0, TAU, step=0.3)[..., 0]
    columns = np.flatnonzero(light.sum(axis=0) > 0.3 * light.sum(axis=0).max())
    assert columns[-1] - columns[0] == pytest.approx(140 * 10 * TAU, abs=4)
    rows = np.flatnonzero(light.sum(axis=1) > 0.3 * light.sum(axis=1).max())
    assert rows[-1] - rows[0] <= 5


def test_blur_keeps_the_energy() -> None:
    # Spots too soft to be aliased.
    texture = cv2.GaussianBlur(wall_with_spots()._quads[0].texture, (0, 0), 8)
    scene = Scene([replace(wall_with_spots()._quads[0], texture=texture)])
    path = constant_velocity(np.array([2.0, 3.0, 1.0]), ZERO)
    sharp = scene.radiance(CAMERA, path.pose(0)).sum()
    assert mean_radiance(scene, CAMERA, path, 0, TAU).sum() == pytest.approx(sharp, rel=0.02)


def test_reversed_motion_gives_the_same_image() -> None:
    room = furnished_room()
    angular, linear = np.array([1.0, -2, 0.5]), np.array([0.3, 0.2, -0.5])
    forth = mean_radiance(room, CAMERA, constant_velocity(angular, linear), 0, TAU)
    back = mean_radiance(room, CAMERA, constant_velocity(-angular, -linear), 0, TAU)
    np.testing.assert_allclose(forth, back, atol=1e-4)


@pytest.mark.parametrize("t", [0.0, 0.4, 1.7, 3.1])
@pytest.mark.parametrize(
    "path",
    [
        hand_held(),
        hand_held(5),
        hand_held(lever_arm=(0.1, -0.05, 0.3)),
        constant_velocity(np.array([1.0, 2, 3]), np.array([0.1, -1, 0.4])),
    ],
    ids=["hand", "other hand", "before a wrist", "constant"],
)
def test_velocities_are_the_derivative_of_the_pose(path: object, t: float) -> None:
    e = 1e-5
    before, here, after = (path.pose(t + s) for s in (-e, 0, e))  # type: ignore[attr-defined]
    angular = (before.rotation.inv() * after.rotation).as_rotvec() / (2 * e)
    linear = here.rotation.inv().apply(after.position - before.position) / (2 * e)
    expected = path.velocity(t)  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.concatenate([angular, linear]), expected, atol=1e-6)


def test_inverse_depth_is_that_of_the_wall() -> None:
    inverse = wall_with_spots(depth=2.5).inverse_depth(CAMERA, Pose(Rotation.identity(), ZERO))
    np.testing.assert_allclose(inverse[20:-20, 30:-30], 1 / 2.5, rtol=1e-5)


def test_the_room_fills_the_picture_wherever_one_looks() -> None:
    room = furnished_room()
    for yaw in (0, 1.5, 3.1, -1.5):
        inverse = room.inverse_depth(CAMERA, Pose(Rotation.from_euler("y", yaw), ZERO))
        assert (inverse > 0.1).mean() > 0.995 and inverse.max() < 5


def test_lamps_clip_and_the_picture_is_well_exposed() -> None:
    room = furnished_room()
    up = constant_velocity(ZERO, ZERO, Pose(Rotation.from_euler("x", 0.5), ZERO))
    image = blurred_image(room, CAMERA, up, 0.0, TAU)
    assert image.dtype == np.uint8 and image.shape == (120, 160, 3)
    assert (image.min(axis=-1) > 250).any() and 60 < image.mean() < 200


def test_what_lies_behind_the_camera_is_not_drawn() -> None:
    scene = wall_with_spots()
    turned = Pose(Rotation.from_euler("y", np.pi), ZERO)
    assert scene.radiance(CAMERA, turned).max() == 0
