"""Files written whole, with errors that name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from blur_imu_ros.errors import RecordingError


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
    """Write a text file in UTF-8; RecordingError if that is not possible."""
    make_folder_of(path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error
