"""The benchmark times every stage of everyone who takes part; how fast is not a matter here."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros.cli.benchmark import (
    BenchmarkOptions,
    contenders_of,
    parse_size,
    run_benchmark,
)
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import FrameError, ModelError, RecordingError
from blur_imu_ros.evaluation.benchmark import (
    STAGES,
    WHOLE,
    Contender,
    benchmark,
    peak_memory_mb,
    ratios,
    rendered_frames,
)
from helpers.command_line import MODEL, needs_model
from helpers.synthetic_fields import field_of

TINY = (64, 48)


class Still:
    """A network that always sees the same turn; `calls` notes who was asked when."""

    input_size = (320, 224)

    def __init__(self, name: str = "", calls: list[str] | None = None) -> None:
        self.name, self.calls = name, [] if calls is None else calls

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        self.calls.append(self.name)
        return field_of(np.array([0.0, 2.0, 0.5]), np.zeros(3), camera=camera)


def test_every_stage_and_the_whole_chain_are_timed():
    (result,) = benchmark([Contender("still", Still())], TINY, 0.05)
    assert tuple(result.stages) == (*STAGES, WHOLE)
    for timing in result.stages.values():
        assert 0 < timing.median <= timing.p95 <= timing.p99
        assert timing.frames_per_second > 0
    assert (result.width, result.height) == TINY
    assert result.frames >= 3
    assert result.cores > 0
    assert result.peak_memory_mb > 10


def test_contenders_take_turns_and_none_is_always_first():
    calls: list[str] = []
    results = benchmark(
        [Contender(name, Still(name, calls)) for name in ("one", "two")], TINY, 0.02
    )
    assert [r.contender for r in results] == ["one", "two"]
    assert results[0].frames == results[1].frames
    # Each is asked twice a frame: stage by stage, then in the whole chain.
    assert calls[:12] == [*["one"] * 2, *["two"] * 2, *["one"] * 2, *["two"] * 4, *["one"] * 2]


def test_the_ratio_is_that_of_the_other_to_the_first():
    results = benchmark([Contender("one", Still()), Contender("two", Still())], TINY, 0.02)
    found = list(ratios(results))
    assert [(r.contender, stage) for r, stage, _ in found] == [("two", "network"), ("two", WHOLE)]
    expected = results[1].stages["network"].median / results[0].stages["network"].median
    assert found[0][2] == pytest.approx(expected)


def test_the_images_are_blurred_jpegs_of_the_size_asked_for():
    frames = rendered_frames((96, 54))
    assert len(frames) > 1
    for index, source in enumerate(frames):
        frame = source.frame(index)
        assert frame.image.shape == (54, 96, 3)
        assert (frame.camera.width, frame.camera.height) == (96, 54)
        assert frame.image.std() > 10


@pytest.mark.parametrize("size", [(0, 480), (640, 100_000)])
def test_an_impossible_size_is_named(size):
    with pytest.raises(FrameError, match=f"{size[0]}x{size[1]}"):
        rendered_frames(size)


@pytest.mark.parametrize("text", ["640", "x", "640x-3", "wide", "640x480x3"])
def test_a_size_that_is_none_is_named(text):
    with pytest.raises(FrameError, match=f"'{text}'"):
        parse_size(text)


def test_sizes_are_read_as_people_write_them():
    assert parse_size("1280x720") == (1280, 720)
    assert parse_size(" 640X480 ") == (640, 480)


def test_memory_is_told_in_megabytes():
    assert 10 < peak_memory_mb() < 100_000


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path, capsys):
    path = tmp_path / "speed.json"
    run_benchmark(
        BenchmarkOptions(sizes=(TINY,), seconds=0.01, json=path),
        [Contender("one", Still()), Contender("two", Still())],
    )
    said = capsys.readouterr().out
    assert "64x48" in said and "x as long" in said and "peak memory" in said
    content = json.loads(path.read_text())
    assert set(content) == {"machine", "results", "ratios"}
    assert content["machine"]["processor"]
    assert content["results"][0]["stages"]["network"]["median"] > 0
    assert content["ratios"][0]["contender"] == "two" and content["ratios"][0]["to"] == "one"


@needs_model
def test_the_published_network_is_timed_without_its_weights_and_that_is_said(monkeypatch, capsys):
    pytest.importorskip("torch", reason="the published network needs torch: pip install .[train]")
    from blur_imu_training.export import import_checkpoint

    def stand_in(output: Path) -> None:
        for ending in (".onnx", ".json", ".safetensors"):
            shutil.copy(MODEL.with_suffix(ending), output.with_suffix(ending))

    monkeypatch.setattr(import_checkpoint, "write_untrained", stand_in)
    run_benchmark(BenchmarkOptions(against="published", sizes=(TINY,), seconds=0.0))
    said = capsys.readouterr().out
    assert "network: published, random weights takes" in said
    both = BenchmarkOptions(backends=("onnx", "torch"), against="published")
    assert [one.name for one in contenders_of(both)[2:]] == [
        "published, random weights (onnx)", "published, random weights (torch)"
    ]  # fmt: skip


def test_the_published_network_needs_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "blur_imu_training.export.import_checkpoint", None)
    with pytest.raises(ModelError, match="--against published: .*pip install"):
        contenders_of(BenchmarkOptions(models=(), against="published"))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    options = BenchmarkOptions(sizes=(TINY,), seconds=0.0, json=tmp_path / "file" / "speed.json")
    with pytest.raises(RecordingError, match="cannot be written"):
        run_benchmark(options, [Contender("one", Still())])


def test_what_became_slower_since_an_earlier_benchmark_is_told(tmp_path: Path, capsys):
    still, path = [Contender("still", Still())], tmp_path / "before.json"
    options = BenchmarkOptions(sizes=(TINY,), seconds=0.0)
    run_benchmark(replace(options, json=path), still)
    before = json.loads(path.read_text())
    for stage in before["results"][0]["stages"].values():
        stage["median"] *= 100.0
    before["results"][0]["stages"]["solve"]["median"] /= 1e6
    path.write_text(json.dumps(before))
    capsys.readouterr()
    run_benchmark(replace(options, against=str(path)), still)
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("slower: still, 64x48, solve: ")]
    assert f"1 of {len(STAGES) + 1} stages are slower than before" in out
    assert "not compared" not in out


def test_a_benchmark_from_before_a_stage_is_compared_without_it(tmp_path: Path, capsys):
    still, path = [Contender("still", Still())], tmp_path / "before.json"
    options = BenchmarkOptions(sizes=(TINY, (96, 64)), seconds=0.0)
    run_benchmark(replace(options, json=path), still)
    before = json.loads(path.read_text())
    for result in before["results"]:
        result["stages"]["guess"] = result["stages"].pop("autocorrelation")
    path.write_text(json.dumps(before))
    capsys.readouterr()
    run_benchmark(replace(options, against=str(path)), still)
    said = capsys.readouterr().out
    assert f"of {2 * len(STAGES)} stages are slower than before" in said
    assert (
        "not compared, as only one of the two benchmarks has them: autocorrelation, guess" in said
    )


def test_the_motion_of_the_whole_image_is_a_stage_between_solver_and_registration():
    index = STAGES.index("autocorrelation")
    assert STAGES[index - 1 : index + 2] == ("solve", "autocorrelation", "registration")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": [{"stages": 3}], "machine": {}}'])
def test_what_is_no_benchmark_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "before.json"
    path.write_text(text)
    options = BenchmarkOptions(sizes=(TINY,), seconds=0.0, against=str(path))
    with pytest.raises(RecordingError, match=r"before\.json: is not the JSON of a benchmark"):
        run_benchmark(options, [Contender("still", Still())])


@needs_model
def test_growth_with_size_and_threads_is_drawn(tmp_path: Path):
    plot = tmp_path / "speed.png"
    sizes = (TINY, (128, 96))
    run_benchmark(BenchmarkOptions(models=(str(MODEL),), sizes=sizes, seconds=0.0, plot=plot))
    assert cv2.imread(str(plot)) is not None
