"""MSCAN-B, the convolutional encoder of SegNeXt (Guo et al., NeurIPS 2022, arXiv 2209.08575).

Names of modules are those of public checkpoints, so that these load strictly.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 320, 512)
DEPTHS = (3, 3, 12, 3)
EXPANSIONS = (8, 8, 4, 4)
"""Hidden over outer width of the feed-forward part of each stage."""


def chain(**modules: nn.Module) -> nn.Sequential:
    """Return the modules one after the other, under their names; those without weights need
    none."""
    return nn.Sequential(OrderedDict(modules))


def _depthwise(width: int, rows: int, columns: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, (rows, columns), padding=(rows // 2, columns // 2), groups=width)


class StripAttention(nn.Module):
    """Multiplies the features by what a 5x5 neighbourhood and three pairs of strips see of them."""

    def __init__(self, width: int) -> None:
        """Make depthwise filters: 5x5, then 7, 11 and 21 long in either direction."""
        super().__init__()
        self.conv0 = _depthwise(width, 5, 5)
        self.conv0_1, self.conv0_2 = _depthwise(width, 1, 7), _depthwise(width, 7, 1)
        self.conv1_1, self.conv1_2 = _depthwise(width, 1, 11), _depthwise(width, 11, 1)
        self.conv2_1, self.conv2_2 = _depthwise(width, 1, 21), _depthwise(width, 21, 1)
        self.conv3 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return gated features, (batch, width, rows, columns) as given."""
        near = self.conv0(x)
        short = self.conv0_2(self.conv0_1(near))
        middle = self.conv1_2(self.conv1_1(near))
        long = self.conv2_2(self.conv2_1(near))
        gate: Tensor = self.conv3(near + short + middle + long)
        return x * gate


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(width, width, 1)
        self.spatial_gating_unit = StripAttention(width)
        self.proj_2 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.proj_2(self.spatial_gating_unit(functional.gelu(self.proj_1(x))))
        return x + seen


def _feed_forward(width: int, hidden: int) -> nn.Sequential:
    return chain(
        fc1=nn.Conv2d(width, hidden, 1),
        dwconv=chain(dwconv=_depthwise(hidden, 3, 3)),
        gelu=nn.GELU(),
        fc2=nn.Conv2d(hidden, width, 1),
    )


class _Block(nn.Module):
    """Attention, then feed-forward, each added to its input with a learned weight a channel."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.layer_scale_1 = nn.Parameter(torch.full((width,), 1e-2))
        self.layer_scale_2 = nn.Parameter(torch.full((width,), 1e-2))
        self.norm1 = nn.BatchNorm2d(width)
        self.attn = _Attention(width)
        self.norm2 = nn.BatchNorm2d(width)
        self.mlp = _feed_forward(width, expansion * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layer_scale_1[:, None, None] * self.attn(self.norm1(x))
        x = x + self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x))
        return x


def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)


def _stem(width: int) -> nn.Sequential:
    """From the image to a quarter of its size."""
    half = width // 2
    proj = nn.Sequential(
        _halving(3, half),
        nn.BatchNorm2d(half),
        nn.GELU(),
        _halving(half, width),
        nn.BatchNorm2d(width),
    )
    return chain(proj=proj)


def _downsampling(inputs: int, outputs: int) -> nn.Sequential:
    return chain(proj=_halving(inputs, outputs), norm=nn.BatchNorm2d(outputs))


class Mscan(nn.Module):
    """Features of an image at 1/4, 1/8, 1/16 and 1/32 of its size."""

    def __init__(self) -> None:
        """Make the four stages of variant B."""
        super().__init__()
        inputs = 3
        for stage, (width, depth, expansion) in enumerate(
            zip(WIDTHS, DEPTHS, EXPANSIONS, strict=True), start=1
        ):
            entry = _stem(width) if stage == 1 else _downsampling(inputs, width)
            self.add_module(f"patch_embed{stage}", entry)
            blocks = nn.Sequential(*(_Block(width, expansion) for _ in range(depth)))
            self.add_module(f"block{stage}", blocks)
            self.add_module(f"norm{stage}", nn.LayerNorm(width))
            inputs = width

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return four maps, widths as in `WIDTHS`.

        Args:
            image: (batch, 3, height, width) normalised RGB, sides multiples of 32.
        """
        # The published weights were trained behind a second scaling, on reversed channels.
        x = image.flip(1) * 255
        maps = []
        for stage in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"patch_embed{stage}")(x)
            x = self.get_submodule(f"block{stage}")(x)
            x = _over_channels(self.get_submodule(f"norm{stage}"), x)
            maps.append(x)
        return maps


def _over_channels(norm: nn.Module, x: Tensor) -> Tensor:
    """Return (batch, channels, rows, columns) with each pixel's channels normalised."""
    last: Tensor = norm(x.permute(0, 2, 3, 1))
    return last.permute(0, 3, 1, 2)
