"""The commands of the training package; `blur-imu` shows them beside its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)

DEFAULT_RECIPE = Path(__file__).parent / "configs" / "compact.yaml"


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="YAML recipe.")] = DEFAULT_RECIPE,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with nyuv2/ and houses_indoor/; without: procedural."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of the run; resumed if it exists.")] = Path(
        "runs/compact"
    ),
    minutes: Annotated[float, typer.Option(help="Time budget, earlier sittings included.")] = 30,
) -> None:
    """Train a network, or go on with a run that was stopped."""
    from blur_imu_training.trainer import Trainer, TrainingConfig

    Trainer(TrainingConfig.load(recipe), data, output, minutes).run()


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    output: Annotated[Path, typer.Option(help="The ONNX file; its card is put beside it.")] = Path(
        "models/compact.onnx"
    ),
    name: Annotated[str, typer.Option(help="Name of the model.")] = "compact",
) -> None:
    """Write the averaged network of a run as an ONNX model with its card, parity checked."""
    from blur_imu_training.export import export_run

    typer.echo(export_run(run, output, name))
