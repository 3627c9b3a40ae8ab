"""The compact network: sign-free blur field, inverse depth and their uncertainties on 8-pixel
cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 8
FIELD_SCALE = 10.0
"""Pixels. The network's units of blur."""

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""RGB, of pictures scaled to 0..1."""


class CompactOutput(NamedTuple):
    """What the network predicts for each cell; (batch, channels, rows, columns) each.

    Attributes:
        q: 2 channels, double-angle field, pixels.
        log_inverse_depth: 1 channel, of 1/m at the reference focal length.
        log_sigma: 2 channels, logarithm of the standard deviation of q (pixels) and of log depth.
    """

    q: Tensor
    log_inverse_depth: Tensor
    log_sigma: Tensor


class DirectedOutput(NamedTuple):
    """What a network predicts whose standard deviation of the motion depends on the direction.

    Attributes:
        q, log_inverse_depth: as of `CompactOutput`.
        log_sigma: 2 channels, as of `CompactOutput`; of the motion the geometric mean over
            directions.
        anisotropy: 2 channels (a, b): the covariance of the motion is sigma^2 expm([[a, b], [b,
            -a]]). Like q it turns by twice the angle of the image, and -F has the one of F.
    """

    q: Tensor
    log_inverse_depth: Tensor
    log_sigma: Tensor
    anisotropy: Tensor


class StructureTensor(nn.Module):
    """Fixed maps of local gradient direction and energy at four scales, on the cells' grid.

    Along the blur there are few gradients: the direction of the blur is nearly there already.
    """

    CHANNELS = 12

    def __init__(self) -> None:
        """Make the Sobel filters; nothing is learned."""
        super().__init__()
        self.sobel: Tensor
        x = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
        self.register_buffer("sobel", torch.stack([x, x.T])[:, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, 12, rows / 8, columns / 8) maps of a normalised image."""
        # Sums, because ONNX Runtime takes three times as long for the mean.
        red, green, blue = image[:, :1], image[:, 1:2], image[:, 2:]
        grey = (red + green + blue) / 3
        maps = []
        for level in range(4):
            gradient = functional.conv2d(_with_border(grey), self.sobel)
            gx, gy = gradient[:, :1], gradient[:, 1:]
            tensor = torch.cat([gx * gx, gy * gy, gx * gy], dim=1)
            pool = STRIDE >> level
            if pool > 1:
                tensor = functional.avg_pool2d(tensor, pool)
            xx, yy, xy = tensor[:, :1], tensor[:, 1:2], tensor[:, 2:]
            trace = xx + yy + 1e-4
            maps += [(yy - xx) / trace, -2 * xy / trace, 0.2 * torch.log(trace) + 1]
            if level < 3:
                grey = functional.avg_pool2d(grey, 2)
        return torch.cat(maps, dim=1)


def _with_border(x: Tensor) -> Tensor:
    """Return (batch, 1, rows + 2, columns + 2) with the outermost pixels repeated."""
    # Slices, because the padding operator leaves a graph that ONNX export cannot fold.
    x = torch.cat([x[..., :1], x, x[..., -1:]], dim=-1)
    return torch.cat([x[..., :1, :], x, x[..., -1:, :]], dim=-2)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _far_sighted(width: int, kernel: int) -> nn.Sequential:
    """Return a convolution that looks far in each channel, and at one place in all of them."""
    return nn.Sequential(
        nn.Conv2d(width, width, kernel, 1, kernel // 2, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.first = _convolution(width, width) if kernel == 3 else _far_sighted(width, kernel)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )
        nn.init.zeros_(self.second[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


def _residuals(width: int, count: int, kernel: int) -> Iterator[nn.Module]:
    return (_Residual(width, kernel) for _ in range(count))


def _stage(inputs: int, width: int, blocks: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, width, 2), *_residuals(width, blocks, kernel))


class CompactNetwork(nn.Module):
    """Convolutions down to 1/32 and back up to 1/8, beside fixed structure-tensor maps."""

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (24, 40, 80, 144, 192),
        blocks: tuple[int, int, int, int] = (1, 2, 3, 2),
        head_blocks: int = 2,
        kernel: int = 3,
        directed: bool = False,
    ) -> None:
        """Take the widths at 1/2, 1/4, 1/8, 1/16, 1/32 and the residual blocks at 1/4 to 1/32.

        kernel: side of what residual blocks look at, odd; beyond 3 in each channel on its own.
        directed: whether it predicts a precision with a direction (`DirectedOutput`).
        """
        super().__init__()
        half, quarter, eighth, sixteenth, coarse = widths
        self.structure = StructureTensor()
        self.stem = nn.Sequential(
            _convolution(3, half, 2), _stage(half, quarter, blocks[0], kernel)
        )
        self.to_eighth = _convolution(quarter, eighth, 2)
        self.merge = nn.Sequential(
            nn.Conv2d(eighth + StructureTensor.CHANNELS, eighth, 1, bias=False),
            nn.BatchNorm2d(eighth),
            nn.ReLU(inplace=True),
            *_residuals(eighth, blocks[1], kernel),
        )
        self.to_sixteenth = _stage(eighth, sixteenth, blocks[2], kernel)
        self.to_coarse = _stage(sixteenth, coarse, blocks[3], kernel)
        self.up_sixteenth = nn.Conv2d(coarse, sixteenth, 1)
        self.up_eighth = nn.Conv2d(sixteenth, eighth, 1)
        channels = 7 if directed else 5
        last = nn.Conv2d(eighth, channels, 1)
        self.head = nn.Sequential(*_residuals(eighth, head_blocks, kernel), last)
        nn.init.normal_(last.weight, std=0.01)
        self.directed = directed

    def forward(self, image: Tensor) -> CompactOutput | DirectedOutput:
        """Return the output for (batch, 3, height, width) normalised RGB; sides multiples of 32."""
        fine = self.to_eighth(self.stem(image))
        fine = self.merge(torch.cat([fine, self.structure(image).to(fine.dtype)], dim=1))
        middle = self.to_sixteenth(fine)
        coarse = self.to_coarse(middle)
        middle = functional.relu(middle + _doubled(self.up_sixteenth(coarse)))
        fine = functional.relu(fine + _doubled(self.up_eighth(middle)))
        out = self.head(fine).float()
        read = CompactOutput(
            q=out[:, :2] * FIELD_SCALE,
            log_inverse_depth=out[:, 2:3] - 0.8,
            log_sigma=out[:, 3:5].clamp(-4, 5),
        )
        return DirectedOutput(*read, out[:, 5:].clamp(-2.5, 2.5)) if self.directed else read


def with_direction(weights: dict[str, Tensor], last: str) -> dict[str, Tensor]:
    """Return the weights of a network with a directed precision that is round yet.

    Args:
        weights: of a network without; others are returned as they are.
        last: name of the last convolution.
    """
    if len(weights.get(f"{last}.bias", ())) != 5:
        return weights
    wider = {
        f"{last}.{part}": functional.pad(value, (0, 0) * (value.ndim - 1) + (0, 2))
        for part in ("weight", "bias")
        for value in (weights[f"{last}.{part}"],)
    }
    return weights | wider


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def normalise(image_bgr: Tensor) -> Tensor:
    """Return (batch, 3, height, width) BGR uint8 as normalised RGB."""
    channels = (image_bgr.flip(1).float() / 255).unbind(1)
    # Numbers, not tensors: a GPU would wait for those.
    whitened = [(one - m) / s for one, m, s in zip(channels, MEAN, STD, strict=True)]
    return torch.stack(whitened, dim=1)
