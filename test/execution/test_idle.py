"""What measured does not go on computing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from blur_imu_ros.execution.parallel import usual_jobs
from helpers.command_line import needs_model

IDLE = """
import time
from blur_imu_ros import VisualImu, load_network
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.simulation.room_renderer import blurred_image, furnished_room, hand_held

camera, room, hand = Camera(320, 240, 240.0, 240.0, 159.5, 119.5), furnished_room(), hand_held()
imu = VisualImu(load_network("compact"))
tracker = imu.tracker()
for k in range(6):
    t = 1 + k / 30
    image = blurred_image(room, camera, hand, t, 0.015, seed=k)
    tracker.push(imu.measure(Frame(image, t, 0.015, camera)))
    before = time.process_time()
    time.sleep(0.1)
    if k > 2:  # Before that, tables are made that are kept.
        print(time.process_time() - before)
"""


@needs_model
def test_no_thread_waits_for_more_at_the_cost_of_a_core() -> None:
    """Threads of BLAS that were woken spin for a while, which a robot pays for at every image."""
    if usual_jobs() < 2:
        pytest.skip("one core has no other threads")
    ran = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, check=True)
    assert max(map(float, ran.stdout.split())) < 0.03
