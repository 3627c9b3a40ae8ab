"""The commands of the training package; `blur-imu` lists them with its own."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from blur_imu_ros.execution.files import refuse_overwriting

app = typer.Typer(no_args_is_help=True, add_completion=False)

DEFAULT_RECIPE = Path(__file__).parent / "configs" / "compact.yaml"


class PrecisionChoice(str, Enum):
    """Numbers that a model calculates with; listed here so that help needs no onnx."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


class TracedKind(str, Enum):
    """What is rendered of path-traced rooms."""

    views = "views"
    blurred = "blurred"
    shaken = "shaken"
    robot = "robot"


@app.command()
def train(
    recipe: Annotated[
        Path, typer.Argument(help="YAML recipe, or the name of a shipped one.")
    ] = DEFAULT_RECIPE,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the picture sets; by default images are procedural."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the run, resumed if it exists; by default runs/RECIPE."),
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0.001, help="Time budget in minutes, including earlier sittings.")
    ] = 30,
    weights: Annotated[
        Path | None,
        typer.Option(help="Start from these weights (.safetensors), or from those of a run."),
    ] = None,
) -> None:
    """Train a network, or resume a run."""
    from blur_imu_training.recipe import TrainingConfig, recipe_path
    from blur_imu_training.training.trainer import Trainer

    config = TrainingConfig.load(recipe_path(recipe))
    trainer = Trainer(config, data, output or Path("runs") / recipe.stem, minutes, weights)
    trainer.run()
    typer.echo(trainer.summary())


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(help="Folder of a training run, or an fp32 model (.onnx) to convert.")
    ],
    output: Annotated[
        Path, typer.Option(help="The ONNX file; its card is written beside it.")
    ] = Path("models/compact.onnx"),
    name: Annotated[
        str | None, typer.Option(help="Name of the model; by default the file name.")
    ] = None,
    any_batch: Annotated[
        bool, typer.Option("--any-batch", help="Dynamic batch size, for use in other programs.")
    ] = False,
    best: Annotated[
        bool,
        typer.Option("--best", help="Export the best checkpoint on held-out frames, not the last."),
    ] = False,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="int8 is for CPUs, fp16 for GPUs.")
    ] = PrecisionChoice.fp32,
    recipe: Annotated[
        Path, typer.Option(help="YAML recipe of the views used to measure int8 and fp16.")
    ] = DEFAULT_RECIPE,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of their picture sets; by default images are procedural."),
    ] = None,
    views: Annotated[int, typer.Option(min=2, help="Number of these views.")] = 64,
) -> None:
    """Write the averaged network of a run as an ONNX model with its card, parity checked."""
    from blur_imu_training.export.export import export_reduced, export_run, sample_views
    from blur_imu_training.export.reduced_precision import Precision

    refuse_overwriting([output], [run])
    if run.is_file():
        refuse_overwriting([output.with_suffix(".json")], [run, run.with_suffix(".json")])
    name = name or output.stem
    if precision is PrecisionChoice.fp32:
        typer.echo(export_run(run, output, name, any_batch=any_batch, best=best))
    else:
        seen = sample_views(recipe, data, views)
        typer.echo(export_reduced(run, output, name, Precision(precision.value), seen, best))


@app.command()
def import_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help=".pth or .safetensors of the published network.")
    ],
    output: Annotated[
        Path, typer.Option(help="The ONNX file; its card is written beside it.")
    ] = Path("models/published.onnx"),
) -> None:
    """Convert the weights that the authors of "Image as an IMU" published."""
    from blur_imu_training.export.import_checkpoint import import_checkpoint

    refuse_overwriting([output], [checkpoint])
    refuse_overwriting([output.with_suffix(".json")], [checkpoint])
    typer.echo(import_checkpoint(checkpoint, output))


