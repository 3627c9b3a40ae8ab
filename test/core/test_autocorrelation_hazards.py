"""What only looks like the blur of a motion, and is not taken for one."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blur_imu_ros.core.autocorrelation import AutocorrelationConfig, fused, whole_motion
from blur_imu_ros.core.autocorrelation_image import Samples
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import measured
from blur_imu_ros.core.velocity import VelocitySolver
from helpers.synthetic_fields import CAMERA, COLUMNS, EXPOSURE, ROWS, field_of

Array = NDArray[Any]

CONFIG = AutocorrelationConfig()
U, V = (g.astype(float) for g in np.meshgrid(range(CAMERA.width), range(CAMERA.height)))
FAR = np.full((ROWS, COLUMNS), 0.02)


def read(length: float, along: Array, sigma: float = 2.0) -> tuple[BlurField, VelocityEstimate]:
    """What a network says that reads blur of this length; `along` is a direction in the image."""
    angular = length / (CAMERA.fx * EXPOSURE) * np.array([-along[1], along[0], 0.0])
    field = field_of(angular, np.zeros(3), FAR, sigma=sigma)
    return field, VelocitySolver().solve(field, EXPOSURE, 0.0)


def length_px(estimate: VelocityEstimate, focal: float = CAMERA.fx) -> float:
    return float(np.linalg.norm(estimate.angular_velocity) * EXPOSURE * focal)


def photo(light: Array, noise: float = 1.0) -> Array:
    """The view (height, width, 3) of light from 0 to 1, with noise in grey levels."""
    grains = noise * np.random.default_rng(0).standard_normal(light.shape)
    grey = np.clip(255 * light ** (1 / 2.2) + grains, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def smeared(light: Array, length: int, along: Array) -> Array:
    """Light (height, width) as a camera sees it that turns by `length` pixels in its exposure."""
    shots = []
    for share in np.linspace(-0.5, 0.5, 2 * length + 1):
        x, y = (
            (grid - share * length * part).astype(np.float32)
            for grid, part in zip((U, V), along, strict=True)
        )
        shots.append(cv2.remap(light, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
    return np.asarray(np.mean(shots, axis=0))


RIGHT, DOWN, ASLANT = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.8, 0.6])


def waves(period: float) -> Array:
    return 0.4 + 0.3 * np.sin(2 * np.pi * U / period)


def fence(period: float) -> Array:
    return np.where(U % period < period / 5, 0.7, 0.2)


def lines_of_print(period: float) -> Array:
    """Letters of all widths, in rows that stand upright on the motion."""
    ink = np.repeat(np.random.default_rng(0).random((CAMERA.height // 4, 40)) < 0.5, 4, axis=0)
    column = (U // period).astype(int) % 40
    inside = U % period < 0.6 * period
    return np.where(inside & ink[V.astype(int), column], 0.1, 0.7)


def checks(period: float) -> Array:
    return np.where((U % period < period / 2) ^ (V % period < period / 2), 0.7, 0.2)


@pytest.mark.parametrize("pattern", [waves, fence, lines_of_print, checks])
@pytest.mark.parametrize("period", [20.0, 30.0])
@pytest.mark.parametrize("noise", [1.0, 3.0])
@pytest.mark.parametrize("motion_px", [0, 7])
def test_a_pattern_is_no_blur(pattern: Any, period: float, noise: float, motion_px: int) -> None:
    """Half a period on, a pattern is opposite to itself as both ends of a motion are; nothing is
    found but the motion itself."""
    light = pattern(period).astype(np.float32)
    view = photo(smeared(light, motion_px, RIGHT) if motion_px else light, noise)
    field, estimate = read(0.45 * period, RIGHT)
    whole = whole_motion(view, field, estimate, CONFIG)
    assert whole is None or length_px(fused(estimate, whole)) == pytest.approx(motion_px, rel=0.1)


def rectangles(seed: int = 0) -> Array:
    """Bright and dark rectangles of all sizes; linear light."""
    rng = np.random.default_rng(seed)
    image = np.full((CAMERA.height, CAMERA.width), 0.4, np.float32)
    for _ in range(150):
        left, top = rng.integers(-20, CAMERA.width), rng.integers(-20, CAMERA.height)
        wide, high = rng.integers(4, 60, 2)
        image[max(top, 0) : max(top + high, 0), max(left, 0) : max(left + wide, 0)] = rng.uniform(
            0.05, 0.85
        )
    return image


def out_of_focus(light: Array, radius: int) -> Array:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2).astype(np.float32)
    return np.asarray(cv2.filter2D(light, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT))


@pytest.mark.parametrize("radius", [6, 8, 10, 13, 16])
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("turn", [(0, 1, 0), (0.7, 0.7, 0), (0, 0, 2.5), (0.5, 0.2, 2)])
@pytest.mark.parametrize("seed", [3, 5])
def test_an_image_out_of_focus_stays_as_unread_as_the_network_found_it(
    radius: int, factor: float, turn: tuple[float, ...], seed: int
) -> None:
    view = photo(out_of_focus(rectangles(seed), radius))
    angular = factor * 2 * radius / (CAMERA.fx * EXPOSURE) * np.array(turn)
    field = field_of(angular, np.zeros(3), FAR, sigma=60.0)
    frame = Frame(view, 0.0, EXPOSURE, CAMERA)
    both = measured(frame, view, field, VelocitySolver(), CONFIG)
    assert not both.estimate.valid and both.whole is None


@pytest.mark.parametrize("along", [RIGHT, ASLANT], ids=["right", "aslant"])
@pytest.mark.parametrize("sigma", [2.0, 60.0])
def test_blur_of_a_motion_is_none_of_these(along: Array, sigma: float) -> None:
    """The same scene, moved."""
    view = photo(smeared(rectangles(), 14, along))
    field, estimate = read(11.0, along, sigma)
    whole = whole_motion(view, field, estimate, CONFIG)
    assert whole is not None
    assert length_px(fused(estimate, whole)) == pytest.approx(14, rel=0.1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("along", [RIGHT, DOWN], ids=["right", "down"])
def test_the_pixels_of_a_small_camera_are_no_blur(seed: int, along: Array) -> None:
    """In a view six times as large as its image an edge is as wide as a pixel of that image."""
    small = photo(cv2.resize(rectangles(seed), (50, 35), interpolation=cv2.INTER_AREA))
    view = cv2.resize(small, (CAMERA.width, CAMERA.height), interpolation=cv2.INTER_LINEAR)
    field = read(9.0, along)[0]
    frame = Frame(small, 0.0, EXPOSURE, Camera(50, 35, 39.0, 39.0, 25.0, 17.0))
    assert measured(frame, view, field, VelocitySolver(), CONFIG).whole is None


@pytest.mark.parametrize(("seed", "length"), [(6, 80), (6, 120), (8, 120), (11, 160)])
@pytest.mark.parametrize("factor", [0.45, 0.6])
@pytest.mark.parametrize("sigma", [2.0, 6.0])
def test_steps_that_lead_away_from_what_was_read_are_not_believed(
    seed: int, length: int, factor: float, sigma: float
) -> None:
    """The two ends of long blur that was read too short are out of sight from there."""
    view = photo(smeared(rectangles(seed), length, ASLANT), 2.0)
    field, estimate = read(factor * length, ASLANT, sigma)
    found = length_px(fused(estimate, whole_motion(view, field, estimate, CONFIG)))
    assert abs(found - length) <= 1.01 * abs(length_px(estimate) - length)


@pytest.mark.parametrize("stride", [2, 4, 16])
def test_cells_of_any_size(stride: int) -> None:
    """Also so fine ones that there are more of them than OpenCV takes at once."""
    width, height = 640, 480
    rows, columns = height // stride, width // stride
    camera = Camera(width, height, 500.0, 500.0, width / 2, height / 2)
    one = np.ones((rows, columns))
    field = BlurField(
        q=np.stack([22.0 * one, 0 * one], axis=-1),
        sigma=2 * one,
        inverse_depth=0.02 * one,
        sigma_log_depth=0.1 * one,
        camera=camera,
        stride=stride,
    )
    estimate = VelocitySolver().solve(field, EXPOSURE, 0.0)
    light = cv2.resize(smeared(rectangles(), 14, RIGHT), (width, height))
    whole = whole_motion(photo(light), field, estimate, CONFIG)
    assert whole is not None
    assert length_px(fused(estimate, whole), camera.fx) == pytest.approx(28, rel=0.1)


def test_places_of_a_small_view_are_in_one_block_each() -> None:
    one = np.ones((2, 3))
    camera = Camera(24, 16, 20.0, 20.0, 12.0, 8.0)
    field = BlurField(np.ones((2, 3, 2)), one, one, one, camera, 8)
    samples = Samples.of(field, CONFIG.blocks)
    values = np.arange(24, dtype=np.float32)[None]
    assert samples.by_block(values).sum() == values.sum()
