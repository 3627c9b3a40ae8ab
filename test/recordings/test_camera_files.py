"""Calibrations are read as other programs write them, or refused by what is not understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import CameraError
from blur_imu_ros.recordings.camera_files import flat, load_camera, load_exposure_time
from helpers.calibrations import (
    BROWN,
    BROWN_FILES,
    FISHEYE,
    FISHEYE_FILES,
    PINHOLE,
    RADTAN,
    SIZE,
    WIDE_FILES,
    kalibr,
    opencv,
    orbslam,
)


def written(folder: Path, text: str) -> Path:
    path = folder / "camera.yaml"
    path.write_text(text)
    return path


def same(found: Camera, expected: Camera) -> None:
    assert (found.width, found.height) == (expected.width, expected.height)
    assert found.distortion_model == expected.distortion_model
    values = [(c.fx, c.fy, c.cx, c.cy, *c.distortion) for c in (found, expected)]
    length = min(map(len, values))
    assert values[0][:length] == pytest.approx(values[1][:length])
    assert not any(values[0][length:])


@pytest.mark.parametrize("name", BROWN_FILES)
def test_a_brown_lens_is_read_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    same(load_camera(written(tmp_path, BROWN_FILES[name])), BROWN)


@pytest.mark.parametrize("name", FISHEYE_FILES)
def test_a_fisheye_is_read_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    same(load_camera(written(tmp_path, FISHEYE_FILES[name])), FISHEYE)


@pytest.mark.parametrize("name", WIDE_FILES)
def test_wide_lenses_are_read(tmp_path: Path, name: str) -> None:
    text, (model, focal, coefficients) = WIDE_FILES[name]
    expected = Camera(320, 240, focal, focal + 1, 159.5, 119.5, model, coefficients)
    same(load_camera(written(tmp_path, text)), expected)


def test_a_rational_lens_keeps_all_its_coefficients(tmp_path: Path) -> None:
    numbers = [0.1, -0.2, 0.001, 0.0, 0.05, 0.3, -0.1, 0.02]
    camera = load_camera(written(tmp_path, opencv(str(numbers), 8)))
    assert camera.distortion_model == "rational_polynomial" and camera.distortion == tuple(numbers)


@pytest.mark.parametrize(
    "text", [*BROWN_FILES.values(), *(text for text, _ in WIDE_FILES.values())]
)
def test_what_was_read_can_be_written_flat(tmp_path: Path, text: str) -> None:
    camera = load_camera(written(tmp_path, text))
    again = load_camera(written(tmp_path, yaml.safe_dump(flat(camera))))
    assert again == camera


def test_one_of_several_cameras_is_named_behind_a_colon(tmp_path: Path) -> None:
    path = written(tmp_path, kalibr() + kalibr("cam1", intrinsics=[300.0, 301.0, 150.0, 110.0]))
    with pytest.raises(CameraError, match=r"several cameras \(cam0, cam1\).*camera.yaml:cam0"):
        load_camera(path)
    assert load_camera(f"{path}:cam1").fx == 300
    with pytest.raises(CameraError, match="no camera cam2; there are cam0, cam1"):
        load_camera(f"{path}:cam2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{SIZE}{PINHOLE}my_distortion: [0.1, 0.2]\n", "mydistortion seems to describe the lens"),
        (f"{SIZE}{PINHOLE}k1: -0.2\ndistortion_model: division\n", "'division' is not known"),
        (kalibr(model="fov-special", distortion="none"), "not known|has coefficients"),
        (f"{SIZE}{PINHOLE}lens: {{k1: -0.3, k2: 0.1}}\n", "lens seems to describe the lens"),
        (f"{SIZE}{PINHOLE}radial_distortion: [-0.3]\n", "radialdistortion seems to describe"),
        (
            f"{SIZE}{PINHOLE}camera_model: fisheye\ndistortion_model: plumb_bob\n"
            "distortion_coefficients: [0.1, 0.1, 0, 0]\n",
            "names two distortion models, fisheye and plumb_bob",
        ),
        ("1 FOV 320 240 250 251 160 120 0.9\n", "FOV is not supported"),
        (f"{SIZE}fx: 250\n", "lacks fy; expected image_width.* Kalibr, EuRoC"),
        (f"{SIZE}K: [1, 2, 3]\n", "9 numbers"),
        ("- 1\n- 2\n", "holds no camera"),
        (f"{SIZE}{PINHOLE.replace('159.5', '15950')}", "far outside its image"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CameraError, match=said) as caught:
        load_camera(written(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "camera.yaml"))


@pytest.mark.parametrize(
    "said",
    ["model: fisheye", "lens_model: equidistant", "projection: Kannala-Brandt", "is_fisheye: true"],
)
def test_a_fisheye_by_any_key_is_not_taken_for_a_pinhole(tmp_path: Path, said: str) -> None:
    text = f"{SIZE}{PINHOLE}{said}\nD: [0.1, -0.03, 0.004, -0.0007]\n"
    same(load_camera(written(tmp_path, text)), FISHEYE)


@pytest.mark.parametrize(
    "text",
    [
        f"{SIZE}{PINHOLE}distortion: {{model: radtan, coefficients: {list(RADTAN)}}}\n",
        f"{SIZE}{PINHOLE}distortion_coefficients: '-0.28 0.07 0.0002 0.00002'\n",
        f"{SIZE}focal_length: [250, 251]\nprincipal_point: [159.5, 119.5]\nD: {list(RADTAN)}\n",
        "camera:\n" + "".join(f"  {x}\n" for x in (SIZE + PINHOLE).splitlines())
        + f"  D: {list(RADTAN)}\n",
    ],
)  # fmt: skip
def test_other_ways_to_write_the_same(tmp_path: Path, text: str) -> None:
    same(load_camera(written(tmp_path, text)), BROWN)


def test_a_focal_length_in_millimetres_beside_fx_is_passed_over(tmp_path: Path) -> None:
    camera = load_camera(written(tmp_path, f"{SIZE}{PINHOLE}f: 1.8\nfocal_length: 4.2\n"))
    assert (camera.fx, camera.fy) == (250, 251)


def test_rectified_images_have_no_lens(tmp_path: Path) -> None:
    assert not load_camera(written(tmp_path, orbslam("Camera1", "Rectified", "", ()))).is_distorted


def test_json_with_tabs_is_read(tmp_path: Path) -> None:
    text = '{\n\t"width": 320,\n\t"height": 240,\n\t"fx": 250,\n\t"fy": 251,\n\t"cx": 159.5,\n\t"cy": 119.5\n}'
    assert load_camera(written(tmp_path, text)).fy == 251


def test_a_region_of_the_sensor_and_binning_count(tmp_path: Path) -> None:
    text = BROWN_FILES["topic echo"].replace("binning_x: 0", "binning_x: 2")
    camera = load_camera(written(tmp_path, text.replace("binning_y: 0", "binning_y: 2")))
    assert (camera.width, camera.height, camera.fx) == (160, 120, 125)


WINDOW = "roi: {x_offset: 40, y_offset: 20, width: 200, height: 160}\n"


@pytest.mark.parametrize(
    "text", [f"{SIZE}{PINHOLE}", f"{SIZE}K: [250, 0, 159.5, 0, 251, 119.5, 0, 0, 1]\n"]
)
def test_region_and_binning_count_in_every_kind_of_file(tmp_path: Path, text: str) -> None:
    cut = load_camera(written(tmp_path, text + WINDOW))
    assert (cut.width, cut.height, cut.cx, cut.cy) == (200, 160, 119.5, 99.5)
    both = load_camera(written(tmp_path, f"{text}{WINDOW}binning_x: 2\nbinning_y: 2\n"))
    assert (both.width, both.height, both.fx, both.cx) == (100, 80, 125, 59.5)


@pytest.mark.parametrize(
    ("k", "said"),
    [
        ([250, 0, 159.5, 0, 251, 119.5, 0, 0, 1], ""),
        ([500, 0, 319, 0, 502, 239, 0, 0, 2], ""),
        ([250, 0, 159.5, 0, 251, 119.5, 0, 0, 0], ""),
        ([250, 0, 0, 0, 251, 0, 159.5, 119.5, 1], "column by column; give it row by row"),
        ([250, 0, 159.5, 3, 251, 119.5, 0, 0, 1], "K is .fx, 0, cx"),
    ],
)
@pytest.mark.parametrize("key", ["K", "intrinsics", "camera_matrix"])
def test_a_matrix_is_read_as_it_is_meant(
    tmp_path: Path, key: str, k: list[float], said: str
) -> None:
    path = written(tmp_path, f"{SIZE}{key}: {k}\n")
    if said:
        with pytest.raises(CameraError, match=said):
            load_camera(path)
    else:
        same(load_camera(path), Camera(320, 240, 250, 251, 159.5, 119.5))


@pytest.mark.parametrize("value", ["true", "1", "yes", "'True'"])
def test_what_is_called_a_fisheye_is_one(tmp_path: Path, value: str) -> None:
    text = f"{SIZE}{PINHOLE}fisheye: {value}\ndist_coeffs: [0.1, 0.01, 0, 0]\n"
    assert load_camera(written(tmp_path, text)).distortion_model == "equidistant"
    plain = text.replace(f"fisheye: {value}", "fisheye: 0")
    assert load_camera(written(tmp_path, plain)).distortion_model == "plumb_bob"


@pytest.mark.parametrize("key", ["model", "distortion_model", "camera_model", "lens"])
@pytest.mark.parametrize(
    "lens", ["inverse_brown_conrady", "distortion.inverse_brown_conrady", "fov"]
)
def test_lenses_of_others_are_refused_in_whatever_key(tmp_path: Path, key: str, lens: str) -> None:
    text = f"{SIZE}{PINHOLE}{key}: {lens}\ncoeffs: [0.1, 0.2, 0, 0, 0]\n"
    with pytest.raises(CameraError, match=f"'{lens}' is not known"):
        load_camera(written(tmp_path, text))
    zeros = written(tmp_path, text.replace("0.1, 0.2", "0, 0"))
    if "inverse" in lens:
        assert not load_camera(zeros).is_distorted
    named = written(tmp_path, f"{SIZE}{PINHOLE}model: D435 thin\n")
    assert not load_camera(named).is_distorted


def test_a_key_of_two_values_is_refused(tmp_path: Path) -> None:
    text = f"{SIZE}{PINHOLE}fx: 700\n"
    with pytest.raises(CameraError, match=r"camera\.yaml: fx is 250 and 700; leave one out"):
        load_camera(written(tmp_path, text))
    assert load_camera(written(tmp_path, f"{SIZE}{PINHOLE}fx: 250\n")).fx == 250


def test_yaml_in_braces_is_no_json_and_read(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("{image_width: 64, image_height: 48, fx: 50, fy: 50, cx: 31.5, cy: 23.5}\n")
    assert load_camera(path).fx == 50


def test_a_pipe_is_refused_in_words(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for load in (load_camera, load_exposure_time):
        with pytest.raises(CameraError, match="pipe: is a pipe, which can be read only once"):
            load(tmp_path / "pipe")
