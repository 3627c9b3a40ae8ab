"""`blur-imu run`: velocities from a recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blur_imu_ros.axes import Axes, express
from blur_imu_ros.blur_network import load_network
from blur_imu_ros.camera import load_camera, load_exposure_time
from blur_imu_ros.direction import DirectionConfig, DirectionMode
from blur_imu_ros.errors import FrameError, RecordingError
from blur_imu_ros.frame import check_exposure_time
from blur_imu_ros.recordings import FrameSettings, Recording, open_recording
from blur_imu_ros.recordings.settings import StampReference, read_stamps
from blur_imu_ros.results import CsvWriter, read_series
from blur_imu_ros.visual_imu import Measurement, Network, VisualImu


@dataclass(frozen=True)
class RunOptions:
    """What `blur-imu run` was asked for; see its help."""

    source: Path
    output: Path
    camera: Path | None = None
    exposure: float | None = None
    stamps: Path | None = None
    stamp_reference: StampReference = StampReference.MIDDLE
    topic: str | None = None
    model: str = "compact"
    backend: str = "auto"
    device: str = "cpu"
    direction: DirectionMode = "adjacent"
    axes: Axes = Axes.OPTICAL
    overlay: Path | None = None
    plot: Path | None = None


def run(options: RunOptions, network: Network | None = None) -> str:
    """Measure every frame of a recording and write one row each; return a line for a person.

    Rows that are written stay, whatever happens later.

    Raises:
        BlurImuError: what is wrong with the input.
    """
    if options.output.suffix != ".csv":
        raise RecordingError(f"{options.output}: results are written as .csv; choose that ending")
    recording = open_recording(options.source, frame_settings(options))
    network = network or load_network(options.model, options.backend, options.device)
    imu = VisualImu(network, direction=DirectionConfig(mode=options.direction))
    count = 0
    with ExitStack() as stack:
        writer = stack.enter_context(CsvWriter(options.output))
        video = OverlayWriter(options.overlay)
        stack.callback(video.close)
        for measurement in _with_progress(imu.track(recording), recording):
            writer.write(measurement.frame.name, express(measurement.estimate, options.axes))
            video.write(measurement)
            count += 1
    if options.plot is not None:
        _plot(options)
    return f"{options.output}: {count} rows"


def frame_settings(options: RunOptions) -> FrameSettings:
    """Return what the options tell of the recording; the exposure time is always needed."""
    exposure_time = options.exposure
    if exposure_time is None and options.camera is not None:
        exposure_time = load_exposure_time(options.camera)
    if exposure_time is None:
        raise FrameError(
            "the exposure time is not known: give --exposure SECONDS (for example 0.010), "
            "or exposure_time in the camera's YAML"
        )
    return FrameSettings(
        exposure_time=check_exposure_time(exposure_time),
        camera=None if options.camera is None else load_camera(options.camera),
        stamps=None if options.stamps is None else read_stamps(options.stamps),
        stamp_reference=options.stamp_reference,
        topic=options.topic,
    )


def _with_progress(
    measurements: Iterator[Measurement], recording: Recording
) -> Iterator[Measurement]:
    from rich.console import Console
    from rich.progress import track

    yield from track(
        measurements,
        description=recording.name,
        total=len(recording) or None,
        console=Console(stderr=True),
        transient=True,
    )


class OverlayWriter:
    """A video of overlays, opened at the first frame; the null object where none is wanted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._video: Any = None

    def write(self, measurement: Measurement) -> None:
        """Append one frame."""
        if self._path is None:
            return
        import cv2

        from blur_imu_ros.overlay import draw_overlay

        image = measurement.frame.image
        if self._video is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            size = (image.shape[1], image.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._video = cv2.VideoWriter(str(self._path), code, 30.0, size)
            if not self._video.isOpened():
                raise RecordingError(f"{self._path}: the overlay video cannot be written")
        self._video.write(
            np.ascontiguousarray(draw_overlay(image, measurement.field, measurement.estimate))
        )

    def close(self) -> None:
        """Finish the file."""
        if self._video is not None:
            self._video.release()


def _plot(options: RunOptions) -> None:
    from blur_imu_ros.plots import plot_velocities

    series = read_series(options.output)
    assert options.plot is not None
    title = f"{options.source.name}, {options.axes.value} axes"
    plot_velocities(options.plot, series.t, series.velocity, series.sigma, title=title)
