"""A dashboard stands still while the scene moves: it is found, and not taken for the scene."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.registration import RegistrationConfig
from blur_imu_ros.core.registration_view import View, view_of
from blur_imu_ros.core.still_parts import StillParts
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.core.visual_imu import VisualImu
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of, seen_after, texture

HEIGHT, WIDTH = CAMERA.height, CAMERA.width
STEP = 1 / 30
FRAMES = 20


def dashboard(image: np.ndarray) -> np.ndarray:
    """Return the image with a third of it covered by what stands still."""
    covered, top = image.copy(), HEIGHT * 2 // 3
    covered[top:] = texture(7)[top:HEIGHT, :WIDTH, None]
    return covered


def panned(count: int, rate: float = 3.0) -> list[np.ndarray]:
    scene = texture()
    return [seen_after(np.array([0, rate * np.sin(k / 3), 0]) * STEP, scene) for k in range(count)]


def views(images: list[np.ndarray]) -> list[View]:
    return [
        view_of(image, None, k * STEP, CAMERA, RegistrationConfig())
        for k, image in enumerate(images)
    ]


def found(images: list[np.ndarray]) -> np.ndarray | None:
    parts, shown = StillParts(), None
    for view in views(images):
        shown = parts.take(view)
    return shown


def test_a_dashboard_is_found_once_the_scene_has_moved_behind_it() -> None:
    images = [dashboard(image) for image in panned(FRAMES)]
    assert found(images[:3]) is None
    shown = found(images)
    assert shown is not None
    rows = shown.shape[0]
    assert not shown[rows * 3 // 4 :].any() and shown[: rows // 2].all()


def test_a_scene_that_moves_as_a_whole_hides_nothing() -> None:
    assert found(panned(FRAMES)) is None


def test_nothing_is_found_while_all_stands_still() -> None:
    assert found([dashboard(panned(1)[0])] * FRAMES) is None


def test_a_passer_by_does_not_make_a_dashboard_of_the_scene() -> None:
    scene, person = panned(1)[0], texture(3)
    images = []
    for k in range(FRAMES):
        image, left = scene.copy(), 10 + 8 * k
        image[HEIGHT // 5 :, left : left + WIDTH // 4] = person[
            : HEIGHT - HEIGHT // 5, : WIDTH // 4, None
        ]
        images.append(image)
    assert found(images) is None


def test_what_begins_to_move_is_the_scene_again() -> None:
    images = [dashboard(image) for image in panned(FRAMES)]
    turned = [cv2.warpAffine(images[-1], np.float32([[1, 0, 9 * k], [0, 1, 0]]), (WIDTH, HEIGHT))
              for k in range(1, 5)]  # fmt: skip
    assert found(images) is not None and found([*images, *turned]) is None


def test_the_solver_leaves_out_cells_that_do_not_show_the_scene() -> None:
    rate = np.array([0.0, 3.0, 0.0])
    field, still = field_of(rate, np.zeros(3)), field_of(np.zeros(3), np.zeros(3))
    shown = np.ones(field.sigma.shape, bool)
    shown[shown.shape[0] // 2 :] = False
    mixed = replace(field, q=np.where(shown[..., None], field.q, still.q))
    whole = VelocitySolver().solve(mixed, EXPOSURE, 0.0)
    part = VelocitySolver().solve(replace(mixed, shown=shown), EXPOSURE, 0.0)
    assert abs(np.abs(part.angular_velocity[1]) - 3) < 0.1
    assert abs(np.abs(whole.angular_velocity[1]) - 3) > 0.3
    alone = VelocitySolver().solve(field, EXPOSURE, 0.0)
    assert part.sigma[1] > alone.sigma[1]
    assert part.blur_px == pytest.approx(alone.blur_px, rel=0.1)


class Still:
    """A network that sees no blur at all."""

    input_size = (WIDTH, HEIGHT)

    def predict(self, image, camera):
        return field_of(np.zeros(3), np.zeros(3), camera=camera, sigma=1.0)


def test_a_camera_behind_a_windscreen_is_not_at_rest() -> None:
    frames = [
        Frame(dashboard(image), k * STEP, EXPOSURE, CAMERA, f"{k}")
        for k, image in enumerate(panned(FRAMES))
    ]
    turns = 3.0 * np.sin(np.arange(FRAMES) / 3)  # rad/s for one step each
    last = [m.registration for m in VisualImu(Still()).track(frames)][12:-1]
    for k, pair in enumerate(last, 12):
        assert pair is not None and pair.valid
        assert pair.velocity[1] == pytest.approx(turns[k] - turns[k - 1], abs=0.05), k
