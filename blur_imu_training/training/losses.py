"""What the network is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from blur_imu_ros.network.architectures.compact import CompactOutput, DirectedOutput
from blur_imu_training.training.directions import along, oriented, whitened

DEPTH_SHARE = 0.6
CONTRAST_SHARE = 0.3
"""Of depth relative to the rest of its image: its scale is what networks guess worst, parallax
needs the rest."""
UNCERTAINTY_SHARE = 0.1
LENGTH_SHARE = 0.5
"""Of the length that all cells share: where little is to be seen, it is most of what a velocity is
wrong by."""


def field_loss(out: CompactOutput | DirectedOutput, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the losses, each a scalar, and their weighted sum as `total`.

    The field loss is L1 on the sign-free field, relative for long blur. Uncertainties learn from
    errors that they do not change (a Laplace likelihood with the error detached), so that a cell
    cannot buy a low loss by giving up on its motion.
    """
    length = batch["q"].square().sum(1, keepdim=True).sqrt()
    error = (out.q - batch["q"]).abs()
    field = (error.mean(1, keepdim=True) / (1 + 0.1 * length)).mean()
    shared = _shared_length_error(out.q, length)
    weight = batch["depth_weight"].reshape(-1, 1, 1, 1)
    difference = (out.log_inverse_depth - batch["log_inverse_depth"][:, None]) * weight
    depth_error = difference.abs()
    contrast = (difference - difference.mean((2, 3), keepdim=True)).abs().mean()
    depth = depth_error.mean() + CONTRAST_SHARE * contrast
    if isinstance(out, DirectedOutput):
        doubt = _directed_likelihood(out, batch["q"]).mean()
    else:
        rms = error.detach().square().mean(1, keepdim=True).sqrt()
        doubt = _gaussian_like(rms, out.log_sigma[:, :1]).mean()
    doubt = doubt + (_gaussian_like(depth_error.detach(), out.log_sigma[:, 1:]) * weight).mean()
    total = field + LENGTH_SHARE * shared + DEPTH_SHARE * depth + UNCERTAINTY_SHARE * doubt
    return {"total": total, "field": field, "length": shared, "depth": depth, "doubt": doubt}


def _shared_length_error(q: Tensor, length: Tensor) -> Tensor:
    """Return the mean over images of |log| of mean read over mean true length, each and a pixel."""
    read = q.square().sum(1, keepdim=True).add(1e-6).sqrt()
    return (read.mean((1, 2, 3)).log1p() - length.mean((1, 2, 3)).log1p()).abs().mean()


def _directed_likelihood(out: DirectedOutput, q: Tensor) -> Tensor:
    """Return (n, 1, cells) the same of the motion's error, whose scale depends on its direction.

    The density falls as exp(-sqrt(3) m) with the Mahalanobis distance m, which has the covariance
    that m is measured by. A half of the whole, so that it weighs as much as one component does.
    """
    true_field = along(q.flatten(2))
    error = (oriented(out.q.flatten(2), true_field) - true_field).detach()
    apart = whitened(error, out.anisotropy.flatten(2))
    distance = apart.square().sum(1, keepdim=True).add(1e-6).sqrt()
    log_sigma = out.log_sigma[:, :1].flatten(2)
    return log_sigma + 3**0.5 / 2 * distance * torch.exp(-log_sigma)


def _gaussian_like(error: Tensor, log_sigma: Tensor) -> Tensor:
    """Return a Laplace negative log-likelihood whose scale is a standard deviation."""
    return log_sigma + error * 2**0.5 * torch.exp(-log_sigma)
