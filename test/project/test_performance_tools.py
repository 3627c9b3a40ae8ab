"""The tools that tell of speed do so: their figures are printed and compared, never asserted
here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from blur_imu_ros.choices import DEFAULT_MODEL
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


def test_what_the_smoke_compares_with_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    smoke = imported("performance_smoke", monkeypatch)
    ratios = json.loads((TOOLS / "performance_ratios.json").read_text())["ratios"]
    assert set(ratios) == {*smoke.PARTS, smoke.IN_8_BITS}
    assert all(value > 0 for value in ratios.values())


@needs_model
def test_many_recordings_are_measured_around_a_bad_one() -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("this system does not tell which processes are whose")
    done = ran("many_recordings.py", "--count", 12, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert "the bad one mended, once more" in done.stdout


def imported(tool: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location(tool, TOOLS / f"{tool}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, tool, module)
    spec.loader.exec_module(module)
    return module


@needs_model
def test_the_default_model_is_measured_in_batches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="batches are written in torch: pip install .[train]")
    imported("performance", monkeypatch).batches(DEFAULT_MODEL, 0.01)
    assert f"| {DEFAULT_MODEL} |" in capsys.readouterr().out


@pytest.fixture
def gpu_performance(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("torch", reason="the GPU is measured in torch: pip install .[train]")
    return imported("gpu_performance", monkeypatch)


@needs_model
def test_what_a_gpu_does_is_measured_kept_and_put_into_the_page(
    tmp_path: Path, gpu_performance: ModuleType
) -> None:
    kept, page = tmp_path / "gpu.json", tmp_path / "page.md"
    tried = ("--device", "cpu", "--seconds", 0, "--only", "compact float32", "--json", kept)
    done = ran("gpu_performance.py", *tried)
    assert done.returncode == 0, done.stderr
    content = json.loads(kept.read_text())
    rows = content["network compact float32"]
    assert [row["started"] for row in rows] == ["plain torch", "one by one", "graph"]
    for row in rows:
        assert max(row[f"difference of {name}"] for name in ("field", "w", "v")) < 1e-4
    assert content["failed"] == [] and content["machine"]["torch"]
    page.write_text(f"before\n{gpu_performance.BEGIN}{gpu_performance.END}behind\n")
    assert ran("gpu_performance.py", "--table", kept, "--write", page).returncode == 0
    assert "| compact, 320x224 | float32 | graph |" in page.read_text()


def test_figures_from_before_a_stage_are_shown_without_it(
    gpu_performance: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    timing = {"median": 1.0, "p95": 2.0, "frames_per_second": 100.0}
    stages = {name: timing for name in ("prepare", "network", "solve", "registration", "whole")}
    gpu_performance.chain_table([{"contender": "compact", "stages": stages}])
    assert "| model | prepare | network | solve | registration | whole |" in capsys.readouterr().out


def test_a_part_that_fails_leaves_the_others_and_none_begins_too_late(
    tmp_path: Path, gpu_performance: ModuleType
) -> None:
    kept = tmp_path / "gpu.json"
    figures = gpu_performance.Figures(kept, end=float("inf"))
    assert figures.part("network a", lambda: 1 / 0) is None
    assert figures.part("network b", lambda: []) == []
    figures.end = 0.0
    assert figures.part("network c", lambda: []) is None
    content = json.loads(kept.read_text())
    assert content == {"failed": ["network a"], "left out": ["network c"], "network b": []}
    gpu_performance.tables(content)


def test_the_page_has_the_place_for_what_a_gpu_does(gpu_performance: ModuleType) -> None:
    page = (TOOLS.parent / "docs" / "PERFORMANCE.md").read_text()
    assert 0 < page.index(gpu_performance.BEGIN) < page.index(gpu_performance.END)
