"""The physics of the training renderer, and that its samples are what they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_training.isp.numpy_isp import apply_isp, linear_light
from blur_imu_training.isp.parameters import Light, random_camera, random_light, random_pixel
from blur_imu_training.rendering.numpy_renderer import SharpView, mean_over_exposure, true_field
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.scene.exposure_motion import ExposureMotion, random_motion
from blur_imu_training.scene.procedural import dead_leaves, invented_inverse_depth
from blur_imu_training.scene.sharp_images import ProceduralPictures, WeightedMixture

WIDTH, HEIGHT = 160, 128
CAMERA = Camera(WIDTH, HEIGHT, 150, 150, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
ZERO = np.zeros(3)


def still_turn(rotation: tuple[float, float, float]) -> ExposureMotion:
    return ExposureMotion(np.array(rotation), ZERO, ZERO, ZERO)


def blurred(radiance: np.ndarray, motion: ExposureMotion, depth: float = 2.0) -> np.ndarray:
    inverse = np.full((HEIGHT, WIDTH), 1 / depth, np.float32)
    return mean_over_exposure(SharpView(radiance, inverse, CAMERA), motion, CAMERA, 0, 0, 0.5)


def point() -> np.ndarray:
    radiance = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    radiance[HEIGHT // 2, WIDTH // 2] = 100.0
    return radiance


def extent(values: np.ndarray) -> int:
    lit = np.flatnonzero(values > values.max() * 0.2)
    return int(lit[-1] - lit[0] + 1)


def test_a_point_under_yaw_smears_to_focal_length_times_angle() -> None:
    smear = blurred(point(), still_turn((0, 0.2, 0)))[..., 0]
    assert extent(smear.sum(0)) == pytest.approx(150 * 0.2, abs=2)
    assert extent(smear.sum(1)) <= 3


def test_a_point_under_pitch_smears_vertically() -> None:
    smear = blurred(point(), still_turn((0.1, 0, 0)))[..., 0]
    assert extent(smear.sum(1)) == pytest.approx(15, abs=2)
    assert extent(smear.sum(0)) <= 3


def test_a_point_before_a_camera_moving_right_smears_by_parallax() -> None:
    motion = ExposureMotion(ZERO, np.array([0.2, 0, 0]), ZERO, ZERO)
    smear = blurred(point(), motion, depth=2.0)[..., 0]
    assert extent(smear.sum(0)) == pytest.approx(150 * 0.2 / 2, abs=2)


def test_blur_keeps_the_energy() -> None:
    sharp = point()
    assert blurred(sharp, still_turn((0.05, 0.1, 0))).sum() == pytest.approx(sharp.sum(), rel=0.03)


def test_reversed_motion_gives_the_same_image() -> None:
    rng = np.random.default_rng(0)
    radiance = dead_leaves(HEIGHT, WIDTH, rng).astype(np.float32) / 255
    motion = ExposureMotion(np.array([0.03, -0.05, 0.1]), np.array([0.02, 0.03, -0.05]), ZERO, ZERO)
    np.testing.assert_allclose(
        blurred(radiance, motion), blurred(radiance, motion.scaled(-1)), atol=2e-3
    )


def test_no_motion_leaves_the_picture_as_it_is() -> None:
    radiance = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), dtype=np.float32)
    np.testing.assert_allclose(blurred(radiance, still_turn((0, 0, 0))), radiance, atol=1e-4)


def test_a_lamp_that_clipped_leaves_a_streak_that_clips() -> None:
    """Once brighter than white, its light spread over 15 px is still white; a white wall's is
    not."""
    picture = np.full((HEIGHT, WIDTH, 3), 10, np.uint8)
    picture[HEIGHT // 2 - 1 : HEIGHT // 2 + 2, WIDTH // 2 - 1 : WIDTH // 2 + 2] = 255
    plain = Light(np.linspace(0, 1, 256, dtype=np.float32), knee=0.9, lift=0.0)
    streaks = [
        np.clip(blurred(linear_light(picture, light), still_turn((0, 0.1, 0))), 0, 1)[HEIGHT // 2]
        for light in (replace(plain, lift=15.0), plain)
    ]
    lamp, wall = (streak[:, 0] for streak in streaks)
    assert (lamp == 1).sum() >= 10
    assert wall.max() < 0.3


def test_no_ghosts_a_smear_is_even() -> None:
    row = blurred(point(), still_turn((0, 0.2, 0)))[HEIGHT // 2, :, 0]
    inside = row[WIDTH // 2 - 10 : WIDTH // 2 + 10]
    assert inside.std() / inside.mean() < 0.15


def test_an_edge_smears_as_far_as_what_lies_before_it_moves() -> None:
    """A light board 1 m away before a dark wall: what its edges cover is known exactly."""
    board = (slice(40, 90), slice(60, 100))
    inverse = np.full((HEIGHT, WIDTH), 0.25, np.float32)
    radiance = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)
    inverse[board], radiance[board] = 1.0, 0.8
    motion = ExposureMotion(ZERO, np.array([0.2, 0, 0]), ZERO, ZERO)
    row = mean_over_exposure(SharpView(radiance, inverse, CAMERA), motion, CAMERA, 0, 0, 0.5)[65]
    columns = np.arange(WIDTH)[:, None]
    moved = 150 * 0.2 * ((np.arange(500) + 0.5) / 500 - 0.5)
    covered = (columns >= 59.5 - moved) & (columns < 99.5 - moved)
    np.testing.assert_allclose(row[:, 0], 0.2 + 0.6 * covered.mean(1), atol=0.04)


def test_nothing_behind_a_moving_edge_is_smeared_through_it() -> None:
    """A lamp on the wall moves by 7.5 px, but soon a board that moves by 30 px lies before it."""
    inverse = np.full((HEIGHT, WIDTH), 0.25, np.float32)
    radiance = np.full((HEIGHT, WIDTH, 3), 0.1, np.float32)
    inverse[:, :80] = 1.0
    radiance[:, 82] = 5.0
    motion = ExposureMotion(ZERO, np.array([-0.2, 0, 0]), ZERO, ZERO)
    row = mean_over_exposure(SharpView(radiance, inverse, CAMERA), motion, CAMERA, 0, 0, 0.5)[65]
    assert row[79:82, 0].min() > 0.3
    assert row[84:, 0].max() < 0.4  # it would be 0.7, were it seen through the board


def test_the_true_field_is_the_difference_between_shutter_open_and_close() -> None:
    motion = ExposureMotion(np.array([0.02, -0.03, 0.05]), np.array([0.03, 0.02, 0.04]), ZERO, ZERO)
    inverse = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    field, _ = true_field(CAMERA, inverse, motion, 8)
    positions = []
    for s in (-0.5, 0.5):
        from scipy.spatial.transform import Rotation

        turn, shift = motion.at(s)
        x, y = CAMERA.normalised(np.array(83.5), np.array(43.5))
        seen = Rotation.from_rotvec(turn).inv().apply(np.array([x, y, 1]) / 0.5 - shift)
        positions.append(seen[:2] / seen[2] * 150)
    np.testing.assert_allclose(field[5, 10], positions[1] - positions[0], atol=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_acceleration_changes_the_path_but_not_the_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    u, v = np.meshgrid(np.arange(0.0, WIDTH, 16), np.arange(0.0, HEIGHT, 16))
    inverse = np.full(u.shape, 0.4, np.float32)
    motion = random_motion(CAMERA, u, v, inverse, 30.0, rng)
    opened, closed = motion.at(-0.5), motion.at(0.5)
    np.testing.assert_allclose(closed[0] - opened[0], motion.rotation, atol=1e-12)
    np.testing.assert_allclose(closed[1] - opened[1], motion.translation, atol=1e-12)
    field = motion_field(CAMERA, u, v, inverse, motion.rotation, motion.translation)
    assert np.hypot(field[..., 0], field[..., 1]).max() <= 1.8 * 30 + 1e-6


def test_samples_are_the_same_at_every_restart() -> None:
    pictures = WeightedMixture([(ProceduralPictures(), 1.0)])
    one = SampleStream(pictures, 64, 64, 20.0, seed=3)[11]
    again = SampleStream(pictures, 64, 64, 20.0, seed=3)[11]
    other = SampleStream(pictures, 64, 64, 20.0, seed=3)[12]
    np.testing.assert_array_equal(one.image, again.image)
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("index", range(12))
def test_samples_are_finite_and_of_the_size_asked_for(index: int) -> None:
    pictures = WeightedMixture([(ProceduralPictures(), 1.0)])
    sample = SampleStream(pictures, 96, 64, 30.0, seed=index)[index]
    tensors = sample.tensors(250.0)
    assert sample.image.shape == (64, 96, 3)
    assert tensors["q"].shape == (2, 8, 12)
    assert all(np.all(np.isfinite(value)) for value in tensors.values())
    np.testing.assert_allclose(
        np.hypot(*tensors["q"]), np.hypot(sample.field[..., 0], sample.field[..., 1]), rtol=1e-4
    )


@pytest.mark.parametrize("seed", range(20))
def test_every_camera_gives_a_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    light = linear_light(dead_leaves(32, 48, rng), random_light(rng))
    assert light.shape == (32, 48, 3) and light.min() >= 0 and np.isfinite(light).all()
    picture = apply_isp(light, random_camera(rng))
    assert picture.shape == (32, 48, 3) and picture.dtype == np.uint8


def pictures_of(radiance: np.ndarray, pixel: float) -> list[np.ndarray]:
    rngs = (np.random.default_rng(i) for i in range(40))
    return [apply_isp(radiance, random_camera(rng, pixel)).mean(axis=-1) for rng in rngs]


def test_scaling_down_from_many_pixels_averages_noise_away() -> None:
    cameras = [[random_camera(np.random.default_rng(i), p) for i in range(40)] for p in (0.2, 1.0)]
    noisy = [(many, few) for many, few in zip(*cameras, strict=True) if few.noise]
    assert len(noisy) > 20 and all(many.noise < 0.5 * few.noise for many, few in noisy)
    flat = np.full((96, 128, 3), 0.2, np.float32)
    plain = replace(
        noisy[0][1], vignette=0.0, read=0.01, shot=0.0, stages=(), video=None, compressions=()
    )
    loud, quiet = (apply_isp(flat, replace(plain, noise=x))[..., 1].std() for x in (1.0, 0.4))
    assert quiet < 0.6 * loud


def test_scaling_down_from_many_pixels_gives_steep_edges() -> None:
    edge = np.full((96, 128, 3), 0.05, np.float32)
    edge[:, 64:] = 0.4

    def steepness(picture: np.ndarray) -> float:
        profile = picture[20:-20].mean(axis=0)
        return float(
            np.abs(np.diff(profile))[58:70].max()
            / abs(profile[80:120].mean() - profile[10:50].mean())
        )

    many, few = (np.median([steepness(p) for p in pictures_of(edge, x)]) for x in (0.2, 1.0))
    assert many > 1.1 * few


def test_most_cameras_have_more_pixels_than_the_view() -> None:
    rng = np.random.default_rng(0)
    pixels = np.array([random_pixel(rng) for _ in range(500)])
    assert 1 / 6 - 1e-9 <= pixels.min() and pixels.max() == 1.0
    assert 0.7 < (pixels < 0.8).mean() < 0.9


def test_invented_depth_is_positive_and_varies() -> None:
    inverse = invented_inverse_depth(120, 160, np.random.default_rng(0))
    assert inverse.shape == (120, 160) and inverse.min() > 0 and inverse.std() > 0
