"""Tables of the documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


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
