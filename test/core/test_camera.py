"""Camera calibration, its files, and the network's view."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from blur_imu_ros.core.camera import Camera, in_pixels
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.errors import CameraError
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time

CAMERA = Camera(640, 480, 500.0, 510.0, 330.0, 235.0)
FLAT = {"image_width": 640, "image_height": 480, "fx": 500, "fy": 510, "cx": 330, "cy": 235}
ROS = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "front",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [500, 0, 330, 0, 510, 235, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [-0.2, 0.05, 0.001, -0.001, 0]},
}


def written(folder: Path, content: object) -> Path:
    path = folder / "camera.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_resizing_keeps_the_ray_of_every_image_edge():
    half = CAMERA.resized(320, 240)
    left_edge, right_edge = -0.5, CAMERA.width - 0.5
    for edge, halved in ((left_edge, -0.5), (right_edge, 319.5)):
        full_ray = CAMERA.normalised(np.array(edge), np.array(0.0))[0]
        assert half.normalised(np.array(halved), np.array(0.0))[0] == pytest.approx(full_ray)
    assert (half.fx, half.fy) == (250.0, 255.0)


def test_resizing_back_restores_the_camera():
    back = CAMERA.resized(320, 224).resized(640, 480)
    values = (back.fx, back.fy, back.cx, back.cy)
    assert values == pytest.approx((CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy))


def test_cropping_moves_the_principal_point_only():
    cropped = CAMERA.cropped(100, 50, 320, 240)
    assert (cropped.width, cropped.height) == (320, 240)
    assert (cropped.cx, cropped.cy) == (230.0, 185.0)
    assert (cropped.fx, cropped.fy) == (CAMERA.fx, CAMERA.fy)


def test_matrix_and_focal():
    assert np.array_equal(CAMERA.matrix, [[500, 0, 330], [0, 510, 235], [0, 0, 1]])
    assert CAMERA.focal == pytest.approx(np.sqrt(500 * 510))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "0x480"),
        ({"fx": 0.0}, "uncalibrated"),
        ({"fy": -1.0}, "uncalibrated"),
        ({"cx": float("nan")}, "not a finite number"),
        ({"distortion": (float("inf"),) * 5}, "not a finite number"),
        ({"distortion_model": "barrel"}, "known are plumb_bob"),
        ({"width": "640"}, "'640' x 480 pixels holds a value that is not a finite number"),
        ({"fx": None}, "not a finite number"),
        ({"distortion": None}, "not a finite number"),
        ({"distortion": ("k1", "k2", "p1", "p2")}, "not a finite number"),
        ({"distortion": (0.1, 0.2)}, "takes 4 or 5 coefficients, got 2"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_refused(change, message):
    values = {"width": 640, "height": 480, "fx": 500.0, "fy": 500.0, "cx": 320.0, "cy": 240.0}
    with pytest.raises(CameraError, match=message):
        Camera(**{**values, **change})


@pytest.mark.parametrize("kind", [list, lambda x: np.array([x])], ids=["list", "of OpenCV"])
def test_coefficients_may_be_any_sequence(kind):
    """And the camera can be compared and looked up all the same."""
    coefficients = (-0.25, 0.08, 0.001, -0.0015, 0.0)
    pinhole = (640, 480, 500.0, 500.0, 330.0, 235.0, "plumb_bob")
    given = Camera(*pinhole, kind(coefficients))
    assert given == Camera(*pinhole, coefficients) and hash(given)


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (480, 640), (320, 224), (200, 150)])
def test_the_view_of_any_image_has_the_networks_size(size):
    camera = Camera(*size, 400.0, 400.0, size[0] / 2, size[1] / 2)
    view = NetworkView(camera, 320, 224)
    assert view.apply(np.zeros((size[1], size[0], 3), np.uint8)).shape == (224, 320, 3)
    assert view.apply(np.zeros((size[1], size[0]), np.uint8)).shape == (224, 320)
    assert (view.camera.width, view.camera.height) == (320, 224)
    assert view.camera.fx == pytest.approx(view.camera.fy, rel=0.01)


LENSES = {
    "pinhole": ("plumb_bob", ()),
    "plumb_bob": ("plumb_bob", (-0.25, 0.08, 0.001, -0.0015, 0.0)),
    "without k3": ("plumb_bob", (-0.25, 0.08, 0.001, -0.0015)),
    "rational": ("rational_polynomial", (-0.2, 0.05, 0.001, -0.001, 0.01, 0.05, 0.0, 0.0)),
    "fisheye": ("equidistant", (-0.02, 0.01, -0.003, 0.0)),
    "ideal fisheye": ("equidistant", (0.0,) * 5),
    "ideal fisheye, no coefficients": ("equidistant", ()),
}


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("ray", [(0.0, 0.0), (0.35, -0.2), (-0.3, 0.25)])
def test_a_dot_appears_in_the_view_where_its_pinhole_says(lens, ray):
    """A lamp in a known direction, photographed through the lens, then seen by the network."""
    model, distortion = LENSES[lens]
    camera = Camera(640, 480, 500.0, 500.0, 330.0, 235.0, model, distortion)
    dot = photographed(camera, np.array(ray))
    view = NetworkView(camera, 320, 224)
    weights = view.apply(dot).astype(float)
    v, u = np.mgrid[:224, :320]
    found = np.array([(u * weights).sum(), (v * weights).sum()]) / weights.sum()
    expected = (
        ray[0] * view.camera.fx + view.camera.cx,
        ray[1] * view.camera.fy + view.camera.cy,
    )
    assert found == pytest.approx(expected, abs=0.2)


def photographed(camera: Camera, ray: np.ndarray) -> np.ndarray:
    point = np.array([[[*ray, 1.0]]])
    still, coefficients = np.zeros(3), np.array(camera.distortion)
    if camera.distortion_model == "equidistant":
        coefficients = coefficients if coefficients.any() else np.zeros(4)
        pixel = cv2.fisheye.projectPoints(point, still, still, camera.matrix, coefficients)[0]
    else:
        pixel = cv2.projectPoints(point, still, still, camera.matrix, coefficients)[0]
    v, u = np.mgrid[: camera.height, : camera.width]
    distance2 = (u - pixel.ravel()[0]) ** 2 + (v - pixel.ravel()[1]) ** 2
    return (255 * np.exp(-distance2 / (2 * 3.0**2))).astype(np.uint8)


def test_reads_a_flat_camera_file(tmp_path):
    path = written(tmp_path, {**FLAT, "exposure_time": 0.012})
    assert load_camera(path) == CAMERA
    assert load_exposure_time(path) == 0.012


@pytest.mark.parametrize("wrong", [10, -0.01, float("nan"), "20 ms"])
def test_an_exposure_that_cannot_be_one_is_refused_with_its_file(tmp_path, wrong):
    path = written(tmp_path, {**FLAT, "exposure_time": wrong})
    with pytest.raises(CameraError, match=r"camera\.yaml: exposure"):
        load_exposure_time(path)


def test_reads_a_ros_calibration_file(tmp_path):
    camera = load_camera(written(tmp_path, ROS))
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 510, 330, 235)
    assert camera.distortion == (-0.2, 0.05, 0.001, -0.001, 0.0)
    assert camera.is_distorted
    assert not camera.undistorted().is_distorted
    assert load_exposure_time(tmp_path / "camera.yaml") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fx: [", "is not YAML"),
        ("just text", "holds no camera"),
        ({k: v for k, v in FLAT.items() if k != "fy"}, "lacks fy; expected image_width"),
        ({**FLAT, "fx": "wide"}, "fx is 'wide', not a number"),
        ({**FLAT, "image_width": "640x480"}, "image_width is '640x480', not a number"),
        ({**FLAT, "image_width": [640]}, "image_width"),
        ({**FLAT, "image_width": float("nan")}, "NaN"),
        ({**FLAT, "distortion_coefficients": -0.2}, "distortion_coefficients is -0.2, not a list"),
        ({**FLAT, "distortion_coefficients": {"rows": 1}}, "distortion_coefficients"),
        ({**FLAT, "distortion_coefficients": [0.1, "x", 0, 0, 0]}, "distortion_coefficients"),
        ({**FLAT, "fx": 0}, "uncalibrated"),
        ({**FLAT, "fx": 0.8, "fy": 0.8}, "640 pixels.*Give pixels"),
        ({**ROS, "camera_matrix": {"data": [1, 2]}}, "camera.yaml"),
        ({**ROS, "camera_matrix": {}}, "lacks data"),
    ],
)
def test_a_bad_camera_file_is_named_with_its_fault(tmp_path, content, message):
    with pytest.raises(CameraError, match=message) as error:
        load_camera(written(tmp_path, content))
    assert "camera.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_camera_file_is_named(tmp_path):
    with pytest.raises(CameraError, match=r"nowhere\.yaml: cannot be read"):
        load_camera(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("value", ["fast", [1, 2]])
def test_an_exposure_time_that_is_no_number_is_refused(tmp_path, value):
    path = written(tmp_path, {**FLAT, "exposure_time": value})
    with pytest.raises(CameraError, match="exposure_time"):
        load_exposure_time(path)


def test_a_strip_of_an_image_is_refused_before_it_takes_all_memory():
    with pytest.raises(CameraError, match="too narrow a strip"):
        NetworkView(Camera(16384, 1, 500, 500, 8000, 0), 320, 224)


def test_large_images_are_averaged_in_two_steps_to_what_one_step_gives():
    camera = Camera(1920, 1080, 1500, 1500, 960, 540)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (68, 120, 3), np.uint8)
    image = np.asarray(cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC), np.uint8)
    seen = NetworkView(camera, 320, 224).apply(image).astype(int)
    whole = cv2.resize(image, (398, 224), interpolation=cv2.INTER_AREA).astype(int)[:, 39:359]
    assert np.abs(seen - whole).mean() < 0.01 * whole.std()
    assert np.abs(seen - whole).max() <= 6


def test_the_smallest_image_has_one_pixel():
    assert Camera(1, 1, 1, 1, 0, 0).width == 1
    for size in ((0, 1), (1, 0)):
        with pytest.raises(CameraError, match="must be positive"):
            Camera(*size, 1, 1, 0, 0)


@pytest.mark.parametrize("focal", [(0, 100), (100, 0), (-1, 100), (100, -1)])
def test_both_focal_lengths_must_be_positive(focal: tuple[float, float]):
    with pytest.raises(CameraError, match="focal length"):
        Camera(64, 48, *focal, 32, 24)


@pytest.mark.parametrize("count", [1, 3, 6, 8])
def test_a_lens_has_all_coefficients_of_its_model_or_none(count: int):
    with pytest.raises(CameraError, match=f"takes 4 or 5 coefficients, got {count}"):
        Camera(64, 48, 100, 100, 32, 24, "plumb_bob", (0.1,) * count)
    assert not Camera(64, 48, 100, 100, 32, 24, "plumb_bob", (0.0,) * count).is_distorted


def test_a_focal_length_that_no_lens_has_is_refused():
    with pytest.raises(CameraError, match="too long for the 64 pixels"):
        in_pixels(Camera(64, 48, 1e30, 1e30, 32, 24))
    assert in_pixels(Camera(64, 48, 5000, 5000, 32, 24)).fx == 5000, "a telescope's"
