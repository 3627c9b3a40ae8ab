"""Arrows between the rooms of the house point one way: a room uses what stands above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "blur_imu_ros": (
        *("errors", "choices", "execution", "core", "network", "recordings", "simulation"),
        *("results", "evaluation", "viz", "ros", "cli"),
    ),
    "blur_imu_training": (
        *(
            "recipe",
            "packing",
            "isp",
            "scene",
            "path_tracing",
            "rendering",
            "data",
            "validation",
            "training",
            "export",
        ),
        *("commands", "__main__"),
    ),
}
"""The rooms of each package, bottom first; training stands on the runtime, which never imports
it."""


def floor(module: str) -> int:
    """Return how far up a module stands."""
    package, room, *_ = module.split(".")
    return ROOMS[package].index(room) + 100 * list(ROOMS).index(package)


def modules() -> dict[str, Path]:
    found = {}
    for package in ROOMS:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            generated, hands_names_on = "msg" in parts, parts[1:] == ("__init__",)
            if not generated and not hands_names_on:
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports, within functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            # The package around a module that is imported is not an arrow of its own.
            names = [n for n in names if n in MODULES]
            names = names[1:] or names
        else:
            continue
        yield from (name for name in names if name in MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_from_its_own_room_and_those_above_it(module: str) -> None:
    down = [name for name in imported(MODULES[module]) if floor(name) > floor(module)]
    assert not down, f"{module} imports {', '.join(down)}, which stand on it"


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {module: set(imported(path)) - {module} for module, path in MODULES.items()}
    while free := [module for module, needs in graph.items() if not needs & graph.keys()]:
        for module in free:
            del graph[module]
    assert not graph, f"a circle among {', '.join(sorted(graph))}"


def test_the_core_knows_neither_ros_nor_torch() -> None:
    for module in (m for m in MODULES if m.startswith("blur_imu_ros.core")):
        text = MODULES[module].read_text()
        assert "import rclpy" not in text and "import torch" not in text, module


def test_every_room_is_known() -> None:
    for module in MODULES:
        floor(module)  # ValueError names a room that is not on the list
