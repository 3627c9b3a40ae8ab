"""The published network filled from the names of its tensors, and an input: no weights needed."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import torch
from torch import Tensor

from blur_imu_ros.network.architectures.published import PublishedNetwork


def filled_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """A floating tensor of the deterministic fill."""
    n = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF).standard_normal(shape)
    kind = name.rpartition(".")[2]
    if kind == "running_var":
        n = 1 + 0.1 * np.abs(n)
    elif kind in ("running_mean", "bias"):
        n = 0.05 * n
    elif "layer_scale" in name:
        n = 0.02 + 0.004 * n
    elif len(shape) == 1:
        n = 1 + 0.05 * n
    else:
        n = n * (0.05 if "linear_pred" in name else 1) / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(n, np.float32))


def empty_network() -> PublishedNetwork:
    """The published network without numbers."""
    with torch.device("meta"):
        return PublishedNetwork()


@cache
def filled_state() -> dict[str, Tensor]:
    """A state dict of the published network."""
    return {
        name: filled_tensor(name, tuple(value.shape))
        if value.is_floating_point()
        else torch.zeros((), dtype=value.dtype)
        for name, value in empty_network().state_dict().items()
    }


def filled_network() -> PublishedNetwork:
    """The published network in evaluation mode, filled."""
    network = empty_network()
    network.load_state_dict(filled_state(), assign=True)
    return network.eval()


def published_input() -> np.ndarray:
    """A normalised image (1, 3, 224, 320), float32."""
    v, u = np.mgrid[:224, :320]
    planes = [
        1.2 * np.sin(u / (7 + 3 * c) + v / (11 + 2 * c)) + 0.3 * np.cos(u * v / (900 + 100 * c))
        for c in range(3)
    ]
    return np.stack(planes).astype(np.float32)[None]
