"""Whether `blur-imu run` takes the camera for hand-held."""

from __future__ import annotations

from pathlib import Path

import pytest

from blur_imu_ros.choices import MotionPrior
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.errors import FrameError
from helpers.command_line import CommandLine, rows_of, turning_images, write_folder

OUT = Path("out.csv")


def test_images_and_videos_are_taken_for_hand_held_and_bags_for_robots(tmp_path: Path) -> None:
    assert RunOptions(source=tmp_path, output=OUT).pivot == PivotConfig()
    assert RunOptions(source=Path("a.mp4"), output=OUT).pivot == PivotConfig()
    assert RunOptions(source=Path("a.mcap"), output=OUT).pivot is None
    assert RunOptions(source=Path("a.bag"), output=OUT).pivot is None


def test_what_the_user_says_goes_before_the_guess() -> None:
    assert RunOptions(source=Path("a.mp4"), output=OUT, motion_prior=MotionPrior.NONE).pivot is None
    assert (
        RunOptions(source=Path("a.bag"), output=OUT, motion_prior=MotionPrior.PIVOT).pivot
        == PivotConfig()
    )
    arm = (0.0, 0.0, 0.3)
    assert RunOptions(source=Path("a.bag"), output=OUT, lever_arm=arm).pivot == PivotConfig(
        lever_arm=arm
    )


def test_a_lever_arm_without_a_pivot_is_a_contradiction() -> None:
    options = RunOptions(
        source=Path("a.mp4"), output=OUT, motion_prior=MotionPrior.NONE, lever_arm=(0.0, 0.0, 0.3)
    )
    with pytest.raises(FrameError, match="lever arm"):
        _ = options.pivot


def test_a_known_lever_arm_makes_the_linear_velocity_surer(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(5))
    given = ["--camera", camera, "--exposure", 0.01]
    sigmas = {}
    for name, extra in {
        "none": ["--motion-prior", "none"],
        "pivot": ["--motion-prior", "pivot", "--lever-arm", 0, 0, 0.02],
    }.items():
        out = tmp_path / f"{name}.csv"
        assert blur_imu("run", folder, "-o", out, *given, *extra).status == 0
        sigmas[name] = float(rows_of(out)[-1]["s_vx"])
    assert sigmas["pivot"] < sigmas["none"]
