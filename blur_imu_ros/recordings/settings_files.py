"""Settings of the method as YAML: `--settings FILE`, and the node's parameter `settings_file`."""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from dataclasses import Field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from blur_imu_ros.core.method_settings import MethodSettings
from blur_imu_ros.errors import SettingsError

CHOSEN_ELSEWHERE = {"direction": {"mode"}, "pivot": {"lever_arm"}}
"""Fields that options and parameters of their own set."""
_TIMES = 100
"""How many times its default, or 1, a setting may be: far more is a slip, and what is computed with
it overflows, or takes more time and memory than there is."""


def load_settings(path: str | Path) -> MethodSettings:
    """Return the settings of a YAML file; what it leaves out keeps its default.

    Raises:
        SettingsError: names the file, the key and the cure.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from error
    try:
        return _settings(content if content is not None else {})
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def _settings(content: Any) -> MethodSettings:
    defaults = MethodSettings()
    sections = _checked_keys(content, [field.name for field in fields(defaults)], "the file")
    stages = {name: _stage(name, getattr(defaults, name), sections[name]) for name in sections}
    settings = replace(defaults, **stages)
    _check_together(settings)
    return settings


def _check_together(settings: MethodSettings) -> None:
    """Refuse values of which each could be, but not beside the others."""
    levels, spacing = settings.registration.levels, settings.registration.spacing
    if len(spacing) != levels:
        raise SettingsError(
            f"registration.spacing is {list(spacing)} for {levels} levels; give one for each level"
        )
    first, last = settings.autocorrelation.scales
    if first >= last:
        raise SettingsError(
            f"autocorrelation.scales is {[first, last]}; give the smaller one first"
        )


def _stage(name: str, defaults: Any, given: Any) -> Any:
    values = _checked_keys(given or {}, _settable(name, defaults), f"section {name}")
    known = {field.name: field for field in fields(defaults)}
    checked = {
        key: _value(f"{name}.{key}", value, getattr(defaults, key), _of_fixed_length(known[key]))
        for key, value in values.items()
    }
    return replace(defaults, **checked)


def _of_fixed_length(field: Field[Any]) -> bool:
    """Whether a setting is a tuple of so many values, as in tuple[float, float, float]."""
    return str(field.type).startswith("tuple") and "..." not in str(field.type)


def _settable(section: str, stage: Any) -> list[str]:
    chosen = CHOSEN_ELSEWHERE.get(section, set())
    return [field.name for field in fields(stage) if field.name not in chosen]


def _checked_keys(given: Any, known: list[str], where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise SettingsError(f"{where} holds {given!r}; expected keys among {', '.join(known)}")
    for key in given:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise SettingsError(f"{where} has no setting {key!r}{hint}")
    return given


def _value(
    name: str, given: Any, default: Any, fixed_length: bool = True, most: float | None = None
) -> Any:
    """Return a value of the default's type, a list of its length too unless that is free;
    SettingsError where it cannot be one. `most` is the largest, if the default does not say it."""
    if isinstance(default, tuple):
        if not isinstance(given, list) or not given:
            raise SettingsError(f"{name} is {given!r}; give a list like {list(default)}")
        if fixed_length and len(given) != len(default):
            raise SettingsError(
                f"{name} is {given!r}; give {len(default)} values like {list(default)}"
            )
        least = min(default)  # Where one of them may be negative or zero, so may all.
        return tuple(_value(name, one, least, most=_largest(default)) for one in given)
    if isinstance(default, bool) or isinstance(given, bool):
        if not (isinstance(default, bool) and isinstance(given, bool)):
            raise SettingsError(f"{name} is {given!r}; give a value like {_shown(default)}")
        return given
    if isinstance(default, str):
        if not isinstance(given, str):
            raise SettingsError(f"{name} is {given!r}; give a text like {default}")
        return given
    return _number(name, given, default, most or _largest(default))


def _largest(default: Any) -> float:
    """Return the largest value of a setting with this default, a number or a tuple of them."""
    if isinstance(default, tuple):
        return max(map(_largest, default))
    return _TIMES * max(1.0, abs(float(default)))


def _number(name: str, given: Any, default: float, most: float) -> float:
    whole = isinstance(default, int)
    if not isinstance(given, int if whole else (int, float)) or not math.isfinite(given):
        kind = "a whole number" if whole else "a number"
        raise SettingsError(f"{name} is {given!r}; give {kind} like {default}")
    if given <= 0 < default:  # Most are divided by, and none of what is counted leaves nothing.
        raise SettingsError(f"{name} is {given}; give a number above zero, if need be a small one")
    if given < 0 <= default:
        raise SettingsError(f"{name} is {given}; give a number that is not negative")
    if abs(given) > most:
        least = f"from {-most:g} " if default < 0 else "up "
        raise SettingsError(f"{name} is {given}; give a number {least}to {most:g}")
    return given if whole else float(given)


def settings_yaml() -> str:
    """Return all settings with their defaults and what they mean, as `config/settings.yaml`."""
    defaults = MethodSettings()
    lines = [
        "# Settings of the method, all at their defaults; a file may leave out what it does not "
        "change.",
        "# For `blur-imu run` (settings) and the node (settings_file).",
    ]
    meanings = _meanings(MethodSettings)
    for section in fields(defaults):
        stage = getattr(defaults, section.name)
        lines += ["", *_comment(meanings[section.name], 0), f"{section.name}:"]
        explained = _meanings(type(stage))
        for name in _settable(section.name, stage):
            lines += _comment(explained[name], 2)
            lines.append(f"  {name}: {_shown(getattr(stage, name))}")
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: int) -> list[str]:
    start = " " * indent + "# "
    return textwrap.wrap(text, 100, initial_indent=start, subsequent_indent=start)


def _shown(value: Any) -> str:
    return yaml.safe_dump(
        list(value) if isinstance(value, tuple) else value, default_flow_style=True
    ).splitlines()[0]


def _meanings(stage: type) -> dict[str, str]:
    """Return what each attribute means, from the section Attributes of a dataclass's docstring."""
    text = inspect.getdoc(stage) or ""
    listed = text.partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n        .*)*)", listed, re.MULTILINE)
    return {
        name: " ".join(meaning.split()) for names, meaning in entries for name in names.split(", ")
    }
