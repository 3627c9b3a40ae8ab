"""`blur-imu run`: velocities from a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from blur_imu_ros.choices import Direction
from blur_imu_ros.cli.notes import print_notes
from blur_imu_ros.cli.resuming import (
    earlier_run,
    is_newer,
    keep_other_result,
    recipe_of,
    with_model_of_earlier,
)
from blur_imu_ros.cli.run_options import RunOptions, frame_settings
from blur_imu_ros.cli.run_summary import RunSummary
from blur_imu_ros.core.axes import MEANING, express
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.visual_imu import Network, VisualImu
from blur_imu_ros.errors import BlurImuError, RecordingError
from blur_imu_ros.execution.files import PLOT_ENDINGS, make_folder_of, refuse_overwriting
from blur_imu_ros.execution.parallel import in_order
from blur_imu_ros.execution.progress import progress
from blur_imu_ros.network.blur_network import BlurNetwork, Loader, load_network, view_size
from blur_imu_ros.recordings import Recording, open_recording
from blur_imu_ros.recordings.bag_names import is_bag
from blur_imu_ros.recordings.calibration_files import read_calibration
from blur_imu_ros.recordings.camera_files import camera_file
from blur_imu_ros.recordings.live import address_of
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results.csv_files import CsvWriter
from blur_imu_ros.results.result_file import ResultWriter
from blur_imu_ros.results.run_record import RecordKeeper, RunRecord, record_path
from blur_imu_ros.viz.overlay_video import OverlayWriter
from blur_imu_ros.viz.rerun_stream import RerunStream, check_target

RESULT_ENDINGS, VIDEO_ENDINGS = (".csv", ".mcap"), (".mp4",)
READ_ENDINGS = (".png", ".mcap")
"""Of files that would be read with the folder that they are in."""


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
    options = with_model_of_earlier(options)
    _check_places(options)
    settings = replace(frame_settings(options), view=_view(options, network))
    recording = open_recording(options.source, settings)
    # Several frames are measured at once, each on one core.
    threads = 1 if options.jobs > 1 else options.threads
    load = load or load_network
    network = network or load(options.model, options.backend, options.device, threads)
    if note := getattr(network, "note", ""):
        print_notes(note)
    record = RunRecord(recipe_of(options, settings, network), len(recording))
    earlier = earlier_run(options, record) if options.resume else None
    if earlier is not None and earlier.finished:
        return _measured_before(options, earlier)
    if not options.force:
        keep_other_result(options)
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
    if is_newer(options.source, record_path(options.output)):
        print_notes(
            f"{options.source}: was written after {options.output} was measured; leave out "
            "--resume to measure it anew"
        )
    return f"{options.output}: {earlier.rows} rows, measured before"


def load_once(model: str, backend: str, device: str, threads: int | None) -> BlurNetwork:
    """Return what `load_network` does; the same again where the last call asked for the same."""
    return _loaded(load_network, model, backend, device, threads)


@lru_cache(maxsize=1)
def _loaded(load: Loader, *asked: Any) -> BlurNetwork:
    return load(*asked)


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


def _check_places(options: RunOptions) -> None:
    """Refuse, before the work is done, what could not be written or would destroy an input."""
    inputs = [
        options.source,
        camera_file(options.camera),
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


def _of_no_use(options: RunOptions) -> Iterator[str]:
    """Yield what is given in vain: a topic for what is no bag, or what a calibration says where it
    is given as a camera alone."""
    if options.topic is not None and not is_bag(options.source):
        yield f"{options.source} is no bag, so it has no topic {options.topic}"
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
