"""Train variants of a recipe for the same time each, and measure each on held-out blur.

    tools/ablation.py tools/ablation.yaml --data DATA --minutes 30 --output runs/ablation --write
    docs/TRAINING.md

The file names a recipe and, for each variant, the entries in which it differs; those within
`network` are merged with the recipe's. Variants that were trained already are not trained again,
and one that was stopped is gone on with. Prints a table in Markdown, or puts it into a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
from torch.utils.flop_counter import FlopCounterMode

from blur_imu_ros.errors import BlurImuError, TrainingError
from blur_imu_training.data.held_out import HeldOutFrame
from blur_imu_training.recipe import HeldOut, TrainingConfig, recipe_path
from blur_imu_training.training.checkpoint import STATE, load_run, read_facts
from blur_imu_training.training.selection import Figures, figures_of, read, rendered
from blur_imu_training.training.tasks import TASKS
from blur_imu_training.training.trainer import Trainer
from blur_imu_training.validation.validate import rotation_errors
from markdown import write_part

BEGIN, END = "<!-- ablation -->\n", "<!-- end of the ablation -->\n"

DRAWS = 400
"""Of as many frames out of all, to bound the error of the median."""


@dataclass(frozen=True)
class Outcome:
    """What became of a variant, of the average of its weights at the end.

    Attributes:
        parameters: how many.
        work: multiplications and additions of one view, each pair counted once.
        samples: trained on.
        figures: of held-out frames.
        doubt: standard deviation of the median rotation error, by drawing frames anew.
    """

    name: str
    parameters: int
    work: float
    samples: int
    figures: Figures
    doubt: float


def variants(path: Path) -> Iterator[tuple[str, TrainingConfig]]:
    """Yield names and recipes; TrainingError names what is wrong with the file."""
    try:
        content = yaml.safe_load(path.read_text())
        base = TrainingConfig.load(recipe_path(Path(content["recipe"]))).entries()
        for name, changes in content["variants"].items():
            yield name, TrainingConfig.of(_merged(base, changes or {}))
    except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise TrainingError(f"{path}: is not a list of variants: {error}") from error


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    network = {**base["network"], **changes.get("network", {})}
    return {**base, **changes, "network": network}


def train(config: TrainingConfig, data: Path | None, folder: Path, minutes: float) -> None:
    """Train a variant in its folder, unless that is done; all of the time is spent on training."""
    config = replace(config, validation=HeldOut(frames=0))
    if not _is_done(config, folder, minutes):
        Trainer(config, data, folder, minutes).run()
        if not _is_done(config, folder, minutes):
            raise TrainingError(f"{folder}: was stopped; start again to go on")


def _is_done(config: TrainingConfig, folder: Path, minutes: float) -> bool:
    if not (folder / STATE).is_file():
        return False
    facts = read_facts(folder / STATE)
    return not config.differences(facts["recipe"]) and (
        facts["progress"]["elapsed"] >= minutes * 60
    )


def outcome(name: str, folder: Path, frames: list[HeldOutFrame]) -> Outcome:
    """Measure a variant that was trained in a folder."""
    network, facts = load_run(folder)
    config = TrainingConfig.of(facts["recipe"])
    card = TASKS[config.network.kind].card(name, config.focal_reference, {}, config.network)
    errors = read(network, card, frames)
    each = rotation_errors(errors)
    rng = np.random.default_rng(0)
    drawn = np.median(each[rng.integers(len(each), size=(DRAWS, len(each)))], axis=1)
    width, height = config.network.size
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, height, width))
    return Outcome(
        name,
        sum(value.numel() for value in network.parameters()),
        counter.get_total_flops() / 2,
        facts["samples"],
        figures_of(errors),
        float(drawn.std()),
    )


def table(outcomes: list[Outcome], frames: int, minutes: float) -> None:
    """Print the outcomes, a row each."""
    print(
        f"{minutes:g} minutes each, {frames} held-out frames; rotation error of zero velocity: 100 "
        "%.\n"
    )
    names = (
        "parameters [M]", "G multiply-adds", "samples", "rotation error [%]", "translation [deg]",
        "lengths", "score",
    )  # fmt: skip
    print(f"| variant | {' | '.join(names)} |")
    print("|---" * (len(names) + 1) + "|")
    for one in outcomes:
        found = one.figures
        print(
            f"| {one.name} | {one.parameters / 1e6:.2f} | {one.work / 1e9:.2f} | {one.samples} "
            f"| {100 * found.rotation_error:.1f} ± {100 * one.doubt:.1f} "
            f"| {found.translation_angle:.0f} | {found.length_ratio:.2f} | {found.score:.3f} |"
        )


def main(
    file: Annotated[Path, typer.Argument(help="YAML of variants.")],
    output: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/ablation"),
    data: Annotated[Path | None, typer.Option(help="Folder of the picture sets.")] = None,
    minutes: Annotated[float, typer.Option(help="Of training, for each variant.")] = 30,
    frames: Annotated[int, typer.Option(min=1, help="Held-out frames to measure on.")] = 80,
    write: Annotated[Path | None, typer.Option(help="Page to put the table into.")] = None,
) -> None:
    """Train variants of a recipe and print a table of their figures."""
    folders: dict[str, Path] = {}
    try:
        for name, config in list(variants(file)):
            typer.echo(name, err=True)
            folders[name] = output / name.replace(" ", "-")
            train(config, data, folders[name], minutes)
    except BlurImuError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error
    seen = rendered(data, frames)
    outcomes = [outcome(name, folder, seen) for name, folder in folders.items()]
    table(outcomes, frames, minutes)
    if write is not None:
        write_part(write, BEGIN, END, lambda: table(outcomes, frames, minutes))


if __name__ == "__main__":
    typer.run(main)
