"""What the network is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from blur_imu_ros.network.architectures.compact import CompactOutput

DEPTH_SHARE = 0.6
UNCERTAINTY_SHARE = 0.1


def field_loss(out: CompactOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the losses, each a scalar, and their weighted sum as `total`.

    The field loss is L1 on the sign-free field, relative for long smears. Uncertainties learn from
    errors that they do not change (a Laplace likelihood with the error detached), so that a cell
    cannot buy a low loss by giving up on its motion.
    """
    length = batch["q"].square().sum(1, keepdim=True).sqrt()
    error = (out.q - batch["q"]).abs()
    field = (error.mean(1, keepdim=True) / (1 + 0.1 * length)).mean()
    weight = batch["depth_weight"].reshape(-1, 1, 1, 1)
    depth_error = (out.log_inverse_depth - batch["log_inverse_depth"][:, None]).abs() * weight
    depth = depth_error.mean()
    rms = error.detach().square().mean(1, keepdim=True).sqrt()
    doubt = _gaussian_like(rms, out.log_sigma[:, :1]).mean()
    doubt = doubt + (_gaussian_like(depth_error.detach(), out.log_sigma[:, 1:]) * weight).mean()
    total = field + DEPTH_SHARE * depth + UNCERTAINTY_SHARE * doubt
    return {"total": total, "field": field, "depth": depth, "doubt": doubt}


def _gaussian_like(error: Tensor, log_sigma: Tensor) -> Tensor:
    """Return a Laplace negative log-likelihood whose scale is a standard deviation."""
    return log_sigma + error * 2**0.5 * torch.exp(-log_sigma)
