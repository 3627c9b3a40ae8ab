"""`blur-imu`: thin commands; what they do is imported when they are called."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from blur_imu_ros.choices import (
    DEFAULT_MODEL,
    Axes,
    Direction,
    MotionPrior,
    StampReference,
    TruthAxes,
    Unit,
)
from blur_imu_ros.cli.signals import Stopped

MOST_JOBS = 4
"""Threads for each core; more only cost memory."""
COMMANDS = "blur_imu_ros.commands"
"""Entry points of commands that other packages join to ours: typer applications."""

app = typer.Typer(
    name="blur-imu",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Faster help, and nothing is squeezed into a table.
    help="A camera that is also an IMU: velocities from motion blur.",
    context_settings={"max_content_width": 120},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from blur_imu_ros import __version__

        typer.echo(__version__)
        raise typer.Exit


def _exposure_time(meaning: str) -> Any:
    """Return an option for an exposure time, as 0.02 or as cameras show it, 1/50."""

    def seconds(text: str) -> float:
        over, slash, under = text.strip().removesuffix("s").partition("/")
        try:
            return float(over) / float(under if slash else 1)
        except (ValueError, ZeroDivisionError):
            raise typer.BadParameter(f"{text!r} is no time; give seconds: 0.02 or 1/50") from None

    return typer.Option(help=meaning, parser=seconds, metavar="<seconds>")


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    pass


class MotionPriorChoice(str, Enum):
    """What is assumed about how the camera moves."""

    auto = "auto"
    none = "none"
    pivot = "pivot"

    @property
    def prior(self) -> MotionPrior | None:
        """What `RunOptions` takes; None leaves the choice to the kind of recording."""
        return None if self is MotionPriorChoice.auto else MotionPrior(self.value)


CAMERA_HELP = (
    "Calibration: YAML with fx, fy, cx, cy, or a file of ROS, Kalibr, EuRoC, OpenCV, ORB-SLAM, "
    "VINS, Basalt or COLMAP; FILE:CAMERA if it holds several cameras."
)

Stamps = Annotated[
    Path | None,
    typer.Option(
        help="Timestamps: CSV with a column t, one row per frame; or a file of EuRoC, TUM, KITTI "
        "or rpicam."
    ),
]
StampMeaning = Annotated[
    StampReference, typer.Option(help="Moment of the exposure that a timestamp refers to.")
]
ImageTopic = Annotated[str | None, typer.Option(help="Image topic, if the bag has several.")]
Model = Annotated[str, typer.Option(help="Name or path of a model.")]
Backend = Annotated[str, typer.Option(help="auto, onnx or torch.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or tensorrt.")]
CameraFile = Annotated[Path | None, typer.Option(help=CAMERA_HELP)]
LeverArm = Annotated[
    tuple[float, float, float] | None,
    typer.Option(help="From the pivot to the camera, in metres right, down and forward: 0 0 0.3."),
]

Prior = Annotated[
    MotionPriorChoice,
    typer.Option(help="pivot: the camera is hand-held; auto: pivot for everything but bags."),
]
EstimateTopic = Annotated[str | None, typer.Option(help="Topic of the estimate, for bags.")]
EstimateAxes = Annotated[
    Axes | None, typer.Option(help="Axes of the estimate; by default those that run recorded.")
]
TruthTopic = Annotated[str | None, typer.Option(help="Topic of the ground truth, for bags.")]
JsonFile = Annotated[Path | None, typer.Option(help="Results as JSON.")]
TruthUnit = Annotated[
    list[Unit] | None,
    typer.Option(
        help="Unit of the ground truth's times or angular velocities, if the file does not name "
        "it and it cannot be guessed. May be given twice, once for each."
    ),
]

Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse files of velocities that have unusable rows; by default these are left out "
        "and counted.",
    ),
]

TimeOffset = Annotated[
    float | None,
    typer.Option(
        help="Seconds to add to the estimate's time to get that of the ground truth. With axes "
        "found, half a second off is enough, and by default it is found from the motion, if it is "
        "unambiguous."
    ),
]


@app.command()
def run(
    context: typer.Context,
    source: Annotated[
        list[Path],
        typer.Argument(
            help="Folder of images, image, video or bag; also several of them, a folder of "
            "recordings, or a list of paths (.txt). Or a live camera, until Ctrl-C: rtsp://..., "
            "http://..., /dev/video0, camera:0."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Velocities, as .csv or .mcap; for several recordings with {name}: "
            "results/{name}.csv. All paths may contain {name}, and {folder} for the folder of the "
            "recording.",
        ),
    ],
    camera: CameraFile = None,
    exposure: Annotated[
        float | None,
        _exposure_time(
            "Exposure time, seconds, 0.02 or 1/50; by default that of the camera file or EXIF."
        ),
    ] = None,
    stamps: Stamps = None,
    stamp_reference: StampMeaning = StampReference.MIDDLE,
    topic: ImageTopic = None,
    model: Model = DEFAULT_MODEL,
    backend: Backend = "auto",
    device: Device = "cpu",
    direction: Annotated[
        Direction,
        typer.Option(
            help="Frames that are used to measure a frame: both neighbours, the previous ones, the "
            "whole recording (smooth), or none."
        ),
    ] = Direction.ADJACENT,
    registration: Annotated[
        bool,
        typer.Option(
            help="Register neighbouring frames and fuse the result with the blur; otherwise "
            "neighbours only decide the sign."
        ),
    ] = True,
    axes: Annotated[Axes, typer.Option(help="Axes of the output.")] = Axes.OPTICAL,
    overlay: Annotated[
        Path | None, typer.Option(help="Video with blur and velocities drawn in (.mp4).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot of the velocities (.png, .svg, .pdf).")
    ] = None,
    keep_topic: Annotated[
        list[str] | None,
        typer.Option(help="Topic of the bag to copy into the .mcap; may be repeated."),
    ] = None,
    motion_prior: Prior = MotionPriorChoice.auto,
    lever_arm: LeverArm = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="File written by calibrate: applies its exposure time and linear scale."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue after the last row of a .csv of the same recording and options, with "
            "the model that it was begun with unless --model is given. "
            "Finished results are kept; a .mcap or an overlay starts anew.",
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=0,
            help="Frames (or recordings, if there are several) measured in parallel; 0: one per "
            "core.",
        ),
    ] = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Address of a Ray cluster, or local: recordings are distributed over its "
            "machines, which must see the files under the same paths."
        ),
    ] = None,
    rerun: Annotated[
        str | None,
        typer.Option(
            help="Show images, motion blur, depth and velocities in the Rerun viewer: spawn, or "
            ".rrd."
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="YAML with settings of the method; config/settings.yaml lists them all."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Overwrite whatever is at the output path. By default only an earlier result of "
            "the same recording is overwritten; anything else is renamed.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at the first image that is damaged or out of order, instead of leaving it "
            "out, and where a recording is cut off.",
        ),
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option(help="CSV with the outcome of each of several recordings."),
    ] = None,
) -> None:
    """Measure the velocity of the camera in every frame of one or more recordings."""
    from blur_imu_ros.cli.batch import run_each
    from blur_imu_ros.cli.run_options import RunOptions
    from blur_imu_ros.execution.parallel import usual_jobs

    options = RunOptions(
        source=source[0],
        output=output,
        camera=camera,
        exposure=exposure,
        stamps=stamps,
        stamp_reference=stamp_reference,
        topic=topic,
        model=model,
        model_is_named=_is_given(context, "model"),
        backend=backend,
        device=device,
        direction=direction,
        registration=registration,
        axes=axes,
        overlay=overlay,
        plot=plot,
        keep_topics=tuple(keep_topic or ()),
        motion_prior=motion_prior.prior,
        lever_arm=lever_arm,
        resume=resume,
        jobs=min(jobs, MOST_JOBS * usual_jobs()) or usual_jobs(),
        rerun=rerun,
        calibration=calibration,
        settings=settings,
        force=force,
        strict=strict,
    )
    typer.echo(run_each(source, options, ray, summary))


def _is_given(context: typer.Context, option: str) -> bool:
    """Return whether the user gave an option, be it with the value of its default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name != "DEFAULT"


