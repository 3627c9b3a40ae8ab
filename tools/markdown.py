"""Tables of the documents."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path


def write_part(page: Path, begin: str, end: str, print_it: Callable[[], None]) -> None:
    """Put what is printed between two lines of a page, in place of what is there."""
    text = page.read_text()
    before, after = text[: text.index(begin)], text[text.index(end) :]
    with redirect_stdout(io.StringIO()) as printed:
        print_it()
    page.write_text(f"{before}{begin}\n{printed.getvalue()}\n{after}")


def heading(first: str, names: Iterable[str]) -> None:
    """Print the head of a table."""
    names = list(names)
    print(f"| {first} | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")


def row(name: str, values: Iterable[float], digits: int = 2) -> None:
    """Print a row of a table."""
    print(f"| {name} | " + " | ".join(cells(values, digits)) + " |")


def cells(values: Iterable[float], digits: int) -> Iterator[str]:
    """Yield numbers for a person."""
    for value in values:
        yield f"{value}" if isinstance(value, int) else f"{value:.{digits}f}"
