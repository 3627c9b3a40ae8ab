"""What a command tells beside its results."""

from __future__ import annotations

import sys

from blur_imu_ros.core.series import Loss
from blur_imu_ros.errors import RecordingError


def tell(*notes: str, strict: bool = False) -> None:
    """Write notes for a person, a line each, where they do not mix with results.

    Raises:
        RecordingError: something was left out of what was read, and `strict` refuses that.
    """
    losses = [note for note in notes if isinstance(note, Loss)]
    if strict and losses:
        raise RecordingError(f"{losses[0]}; without --strict the rest is used")
    for note in notes:
        print(f"blur-imu: {note}", file=sys.stderr)