@app.command()
def validate(
    model: Annotated[str, typer.Argument(help="Name or path of a model.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder with 7scenes_redkitchen/ and nyuv2/.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Number of held-out frames.")] = 60,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Write corrections of length, depth and precision, and the results, to the card.",
        ),
    ] = False,
    power_law: Annotated[
        bool,
        typer.Option(
            "--bend",
            help="With --calibrate: correct short and long blur differently (a power law).",
        ),
    ] = False,
    true_blur: Annotated[
        Path | None,
        typer.Option(
            help="Measure on blurred views of path-traced rooms (from render-rooms) instead."
        ),
    ] = None,
) -> None:
    """Measure a model on held-out blur from a second camera pipeline, or on path-traced blur."""
    from blur_imu_ros.errors import TrainingError

    if true_blur is None and data is None:
        raise TrainingError("give --data or --true-blur: what to measure on")
    if true_blur is not None and calibrate:
        raise TrainingError("--calibrate is by held-out blur; leave out --true-blur")
    folder = data if true_blur is None else true_blur
    assert folder is not None
    _validate(model, folder, frames, true_blur is not None, calibrate, power_law)


def _validate(
    model: str, folder: Path, frames: int, is_true_blur: bool, calibrate: bool, power_law: bool
) -> None:
    """Measure a model on the frames of a folder, print the figures, and calibrate its card."""
    from rich.console import Console
    from rich.progress import track

    from blur_imu_ros.core.visual_imu import VisualImu
    from blur_imu_ros.network.blur_network import BlurNetwork, load_network, model_path
    from blur_imu_ros.network.model_card import ModelCard
    from blur_imu_training.data import held_out
    from blur_imu_training.validation import validate as validation

    network = load_network(model, "onnx")
    backend = validation.Remembered(network.backend)
    frames_of = held_out.true_blur_frames if is_true_blur else held_out.held_out_frames
    source = frames_of(folder, frames)
    rendered = list(track(source, "Reading", total=frames))

    def measured(card: ModelCard) -> validation.HeldOutErrors:
        # A card is about the network: the image's own autocorrelation would hide its errors.
        imu = VisualImu(BlurNetwork(backend, card), autocorrelation=None)
        return validation.measure(imu, track(rendered, "Measuring"))

    card = network.card
    if calibrate:
        path = model_path(model).with_suffix(".json")
        card = validation.calibrated(card, measured, power_law)
    result = validation.report(measured(card))
    console = Console()
    if calibrate:
        figures = card.metrics | {"held_out": validation.as_metrics(result)}
        facts = {
            "calibration": f"lengths, depth and directions: {' and '.join(held_out.terms(folder))}"
        }
        replace(card, metrics=figures, training=card.training | facts).save(path)
        console.print(
            f"{path}: length scale {card.length_scale:g}, exponent {card.length_exponent:g}, "
            f"depth slope {card.depth_slope:g}, across over along {card.across_ratio:g}"
        )
    console.print(validation.table(result))
    console.print(validation.summary(result))


@app.command()
def synthesize(
    output: Annotated[
        Path, typer.Argument(help="Folder of the set; an incomplete one is completed.")
    ],
    count: Annotated[int, typer.Option(min=1, help="Number of samples.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 0,
    recipe: Annotated[Path, typer.Option(help="YAML recipe.")] = DEFAULT_RECIPE,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the picture sets; by default images are procedural."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; by default one per core.")
    ] = None,
) -> None:
    """Write a set of blurred samples with ground truth: images, .npz and an index.csv."""
    from rich.progress import Progress

    from blur_imu_ros.execution.parallel import usual_jobs
    from blur_imu_training.data.synthesis import synthesize as synthesized
    from blur_imu_training.recipe import TrainingConfig

    config = TrainingConfig.load(recipe)
    with Progress() as progress:
        bar = progress.add_task("Rendering", total=count)
        for done in synthesized(config, data, output, count, seed, jobs or usual_jobs()):
            progress.update(bar, completed=done)
    typer.echo(f"{output}: {count} samples")


