"""Measure how many samples a second are rendered and learned from, on a machine that does nothing
else.

    tools/training_speed.py compact --data DATA --write docs/TRAINING.md

Prints a table in Markdown, a row for each stage of the recipe, or puts it into a page.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from blur_imu_ros.errors import BlurImuError
from blur_imu_ros.evaluation.benchmark import machine
from blur_imu_training.data.loading import BatchNumbers, batches
from blur_imu_training.data.picture_sets import load_pictures
from blur_imu_training.recipe import HeldOut, Stage, TrainingConfig, recipe_path
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.training.ema_model import EmaModel
from blur_imu_training.training.trainer import Trainer, accelerated
from markdown import heading, row, write_part

BEGIN, END = "<!-- speed -->\n", "<!-- end of the speed -->\n"

WARM_UP = 2
"""Rounds that do not count."""


def report(config: TrainingConfig, data: Path | None, seconds: float) -> None:
    """Print samples a second of each stage."""
    accelerator = accelerated()
    device = accelerator.device
    print(", ".join(f"{name} {value}" for name, value in machine().items()), end="")
    print(f"; trained on: {_name(device)}. Samples a second.\n")
    heading("size, batch", [
        "rendered by one core", "by all cores", "in torch, whole batches", "learned from", "whole training",
    ])  # fmt: skip
    pictures = load_pictures(config.pictures, data)
    for stage in config.stages:
        stream = SampleStream(pictures, stage.width, stage.height, stage.longest, config.seed)
        numbers = BatchNumbers(0, stage.batch)

        def rendered(by: str, stage: Stage = stage, stream: SampleStream = stream) -> float:
            made = batches(stream, BatchNumbers(0, stage.batch), config.focal_reference, device, by)
            return _rate(made, stage.batch, seconds)

        model = EmaModel(config, accelerator, Path(), None)
        batch = next(batches(stream, numbers, config.focal_reference, device))
        learn = (model.learn(batch, stage, 0.0, 1) for _ in itertools.count())
        figures = [
            _rate((stream[index] for index in itertools.count()), 1, seconds),
            rendered("workers"),
            rendered("device"),
            _rate(learn, stage.batch, seconds),
            _whole(config, stage, data, seconds),
        ]
        row(f"{stage.width}x{stage.height}, {stage.batch}", figures, digits=1)


def _rate(rounds: Iterable[object], samples: int, seconds: float) -> float:
    """Return samples a second of rounds that make so many each."""
    rounds = iter(rounds)
    for _ in range(WARM_UP):
        next(rounds)
    _wait()
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        next(rounds)
        count += samples
    _wait()
    return count / (time.monotonic() - begin)


def _whole(config: TrainingConfig, stage: Stage, data: Path | None, seconds: float) -> float:
    """Return samples a second of a training of one stage, loading, saving and averaging
    included."""
    alone = replace(config, stages=(replace(stage, share=1.0),), validation=HeldOut(frames=0))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(alone, data, Path(folder), max(4 * seconds, 1) / 60)
        trainer.run()
        return trainer.progress.samples / trainer.progress.elapsed


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"the {device.type.upper()}"


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe, or the name of a shipped one.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the picture sets.")] = None,
    seconds: Annotated[float, typer.Option(help="For each entry of the table.")] = 10.0,
    write: Annotated[Path | None, typer.Option(help="Page to put the table into.")] = None,
) -> None:
    """Measure samples a second of renderer and trainer."""
    try:
        config = TrainingConfig.load(recipe_path(recipe))
        write_part(write, BEGIN, END, lambda: report(config, data, seconds))
    except BlurImuError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