@app.command()
def evaluate(
    estimate: Annotated[
        Path, typer.Argument(help="File written by run, a bag, or a TUM trajectory (.tum, .txt).")
    ],
    truth: Annotated[
        Path,
        typer.Argument(
            help="Ground truth: CSV with t, wx, wy, wz and optionally vx, vy, vz; gyroscope log; "
            "bag with Imu; or TUM trajectory."
        ),
    ],
    axes: EstimateAxes = None,
    truth_axes: Annotated[
        TruthAxes | None,
        typer.Option(
            help="Axes of the ground truth; by default those named in it, else optical. found: "
            "estimate them from the motion, and the time offset too."
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        _exposure_time(
            "Exposure time, seconds, over which dense ground truth is averaged; by default the one "
            "that run recorded."
        ),
    ] = None,
    fit_exposure: Annotated[
        bool, typer.Option(help="Score with the exposure time that fits best.")
    ] = False,
    json: JsonFile = None,
    plot: Annotated[Path | None, typer.Option(help="Plot of both (.png, .svg, .pdf).")] = None,
    topic: EstimateTopic = None,
    truth_topic: TruthTopic = None,
    html: Annotated[Path | None, typer.Option(help="Report in one file (.html).")] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Overlay video of the same run; its worst frames are shown in --html."),
    ] = None,
    time_offset: TimeOffset = None,
    trajectory: Annotated[
        Path | None,
        typer.Option(
            help="Write the integrated estimate as a trajectory for evo and similar tools (.tum), "
            "and the ground truth beside it."
        ),
    ] = None,
    truth_unit: TruthUnit = None,
    strict: Strict = False,
) -> None:
    """Compare velocities with the ground truth, axis by axis."""
    from blur_imu_ros.cli.evaluate import EvaluateOptions, run_evaluate

    run_evaluate(
        EvaluateOptions(
            estimate=estimate,
            truth=truth,
            axes=axes,
            truth_axes=truth_axes,
            exposure=exposure,
            fit_exposure=fit_exposure,
            json=json,
            plot=plot,
            topic=topic,
            truth_topic=truth_topic,
            html=html,
            overlay=overlay,
            time_offset=time_offset,
            trajectory=trajectory,
            truth_units=tuple(truth_unit or ()),
            strict=strict,
        )
    )


