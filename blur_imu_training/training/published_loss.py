"""The losses of the published recipe, for a network that predicts signed flow and depth of each
pixel.

L1 of the flow, with the sign, for each image, that agrees with the prediction; L1 of the depth; and
the squared error of the pose that a least-squares solve makes of both, again of the sign that is
nearer. Samples have the ground truth of cells; what pixels are asked for follows from it by the
motion field.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from blur_imu_ros.network.architectures.compact import STRIDE
from blur_imu_ros.network.architectures.published import PublishedOutput
from blur_imu_training.training.pose_loss import equations_of, solved

FLOW, DEPTH = 1e-4, 1e-3
"""Weights beside the one of the pose, which the stages of a recipe set: 1e3 as published."""

ROTATION, TRANSLATION = 1.0, 10.0
"""Weights within the pose: of the rotation matrix, and of the translation in metres."""

BORDER, EVERY = 20, 10
"""Pixels: the solve leaves out a border, and takes every tenth pixel of every tenth row."""


def published_losses(
    out: PublishedOutput, batch: dict[str, Tensor], pose: float
) -> dict[str, Tensor]:
    """Return the losses, each a scalar, and their weighted sum as `total`.

    Args:
        out: of the network.
        batch: of samples; with `flow` and `depth`, like those of the network, where labels of
            pixels are given.
        pose: weight of the error of the solved pose.
    """
    predicted, found = (one.to(batch["rows"].dtype) for one in out)
    if "flow" in batch:
        flow, depth = batch["flow"], batch["depth"]
    else:
        flow, depth = true_of_pixels(batch)
    real = batch["depth_weight"].reshape(-1, 1, 1, 1)
    losses = {
        "flow": _nearer_sign(predicted, flow).mean(),
        "depth": ((found - depth).abs() * real).mean(),
    }
    losses["total"] = FLOW * losses["flow"] + DEPTH * losses["depth"]
    if pose:
        # What was invented cannot be seen: the pose is judged by the depth that made it.
        seen = torch.where(real > 0, found, depth)
        losses["pose"] = _pose_error(_rows(batch), predicted, seen, batch)
        losses["total"] = losses["total"] + pose * losses["pose"]
    return losses


def of_pixels(cells: Tensor) -> Tensor:
    """Return (n, channels, 8 rows, 8 columns), linear between the centres of cells and beyond."""
    for axis in (-1, -2):
        before, first, last, after = (cells.narrow(axis, i, 1) for i in (1, 0, -1, -2))
        cells = torch.cat([2 * first - before, cells, 2 * last - after], axis)
    return _enlarged(cells)[..., STRIDE:-STRIDE, STRIDE:-STRIDE]


def true_of_pixels(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return flow (n, 2, height, width) and depth (n, 1, height, width), as the network's."""
    depth = torch.exp(-_enlarged(batch["log_inverse_depth"][:, None]))
    return _true_flow(_rows(batch), 1 / depth, batch["motion"]), depth


def _rows(batch: dict[str, Tensor]) -> Tensor:
    """Return (n, 2, 6, height, width): A of each pixel at the inverse depth 1."""
    rows: Tensor = of_pixels(batch["rows"].flatten(1, 2)).unflatten(1, (2, 6))
    return rows


def _enlarged(cells: Tensor) -> Tensor:
    enlarged: Tensor = functional.interpolate(cells, scale_factor=float(STRIDE), mode="bilinear")
    return enlarged


def _true_flow(rows: Tensor, inverse_depth: Tensor, motion: Tensor) -> Tensor:
    """Return F = A x of pixels, (n, 2, height, width)."""
    turned = torch.einsum("nkihw,ni->nkhw", rows[:, :, :3], motion[:, :3])
    moved = torch.einsum("nkihw,ni->nkhw", rows[:, :, 3:], motion[:, 3:])
    flow: Tensor = turned + moved * inverse_depth
    return flow


def _nearer_sign(predicted: Tensor, flow: Tensor) -> Tensor:
    """Return (n,) the mean error of each image, of the sign that agrees better."""
    return torch.minimum(
        (predicted - flow).abs().mean((1, 2, 3)), (predicted + flow).abs().mean((1, 2, 3))
    )


def _pose_error(rows: Tensor, flow: Tensor, depth: Tensor, batch: dict[str, Tensor]) -> Tensor:
    border = min(BORDER, rows.shape[-2] // 4)
    inside = (..., slice(border, -border, EVERY), slice(border, -border, EVERY))
    equations = equations_of(rows[inside], 1 / depth[:, 0][inside])
    x = solved(equations, flow[inside].flatten(2), torch.ones_like(equations[:, 0, :, 0]))
    known = batch["known"][:, 3:]
    return torch.minimum(*(_distance(x, s * batch["motion"], known) for s in (1, -1))).mean()


def _distance(x: Tensor, motion: Tensor, translation_is_known: Tensor) -> Tensor:
    """Return (n,) the weighted squared error of a motion (n, 6)."""
    rotation = (_matrix(x[:, :3]) - _matrix(motion[:, :3])).square().mean((1, 2))
    translation = ((x - motion)[:, 3:].square() * translation_is_known).mean(1)
    return ROTATION * rotation + TRANSLATION * translation


def _matrix(rotation: Tensor) -> Tensor:
    """Return the matrices (n, 3, 3) of rotation vectors (n, 3)."""
    zero = torch.zeros_like(rotation[:, 0])
    x, y, z = rotation.unbind(1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).reshape(-1, 3, 3)
    matrix: Tensor = torch.linalg.matrix_exp(cross)
    return matrix
