"""The command line as a process: what it refuses before it begins, and how it ends."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Any, NoReturn

import typer

from blur_imu_ros.cli.application import app
from blur_imu_ros.cli.notes import set_options, with_options
from blur_imu_ros.cli.signals import Stopped, stoppable
from blur_imu_ros.errors import BlurImuError, install_hint
from blur_imu_ros.execution.files import UNKNOWN

_LONGEST_REFUSAL = 400
"""Characters at the beginning and at the end of a line that are kept."""


def main() -> None:
    """Run the command line: exit 0 when done, 1 on bad input with one line, 2 on wrong usage."""
    # What is wrong with an image or video is reported by us, in one line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=UNKNOWN)
    _refuse_empty(sys.argv[1:])
    try:
        with stoppable():
            _checked()(standalone_mode=True)
    except BlurImuError as error:
        _refuse(with_options(error))
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(f"{error.filename}: {error.strerror}")
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "safetensors", "onnx", "onnxscript", "accelerate"}:
            raise
        _refuse(f"{error.name} is not installed ({install_hint('train')})")
    except Stopped:
        _refuse("interrupted; what was written is kept")


def _refuse_empty(words: Sequence[str]) -> None:
    for word in words:
        if not word or (word.startswith("-") and word.endswith("=")):
            _refuse(f"'{word}': an empty argument; is a shell variable not set?")


def _refuse(reason: str) -> NoReturn:
    line = " ".join(reason.splitlines())
    if len(line) > 2 * _LONGEST_REFUSAL:  # a name or a file's content
        line = f"{line[:_LONGEST_REFUSAL]} ... {line[-_LONGEST_REFUSAL:]}"
    print(f"blur-imu: {line}", file=sys.stderr)
    sys.exit(1)


def _checked() -> Any:
    """Return the commands; their options refuse NaN and infinity before anything is done."""
    group: Any = typer.main.get_command(app)
    for command in group.commands.values():
        for parameter in command.params:
            parameter.callback = _refusing_not_finite(parameter.callback)
        options = {p.name: max(p.opts, key=len) for p in command.params}
        command.callback = _known_to_notes(command.callback, options)
    return group


def _known_to_notes(then: Callable[..., Any], options: dict[str, str]) -> Callable[..., Any]:
    """Return a command that says, before it begins, which options notes and errors may name."""

    def command(**given: Any) -> Any:
        set_options(options)
        return then(**given)

    return command


def _refusing_not_finite(then: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a callback of a parameter that refuses NaN and infinite numbers, then does `then`."""

    def callback(context: Any, parameter: Any, value: Any) -> Any:
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                name = max(parameter.opts, key=len)
                raise BlurImuError(f"{name}: {number} is not a finite number")
        return value if then is None else then(context, parameter, value)

    return callback
