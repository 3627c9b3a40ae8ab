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
    any_batch: Annotated[
        bool, typer.Option("--any-batch", help="Let other programs give several images at once.")
    ] = False,
) -> None:
    """Write the averaged network of a run as an ONNX model with its card, parity checked."""
    from blur_imu_training.export import export_run

    typer.echo(export_run(run, output, name, any_batch=any_batch))


@app.command()
def import_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help=".pth or .safetensors of the published network.")
    ],
    output: Annotated[Path, typer.Option(help="The ONNX file; its card is put beside it.")] = Path(
        "models/published.onnx"
    ),
) -> None:
    """Make a model of the weights that the authors of "Image as an IMU" published."""
    from blur_imu_training.import_checkpoint import import_checkpoint

    typer.echo(import_checkpoint(checkpoint, output))


@app.command()
def validate(
    model: Annotated[str, typer.Argument(help="Name or path of a model.")],
    data: Annotated[Path, typer.Option(help="Folder with 7scenes_redkitchen/ and nyuv2/.")],
    frames: Annotated[int, typer.Option(help="How many held-out frames.")] = 60,
) -> None:
    """Measure a model on held-out blur from a second camera pipeline."""
    from rich.console import Console
    from rich.progress import track

    from blur_imu_ros.blur_network import load_network
    from blur_imu_ros.visual_imu import VisualImu
    from blur_imu_training import held_out, validation

    imu = VisualImu(load_network(model))
    rendered = track(held_out.held_out_frames(data, frames), "Measuring", total=frames)
    result = validation.report(validation.measure(imu, rendered))
    console = Console()
    console.print(validation.table(result))
    console.print(validation.summary(result))
