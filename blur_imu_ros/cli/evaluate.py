"""`blur-imu evaluate`: an estimate against the ground truth, as a table, JSON, plot and report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from blur_imu_ros import __version__
from blur_imu_ros.choices import Axes, TruthAxes, Unit
from blur_imu_ros.cli.measured_axes import measured_axes
from blur_imu_ros.cli.notes import print_notes
from blur_imu_ros.cli.remarks import (
    NO_EXPOSURE_FITS,
    agreement_remarks,
    alignment_remarks,
    consistency_remarks,
    exposure_remark,
    latency_remarks,
    offset_remark,
)
from blur_imu_ros.cli.terminal import say, show
from blur_imu_ros.core.axes import MEANING
from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.alignment import Alignment, align, with_linear
from blur_imu_ros.evaluation.metrics import (
    Evaluation,
    MatchedSeries,
    evaluate,
    in_axes,
    match,
    plain,
    refuse_degrees,
    with_exposure_scaled,
    worst_rows,
)
from blur_imu_ros.execution.files import PLOT_ENDINGS, refuse_overwriting, with_ending, write_json
from blur_imu_ros.recordings.trajectories import TUM_SUFFIXES
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results.run_record import RunRecord, exposure_of, record_of, record_path
from blur_imu_ros.results.trajectory_files import integrated, sampled, write_tum
from blur_imu_ros.viz.report import write_report
from blur_imu_ros.viz.tables import tables_of

LONGEST_LATENCY = 10.0
"""Seconds; above it the recorder's clock is another than the camera's."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What `blur-imu evaluate` was asked for; see its help.

    `axes` is None where they are those that the estimate states, else optical; `truth_axes` where
    they are those that the ground truth states, else optical; `exposure` where it is what `run`
    noted, if anything.
    """

    estimate: Path
    truth: Path
    axes: Axes | None = None
    truth_axes: TruthAxes | None = None
    exposure: float | None = None
    fit_exposure: bool = False
    json: Path | None = None
    plot: Path | None = None
    topic: str | None = None
    truth_topic: str | None = None
    html: Path | None = None
    overlay: Path | None = None
    time_offset: float | None = None
    trajectory: Path | None = None
    truth_units: tuple[Unit, ...] = ()
    strict: bool = False

    @property
    def shown_axes(self) -> Axes:
        """Axes in which the two are compared."""
        known = None if self.truth_axes is None else self.truth_axes.known
        return known or Axes.OPTICAL

    @property
    def true_trajectory(self) -> Path | None:
        """Where the trajectory of the ground truth is written, beside that of the estimate."""
        path = self.trajectory
        return None if path is None else path.parent / f"{path.stem}.truth{path.suffix}"

    def completed(self) -> EvaluateOptions:
        """Return the same with the endings that are missing; RecordingError where one is wrong."""

        def ended(path: Path | None, *endings: str) -> Path | None:
            return None if path is None else with_ending(path, endings)

        return replace(
            self,
            json=ended(self.json, ".json"),
            plot=ended(self.plot, *PLOT_ENDINGS),
            html=ended(self.html, ".html", ".htm"),
            trajectory=ended(self.trajectory, *sorted(TUM_SUFFIXES)),
        )


def run_evaluate(options: EvaluateOptions) -> Evaluation:
    """Compare, print a table, write what was asked for, and return the figures.

    Raises:
        RecordingError: what is wrong with a file.
        FrameError: the exposure time cannot be one.
    """
    options, record = _completed(options)
    estimate, truth, options = _read(options)
    found, linear, truth = _aligned(options, estimate, truth)
    matched = match(estimate, truth, options.exposure)
    refuse_degrees(matched, options.truth_units)
    result = evaluate(matched)
    scale = result.exposure_scale
    if options.fit_exposure:
        matched = _with_exposure_that_fits(matched, scale, options.estimate)
        result = evaluate(matched)
    latency = _latency(estimate)
    header = list(_header(options, record))
    remarks = [
        *agreement_remarks(result, doubt_axes=options.truth_axes is not TruthAxes.FOUND),
        exposure_remark(result, scale, options.exposure, options.fit_exposure),
        *consistency_remarks(result),
        offset_remark(result, found, options.time_offset),
        *latency_remarks(latency),
        *(alignment_remarks(found, linear) if found else ()),
    ]
    _print(result, header, remarks, options)
    if options.json is not None:
        extra = {
            "fitted_exposure_scale": scale,
            "alignment": asdict(found) if found else None,
            "latency": latency,
            "run": None if record is None else record.recipe,
            "evaluated_by": __version__,
        }
        write_json(options.json, result.as_json() | plain(extra))
    _write_pictures(options, matched, estimate, result, [*header, *remarks])
    _write_trajectories(options, estimate, truth)
    return result


def _completed(options: EvaluateOptions) -> tuple[EvaluateOptions, RunRecord | None]:
    """Return the options, checked and completed by what `run` noted, and that."""
    _refuse_overwriting(options)  # before an ending is said to be wrong
    options = options.completed()
    _refuse_overwriting(options)
    if options.exposure is None:
        options = replace(options, exposure=exposure_of(options.estimate))
    if options.exposure is not None:
        check_exposure_time(options.exposure)
    if options.overlay is not None and options.html is None:
        raise RecordingError(f"{options.overlay}: its pictures belong in a report: give --html too")
    return options, record_of(options.estimate)


def _read(options: EvaluateOptions) -> tuple[VelocitySeries, VelocitySeries, EvaluateOptions]:
    """Return the estimate, in the axes of comparison, the ground truth, and the axes of that."""
    truth = read_velocities(options.truth, options.truth_topic, options.truth_units)
    estimate = read_velocities(options.estimate, options.topic)
    print_notes(*truth.notes, *estimate.notes, strict=options.strict)
    if options.truth_axes is not TruthAxes.FOUND:
        given = None if options.truth_axes is None else options.truth_axes.known
        known = measured_axes(options.truth, truth, given, "--truth-axes")
        options = replace(options, truth_axes=TruthAxes(known.value))
    axes = measured_axes(options.estimate, estimate, options.axes)
    return in_axes(estimate, axes, options.shown_axes), truth, options


def _aligned(
    options: EvaluateOptions, estimate: VelocitySeries, truth: VelocitySeries
) -> tuple[Alignment | None, str, VelocitySeries]:
    """Return the alignment that was found, a word on linear velocities, and the ground truth on
    the estimate's clock and axes."""
    if options.truth_axes is TruthAxes.FOUND:
        found = align(estimate, truth, options.exposure, options.time_offset)
        truth, linear = with_linear(estimate, truth, found, options.exposure)
        return found, linear, truth
    if options.time_offset is not None:
        truth = replace(truth, t=truth.t - options.time_offset)
    return None, "", truth


