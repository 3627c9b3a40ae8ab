"""Train on a rendered batch more than once, mirrored and turned: rendering is dearer than a
step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

Batch = dict[str, Tensor]

POOL = 48
"""Batches among which the next one is drawn, so that uses of one lie far apart."""

UPSIDE_DOWN, ON_ITS_SIDE = 0.2, 0.25
"""Shares. Cameras are seldom held so, and depth learns from what is usually below and above."""


class ReusedBatches:
    """Yields each batch about `uses` times, in random order and under random symmetries.

    Attributes:
        kept: numbers of the batches that are kept to be drawn again.
        taken: how many batches have been taken.
    """

    def __init__(self, uses: int, rng: np.random.Generator) -> None:
        """Begin with nothing kept; every choice comes from `rng`."""
        self.kept: list[int] = []
        self.taken = 0
        self._uses, self._rng = uses, rng
        self._left = 0

    def forget(self) -> None:
        """Begin anew with other batches."""
        self.kept, self.taken, self._left = [], 0, 0

    def state(self) -> dict[str, Any]:
        """Return all that decides what comes next, as JSON holds it."""
        random = self._rng.bit_generator.state
        return {"kept": self.kept, "taken": self.taken, "left": self._left, "random": random}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was returned."""
        self.kept, self.taken, self._left = list(state["kept"]), state["taken"], state["left"]
        self._rng.bit_generator.state = state["random"]

    def of(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield from `batches`, which are those with the numbers `kept`, then all from `taken`
        on."""
        coming = iter(batches)
        pool = [next(coming) for _ in self.kept]
        while True:
            if self._left:
                self._left -= 1
                yield transformed(pool[int(self._rng.integers(len(pool)))], self._rng)
                continue
            batch = next(coming, None)
            if batch is None:
                return
            self._keep(pool, batch)
            self.taken += 1
            self._left = self._uses - 1
            yield batch

    def _keep(self, pool: list[Batch], batch: Batch) -> None:
        if self._uses == 1:
            return
        if len(pool) < POOL:
            pool.append(batch)
            self.kept.append(self.taken)
        else:
            place = int(self._rng.integers(POOL))
            pool[place], self.kept[place] = batch, self.taken


def transformed(batch: Batch, rng: np.random.Generator) -> Batch:
    """Return a batch mirrored, upside down or on its side, at random."""
    if rng.uniform() < 0.5:
        batch = mirrored(batch, -1)
    if rng.uniform() < UPSIDE_DOWN:
        batch = mirrored(batch, -2)
    if rng.uniform() < ON_ITS_SIDE:
        batch = transposed(batch)
    return batch


def mirrored(batch: Batch, axis: int) -> Batch:
    """Return the batch mirrored left to right (axis -1) or top to bottom (axis -2).

    One component of the motion changes its sign, so q's second component (2 Fx Fy / |F|) does. The
    equations of a cell follow it, and x stays what it was.
    """
    q, rows = batch["q"].flip(axis), batch["rows"].flip(axis)
    x, y = rows.split(1, dim=1)
    return batch | {
        "rows": torch.cat([-x, y] if axis == -1 else [x, -y], dim=1),
        "image": batch["image"].flip(axis),
        "q": torch.cat([q[:, :1], -q[:, 1:]], dim=1),
        "log_inverse_depth": batch["log_inverse_depth"].flip(axis),
    }


def transposed(batch: Batch) -> Batch:
    """Return the batch with x and y exchanged: q's first component changes its sign."""
    # No numbers of the CPU take part here or above: a GPU would wait for them.
    q = batch["q"].transpose(-1, -2)
    return batch | {
        "rows": batch["rows"].transpose(-1, -2).flip(1),
        "image": batch["image"].transpose(-1, -2).contiguous(),
        "q": torch.cat([-q[:, :1], q[:, 1:]], dim=1),
        "log_inverse_depth": batch["log_inverse_depth"].transpose(-1, -2),
    }
