"""What is imported is named as a dependency: what others happen to bring may be missing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
OF_OTHERS = {"lz4"}
"""Required by rosbags and by mcap, for the files that we read with it."""


def imported(module: Path) -> Iterator[str]:
    """Yield the packages that a module imports at run time."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_nothing_is_imported_that_is_not_named_as_a_dependency() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = {one.lower().replace("_", "-") for one in re.findall(r'"([A-Za-z][\w.-]*)', text)}
    providers, unknown = packages_distributions(), set()
    for module in ROOT.glob("blur_imu_*/**/*.py"):
        for name in set(imported(module)) - set(sys.stdlib_module_names) - OF_OTHERS:
            given = {one.lower().replace("_", "-") for one in providers.get(name, [])}
            from_ros = any(one.startswith("ros-") for one in given)
            if given and not given & named and not from_ros and not name.startswith("blur_imu"):
                unknown.add(f"{module.relative_to(ROOT)}: {name} ({', '.join(given)})")
    assert not unknown, "\n".join(sorted(unknown))


FOLDER = """
import sys
from pathlib import Path
import blur_imu_ros.cli.run
from blur_imu_ros import Camera, FrameSettings, open_recording
camera = Camera(64, 48, 50, 50, 31.5, 23.5)
open_recording(Path(sys.argv[1]), FrameSettings(exposure_time=0.01, camera=camera))
print(*{name.partition(".")[0] for name in sys.modules} & {"rosbags", "mcap", "lz4", "torch"})
"""


def test_a_folder_of_images_loads_nothing_that_reads_bags(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    command = [sys.executable, "-c", FOLDER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
