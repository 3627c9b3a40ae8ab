"""A frame refuses what cannot be measured, in one clear line."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame, check_exposure_time
from blur_imu_ros.errors import BlurImuError, FrameError

CAMERA = Camera(64, 48, 50.0, 50.0, 32.0, 24.0)


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 3)])
def test_takes_grey_and_colour(shape):
    frame = Frame(np.zeros(shape, np.uint8), 1.5, 0.01, CAMERA, "a.jpg")
    assert (frame.t, frame.exposure_time, frame.name) == (1.5, 0.01, "a.jpg")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((48, 64, 4), np.uint8), "give uint8 grey or BGR"),
        (np.zeros((48, 64), np.float32), "float32"),
        (np.zeros((48,), np.uint8), "give uint8 grey or BGR"),
        (np.zeros((64, 48), np.uint8), "48x64 but the camera calibration is for 64x48"),
    ],
)
def test_refuses_a_wrong_image_and_names_it(image, message):
    with pytest.raises(FrameError, match=message) as error:
        Frame(image, 0.0, 0.01, CAMERA, "a.jpg")
    assert str(error.value).startswith("a.jpg: ")


@pytest.mark.parametrize("image", [None, 3, [[1, 2], [3, 4]], "a.jpg"])
def test_what_is_no_image_is_refused_in_words(image):
    with pytest.raises(FrameError, match=r"a.jpg: the image is of type .*; give an array of uint8"):
        Frame(image, 0.0, 0.01, CAMERA, "a.jpg")


@pytest.mark.parametrize("camera", [None, "camera.yaml", {"fx": 50.0}])
def test_what_is_no_camera_is_refused_in_words(camera):
    with pytest.raises(FrameError, match=r"the camera is of type .*load_camera"):
        Frame(np.zeros((48, 64), np.uint8), 0.0, 0.01, camera)


@pytest.mark.parametrize("exposure", [None, "0.01", [0.01], np.array([0.01]), True])
def test_an_exposure_of_another_type_is_refused_in_words(exposure):
    with pytest.raises(FrameError, match="must be a number of seconds"):
        Frame(np.zeros((48, 64), np.uint8), 0.0, exposure, CAMERA)


@pytest.mark.parametrize("t", [float("nan"), float("inf"), None, "1.0", [1.0], np.array([1.0])])
def test_refuses_a_stamp_that_is_not_a_number(t):
    with pytest.raises(FrameError, match="timestamp"):
        Frame(np.zeros((48, 64), np.uint8), t, 0.01, CAMERA)


@pytest.mark.parametrize("t", [1_700_000_000_000, 1_700_000_000_123_456_789, 1.7e15, -1.7e12])
def test_a_time_of_another_unit_is_refused(t):
    with pytest.raises(FrameError, match=r"a.jpg: .*milliseconds or nanoseconds\? Give seconds"):
        Frame(np.zeros((48, 64), np.uint8), t, 0.01, CAMERA, "a.jpg")


def test_a_time_of_too_few_digits_is_refused():
    for coarse in (np.float32(1.7e9), np.float32(5000.25), np.float16(20)):
        with pytest.raises(FrameError, match="too coarse for a time of that size"):
            Frame(np.zeros((48, 64), np.uint8), coarse, 0.01, CAMERA)
    for t in (np.float32(12.5), np.float64(1.7e9), np.int64(1_700_000_000)):
        assert Frame(np.zeros((48, 64), np.uint8), t, 0.01, CAMERA).t == t


def test_numbers_of_other_types_become_floats():
    frame = Frame(np.zeros((48, 64), np.uint8), np.int32(3), Fraction(1, 50), CAMERA)
    assert (frame.t, frame.exposure_time) == (3.0, 0.02)
    assert type(frame.t) is float and type(frame.exposure_time) is float


@pytest.mark.parametrize("exposure", [0.0, -0.01, float("nan"), float("inf")])
def test_refuses_an_exposure_that_is_not_positive(exposure):
    with pytest.raises(FrameError, match="positive number of seconds"):
        Frame(np.zeros((48, 64), np.uint8), 0.0, exposure, CAMERA)


def test_asks_for_milliseconds_where_the_exposure_is_too_long():
    with pytest.raises(BlurImuError, match=r"milliseconds\? Give seconds"):
        check_exposure_time(10.0)
    assert check_exposure_time(1.0) == 1.0
