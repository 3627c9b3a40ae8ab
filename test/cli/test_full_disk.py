"""A disk that fills up costs what comes later, never what was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from blur_imu_ros.choices import Axes, Direction
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import RecordingError, TrainingError
from blur_imu_ros.execution.files import write_text
from blur_imu_ros.recordings.bag_files import MOTION
from blur_imu_ros.recordings.csv_tables import read_series
from blur_imu_ros.results.bag_writer import BagWriter
from blur_imu_ros.results.csv_files import CsvWriter, columns_of
from helpers.command_line import CommandLine, rows_of, turning_images, write_folder

resource = pytest.importorskip("resource", reason="this system has no limits to set")

COUNT = 40


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def estimate(t: float) -> VelocityEstimate:
    return VelocityEstimate(t, 0.01, np.ones(3), np.ones(3), np.eye(6), 5.0, 0.2, 6, 3.0)


@pytest.mark.parametrize("size", range(1000, 1200, 23))
def test_a_csv_keeps_whole_rows_and_no_half_one(tmp_path: Path, size: int) -> None:
    path, written = tmp_path / "est.csv", 0
    with (
        files_up_to(size),
        pytest.raises(RecordingError, match="earlier rows are kept"),
        CsvWriter(path) as writer,
    ):
        for k in range(COUNT):
            frame = Frame(np.zeros((8, 8), np.uint8), k, 0.01, Camera(8, 8, 8, 8, 4, 4), f"{k}")
            writer.write(frame, estimate(k))
            written += 1
    assert 0 < written < COUNT
    series = read_series(path)
    assert series.frames == tuple(f"{k}" for k in range(written))
    assert np.isfinite(series.velocity).all()


@pytest.mark.parametrize("size", [1_500_000, 2_600_000])
def test_a_bag_keeps_what_was_on_the_disk(tmp_path: Path, size: int) -> None:
    path, camera = tmp_path / "est.mcap", Camera(8, 8, 8, 8, 4, 4)
    with (
        files_up_to(size),
        pytest.raises(RecordingError, match="cannot be written"),
        BagWriter(path, Axes.OPTICAL, Direction.NONE, "some") as bag,
    ):
        for k in range(1, 5000):
            frame = Frame(np.zeros((8, 8), np.uint8), k, 0.01, camera, f"{k}")
            bag.write(frame, estimate(k))
    with AnyReader([path]) as reader:
        (motion,) = (c for c in reader.connections if c.topic == "/motion")
        times = [t for _, t, raw in reader.messages([motion]) if reader.deserialize(raw, MOTION)]
    assert 500 < len(times) < 4000
    assert times == [k * 10**9 for k in range(1, len(times) + 1)]
    assert [one.name for one in tmp_path.iterdir()] == ["est.mcap"]


def test_a_bag_without_a_whole_chunk_leaves_nothing(tmp_path: Path) -> None:
    path, camera = tmp_path / "est.mcap", Camera(8, 8, 8, 8, 4, 4)
    with (
        files_up_to(2000),
        pytest.raises(RecordingError, match="cannot be written"),
        BagWriter(path, Axes.OPTICAL, Direction.NONE, "some") as bag,
    ):
        for k in range(1, 20):
            bag.write(Frame(np.zeros((8, 8), np.uint8), k, 0.01, camera, f"{k}"), estimate(k))
    assert list(tmp_path.iterdir()) == []


def test_a_text_file_that_does_not_fit_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    write_text(path, "exposure_time: 0.01\n")
    with files_up_to(1000), pytest.raises(RecordingError, match="yaml: cannot be written"):
        write_text(path, "# much\n" * 1000)
    assert path.read_text() == "exposure_time: 0.01\n"
    assert list(tmp_path.iterdir()) == [path]


def test_run_says_so_in_one_line_and_keeps_its_rows(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(1) * COUNT)
    out = tmp_path / "est.csv"
    with files_up_to(2500):
        ended = blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert "est.csv: cannot be written" in ended.refusal
    rows = rows_of(out)
    assert 5 < len(rows) < COUNT
    assert all(
        set(row) == set(columns_of(neighbours=True)) and row["valid"] in "01" for row in rows
    )


def test_a_run_goes_on_where_the_disk_was_full(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(4) * (COUNT // 4))
    command = ["run", folder, "--camera", camera, "--exposure", 0.01, "--resume", "-o"]
    assert blur_imu(*command, tmp_path / "whole.csv").status == 0
    with files_up_to(2500):
        assert blur_imu(*command, tmp_path / "est.csv").status == 1
    assert blur_imu(*command, tmp_path / "est.csv").status == 0
    assert (tmp_path / "est.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_run_says_that_a_bag_cannot_be_written(
    blur_imu: CommandLine, camera: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(1) * COUNT)
    out = tmp_path / "est.mcap"
    out.write_bytes(b"an earlier result")
    with files_up_to(2500):
        command = ("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01, "--force")
        ended = blur_imu(*command)
    assert "est.mcap: cannot be written" in ended.refusal
    assert out.read_bytes() == b"an earlier result"
    assert not list(tmp_path.glob(".*"))


def test_a_run_of_training_keeps_the_state_before(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
    from blur_imu_training.recipe import NetworkChoice
    from blur_imu_training.training.checkpoint import load_run
    from blur_imu_training.training.trainer import Trainer
    from helpers.small_training import CONFIG

    # The whole network, so that its state is larger than what the disk takes.
    config = replace(CONFIG, network=NetworkChoice())
    trainer = Trainer(config, None, tmp_path, minutes=0.01)
    trainer.save()
    before = (tmp_path / "state.safetensors").read_bytes()
    with files_up_to(1 << 20), pytest.raises(TrainingError, match="The one before it is kept"):
        trainer.save()
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert load_run(tmp_path)[1]["step"] == 0
    assert not list(tmp_path.glob("*.partial"))
