"""The network of "Image as an IMU" (Chen & Clark, ICCV 2025): signed flow and depth of each pixel.

One MSCAN encoder and two light hamburgers (Geng et al., ICLR 2021; Guo et al., NeurIPS 2022). Names
of modules are those of the public checkpoint, so that it loads strictly; matched to its outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from blur_imu_ros.network.architectures.mscan import WIDTHS, Mscan, chain

WIDTH, HEIGHT = 320, 224
"""Pixels. The input that the published weights were trained on."""
HAM_WIDTH = 512
FINE_WIDTH = 64
BASES = 64
STEPS = 7
"""Of the factorisation, in inference; the published training took 6."""
_TINY = 1e-6


class PublishedOutput(NamedTuple):
    """What the network predicts for each pixel; (batch, channels, height, width) each.

    Attributes:
        flow: 2 channels, motion over the exposure, pixels; its sign is the network's guess.
        depth: 1 channel, metres.
    """

    flow: Tensor
    depth: Tensor


def _convolution(inputs: int, outputs: int, size: int = 1, bias: bool = True) -> nn.Sequential:
    """A convolution that keeps the size, and a ReLU."""
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias)
    return chain(conv=conv, relu=nn.ReLU())


class NonNegativeFactors(nn.Module):
    """Rebuilds features from a few non-negative bases, which a few multiplicative updates find.

    Published inference draws the first bases at random, so that two runs differ; these are fixed.
    """

    def __init__(self) -> None:
        """Make the bases to start from; they are not weights and not saved."""
        super().__init__()
        self.bases: Tensor
        bases = np.random.RandomState(7).rand(HAM_WIDTH, BASES).astype(np.float32)
        bases /= np.linalg.norm(bases, axis=0)
        self.register_buffer("bases", torch.from_numpy(bases), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return non-negative features (batch, 512, rows, columns) at a rank of 64."""
        by_channel = x.flatten(2)
        by_pixel = by_channel.transpose(1, 2)
        bases = self.bases.expand(x.shape[0], -1, -1)
        shares = torch.softmax(by_pixel @ bases, dim=-1)
        for _ in range(STEPS):
            shares = _updated(shares, by_pixel, bases)
            bases = _updated(bases, by_channel, shares)
        shares = _updated(shares, by_pixel, bases)
        return (bases @ shares.transpose(1, 2)).reshape(x.shape)


def _updated(factor: Tensor, product: Tensor, other: Tensor) -> Tensor:
    """Return `factor` after one multiplicative update towards `factor @ other.T = product`."""
    gram = other.transpose(1, 2) @ other
    return factor * (product @ other) / (factor @ gram + _TINY)


class _Hamburger(nn.Module):
    """Global context: a factorisation between two 1x1 convolutions, added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.ham_in = _convolution(HAM_WIDTH, HAM_WIDTH)
        self.ham = NonNegativeFactors()
        self.ham_out = _convolution(HAM_WIDTH, HAM_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.ham_out(self.ham(self.ham_in(x))))


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(FINE_WIDTH, FINE_WIDTH, 3, padding=1)
        self.conv2 = nn.Conv2d(FINE_WIDTH, FINE_WIDTH, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x)  # also what is added: the weights were trained that way
        change: Tensor = self.conv2(functional.relu(self.conv1(x)))
        return x + change


class _Fusion(nn.Module):
    """Adds the features of full resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.resConfUnit1 = _Residual()
        self.resConfUnit2 = _Residual()

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        fused: Tensor = self.resConfUnit2(x + self.resConfUnit1(fine))
        return fused


class _Decoder(nn.Module):
    """From the encoder's four maps to 64 channels at full resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = _convolution(sum(WIDTHS), HAM_WIDTH)
        self.hamburger = _Hamburger()
        self.align = _convolution(HAM_WIDTH, FINE_WIDTH)
        self.out_conv = _convolution(FINE_WIDTH, FINE_WIDTH, 3, bias=False)
        self.ll_fusion = _Fusion()

    def forward(self, maps: list[Tensor], fine: Tensor) -> Tensor:
        stacked = torch.cat([_enlarged(m, 2**level) for level, m in enumerate(maps)], dim=1)
        x = self.align(self.hamburger(self.squeeze(stacked)))
        x = _enlarged(self.out_conv(_enlarged(x, 2)), 2)
        fused: Tensor = self.ll_fusion(x, fine)
        return fused


def _enlarged(x: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return x
    return functional.interpolate(
        x, scale_factor=float(factor), mode="bilinear", align_corners=False
    )


class _Predictor(nn.Module):
    """A decoder of its own for each quantity, and a 1x1 convolution."""

    def __init__(self, quantity: str, channels: int) -> None:
        super().__init__()
        self.decoder = _Decoder()
        self._last = f"linear_pred_{quantity}"
        self.add_module(self._last, nn.Conv2d(FINE_WIDTH, channels, 1))

    def forward(self, maps: list[Tensor], fine: Tensor) -> Tensor:
        prediction: Tensor = self.get_submodule(self._last)(self.decoder(maps, fine))
        return prediction


class PublishedNetwork(nn.Module):
    """Signed flow and metric depth of every pixel of one blurred image."""

    def __init__(self) -> None:
        """Make the network; its weights come from a checkpoint."""
        super().__init__()
        self.backbone = Mscan()
        self.ll_enc = chain(
            conv1=_convolution(3, FINE_WIDTH, 3), conv2=_convolution(FINE_WIDTH, FINE_WIDTH, 3)
        )
        self.flow_decoder = _Predictor("flow", 2)
        self.depth_decoder = _Predictor("depth", 1)

    def forward(self, image: Tensor) -> PublishedOutput:
        """Return the output for (batch, 3, height, width) normalised RGB; sides multiples of 32."""
        maps, fine = self.backbone(image), self.ll_enc(image)
        flow, log_depth = self.flow_decoder(maps, fine), self.depth_decoder(maps, fine)
        return PublishedOutput(flow, torch.exp(log_depth))
