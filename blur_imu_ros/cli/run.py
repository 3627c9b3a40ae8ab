"""`blur-imu run`: velocities from a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from blur_imu_ros import __version__
from blur_imu_ros.choices import DEFAULT_MODEL, Axes, Direction, MotionPrior, StampReference
from blur_imu_ros.cli.notes import print_notes
from blur_imu_ros.cli.run_summary import RunSummary
from blur_imu_ros.core.axes import MEANING, express
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.method_settings import MethodSettings
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.visual_imu import Network, VisualImu
from blur_imu_ros.errors import BlurImuError, FrameError, RecordingError
from blur_imu_ros.execution.files import (
    PLOT_ENDINGS,
    make_folder_of,
    moved_aside,
    refuse_overwriting,
)
from blur_imu_ros.execution.parallel import in_order
from blur_imu_ros.execution.progress import progress
from blur_imu_ros.network.blur_network import (
    BlurNetwork,
    Loader,
    load_network,
    shipped_models,
    view_size,
)
from blur_imu_ros.network.precision import SUFFIX
from blur_imu_ros.recordings import FrameSettings, Recording, open_recording
from blur_imu_ros.recordings.bag_names import BAG_SUFFIXES, is_bag
from blur_imu_ros.recordings.calibration_files import KnownCalibration, read_calibration
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time
from blur_imu_ros.recordings.images import images_at
from blur_imu_ros.recordings.live import address_of
from blur_imu_ros.recordings.live_camera import without_password
from blur_imu_ros.recordings.settings_files import load_settings
from blur_imu_ros.recordings.timestamp_files import Timestamps, read_timestamps
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results.csv_files import CsvWriter, whole_rows
from blur_imu_ros.results.result_file import ResultWriter
from blur_imu_ros.results.run_record import (
    Recipe,
    RecordKeeper,
    RunRecord,
    model_of,
    record_of,
    record_path,
)
from blur_imu_ros.viz.overlay_video import OverlayWriter
from blur_imu_ros.viz.rerun_stream import RerunStream, check_target

RESULT_ENDINGS, VIDEO_ENDINGS = (".csv", ".mcap"), (".mp4",)
READ_ENDINGS = (".png", ".mcap")
"""Of files that would be read with the folder that they are in."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `blur-imu run` was asked for; see its help.

    Without `model_is_named`, a resumed run keeps the model of the earlier one, whatever `model` is.
    """

    source: Path
    output: Path
    camera: Path | None = None
    exposure: float | None = None
    stamps: Path | None = None
    stamp_reference: StampReference = StampReference.MIDDLE
    topic: str | None = None
    model: str = DEFAULT_MODEL
    model_is_named: bool = True
    backend: str = "auto"
    device: str = "cpu"
    direction: Direction = Direction.ADJACENT
    registration: bool = True
    axes: Axes = Axes.OPTICAL
    overlay: Path | None = None
    plot: Path | None = None
    keep_topics: tuple[str, ...] = ()
    motion_prior: MotionPrior | None = None
    lever_arm: tuple[float, float, float] | None = None
    resume: bool = False
    jobs: int = 1
    threads: int | None = None
    rerun: str | None = None
    calibration: Path | None = None
    strict: bool = False
    settings: Path | None = None
    force: bool = False

    @cached_property
    def method(self) -> MethodSettings:
        """The settings of the method, of the file or the defaults."""
        return load_settings(self.settings) if self.settings else MethodSettings()

    @cached_property
    def known(self) -> KnownCalibration:
        """What the calibration file says."""
        return read_calibration(self.calibration) if self.calibration else KnownCalibration()

    @property
    def can_be_completed(self) -> bool:
        """Whether half a result can be gone on with: not a bag, not a video, not a stream."""
        return self.output.suffix == ".csv" and self.overlay is None and self.rerun is None

    @property
    def pivot(self) -> PivotConfig | None:
        """How the camera is held; what is not given is guessed from the kind of recording.

        Bags come from robots as a rule, images and videos from hands.
        """
        prior = self.motion_prior
        if prior is None:
            in_hand = self.lever_arm is not None or not is_bag(self.source)
            prior = MotionPrior.PIVOT if in_hand else MotionPrior.NONE
        if prior is MotionPrior.PIVOT:
            return replace(self.method.pivot, lever_arm=self.lever_arm)
        if self.lever_arm is not None:
            raise FrameError("a lever arm needs the motion prior pivot; leave out one of the two")
        return None

    def visual_imu(self, network: Network) -> VisualImu:
        """Return what measures, as the options say."""
        scale = self.known.linear_scale
        return self.method.visual_imu(network, self.direction, self.pivot, scale, self.fuses)

    @property
    def fuses(self) -> bool:
        """Whether neighbouring frames are registered and fused."""
        return self.registration and self.direction is not Direction.NONE


def run(options: RunOptions, network: Network | None = None, load: Loader | None = None) -> str:
    """Measure every frame of a recording and write one row each; return a line for a person.

    Rows that are written stay, whatever happens later.

    Args:
        options: what was asked for.
        network: instead of a model.
        load: loads the model; by default `load_network`.

    Raises:
        BlurImuError: what is wrong with the input.
    """
    options = _with_model_of_earlier(options)
    _check_places(options)
    settings = replace(frame_settings(options), view=_view(options, network))
    recording = open_recording(options.source, settings)
    # Several frames are measured at once, each on one core.
    threads = 1 if options.jobs > 1 else options.threads
    load = load or load_network
    network = network or load(options.model, options.backend, options.device, threads)
    if note := getattr(network, "note", ""):
        print_notes(note)
    record = RunRecord(_recipe(options, settings, network), len(recording))
    earlier = _earlier(options, record) if options.resume else None
    if earlier is not None and earlier.finished:
        return _measured_before(options, earlier)
    if not options.force:
        _keep_other_result(options)
    known = len(recording.notes)
    print_notes(*recording.notes, *_of_no_use(options))
    summary = RunSummary()
    with _told_how_to_go_on(options):
        count = _measure(options, recording, network, earlier or record, summary)
    print_notes(*recording.notes[known:])
    if count == 0:
        raise RecordingError(f"{options.source}: holds no images")
    if count == 1:
        print_notes("a single image does not tell the sign of the motion: it may be the opposite")
    for note in summary.notes(signs=options.direction is not Direction.NONE):
        print_notes(f"{options.output}: {note}")
    if options.plot is not None:
        _plot(options)
    replace(record, rows=count, finished=True).save(options.output)
    return f"{options.output}: {count} rows"


def _measured_before(options: RunOptions, earlier: RunRecord) -> str:
    """Leave a finished result as it is, but for a plot that is missing; return a line for a
    person."""
    if options.plot is not None and not options.plot.is_file():
        _plot(options)
    if _is_newer(options.source, record_path(options.output)):
        print_notes(
            f"{options.source}: was written after {options.output} was measured; leave out "
            "--resume to measure it anew"
        )
    return f"{options.output}: {earlier.rows} rows, measured before"


def _is_newer(recording: Path, record: Path) -> bool:
    """Return whether a file, or an image or part of a bag in a folder, was written after the record
    of its result."""
    try:
        files = images_at(recording)
        if recording.is_dir():
            files += [path for path in recording.iterdir() if path.suffix.lower() in BAG_SUFFIXES]
        written = max((file.stat().st_mtime for file in files), default=0.0)
        return written > record.stat().st_mtime
    except (OSError, RecordingError):
        return False


def load_once(model: str, backend: str, device: str, threads: int | None) -> BlurNetwork:
    """Return what `load_network` does; the same again where the last call asked for the same."""
    return _loaded(load_network, model, backend, device, threads)


@lru_cache(maxsize=1)
def _loaded(load: Loader, *asked: Any) -> BlurNetwork:
    return load(*asked)


def _with_model_of_earlier(options: RunOptions) -> RunOptions:
    """Return the options with the model of the run to go on with, unless the user names another.

    The default may have been another one then, and `auto` may decide otherwise than it did on what
    runs the model, and in how many bits.
    """
    known, backend = model_of(options.output) if options.resume else (None, None)
    if known is None:
        return options
    exact = options.backend == "auto"
    if exact and backend is not None and not known.endswith(SUFFIX):
        options = replace(options, backend=backend)
    same = not options.model_is_named or options.model == known.removesuffix(SUFFIX)
    if not same or known not in shipped_models():
        return options
    return replace(options, model=known if exact else known.removesuffix(SUFFIX))


def _measure(
    options: RunOptions,
    recording: Recording,
    network: Network,
    record: RunRecord,
    summary: RunSummary,
) -> int:
    """Measure the frames behind those of the record; return the number of rows that there are."""
    imu, frames, state, count = options.visual_imu(network), iter(recording), record.state, 0
    tracker = imu.tracker()
    summary.pivot = tracker.pivot
    if state is not None:
        count = state.decided
        tracker.resume(imu.measure(_frame(frames, state.taken, options.source)), state)
    total = max(0, len(recording) - count) or None
    with ExitStack() as stack:
        writer = stack.enter_context(_writer(options, network, count))
        video = OverlayWriter(options.overlay, options.axes)
        stack.callback(video.close)
        viewer = stack.enter_context(closing(RerunStream(options.rerun, options.source.name)))
        keeper = RecordKeeper(record, options.output)
        stack.callback(keeper.close)
        singles = measured_alone(imu, frames, options.jobs)
        tracked = stack.enter_context(closing(tracker.follow(singles)))
        for measurement in progress(tracked, recording.name, total):
            writer.write(measurement.frame, express(measurement.estimate, options.axes))
            video.write(measurement)
            viewer.write(measurement)
            summary.add(measurement)
            count += 1
            state = tracker.state
            if options.can_be_completed and state is not None and state.decided == count:
                keeper.keep(count, state)
    if video.note:
        print_notes(video.note)
    return count


def measured_alone(imu: VisualImu, frames: Iterable[Frame], jobs: int = 1) -> Iterator[Measurement]:
    """Yield the measurement of each frame alone, in order; the same for any number of threads
    `jobs`."""
    for _, measurement in in_order(imu.measure, frames, jobs):
        yield measurement


def _frame(frames: Iterator[Frame], number: int, source: Path) -> Frame:
    """Return the frame of a number, counted from 1, and pass over those before it."""
    for frame in islice(frames, number - 1, None):
        return frame
    raise RecordingError(
        f"{source}: has fewer than the {number} frames that were measured before; leave out "
        "--resume to start anew"
    )


def _earlier(options: RunOptions, now: RunRecord) -> RunRecord | None:
    """Return the run to go on with or to leave as it is, if there is one.

    Raises:
        RecordingError: the result that is there comes from another recording or other settings.
    """
    if address_of(options.source) is not None:
        raise RecordingError(
            f"{options.source}: a live camera cannot be resumed; leave out --resume"
        )
    earlier = RunRecord.load(options.output)
    if earlier is None:
        if options.output.is_file():
            raise RecordingError(
                f"{options.output}: does not tell which run it comes from (its .run.json is "
                "missing); leave out --resume to start anew"
            )
        return None
    earlier.check(options.output, now.recipe)
    if not options.model_is_named and options.model.removesuffix(SUFFIX) != DEFAULT_MODEL:
        print_notes(
            f"{options.output}: was begun with the model {options.model} and keeps it; the default "
            f"is {DEFAULT_MODEL}"
        )
    rows = whole_rows(options.output)
    if rows is not None and rows < earlier.rows:
        # What the filter knew at the last of these rows is not kept.
        print_notes(
            f"{options.output}: holds {rows} of the {earlier.rows} rows that were written to it; "
            "starting anew"
        )
        return None
    if earlier.finished:
        whole = options.overlay is None or options.overlay.is_file()
        return earlier if whole and earlier.frames == now.frames else None
    if not options.can_be_completed:
        print_notes("a bag, an overlay video or a .rrd cannot be resumed; starting anew")
        return None
    return replace(earlier, frames=now.frames)


def _keep_other_result(options: RunOptions) -> None:
    """Rename what is in the place of the output, unless it is an earlier result of this
    recording."""
    if not options.output.is_file():
        return
    earlier = record_of(options.output)
    live = address_of(options.source) is not None  # Each time it is another recording.
    if live or earlier is None or earlier.recipe.get("recording") != _name_of(options.source):
        kept = moved_aside(options.output)
        print_notes(
            f"{options.output}: held the result of another recording, which is kept as {kept}"
        )


def _name_of(source: Path) -> str:
    address = address_of(source)
    return str(source.resolve()) if address is None else without_password(str(address))


def _recipe(options: RunOptions, settings: FrameSettings, network: Network) -> Recipe:
    """Return everything that the numbers depend on."""
    card, stamps = getattr(network, "card", None), settings.stamps
    return {
        "version": __version__,
        "recording": _name_of(options.source),
        "topic": options.topic,
        "camera": None if settings.camera is None else asdict(settings.camera),
        "exposure_time": settings.exposure_time,
        "stamps": None if stamps is None else _hash(stamps, settings.stamp_names),
        "stamp_reference": options.stamp_reference.value,
        "model": str(getattr(network, "name", options.model)),
        "model_sha256": getattr(card, "sha256", None),
        "length_scale": getattr(card, "length_scale", None),
        "length_exponent": getattr(card, "length_exponent", None),
        "depth_slope": getattr(card, "depth_slope", None),
        "backend": "torch" if getattr(network, "runs_on", "").startswith("torch") else "onnx",
        "device": options.device,
        "direction": options.direction.value,
        "registration": options.registration,
        "motion_prior": (MotionPrior.PIVOT if options.pivot else MotionPrior.NONE).value,
        "lever_arm": options.lever_arm,
        "linear_scale": options.known.linear_scale,
        "axes": options.axes.value,
        "settings": sha256(repr(options.method).encode()).hexdigest(),
    }


def _hash(stamps: NDArray[Any], names: Sequence[str]) -> str:
    return sha256(stamps.tobytes() + "\n".join(names).encode()).hexdigest()


def _check_places(options: RunOptions) -> None:
    """Refuse, before the work is done, what could not be written or would destroy an input."""
    inputs = [
        options.source,
        options.camera,
        options.stamps,
        options.calibration,
        Path(options.model),
    ]
    stream = Path(options.rerun) if options.rerun else None
    refuse_overwriting((options.output, options.overlay, options.plot, stream), inputs)
    for path, known in (
        (options.output, RESULT_ENDINGS),
        (options.overlay, VIDEO_ENDINGS),
        (options.plot, PLOT_ENDINGS),
    ):
        if path is None:
            continue
        if path.suffix not in known:
            raise RecordingError(f"{path}: choose one of the endings {', '.join(known)}")
        if path.resolve().parent == options.source.resolve() and path.suffix in READ_ENDINGS:
            raise RecordingError(f"{path}: would become part of the input; choose another place")
        make_folder_of(path)
    if options.rerun is not None:
        check_target(options.rerun)
    if options.keep_topics and options.output.suffix != ".mcap":
        raise RecordingError(f"{options.output}: only a bag can keep topics; choose .mcap")


@contextmanager
def _writer(options: RunOptions, network: Network, kept: int) -> Iterator[ResultWriter]:
    """Give what writes the kind of file that is asked for, behind `kept` rows that are there."""
    if options.output.suffix == ".mcap":
        from blur_imu_ros.results.bag_writer import BagWriter

        name = str(getattr(network, "name", options.model))
        with BagWriter(options.output, options.axes, options.direction, name) as bag:
            bag.keep(options.source, options.keep_topics)
            yield bag
    else:
        with CsvWriter(options.output, kept, options.axes, options.fuses) as table:
            yield table


@contextmanager
def _told_how_to_go_on(options: RunOptions) -> Iterator[None]:
    """Say what completes a result when a signal, not an error, ends the run."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        if options.can_be_completed and address_of(options.source) is None:
            print_notes(f"{options.output}: the same command with --resume measures the rest")
        raise