def _with_exposure_that_fits(matched: MatchedSeries, scale: float, path: Path) -> MatchedSeries:
    """Return the estimates as the exposure time that fits would have given them."""
    if matched.single is not None:
        raise RecordingError(
            f"{path}: neighbouring frames were fused assuming another exposure time; run again "
            "with the one that fits, or with run --no-registration"
        )
    if np.isnan(scale):
        raise RecordingError(f"{path}: {NO_EXPOSURE_FITS}; leave out --fit-exposure")
    return with_exposure_scaled(matched, scale)


def _refuse_overwriting(options: EvaluateOptions) -> None:
    inputs = [options.estimate, options.truth, options.overlay, record_path(options.estimate)]
    outputs = (options.json, options.plot, options.html)
    refuse_overwriting((*outputs, options.trajectory, options.true_trajectory), inputs)


def _write_trajectories(
    options: EvaluateOptions, estimate: VelocitySeries, truth: VelocitySeries
) -> None:
    """Write both as trajectories that start together, for evo and the like."""
    if options.trajectory is None or options.true_trajectory is None:
        return
    if options.shown_axes is Axes.GYRO:
        raise RecordingError(
            f"{options.trajectory}: a trajectory has one body frame, but in axes gyro angular and "
            "linear velocity have different ones; give --truth-axes optical, body or found"
        )
    start, end = max(estimate.t[0], truth.t[0]), min(estimate.t[-1], truth.t[-1])
    inside = (estimate.t >= start) & (estimate.t <= end)
    poses = integrated(replace(estimate, valid=estimate.valid & inside))
    true = integrated(truth)
    shared = (poses.t >= true.t[0]) & (poses.t <= true.t[-1])
    write_tum(options.trajectory, sampled(poses, poses.t[shared]))
    write_tum(options.true_trajectory, sampled(true, poses.t[shared]))


