"""Figures of an earlier benchmark, and what became slower since."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.benchmark import Result, Timing

SLOWER = 1.15
"""Times as long that a stage must take to be listed: medians of one machine wander by less."""


@dataclass(frozen=True)
class Change:
    """How a stage's median changed.

    Attributes:
        contender, stage: whose, and of what.
        width, height: of the image, pixels.
        before, now: milliseconds.
    """

    contender: str
    stage: str
    width: int
    height: int
    before: float
    now: float

    @property
    def ratio(self) -> float:
        """How many times as long it takes now."""
        return self.now / self.before

    @property
    def is_slower(self) -> bool:
        """Whether it takes longer by more than chance."""
        return self.ratio > SLOWER


@dataclass(frozen=True)
class Earlier:
    """What `benchmark --json` wrote: on which processor, and its results."""

    processor: str
    results: tuple[Result, ...]

    @classmethod
    def load(cls, path: str | Path) -> Earlier:
        """Read the file; RecordingError if it is not one that `benchmark --json` wrote."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            results = tuple(_result(one) for one in content["results"])
            return cls(str(content["machine"]["processor"]), results)
        except OSError as error:
            raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordingError(f"{path}: is not the JSON of a benchmark ({error})") from error

    def changes(self, now: list[Result]) -> Iterator[Change]:
        """Yield the change of every stage that both have measured."""
        for result, known in self._pairs(now):
            for stage in result.stages.keys() & known.stages.keys():
                yield Change(
                    result.contender,
                    stage,
                    result.width,
                    result.height,
                    known.stages[stage].median,
                    result.stages[stage].median,
                )

    def not_in_both(self, now: list[Result]) -> list[str]:
        """Return the stages that only one of the benchmarks has, as versions differ in them."""
        pairs = [(result.stages, known.stages) for result, known in self._pairs(now)]
        return list(
            dict.fromkeys(s for a, b in pairs for s in [*a, *b] if s not in a or s not in b)
        )

    def _pairs(self, now: list[Result]) -> Iterator[tuple[Result, Result]]:
        """Yield what is measured now, and the same contender and size before."""
        before = {(r.contender, r.width, r.height): r for r in self.results}
        for result in now:
            known = before.get((result.contender, result.width, result.height))
            if known is not None:
                yield result, known


def _result(content: dict[str, Any]) -> Result:
    stages = {name: Timing(**one) for name, one in content["stages"].items()}
    return Result(**{**content, "stages": stages})
