"""What the writers of results share: a file that is completed when the block ends, for any
reason."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

_F = TypeVar("_F", bound="ResultFile")


class ResultFile(ABC):
    """A file that is written in a `with` block."""

    def __enter__(self: _F) -> _F:
        """Return the file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Complete the file."""
        self.complete(failed=error is not None)

    @abstractmethod
    def complete(self, failed: bool) -> None:
        """Complete the file, whether the block `failed` or not; RecordingError where the disk is
        full."""
