"""Train a network for a given time; stop and resume at any second."""

from __future__ import annotations

import copy
import logging
import os
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
from accelerate.utils import reduce
from torch import nn

from blur_imu_ros.errors import TrainingError
from blur_imu_ros.networks.compact import normalise
from blur_imu_ros.results import make_folder_of
from blur_imu_training.blurred_samples import SampleStream
from blur_imu_training.checkpoint import (
    BEST,
    STATE,
    TEACHER,
    Progress,
    facts_of,
    load_optimizer,
    load_weights,
    optimizer_tensors,
    part,
    progress_of,
    read_tensors,
    read_weights,
    write_tensors,
)
from blur_imu_training.journal import Journal
from blur_imu_training.learners import LEARNERS, Batch, Losses, build
from blur_imu_training.loading import BatchNumbers, Samples, batches
from blur_imu_training.overfitting import SIDE, check_that_it_learns
from blur_imu_training.picture_sets import load_pictures
from blur_imu_training.recipe import LASTING, Stage, TrainingConfig
from blur_imu_training.reuse import ReusedBatches
from blur_imu_training.sample_sets import load_samples
from blur_imu_training.schedule import Schedule
from blur_imu_training.selection import Figures, Selection

logger = logging.getLogger(__name__)

SAVE_EVERY = 60.0
"""Seconds between checkpoints: what a kill may lose."""

LONGEST_GRADIENT = 2.0