def frame_settings(options: RunOptions) -> FrameSettings:
    """Return what the options say about the recording."""
    exposure_time = options.exposure
    if exposure_time is None:
        exposure_time = options.known.exposure_time
    if exposure_time is None and options.camera is not None:
        exposure_time = load_exposure_time(options.camera)
    given = Timestamps(None) if options.stamps is None else read_timestamps(options.stamps)
    return FrameSettings(
        exposure_time=exposure_time,
        camera=None if options.camera is None else load_camera(options.camera),
        stamps=given.times,
        stamp_reference=options.stamp_reference,
        topic=options.topic,
        strict=options.strict,
        timed=options.direction is not Direction.NONE,
        stamp_names=given.names,
        stamp_note=given.note,
    )


def _of_no_use(options: RunOptions) -> Iterator[str]:
    """Yield what a calibration says in vain where it is given as a camera alone."""
    if options.camera is None or options.calibration is not None:
        return
    with suppress(BlurImuError):  # Most cameras are no calibrations.
        scale = read_calibration(options.camera).linear_scale
        if scale != 1:
            yield (
                f"{options.camera}: its linear_scale, {scale:.3g}, is not applied to linear "
                "velocities; --calibration with the same file does that"
            )


def _view(options: RunOptions, network: Network | None) -> tuple[int, int] | None:
    """Return the size of the network's view, None where loading the network will say why not."""
    if network is not None:
        return network.input_size
    try:
        return view_size(options.model)
    except BlurImuError:
        return None


def _plot(options: RunOptions) -> None:
    from blur_imu_ros.viz.plots import plot_velocities

    series = read_velocities(options.output)
    assert options.plot is not None
    title = f"{options.source.name}, {MEANING[options.axes]}"
    plot_velocities(
        options.plot, series.t, series.velocity, series.sigma, title=title, valid=series.valid
    )
