"""`blur-imu`: thin commands; what they do is imported when they are called."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from blur_imu_ros.choices import (
    FOR_CAMERAS,
    FOR_RECORDINGS,
    Axes,
    Direction,
    MotionPrior,
    StampReference,
    TruthAxes,
    Unit,
)
from blur_imu_ros.errors import BlurImuError, install_hint

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


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    pass


class MotionPriorChoice(str, Enum):
    """What is assumed of how the camera moves."""

    auto = "auto"
    none = "none"
    pivot = "pivot"

    @property
    def prior(self) -> MotionPrior | None:
        """What `RunOptions` takes; None leaves the choice to the kind of recording."""
        return None if self is MotionPriorChoice.auto else MotionPrior(self.value)


CAMERA_HELP = (
    "Calibration: YAML with fx, fy, cx, cy, or a file of ROS, Kalibr, EuRoC, OpenCV, ORB-SLAM, "
    "VINS, Basalt or COLMAP; of several cameras FILE:CAMERA."
)

Stamps = Annotated[
    Path | None,
    typer.Option(
        help="CSV with a column t, one row a frame; or as EuRoC, TUM, KITTI or rpicam write it."
    ),
]
ImageTopic = Annotated[str | None, typer.Option(help="Image topic, for bags with several.")]
Model = Annotated[str, typer.Option(help="Name or path of a model.")]
Backend = Annotated[str, typer.Option(help="auto, onnx or torch.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or tensorrt.")]
CameraFile = Annotated[Path | None, typer.Option(help=CAMERA_HELP)]
LeverArm = Annotated[
    tuple[float, float, float] | None,
    typer.Option(help="From the pivot to the camera: right, down, forward, metres, as in 0 0 0.3."),
]

TruthUnit = Annotated[
    list[Unit] | None,
    typer.Option(
        help="Unit of the truth's time or angular velocities; by default what it tells, or what "
        "its steps do. May be given for both."
    ),
]

Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse files of velocities with rows that cannot be used; without, these are left "
        "out and counted.",
    ),
]

TimeOffset = Annotated[
    float | None,
    typer.Option(
        help="Seconds to add to the estimate's clock to get the truth's, known to half a second; "
        "by default the motion tells, if it fits one place only."
    ),
]


@app.command()
def run(
    source: Annotated[
        list[Path],
        typer.Argument(
            help="Folder of images, image, video or bag; several of them, a folder of recordings, "
            "or a list (.txt), a path a line. Or a camera until Ctrl-C: rtsp://..., http://..., "
            "/dev/video0, camera:0."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Velocities, as .csv or .mcap; for several recordings with {name} in it: "
            "results/{name}.csv. {name} and {folder}, in which a recording lies, may stand in "
            "all paths.",
        ),
    ],
    camera: CameraFile = None,
    exposure: Annotated[
        float | None, typer.Option(help="Exposure time, seconds; photos may tell theirs.")
    ] = None,
    stamps: Stamps = None,
    stamp_reference: Annotated[
        StampReference, typer.Option(help="Moment of the exposure that a stamp means.")
    ] = StampReference.MIDDLE,
    topic: ImageTopic = None,
    model: Model = FOR_RECORDINGS,
    backend: Backend = "auto",
    device: Device = "cpu",
    direction: Annotated[
        Direction,
        typer.Option(
            help="Which frames a frame is measured with: both neighbours, the ones before, the "
            "whole recording (smooth), none."
        ),
    ] = Direction.ADJACENT,
    registration: Annotated[
        bool,
        typer.Option(
            help="Register neighbouring frames on each other and fuse that with blur; without it "
            "they only tell the sign."
        ),
    ] = True,
    axes: Annotated[Axes, typer.Option(help="Axes of the output.")] = Axes.OPTICAL,
    overlay: Annotated[
        Path | None, typer.Option(help="Video with the blur drawn in (.mp4).")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of the velocities (.png).")] = None,
    keep_topic: Annotated[
        list[str] | None,
        typer.Option(help="Topic of a bag to copy into the .mcap; give it once for each."),
    ] = None,
    motion_prior: Annotated[
        MotionPriorChoice,
        typer.Option(help="pivot: the camera is in a hand; auto: so for all but bags."),
    ] = MotionPriorChoice.auto,
    lever_arm: LeverArm = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Written by calibrate: its exposure time and scale of linear velocity."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on behind the last row of a .csv of the same recording and options; "
            "finished ones are left alone, a .mcap or an overlay begins anew.",
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=0,
            help="Frames, or of several recordings recordings, measured at once; 0: one for each "
            "core.",
        ),
    ] = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Address of a Ray cluster that shares the work, recording by recording, or local; "
            "its machines find files under the same paths."
        ),
    ] = None,
    rerun: Annotated[
        str | None,
        typer.Option(
            help="Images, motion blur, depth and velocities for the Rerun viewer: .rrd or spawn."
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="YAML of the method's settings; config/settings.yaml lists them."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Write over what is in the place of the output; without, only an earlier result "
            "of the same recording is, and anything else is renamed.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Stop at the first image that is damaged or whose stamp is not later, instead of "
            "leaving it out, and where a recording is cut off.",
        ),
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option(help="CSV of several recordings: what became of each, and why one failed."),
    ] = None,
) -> None:
    """Measure the velocity of the camera in every frame of a recording, or of many."""
    from blur_imu_ros.cli.batch import run_each
    from blur_imu_ros.cli.run import RunOptions
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


@app.command()
def evaluate(
    estimate: Annotated[
        Path, typer.Argument(help="Written by run, a bag, or a TUM trajectory (.tum, .txt).")
    ],
    truth: Annotated[
        Path,
        typer.Argument(
            help="CSV with t, wx, wy, wz, maybe vx, vy, vz; gyroscope log; bag with Imu; or TUM."
        ),
    ],
    axes: Annotated[
        Axes | None, typer.Option(help="Axes of the estimate; by default those that run noted.")
    ] = None,
    truth_axes: Annotated[
        TruthAxes | None,
        typer.Option(
            help="Axes of the truth, by default those that it tells, else optical; found also "
            "finds its time offset."
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        typer.Option(help="Seconds; dense truth is averaged over it. By default what run noted."),
    ] = None,
    fit_exposure: Annotated[bool, typer.Option(help="Score with the exposure that fits.")] = False,
    json: Annotated[Path | None, typer.Option(help="Figures as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of both (.png).")] = None,
    topic: Annotated[str | None, typer.Option(help="Of the estimate, for bags.")] = None,
    truth_topic: Annotated[str | None, typer.Option(help="Of the truth, for bags.")] = None,
    html: Annotated[Path | None, typer.Option(help="Report in one file (.html).")] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Overlay video of the same run: pictures of the worst frames in --html."),
    ] = None,
    time_offset: TimeOffset = None,
    trajectory: Annotated[
        Path | None,
        typer.Option(
            help="Integrated orientation and position of the estimate for evo and the like (.tum); "
            "those of the truth are put beside it."
        ),
    ] = None,
    truth_unit: TruthUnit = None,
    strict: Strict = False,
) -> None:
    """Compare velocities with the truth, axis by axis."""
    from blur_imu_ros.cli.evaluate import EvaluateOptions, run_evaluate

    run_evaluate(
        EvaluateOptions(
            estimate=estimate,
            truth=truth,
            axes=axes,
            truth_axes=Axes.OPTICAL if truth_axes is None else truth_axes.known,
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
            truth_tells=truth_axes is None,
        )
    )


@app.command()
def benchmark(
    model: Annotated[
        list[str] | None, typer.Option(help="Name or path of a model; several are compared.")
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="onnx or torch; several are compared.")
    ] = None,
    device: Device = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="Of the model; 0 chooses.")] = 0,
    against: Annotated[
        str | None,
        typer.Option(
            help="Another model, timed in the same run, frame by frame; published: the network of "
            "the paper, with random weights unless models/ has it (needs torch). Or the .json of "
            "an earlier benchmark: what became slower is told."
        ),
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help="Image size such as 640x480; may be repeated.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.0, max=3600, help="For each model and size.")
    ] = 2.0,
    json: Annotated[Path | None, typer.Option(help="Figures as JSON.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Picture of times by image size and by threads (.png).")
    ] = None,
) -> None:
    """Time each stage of the chain, and the whole, on rendered images."""
    from blur_imu_ros.cli.benchmark import BenchmarkOptions, parse_size, run_benchmark
    from blur_imu_ros.evaluation.benchmark import SIZES

    run_benchmark(
        BenchmarkOptions(
            models=tuple(model or [FOR_CAMERAS]),
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
    estimate: Annotated[Path, typer.Argument(help="Written by run.")],
    truth: Annotated[
        Path,
        typer.Argument(
            help="CSV with t, wx, wy, wz, maybe vx, vy, vz; gyroscope log; or bag with Imu."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="YAML of what was found.")],
    camera: Annotated[
        Path | None, typer.Option(help="Camera YAML that the output completes, for run --camera.")
    ] = None,
    exposure: Annotated[
        float | None,
        typer.Option(help="Seconds that run was told; by default what it noted, or the camera's."),
    ] = None,
    axes: Annotated[
        Axes | None, typer.Option(help="Axes of the estimate; by default those that run noted.")
    ] = None,
    truth_axes: Annotated[
        TruthAxes, typer.Option(help="Axes of the truth as far as they are known.")
    ] = TruthAxes.FOUND,
    topic: Annotated[str | None, typer.Option(help="Of the estimate, for bags.")] = None,
    truth_topic: Annotated[str | None, typer.Option(help="Of the truth, for bags.")] = None,
    time_offset: TimeOffset = None,
    truth_unit: TruthUnit = None,
    strict: Strict = False,
) -> None:
    """Find exposure time, time offset, mounting, gyro bias and scale from a recording with gyro."""
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
        Path, typer.Argument(help="CSV with t, wx, wy, wz, maybe vx, vy, vz; or TUM trajectory.")
    ],
    other: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE of another system: CSV, or TUM trajectory of any scale."),
    ] = None,
    camera: CameraFile = None,
    exposure: Annotated[float | None, typer.Option(help="Exposure time, seconds.")] = None,
    stamps: Stamps = None,
    stamp_reference: Annotated[
        StampReference, typer.Option(help="What a stamp means.")
    ] = StampReference.MIDDLE,
    topic: ImageTopic = None,
    model: Model = FOR_RECORDINGS,
    backend: Backend = "auto",
    device: Device = "cpu",
    axes: Annotated[
        Axes | None,
        typer.Option(help="Axes of the CSVs of others; by default those that run noted."),
    ] = None,
    truth_axes: Annotated[
        Axes | None,
        typer.Option(
            help="Axes of the truth, and of the table; by default those that it tells, else "
            "optical."
        ),
    ] = None,
    flow: Annotated[bool, typer.Option(help="With optical flow from frame to frame.")] = True,
    blur: Annotated[bool, typer.Option(help="With our own method.")] = True,
    colmap: Annotated[
        bool,
        typer.Option("--colmap", help="With COLMAP (the extra colmap); slow."),
    ] = False,
    motion_prior: Annotated[
        MotionPriorChoice,
        typer.Option(help="Of our method: pivot: the camera is in a hand; auto: for all but bags."),
    ] = MotionPriorChoice.auto,
    lever_arm: LeverArm = None,
    json: Annotated[Path | None, typer.Option(help="Figures as JSON.")] = None,
    truth_unit: TruthUnit = None,
    strict: Strict = False,
    from_rest: Annotated[
        bool,
        typer.Option(
            help="With registration of neighbouring frames that starts from rest, at the rate of "
            "the recording and at half of it: what they tell without blur."
        ),
    ] = True,
) -> None:
    """Measure one recording in several ways, and print their errors side by side."""
    from blur_imu_ros.cli.compare import CompareOptions, run_compare
    from blur_imu_ros.cli.run import RunOptions

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
            truth_axes=truth_axes or Axes.OPTICAL,
            others=others,
            flow=flow,
            blur=blur,
            colmap=colmap,
            json=json,
            truth_units=tuple(truth_unit or ()),
            strict=strict,
            axes=axes,
            from_rest=from_rest,
            truth_tells=truth_axes is None,
        )
    )


@app.command()
def live(
    source: Annotated[
        str,
        typer.Argument(
            help="Number of a webcam, /dev/video0, a video, rtsp://..., or an image topic of ROS 2."
        ),
    ] = "0",
    camera: Annotated[Path | None, typer.Option(help="Calibration, as for run.")] = None,
    exposure: Annotated[
        float | None,
        typer.Option(help="Exposure time, seconds; by default what the driver tells, else asked."),
    ] = None,
    field_of_view: Annotated[
        float | None,
        typer.Option(
            min=10, max=150, help="Degrees across the image, where --camera is not given."
        ),
    ] = None,
    model: Model = FOR_CAMERAS,
    axes: Annotated[Axes, typer.Option(help="Axes of the velocities.")] = Axes.OPTICAL,
    motion_prior: Annotated[
        MotionPrior, typer.Option(help="pivot: the camera is in a hand.")
    ] = MotionPrior.PIVOT,
    picture: Annotated[
        bool, typer.Option("--picture", help="Image with its motion blur, in coloured blocks.")
    ] = False,
    rerun: Annotated[str | None, typer.Option(help="Rerun viewer: spawn, or .rrd.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Keep the velocities (.csv).")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="How long; without it until Ctrl-C.")
    ] = None,
) -> None:
    """Show the velocities of a camera in the terminal, while it moves."""
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
    with suppress(_Stopped):  # Ctrl-C is how it is meant to end.
        run_live(options)


class RosChoice(str, Enum):
    """Whether the demo goes through ROS."""

    auto = "auto"
    on = "on"
    off = "off"


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder of plot and video.")] = Path("demo"),
    seconds: Annotated[float, typer.Option(min=0.2, max=60, help="Length of the motion.")] = 3.0,
    ros: Annotated[RosChoice, typer.Option(help="Go through the ROS 2 node.")] = RosChoice.auto,
    model: Model = FOR_CAMERAS,
) -> None:
    """Render a known motion, measure it through the whole chain, compare with the truth."""
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


def _checked() -> Any:
    """Return the commands, whose options refuse numbers that are none before anything is done."""
    group: Any = typer.main.get_command(app)
    for command in group.commands.values():
        for parameter in command.params:
            parameter.callback = _refusing_no_numbers(parameter.callback)
    return group


def _refusing_no_numbers(then: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a callback of a parameter that refuses NaN and infinite numbers, then does `then`."""

    def callback(context: Any, parameter: Any, value: Any) -> Any:
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                name = max(parameter.opts, key=len)
                raise BlurImuError(f"{name}: {number} is not a number that can be used")
        return value if then is None else then(context, parameter, value)

    return callback


