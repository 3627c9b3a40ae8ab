"""Files written whole, with errors that name them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from blur_imu_ros.errors import RecordingError

ENCODING, UNKNOWN = "utf-8", "backslashreplace"
"""Of what is written: names of files may hold bytes that are no letters here."""
PLOT_ENDINGS = (".png", ".svg", ".pdf")
"""Of the files that a plot can be written to."""
RECORD_SUFFIX = ".run.json"
"""Of the record beside a result of `blur-imu run`, which marks it as one."""


def refuse_overwriting(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write over what is read, to a folder, or twice to one place.

    A file in a folder of the inputs counts as an input, unless it is a result of ours.

    Raises:
        RecordingError: naming the file.
    """
    read = {place for path in inputs if path is not None for place in _places(path)}
    written: set[_Place] = set()
    for path in outputs:
        if path is None:
            continue
        _refuse_folder(path)
        places = _places(path)
        if places & read or _lies_in(read, path):
            raise RecordingError(f"{path}: would overwrite the input; choose another place")
        if places & written:
            raise RecordingError(
                f"{path}: two results would be written there; choose another place"
            )
        written |= places


def _refuse_folder(path: Path) -> None:
    if path.name in ("", ".."):
        raise RecordingError(f"{path}: is a folder; name the file to write in it")


_Place = Path | tuple[int, int]


def _places(path: Path) -> set[_Place]:
    """Return what identifies a file: where it lies, and, where it is there, its number on its
    disk."""
    places: set[_Place] = {path.resolve()}
    with suppress(OSError):
        known = path.stat()
        places.add((known.st_dev, known.st_ino))
    return places


def _lies_in(folders: set[_Place], path: Path) -> bool:
    """Return whether a file is one of the folders' own."""
    ours = path.with_name(path.name + RECORD_SUFFIX).is_file()
    return path.is_file() and not ours and not folders.isdisjoint(path.resolve().parents)


def with_ending(path: Path, endings: Sequence[str]) -> Path:
    """Return a path that ends in one of `endings`, the first where it has none.

    Raises:
        RecordingError: it ends otherwise, or is a folder.
    """
    _refuse_folder(path)
    if path.suffix in endings:
        return path
    if path.suffix:
        raise RecordingError(f"{path}: choose one of the endings {', '.join(endings)}")
    return path.with_name(path.name + endings[0])


def moved_aside(path: Path) -> Path:
    """Rename a file that is in the way, and the record beside it; return its new name.

    Raises:
        RecordingError: it cannot be renamed.
    """
    names = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in count(1))
    new = next(name for name in names if not name.exists())
    record = path.with_name(path.name + RECORD_SUFFIX)
    try:
        path.rename(new)
        if record.is_file():
            record.rename(new.with_name(new.name + RECORD_SUFFIX))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be kept as {new.name}: {error.strerror}") from error
    return new


def make_folder_of(path: Path) -> None:
    """Make the folder in which `path` will lie; RecordingError if that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error


def write_json(path: Path, content: Any) -> None:
    """Write plain numbers, lists and dicts as JSON; RecordingError if that is not possible."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; RecordingError if that is not possible."""
    make_folder_of(path)
    place = path.resolve() if path.is_symlink() else path
    new = place.parent / f"{place.name}.new"
    try:
        # A pipe or a device is not replaced, nor the file to which /dev/stdout leads.
        if path.is_relative_to("/dev") or (place.exists() and not place.is_file()):
            path.write_text(text, ENCODING, UNKNOWN)
            return
        new.write_text(text, ENCODING, UNKNOWN)
        os.replace(new, place)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error
