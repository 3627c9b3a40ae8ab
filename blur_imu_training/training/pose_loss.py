"""The velocity that a least-squares solve makes of the network's output, as a loss.

Each cell of a field may be wrong by little and all of them in the same way: too long in a corner,
too even where near passes far. Such errors hardly cost anything cell by cell and are all that
reaches the velocity. So the field is solved for the rigid motion, as the estimator does, and what
that motion is wrong by is a loss. It is measured on the image, in pixels: an error that no image
shows (a shift that looks like a turn) then pulls on nothing, and no weak direction of the solve
amplifies gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from blur_imu_ros.network.architectures.compact import CompactOutput, DirectedOutput
from blur_imu_training.training.directions import oriented, whitened

PARALLAX_SHARE = 3.0
"""Weight of the part that separates translation from rotation: few pixels, and all that linear
velocity is."""

NOISE_FLOOR = 0.1
"""Pixels; no cell is believed more than this."""

SHIFT_ROUNDS = 3
"""Of deciding which way cells moved, and the shift by that."""

_RIDGE = 1e-6


def pose_loss(out: CompactOutput | DirectedOutput, batch: dict[str, Tensor]) -> Tensor:
    """Return the error of the solved motion, pixels, relative for long blur; a scalar.

    Args:
        out: of the network.
        batch: with `rows` (n, 2, 6, rows, columns), the equations F = A x of each cell at the
            normalised inverse depth 1, `motion` (n, 6), the true x, and `known` (n, 6), which is 0
            where that is not known: where the ground truth is a gyroscope's, only turns are
            judged.
    """
    seen = torch.exp(batch["log_inverse_depth"])
    real = batch["depth_weight"].reshape(-1, 1, 1) > 0
    # What was invented cannot be seen: the parallax is judged by the depth that made it.
    found = torch.where(real, torch.exp(out.log_inverse_depth[:, 0]), seen)
    true_equations = equations_of(batch["rows"], seen)
    motion = with_unknown_shift(batch["motion"], batch["known"], true_equations, out.q.flatten(2))
    true_field = torch.einsum("nkxi,ni->nkx", true_equations, motion)
    field = oriented(out.q.flatten(2), true_field)
    equations, seen_field = equations_of(batch["rows"], found), true_field
    if isinstance(out, DirectedOutput):
        # What a cell knows well is stretched; the least squares of what is left is the weighted
        # one.
        anisotropy = out.anisotropy.flatten(2)
        columns = whitened(equations.transpose(2, 3), anisotropy)
        equations = columns.transpose(2, 3)
        field, seen_field = whitened(field, anisotropy), whitened(true_field, anisotropy)
    weight = _weights(out.log_sigma[:, 0].flatten(1), field, seen_field)
    error = (solved(equations, field, weight) - motion) * batch["known"]
    apart = true_equations[..., 3:] - _explained_by_rotation(true_equations, weight)
    rigid = _rms(torch.einsum("nkxi,ni->nkx", true_equations, error))
    parallax = _rms(torch.einsum("nkxi,ni->nkx", apart, error[:, 3:]))
    length = _rms(true_field)
    return ((rigid + PARALLAX_SHARE * parallax) / (1 + 0.1 * length)).mean()


@torch.no_grad()
def with_unknown_shift(motion: Tensor, known: Tensor, equations: Tensor, q: Tensor) -> Tensor:
    """Return the motion (n, 6) with, where it is not known, the shift that q shows beside the turn.

    Args:
        motion, known: as of `pose_loss`.
        equations: (n, 2, cells, 6).
        q: (n, 2, cells) double-angle field.
    """
    # Asking a GPU would make it wait; the same comes out below.
    if known.device.type == "cpu" and bool((known > 0).all()):
        return motion
    turned = torch.einsum("nkxi,ni->nkx", equations[..., :3], motion[:, :3])
    even = torch.ones_like(q[:, 0])
    moved = turned
    for _ in range(SHIFT_ROUNDS):
        shift = solved(equations[..., 3:], oriented(q, moved) - turned, even)
        moved = turned + torch.einsum("nkxi,ni->nkx", equations[..., 3:], shift)
    filled = torch.where(known[:, 3:] > 0, motion[:, 3:], shift)
    return torch.cat([motion[:, :3], filled], dim=1)


def equations_of(rows: Tensor, inverse_depth: Tensor) -> Tensor:
    """Return (n, 2, cells, 6): A of each cell at its inverse depth (n, rows, columns)."""
    turn, shift = rows[:, :, :3], rows[:, :, 3:] * inverse_depth[:, None, None]
    return torch.cat([turn, shift], dim=2).flatten(3).transpose(2, 3)


@torch.no_grad()
def _weights(log_sigma: Tensor, field: Tensor, true_field: Tensor) -> Tensor:
    """Return (n, cells): what the solver would come to, were its last fit the true motion."""
    variance = torch.exp(2 * log_sigma) + NOISE_FLOOR**2
    excess = (field - true_field).square().sum(1) / variance
    median = excess.median(dim=1, keepdim=True).values
    weight = 1 / (variance * (1 + excess / (2.25 * median + 1e-6)))
    return weight / weight.mean(1, keepdim=True)


def solved(equations: Tensor, field: Tensor, weight: Tensor) -> Tensor:
    """Return x (n, unknowns) of the least squares that `weight` (n, cells) weighs."""
    normal = torch.einsum("nkxi,nx,nkxj->nij", equations, weight, equations)
    right = torch.einsum("nkxi,nx,nkx->ni", equations, weight, field)
    scale = torch.diagonal(normal, dim1=1, dim2=2).detach().add(1e-12).rsqrt()
    ridge = _RIDGE * torch.eye(len(scale[0]), dtype=normal.dtype, device=normal.device)
    scaled = normal * scale[:, :, None] * scale[:, None] + ridge
    return _solution(scaled, right * scale) * scale


def _solution(matrices: Tensor, right: Tensor) -> Tensor:
    """Return x of M x = right without waiting for a GPU to tell whether there is one: a loss that
    is not finite ends a training."""
    x: Tensor = torch.linalg.solve_ex(matrices, right, check_errors=False).result
    return x


def _explained_by_rotation(equations: Tensor, weight: Tensor) -> Tensor:
    """Return (n, 2, cells, 3): that part of each shift's field which turns explain as well."""
    turn, shift = equations[..., :3], equations[..., 3:]
    normal = torch.einsum("nkxi,nx,nkxj->nij", turn, weight, turn)
    right = torch.einsum("nkxi,nx,nkxj->nij", turn, weight, shift)
    return torch.einsum("nkxi,nij->nkxj", turn, _solution(normal, right))


def _rms(field: Tensor) -> Tensor:
    """Return (n,) root mean square length of (n, 2, cells)."""
    return field.square().sum(1).mean(1).add(1e-8).sqrt()
