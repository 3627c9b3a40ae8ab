"""From samples to batches, on all cores."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from blur_imu_ros.errors import BlurImuError, TrainingError
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_training.packing import Packed
from blur_imu_training.rendering.samples import BlurredSample, SampleStream, with_truth
from blur_imu_training.rendering.shots import Shot
from blur_imu_training.rendering.torch_renderer import exposures_of, rendered_on

Batch = dict[str, Tensor]

AHEAD = 3
"""Batches that each process may have ready before they are taken."""

BYTES_LAID_OUT = 20
"""For each pixel of a sample that is to be rendered on a GPU, half more than the mean: views are
larger than samples, up to twice in each direction, and have depth."""

SHARED_MEMORY = Path("/dev/shm")
"""Where Linux keeps what processes hand each other."""


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


class _Shots(Dataset[Shot]):
    def __init__(self, stream: SampleStream) -> None:
        self._stream = stream

    def __getitem__(self, index: int) -> Shot:
        return self._stream.shot(index)


def laid_out(shots: list[Shot], focal_reference: float) -> Packed:
    """Return a batch whose images are still to be rendered: exposures and ground truth."""
    nothing = np.zeros((1, 1, 3), np.uint8)
    samples = [with_truth(shot, nothing).tensors(focal_reference) for shot in shots]
    truth = {
        name: torch.from_numpy(np.stack([sample[name] for sample in samples]))
        for name in samples[0]
        if name != "image"
    }
    return Packed.of((exposures_of(shots), truth))


@torch.no_grad()
def exposed(laid_out: Packed, device: torch.device) -> Batch:
    """Return the batch, its images rendered on the device."""
    exposures, truth = laid_out.on(device)
    return {"image": rendered_on(exposures), **truth}


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def batches(
    samples: Samples,
    numbers: BatchNumbers,
    focal_reference: float,
    device: torch.device,
    rendering: str = "auto",
) -> Iterator[Batch]:
    """Yield the batches with these numbers, on the device.

    Args:
        samples: where they come from; those that are rendered while training are a `SampleStream`.
        numbers: of the batches.
        focal_reference: see `BlurredSample.tensors`.
        device: that trains.
        rendering: one of `recipe.RENDERING`.

    Raises:
        BlurImuError: what a sample could not be made of; TrainingError where a worker was killed.
    """
    wanted = rendering == "device" or (rendering == "auto" and device.type != "cpu")
    on_device = wanted and isinstance(samples, SampleStream)
    pixels = samples.pixels * numbers.size if isinstance(samples, SampleStream) else 0
    workers, ahead = _workers(BYTES_LAID_OUT * pixels if on_device else 0)
    loader: DataLoader[Any] = DataLoader(
        _Shots(samples) if on_device else _Tensors(samples, focal_reference),  # type: ignore[arg-type]
        batch_sampler=numbers,
        collate_fn=partial(laid_out, focal_reference=focal_reference) if on_device else None,
        num_workers=workers,
        prefetch_factor=ahead,
        worker_init_fn=_quiet_worker,
        # Of its own: to begin anew must not move on the random numbers of the training.
        generator=torch.Generator(),
        pin_memory=device.type == "cuda",
    )
    try:
        for batch in loader:
            yield exposed(batch, device) if on_device else _moved(batch, device)
    except BlurImuError as error:
        raise type(error)(_said(error)) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            "a process that renders samples was killed, perhaps for lack of memory; the run's last "
            "state is kept: start again to go on"
        ) from error


def _workers(bytes_each: int) -> tuple[int, int]:
    """Return how many processes render, and how many batches of each may wait.

    Each trainer on this machine takes its share of the cores. Where batches of so many bytes are
    only laid out, one core is left to the process that keeps the GPU busy, and at most half of the
    shared memory that is free is taken: a process that finds none left is killed.
    """
    trainers = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    processes = max(1, usual_jobs() // trainers)
    if not bytes_each:
        return processes, AHEAD
    processes = max(1, processes - 1)
    if not SHARED_MEMORY.is_dir():
        return processes, AHEAD
    room = int(shutil.disk_usage(SHARED_MEMORY).free / 2 / trainers / bytes_each)
    processes = max(1, min(processes, room - 1))
    return processes, max(1, min(AHEAD, room // processes - 1))


def _quiet_worker(_: int) -> None:
    """Leave Ctrl-C to the main process, which asks its workers to end; let it end them by force."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _said(error: BlurImuError) -> str:
    """Return what an error said before the loader made a traceback of it, at whose end that is."""
    begin = rf"^[\w.]*{type(error).__name__}: "
    return re.split(begin, str(error), flags=re.MULTILINE)[-1].rstrip()
