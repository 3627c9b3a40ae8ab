"""The network's view shows what its camera says: pixel centres are kept, and areas are averaged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.network_view import NetworkView, _scaled

SIZES = ((320, 224), (640, 480), (688, 516), (1092, 819), (1280, 720), (1921, 1081), (4000, 3000))
VIEWS = ((320, 224), (480, 352))


def shown(image: np.ndarray, view: tuple[int, int]) -> tuple[np.ndarray, NetworkView]:
    height, width = image.shape[:2]
    camera = Camera(width, height, width, width, width / 2, height / 2)
    seen = NetworkView(camera, *view)
    return seen.apply(image), seen


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_pixel_shows_what_lies_where_its_camera_looks(
    size: tuple[int, int], view: tuple[int, int], axis: int
) -> None:
    """Of a ramp every grey level tells where it is, to a twentieth of the view's pixels."""
    levels, (width, height) = 5, size
    slope = levels * max(view[0] / width, view[1] / height)

    def brightness(place: Array) -> Array:
        return np.abs(place * slope % 510 - 255)

    pixels = np.indices((height, width))[1 - axis]
    image, seen = shown(np.round(brightness(pixels)).astype(np.uint8), view)
    ray = seen.camera.normalised(*np.meshgrid(np.arange(view[0]), np.arange(view[1])))[axis]
    place = ray * seen.source.fx + (seen.source.cx, seen.source.cy)[axis]
    wanted = brightness(place)
    straight = (wanted > 4 * levels) & (wanted < 255 - 4 * levels)
    upward = np.where(place * slope % 510 < 255, -1, 1)
    off = ((image - wanted) * upward)[straight] / levels
    assert np.abs(off).max() < 0.5 and abs(off.mean()) < 0.05


@pytest.mark.parametrize("size", [(688, 516), (1092, 819), (1280, 720), (1920, 1080)])
def test_noise_is_averaged_over_the_area_of_a_pixel(size: tuple[int, int]) -> None:
    """A pixel that stood for one of the camera alone would keep its noise, and alias."""
    view, (width, height) = VIEWS[0], size
    noisy = np.random.default_rng(0).normal(128, 20, (height, width)).clip(0, 255)
    image, _ = shown(noisy.astype(np.uint8), view)
    area = min(width / view[0], height / view[1]) ** 2
    assert image.std() < 1.25 * 20 / np.sqrt(area)


@pytest.mark.parametrize("shape", [(516, 688), (516, 688, 3)])
def test_channels_stay_as_they_are(shape: tuple[int, ...]) -> None:
    image, _ = shown(np.full(shape, 77, np.uint8), VIEWS[0])
    assert image.shape == (224, 320, *shape[2:]) and np.all(image == 77)


@pytest.mark.parametrize(
    ("size", "by_way_of"),
    [
        ((32, 24), [(16, 12)]),
        ((64, 48), [(32, 24), (16, 12)]),
        ((34, 26), [(17, 13), (16, 12)]),
        ((33, 25), [(32, 24), (16, 12)]),
        ((26, 20), [(16, 12)]),
        ((16, 12), []),
        ((13, 9), []),
    ],
    ids=str,
)
def test_an_image_is_halved_as_often_as_can_be(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], by_way_of: list[tuple[int, int]]
) -> None:
    """Halving is ten times faster than other fractions; what is left to those is interpolated."""
    resized, sizes = cv2.resize, []

    def told(image: Array, to: tuple[int, int], **options: int) -> Array:
        sizes.append(to)
        return np.asarray(resized(image, to, **options))

    monkeypatch.setattr("blur_imu_ros.core.network_view.cv2.resize", told)
    _scaled(np.zeros((size[1], size[0]), np.uint8), 8, 6)
    assert sizes == [*by_way_of, (8, 6)]
