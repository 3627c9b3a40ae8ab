"""Messages of the library name the thing and its cure; options are the command line's to add."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from blur_imu_ros.cli import notes
from blur_imu_ros.cli.notes import set_options, with_options
from blur_imu_ros.errors import Note, RecordingError

ROOT = Path(__file__).parents[2]
OPTION = re.compile(r"(?<!var\()(?<![\w-])--[a-z][a-z-]+")
SPEAKS_OF_OPTIONS = ("blur_imu_ros/cli/", "blur_imu_training/commands.py")


def texts(module: Path) -> Iterator[ast.Constant]:
    """Yield the string literals of a module that are not docstrings."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    expressions = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    docstrings = set(map(id, expressions))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield node


def test_the_library_speaks_of_no_options() -> None:
    found = []
    for module in sorted(ROOT.glob("blur_imu_*/**/*.py")):
        name = module.relative_to(ROOT).as_posix()
        if name.startswith(SPEAKS_OF_OPTIONS):
            continue
        for text in texts(module):
            # A whole text is an argument for another program.
            if OPTION.search(text.value) and not OPTION.fullmatch(text.value):
                found.append(f"{name}:{text.lineno}: {text.value}")
    assert not found, "\n".join(found)


def test_the_command_line_adds_the_options_of_the_command_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notes, "_options", {})
    set_options({"exposure": "--exposure", "time_offset": "--time-offset"})
    error = RecordingError("a.mp4: not known", cures=("exposure", "time_offset", "elsewhere"))
    assert with_options(error) == "a.mp4: not known (--exposure, --time-offset)"
    assert with_options(Note("assumed", cures=("elsewhere",))) == "assumed"
    assert with_options("told") == "told"


def test_every_cure_is_an_option_of_some_command() -> None:
    from blur_imu_ros.cli.application import app
    from blur_imu_training.commands import app as training

    commands = [*app.registered_commands, *training.registered_commands]
    known = {name for c in commands for name in getattr(c.callback, "__annotations__", {})}
    for module in ROOT.glob("blur_imu_*/**/*.py"):
        for call in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(call, ast.keyword) and call.arg == "cures":
                named = [n.value for n in ast.walk(call.value) if isinstance(n, ast.Constant)]
                assert set(named) <= known, f"{module.name}: {named}"
