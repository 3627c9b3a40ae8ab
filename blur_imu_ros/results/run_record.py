"""What a result was measured from and how far, kept beside it: a stopped run can be gone on
with."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from blur_imu_ros.choices import Axes, StampReference
from blur_imu_ros.core.links import LinksState
from blur_imu_ros.core.motion_filter import MotionFilterState
from blur_imu_ros.core.pivot import PivotState
from blur_imu_ros.core.tracker import TrackerState
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import RECORD_SUFFIX, write_text

SAVED_EVERY = 0.5
"""Seconds. A file for each frame wears memory cards out for nothing."""

Recipe = dict[str, Any]
"""Everything that the numbers depend on, by name; plain values."""


@dataclass(frozen=True)
class RunRecord:
    """The run that a result came from.

    Attributes:
        recipe: what it was measured from, and with.
        frames: how many the recording said to have; 0 where it did not.
        rows: of the result.
        finished: whether the whole recording has been measured.
        state: of the tracker, where it may be gone on with.
    """

    recipe: Recipe
    frames: int = 0
    rows: int = 0
    finished: bool = False
    state: TrackerState | None = field(default=None)

    def save(self, result: Path) -> None:
        """Write the record beside a result, in one step; RecordingError where it cannot be."""
        write_text(record_path(result), self._text() + "\n")

    def _text(self) -> str:
        """Return JSON; that of a run under way, with thousands of numbers, as fast as can be."""
        return json.dumps(vars(self), default=vars, indent=1 if self.state is None else None)

    @classmethod
    def load(cls, result: Path) -> RunRecord | None:
        """Read the record beside a result, None where either is missing; RecordingError names
        damage."""
        path = record_path(result)
        if not (path.is_file() and result.is_file()):
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            recipe, state = dict(content["recipe"]), _state(content["state"])
            return cls(**content | {"recipe": recipe, "state": state})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecordingError(
                f"{path}: cannot be read; start anew, without resuming", cures=("resume",)
            ) from error

    def check(self, result: Path, recipe: Recipe) -> None:
        """Raise RecordingError, naming the differences, unless the recipe is that of the record."""
        recipe = json.loads(json.dumps(recipe))
        names = [n for n in self.recipe | recipe if self.recipe.get(n) != recipe.get(n)]
        if names:
            listed = "; ".join(
                f"{n} was {_short(self.recipe.get(n))} and is now {_short(recipe.get(n))}"
                for n in names
            )
            other = not {"model", "model_sha256"}.isdisjoint(names)
            model = "give the model of before, by name or path, " if other else ""
            raise RecordingError(
                f"{result}: comes from another run: {listed}; {model}choose another output, or "
                "start anew, without resuming",
                cures=(*(("model",) if other else ()), "output", "resume"),
            )


class RecordKeeper:
    """Keeps the record of a run that is under way up to date, but for the last moment."""

    def __init__(self, record: RunRecord, result: Path) -> None:
        """Save the record as it is."""
        self._result, self._record, self._saved = result, record, record
        self._save()

    def keep(self, rows: int, state: TrackerState) -> None:
        """Note how far the run is; saved at once only if it last was `SAVED_EVERY` seconds ago."""
        self._record = replace(self._record, rows=rows, state=state)
        if time.monotonic() - self._moment >= SAVED_EVERY:
            self._save()

    def close(self) -> None:
        """Save what is not saved yet, if it can be: an earlier record only makes more to do
        anew."""
        if self._saved is not self._record:
            with suppress(RecordingError):
                self._save()

    def _save(self) -> None:
        self._record.save(self._result)
        self._saved, self._moment = self._record, time.monotonic()


def record_path(result: Path) -> Path:
    """Return where the record of a result lies."""
    return result.parent / (result.name + RECORD_SUFFIX)  # with_name takes no folder such as `.`


def record_of(result: Path) -> RunRecord | None:
    """Return the record beside a result, None where there is none that can be read."""
    try:
        return RunRecord.load(result)
    except RecordingError:
        return None


def exposure_of(result: Path) -> float | None:
    """Return the exposure time (s) that a result was measured with, None where nothing states
    one."""
    known = _recipe_of(result).get("exposure_time")
    return float(known) if isinstance(known, int | float) and known > 0 else None


def linear_scale_of(result: Path) -> float:
    """Return the factor on linear velocities that a result was measured with, 1 where nothing
    states one."""
    known = _recipe_of(result).get("linear_scale")
    return float(known) if isinstance(known, int | float) and known > 0 else 1.0


def stamp_reference_of(result: Path) -> StampReference | None:
    """Return the moment of the exposure that timestamps were taken to refer to, None where nothing
    states one."""
    known = _recipe_of(result).get("stamp_reference")
    return next((one for one in StampReference if one.value == known), None)


def axes_of(result: Path) -> Axes | None:
    """Return the axes that a result was written in, None where nothing states them."""
    known = _recipe_of(result).get("axes")
    return next((axes for axes in Axes if axes.value == known), None)


def model_of(result: Path) -> tuple[str | None, str | None]:
    """Return the name of the model that a result was measured with and the backend that ran it,
    each None where nothing states it."""
    recipe = _recipe_of(result)
    model, backend = recipe.get("model"), recipe.get("backend")
    return (
        model if isinstance(model, str) else None,
        backend if isinstance(backend, str) else None,
    )


def _recipe_of(result: Path) -> Recipe:
    """Return what a result was measured with; empty where nothing states it."""
    record = record_of(result)
    return {} if record is None else record.recipe


def _state(content: dict[str, Any] | None) -> TrackerState | None:
    if content is None:
        return None
    (name, t), (right, wrong) = content["last"], content["posterior"]
    pivot = None if content["pivot"] is None else PivotState(**content["pivot"])
    taken, decided = int(content["taken"]), int(content["decided"])
    links, look = _links(content["links"]), tuple(content.get("look", ()))
    return TrackerState(taken, decided, (name, t), (right, wrong), pivot, links, look)


def _links(content: dict[str, Any] | None) -> LinksState | None:
    if content is None:
        return None
    return LinksState(**content | {"motion": MotionFilterState(**content["motion"])})


def _short(value: Any) -> str:
    text = "not given" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
