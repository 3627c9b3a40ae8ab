"""Directions of the sign-free field in torch: its motion, and errors whose size depends on the
direction."""

from __future__ import annotations

import torch
from torch import Tensor


def along(q: Tensor) -> Tensor:
    """Return the motion of a double-angle field q, (n, 2, cells), on one of its two sides."""
    length = q.square().sum(1, keepdim=True).sqrt()
    angle = torch.atan2(q[:, 1:], q[:, :1]) / 2
    return torch.cat([length * angle.cos(), length * angle.sin()], dim=1)


def oriented(q: Tensor, field: Tensor) -> Tensor:
    """Return the motion of a double-angle field q, (n, 2, cells), on that side where `field`
    points."""
    length = field.square().sum(1, keepdim=True).add(1e-12).sqrt()
    unit = field / length
    cosine2 = (unit[:, :1].square() - unit[:, 1:].square()) * q[:, :1]
    cosine2 = cosine2 + 2 * unit[:, :1] * unit[:, 1:] * q[:, 1:]
    sine2 = (unit[:, :1].square() - unit[:, 1:].square()) * q[:, 1:]
    sine2 = sine2 - 2 * unit[:, :1] * unit[:, 1:] * q[:, :1]
    found = (cosine2.square() + sine2.square() + 1e-6).sqrt()
    # Half of the angle between q and the field's own; its cosine is never negative.
    cosine = ((1 + cosine2 / found) / 2).clamp(min=1e-2).sqrt()
    sine = sine2 / found / (2 * cosine)
    across = torch.cat([-unit[:, 1:], unit[:, :1]], dim=1)
    return found * (cosine * unit + sine * across)


def whitened(vectors: Tensor, anisotropy: Tensor) -> Tensor:
    """Return vectors (n, 2, ..., cells) with what is well known of them stretched.

    Args:
        vectors: the second axis is x, y.
        anisotropy: (n, 2, cells); see `DirectedOutput`. Of the square root of the inverse of
            expm([[a, b], [b, -a]]), whose determinant is 1.
    """
    a, b = anisotropy[:, :1], anisotropy[:, 1:]
    half = (a.square() + b.square() + 1e-8).sqrt() / 2
    even, odd = torch.cosh(half), torch.sinh(half) / (2 * half)
    shape = (len(a), *[1] * (vectors.ndim - 3), a.shape[-1])
    even, a, b = (part.reshape(shape) for part in (even, odd * a, odd * b))
    x, y = vectors[:, 0], vectors[:, 1]
    return torch.stack([(even - a) * x - b * y, (even + a) * y - b * x], dim=1)
