"""Wide lenses are seen through as pinholes; calibrations that cannot be right are doubted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.lens import WIDE, doubts, pixels_of_rays
from blur_imu_ros.core.network_view import NetworkView

PLAIN = Camera(320, 240, 250.0, 250.0, 159.5, 119.5)
LENSES = {
    "double_sphere": (120.0, (-0.2, 0.55)),
    "extended_unified": (150.0, (0.6, 1.1)),
    "omnidirectional": (330.0, (1.2, -0.1, 0.02, 0.0, 0.0)),
}


def lens(name: str) -> Camera:
    focal, numbers = LENSES[name]
    return replace(PLAIN, fx=focal, fy=focal, distortion_model=name, distortion=numbers)


def rays() -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.random.default_rng(0).uniform(-1.5, 1.5, (2, 50)))  # type: ignore[return-value]


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_lens_without_parameters_is_a_pinhole(name: str) -> None:
    x, y = rays()
    np.testing.assert_allclose(WIDE[name](x, y), (x, y))


def test_the_unified_model_is_the_same_in_both_of_its_forms() -> None:
    (x, y), alpha = rays(), 0.6
    one = np.array(WIDE["extended_unified"](x, y, alpha, 1.0))
    other = np.array(WIDE["omnidirectional"](x, y, alpha / (1 - alpha)))
    np.testing.assert_allclose(one * (1 - alpha), other)


@pytest.mark.parametrize("name", ["plumb_bob", "equidistant"])
def test_known_lenses_show_rays_where_opencv_does(name: str) -> None:
    camera = replace(PLAIN, distortion_model=name, distortion=(-0.1, 0.02, 0.001, -0.002))
    x, y = np.array([0.0, 0.3]), np.array([0.0, -0.2])
    u, v = pixels_of_rays(camera, x, y)
    assert (u[0], v[0]) == pytest.approx((159.5, 119.5))
    square = 0.13
    if name == "plumb_bob":
        radial = 1 - 0.1 * square + 0.02 * square**2
        expected = 0.3 * radial + 2 * 0.001 * 0.3 * -0.2 - 0.002 * (square + 2 * 0.09)
    else:
        r = np.sqrt(square)
        angle = np.arctan(r)
        bent = np.polyval([-0.002, 0.001, 0.02, -0.1, 1], angle**2) * angle
        expected = 0.3 * bent / r
    assert u[1] == pytest.approx(159.5 + 250 * expected)


@pytest.mark.parametrize("name", WIDE)
def test_the_network_sees_what_a_pinhole_would_have_seen(name: str) -> None:
    camera = lens(name)
    view = NetworkView(camera, 320, 240)
    radii = np.linspace(0, 3, 4000)
    shown, _ = pixels_of_rays(camera, radii, np.zeros_like(radii))
    u, v = np.meshgrid(np.arange(320.0), np.arange(240.0))
    away = np.hypot(u - camera.cx, v - camera.cy)
    radius = np.interp(away, shown - camera.cx, radii) / np.maximum(away, 1e-9)
    image = pattern((u - camera.cx) * radius, (v - camera.cy) * radius)
    expected = pattern(*view.camera.normalised(u, v))
    seen = view.apply(image)[20:-20, 20:-20].astype(float)
    assert np.abs(seen - expected[20:-20, 20:-20]).mean() < 2.0


def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """An image (height, width) of what lies in the direction of each ray."""
    return np.asarray(127 + 60 * np.sin(12 * x) + 60 * np.sin(9 * y + 1), np.uint8)


@pytest.mark.parametrize("camera", [PLAIN, *map(lens, WIDE)])
def test_good_calibrations_are_not_doubted(camera: Camera) -> None:
    assert list(doubts(camera)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cx": 319.5, "cy": 239.5}, "another size, such as 640x480"),
        ({"cx": 79.5, "cy": 59.5}, "another size, such as 160x120"),
        ({"cx": 0, "cy": 0}, "another size, or of the whole"),
        ({"fy": 400.0}, "differ more than those of any common camera"),
        ({"distortion": (-0.9, 0.0, 0.0, 0.0)}, "folds the image"),
    ],
)
def test_a_calibration_that_cannot_be_right_is_doubted(changes: dict, said: str) -> None:
    (told,) = doubts(replace(PLAIN, **changes))
    assert said in told
