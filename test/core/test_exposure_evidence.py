"""An exposure time that the images contradict is suspected, in words, before anything else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.exposure_evidence import ExposureEvidence
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.registration import Registration
from helpers.synthetic_fields import CAMERA, field_of, seen_after, texture

RATE = np.array([0.4, 2.0, -1.0])
TRUE = 0.012
INTERVAL = 1 / 30


def told(
    given: float,
    count: int = 5,
    speed: float = 1.0,
    views: bool = True,
    moved: float = 1.0,
    blurred: float = 1.0,
) -> list[str]:
    """What is said of images of a turning camera whose exposure time is given wrongly, and which
    may move less from one to the next, and be blurred more, than such a turn makes them."""
    evidence, scene = ExposureEvidence(), texture()
    for k in range(count):
        image = seen_after(RATE * k * INTERVAL * moved, scene)
        frame = Frame(image, k * INTERVAL, given, CAMERA, str(k))
        covariance = np.eye(6)
        rate = speed * RATE * TRUE / given
        estimate = VelocityEstimate(
            frame.t, given, rate, np.zeros(3), covariance, 5.0, 0.1, 6, 1.0, 1.0
        )
        field = field_of(blurred * RATE * TRUE / 0.01, np.zeros(3), camera=CAMERA, sigma=0.3)
        seen = Measurement(frame, estimate, image, field)
        evidence.add(seen if views else replace(seen, view=None))
    return list(evidence.doubts())


def test_the_right_exposure_time_and_one_a_little_off_are_not_doubted() -> None:
    assert told(TRUE) == told(2 * TRUE) == told(TRUE / 2) == []


def test_one_that_does_not_fit_between_the_images_is_told_with_a_likelier_one() -> None:
    (said,) = told(0.12)
    assert "does not fit between images that are 0.033 s apart" in said
    assert "the images suggest about 0.01 s" in said
    (said,) = told(0.12, views=False)
    assert "is it 0.012?" in said


def test_a_tenth_of_it_is_told_by_the_motion_between_the_images() -> None:
    (said,) = told(TRUE / 10)
    assert "contradicts the images" in said and "suggest about 0.01 s" in said


def test_without_images_speeds_beyond_reason_are_told() -> None:
    (said,) = told(TRUE / 10, views=False, speed=2.0)
    assert "rotates faster than 20 rad/s" in said


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_image_tells_nothing(count: int) -> None:
    assert told(0.12, count) == []


def registered(
    given: float, count: int = 12, quality: float = 0.99, blur: float = 1.0, read: float = 1.0
) -> list[str]:
    """What is said of registered images whose blur is read as `read` of its length."""
    evidence, covariance = ExposureEvidence(), np.eye(6)
    for k in range(count):
        image = np.full((CAMERA.height, CAMERA.width, 3), 128, np.uint8)
        frame = Frame(image, k * INTERVAL, given, CAMERA, str(k))
        sign = (-1) ** k  # That of a single image is open.
        rate = sign * read * RATE * TRUE / given
        single = np.concatenate([rate, np.zeros(3)])
        estimate = VelocityEstimate(
            frame.t, given, RATE, np.zeros(3), covariance, 7.0, 0.1, 6, 1.0, 1.0, single=single
        )
        field = field_of(blur * RATE * TRUE / 0.01, np.zeros(3), camera=CAMERA, sigma=0.3)
        velocity = np.concatenate([RATE, np.zeros(3)])
        pair = Registration(
            frame.t - INTERVAL, frame.t, velocity, covariance, quality, 0.9, 0.0, True, (),
            np.zeros((6, 6)),
        )  # fmt: skip
        evidence.add(Measurement(frame, estimate, image, field, None if k == 0 else pair))
    return list(evidence.doubts())


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_registered_images_tell_a_factor_of_two(factor: float) -> None:
    (said,) = registered(factor * TRUE)
    assert "contradicts the images" in said and "suggest about 0.01 s" in said
    assert ("less" if factor < 1 else "more") in said.split("from frame to frame")[1]


@pytest.mark.parametrize("read", [0.74, 1.37])
def test_what_networks_misread_of_blur_is_no_reason_for_doubt(read: float) -> None:
    assert registered(TRUE, read=read) == []


def test_few_or_doubtful_pairs_and_sharp_images_do_not_tell_it() -> None:
    assert registered(2 * TRUE, count=6) == registered(2 * TRUE, quality=0.85) == []
    assert registered(2 * TRUE, blur=0.5) == []


def test_blur_longer_than_the_motion_to_the_next_image_is_told_as_vibration() -> None:
    (said,) = told(TRUE, count=6, moved=1 / 4, blurred=2.0)
    assert "vibrate faster than 30 images a second" in said and "suggest" not in said


def test_no_exposure_time_is_suggested_that_does_not_fit_either() -> None:
    (said,) = told(2 * INTERVAL, count=6, moved=1 / 4, blurred=2.0)
    assert "does not fit between images" in said
    assert "suggest" not in said and "is it" not in said
