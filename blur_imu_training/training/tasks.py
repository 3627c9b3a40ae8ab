"""What belongs to each kind of network that can be trained: how it is built, what it is asked
for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from blur_imu_ros.network.architectures.compact import (
    MEAN,
    STD,
    STRIDE,
    CompactNetwork,
    CompactOutput,
    DirectedOutput,
    StructureTensor,
)
from blur_imu_ros.network.architectures.published import PublishedNetwork, PublishedOutput
from blur_imu_ros.network.model_card import DIRECTED, INTERFACE, SIGNED_FLOW, ModelCard
from blur_imu_training.recipe import NetworkChoice
from blur_imu_training.training.losses import field_loss
from blur_imu_training.training.pose_loss import pose_loss
from blur_imu_training.training.published_loss import published_losses, true_of_pixels

FLOW_SIGMA = 2.7
"""Pixels. The published error of pitch and yaw, 1.08 rad/s, over 10 ms at 250.8 px."""
LOG_DEPTH_SIGMA = 0.3

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Task:
    """A kind of network.

    Attributes:
        interface: of its models.
        build: returns the network, its weights random.
        losses: of an output beside a batch, each a scalar, and their sum as `total`; `pose` weighs
            the error of the solved velocity.
        labelled: returns a batch with an output in place of the ground truth of recorded frames.
        main: the loss that must fall where one batch is learned by heart.
        uncertainty: what cards of such models say of theirs, where the network predicts none.
    """

    interface: str
    build: Callable[[NetworkChoice], nn.Module]
    losses: Callable[[Any, Batch, float], Losses]
    labelled: Callable[[Batch, Any], Batch]
    main: str
    uncertainty: dict[str, Any]

    def card(
        self,
        name: str,
        focal_reference: float,
        training: dict[str, Any],
        network: NetworkChoice = NetworkChoice(),  # noqa: B008 (frozen)
    ) -> ModelCard:
        """Return the card of a model of this kind, as far as it is known before it is written."""
        return ModelCard(
            name=name,
            interface=self.interface,
            width=network.width,
            height=network.height,
            smaller_view=network.smaller_view,
            any_size=self.interface != SIGNED_FLOW,
            stride=STRIDE,
            mean=MEAN,
            std=STD,
            focal_reference=focal_reference,
            sha256="",
            training=training,
            **self.uncertainty,
        )


class _NoStructure(nn.Module):
    """Shows a network nothing where its structure-tensor maps would be."""

    def forward(self, image: Tensor) -> Tensor:
        n, _, height, width = image.shape
        return image.new_zeros(n, StructureTensor.CHANNELS, height // STRIDE, width // STRIDE)


class _Even(CompactNetwork):
    """Tells the same uncertainty of all cells."""

    def forward(self, image: Tensor) -> CompactOutput | DirectedOutput:
        out = super().forward(image)
        return out._replace(log_sigma=torch.zeros_like(out.log_sigma))


def _compact(choice: NetworkChoice) -> nn.Module:
    kind = CompactNetwork if choice.uncertainty else _Even
    parts = (choice.widths, choice.blocks, choice.head_blocks, choice.kernel)
    network = kind(*parts, directed=choice.directed)  # type: ignore[arg-type]
    if not choice.structure_tensor:
        network.structure = _NoStructure()  # type: ignore[assignment]
    return network


def _compact_losses(out: CompactOutput | DirectedOutput, batch: Batch, pose: float) -> Losses:
    losses = field_loss(out, batch)
    if pose:
        losses["pose"] = pose_loss(out, batch)
        losses["total"] = losses["total"] + pose * losses["pose"]
    return losses


def _compact_labelled(batch: Batch, out: CompactOutput | DirectedOutput) -> Batch:
    recorded = batch["recorded"]
    q = _chosen(recorded, out.q, batch["q"])
    nearness = _chosen(recorded, out.log_inverse_depth[:, 0], batch["log_inverse_depth"])
    weight = torch.where(recorded > 0, 1.0, batch["depth_weight"])
    return batch | {"q": q, "log_inverse_depth": nearness, "depth_weight": weight}


def _published(choice: NetworkChoice) -> nn.Module:
    return PublishedNetwork()


def _published_labelled(batch: Batch, out: PublishedOutput) -> Batch:
    flow, depth = true_of_pixels(batch)
    recorded = batch["recorded"]
    return batch | {
        "flow": _chosen(recorded, out.flow.float(), flow),
        "depth": _chosen(recorded, out.depth.float(), depth),
        "depth_weight": torch.where(recorded > 0, 1.0, batch["depth_weight"]),
    }


def _chosen(recorded: Tensor, label: Tensor, truth: Tensor) -> Tensor:
    return torch.where(recorded.reshape(-1, *[1] * (truth.ndim - 1)) > 0, label, truth)


TASKS = {
    "compact": Task(INTERFACE, _compact, _compact_losses, _compact_labelled, "field", {}),
    "published": Task(
        SIGNED_FLOW,
        _published,
        published_losses,
        _published_labelled,
        "flow",
        {"flow_sigma": FLOW_SIGMA, "log_depth_sigma": LOG_DEPTH_SIGMA},
    ),
}


def task_of(choice: NetworkChoice) -> Task:
    """Return what belongs to the chosen network."""
    task = TASKS[choice.kind]
    return replace(task, interface=DIRECTED) if choice.directed else task


def build(choice: NetworkChoice) -> nn.Module:
    """Return the chosen network with random weights, laid out as convolutions like it."""
    network = TASKS[choice.kind].build(choice)
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]
