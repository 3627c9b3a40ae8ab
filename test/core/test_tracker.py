"""The tracker alone: measurements in, measurements out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.tracker import Tracker
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.errors import BlurImuError, RecordingError
from helpers.synthetic_fields import CAMERA, EXPOSURE

STEP = 1 / 30


def unusable(number: int) -> Measurement:
    """A frame that tells nothing."""
    image = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    frame = Frame(image, number * STEP, EXPOSURE, CAMERA, f"{number}", tag=f"tag {number}")
    return Measurement(frame, VelocitySolver().unsolved(EXPOSURE, frame.t, "dark"))


def test_whatever_travels_with_a_frame_comes_back_with_its_measurement():
    found = list(Tracker().follow(map(unusable, range(3))))
    assert [m.frame.tag for m in found] == ["tag 0", "tag 1", "tag 2"]


def test_an_error_of_the_input_comes_after_what_was_measured():
    def two_then_damage():
        yield from map(unusable, range(2))
        raise BlurImuError("damaged")

    tracked = Tracker().follow(two_then_damage())
    assert [next(tracked).frame.name for _ in range(2)] == ["0", "1"]
    with pytest.raises(BlurImuError, match="damaged"):
        next(tracked)


def test_resuming_behind_another_frame_is_refused():
    tracker = Tracker()
    tracker.push(unusable(0))
    other = unusable(0)
    other = replace(other, frame=replace(other.frame, name="other"))
    with pytest.raises(RecordingError, match="the recording has changed"):
        Tracker().resume(other, tracker.state)
