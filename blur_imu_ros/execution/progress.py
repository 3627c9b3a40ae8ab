"""Progress bars on stderr, for terminals only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], text: str, total: int | None = None) -> Iterable[T]:
    """Return the items, showing how many of `total` are done; it is counted where not given."""
    console = Console(stderr=True)
    quiet = not console.is_terminal
    return track(items, escape(text), total, console=console, transient=True, disable=quiet)
