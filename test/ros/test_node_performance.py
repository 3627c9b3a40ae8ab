"""The figures of the node on the performance page come from a node that ran."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command_line import needs_model

TOOL = Path(__file__).resolve().parents[2] / "tools" / "node_performance.py"


@needs_model
def test_a_node_is_started_played_to_and_measured() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")
    if not Path("/proc/self/stat").is_file():
        pytest.skip("this system does not tell what a process uses")
    done = subprocess.run(
        [sys.executable, str(TOOL), "--seconds", "2"], capture_output=True, text=True, check=True
    )
    assert "internal error" not in done.stderr, "a node that is ended amid images says nothing"
    model, *cells = done.stdout.splitlines()[-1].strip("| ").split(" | ")
    cores, share, latency, p95, beyond, heard, answered, first, slow, memory = map(float, cells)
    assert model == "compact"
    assert 0 < cores and 0 < share <= 100
    assert 0 < latency <= p95 and 0 < beyond <= p95 and 0 < heard
    assert (
        0 < answered <= 110 and 0 < min(first, slow) and max(first, slow) < 60
    )  # answers to earlier images count, too
    assert 50 < memory < 350
