"""Long smears are taken from a smaller view, short ones from the full one, each at its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle, half_angle
from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.blur_network import BlurNetwork
from blur_imu_ros.network.model_card import INTERFACE, SIGNED_FLOW, ModelCard
from blur_imu_ros.network.two_scales import has_long_blur, with_long_blur

FULL = Camera(480, 352, 400.0, 400.0, 239.5, 175.5)
SMALLER = FULL.resized(224, 160)
STRIDE = 8


def field_of(camera: Camera, motion: np.ndarray, depth: float = 2.0) -> BlurField:
    """Return a field of a motion (2,) or (rows, columns, 2), pixels of `camera`."""
    cells = camera.height // STRIDE, camera.width // STRIDE
    everywhere = np.broadcast_to(motion, (*cells, 2))
    return BlurField(
        q=double_angle(everywhere),
        sigma=np.full(cells, 2.0),
        inverse_depth=np.full(cells, 1 / depth),
        sigma_log_depth=np.full(cells, 0.3),
        camera=camera,
        stride=STRIDE,
        anisotropy=np.broadcast_to([0.5, 0.0], (*cells, 2)),
    )


def in_smaller(motion: tuple[float, float]) -> np.ndarray:
    """Return a motion in pixels of the full view in those of the smaller one."""
    return np.array(motion) * (224 / 480, 160 / 352)


@pytest.mark.parametrize("motion", [(120.0, 0.0), (0.0, 120.0), (96.0, -72.0), (-80.0, -90.0)])
def test_a_long_smear_is_read_in_the_smaller_view_in_pixels_of_the_full_one(motion) -> None:
    short_read = field_of(FULL, 0.4 * np.array(motion))
    merged = with_long_blur(short_read, field_of(SMALLER, in_smaller(motion), depth=4.0))
    np.testing.assert_allclose(
        merged.q, np.broadcast_to(double_angle(np.array(motion)), merged.q.shape), atol=1e-3
    )
    np.testing.assert_allclose(merged.inverse_depth, 0.5)  # of the full view
    assert merged.camera == FULL and merged.q.shape == short_read.q.shape
    # 2 px of the smaller view are more in the full one.
    np.testing.assert_allclose(merged.sigma, 2 * np.sqrt(480 / 224 * 352 / 160), rtol=1e-6)


def test_short_smears_stay_as_the_full_view_reads_them() -> None:
    full = field_of(FULL, np.array([12.0, 5.0]))
    merged = with_long_blur(full, field_of(SMALLER, in_smaller((25.0, 0.0)), depth=9.0))
    assert merged is full


def test_between_short_and_long_both_views_count() -> None:
    full, smaller = field_of(FULL, np.array([50.0, 0.0])), in_smaller((80.0, 0.0))
    lengths = with_long_blur(full, field_of(SMALLER, smaller)).blur_length
    np.testing.assert_allclose(lengths, 65, rtol=1e-5)


def test_each_cell_gets_what_is_seen_at_its_place() -> None:
    """The right half is near and smears, the left one does not."""
    slow, fast = np.array([5.0, 0.0]), np.array([140.0, 0.0])

    def halves(camera: Camera, left: np.ndarray, right: np.ndarray) -> BlurField:
        rows, columns = camera.height // STRIDE, camera.width // STRIDE
        motion = np.broadcast_to(left, (rows, columns, 2)).copy()
        motion[:, columns // 2 :] = right
        return field_of(camera, motion)

    smaller = halves(SMALLER, in_smaller((5.0, 0.0)), in_smaller((140.0, 0.0)))
    lengths = with_long_blur(halves(FULL, slow, fast / 2), smaller).blur_length
    assert np.allclose(lengths[:, :28], 5) and np.allclose(lengths[:, 32:], 140)


def test_places_are_exact_where_a_field_grows_across_the_image() -> None:
    u, _ = field_of(SMALLER, np.zeros(2)).pixel_grid()
    rays = (u - SMALLER.cx) / SMALLER.fx  # by which q grows, in pixels of the full view
    smaller = field_of(SMALLER, np.zeros(2))
    q = np.stack([100 + 20 * rays, np.zeros_like(rays)], axis=-1)
    motion = half_angle(q) * (224 / 480, 160 / 352)
    merged = with_long_blur(
        field_of(FULL, np.array([90.0, 0.0])), replace(smaller, q=double_angle(motion))
    )
    u, _ = merged.pixel_grid()
    expected = 100 + 20 * (u - FULL.cx) / FULL.fx
    np.testing.assert_allclose(merged.q[:, 2:-2, 0], expected[:, 2:-2], atol=0.02)


def test_opposite_signs_do_not_cancel() -> None:
    rows, columns = SMALLER.height // STRIDE, SMALLER.width // STRIDE
    signs = np.where(np.arange(columns) % 2, 1.0, -1.0)[None, :, None]
    motion = in_smaller((90.0, 0.0)) * np.broadcast_to(signs, (rows, columns, 1))
    merged = with_long_blur(field_of(FULL, np.array([90.0, 0.0])), field_of(SMALLER, motion))
    np.testing.assert_allclose(merged.blur_length, 90, rtol=1e-6)


class Counting:
    """A backend that reads so many pixels of its own view to the right, everywhere."""

    runs_on = "nothing"

    def __init__(self, length: float) -> None:
        self.length, self.seen = length, []

    def run(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        rows, columns = image.shape[2] // STRIDE, image.shape[3] // STRIDE
        self.seen.append(image.shape[2:])
        q = np.zeros((1, 2, rows, columns))
        q[:, 0] = self.length
        return q, np.zeros((1, 1, rows, columns)), np.zeros((1, 2, rows, columns))


def network_of(backend: Counting) -> BlurNetwork:
    card = ModelCard("c", INTERFACE, 480, 352, 8, (0, 0, 0), (1, 1, 1), 400.0, "")
    return BlurNetwork(backend, replace(card, smaller_view=(224, 160)))


def test_only_an_image_with_long_blur_is_read_twice() -> None:
    image = np.zeros((352, 480, 3), np.uint8)
    still, fast = Counting(4.0), Counting(60.0)
    network_of(still).predict(image, FULL)
    field = network_of(fast).predict(image, FULL)
    assert still.seen == [(352, 480)] and fast.seen == [(352, 480), (160, 224)]
    np.testing.assert_allclose(field.blur_length, 60 * 480 / 224, rtol=1e-5)
    assert field.camera == FULL


def test_a_few_cells_do_not_ask_for_a_second_look() -> None:
    motion = np.zeros((44, 60, 2))
    motion[:8] = 50.0
    assert not has_long_blur(field_of(FULL, motion))
    motion[8] = 50.0
    assert has_long_blur(field_of(FULL, motion))


@pytest.mark.parametrize("view", [(480, 160), (224, 352), (220, 160), (0, 160), (224.0, 160), (8,)])
def test_a_smaller_view_that_cannot_be_is_refused(view) -> None:
    card = ModelCard("c", INTERFACE, 480, 352, 8, (0, 0, 0), (1, 1, 1), 400.0, "")
    with pytest.raises(ModelError, match=r"card\.json: smaller_view"):
        replace(card, smaller_view=view).check(Path("card.json"))


def test_networks_that_tell_signs_have_no_smaller_view() -> None:
    card = ModelCard("c", SIGNED_FLOW, 480, 352, 8, (0, 0, 0), (1, 1, 1), 400.0, "")
    known = replace(card, flow_sigma=1.0, log_depth_sigma=1.0, smaller_view=(224, 160))
    with pytest.raises(ModelError, match="our own networks"):
        known.check(Path("card.json"))
