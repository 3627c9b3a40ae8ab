"""`blur-imu calibrate`: what a recording with a gyroscope says about a camera, as YAML."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from blur_imu_ros.choices import Axes, Unit
from blur_imu_ros.cli.measured_axes import measured_axes
from blur_imu_ros.cli.notes import print_notes
from blur_imu_ros.cli.terminal import say, show
from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.evaluation.calibration import LENGTH_STD, Calibration, angular_rmse, calibrate
from blur_imu_ros.evaluation.metrics import in_axes
from blur_imu_ros.evaluation.process_noise import process_noise_of
from blur_imu_ros.execution.files import refuse_overwriting, write_text
from blur_imu_ros.recordings.camera_files import camera_file, flat, load_camera, load_exposure_time
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results.run_record import (
    exposure_of,
    linear_scale_of,
    record_path,
    stamp_reference_of,
)

NOTICEABLE = 1.02
"""Times the error, below which a larger one is chance."""
UNITS = {
    "exposure_time": "s",
    "time_offset": "s",
    "camera_imu_rotation": "sigma in rad",
    "gyro_bias": "rad/s",
}
"""Of what is found, as it is printed."""


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """What `blur-imu calibrate` was asked for; see its help."""

    estimate: Path
    truth: Path
    output: Path
    camera: Path | None = None
    exposure: float | None = None
    axes: Axes | None = None
    truth_axes: Axes | None = None
    topic: str | None = None
    truth_topic: str | None = None
    time_offset: float | None = None
    truth_units: tuple[Unit, ...] = ()
    strict: bool = False


def run_calibrate(options: CalibrateOptions) -> Calibration:
    """Calibrate, print a table, write the YAML, and return what was found.

    Raises:
        BlurImuError: a file is wrong, or the data do not decide it.
    """
    inputs = [
        options.estimate,
        options.truth,
        camera_file(options.camera),
        record_path(options.estimate),
    ]
    refuse_overwriting([options.output], inputs)
    camera = {}
    if options.camera is not None:
        camera = flat(load_camera(options.camera))
    exposure_time = _assumed_exposure(options)
    if exposure_time is not None:
        check_exposure_time(exposure_time)
    seen = read_velocities(options.estimate, options.topic)
    estimate = in_axes(seen, measured_axes(options.estimate, seen, options.axes), Axes.OPTICAL)
    truth = read_velocities(options.truth, options.truth_topic, options.truth_units)
    print_notes(*seen.notes, *truth.notes, strict=options.strict)
    if options.truth_axes is not None:
        measured_axes(options.truth, truth, options.truth_axes, "--truth-axes")
    found = calibrate(estimate, truth, exposure_time, options.truth_axes, options.time_offset)
    applied = linear_scale_of(options.estimate)
    tells_scale, found = found.linear_scale is not None, found.on_top_of(applied)
    reference = stamp_reference_of(options.estimate)
    stated = {} if reference is None else {"stamp_reference": reference.value}
    _write(options.output, camera | found.values() | stated, found)
    _print(found, options)
    if not tells_scale:
        kept = f" of the run, {applied:.4g}, is kept" if applied != 1 else ""
        say(f"linear_scale{kept}: the ground truth has no linear velocity, or too little of it")
    print_gain(*angular_rmse(estimate, truth, found), alone=estimate.single is not None)
    _print_process_noise(estimate, truth)
    return found


def _assumed_exposure(options: CalibrateOptions) -> float | None:
    """Return the exposure time (s) that was given, else what `run` noted, else the camera's."""
    if options.exposure is not None:
        return options.exposure
    noted = exposure_of(options.estimate)
    if noted is None and options.camera is not None:
        return load_exposure_time(options.camera)
    return noted


def _write(path: Path, content: dict[str, Any], found: Calibration) -> None:
    content = content | {"standard_deviations": found.standard_deviations()}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None)
    write_text(path, f"# Written by blur-imu calibrate; seconds, radians, metres.\n{text}")


def _print(found: Calibration, options: CalibrateOptions) -> None:
    table = Table(title=f"{options.estimate.name} against {options.truth.name}")
    for heading in ("", "found", "standard deviation"):
        table.add_column(heading, justify="left" if not heading else "right")
    deviations = found.standard_deviations()
    for name, value in found.values().items():
        shown = f"{name} [{UNITS[name]}]" if name in UNITS else name
        known = (value, deviations[name]) if name in deviations else (value,)
        table.add_row(shown, *("\n".join(_lines(x)) for x in known))
    show(table)
    rows, correlation = found.alignment.rows, found.alignment.correlation
    say(f"from {rows} frames, correlation {correlation:.3f}; wrote {options.output}")
    if found.assumed_exposure is None:
        say("exposure_scale is true over assumed exposure time; give --exposure for it")
    say(
        f"the exposure also absorbs the model's error in blur length, about {LENGTH_STD:.0%}, "
        "which is included in its standard deviation: a gyroscope cannot tell the two apart"
    )
    if not found.tells_bias:
        say("gyro_bias: not observable in these data; alternate rest and rotation")
    if found.linear_note:
        say(f"linear velocity of the ground truth {found.linear_note}")


def _print_process_noise(estimate: VelocitySeries, truth: VelocitySeries) -> None:
    angular = process_noise_of(truth.t, truth.velocity)[0]
    _, linear = process_noise_of(estimate.t[estimate.valid], estimate.velocity[estimate.valid])
    densities = {
        f"angular {angular:.0f} (rad/s)^2/s": angular,
        f"linear {linear:.0f} (m/s)^2/s": linear,
    }
    known = [text for text, value in densities.items() if not math.isnan(value)]
    if known:
        say(
            f"process noise of a filter that follows this motion: {', '.join(known)} (docs/ROS.md, "
            "Fusion)"
        )


def print_gain(measured: float, mended: float, alone: bool = False) -> None:
    """Print the RMSE of omega (rad/s) before and after, and whether the latter is worse.

    `alone` says that it is that of each image without its neighbours.
    """
    say(
        f"RMSE of w here{', of each image alone' if alone else ''}: {measured:.2f} rad/s as "
        f"measured, {mended:.2f} with the exposure found"
    )
    if mended > NOTICEABLE * measured:
        say(
            "the exposure found improves most frames but makes the others worse: better keep the "
            "assumed one"
        )


def _lines(value: Any) -> Iterator[str]:
    """Yield a number, a row of numbers, or the rows of a matrix."""
    if isinstance(value, list) and value and isinstance(value[0], list):
        for row in value:
            yield from _lines(row)
    elif isinstance(value, list):
        yield " ".join(f"{x:+.4f}" for x in value)
    else:
        yield f"{value:.5f}"
