"""A run that is stopped leaves whole results of what it had measured."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from rosbags.highlevel import AnyReader

from blur_imu_ros.results.csv_files import columns_of
from helpers.command_line import rows_of, turning_images, write_camera, write_folder

SLOW_RUN = """
import os, sys, time
sys.path.insert(0, {tests!r})
from helpers.command_line import Oracle
from blur_imu_ros import cli
from blur_imu_ros.cli import run

class SlowOracle(Oracle):
    def predict(self, image, camera):
        os.write(1, b"measuring\\n")  # whole, though several threads write
        time.sleep(0.1)
        return super().predict(image, camera)

run.load_network = lambda *_: SlowOracle()
cli.main()
"""
COUNT = 60


def stopped_run(tmp_path: Path, out: Path, how: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Run on a folder, stop it in the tenth image, and return how it ended."""
    folder = write_folder(tmp_path / "images", turning_images(1) * COUNT)
    camera = write_camera(tmp_path / "camera.yaml")
    code = SLOW_RUN.format(tests=str(Path(__file__).parents[1]))
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", str(folder), "-o", str(out), "--camera", str(camera),
         "--exposure", "0.01", "--overlay", str(out.with_name("overlay.mp4"))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(10):
        assert process.stdout.readline() == "measuring\n"
    process.send_signal(how)
    text = process.communicate(timeout=30)
    return subprocess.CompletedProcess([], process.returncode, *text)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_rows_so_far_are_kept(tmp_path: Path, how: signal.Signals) -> None:
    out = tmp_path / "est.csv"
    ended = stopped_run(tmp_path, out, how)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "blur-imu: interrupted; what was written is kept"
    assert 2 <= len(rows_of(out)) < COUNT
    video = cv2.VideoCapture(str(tmp_path / "overlay.mp4"))
    # The signal may come between the row of a frame and its picture.
    assert 0 <= len(rows_of(out)) - video.get(cv2.CAP_PROP_FRAME_COUNT) <= 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_bag_so_far_is_whole(tmp_path: Path, how: signal.Signals) -> None:
    out = tmp_path / "est.mcap"
    assert stopped_run(tmp_path, out, how).returncode == 1
    with AnyReader([out]) as reader:
        assert 2 <= sum(c.msgcount for c in reader.connections if c.topic == "/motion") < COUNT
    assert not list(tmp_path.glob(".*"))


def test_a_run_that_is_killed_outright_leaves_whole_rows(tmp_path: Path) -> None:
    out = tmp_path / "est.csv"
    assert stopped_run(tmp_path, out, signal.SIGKILL).returncode == -signal.SIGKILL
    rows = rows_of(out)
    assert 2 <= len(rows) < COUNT
    assert all(
        set(row) == set(columns_of(neighbours=True)) and "" not in row.values() for row in rows
    )
