"""Tables of the documents."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path


def write_part(page: Path | None, begin: str, end: str, print_it: Callable[[], None]) -> None:
    """Put what is printed between two lines of a page, in place of what is there; without, print
    it."""
    if page is None:
        print_it()
        return
    _around(page, begin, end)  # Before hours are spent on what has no place there.
    with redirect_stdout(io.StringIO()) as printed:
        print_it()
    before, after = _around(page, begin, end)  # The page may have been edited meanwhile.
    page.write_text(f"{before}{begin}\n{printed.getvalue()}\n{after}")


def _around(page: Path, begin: str, end: str) -> tuple[str, str]:
    """Return what stands before and after the part between two lines; SystemExit where one
    lacks."""
    text = page.read_text()
    if begin not in text or end not in text:
        raise SystemExit(f"{page}: lacks the line {begin.strip()} or {end.strip()}")
    return text[: text.index(begin)], text[text.index(end) :]


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
