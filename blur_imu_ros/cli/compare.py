"""`blur-imu compare`: ours and others on one recording, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from blur_imu_ros.choices import Axes
from blur_imu_ros.cli.run import RunOptions, frame_settings
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.series import VELOCITIES, VelocitySeries
from blur_imu_ros.core.visual_imu import Network
from blur_imu_ros.evaluation.baselines import (
    FromBlur,
    Method,
    OpticalFlow,
    Recorded,
    ZeroVelocity,
    from_trajectory,
)
from blur_imu_ros.evaluation.metrics import FEWEST_ROWS, Evaluation, evaluate, in_axes, match
from blur_imu_ros.execution.files import refuse_overwriting, write_json
from blur_imu_ros.execution.progress import progress
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings import open_recording
from blur_imu_ros.recordings.camera_files import camera_file
from blur_imu_ros.recordings.trajectories import TUM_SUFFIXES, read_poses
from blur_imu_ros.recordings.velocities import read_velocities


@dataclass(frozen=True)
class CompareOptions:
    """What `blur-imu compare` was asked for; see its help.

    `run` tells of recording, camera and model; its `axes` are those of `others`.
    """

    run: RunOptions
    truth: Path
    truth_axes: Axes = Axes.OPTICAL
    others: tuple[str, ...] = ()
    flow: bool = True
    blur: bool = True
    colmap: bool = False
    json: Path | None = None


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
    truth = read_velocities(options.truth)
    methods = list(_methods(options, truth, network))
    frames, lines = 0, []
    for method in methods:
        series = method.series(progress(recording, method.name, len(recording) or None))
        frames = frames or len(series.t)  # the first has a row for every frame
        lines.append(_compared(method.name, series, truth, options, frames, settings.exposure_time))
    _print(lines, frames, options)
    if options.json is not None:
        _write(options.json, lines, frames)
    return lines


def _methods(
    options: CompareOptions, truth: VelocitySeries, network: Network | None
) -> Iterator[Method]:
    run = options.run
    yield ZeroVelocity()
    if options.flow:
        yield OpticalFlow()
    if options.blur:
        network = network or load_network(run.model, run.backend, run.device)
        yield FromBlur(run.visual_imu(network))
    in_optical = in_axes(truth, options.truth_axes, Axes.OPTICAL)
    if options.colmap:
        from blur_imu_ros.evaluation.structure_from_motion import Colmap

        yield Colmap(in_optical)
    for other in options.others:
        yield _other(other, run.axes, in_optical)


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.rpartition("=")
    source = Path(path)
    return name or source.stem, source


def _other(text: str, axes: Axes, truth: VelocitySeries) -> Method:
    """Return the method of NAME=PATH, or of a path alone."""
    name, source = _named(text)
    if source.suffix in TUM_SUFFIXES:
        return from_trajectory(name, read_poses(source), truth)
    return Recorded(name, in_axes(read_velocities(source), axes, Axes.OPTICAL))


def _compared(
    name: str,
    series: VelocitySeries,
    truth: VelocitySeries,
    options: CompareOptions,
    frames: int,
    exposure_time: float | None,
) -> Compared:
    inside = (series.t >= truth.t[0] - 1e-6) & (series.t <= truth.t[-1] + 1e-6)
    answered = int(np.sum(inside & series.valid))
    failures = max(0, frames - answered)
    if answered < FEWEST_ROWS:
        return Compared(name, failures, None)
    shown = in_axes(series, Axes.OPTICAL, options.truth_axes)
    return Compared(name, failures, evaluate(match(shown, truth, exposure_time)))


def _print(lines: list[Compared], frames: int, options: CompareOptions) -> None:
    title = f"RMSE, {options.run.source.name}, {options.truth_axes.value} axes"
    table = Table(title=title)
    for heading in ("", *VELOCITIES, "failures"):
        table.add_column(heading, justify="left" if not heading else "right")
    for line in lines:
        numbers = ["fails", *[""] * 5] if line.result is None else _numbers(line.rmse)
        table.add_row(line.name, *numbers, f"{line.failures} of {frames}")
        if line.result is not None and line.result.invalid:
            table.add_row("  all rows", *_numbers(line.result.rmse_all_rows), "", style="dim")
    console = Console()
    console.print(table)
    console.print("rad/s and m/s; failures are frames without a velocity, left out of the RMSE;")
    console.print("all rows: with the velocities counted that the method itself refused")


def _numbers(values: Array) -> list[str]:
    return [f"{x:.2f}" if np.isfinite(x) else "" for x in values]


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
