"""`blur-imu run` tells a person what is wrong with the rows that it wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros.cli.run_summary import RunSummary
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.pivot import PivotFilter
from blur_imu_ros.core.registration import Registration
from blur_imu_ros.core.velocity import VelocitySolver
from helpers.command_line import CommandLine, turning_images, write_folder
from helpers.hand_held import LEVER_ARM, hand
from helpers.synthetic_fields import CAMERA

GOOD = VelocityEstimate(
    0.0, 0.01, np.array([0.0, 3.0, 0.0]), np.zeros(3), 0.01 * np.eye(6), 9.0, 0.3, 6, 10.0, 0.99
)
"""A fast turn whose sign is known."""
STILL = replace(GOOD, angular_velocity=np.zeros(3), direction_probability=0.5)


def told(estimates: list[VelocityEstimate], signs: bool = True) -> str:
    summary = RunSummary()
    for k, estimate in enumerate(estimates):
        image = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
        summary.add(Measurement(Frame(image, 0.0, 0.01, CAMERA, f"frame {k}"), estimate))
    return "\n".join(summary.notes(signs))


def test_of_good_rows_nothing_is_told() -> None:
    assert told([GOOD, STILL, GOOD]) == ""


def test_rows_that_are_not_valid_are_counted_with_the_reason_of_the_first() -> None:
    text = told([GOOD, GOOD.rejected("it is dark"), GOOD.rejected("it is soft")])
    assert text.startswith("2 of 3 rows are not valid; the first is frame 1: it is dark (")


def test_open_signs_count_where_they_were_to_be_decided_and_something_moves() -> None:
    resting = replace(GOOD, direction_probability=0.6, blur_px=1.5)
    rows = [GOOD, replace(GOOD, direction_probability=0.6), STILL, resting]
    assert "the sign of 1 of 4 rows has a probability below 0.8" in told(rows)
    assert told(rows, signs=False) == ""


@pytest.mark.parametrize(("blur", "said"), [(1.9, True), (2.1, False)])
def test_too_short_a_smear_asks_for_a_longer_exposure(blur: float, said: bool) -> None:
    rows = [replace(GOOD, blur_px=blur)] * 3 + [GOOD]
    assert ("expose longer" in told(rows)) is said


def test_rows_that_no_neighbour_helps_are_counted_and_short_blur_is_no_lack_where_one_does() -> (
    None
):
    image = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    frame = Frame(image, 0.0, 0.01, CAMERA, "frame 7")
    apart = Registration(
        *(0.0, 10.0, np.zeros(6), np.eye(6), 0.0, 0.0, 0.5, False, ("10 s lie between",)),
        np.zeros((6, 6)),
    )
    linked = replace(GOOD, blur_px=0.5, single=GOOD.velocity)
    summary = RunSummary()
    for _ in range(3):
        summary.add(Measurement(frame, linked, registration=replace(apart, valid=True, reasons=())))
    assert list(summary.notes(signs=True)) == []
    summary.add(Measurement(frame, GOOD, registration=apart))
    (note,) = summary.notes(signs=True)
    assert note.startswith("1 of 4 rows were measured from their image alone")
    assert note.endswith("frame 7: 10 s lie between")


def of_a_hand(v: np.ndarray, count: int) -> str:
    """What is told after frames of a hand that moves at `v`."""
    pivot = PivotFilter()
    for one in hand(count=count, noise=0):
        moved = replace(one, linear_velocity=one.linear_velocity + v)
        pivot.update(moved, VelocitySolver().weak_prior)
    summary = RunSummary()
    summary.pivot = pivot
    return "\n".join(summary.notes(signs=True))


def test_the_lever_arm_is_told_once_it_is_found() -> None:
    found = re.fullmatch(
        r"final estimate of the lever arm: (.*) m \(.*--lever-arm (.*)",
        of_a_hand(np.zeros(3), 90),
    )
    assert found is not None and found[1] == found[2]
    np.testing.assert_allclose([float(x) for x in found[1].split()], LEVER_ARM, atol=0.03)
    assert of_a_hand(np.zeros(3), 2) == ""


def test_a_motion_that_is_none_of_a_hand_is_told() -> None:
    assert "--motion-prior none" in of_a_hand(np.array([0, 0, 9.0]), 60)


def test_run_tells_it_beside_the_count(blur_imu: CommandLine, camera: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", turning_images(6))
    cv2.imwrite(str(folder / "frame_3.png"), np.zeros((CAMERA.height, CAMERA.width), np.uint8))
    out = tmp_path / "v.csv"
    done = blur_imu("run", folder, "--camera", camera, "--exposure", 0.01, "-o", out)
    assert done.status == 0 and done.out.strip() == f"{out}: 6 rows"
    assert f"{out}: 1 of 6 rows are not valid; the first is frame_3.png: " in done.err