@app.command()
def render_rooms(
    kind: Annotated[
        TracedKind,
        typer.Argument(
            help="views: sharp, with depth, to train on; blurred: true blur, to validate on; "
            "shaken, robot: a sequence with ground truth."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Output folder; an incomplete one is completed.")],
    scenes: Annotated[
        Path, typer.Option(help="Folder with one folder per room, each with a scene.xml.")
    ],
    room: Annotated[
        list[str] | None,
        typer.Option(
            help="Room to render; may be repeated. By default the training rooms, or for blurred "
            "the validation rooms (bathroom, living-room). A sequence needs one."
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of views or frames.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 1,
    width: Annotated[int, typer.Option(min=64, help="Pixels.")] = 384,
    height: Annotated[int, typer.Option(min=48, help="Pixels.")] = 288,
    frame_rate: Annotated[float, typer.Option(min=1, help="Frame rate of a sequence, Hz.")] = 30,
    exposure_time: Annotated[
        float, typer.Option(min=1e-4, help="Exposure time of a sequence, seconds.")
    ] = 0.01,
    focal: Annotated[
        float,
        typer.Option(min=0.2, help="Focal length of a sequence, as a fraction of the image width."),
    ] = 0.75,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Largest angular velocity when shaken, rad/s.")
    ] = 6,
    unit: Annotated[
        float | None,
        typer.Option(
            "--metres-per-unit",
            min=1e-6,
            max=1e6,
            help="Metres in one unit of the scene. By default the number in metres_per_unit.txt "
            "in the folder of the room, or what is known of the rooms in docs/TRAINING_DATA.md, "
            "or 1.",
        ),
    ] = None,
    dim: Annotated[
        float, typer.Option(min=0.01, max=1, help="Brightness factor of a sequence.")
    ] = 1,
) -> None:
    """Render path-traced rooms: views to train on, true blur to validate on, or sequences."""
    from rich.progress import Progress

    from blur_imu_training.data.traced_rooms import Rooms, one_room
    from blur_imu_training.data.traced_sequences import SequenceChoice, render_sequence
    from blur_imu_training.data.traced_views import render_views
    from blur_imu_training.data.true_blur import render_true_blur
    from blur_imu_training.scene.path_traced_rooms import HELD_OUT_ROOMS

    size = (width, height)
    if kind is TracedKind.views:
        rooms = Rooms.of(scenes, room or [], () if room else HELD_OUT_ROOMS, unit)
        rendered = render_views(rooms, output, count, size, seed)
    elif kind is TracedKind.blurred:
        rooms = Rooms.of(scenes, room or list(HELD_OUT_ROOMS), unit=unit)
        rendered = render_true_blur(rooms, output, count, size, seed)
    else:
        choice = SequenceChoice(
            width, height, count, frame_rate, exposure_time, focal, rate,
            kind is TracedKind.robot, dim, seed,
        )  # fmt: skip
        rendered = render_sequence(one_room(scenes, room or [], unit), output, choice)
    with Progress() as progress:
        bar = progress.add_task("Rendering", total=count)
        for done in rendered:
            progress.update(bar, completed=done)
    typer.echo(f"{output}: {count} {'frames' if kind in SEQUENCES else 'views'}")


SEQUENCES = (TracedKind.shaken, TracedKind.robot)


@app.command()
def contact_sheet(
    output: Annotated[Path, typer.Argument(help="Picture to write (.png).")],
    samples: Annotated[int, typer.Option(min=1, help="Number of samples.")] = 12,
    columns: Annotated[int, typer.Option(min=1, help="Pictures per row.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of all random choices.")] = 0,
    recipe: Annotated[Path, typer.Option(help="YAML recipe.")] = DEFAULT_RECIPE,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the picture sets; by default images are procedural."),
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="Folder of real frames to show in the last row.")
    ] = None,
) -> None:
    """Draw training samples with their true motion blur, next to real frames."""
    from blur_imu_training.data.picture_sets import load_pictures
    from blur_imu_training.recipe import TrainingConfig
    from blur_imu_training.rendering.contact_sheet import contact_sheet as sheet_of
    from blur_imu_training.rendering.contact_sheet import read_real_frames, write_sheet
    from blur_imu_training.rendering.samples import SampleStream

    refuse_overwriting([output], [recipe, real])
    config = TrainingConfig.load(recipe)
    stage = config.stages[-1]
    frames = [] if real is None else read_real_frames(real, columns)
    pictures = load_pictures(config.pictures, data)
    stream = SampleStream(pictures, stage.width, stage.height, stage.longest, seed)
    write_sheet(output, sheet_of([stream[i] for i in range(samples)], columns, frames))
    typer.echo(output)
