"""`blur-imu compare`: ours and others on one recording, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blur_imu_ros import __version__
from blur_imu_ros.choices import Axes, MotionPrior, Unit
from blur_imu_ros.cli.measured_axes import measured_axes
from blur_imu_ros.cli.notes import print_notes
from blur_imu_ros.cli.run_options import RunOptions, frame_settings
from blur_imu_ros.cli.terminal import say, show
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.axes import MEANING
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.core.visual_imu import Network
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.baselines import (
    FromBlur,
    Method,
    OpticalFlow,
    Recorded,
    RegistrationFromRest,
    ZeroVelocity,
    from_trajectory,
)
from blur_imu_ros.evaluation.metrics import (
    FEWEST_ROWS,
    Evaluation,
    evaluate,
    in_axes,
    lies_within,
    match,
    refuse_degrees,
)
from blur_imu_ros.execution.files import refuse_overwriting, with_ending, write_json
from blur_imu_ros.execution.progress import progress
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings import open_recording
from blur_imu_ros.recordings.camera_files import camera_file
from blur_imu_ros.recordings.trajectories import TUM_SUFFIXES, read_poses
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.viz.tables import WITH_UNITS, Table, rmse_row


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What `blur-imu compare` was asked for; see its help.

    `run` holds recording, camera and model; `axes` are those of `others`, and `truth_axes` those of
    the ground truth; None where they are those that each states, else optical.
    """

    run: RunOptions
    truth: Path
    truth_axes: Axes | None = None
    others: tuple[str, ...] = ()
    flow: bool = True
    blur: bool = True
    colmap: bool = False
    json: Path | None = None
    truth_units: tuple[Unit, ...] = ()
    strict: bool = False
    axes: Axes | None = None
    from_rest: bool = True


@dataclass(frozen=True)
class Compared:
    """One line of the table.

    Attributes:
        name: of the method.
        failures: frames for which it has no velocity.
        result: of the frames for which it has one; None where hardly any is left.
    """

    name: str
    failures: int
    result: Evaluation | None

    @property
    def rmse(self) -> Array:
        """(6,) NaN where it failed."""
        return np.full(6, np.nan) if self.result is None else self.result.rmse


def run_compare(options: CompareOptions, network: Network | None = None) -> list[Compared]:
    """Measure with every method, print a table, write what was asked for, return the lines.

    Raises:
        BlurImuError: what is wrong with the input.
    """
    run = options.run
    if options.json is not None:
        options = replace(options, json=with_ending(options.json, (".json",)))
    others = [_named(other)[1] for other in options.others]
    inputs = [
        run.source,
        options.truth,
        camera_file(run.camera),
        run.stamps,
        Path(run.model),
        *others,
    ]
    refuse_overwriting([options.json], inputs)
    settings = frame_settings(options.run)
    recording = open_recording(options.run.source, settings)
    truth = read_velocities(options.truth, units=options.truth_units)
    print_notes(*truth.notes, strict=options.strict)
    axes = measured_axes(options.truth, truth, options.truth_axes, "--truth-axes")
    truth = in_axes(truth, axes, Axes.OPTICAL)
    methods = list(_methods(options, truth, network))
    frames, lines = 0, list[Compared]()
    for method in methods:
        series = method.series(progress(recording, method.name, len(recording) or None))
        if not lines:  # The first has a row for every frame.
            frames = len(series.t)
            _check_clocks(series, truth, options)
        for name, estimate in _estimates_of(method.name, series):
            answered = int(np.sum(lies_within(estimate.t, truth) & estimate.valid))
            shown, true = (in_axes(one, Axes.OPTICAL, axes) for one in (estimate, truth))
            result = _result(shown, true, settings.exposure_time, options.truth_units)
            lines.append(Compared(name, max(0, frames - answered), result))
    print_notes(*dict.fromkeys(recording.notes))  # Each method went through the recording.
    _print(lines, frames, options, axes)
    print_notes(*axes_remark(lines))
    if options.json is not None:
        _write(options.json, lines, frames)
    return lines


def _check_clocks(frames: VelocitySeries, truth: VelocitySeries, options: CompareOptions) -> None:
    """Refuse a recording and a ground truth of other times before anything is measured."""
    common = int(lies_within(frames.t, truth).sum())
    if len(frames.t) and common < min(FEWEST_ROWS, len(frames.t)):
        raise RecordingError(
            f"{options.truth}: knows {common} of the {len(frames.t)} frames of "
            f"{options.run.source}: it is of the time from {truth.t[0]:.3f} to {truth.t[-1]:.3f} "
            f"s, and these are of {frames.t[0]:.3f} to {frames.t[-1]:.3f} s; give the frames "
            "timestamps on its clock",
            cures=("stamps",),
        )


