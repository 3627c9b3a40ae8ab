"""`blur-imu evaluate`: an estimate against the truth, as a table, JSON, plot and report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.axes import MEANING
from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.core.series import VELOCITIES, VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.alignment import Alignment, align, in_camera
from blur_imu_ros.evaluation.metrics import (
    CLEAR_TURN,
    Evaluation,
    MatchedSeries,
    evaluate,
    in_axes,
    match,
    plain,
    with_exposure_scaled,
    worst_rows,
)
from blur_imu_ros.execution.files import refuse_overwriting, write_json
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results.run_record import exposure_of, record_path
from blur_imu_ros.viz.report import blur_rows, table_rows, write_report

LONGEST_LATENCY = 10.0
"""Seconds; above it the recorder's clock is another than the camera's."""

NO_EXPOSURE_FITS = "no exposure time fits: the turns do not go with the truth's"


@dataclass(frozen=True)
class EvaluateOptions:
    """What `blur-imu evaluate` was asked for; see its help.

    `truth_axes` is None where they are to be found from the data, with the time offset; `exposure`
    where it is what `run` noted beside the estimate, if anything.
    """

    estimate: Path
    truth: Path
    axes: Axes = Axes.OPTICAL
    truth_axes: Axes | None = Axes.OPTICAL
    exposure: float | None = None
    fit_exposure: bool = False
    json: Path | None = None
    plot: Path | None = None
    topic: str | None = None
    truth_topic: str | None = None
    html: Path | None = None
    overlay: Path | None = None
    time_offset: float | None = None

    @property
    def shown_axes(self) -> Axes:
        """Axes in which the two are compared."""
        return self.truth_axes or Axes.OPTICAL


def run_evaluate(options: EvaluateOptions) -> Evaluation:
    """Compare, print a table, write what was asked for, and return the figures.

    Raises:
        RecordingError: what is wrong with a file.
        FrameError: the exposure time cannot be one.
    """
    inputs = [options.estimate, options.truth, options.overlay, record_path(options.estimate)]
    refuse_overwriting((options.json, options.plot, options.html), inputs)
    if options.exposure is None:
        options = replace(options, exposure=exposure_of(options.estimate))
    if options.exposure is not None:
        check_exposure_time(options.exposure)
    if options.overlay is not None and options.html is None:
        raise RecordingError(f"{options.overlay}: its pictures go into a report: give --html too")
    truth = read_velocities(options.truth, options.truth_topic)
    estimate = read_velocities(options.estimate, options.topic)
    estimate = in_axes(estimate, options.axes, options.shown_axes)
    found = None
    if options.truth_axes is None:
        found = align(estimate, truth, options.exposure, options.time_offset)
        truth = in_camera(truth, found)
    matched = match(estimate, truth, options.exposure)
    result = evaluate(matched)
    scale = result.exposure_scale
    if options.fit_exposure:
        if np.isnan(scale):
            raise RecordingError(
                f"{options.estimate}: {NO_EXPOSURE_FITS}; leave out --fit-exposure"
            )
        matched = with_exposure_scaled(matched, scale)
        result = evaluate(matched)
    latency = _latency(estimate)
    remarks = [
        *_remarks(result, scale, options),
        *_latency_remarks(latency),
        *(_alignment_remarks(found) if found else ()),
    ]
    _print(result, remarks, options)
    if options.json is not None:
        extra = {
            "fitted_exposure_scale": scale,
            "alignment": asdict(found) if found else None,
            "latency": latency,
        }
        write_json(options.json, result.as_json() | plain(extra))
    _write_pictures(options, matched, estimate, result, remarks)
    return result


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


def _print(result: Evaluation, remarks: list[str], options: EvaluateOptions) -> None:
    console = Console()
    table = Table(title=_title(options))
    for heading in ("", *VELOCITIES):
        table.add_column(heading, justify="right")
    for row in table_rows(result):
        table.add_row(*row)
    console.print(table)
    if result.by_blur:
        table = Table(title="by length of the smear")
        for heading in ("pixels", "frames", "RMSE w", "RMSE v"):
            table.add_column(heading, justify="right")
        for row in blur_rows(result):
            table.add_row(*row)
        console.print(table)
    for remark in remarks:
        console.print(remark, highlight=False, soft_wrap=True)


def _remarks(result: Evaluation, scale: float, options: EvaluateOptions) -> Iterator[str]:
    yield f"{result.rows} rows; {result.invalid} not valid, {result.outside} outside"
    if result.clear_rows:
        yield f"right signs {result.right_signs:.1%} of {result.clear_rows} clear turns"
    else:
        yield f"right signs: no turn is faster than {CLEAR_TURN:g} rad/s"
    yield from _axes_remark(result, options)
    yield _exposure_remark(scale, options)
    yield f"time offset {result.time_offset * 1e3:+.1f} ms"
    told = [f"{x:.2f} ({name})" for x, name in zip(result.nees, "wv", strict=True) if x == x]
    if told:
        yield f"normalised squared error {', '.join(told)}; 1 is honest"


def _axes_remark(result: Evaluation, options: EvaluateOptions) -> Iterator[str]:
    """Yield the likeliest reason of signs that are worse than chance."""
    if result.right_signs < 0.5 and options.truth_axes is not None:
        yield "fewer are right than by chance: other axes or clocks? --truth-axes found looks for them"


def _exposure_remark(scale: float, options: EvaluateOptions) -> str:
    if np.isnan(scale):
        return NO_EXPOSURE_FITS
    fitted = f"x {scale:.3f}"
    if options.exposure is not None:
        fitted += f" = {options.exposure * scale * 1e3:.2f} ms"
    return f"exposure that fits best: {fitted}{', applied' if options.fit_exposure else ''}"


def _latency(estimate: VelocitySeries) -> dict[str, float] | None:
    """Return median and 95th percentile of the latency (s) of what was recorded live."""
    latency = estimate.latency
    # Written afterwards, or by a clock that is not the camera's: nothing that a latency can be.
    if latency is None or not 0 < np.median(latency) < LONGEST_LATENCY:
        return None
    return {"median": float(np.median(latency)), "p95": float(np.percentile(latency, 95))}


def _latency_remarks(latency: dict[str, float] | None) -> Iterator[str]:
    if latency is not None:
        median, p95 = (1e3 * latency[name] for name in ("median", "p95"))
        yield f"latency from stamp to recording: median {median:.0f} ms, 95 % within {p95:.0f} ms"


def _alignment_remarks(found: Alignment) -> Iterator[str]:
    rows = "; ".join(" ".join(f"{x:+.4f}" for x in row) for row in found.rotation)
    tilt = " ".join(f"{x:.2f}" for x in np.degrees(found.rotation_std))
    offset, std = found.time_offset, 1e3 * found.time_offset_std
    yield f"found: camera from truth [{rows}] +/- {tilt} degrees, applied"
    told = f"{1e3 * offset:+.2f} +/- {std:.2f} ms" if abs(offset) < 1 else f"{offset:+.4f} s"
    yield f"found: time offset {told}, applied"
    yield f"found from {found.rows} rows, correlation {found.correlation:.3f}"


def _plot(path: Path, matched: MatchedSeries, options: EvaluateOptions) -> None:
    from blur_imu_ros.viz.plots import plot_velocities

    truth = (matched.t, matched.truth)
    title, valid = _title(options), matched.valid
    plot_velocities(path, matched.t, matched.estimate, matched.sigma, truth, title, valid)
