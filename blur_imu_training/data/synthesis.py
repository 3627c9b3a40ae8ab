"""Write a set of training samples to disk, on several cores, resumably."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2

from blur_imu_ros.errors import TrainingError
from blur_imu_training.data.picture_sets import load_pictures
from blur_imu_training.data.sample_folder import claim, truth_path, write_index, write_sample
from blur_imu_training.recipe import TrainingConfig
from blur_imu_training.rendering.samples import SampleStream

RENDERER = 5
"""Raised whenever the same recipe, data and seed give other samples than before."""

_stream: SampleStream | None = None
"""What a worker renders from; set before workers are forked, so that they share the pictures."""


def synthesize(
    config: TrainingConfig, data: Path | None, folder: Path, count: int, seed: int, jobs: int
) -> Iterator[int]:
    """Render the samples that `folder` still lacks; yield how many are there, then index them.

    Samples are of the size of the recipe's last stage and depend on the recipe, data and seed
    alone, not on `jobs` or on where a run was cut off.

    Raises:
        TrainingError: no samples asked for, or a folder of other settings.
        RecordingError: what cannot be read or written.
    """
    if count < 1 or jobs < 1:
        raise TrainingError(f"{count} samples with {jobs} jobs: both must be at least 1")
    stage = config.stages[-1]
    claim(folder, {
        "seed": seed, "width": stage.width, "height": stage.height, "longest": stage.longest,
        "pictures": config.pictures, "with_data": data is not None, "renderer": RENDERER,
    })  # fmt: skip
    missing = [i for i in range(count) if not truth_path(folder, i).exists()]
    yield count - len(missing)
    if missing:
        pictures = load_pictures(config.pictures, data)
        stream = SampleStream(pictures, stage.width, stage.height, stage.longest, seed)
        for done, _ in enumerate(
            _rendered(stream, folder, missing, jobs), count - len(missing) + 1
        ):
            yield done
    write_index(folder, count)


def _rendered(stream: SampleStream, folder: Path, missing: list[int], jobs: int) -> Iterator[None]:
    global _stream
    _stream = stream
    cv2.setNumThreads(1)
    work = [(folder, index) for index in missing]
    if jobs == 1:
        yield from map(_render, work)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(jobs, len(work)), context, _quiet) as pool:
        try:
            yield from pool.map(_render, work, chunksize=4)
        except BrokenProcessPool as error:
            raise TrainingError(
                f"{folder}: a worker was killed; start again to continue (with fewer jobs, if "
                "memory ran out)",
                cures=("jobs",),
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _quiet() -> None:
    """Leave Ctrl-C to the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _render(work: tuple[Path, int]) -> None:
    folder, index = work
    assert _stream is not None
    write_sample(folder, index, _stream[index])
