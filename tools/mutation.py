"""Make small faults in a module and see whether its tests find them.

`python tools/mutation.py blur_imu_ros/core/camera.py test/core/test_camera.py` changes one
operator, comparison or number at a time, runs the tests on each change in a forked process, and
prints what they let through. Exit 1 if they find a smaller share than is asked for.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import random
import signal
import sys
import time
import types
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2  # noqa: F401 - what tests import is imported once, before the forks
import hypothesis  # noqa: F401
import numpy as np  # noqa: F401
import onnxruntime  # noqa: F401
import pytest
import scipy.linalg
import scipy.spatial.transform  # noqa: F401

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NO_CODE = {"annotation", "returns", "decorator_list", "type_params"}
"""Fields of the tree whose change changes nothing that runs."""
PATIENCE = 8.0
"""How many times as long as without a fault the tests may take; then the fault counts as found."""


def main() -> int:
    """Change, test, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--sample", type=int, help="try that many changes, drawn at random")
    parser.add_argument("--least", type=float, default=0.85, help="share that must be found")
    options = parser.parse_args()
    source: Path = options.source
    tree = ast.parse(source.read_text())
    found, seconds = tested(tree, source, options.tests, timeout=600)
    if found:
        print(f"{source}: the tests fail without a fault")
        return 1
    changes = list(range(sum(1 for _ in places(tree))))
    if options.sample is not None and options.sample < len(changes):
        changes = sorted(random.Random(0).sample(changes, options.sample))
    for number_of_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number_of_signal, signal.default_int_handler)
    tried = missed = 0
    with suppress(KeyboardInterrupt):  # What was tried until then counts.
        for number in changes:
            changed, line, before, after = mutant(tree, number)
            survived = not tested(changed, source, options.tests, PATIENCE * seconds + 5)[0]
            tried, missed = tried + 1, missed + survived
            if survived:
                print(f"{source}:{line}: {before}  ->  {after}", flush=True)
    share = 1 - missed / max(tried, 1)
    print(f"{source}: {share:.1%} of {tried} faults found, {missed} not", flush=True)
    return int(share < options.least)


def places(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that can be changed, always in the same order."""
    if isinstance(tree, ast.JoinedStr):  # messages
        return
    if can_change(tree):
        yield tree
    for name, value in ast.iter_fields(tree):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in NO_CODE:
                yield from places(child)


def can_change(node: ast.AST) -> bool:
    """Return whether `mutant` has another operator or number for a node."""
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)):
        return type(node.op) in OPERATORS
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in OPERATORS
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, (ast.USub, ast.Not))
    return isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float))


def mutant(tree: ast.Module, number: int) -> tuple[ast.Module, int, str, str]:
    """Return a copy with the change of a number, its line, and the code before and after."""
    changed = copy.deepcopy(tree)
    node = next(node for k, node in enumerate(places(changed)) if k == number)
    before = ast.unparse(node)
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)):
        node.op = OPERATORS[type(node.op)]()  # type: ignore[assignment]
    elif isinstance(node, ast.Compare):
        node.ops[0] = OPERATORS[type(node.ops[0])]()  # type: ignore[call-overload]
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else node.op
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1  # type: ignore[operator]
    return ast.fix_missing_locations(changed), getattr(node, "lineno", 0), before, ast.unparse(node)


def tested(tree: ast.Module, source: Path, tests: list[str], timeout: float) -> tuple[bool, float]:
    """Return whether the tests find something wrong with a module, and how long they took."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(failing(tree, source, tests))
    while time.monotonic() < begun + timeout:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != 0, time.monotonic() - begun
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True, timeout


def failing(tree: ast.Module, source: Path, tests: list[str]) -> int:
    """Return pytest's exit status with `tree` in the place of the module; 1 if that cannot be."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        put_in_place(tree, source)
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:timeout", "-o", "addopts="]
        return int(pytest.main([*tests, *options]))
    except BaseException:
        return 1


def put_in_place(tree: ast.Module, source: Path) -> None:
    """Make `import` find what `tree` says instead of what is in the file."""
    name = ".".join(source.with_suffix("").parts)
    parent, _, last = name.rpartition(".")
    sys.path.insert(0, str(Path.cwd()))
    package = importlib.import_module(parent)
    module = types.ModuleType(name)
    module.__file__, module.__package__ = str(source), parent
    sys.modules[name] = module
    setattr(package, last, module)
    exec(compile(tree, str(source), "exec"), module.__dict__)


if __name__ == "__main__":
    sys.exit(main())
