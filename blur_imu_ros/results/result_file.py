"""What the writers of results share: a file that is completed when the block ends, for any
reason."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Protocol, TypeVar

from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame

_F = TypeVar("_F", bound="ResultFile")


class ResultWriter(Protocol):
    """Takes estimates as they are made."""

    def write(self, frame: Frame, estimate: VelocityEstimate) -> None:
        """Keep the estimate of one frame; RecordingError where it cannot be written."""


class ResultFile(ABC):
    """A file of estimates that is written in a `with` block."""

    @abstractmethod
    def write(self, frame: Frame, estimate: VelocityEstimate) -> None:
        """Append the estimate of one frame; RecordingError where it cannot be written."""

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
