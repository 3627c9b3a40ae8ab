"""Several threads give what one gives, in the same order."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from operator import neg
from pathlib import Path

import pytest

from blur_imu_ros.cli.run import run
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution import parallel
from blur_imu_ros.execution.parallel import in_order
from blur_imu_ros.network.blur_network import load_network
from helpers.command_line import Oracle, needs_model, turning_images, write_camera, write_folder


def failing_after(count: int) -> Iterator[int]:
    yield from range(count)
    raise RecordingError("the disk was pulled out")


def test_results_come_in_order_and_those_before_an_error_first() -> None:
    for jobs in (1, 2):
        found = []
        with pytest.raises(RecordingError, match="pulled out"):
            for pair in in_order(neg, failing_after(6), jobs):
                found.append(pair)
        assert found == [(x, -x) for x in range(6)]


@pytest.mark.parametrize(
    ("quota", "jobs"),
    [("max 100000", 6), ("250000 100000", 3), ("50000 100000", 1), ("9900000 100000", 6), ("?", 6)],
)
def test_there_are_as_many_jobs_as_cores_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, jobs: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(parallel, "QUOTA", tmp_path / "cpu.max")
    assert parallel.usual_jobs() == 6
    parallel.QUOTA.write_text(f"{quota}\n")
    assert parallel.usual_jobs() == jobs


def test_whoever_stops_early_does_not_wait_for_the_rest() -> None:
    results = in_order(neg, iter(int, 1), 2)  # zeros without end
    assert list(islice(results, 3)) == [(0, 0)] * 3
    results.close()


def test_work_that_fails_is_told_after_what_came_before_it() -> None:
    found = []
    with pytest.raises(ZeroDivisionError):
        for pair in in_order(lambda x: 6 // x, [1, 2, 0, 3], 2):
            found.append(pair)
    assert found == [(1, 6), (2, 3)]


def test_several_threads_work_at_once() -> None:
    meeting = threading.Barrier(2, timeout=30)  # passed by two together only
    assert [x for x, _ in in_order(lambda _: meeting.wait(), range(4), 2)] == [0, 1, 2, 3]


def test_a_run_in_two_threads_writes_the_same_bytes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", turning_images(6))
    camera = write_camera(tmp_path / "camera.yaml", exposure_time=0.01)
    options = RunOptions(source=folder, output=tmp_path / "one.csv", camera=camera)
    run(options, Oracle())
    (folder / "frame_5.png").write_bytes(b"damaged")
    two = replace(options, output=tmp_path / "two.csv", jobs=2, strict=True)
    with pytest.raises(RecordingError, match=r"frame_5\.png"):
        run(two, Oracle())
    lines = options.output.read_bytes().splitlines()
    # The sign of the last one before the damage is decided without its next neighbour.
    assert two.output.read_bytes().splitlines()[:5] == lines[:5]


@needs_model
def test_the_shipped_model_reads_the_same_in_two_threads(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", turning_images(4))
    camera = write_camera(tmp_path / "camera.yaml", exposure_time=0.01)
    options = RunOptions(source=folder, output=tmp_path / "one.csv", camera=camera)
    run(options, load_network(options.model))
    run(replace(options, output=tmp_path / "two.csv", jobs=2))
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
