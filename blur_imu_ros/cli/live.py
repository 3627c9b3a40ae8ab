"""`blur-imu live`: velocities of a camera in the terminal, while it moves."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import typer
from rich.console import Console
from rich.live import Live

from blur_imu_ros.choices import DEFAULT_MODEL, Axes, Direction, MotionPrior
from blur_imu_ros.core.axes import express
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.visual_imu import Network, VisualImu
from blur_imu_ros.errors import FrameError, RecordingError, RosSetupError, install_hint
from blur_imu_ros.execution.files import refuse_overwriting, with_ending
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings.camera_files import camera_file, load_camera, load_exposure_time
from blur_imu_ros.recordings.live_camera import LiveCamera
from blur_imu_ros.results.csv_files import CsvWriter
from blur_imu_ros.viz.dashboard import Dashboard
from blur_imu_ros.viz.rerun_stream import RerunStream

USUAL_EXPOSURE = 10.0
"""Milliseconds that are offered where a person is asked."""


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """What `blur-imu live` was asked for; see its help."""

    source: str
    camera: Path | None = None
    exposure: float | None = None
    field_of_view: float | None = None
    model: str = DEFAULT_MODEL
    axes: Axes = Axes.OPTICAL
    motion_prior: MotionPrior = MotionPrior.PIVOT
    picture: bool = False
    rerun: str | None = None
    output: Path | None = None
    seconds: float | None = None


def run_live(options: LiveOptions, network: Network | None = None) -> None:
    """Measure and show until the source or the time ends.

    Raises:
        BlurImuError: what is wrong with the source.
    """
    output = None if options.output is None else with_ending(options.output, (".csv",))
    if output is not None and output.exists():
        raise RecordingError(f"{output}: exists already; choose another place")
    stream = Path(options.rerun) if options.rerun else None
    refuse_overwriting([output, stream], [camera_file(options.camera), Path(options.source)])
    source = _opened(options)
    pivot = PivotConfig() if options.motion_prior is MotionPrior.PIVOT else None
    console = Console()
    with ExitStack() as stack:
        stack.callback(source.close)
        network = network or load_network(options.model)
        imu = VisualImu(network, direction=DirectionConfig(mode=Direction.PREVIOUS), pivot=pivot)
        tracker, dashboard = imu.tracker(), Dashboard(options.axes, options.picture)
        viewer = stack.enter_context(closing(RerunStream(options.rerun, options.source)))
        table = (
            None if output is None else stack.enter_context(CsvWriter(output, axes=options.axes))
        )
        shown = stack.enter_context(Live(dashboard, console=console, refresh_per_second=8))
        noted, end = 0, time.monotonic() + (options.seconds or float("inf"))
        for frame in source:
            begun = time.monotonic()
            for note in source.notes[noted:]:
                line = f"blur-imu: {note}"
                shown.console.print(line, highlight=False, markup=False, soft_wrap=True)
            noted = len(source.notes)
            for measurement in tracker.push(imu.measure(frame)):
                now = time.monotonic()
                dashboard.dropped = source.dropped
                dashboard.add(measurement, now, now - begun)
                viewer.write(measurement)
                if table is not None:
                    table.write(measurement.frame, express(measurement.estimate, options.axes))
            if time.monotonic() > end:
                break


class LiveSource(Protocol):
    """Gives the newest image whenever asked."""

    notes: list[str]

    @property
    def dropped(self) -> int:
        """How many images came while another was measured."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the source ends."""

    def close(self) -> None:
        """Let go of the source."""


def _opened(options: LiveOptions) -> LiveSource:
    """Open the source, and ask a person for the exposure time where nothing states it."""
    camera = None if options.camera is None else load_camera(options.camera)
    exposure = options.exposure
    if exposure is None and options.camera is not None:
        exposure = load_exposure_time(options.camera)
    try:
        return _source(options, exposure, camera)
    except FrameError:
        if exposure is not None or not sys.stdin.isatty():
            raise
    asked = typer.prompt("Exposure time of the camera in milliseconds", USUAL_EXPOSURE, type=float)
    return _source(options, asked / 1e3, camera)


def _source(options: LiveOptions, exposure: float | None, camera: Camera | None) -> LiveSource:
    named = options.source
    # No name of a topic holds a dot.
    is_topic = named.startswith("/") and "." not in named and not named.startswith("/dev/")
    if not is_topic or Path(named).exists():
        return LiveCamera(options.source, exposure, camera, options.field_of_view)
    try:
        from blur_imu_ros.ros.live_topic import LiveTopic
    except ModuleNotFoundError as error:
        raise RosSetupError(
            f"{options.source}: there is no such file; and topics need ROS 2, which was not found: "
            f"source its setup.bash, or {install_hint('ros')}"
        ) from error
    return LiveTopic(options.source, exposure, camera)
