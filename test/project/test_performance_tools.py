"""The tools that tell of speed do so: their figures are printed and compared, never asserted
here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command_line import needs_model

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def ran(tool: str, *options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / tool), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@needs_model
def test_the_smoke_tells_ratios_and_stops_only_at_gross_ones(tmp_path: Path) -> None:
    stored, before = tmp_path / "deeper" / "now.json", tmp_path / "before.json"
    first = ran("performance_smoke.py", "--seconds", 0.1, "--json", stored, "--against", before)
    assert first.returncode == 0, first.stderr
    ratios = json.loads(stored.read_text())["ratios"]
    assert ratios["whole / network"] > 1 and "solve / network" in ratios
    before.write_text(json.dumps({"ratios": ratios | {"whole / network": 0.01}}))
    second = ran("performance_smoke.py", "--seconds", 0.1, "--against", before)
    assert second.returncode == 1
    assert "times as slow as before" in second.stderr and "whole / network" in second.stderr


def test_what_the_smoke_compares_with_is_there() -> None:
    ratios = json.loads((TOOLS / "performance_ratios.json").read_text())["ratios"]
    assert ratios and all(value > 0 for value in ratios.values())


@needs_model
def test_many_recordings_are_measured_around_a_bad_one() -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("this system does not tell which processes are whose")
    done = ran("many_recordings.py", "--count", 12, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert "the bad one mended, once more" in done.stdout
