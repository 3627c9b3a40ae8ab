"""What neighbouring images tell, over ROS: fused velocities, those of one image beside them, and
how."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from blur_imu_ros.ros import messages
from helpers.ros_bench import FOCAL, HEIGHT, TAU, WIDTH, Bench, Oracle, started, vector

pytestmark = pytest.mark.skipif(
    messages.BlurMotion is None, reason="the message BlurMotion is not built"
)
RATE = 2.0
"""rad/s to the left, of the images."""


def turned_left(one: Bench, count: int) -> list[Any]:
    """Send images of a wall that turning left moves right; return what is told of each."""
    wall = cv2.GaussianBlur(np.random.default_rng(1).uniform(size=(HEIGHT, 4 * WIDTH)), (0, 0), 4)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    for sent in range(1, count + 1):
        shift = round(RATE * FOCAL * (one.stamp - 100.0))
        one.send(np.roll(wall, shift, axis=1)[:, :WIDTH].copy())
        assert one.until(lambda sent=sent: len(one.heard["motion"]) >= sent)
    return one.heard["motion"]


def test_images_are_registered_and_what_one_tells_alone_is_kept(bench: Any) -> None:
    # The network reads too slow a rotation of each image.
    one = started(bench, Oracle((0, -1.5, 0)), direction="previous")
    # That blur is read too short shows in some twenty pairs.
    told = turned_left(one, 30)
    assert told[0].registration_quality == 0, "the first image has none before it"
    assert all(0.5 < motion.registration_quality <= 1 for motion in told[2:])
    last = told[-1]
    alone, fused = (vector(x)[2] for x in (last.single_angular_velocity, last.angular_velocity))
    assert alone == pytest.approx(1.5, abs=0.1)
    assert abs(fused - RATE) < 0.8 * abs(alone - RATE)
    assert one.until(lambda: float(one.fact("images registered [%]") or 0) > 80)
    assert float(one.fact("registration quality")) > 0.5
    assert one.until(lambda: one.fact("process noise of a filter, angular, linear").count(",") == 1)


def test_without_registration_each_image_speaks_for_itself(bench: Any) -> None:
    one = started(bench, Oracle((0, -1.5, 0)), direction="previous", registration=False)
    for motion in turned_left(one, 6):
        assert motion.registration_quality == 0
        assert motion.single_angular_velocity == motion.angular_velocity
        assert vector(motion.angular_velocity)[2] == pytest.approx(1.5, abs=0.1)
    assert one.fact("images registered [%]") == ""


def test_diagnostics_tell_how_many_images_show_both_ends_of_their_blur(bench: Any) -> None:
    one = started(bench, Oracle((0, -RATE, 0)), direction="none")
    dots = np.random.default_rng(1).uniform(size=(HEIGHT, WIDTH)) > 0.99
    scene = cv2.GaussianBlur(dots.astype(np.float32), (0, 0), 1.0)
    length = round(RATE * FOCAL * TAU)
    blurred = cv2.blur(scene, (length, 1))
    one.send(np.asarray(blurred / blurred.max() * 200, np.uint8))
    assert one.until(lambda: one.fact("images with autocorrelation [%]") == "100")
    assert float(one.fact("autocorrelation")) > 0.2
    one.send(np.full((HEIGHT, WIDTH), 90, np.uint8))  # Nothing is seen on it.
    assert one.until(lambda: one.fact("images with autocorrelation [%]") == "50")
    assert one.fact("autocorrelation") == "0.00"
