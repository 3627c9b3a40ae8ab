"""`blur-imu run --rerun` writes what the Rerun viewer shows, where it is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.command_line import CommandLine, turning_images, write_folder


@pytest.fixture
def command(camera: Path, tmp_path: Path) -> list[object]:
    folder = write_folder(tmp_path / "images", turning_images(4))
    cv2.imwrite(str(folder / "frame_2.png"), np.zeros((224, 320, 3), np.uint8))
    given = ["-o", tmp_path / "est.csv", "--camera", camera, "--exposure", 0.01]
    return ["run", folder, *given]


def test_a_file_for_the_viewer_holds_pictures_and_velocities(
    blur_imu: CommandLine, command: list[object], tmp_path: Path
) -> None:
    pytest.importorskip("rerun", reason="Rerun is not installed: pip install .[viewer]")
    out = tmp_path / "shown" / "est.rrd"
    ended = blur_imu(*command, "--rerun", out)
    assert ended.status == 0, ended.err
    printed = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", "-v", out],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert printed.returncode == 0, printed.stderr
    for entity in ("/camera/image", "/camera/image/blur", "/depth", "wx", "vz", "blur", "/log"):
        assert entity in printed.stdout, entity
    # A quantity with its unit is one part of a path.
    assert r"/angular\,\ rad\/s/wx" in printed.stdout


def test_what_is_no_file_of_the_viewer_or_no_viewer_is_refused(
    blur_imu: CommandLine, command: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "ending in .rrd" in blur_imu(*command, "--rerun", "x.mp4").refusal
    monkeypatch.setitem(sys.modules, "rerun", None)
    refusal = blur_imu(*command, "--rerun", tmp_path / "est.rrd").refusal
    assert "pip install '.[viewer]'" in refusal
