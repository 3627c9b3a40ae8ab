"""Train a network for a given time; stop and resume at any second."""

from __future__ import annotations

import copy
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import is_bf16_available, reduce

from blur_imu_ros.errors import TrainingError
from blur_imu_ros.execution.files import make_folder_of
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_training.data.held_out import terms
from blur_imu_training.data.loading import BatchNumbers, Samples, batches
from blur_imu_training.data.picture_sets import load_pictures, shares_of
from blur_imu_training.data.sample_sets import load_samples
from blur_imu_training.recipe import LASTING, Stage, TrainingConfig
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.training.checkpoint import (
    BEST,
    STATE,
    Facts,
    Progress,
    facts_of,
    progress_of,
    read_tensors,
    write_tensors,
)
from blur_imu_training.training.ema_model import EmaModel
from blur_imu_training.training.metric_logger import MetricLogger
from blur_imu_training.training.overfitting import SIDE, check_that_it_learns
from blur_imu_training.training.reuse import ReusedBatches
from blur_imu_training.training.schedule import Schedule
from blur_imu_training.training.selection import Figures, Selection
from blur_imu_training.training.tasks import Batch, Losses

logger = logging.getLogger(__name__)

SAVE_EVERY = 60.0
"""Seconds between checkpoints: what a kill may lose."""


CPU_BFLOAT16 = ("avx512_bf16", "amx_tile")
"""Instructions of CPUs that multiply in bfloat16."""


def accelerated() -> Accelerator:
    """Return where is trained: GPUs if there are some; in bfloat16 where that is faster."""
    return Accelerator(mixed_precision="bf16" if _has_fast_bfloat16() else "no")


def _has_fast_bfloat16() -> bool:
    """Return whether what trains has instructions for bfloat16; CPUs without imitate it, slowly."""
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return bool(is_bf16_available())
    # Older versions of torch do not know all of these, and then not what the CPU has.
    return any(getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in CPU_BFLOAT16)


