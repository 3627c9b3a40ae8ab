"""Train on a rendered batch more than once, mirrored and turned: rendering is dearer than a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from torch import Tensor

POOL = 48
"""Batches among which the next one is drawn, so that uses of one lie far apart."""

UPSIDE_DOWN, ON_ITS_SIDE = 0.2, 0.25
"""Shares. Cameras are seldom held so, and depth learns from what is usually below and above."""


def reused(
    batches: Iterable[dict[str, Tensor]], uses: int, rng: np.random.Generator
) -> Iterator[dict[str, Tensor]]:
    """Yield each batch about `uses` times, in random order and under random symmetries."""
    pool: list[dict[str, Tensor]] = []
    for batch in batches:
        if len(pool) < POOL:
            pool.append(batch)
        else:
            pool[int(rng.integers(POOL))] = batch
        yield batch
        for _ in range(uses - 1):
            yield transformed(pool[int(rng.integers(len(pool)))], rng)


def transformed(batch: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    """Return a batch mirrored, upside down or on its side, at random."""
    if rng.uniform() < 0.5:
        batch = mirrored(batch, -1)
    if rng.uniform() < UPSIDE_DOWN:
        batch = mirrored(batch, -2)
    if rng.uniform() < ON_ITS_SIDE:
        batch = transposed(batch)
    return batch


def mirrored(batch: dict[str, Tensor], axis: int) -> dict[str, Tensor]:
    """Return the batch mirrored left to right (axis -1) or top to bottom (axis -2).

    One component of the motion changes its sign, so q's second component (2 Fx Fy / |F|) does. The
    equations of a cell follow it, and x stays what it was.
    """
    q = batch["q"].flip(axis)
    sign = [-1.0, 1.0] if axis == -1 else [1.0, -1.0]
    rows = batch["rows"].flip(axis)
    return batch | {
        "rows": rows * rows.new_tensor(sign).reshape(2, 1, 1, 1),
        "image": batch["image"].flip(axis),
        "q": q * q.new_tensor([1.0, -1.0]).reshape(2, 1, 1),
        "log_inverse_depth": batch["log_inverse_depth"].flip(axis),
    }


def transposed(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the batch with x and y exchanged: q's first component changes its sign."""
    q = batch["q"].transpose(-1, -2)
    return batch | {
        "rows": batch["rows"].transpose(-1, -2).flip(1),
        "image": batch["image"].transpose(-1, -2).contiguous(),
        "q": q * q.new_tensor([-1.0, 1.0]).reshape(2, 1, 1),
        "log_inverse_depth": batch["log_inverse_depth"].transpose(-1, -2),
    }
