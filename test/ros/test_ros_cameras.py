"""Several cameras in one process: a node for each, in its namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

import rclpy

from blur_imu_ros.ros.node import _namespaces

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], [""]),
        (["--ros-args", "-p", "model:=compact-int8"], [""]),
        (["--cameras", "left", "right"], ["left", "right"]),
        (["--cameras", "left", "--ros-args", "-r", "/left/image:=/oak/image"], ["left"]),
    ],
)
def test_a_node_is_run_for_each_camera_that_is_named(
    arguments: list[str], found: list[str]
) -> None:
    assert _namespaces(["blur_imu_node", *arguments]) == found


@pytest.fixture
def process(ros: None) -> Iterator[subprocess.Popen[bytes]]:
    left_out = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
    environment = {name: value for name, value in os.environ.items() if name != left_out}
    command = [
        sys.executable, "-m", "blur_imu_ros.ros.node", "--cameras", "left", "right",
        "--ros-args", "-p", "autostart:=false", "-r", "/left/image:=/oak/left/image_raw",
    ]  # fmt: skip
    one = subprocess.Popen(command, env=environment | {"PYTHONPATH": str(ROOT)})
    yield one
    one.kill()
    one.wait()


def test_both_nodes_run_and_end_together(process: subprocess.Popen[bytes]) -> None:
    peer = rclpy.create_node("peer_of_cameras")
    wanted = {("blur_imu", "/left"), ("blur_imu", "/right")}
    end = time.monotonic() + 40
    while not wanted <= set(peer.get_node_names_and_namespaces()) and time.monotonic() < end:
        rclpy.spin_once(peer, timeout_sec=0.1)
    found = set(peer.get_node_names_and_namespaces())
    peer.destroy_node()
    assert wanted <= found
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
