"""Train variants of a recipe for the same time each, and print what each makes of held-out blur.

    tools/ablation.py tools/ablation.yaml --data DATA --minutes 30 --output runs/ablation

The file names a recipe and, for each variant, the entries in which it differs; those within `network` are
merged with the recipe's. Variants that were trained already are not trained again; times are of this machine
and differ where it does other work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from blur_imu_ros.errors import TrainingError
from blur_imu_training.recipe import TrainingConfig, recipe_path
from blur_imu_training.selection import Figures
from blur_imu_training.trainer import Trainer


@dataclass(frozen=True)
class Outcome:
    """What became of a variant: of its last averaged network, and of the best one."""

    name: str
    parameters: int
    samples: int
    last: Figures
    best: Figures


def variants(path: Path) -> Iterator[tuple[str, TrainingConfig]]:
    """Yield names and recipes; TrainingError names what is wrong with the file."""
    try:
        content = yaml.safe_load(path.read_text())
        base = TrainingConfig.load(recipe_path(Path(content["recipe"]))).entries()
        for name, changes in content["variants"].items():
            yield name, TrainingConfig.of(_merged(base, changes or {}))
    except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise TrainingError(f"{path}: is no list of variants: {error}") from error


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    network = {**base["network"], **changes.get("network", {})}
    return {**base, **changes, "network": network}


def outcome(
    name: str, config: TrainingConfig, data: Path | None, folder: Path, minutes: float
) -> Outcome:
    """Train a variant in its folder, unless that is done, and measure it."""
    trainer = Trainer(config, data, folder, minutes)
    trainer.run()
    last = trainer.selection.measure(trainer.student.average)
    assert trainer.selection.best is not None
    parameters = sum(value.numel() for value in trainer.student.average.parameters())
    return Outcome(name, parameters, trainer.progress.samples, last, trainer.selection.best)


def table(outcomes: list[Outcome]) -> Table:
    """Return the outcomes, a row each."""
    shown = Table()
    for heading in (
        "variant", "parameters [M]", "samples", "rotation error", "translation [deg]",
        "lengths", "score", "best score",
    ):  # fmt: skip
        shown.add_column(heading, justify="left" if heading == "variant" else "right")
    for one in outcomes:
        last = one.last
        shown.add_row(
            one.name, f"{one.parameters / 1e6:.2f}", f"{one.samples}",
            f"{last.rotation_error:.1%}", f"{last.translation_angle:.0f}",
            f"{last.length_ratio:.2f}", f"{last.score:.3f}", f"{one.best.score:.3f}",
        )  # fmt: skip
    return shown


def main(
    file: Annotated[Path, typer.Argument(help="YAML of variants.")],
    output: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/ablation"),
    data: Annotated[Path | None, typer.Option(help="Folder of the picture sets.")] = None,
    minutes: Annotated[float, typer.Option(help="Of training, for each variant.")] = 30,
) -> None:
    """Train variants of a recipe and print a table of their figures."""
    outcomes = [
        outcome(name, config, data, output / name.replace(" ", "-"), minutes)
        for name, config in list(variants(file))
    ]
    Console().print(table(outcomes))


if __name__ == "__main__":
    typer.run(main)
