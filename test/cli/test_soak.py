"""Hours of work: memory and time a frame stay what they were, in the chain and in the node.

`SOAK_SECONDS` says how long each.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.evaluation.benchmark import FRAME_RATE, rendered_frames
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.results.csv_files import CsvWriter
from blur_imu_ros.results.ros_fields import imu_fields
from helpers.command_line import needs_model

SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))
PARTS = 12
"""In which the node's figures are taken, so that early ones and late ones can be compared."""

pytestmark = [needs_model, pytest.mark.timeout(SECONDS + 180)]


def memory_mb(process: int | str = "self") -> float:
    """Memory that a process holds now."""
    status = Path(f"/proc/{process}/status")
    if not status.is_file():
        pytest.skip("this system does not tell what memory a process holds")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1e3


def test_memory_and_time_a_frame_stay_flat(tmp_path: Path) -> None:
    """At 30 Hz, with everything switched on that keeps a past."""
    frames = rendered_frames((640, 480))
    imu = VisualImu(load_network(), pivot=PivotConfig())
    tracker = imu.tracker()
    spent, memory = [], []
    begun, published = time.monotonic(), 0
    with CsvWriter(tmp_path / "est.csv") as table:
        while (elapsed := time.monotonic() - begun) < SECONDS:
            index = len(spent)
            source = frames[index % len(frames)]
            before = time.process_time()
            for measured in tracker.push(imu.measure(source.frame(index))):
                table.write(measured.frame, measured.estimate)
                fields = imu_fields(measured.estimate, "camera")
                assert np.isfinite(list(fields["angular_velocity"].values())).all()
                published += 1
            spent.append(time.process_time() - before)
            memory.append(memory_mb())
            time.sleep(max(0.0, index / FRAME_RATE - elapsed))
    assert published == len(spent) - 1
    early, late = np.array_split(spent, 3)[0], np.array_split(spent, 3)[-1]
    # Processor time, and its better half: other programs slow a machine down, but not for ever.
    assert np.percentile(late, 25) < 1.5 * np.percentile(early, 25)
    settled = memory[len(memory) // 3]
    assert memory[-1] - settled < 8 + 0.02 * settled


def test_memory_and_latency_of_the_node_stay_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 30 Hz, in its own process, with images that come over the wire."""
    pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")
    for name in ("FASTDDS_BUILTIN_TRANSPORTS", "ROS_DOMAIN_ID"):
        monkeypatch.setenv(name, "")  # What the camera sets is undone.
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "tools"))
    from node_performance import SETTLING, node_at_work

    delays, memory = [], []
    with node_at_work("compact", (640, 480), FRAME_RATE) as (camera, process, _):
        camera.play(SETTLING)
        for _ in range(PARTS):
            before = len(camera.delays)
            camera.play(SECONDS / PARTS)
            # On a busy machine the node drops images, but never all of them.
            assert process.poll() is None and len(camera.delays) > before
            delays.append(np.percentile(camera.delays[before:], 25))
            memory.append(memory_mb(process.pid))
    early, late = np.array_split(delays, 3)[0], np.array_split(delays, 3)[-1]
    # An image that waits behind others comes whole frames later.
    assert np.min(late) < 1.5 * np.min(early) + 0.5 / FRAME_RATE
    settled = memory[PARTS // 3]
    assert memory[-1] - settled < 8 + 0.02 * settled