class Trainer:
    """One run: a network in training, its samples and its clock, all of it in one folder.

    On several GPUs (`accelerate launch`) each process trains on batches of its own; the main one
    writes.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: Path | None,
        folder: Path,
        minutes: float,
        weights: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start a run in `folder`, from `weights` if given, or go on with the one that is there.

        Args:
            config: the recipe.
            data: folder of the picture sets; None makes pictures from nothing.
            folder: of the run.
            minutes: the time budget, earlier sittings included.
            weights: .safetensors, or folder of another run.
            clock: seconds, read once a step.
        """
        config.check_trainable()
        self.config, self.folder = config, folder
        make_folder_of(folder / STATE)
        self.schedule = Schedule(config, minutes * 60)
        self.progress = Progress()
        self.accelerator = accelerated()
        _share_cores(self.accelerator.device)
        torch.manual_seed(config.seed)
        self.model = EmaModel(config, self.accelerator, folder, weights)
        self._proven = weights is not None
        self._data = data
        self._pictures = load_pictures(config.pictures, data) if config.pictures else None
        self._reused = ReusedBatches(config.uses, np.random.default_rng(config.seed))
        self._clock, self._stop = clock, False
        if (folder / STATE).exists():
            self._resume()
        self.accelerator.wait_for_everyone()
        self.selection = Selection(
            config.validation,
            data,
            self.model.task.card("", config.focal_reference, {}, config.network),
            self.schedule.seconds,
            Figures.of_file(folder / BEST),
        )

    # --- the loop ---------------------------------------------------------------------------

    def run(self) -> None:
        """Train until the time is over or a signal comes; the state is saved either way."""
        if not self.progress.step and not self._proven:
            self._check_that_it_learns()
        saved, begun = time.monotonic(), self.progress.step
        with self._stopped_by_signals(), self._metric_logger() as logger:
            for losses in self.steps():
                logger.add(losses, *self._where())
                if time.monotonic() - saved > SAVE_EVERY:
                    logger.flush(*self._where())
                    self._save_if_possible(self.save)
                    saved = time.monotonic()
                if self.selection.is_due(self.progress.elapsed):
                    self._validate(logger)
            logger.flush(*self._where())
            self.save()
            if not self._stop and self.progress.step > begun:
                self._validate(logger)

    def stop(self) -> None:
        """Ask for the end after the step that is being made."""
        self._stop = True

    def steps(self) -> Iterator[Losses]:
        """Train step by step until the time is over or `stop` was called; yield the losses."""
        while not self._finished():
            stage = self._entered_stage()
            before = self._clock()
            for batch in self._reused.of(self._batches(stage)):
                losses = self._learn(batch, stage)
                now = self._clock()
                self._advance(now - before)
                before = now
                yield losses
                if self._finished() or self._stage_is_over():
                    break

    def _learn(self, batch: Batch, stage: Stage) -> Losses:
        progress = self.progress
        rate = self.schedule.learning_rate(progress.elapsed, progress.step)
        losses = self.model.learn(batch, stage, rate, progress.step)
        progress.step += 1
        progress.samples += self._of_all_processes(stage)
        return losses

    def _check_that_it_learns(self) -> None:
        stage = self.config.stages[0]
        width, height = min(SIDE, stage.width), min(SIDE, stage.height)
        samples = self._samples(replace(stage, width=width, height=height))
        network = copy.deepcopy(self.model.average).cpu().train()
        focal, rate = self.config.focal_reference, self.config.peak_learning_rate
        check_that_it_learns(network, self.model.task, samples, focal, rate)

    # --- time -------------------------------------------------------------------------------

    def _advance(self, seconds: float) -> None:
        """Count time; several processes agree on it, and on whether to stop."""
        self.progress.elapsed += seconds
        if self.accelerator.num_processes == 1:
            return
        values = [self.progress.elapsed, float(self._stop)]
        elapsed, stop = reduce(
            torch.tensor(values, dtype=torch.float64, device=self.accelerator.device), "mean"
        ).tolist()
        self.progress.elapsed, self._stop = elapsed, stop > 0

    def _finished(self) -> bool:
        return self._stop or self.schedule.progress(self.progress.elapsed) >= 1

    def _stage_is_over(self) -> bool:
        return self.schedule.stage(self.progress.elapsed) != self.progress.stage

    def _entered_stage(self) -> Stage:
        """Return the stage whose time it is; a new one begins with samples not seen before."""
        if self._stage_is_over():
            self._begin_stage()
        stage = self.schedule[self.progress.stage]
        self.progress.batch = self._of_all_processes(stage)
        return stage

    def _begin_stage(self) -> None:
        self.progress.first += self._reused.taken * self.progress.batch
        self.progress.stage = self.schedule.stage(self.progress.elapsed)
        self._reused.forget()

    def _of_all_processes(self, stage: Stage) -> int:
        """Return how many samples the batches of all processes have."""
        return stage.batch * int(self.accelerator.num_processes)

    def _where(self) -> tuple[float, int, int]:
        return self.progress.elapsed / 60, self.progress.samples, self.progress.stage

    # --- samples ----------------------------------------------------------------------------

    def _samples(self, stage: Stage) -> Samples:
        size = (stage.width, stage.height)
        if self._pictures is None:
            return load_samples(self.config, self._data, *size)
        return SampleStream(self._pictures, *size, stage.longest, self.config.seed)

    def _batches(self, stage: Stage) -> Iterator[Batch]:
        numbers = BatchNumbers(
            self.progress.first,
            stage.batch,
            tuple(self._reused.kept),
            self._reused.taken,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        focal = self.config.focal_reference
        device, rendering = self.accelerator.device, self.config.rendering
        return batches(self._samples(stage), numbers, focal, device, rendering)

    # --- the folder -------------------------------------------------------------------------

    def save(self) -> None:
        """Write the whole state; TrainingError if the folder does not take it: the last one
        stays."""
        if not self.accelerator.is_main_process:
            return
        self.progress.reuse = self._reused.state()
        tensors = self.model.tensors() | {"random.torch": torch.get_rng_state()}
        write_tensors(self.folder / STATE, tensors, self._facts())

    def _save_if_possible(self, save: Callable[[], None]) -> None:
        try:
            save()
        except TrainingError as error:
            logger.warning("%s; training continues", error)

    def _validate(self, logger: MetricLogger) -> None:
        """Measure the averaged network on held-out frames; write it where it is the best so far."""
        if not (self.config.validation.frames and self.accelerator.is_main_process):
            return
        before = self.selection.best
        found = self.selection.measure(self.model.average)
        minutes, samples, _ = self._where()
        logger.write("held_out", found.entries(), {"minutes": minutes, "samples": samples})
        if self.selection.best is not before:
            self._save_if_possible(self._save_best)

    def _save_best(self) -> None:
        assert self.selection.best is not None
        chosen = {"held_out": self.selection.best.entries(), "selected_on": terms(self._data)}
        write_tensors(self.folder / BEST, self.model.average.state_dict(), self._facts() | chosen)

    def _facts(self) -> Facts:
        facts = facts_of(self.progress, self.config.entries())
        pictures = shares_of(self.config.pictures, self._data) if self.config.pictures else {}
        return facts | {"sets": [*pictures, *self.config.samples]}

    def summary(self) -> str:
        """Return one line about the run, for a person."""
        minutes, samples, _ = self._where()
        summary = f"{self.folder}: {samples} samples in {minutes:.1f} minutes"
        return (
            summary
            if self.selection.best is None
            else f"{summary}; best of it: {self.selection.best}"
        )

    def _resume(self) -> None:
        path = self.folder / STATE
        tensors, facts = read_tensors(path)
        changed = self._changed(facts["recipe"], path)
        self.model.load(tensors, path)
        self.progress = progress_of(facts, self.config.uses)
        if self.progress.reuse:
            self._reused.restore(self.progress.reuse)
            torch.set_rng_state(tensors["random.torch"])
        stage = self.schedule[min(self.progress.stage, len(self.config.stages) - 1)]
        if changed or self.progress.batch != self._of_all_processes(stage):
            self._begin_stage()  # what was kept is no longer what its numbers say

    def _changed(self, recipe: dict[str, object], path: Path) -> list[str]:
        """Return, and say, what differs from the recipe of the state; refuse what cannot change."""
        changed = self.config.differences(recipe)
        if lasting := [name for name in changed if name in LASTING]:
            raise TrainingError(
                f"{path}: was started with another {' and '.join(lasting)}; take another folder"
            )
        if changed:
            logger.warning("%s: continues with another %s", path, ", ".join(changed))
        return changed

    def _metric_logger(self) -> MetricLogger:
        return MetricLogger(
            self.folder, self.schedule.seconds / 60, self.accelerator.is_main_process
        )

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _share_cores(device: torch.device) -> None:
    if device.type == "cpu":
        # Half of the cores render; a thread that waits for a busy core would hold up the other.
        torch.set_num_threads(max(1, usual_jobs() // 2))
    # Workers are forked, and OpenCV's thread pool does not survive that.
    cv2.setNumThreads(1)
