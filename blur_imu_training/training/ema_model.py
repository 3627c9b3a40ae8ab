"""The network that learns, its moving average, and how one step is made of a batch."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from blur_imu_ros.errors import TrainingError
from blur_imu_ros.network.architectures.compact import normalise, with_direction
from blur_imu_training.recipe import Stage, TrainingConfig
from blur_imu_training.training.checkpoint import (
    TEACHER,
    Tensors,
    load_optimizer,
    load_weights,
    optimizer_tensors,
    part,
    read_weights,
    write_tensors,
)
from blur_imu_training.training.tasks import Batch, Losses, build, task_of

LONGEST_GRADIENT = 2.0


def _parts(batch: Batch, count: int) -> list[Batch]:
    """Return a batch cut into `count` parts, or as many as it has samples."""
    cut = {name: value.chunk(count) for name, value in batch.items()}
    return [{name: cut[name][i] for name in cut} for i in range(len(cut["image"]))]


class EmaModel:
    """A network in training.

    Attributes:
        average: the moving average of its weights, in evaluation mode: what is validated and
            exported.
        task: what belongs to its kind.
    """

    def __init__(
        self, config: TrainingConfig, accelerator: Accelerator, folder: Path, weights: Path | None
    ) -> None:
        """Begin with random weights, or with those of a file or run.

        Args:
            config: the recipe.
            accelerator: where it is trained.
            folder: of the run, for the weights that label recorded frames.
            weights: .safetensors, or folder of a run.
        """
        self.task = task_of(config.network)
        self._decay, self._accelerator = config.ema_decay, accelerator
        network = build(config.network)
        if weights is not None:
            read = read_weights(weights)
            if config.network.directed:
                read = with_direction(read, f"head.{config.network.head_blocks}")
            load_weights(network, read, weights)
        self.average = copy.deepcopy(network).to(accelerator.device).eval()
        self._teacher = None
        if config.pseudo_labels:
            self._teacher = self._teacher_of(folder / TEACHER, weights is not None)
        optimizer = torch.optim.AdamW(
            network.to(accelerator.device).parameters(),
            lr=1e-4,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.99),
            fused=True if accelerator.device.type == "cuda" else None,
        )
        self._network: nn.Module
        self._network, self._optimizer = accelerator.prepare(network, optimizer)
        # Names are looked up once, not at each step. Loading keeps the tensors.
        targets = self.average.state_dict()
        pairs = [(targets[name], value) for name, value in self.network.state_dict().items()]
        self._averaged = [average for average, _ in pairs if average.is_floating_point()]
        self._learned = [value for average, value in pairs if average.is_floating_point()]
        self._counted = [pair for pair in pairs if not pair[0].is_floating_point()]

    @property
    def network(self) -> nn.Module:
        """The network without what several processes wrap it in."""
        network: nn.Module = self._accelerator.unwrap_model(self._network)
        return network

    def learn(self, batch: Batch, stage: Stage, rate: float, step: int) -> Losses:
        """Make step number `step`, from 0, at a learning rate; return the losses before it."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._network.train()
        self._optimizer.zero_grad(set_to_none=True)
        losses: Losses = {}
        parts = _parts(batch, stage.parts)
        for number, part_of_it in enumerate(parts):
            share = len(part_of_it["image"]) / len(batch["image"])
            # Several processes add up their gradients once, after the last part.
            with self._together(number == len(parts) - 1):
                found = self._losses(part_of_it, stage.pose)
                self._accelerator.backward(found["total"] * share)
            for name, value in found.items():
                losses[name] = losses.get(name, 0.0) + value.detach() * share
        self._accelerator.clip_grad_norm_(self._network.parameters(), LONGEST_GRADIENT)
        self._optimizer.step()
        self._update_average(step + 1)
        return losses

    def _losses(self, batch: Batch, pose: float) -> Losses:
        image = normalise(batch["image"]).contiguous(memory_format=torch.channels_last)
        if self._teacher is not None:
            with torch.no_grad(), self._accelerator.autocast():
                batch = self.task.labelled(batch, self._teacher(image))
        return self.task.losses(self._network(image), batch, pose)

    def _together(self, is_last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if is_last else self._accelerator.no_sync(self._network)

    def tensors(self) -> Tensors:
        """Return all that training changes."""
        return (
            {f"network.{k}": v for k, v in self.network.state_dict().items()}
            | {f"average.{k}": v for k, v in self.average.state_dict().items()}
            | {f"optimizer.{k}": v for k, v in optimizer_tensors(self._optimizer).items()}
        )

    def load(self, tensors: Tensors, path: Path) -> None:
        """Go on with what `tensors` returned; TrainingError names `path` and what does not fit."""
        load_weights(self.network, part(tensors, "network."), path)
        load_weights(self.average, part(tensors, "average."), path)
        load_optimizer(self._optimizer, part(tensors, "optimizer."))

    @torch.no_grad()
    def _update_average(self, steps: int) -> None:
        decay = min(self._decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(self._averaged, self._learned, 1 - decay)
        for average, value in self._counted:
            average.copy_(value)

    def _teacher_of(self, path: Path, is_trained: bool) -> nn.Module:
        """Return the network that the run begins with, which labels recorded frames to its end."""
        teacher = copy.deepcopy(self.average)
        if path.is_file():
            load_weights(teacher, read_weights(path), path)
        elif not is_trained:
            raise TrainingError(
                "pseudo_labels come from an earlier network: give its weights", cures=("weights",)
            )
        elif self._accelerator.is_main_process:
            write_tensors(path, teacher.state_dict(), {})
        return teacher
