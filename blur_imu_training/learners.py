"""What belongs to each kind of network that can be trained: how it is built, what it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from blur_imu_ros.model_card import INTERFACE, ModelCard
from blur_imu_ros.networks.compact import MEAN, STD, STRIDE, CompactNetwork, CompactOutput
from blur_imu_training.losses import field_loss
from blur_imu_training.pose_loss import pose_loss
from blur_imu_training.recipe import NetworkChoice

WIDTH, HEIGHT = 320, 224
"""Pixels. The input of models that are exported."""

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Learner:
    """A kind of network.

    Attributes:
        interface: of its models.
        build: returns the network, its weights random.
        losses: of an output beside a batch, each a scalar, and their sum as `total`; `pose` weighs
            the error of the solved velocity.
        main: the loss that must fall where one batch is learned by heart.
    """

    interface: str
    build: Callable[[NetworkChoice], nn.Module]
    losses: Callable[[Any, Batch, float], Losses]
    main: str

    def card(self, name: str, focal_reference: float, training: dict[str, Any]) -> ModelCard:
        """Return the card of a model of this kind, as far as it is known before it is written."""
        return ModelCard(
            name=name,
            interface=self.interface,
            width=WIDTH,
            height=HEIGHT,
            stride=STRIDE,
            mean=MEAN,
            std=STD,
            focal_reference=focal_reference,
            sha256="",
            training=training,
        )


class _NoStructure(nn.Module):
    """Shows a network nothing where its structure-tensor maps would be."""

    def forward(self, image: Tensor) -> Tensor:
        n, _, height, width = image.shape
        return image.new_zeros(n, 12, height // STRIDE, width // STRIDE)


def _compact(choice: NetworkChoice) -> nn.Module:
    network = CompactNetwork(choice.widths, choice.blocks, choice.head_blocks)  # type: ignore[arg-type]
    if not choice.structure_tensor:
        network.structure = _NoStructure()  # type: ignore[assignment]
    return network


def _compact_losses(out: CompactOutput, batch: Batch, pose: float) -> Losses:
    losses = field_loss(out, batch)
    if pose:
        losses["pose"] = pose_loss(out, batch)
        losses["total"] = losses["total"] + pose * losses["pose"]
    return losses


LEARNERS = {"compact": Learner(INTERFACE, _compact, _compact_losses, "field")}


def build(choice: NetworkChoice) -> nn.Module:
    """Return the chosen network with random weights, laid out as convolutions like it."""
    network = LEARNERS[choice.kind].build(choice)
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]