@app.command()
def benchmark(
    model: Annotated[
        list[str] | None, typer.Option(help="Name or path of a model; repeat to compare several.")
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="onnx or torch; repeat to compare both.")
    ] = None,
    device: Device = "cpu",
    threads: Annotated[
        int, typer.Option(min=0, help="CPU threads of the model; 0: automatic.")
    ] = 0,
    against: Annotated[
        str | None,
        typer.Option(
            help="Another model to time in the same run; published: the network of the paper, with "
            "random weights unless models/ has it (needs torch). Or the .json of an earlier "
            "benchmark, to list what became slower."
        ),
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help="Image size such as 640x480; may be repeated.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.0, max=3600, help="Seconds per model and size.")
    ] = 2.0,
    json: JsonFile = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot of times by image size and number of threads (.png).")
    ] = None,
) -> None:
    """Time each stage and the whole chain on rendered images."""
    from blur_imu_ros.cli.benchmark import BenchmarkOptions, parse_size, run_benchmark
    from blur_imu_ros.evaluation.benchmark import SIZES

    run_benchmark(
        BenchmarkOptions(
            models=tuple(model or [DEFAULT_MODEL]),
            backends=tuple(backend or ["onnx"]),
            device=device,
            threads=threads or None,
            against=against,
            sizes=tuple(map(parse_size, size)) if size else SIZES,
            seconds=seconds,
            json=json,
            plot=plot,
        )
    )