class Trainer:
    """Network, its moving average, optimizer and clock of one run, all of it in one folder.

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
        self.accelerator = Accelerator(mixed_precision="bf16")
        _share_cores(self.accelerator.device)
        torch.manual_seed(config.seed)
        self._learner = LEARNERS[config.network.kind]
        self._data = data
        self._pictures = load_pictures(config.pictures, data) if config.pictures else None
        self._reused = ReusedBatches(config.uses, np.random.default_rng(config.seed))
        self._clock, self._stop = clock, False
        network = build(config.network)
        if weights is not None:
            load_weights(network, read_weights(weights), weights)
        self._proven = weights is not None
        self.average = copy.deepcopy(network).to(self.accelerator.device).eval()
        self._teacher = self._teacher_of(network) if config.pseudo_labels else None
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=1e-4, weight_decay=config.weight_decay, betas=(0.9, 0.99)
        )
        self.network: nn.Module
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        if (folder / STATE).exists():
            self._resume()
        self.accelerator.wait_for_everyone()
        self.selection = Selection(
            config.validation,
            data,
            self._learner.card("", config.focal_reference, {}),
            self.schedule.seconds,
            Figures.of_file(folder / BEST),
        )

    # --- the loop ---------------------------------------------------------------------------

    def run(self) -> None:
        """Train until the time is over or a signal comes; the state is saved either way."""
        if not self.progress.step and not self._proven:
            self._check_that_it_learns()
        saved, begun = time.monotonic(), self.progress.step
        with self._stopped_by_signals(), self._journal() as journal:
            for losses in self.steps():
                journal.add(losses, *self._where())
                if time.monotonic() - saved > SAVE_EVERY:
                    journal.flush(*self._where())
                    self._save_if_possible(self.save)
                    saved = time.monotonic()
                if self.selection.is_due(self.progress.elapsed):
                    self._validate(journal)
            journal.flush(*self._where())
            self.save()
            if not self._stop and self.progress.step > begun:
                self._validate(journal)

    def stop(self) -> None:
        """Ask for the end after the step that is being made."""
        self._stop = True

    def steps(self) -> Iterator[Losses]:
        """Train step by step until the time is over or `stop` was called; yield the losses."""
        while not self._finished():
            stage = self._entered_stage()
            before = self._clock()
            for batch in self._reused.of(self._batches(stage)):
                losses = self._train_step(batch, stage)
                now = self._clock()
                self._advance(now - before)
                before = now
                yield losses
                if self._finished() or self._stage_is_over():
                    break

    def _train_step(self, batch: Batch, stage: Stage) -> Losses:
        rate = self.schedule.learning_rate(self.progress.elapsed, self.progress.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        image = normalise(batch["image"]).contiguous(memory_format=torch.channels_last)
        if self._teacher is not None:
            with torch.no_grad(), self.accelerator.autocast():
                batch = self._learner.labelled(batch, self._teacher(image))
        losses = self._learner.losses(self.network(image), batch, stage.pose)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(losses["total"])
        self.accelerator.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        self.optimizer.step()
        self.progress.step += 1
        self.progress.samples += len(image) * self.accelerator.num_processes
        self._update_average()
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        step = self.progress.step
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))
        targets = self.average.state_dict()
        for name, value in self._plain_network.state_dict().items():
            if value.dtype.is_floating_point:
                targets[name].lerp_(value, 1 - decay)
            else:
                targets[name].copy_(value)

    def _teacher_of(self, network: nn.Module) -> nn.Module:
        """Return the network that the run begins with, which labels recorded frames to its end."""
        path = self.folder / TEACHER
        teacher = copy.deepcopy(network).to(self.accelerator.device).eval()
        if path.is_file():
            load_weights(teacher, read_weights(path), path)
        elif not self._proven:
            raise TrainingError("pseudo_labels are an earlier network's: give its --weights")
        elif self.accelerator.is_main_process:
            write_tensors(path, teacher.state_dict(), {})
        return teacher

    def _check_that_it_learns(self) -> None:
        stage = self.config.stages[0]
        width, height = min(SIDE, stage.width), min(SIDE, stage.height)
        samples = self._samples(replace(stage, width=width, height=height))
        rate = self.config.peak_learning_rate
        network = copy.deepcopy(self.average).cpu().train()
        check_that_it_learns(network, self._learner, samples, self.config.focal_reference, rate)

    # --- time -------------------------------------------------------------------------------

    def _advance(self, seconds: float) -> None:
        """Count time; several processes agree on it, and on whether to stop."""
        self.progress.elapsed += seconds
        if self.accelerator.num_processes == 1:
            return
        told = [self.progress.elapsed, float(self._stop)]
        elapsed, stop = reduce(
            torch.tensor(told, dtype=torch.float64, device=self.accelerator.device), "mean"
        ).tolist()
        self.progress.elapsed, self._stop = elapsed, stop > 0

    def _finished(self) -> bool:
        return self._stop or self.schedule.progress(self.progress.elapsed) >= 1

    def _stage_is_over(self) -> bool:
        return self.schedule.stage(self.progress.elapsed) != self.progress.stage

    def _entered_stage(self) -> Stage:
        """Return the stage whose time it is; a new one begins with samples not seen before."""
        if self._stage_is_over():
            self.progress.first += self._reused.taken * self._batch_of_all(self._stage)
            self.progress.stage = self.schedule.stage(self.progress.elapsed)
            self._reused.forget()
        return self._stage

    @property
    def _stage(self) -> Stage:
        return self.config.stages[self.progress.stage]

    def _batch_of_all(self, stage: Stage) -> int:
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
        return batches(self._samples(stage), numbers, focal, self.accelerator.device)

    # --- the folder -------------------------------------------------------------------------

    @property
    def _plain_network(self) -> nn.Module:
        network: nn.Module = self.accelerator.unwrap_model(self.network)
        return network

    def save(self) -> None:
        """Write the whole state; TrainingError if the folder does not take it: the last one stays."""
        if not self.accelerator.is_main_process:
            return
        self.progress.reuse = self._reused.state()
        tensors = {f"network.{k}": v for k, v in self._plain_network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= {f"optimizer.{k}": v for k, v in optimizer_tensors(self.optimizer).items()}
        tensors["random.torch"] = torch.get_rng_state()
        write_tensors(self.folder / STATE, tensors, facts_of(self.progress, self.config.entries()))

    def _save_if_possible(self, save: Callable[[], None]) -> None:
        try:
            save()
        except TrainingError as error:
            logger.warning("%s; training goes on", error)

    def _validate(self, journal: Journal) -> None:
        """Measure the averaged network on held-out frames; write it where it is the best so far."""
        if not (self.config.validation.frames and self.accelerator.is_main_process):
            return
        before = self.selection.best
        found = self.selection.measure(self.average)
        minutes, samples, _ = self._where()
        journal.write("held_out", found.entries(), {"minutes": minutes, "samples": samples})
        if self.selection.best is not before:
            self._save_if_possible(self._save_best)

    def _save_best(self) -> None:
        assert self.selection.best is not None
        facts = facts_of(self.progress, self.config.entries())
        facts["held_out"] = self.selection.best.entries()
        write_tensors(self.folder / BEST, self.average.state_dict(), facts)

    def summary(self) -> str:
        """Return one line about the run, for a person."""
        minutes, samples, _ = self._where()
        told = f"{self.folder}: {samples} samples in {minutes:.1f} minutes"
        return told if self.selection.best is None else f"{told}; best of it: {self.selection.best}"

    def _resume(self) -> None:
        path = self.folder / STATE
        tensors, facts = read_tensors(path)
        self._check_recipe(facts["recipe"], path)
        load_weights(self._plain_network, part(tensors, "network."), path)
        load_weights(self.average, part(tensors, "average."), path)
        load_optimizer(self.optimizer, part(tensors, "optimizer."))
        self.progress = progress_of(facts, self.config.uses)
        if self.progress.reuse:
            self._reused.restore(self.progress.reuse)
            torch.set_rng_state(tensors["random.torch"])

    def _check_recipe(self, recipe: dict[str, object], path: Path) -> None:
        """Say what differs from the recipe that the run began with; refuse what cannot change."""
        changed = self.config.differences(recipe)
        if lasting := [name for name in changed if name in LASTING]:
            raise TrainingError(
                f"{path}: was begun with another {' and '.join(lasting)}; take another folder"
            )
        if changed:
            logger.warning("%s: goes on with another %s", path, ", ".join(changed))

    def _journal(self) -> Journal:
        return Journal(self.folder, self.schedule.seconds / 60, self.accelerator.is_main_process)

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
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    # Workers are forked, and OpenCV's thread pool does not survive that.
    cv2.setNumThreads(1)
