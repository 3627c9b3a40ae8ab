"""Writes docs/COMMANDS.md from the commands themselves: `python tools/command_reference.py`."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from blur_imu_ros.cli.application import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "COMMANDS.md"
HEAD = """# Commands

Generated from the commands by `python tools/command_reference.py`; `blur-imu COMMAND --help` shows the same.

Exit status: 0 when done; 1 on bad input, with one line on stderr that names the file and the reason; 2 on wrong
usage. Results written before an error or Ctrl-C are kept. `blur-imu --install-completion` sets up shell completion.
"""
KINDS = {Path: "path", str: "text", float: "number", int: "integer"}


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")
    print(PAGE)


def reference() -> str:
    """Return the page in Markdown."""
    sections = [
        "\n".join(_section(command.callback))
        for command in app.registered_commands
        if command.callback is not None
    ]
    return "\n".join([HEAD, *sections])


def _section(command: Callable[..., Any]) -> Iterator[str]:
    hints = get_type_hints(command, include_extras=True)
    parameters = inspect.signature(command).parameters
    described = [
        (name, *get_args(hints[name])[:2], parameters[name].default)
        for name in parameters
        if get_origin(hints[name]) is Annotated  # not the context of the call
    ]
    arguments = [one for one in described if isinstance(one[2], ArgumentInfo)]
    options = [one for one in described if isinstance(one[2], OptionInfo)]
    name = command.__name__.replace("_", "-")
    usage = " ".join(_argument(*one) for one in arguments)
    yield f"## {name}\n\n```bash\nblur-imu {name} [OPTIONS] {usage}".rstrip() + "\n```\n"
    yield f"{inspect.getdoc(command)}\n"
    yield "| option | values | default | meaning |\n|---|---|---|---|"
    for argument in arguments:
        yield _row(argument[0].upper(), *argument[1:])
    for option in options:
        yield _row(_flags(option[0], option[2], option[1]), *option[1:])
    yield ""


def _argument(name: str, kind: Any, info: Any, default: Any) -> str:
    return name.upper() if default is inspect.Parameter.empty else f"[{name.upper()}]"


def _flags(name: str, info: OptionInfo, kind: Any) -> str:
    """Return how an option is written."""
    # Inside Annotated, typer keeps the first name of an option as its default.
    names = (info.default, *(info.param_decls or ()))
    if given := [one for one in names if isinstance(one, str)]:
        return ", ".join(given)
    flag = name.replace("_", "-")
    return f"--{flag} / --no-{flag}" if kind is bool else f"--{flag}"


def _row(written: str, kind: Any, info: Any, default: Any) -> str:
    cells = (f"`{written}`", _values(kind, info), _default(default), info.help or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(kind: Any, info: Any) -> str:
    """Return what an argument or option may be."""
    if get_origin(kind) in {Union, types.UnionType}:
        return _values(next(one for one in get_args(kind) if one is not type(None)), info)
    if get_origin(kind) is list:
        return f"{_values(get_args(kind)[0], info)}, repeatable"
    if get_origin(kind) is tuple:
        return f"{len(get_args(kind))} {KINDS[get_args(kind)[0]]}s"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{choice.value}`" for choice in kind)
    return "" if kind is bool else KINDS[kind] + _limits(info)


def _limits(info: Any) -> str:
    if info.min is None:
        return ""
    return f" from {info.min:g}" + ("" if info.max is None else f" to {info.max:g}")


def _default(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "required"
    if default is None or default is False:
        return ""
    if default is True:
        return "on"
    if isinstance(default, Path) and default.is_absolute():
        default = default.name  # where it is installed is nobody's business
    return f"`{default.value if isinstance(default, Enum) else default}`"


if __name__ == "__main__":
    main()
