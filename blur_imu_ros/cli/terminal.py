"""What a command prints as its result."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def say(line: str, style: str | None = None) -> None:
    """Print a line as it is, however long."""
    _console().print(line, style=style, soft_wrap=True)


def show(table: Table) -> None:
    """Print a table, texts as they are."""
    _console().print(table)


def _console() -> Console:
    # Names and reasons may hold brackets, which rich takes for styles: [x], '.[photos]'.
    return Console(markup=False, highlight=False)
