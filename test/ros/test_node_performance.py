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
    at_30_hz, at_60_hz = (
        line for line in done.stdout.splitlines() if line.startswith("| compact |")
    )
    cores, share, latency, p95, beyond, heard, answered, first, memory = figures(at_30_hz)
    assert 0 < cores and 0 < share <= 100
    assert 0 < latency <= p95 and 0 < beyond <= p95 and 0 < heard
    # Answers to earlier images count, too.
    assert 0 < answered <= 110 and 0 < first < 60
    assert 50 < memory < 350
    cores, answered, *heard, before, after = figures(at_60_hz)
    assert 0 < cores and 0 < answered < 70 and min(heard) > 0
    assert 50 < before < 400 and 50 < after < 400


def figures(row: str) -> list[float]:
    return [float(cell) for cell in row.strip("| ").split(" | ")[1:]]
