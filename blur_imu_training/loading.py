"""From samples to batches, on all cores."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from blur_imu_ros.errors import BlurImuError, TrainingError
from blur_imu_ros.parallel import usual_jobs
from blur_imu_training.blurred_samples import BlurredSample

Batch = dict[str, Tensor]


class Samples(Protocol):
    """An endless row of samples, each the same whenever it is asked for."""

    def __getitem__(self, index: int) -> BlurredSample:
        """Return sample `index`."""


@dataclass(frozen=True)
class BatchNumbers(Sampler[list[int]]):
    """Which samples are in the batches: those to be had `again`, then all from `start` on.

    Attributes:
        first: number of the first sample of batch 0.
        size: of a batch.
        again, start: numbers of batches.
        process, processes: each of several processes takes every so many-th batch.
    """

    first: int
    size: int
    again: Sequence[int] = ()
    start: int = 0
    process: int = 0
    processes: int = 1

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the numbers of the samples of each batch, without end."""
        for number in chain(self.again, count(self.start)):
            begin = self.first + (number * self.processes + self.process) * self.size
            yield list(range(begin, begin + self.size))


class _Tensors(Dataset[dict[str, Any]]):
    def __init__(self, samples: Samples, focal_reference: float) -> None:
        self._samples, self._focal = samples, focal_reference

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._samples[index].tensors(self._focal)


def batches(
    samples: Samples, numbers: BatchNumbers, focal_reference: float, device: torch.device
) -> Iterator[Batch]:
    """Yield the batches with these numbers, on the device.

    Raises:
        BlurImuError: what a sample could not be made of; TrainingError where a worker was killed.
    """
    loader = DataLoader(
        _Tensors(samples, focal_reference),
        batch_sampler=numbers,
        num_workers=_workers(),
        prefetch_factor=3,
        worker_init_fn=_quiet_worker,
        # Of its own: to begin anew must not move on the random numbers of the training.
        generator=torch.Generator(),
        pin_memory=device.type == "cuda",
    )
    try:
        for batch in loader:
            yield {k: v.to(device, non_blocking=True) for k, v in batch.items()}
    except BlurImuError as error:
        # The loader makes a traceback of it, at whose end is what it said.
        raise type(error)(str(error).splitlines()[-1].partition("Error: ")[2] or error) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            "a process that renders samples was killed, perhaps for lack of memory; the run's last "
            "state is kept: start again to go on"
        ) from error


def _workers() -> int:
    """Return how many processes render, if each trainer on this machine takes its share."""
    return max(1, usual_jobs() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _quiet_worker(_: int) -> None:
    """Leave Ctrl-C to the main process, which asks its workers to end; let it end them by force."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
