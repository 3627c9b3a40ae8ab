"""Batches hold the samples that their numbers say, and what goes wrong in a worker is told."""

from __future__ import annotations

import itertools
import os
import signal

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from blur_imu_ros.errors import RecordingError, TrainingError  # noqa: E402
from blur_imu_training.data.loading import BatchNumbers, batches  # noqa: E402
from blur_imu_training.rendering.samples import BlurredSample, SampleStream  # noqa: E402
from helpers.small_training import few_pictures  # noqa: E402

CPU = torch.device("cpu")
STREAM = SampleStream(few_pictures(), 32, 32, 8.0, seed=1)


def test_batches_to_be_had_again_come_first() -> None:
    numbers = itertools.islice(BatchNumbers(100, 2, again=(4, 1), start=6), 4)
    assert list(numbers) == [[108, 109], [102, 103], [112, 113], [114, 115]]


def test_processes_share_the_samples() -> None:
    numbers = [BatchNumbers(0, 2, process=i, processes=3) for i in range(3)]
    taken = [list(itertools.islice(one, 2)) for one in numbers]
    assert sorted(itertools.chain(*itertools.chain(*taken))) == list(range(12))


def test_samples_are_those_of_the_stream() -> None:
    batch = next(batches(STREAM, BatchNumbers(5, 2), 250.0, CPU))
    for row, index in enumerate((5, 6)):
        for name, value in STREAM[index].tensors(250.0).items():
            np.testing.assert_array_equal(batch[name][row], value)


class Damaged:
    """Samples of which the first cannot be read."""

    def __getitem__(self, index: int) -> BlurredSample:
        raise RecordingError("000000.png: is missing or damaged;\n000001.png too")


class Deadly:
    """Samples that end the process that reads them, as a lack of memory does."""

    def __getitem__(self, index: int) -> BlurredSample:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_what_a_worker_cannot_read_is_told_whole() -> None:
    with pytest.raises(
        RecordingError, match=r"^000000\.png: is missing or damaged;\n000001\.png too$"
    ):
        next(batches(Damaged(), BatchNumbers(0, 1), 250.0, CPU))


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(TrainingError, match="was killed, perhaps for lack of memory"):
        next(batches(Deadly(), BatchNumbers(0, 1), 250.0, CPU))
