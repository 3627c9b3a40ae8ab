"""Which files and folders are bags, by their names: what reads them is loaded for bags only."""

from __future__ import annotations

import re
from pathlib import Path

from blur_imu_ros.recordings.file_names import natural_order

BAG_SUFFIXES = {".bag", ".active", ".mcap", ".db3"}
"""`x.bag.active` is what a recorder that was killed leaves."""
METADATA = "metadata.yaml"
STORAGES = (".mcap", ".db3")
"""Endings of the files in which rosbag2 keeps messages."""


def is_bag(path: Path) -> bool:
    """Return whether a file or folder is a bag."""
    return (
        path.suffix.lower() in BAG_SUFFIXES
        or (path / METADATA).is_file()
        or bool(storage_files(path))
    )


def storage_files(folder: Path) -> list[Path]:
    """Return FOLDER_0.mcap, FOLDER_1.mcap, ... of a recorder of ROS 2 that could not write its
    metadata."""
    if not folder.is_dir():
        return []
    name = re.compile(rf"{re.escape(folder.resolve().name)}_\d+\.(mcap|db3)")
    return sorted((p for p in folder.iterdir() if name.fullmatch(p.name)), key=natural_order)
