"""What a command prints beside its results."""

from __future__ import annotations

import sys

from blur_imu_ros.errors import Loss, RecordingError


def print_notes(*notes: str, strict: bool = False) -> None:
    """Write notes for a person, a line each, where they do not mix with results.

    Raises:
        RecordingError: something was left out of what was read, and `strict` refuses that.
    """
    losses = [note for note in notes if isinstance(note, Loss)]
    if strict and losses:
        raise RecordingError(f"{losses[0]}; without --strict the rest is used")
    for note in notes:
        print(f"blur-imu: {with_options(note)}", file=sys.stderr)


_options: dict[str, str] = {}


def set_options(options: dict[str, str]) -> None:
    """Say which options the command that runs has, by the names of their settings."""
    _options.clear()
    _options.update(options)


def with_options(error: object) -> str:
    """Return an error or a note, with those options of the command that runs that cure it."""
    options = [_options[cure] for cure in getattr(error, "cures", ()) if cure in _options]
    return f"{error} ({', '.join(options)})" if options else str(error)
