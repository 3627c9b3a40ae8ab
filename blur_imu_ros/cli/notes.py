"""What a command tells beside its results."""

from __future__ import annotations

import sys

import click

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
        print(f"blur-imu: {with_options(note)}", file=sys.stderr)


def with_options(told: object, command: click.Command | None = None) -> str:
    """Return an error or a note, with the options of the command (by default the one that runs)
    that cure it."""
    context = click.get_current_context(silent=True)
    command = command or (context.command if context else None)
    known = {} if command is None else {p.name: max(p.opts, key=len) for p in command.params}
    options = [known[cure] for cure in getattr(told, "cures", ()) if cure in known]
    return f"{told} ({', '.join(options)})" if options else str(told)
