"""Nested values whose many small tensors travel as one: from the processes that load, through
pinned memory, to a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

ALIGNED = 16
"""Bytes; tensors begin at multiples of this."""


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return a tensor to write into; in a process that loads, in the memory shared with its parent,
    so that it need not be copied there."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=dtype)
    storage = torch.UntypedStorage._new_shared(prod(shape) * dtype.itemsize)
    return torch.empty(0, dtype=dtype).set_(storage, 0, shape)  # type: ignore[call-overload,no-any-return]


def mapped(value: Any, change: Callable[[Any], Any], whole: type | tuple[()] = ()) -> Any:
    """Return a value with `change` applied to all that it holds in dataclasses, dicts, lists and
    tuples; those of the type `whole` are changed themselves, not what they hold."""
    if isinstance(value, whole):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        held = {one.name: mapped(getattr(value, one.name), change, whole) for one in fields(value)}
        return replace(value, **held)
    if isinstance(value, dict):
        return {name: mapped(one, change, whole) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(one, change, whole) for one in value)
    return change(value)


class Place:
    """Where a tensor lies in the bytes of all."""

    def __init__(self, begin: int, tensor: Tensor) -> None:
        """Take the first byte, and what lies there."""
        self.begin, self.shape, self.dtype = begin, tuple(tensor.shape), tensor.dtype
        self.end = begin + tensor.numel() * tensor.element_size()

    def of(self, packed: Tensor) -> Tensor:
        """Return the tensor as a view of the bytes."""
        return packed[self.begin : self.end].view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class Packed:
    """A value with places instead of its tensors, those in shared memory excepted.

    Attributes:
        packed: the bytes of all other tensors.
        value: with them left out.
    """

    packed: Tensor
    value: Any

    @classmethod
    def of(cls, value: Any) -> Packed:
        """Pack the tensors of a value."""
        found: list[tuple[Place, Tensor]] = []

        def place(one: Any) -> Any:
            if not isinstance(one, Tensor) or one.is_shared():
                return one
            begin = -(-found[-1][0].end // ALIGNED) * ALIGNED if found else 0
            found.append((Place(begin, one), one))
            return found[-1][0]

        placed = mapped(value, place)
        packed = empty((found[-1][0].end if found else 0,), torch.uint8)
        for where, tensor in found:
            where.of(packed).copy_(tensor)
        return cls(packed, placed)

    def pin_memory(self) -> Packed:
        """Return it where a GPU can fetch it without waiting; called by torch's loader."""
        return self._with(lambda tensor: tensor.pin_memory())

    def on(self, device: torch.device) -> Any:
        """Return the value with its tensors on a device."""
        there = self._with(lambda tensor: tensor.to(device, non_blocking=True))

        def unpacked(one: Any) -> Any:
            return one.of(there.packed) if isinstance(one, Place) else one

        return mapped(there.value, unpacked)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Packed:
        return Packed(
            change(self.packed),
            mapped(self.value, lambda one: change(one) if isinstance(one, Tensor) else one),
        )