def _estimates_of(name: str, series: VelocitySeries) -> Iterator[tuple[str, VelocitySeries]]:
    """Yield what a method says, and beside it its single images, where these differ."""
    yield name, series
    if series.single is not None:
        yield "blur, each image alone", replace(series, velocity=series.single, sigma=None)


def _methods(
    options: CompareOptions, truth: VelocitySeries, network: Network | None
) -> Iterator[Method]:
    run = options.run
    yield ZeroVelocity()
    if options.flow:
        yield OpticalFlow()
    if options.blur:
        network = network or load_network(run.model, run.backend, run.device)
    if options.from_rest:
        yield from (RegistrationFromRest(network, every) for every in (1, 2))
    if options.blur:
        assert network is not None
        name = "blur and neighbours" if run.fuses else "blur, sign by neighbours"
        yield FromBlur(run.visual_imu(network), name)
    if options.colmap:
        from blur_imu_ros.evaluation.structure_from_motion import Colmap

        yield Colmap(truth)
    for other in options.others:
        yield _other(other, options.axes, truth)


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    source = Path(path)
    return name or source.stem, source


def _other(text: str, axes: Axes | None, truth: VelocitySeries) -> Method:
    """Return the method of NAME=PATH, or of a path alone."""
    name, source = _named(text)
    if source.suffix in TUM_SUFFIXES:
        return from_trajectory(name, read_poses(source), truth)
    series = read_velocities(source)
    return Recorded(name, in_axes(series, measured_axes(source, series, axes), Axes.OPTICAL))


def _result(
    series: VelocitySeries,
    truth: VelocitySeries,
    exposure_time: float | None,
    units: tuple[Unit, ...],
) -> Evaluation | None:
    """Return how well two series in the same axes agree, None where hardly any row can be
    compared."""
    try:
        matched = match(series, truth, exposure_time)
    except RecordingError:
        return None
    refuse_degrees(matched, units)
    return evaluate(matched)


def _print(lines: list[Compared], frames: int, options: CompareOptions, axes: Axes) -> None:
    rows = []
    for line in lines:
        cells = rmse_row(line.name, line.rmse)
        if line.result is None:
            cells = (line.name, "fails", *cells[2:])
        rows.append((*cells, str(line.failures)))
        if line.result is not None and line.result.invalid:
            rows.append((*rmse_row("  with its invalid rows", line.result.rmse_all_rows), ""))
    table = Table.of("RMSE", ("method", *WITH_UNITS, f"failed [of {frames}]"), rows)
    for text in _header(options, axes):
        say(text)
    show(table.for_terminal())
    say(
        "failed: frames without a velocity, left out of the RMSE; with its invalid rows: the RMSE "
        "including the velocities that the method itself rejected"
    )


def axes_remark(lines: list[Compared]) -> Iterator[str]:
    """Yield what is likely where the ground truth does not go with any of the methods."""
    methods = [line for line in lines if line.name != ZeroVelocity.name]
    doubts = [line.result.doubt for line in methods if line.result is not None]
    if doubts and all(doubts):
        yield (
            f"with every method {' or '.join(dict.fromkeys(doubts))}: is the ground truth in other "
            "axes, or on another clock? --truth-axes names its axes; evaluate --truth-axes found "
            "estimates them"
        )


def _header(options: CompareOptions, axes: Axes) -> Iterator[str]:
    run = options.run
    prior = (MotionPrior.PIVOT if run.pivot else MotionPrior.NONE).value
    exposure = frame_settings(run).exposure_time
    parts = [f"recording {run.source.name}", f"model {run.model}", f"motion prior {prior}"]
    if exposure is not None:
        parts.append(f"exposure {1e3 * exposure:g} ms")
    yield "; ".join(parts)
    yield f"against {options.truth.name}; {MEANING[axes]}; blur_imu_ros {__version__}"


def _write(path: Path, lines: list[Compared], frames: int) -> None:
    content = {
        "frames": frames,
        "methods": [
            {
                "name": line.name,
                "failures": line.failures,
                "figures": None if line.result is None else line.result.as_json(),
            }
            for line in lines
        ],
    }
    write_json(path, content)
