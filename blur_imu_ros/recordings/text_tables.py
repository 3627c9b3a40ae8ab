"""Tables of text as programs and spreadsheets of all countries write them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from blur_imu_ros.errors import RecordingError

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""What some programs put before the first letter."""
_SEPARATORS = (",", ";", "\t", "|")
"""Signs between cells; without any of them, spaces."""
_TRIED_LINES = 40
_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?|[-+]?(nan|inf)", re.IGNORECASE)


@dataclass(frozen=True)
class TextTable:
    """Rows of cells below their headings.

    Attributes:
        names: headings; empty where the file has none.
        rows: cells of each row, as many as there are.
        preamble: what the lines above the headings say that are a name and a value, in small
            letters.
    """

    names: tuple[str, ...]
    rows: list[list[str]]
    preamble: dict[str, str] = field(default_factory=dict)


def read_table(path: str | Path) -> TextTable:
    """Read a table of text, whatever its encoding and separators.

    Lines above the headings and comments are not rows; units in a row of their own are put in
    brackets behind their headings.

    Raises:
        RecordingError: the file cannot be read, or holds no text.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return _table(decoded(raw))
    except (csv.Error, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: is not a CSV file: {error}") from error


def is_number(cell: str) -> bool:
    """Return whether a cell holds a number, with a decimal point or comma."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def number(cell: str) -> float:
    """Return the number in a cell, NaN where it is empty; ValueError where it holds something
    else."""
    try:
        return float(cell)
    except ValueError:
        cell = cell.strip()
        return float(cell.replace(",", ".")) if is_number(cell) else _nothing(cell)


def _nothing(cell: str) -> float:
    if cell:
        raise ValueError(cell)
    return float("nan")


def decoded(raw: bytes) -> str:
    """Return text in UTF-8, UTF-16 with its mark, or Latin-1; csv.Error where it is none."""
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return raw.decode(encoding)
    if raw.startswith(b"PK\x03\x04"):
        raise csv.Error("it is a .zip; unpack it and give the file of the gyroscope in it")
    if b"\0" in raw:
        raise csv.Error(
            "it holds bytes that are not text; of a video with a gyroscope, Gyroflow or "
            "gopro-telemetry write its log as .gcsv or CSV"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _table(text: str) -> TextTable:
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]
    separator = _separator(lines)
    # Quoted cells may go over several lines.
    cells = [
        row
        for row in _split(lines if separator is None else StringIO(text, ""), separator)
        if any(row)
    ]
    width = _usual_width(cells)
    heading = next((k for k, row in enumerate(cells) if _is_heading(row, width)), None)
    if heading is None:
        return TextTable((), [row for row in cells if not _is_comment(row, width)])
    names, below = [cell.strip() for cell in cells[heading]], cells[heading + 1 :]
    if len(below) > 1 and _is_heading(below[0], width) and not _is_heading(below[1], width):
        names = [f"{a} ({b.strip()})" for a, b in zip(names, below[0], strict=False)]
        below = below[1:]
    preamble = {row[0].strip().lower(): row[1] for row in cells[:heading] if len(row) == 2}
    return TextTable(tuple(names), [row for row in below if not _is_comment(row, width)], preamble)


def _separator(lines: Sequence[str]) -> str | None:
    """Return the sign between cells by which most of them are numbers."""
    tried = [*lines[1 : _TRIED_LINES // 2], *lines[-_TRIED_LINES // 2 :]]

    def numbers(sign: str | None) -> int:
        return sum(is_number(cell) for row in _split(tried, sign) for cell in row)

    found: dict[str | None, int] = {sign: numbers(sign) for sign in _SEPARATORS}
    if lines and not any(sign in lines[-1] for sign in _SEPARATORS):
        found[None] = numbers(None)
    best = max(found, key=lambda sign: found[sign])
    return best if found[best] else ","


def _split(lines: Iterable[str], separator: str | None) -> list[list[str]]:
    if separator is None:
        return [_units_joined(re.sub(r"^#\s+", "#", line)).split() for line in lines]
    return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))


def _units_joined(line: str) -> str:
    """Return a line without spaces before and inside the brackets of units."""
    return re.sub(r"\s+([\[(][^\])]*[\])])", lambda found: re.sub(r"\s", "·", found[1]), line)


def _usual_width(cells: list[list[str]]) -> int:
    """Return how many cells most of the last rows have, but for an empty one at their end."""
    last = cells[-max(3, min(_TRIED_LINES, len(cells) // 2)) :]
    counts = Counter(len(row) - (row[-1] == "") for row in last)
    return counts.most_common(1)[0][0] if counts else 0


def _is_heading(row: list[str], width: int) -> bool:
    named = len(row) >= max(width, 1) and sum(map(bool, row)) >= min(width, 2)
    return named and not any(map(is_number, row))


def _is_comment(row: list[str], width: int) -> bool:
    return row[0].startswith("#") and len(row) != width