@app.command()
def calibrate(
    estimate: Annotated[Path, typer.Argument(help="File written by run.")],
    truth: Annotated[
        Path,
        typer.Argument(
            help="Ground truth: CSV with t, wx, wy, wz and optionally vx, vy, vz; gyroscope log; "
            "or bag with Imu."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Result, as YAML.")],
    camera: Annotated[
        Path | None,
        typer.Option(
            help="Camera YAML to include, so that the output can be used with run --camera."
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        _exposure_time(
            "Exposure time that run used, seconds; by default the one that it recorded, or that of "
            "the camera file."
        ),
    ] = None,
    axes: EstimateAxes = None,
    truth_axes: Annotated[
        TruthAxes, typer.Option(help="Axes of the ground truth, if known.")
    ] = TruthAxes.FOUND,
    topic: EstimateTopic = None,
    truth_topic: TruthTopic = None,
    time_offset: TimeOffset = None,
    truth_unit: TruthUnit = None,
    strict: Strict = False,
) -> None:
    """Estimate exposure time, time offset, extrinsic rotation, gyro bias and linear scale."""
    from blur_imu_ros.cli.calibrate import CalibrateOptions, run_calibrate

    run_calibrate(
        CalibrateOptions(
            estimate=estimate,
            truth=truth,
            output=output,
            camera=camera,
            exposure=exposure,
            axes=axes,
            truth_axes=truth_axes.known,
            topic=topic,
            truth_topic=truth_topic,
            time_offset=time_offset,
            truth_units=tuple(truth_unit or ()),
            strict=strict,
        )
    )


@app.command()
def compare(
    source: Annotated[Path, typer.Argument(help="Folder of images, video or bag.")],
    truth: Annotated[
        Path,
        typer.Argument(
            help="Ground truth: CSV with t, wx, wy, wz and optionally vx, vy, vz; or TUM "
            "trajectory."
        ),
    ],
    other: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FILE with the result of another system: CSV, or TUM trajectory of any scale."
        ),
    ] = None,
    camera: CameraFile = None,
    exposure: Annotated[float | None, _exposure_time("Exposure time, seconds.")] = None,
    stamps: Stamps = None,
    stamp_reference: StampMeaning = StampReference.MIDDLE,
    topic: ImageTopic = None,
    model: Model = DEFAULT_MODEL,
    backend: Backend = "auto",
    device: Device = "cpu",
    axes: Annotated[
        Axes | None,
        typer.Option(help="Axes of the CSVs of other systems; by default those that run recorded."),
    ] = None,
    truth_axes: Annotated[
        Axes | None,
        typer.Option(
            help="Axes of the ground truth and of the table; by default those named in the file, "
            "else optical."
        ),
    ] = None,
    flow: Annotated[bool, typer.Option(help="Include optical flow from frame to frame.")] = True,
    blur: Annotated[bool, typer.Option(help="Include the method of this package.")] = True,
    colmap: Annotated[
        bool,
        typer.Option("--colmap", help="Include COLMAP (needs the extra colmap); slow."),
    ] = False,
    motion_prior: Prior = MotionPriorChoice.auto,
    lever_arm: LeverArm = None,
    json: JsonFile = None,
    truth_unit: TruthUnit = None,
    strict: Strict = False,
    from_rest: Annotated[
        bool,
        typer.Option(
            help="Include registration of neighbouring frames without blur, started from rest, at "
            "the frame rate of the recording and at half of it."
        ),
    ] = True,
) -> None:
    """Measure one recording with several methods, and print their errors side by side."""
    from blur_imu_ros.cli.compare import CompareOptions, run_compare
    from blur_imu_ros.cli.run_options import RunOptions

    recording = RunOptions(
        source=source,
        output=Path(),  # nothing is written
        camera=camera,
        exposure=exposure,
        stamps=stamps,
        stamp_reference=stamp_reference,
        topic=topic,
        model=model,
        backend=backend,
        device=device,
        motion_prior=motion_prior.prior,
        lever_arm=lever_arm,
    )
    others = tuple(other or ())
    run_compare(
        CompareOptions(
            run=recording,
            truth=truth,
            truth_axes=truth_axes,
            others=others,
            flow=flow,
            blur=blur,
            colmap=colmap,
            json=json,
            truth_units=tuple(truth_unit or ()),
            strict=strict,
            axes=axes,
            from_rest=from_rest,
        )
    )


@app.command()
def live(
    source: Annotated[
        str,
        typer.Argument(
            help="Number of a webcam, /dev/video0, a video, rtsp://..., or a ROS 2 image topic."
        ),
    ] = "0",
    camera: Annotated[Path | None, typer.Option(help="Calibration, as for run.")] = None,
    exposure: Annotated[
        float | None,
        _exposure_time("Exposure time, seconds; by default the driver is asked, then you."),
    ] = None,
    field_of_view: Annotated[
        float | None,
        typer.Option(
            min=10, max=150, help="Horizontal field of view in degrees, if there is no --camera."
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    axes: Annotated[Axes, typer.Option(help="Axes of the velocities.")] = Axes.OPTICAL,
    motion_prior: Annotated[
        MotionPrior, typer.Option(help="pivot: the camera is hand-held.")
    ] = MotionPrior.PIVOT,
    picture: Annotated[
        bool,
        typer.Option("--picture", help="Show the image with its motion blur, in coloured blocks."),
    ] = False,
    rerun: Annotated[str | None, typer.Option(help="Rerun viewer: spawn, or .rrd.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the velocities (.csv).")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Duration; by default until Ctrl-C.")
    ] = None,
) -> None:
    """Show the velocities of a live camera in the terminal."""
    from blur_imu_ros.cli.live import LiveOptions, run_live

    options = LiveOptions(
        source=source,
        camera=camera,
        exposure=exposure,
        field_of_view=field_of_view,
        model=model,
        axes=axes,
        motion_prior=motion_prior,
        picture=picture,
        rerun=rerun,
        output=output,
        seconds=seconds,
    )
    with suppress(Stopped):  # Ctrl-C is how it is meant to end.
        run_live(options)


class RosChoice(str, Enum):
    """Whether the demo goes through ROS."""

    auto = "auto"
    on = "on"
    off = "off"


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the plot and the video.")] = Path("demo"),
    seconds: Annotated[
        float, typer.Option(min=0.2, max=60, help="Duration of the motion, seconds.")
    ] = 3.0,
    ros: Annotated[RosChoice, typer.Option(help="Use the ROS 2 node.")] = RosChoice.auto,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Render a known motion, measure it with the whole chain, compare with the ground truth."""
    from blur_imu_ros.cli.demo import run_demo

    run_demo(output, seconds, ros.value, model)


def _add_commands_of_others() -> None:
    """Show the commands that other packages join to ours, as training's; torch comes when
    called."""
    for entry in entry_points(group=COMMANDS):
        with suppress(ImportError):  # an optional part of that package is not installed
            app.registered_commands += entry.load().registered_commands


_add_commands_of_others()
for _command in app.registered_commands:
    # Else the list of commands cuts them off after some words.
    _command.short_help = (_command.callback.__doc__ or "").partition("\n")[0]
