"""Measure how many samples a second are rendered and learned from, on a machine that does nothing
else.

    tools/training_speed.py compact --data DATA --write docs/TRAINING.md
    tools/training_speed.py directed --data DATA --size 320x224 --size 480x352 --batch 64 --batch 128 --seconds 0.5

Prints a table in Markdown, a row for each size and batch of the recipe or of the options, or puts
it into a page. What fails is told and left out.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer

from blur_imu_ros.errors import BlurImuError
from blur_imu_ros.evaluation.benchmark import machine
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_training.data.loading import BatchNumbers, batches, exposed, laid_out
from blur_imu_training.data.picture_sets import load_pictures
from blur_imu_training.recipe import Stage, TrainingConfig, recipe_path
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.rendering.torch_renderer import (
    mean_light_by_tensors,
    mean_light_fused,
)
from blur_imu_training.scene.sharp_images import WeightedMixture
from blur_imu_training.training.ema_model import EmaModel
from blur_imu_training.training.reuse import ReusedBatches
from blur_imu_training.training.trainer import accelerated
from markdown import heading, row, write_part

BEGIN, END = "<!-- speed -->\n", "<!-- end of the speed -->\n"

WARM_UP = 2
"""Rounds that do not count."""

SMALL_BATCH = 8
"""Rendered by the cores: larger ones come in bursts, one from each core at once."""

COLUMNS = (
    "rendered by one core", "by all cores",
    "drawn by one core", "rendered from it on the device", "drawn by all cores, rendered on the device",
    "learned from", "rendered on the device and learned from",
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """What is measured, and where."""

    config: TrainingConfig
    pictures: WeightedMixture
    accelerator: Any
    seconds: float
    drawn_before: dict[Stage, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """That trains."""
        return torch.device(self.accelerator.device)

    def stream(self, stage: Stage) -> SampleStream:
        """Return the samples of a stage."""
        size = (stage.width, stage.height)
        return SampleStream(self.pictures, *size, stage.longest, self.config.seed)

    def batches(self, stage: Stage, by: str) -> Iterator[dict[str, torch.Tensor]]:
        """Return batches that are rendered by `workers` or on the `device`."""
        numbers = BatchNumbers(0, stage.batch)
        focal = self.config.focal_reference
        return batches(self.stream(stage), numbers, focal, self.device, by)

    # --- one figure each: samples a second ------------------------------------------------------

    def one_core(self, stage: Stage) -> float:
        """Rendered one by one."""
        stream = self.stream(stage)
        return self._rate((stream[index] for index in itertools.count()), 1)

    def all_cores(self, stage: Stage) -> float:
        """Rendered by a process on each core."""
        small = replace(stage, batch=min(SMALL_BATCH, stage.batch))
        return self._rate(self.batches(small, "workers"), small.batch, usual_jobs())

    def drawn(self, stage: Stage) -> float:
        """Drawn and laid out by one core, for the device to render."""
        stream, focal = self.stream(stage), self.config.focal_reference
        size = min(4 * SMALL_BATCH, stage.batch)
        numbers = iter(BatchNumbers(0, size))
        return self._rate((laid_out([stream.shot(i) for i in n], focal) for n in numbers), size, 1)

    def rendered_alone(self, stage: Stage) -> float:
        """Rendered on the device from a batch that was drawn before."""
        ready = self._ready(stage)
        return self._rate((exposed(ready, self.device) for _ in itertools.count()), stage.batch)

    def rendered(self, stage: Stage) -> float:
        """Drawn by all cores and rendered on the device."""
        return self._rate(self.batches(stage, "device"), stage.batch, usual_jobs())

    def learned(self, stage: Stage) -> float:
        """Learned from the same batch, again and again."""
        model, batch = self._model(), exposed(self._ready(stage), self.device)
        steps = (model.learn(batch, stage, 0.0, 1) for _ in itertools.count())
        return self._rate(steps, stage.batch)

    def whole(self, stage: Stage) -> float:
        """Rendered and learned from, as often as the recipe says."""
        model = self._model()
        reused = ReusedBatches(self.config.uses, np.random.default_rng(0))
        coming = reused.of(self.batches(stage, "auto"))
        steps = (model.learn(batch, stage, 0.0, 1) for batch in coming)
        return self._rate(steps, stage.batch, usual_jobs())

    def exposures(self, stage: Stage) -> float:
        """Print how the two ways to calculate exposures on a GPU compare."""
        found = {}
        exposures, _ = self._ready(stage).on(self.device)
        for name, way in (("one program", mean_light_fused), ("tensors", mean_light_by_tensors)):
            rounds = ([way(one) for one in exposures] for _ in itertools.count())
            found[name] = self._rate(rounds, stage.batch)
        pairs = [(mean_light_fused(one), mean_light_by_tensors(one)) for one in exposures]
        apart = max(float((a - b).abs().mean() / b.mean()) for a, b in pairs)
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in found.items())
        print(
            f"\nExposures alone, {stage.width}x{stage.height}, {stage.batch}: {rates} samples a "
            f"second; {apart:.1e} apart. Most memory: "
            f"{torch.cuda.max_memory_allocated(self.device) / 2**30:.1f} GiB."
        )
        return apart

    def _ready(self, stage: Stage) -> Any:
        """Return a batch that is drawn and laid out, once for all that is measured with it."""
        if stage not in self.drawn_before:
            stream = self.stream(stage)
            shots = [stream.shot(index) for index in range(stage.batch)]
            ready = laid_out(shots, self.config.focal_reference)
            self.drawn_before[stage] = ready.pin_memory() if self.device.type == "cuda" else ready
        return self.drawn_before[stage]

    def _model(self) -> EmaModel:
        return EmaModel(self.config, self.accelerator, Path(), None)

    def _rate(self, rounds: Iterable[object], samples: int, warm_up: int = WARM_UP) -> float:
        """Return samples a second of rounds that make so many each."""
        rounds = iter(rounds)
        for _ in range(max(WARM_UP, warm_up)):
            next(rounds)
        _wait()
        begin, count = monotonic(), 0
        while monotonic() - begin < self.seconds:
            next(rounds)
            count += samples
        _wait()
        return count / (monotonic() - begin)


def report(
    config: TrainingConfig, data: Path | None, seconds: float, stages: Sequence[Stage]
) -> None:
    """Print samples a second of each stage."""
    cv2.setNumThreads(1)
    accelerator = accelerated()
    print(", ".join(f"{name} {value}" for name, value in machine().items()), end="")
    print(f"; trained on: {_name(accelerator.device)}. Samples a second.\n")
    heading("size, batch", COLUMNS)
    bench = Bench(config, load_pictures(config.pictures, data), accelerator, seconds)
    of_size: dict[tuple[int, int], list[float]] = {}
    for stage in stages:
        size = (stage.width, stage.height)
        if size not in of_size:  # What the cores do does not depend on the batch.
            parts = (bench.one_core, bench.all_cores, bench.drawn)
            of_size[size] = [_figure(part, stage) for part in parts]
        others = (bench.rendered_alone, bench.rendered, bench.learned, bench.whole)
        figures = [*of_size[size], *(_figure(part, stage) for part in others)]
        row(f"{stage.width}x{stage.height}, {stage.batch}", figures, digits=1)
        sys.stdout.flush()
    if accelerator.device.type == "cuda":
        _figure(bench.exposures, stages[0])


def _figure(measure: Callable[[Stage], float], stage: Stage) -> float:
    """Return what is measured, or NaN where it fails, which is told."""
    try:
        return measure(stage)
    except Exception as error:  # whatever a machine that nobody has seen before lacks
        name = getattr(measure, "__name__", "part")
        print(f"{name}, {stage}: {type(error).__name__}: {error}", file=sys.stderr)
        return float("nan")
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"the {device.type.upper()}"


def chosen_stages(
    config: TrainingConfig, sizes: Sequence[str], numbers: Sequence[int]
) -> list[Stage]:
    """Return the stages of the recipe, or its last one in these sizes and batches."""
    if not sizes and not numbers:
        return list(config.stages)
    last = config.stages[-1]
    found = []
    for size in sizes or [f"{last.width}x{last.height}"]:
        width, height = map(int, size.split("x"))
        longest = last.longest * width / last.width
        found += [
            replace(last, width=width, height=height, batch=number, longest=longest)
            for number in numbers or [last.batch]
        ]
    return found


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe, or the name of a shipped one.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the picture sets.")] = None,
    seconds: Annotated[float, typer.Option(help="For each entry of the table.")] = 10.0,
    size: Annotated[
        list[str] | None, typer.Option(help="Instead of the recipe's: 320x224.")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Instead of the recipe's.")] = None,
    write: Annotated[Path | None, typer.Option(help="Page to put the table into.")] = None,
) -> None:
    """Measure samples a second of renderer and trainer."""
    try:
        config = TrainingConfig.load(recipe_path(recipe))
        stages = chosen_stages(config, size or [], batch or [])
        write_part(write, BEGIN, END, lambda: report(config, data, seconds, stages))
    except BlurImuError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
