"""What a command tells beside its results."""

from __future__ import annotations

import sys


def tell(*notes: str) -> None:
    """Write notes for a person, a line each, where they do not mix with results."""
    for note in notes:
        print(f"blur-imu: {note}", file=sys.stderr)
