"""`blur-imu evaluate`: an estimate against the truth, as a table, JSON and plot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from blur_imu_ros.axes import MEANING, Axes
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation import (
    Evaluation,
    MatchedSeries,
    evaluate,
    in_axes,
    match,
    with_exposure_scaled,
)
from blur_imu_ros.frame import check_exposure_time
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results import VELOCITIES, make_folder_of


@dataclass(frozen=True)
class EvaluateOptions:
    """What `blur-imu evaluate` was asked for; see its help."""

    estimate: Path
    truth: Path
    axes: Axes = Axes.OPTICAL
    truth_axes: Axes = Axes.OPTICAL
    exposure: float | None = None
    fit_exposure: bool = False
    json: Path | None = None
    plot: Path | None = None
    topic: str | None = None
    truth_topic: str | None = None


def run_evaluate(options: EvaluateOptions) -> Evaluation:
    """Compare, print a table, write what was asked for, and return the figures.

    Raises:
        RecordingError: what is wrong with a file.
        FrameError: the exposure time cannot be one.
    """
    if options.exposure is not None:
        check_exposure_time(options.exposure)
    truth = read_velocities(options.truth, options.truth_topic)
    estimate = read_velocities(options.estimate, options.topic)
    estimate = in_axes(estimate, options.axes, options.truth_axes)
    matched = match(estimate, truth, options.exposure)
    result = evaluate(matched)
    scale = result.exposure_scale
    if options.fit_exposure:
        matched = with_exposure_scaled(matched, scale)
        result = evaluate(matched)
    _print(result, scale, options)
    if options.json is not None:
        _write_json(options.json, result.as_json() | {"fitted_exposure_scale": scale})
    if options.plot is not None:
        _plot(options.plot, matched, options)
    return result


def _print(result: Evaluation, scale: float, options: EvaluateOptions) -> None:
    table = Table(title=f"{options.estimate.name} against {options.truth.name}")
    for heading in ("", *VELOCITIES):
        table.add_column(heading, justify="right")
    for name, row in (
        ("RMSE", result.rmse),
        ("RMSE of zero", result.zero_rmse),
        ("mean |error|", result.mae),
        ("correlation", result.correlation),
        ("within 1 sigma", result.coverage[0]),
        ("within 2 sigma", result.coverage[1]),
    ):
        table.add_row(name, *(f"{x:.2f}" for x in row))
    console = Console()
    console.print(table)
    fitted = f"x {scale:.3f}"
    if options.exposure is not None:
        fitted += f" = {options.exposure * scale * 1e3:.2f} ms"
    applied = ", applied" if options.fit_exposure else ""
    console.print(f"{result.rows} rows; {result.invalid} not valid, {result.outside} outside")
    console.print(f"right signs {result.right_signs:.1%} of {result.clear_rows} clear turns")
    console.print(f"exposure that fits best: {fitted}{applied}")
    console.print(f"time offset {result.time_offset * 1e3:+.1f} ms")
    console.print(f"normalised squared error {result.nees[0]:.2f} (w), {result.nees[1]:.2f} (v)")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    make_folder_of(path)
    try:
        path.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error


def _plot(path: Path, matched: MatchedSeries, options: EvaluateOptions) -> None:
    from blur_imu_ros.plots import plot_velocities

    title = f"{options.estimate.name} and {options.truth.name}, {MEANING[options.truth_axes]}"
    truth = (matched.t, matched.truth)
    plot_velocities(path, matched.t, matched.estimate, matched.sigma, truth, title)
