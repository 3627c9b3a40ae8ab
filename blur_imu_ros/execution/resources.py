"""Where models, configuration and launch files are: on a robot, in an environment, in the
source."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "blur_imu_ros"


def resource_path(kind: str, name: str) -> Path | None:
    """Return the file `name` of a `kind` (models, config, launch), or None if it is nowhere."""
    for folder in _share_folders():
        path = folder / kind / name
        if os.path.isfile(path):  # of a name that is too long pathlib raises OSError
            return path
    return None


def resource_names(kind: str, ending: str) -> list[str]:
    """Return the names, without their ending, of the files of a `kind`, in order."""
    found = (path for folder in _share_folders() for path in (folder / kind).glob(f"*{ending}"))
    return sorted({path.name.removesuffix(ending) for path in found})


def _share_folders() -> Iterator[Path]:
    """Yield the source tree, ROS's share folder and the environment's, as far as they exist."""
    source = Path(__file__).resolve().parents[2]
    if (source / "package.xml").is_file() or (source / "pyproject.toml").is_file():
        yield source
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:
        pass
    else:
        try:
            yield Path(get_package_share_directory(PACKAGE))
        except (PackageNotFoundError, LookupError, OSError):
            pass
    yield Path(sys.prefix) / "share" / PACKAGE