def _write_pictures(
    options: EvaluateOptions,
    matched: MatchedSeries,
    estimate: VelocitySeries,
    result: Evaluation,
    remarks: list[str],
) -> None:
    """Write the plot and the report that were asked for."""
    if options.plot is not None:
        _plot(options.plot, matched, options)
    if options.html is not None:
        pictures = _worst_pictures(options.overlay, matched, estimate)
        write_report(options.html, matched, result, _title(options), remarks, pictures)


def _worst_pictures(
    overlay: Path | None, matched: MatchedSeries, estimate: VelocitySeries
) -> list[bytes]:
    """Return overlays of the frames with the largest errors, none where there is no video."""
    if overlay is None:
        return []
    from blur_imu_ros.viz.overlay_pictures import overlay_pictures

    used = matched.used()
    rows = np.searchsorted(estimate.t, used.t[worst_rows(used)])
    return overlay_pictures(overlay, map(int, rows), len(estimate.t))


def _title(options: EvaluateOptions) -> str:
    names = f"{options.estimate.name} against {options.truth.name}"
    return f"{names}, {MEANING[options.shown_axes]}"


def _print(
    result: Evaluation, header: list[str], remarks: list[str], options: EvaluateOptions
) -> None:
    say(_title(options), style="bold")
    for line in header:
        say(line)
    for table in tables_of(result):
        show(table.for_terminal())
    for remark in remarks:
        say(remark)


def _header(options: EvaluateOptions, record: RunRecord | None) -> Iterator[str]:
    """Yield what was compared, as far as run noted it."""
    if record is not None:
        stated = record.recipe.get
        exposure = stated("exposure_time")
        facts = (
            ("recording", Path(str(stated("recording"))).name if stated("recording") else None),
            ("model", stated("model")),
            ("exposure", f"{1e3 * exposure:g} ms" if isinstance(exposure, int | float) else None),
            ("direction", stated("direction")),
            ("motion prior", stated("motion_prior")),
            ("axes", stated("axes")),
            ("measured by blur_imu_ros", stated("version")),
        )
        yield "; ".join(f"{name} {value}" for name, value in facts if value is not None)
    yield f"compared by blur_imu_ros {__version__}; {MEANING[options.shown_axes]}"


def _latency(estimate: VelocitySeries) -> dict[str, float] | None:
    """Return median and 95th percentile of the latency (s) of what was recorded live."""
    latency = estimate.latency
    # Written afterwards, or by a clock that is not the camera's: nothing that a latency can be.
    if latency is None or not 0 < np.median(latency) < LONGEST_LATENCY:
        return None
    return {"median": float(np.median(latency)), "p95": float(np.percentile(latency, 95))}


def _plot(path: Path, matched: MatchedSeries, options: EvaluateOptions) -> None:
    from blur_imu_ros.viz.plots import plot_velocities

    truth = (matched.t, matched.truth)
    title, valid = _title(options), matched.valid
    plot_velocities(path, matched.t, matched.estimate, matched.sigma, truth, title, valid)
