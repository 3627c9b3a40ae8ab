"""Laws of the camera and of the motion field that hold for every camera and every motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle, half_angle, motion_field
from blur_imu_ros.core.network_view import NetworkView

law = settings(max_examples=60, deadline=None, derandomize=True)

sides = st.integers(32, 4000)
share = st.floats(0.0, 1.0)
components = st.floats(-2.0, 2.0)
vectors = st.tuples(components, components, components).map(np.array)
depths = st.floats(0.05, 20.0)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    """Any pinhole that somebody might have, its principal point anywhere in the image."""
    width, height = draw(sides), draw(sides)
    focal = st.floats(0.3, 3.0).map(lambda f: f * width)
    return Camera(
        width, height, draw(focal), draw(focal), draw(share) * width, draw(share) * height
    )


def pixels(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """A few pixels all over the image, corners included."""
    u = np.array([0.0, 0.3, 0.5, 0.9, 1.0]) * (camera.width - 1)
    v = np.array([0.0, 1.0, 0.2, 0.7, 1.0]) * (camera.height - 1)
    return u, v


def rays(camera: Camera, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.stack(camera.normalised(u, v))


def numbers(camera: Camera) -> np.ndarray:
    return np.array(
        [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy], float
    )


@law
@given(cameras(), sides, sides)
def test_resizing_there_and_back_changes_nothing(camera, width, height):
    back = camera.resized(width, height).resized(camera.width, camera.height)
    np.testing.assert_allclose(numbers(back), numbers(camera), rtol=1e-9, atol=1e-6)


@law
@given(cameras(), sides, sides)
def test_resizing_in_two_steps_is_resizing_in_one(camera, width, height):
    direct = camera.resized(640, 480)
    np.testing.assert_allclose(
        numbers(camera.resized(width, height).resized(640, 480)),
        numbers(direct),
        rtol=1e-9,
        atol=1e-9,
    )


@law
@given(cameras(), sides, sides)
def test_a_resized_image_sees_the_same_rays(camera, width, height):
    u, v = pixels(camera)
    resized = camera.resized(width, height)
    there = (u + 0.5) * width / camera.width - 0.5, (v + 0.5) * height / camera.height - 0.5
    np.testing.assert_allclose(rays(resized, *there), rays(camera, u, v), atol=1e-9)


@law
@given(cameras(), st.integers(-50, 50), st.integers(-50, 50))
def test_cropping_there_and_back_changes_nothing(camera, left, top):
    cropped = camera.cropped(left, top, 100, 80)
    back = cropped.cropped(-left, -top, camera.width, camera.height)
    np.testing.assert_allclose(numbers(back), numbers(camera), atol=1e-9)
    u, v = pixels(camera)
    np.testing.assert_allclose(
        rays(cropped, u - left, v - top), rays(camera, u, v), rtol=1e-9, atol=1e-9
    )


@law
@given(cameras(), st.integers(2, 40).map(lambda n: 8 * n), st.integers(2, 30).map(lambda n: 8 * n))
def test_the_networks_view_looks_nowhere_but_into_the_image(camera, width, height):
    view = NetworkView(camera, width, height).camera
    assert (view.width, view.height) == (width, height)
    u, v = np.array([-0.5, width - 0.5]), np.array([-0.5, height - 0.5])
    whole = np.array([-0.5, camera.width - 0.5]), np.array([-0.5, camera.height - 0.5])
    inside, outside = rays(view, u, v), rays(camera, *whole)
    assert np.all(inside[:, 0] >= outside[:, 0] - 1e-9)
    assert np.all(inside[:, 1] <= outside[:, 1] + 1e-9)


@law
@given(cameras(), st.lists(st.floats(-0.2, 0.2), min_size=5, max_size=5))
def test_a_lens_changes_nothing_of_the_pinhole_of_the_view(camera, coefficients):
    assume(max(camera.width, camera.height) < 20 * min(camera.width, camera.height))
    lens = replace(camera, distortion=tuple(coefficients))
    assert NetworkView(lens, 320, 224).camera == NetworkView(camera, 320, 224).camera
    assert lens.undistorted() == camera


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.sampled_from([("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4)]),
    st.lists(st.floats(-0.5, 0.5), min_size=8, max_size=8),
)
def test_the_view_through_any_lens_is_an_image_of_the_networks_size(model, coefficients):
    name, count = model
    lens = Camera(320, 240, 250, 250, 160, 120, name, tuple(coefficients[:count]))
    image = np.full((240, 320, 3), 99, np.uint8)
    seen = NetworkView(lens, 160, 112).apply(image)
    assert seen.shape == (112, 160, 3) and seen.dtype == np.uint8
    assert seen.max() <= 99


def field(camera: Camera, rho: float, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    u, v = pixels(camera)
    return motion_field(camera, u, v, np.full(u.shape, rho), rotation, translation)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    size = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, atol=1e-9 * size)


@law
@given(cameras(), depths, vectors, vectors, vectors, vectors, components)
def test_motions_add_up(camera, depth, r1, t1, r2, t2, k):
    rho = 1 / depth
    one, other = field(camera, rho, r1, t1), field(camera, rho, r2, t2)
    close(field(camera, rho, r1 + k * r2, t1 + k * t2), one + k * other)


@law
@given(cameras(), depths, vectors, vectors)
def test_the_opposite_motion_leaves_the_same_smear(camera, depth, r, t):
    there, back = field(camera, 1 / depth, r, t), field(camera, 1 / depth, -r, -t)
    close(back, -there)
    close(double_angle(back), double_angle(there))


@law
@given(cameras(), depths, st.floats(0.1, 10.0), vectors, vectors)
def test_a_scene_farther_and_a_motion_larger_look_the_same(camera, depth, k, r, t):
    close(field(camera, 1 / (k * depth), r, k * t), field(camera, 1 / depth, r, t))


@law
@given(cameras(), vectors, vectors, st.floats(0.1, 8.0))
def test_motion_grows_with_the_image(camera, r, t, k):
    large = replace(
        camera,
        fx=k * camera.fx,
        fy=k * camera.fy,
        cx=k * (camera.cx + 0.5) - 0.5,
        cy=k * (camera.cy + 0.5) - 0.5,
    )
    u, v = pixels(camera)
    rho = np.full(u.shape, 0.7)
    enlarged = motion_field(large, k * (u + 0.5) - 0.5, k * (v + 0.5) - 0.5, rho, r, t)
    close(enlarged, k * motion_field(camera, u, v, rho, r, t))


@law
@given(cameras(), depths, vectors, vectors)
def test_mirrors_turn_the_motion_as_they_turn_the_image(camera, depth, r, t):
    u, v = pixels(camera)
    rho = np.full(u.shape, 1 / depth)
    expected = motion_field(camera, u, v, rho, r, t)
    right = replace(camera, cx=camera.width - 1 - camera.cx)
    down = replace(camera, cy=camera.height - 1 - camera.cy)
    # A turn is an axial vector: it keeps its component across the mirror and loses the others.
    sideways = motion_field(right, camera.width - 1 - u, v, rho, r * (1, -1, -1), t * (-1, 1, 1))
    upside = motion_field(down, u, camera.height - 1 - v, rho, r * (-1, 1, -1), t * (1, -1, 1))
    close(sideways, expected * (-1, 1))
    close(upside, expected * (1, -1))


@law
@given(cameras(), depths, vectors, vectors)
def test_a_quarter_turn_of_the_image_turns_the_motion(camera, depth, r, t):
    u, v = pixels(camera)
    rho = np.full(u.shape, 1 / depth)
    turned = Camera(
        camera.height,
        camera.width,
        camera.fy,
        camera.fx,
        camera.height - 1 - camera.cy,
        camera.cx,
    )
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    found = motion_field(turned, camera.height - 1 - v, u, rho, quarter @ r, quarter @ t)
    close(found, motion_field(camera, u, v, rho, r, t) @ quarter[:2, :2].T)


@law
@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_half_the_angle_of_twice_the_angle_is_the_motion_up_to_sign(x, y):
    assume(np.hypot(x, y) > 1e-6)
    motion = np.array([x, y])
    back = half_angle(double_angle(motion))
    assert back[0] >= 0
    close(np.outer(back, back), np.outer(motion, motion))
