"""COLMAP, where it is installed, finds a motion that is sharp, and owns up where it sees
nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from test_baselines import recorded

from blur_imu_ros.cli.compare import CompareOptions, run_compare
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import BlurImuError
from blur_imu_ros.evaluation.structure_from_motion import Colmap
from blur_imu_ros.simulation.room_renderer import blurred_image, furnished_room, hand_held

CAMERA = Camera(480, 360, 400.0, 400.0, 239.5, 179.5)
SHARP = 1e-5
"""Seconds of exposure."""


def test_without_pycolmap_the_extra_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    options = CompareOptions(
        run=recorded(tmp_path), truth=tmp_path / "truth.csv", flow=False, blur=False, colmap=True
    )
    with pytest.raises(BlurImuError, match=r"pip install '.\[colmap\]'"):
        run_compare(options)


def test_a_sharp_motion_is_found_and_blank_images_are_failures() -> None:
    pytest.importorskip("pycolmap", reason="COLMAP is not installed: pip install .[colmap]")
    trajectory, room = hand_held(turn=0.1, sway=0.3), furnished_room()
    t = 1 + np.arange(10) / 20
    frames = [
        Frame(
            blurred_image(room, CAMERA, trajectory, float(x), SHARP, seed=0),
            float(x),
            SHARP,
            CAMERA,
        )
        for x in t
    ]
    velocity = np.stack([trajectory.velocity(float(x)) for x in t])
    truth = VelocitySeries(t, velocity, None, np.ones(len(t), bool))
    found = Colmap(truth, width=320, overlap=3).series(frames)
    assert found.valid.sum() == len(frames) - 1
    between = np.stack([trajectory.velocity(float(x)) for x in found.t])
    error = np.sqrt(np.mean((found.velocity - between) ** 2, axis=0))
    assert np.all(error[:3] < 0.03) and np.all(error[3:] < 0.15)
    blank = [Frame(np.full((360, 480), 99, np.uint8), float(x), SHARP, CAMERA) for x in t[:3]]
    assert not Colmap(truth).series(blank).valid.any()
