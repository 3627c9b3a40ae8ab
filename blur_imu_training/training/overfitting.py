"""The test before a training: what cannot learn one batch by heart learns nothing else."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.data import default_collate

from blur_imu_ros.errors import TrainingError
from blur_imu_ros.network.architectures.compact import normalise
from blur_imu_training.data.loading import Samples
from blur_imu_training.training.tasks import Task

STEPS, SAMPLES = 60, 4
SIDE = 96
"""Pixels of the samples."""
LEFT = 0.7
"""Of the loss, at most."""


def check_that_it_learns(
    network: nn.Module, task: Task, samples: Samples, focal_reference: float, rate: float
) -> None:
    """Overfit one batch with a copy of the network; TrainingError if its loss stays."""
    batch = default_collate([samples[i].tensors(focal_reference) for i in range(SAMPLES)])
    network = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    image = normalise(batch["image"])
    history = []
    for _ in range(STEPS):
        losses = task.losses(network(image), batch, 0.0)
        optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        history.append(float(losses[task.main].detach()))
        if history[-1] < LEFT * history[0]:
            return
    raise TrainingError(
        f"one batch cannot be overfitted: the {task.main} loss went from {history[0]:.2f} to "
        f"{history[-1]:.2f}; change the learning rate, or look at the samples"
    )