class _Stopped(BaseException):
    """Somebody asked us to stop; like KeyboardInterrupt, which the command line library eats."""


@contextmanager
def _stoppable() -> Iterator[None]:
    """Raise `_Stopped` at SIGINT and SIGTERM, so that what is being written is completed."""

    def stop(number: int, frame: object) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Run the command line: exit 0 when done, 1 on bad input with one line, 2 on wrong usage."""
    # What is wrong with an image or video is told by us, in one line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    for word in sys.argv[1:]:
        if not word or (word.startswith("-") and word.endswith("=")):
            _refuse(f"'{word}': an empty argument; a variable of the shell that is not set?")
    commands = _checked()
    try:
        with _stoppable():
            commands(standalone_mode=True)
    except BlurImuError as error:
        from blur_imu_ros.cli.notes import with_options

        _refuse(with_options(error, commands.commands.get(next(iter(sys.argv[1:]), ""))))
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(f"{error.filename}: {error.strerror}")
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "safetensors", "onnx", "onnxscript", "accelerate"}:
            raise
        _refuse(f"{error.name} is not installed ({install_hint('train')})")
    except _Stopped:
        _refuse("interrupted; what was written is kept")


_LONGEST_REFUSAL = 400
"""Characters at the beginning and at the end of a line that are kept."""


def _refuse(reason: str) -> NoReturn:
    line = " ".join(reason.splitlines())
    if len(line) > 2 * _LONGEST_REFUSAL:  # a name or a file's content
        line = f"{line[:_LONGEST_REFUSAL]} ... {line[-_LONGEST_REFUSAL:]}"
    print(f"blur-imu: {line}", file=sys.stderr)
    sys.exit(1)
