"""`blur-imu run`: velocities from a recording."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from blur_imu_ros.axes import MEANING, Axes, express
from blur_imu_ros.blur_network import load_network
from blur_imu_ros.camera import load_camera, load_exposure_time
from blur_imu_ros.direction import DirectionConfig, DirectionMode
from blur_imu_ros.errors import FrameError, RecordingError
from blur_imu_ros.estimate import VelocityEstimate
from blur_imu_ros.frame import Frame
from blur_imu_ros.pivot import MotionPrior, PivotConfig
from blur_imu_ros.progress import progress
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.settings import StampReference, read_stamps
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results import CsvWriter, make_folder_of
from blur_imu_ros.visual_imu import Measurement, Network, VisualImu

RESULT_ENDINGS = (".csv", ".mcap")
VIDEO_ENDINGS = (".mp4",)
PLOT_ENDINGS = (".png", ".svg", ".pdf")
READ_ENDINGS = (".png", ".mcap")
"""Of files that would be read with the folder that they are in."""


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
    keep_topics: tuple[str, ...] = ()
    motion_prior: MotionPrior | None = None
    lever_arm: tuple[float, float, float] | None = None

    @property
    def pivot(self) -> PivotConfig | None:
        """How the camera is held; what is not told is guessed from the kind of recording.

        Bags come from robots as a rule, images and videos from hands.
        """
        from blur_imu_ros.recordings.bags import is_bag

        prior = self.motion_prior
        if prior is None:
            in_hand = self.lever_arm is not None or not is_bag(self.source)
            prior = MotionPrior.PIVOT if in_hand else MotionPrior.NONE
        if prior is MotionPrior.PIVOT:
            return PivotConfig(lever_arm=self.lever_arm)
        if self.lever_arm is not None:
            raise FrameError("a lever arm needs the motion prior pivot; leave one of them out")
        return None

    def visual_imu(self, network: Network) -> VisualImu:
        """Return what measures, as the options say."""
        return VisualImu(network, direction=DirectionConfig(mode=self.direction), pivot=self.pivot)


class ResultWriter(Protocol):
    """Takes estimates as they are made."""

    def write(self, frame: Frame, estimate: VelocityEstimate) -> None:
        """Append the estimate of one frame; RecordingError where it cannot be written."""


def run(options: RunOptions, network: Network | None = None) -> str:
    """Measure every frame of a recording and write one row each; return a line for a person.

    Rows that are written stay, whatever happens later.

    Raises:
        BlurImuError: what is wrong with the input.
    """
    _check_places(options)
    recording = open_recording(options.source, frame_settings(options))
    for note in recording.notes:
        _tell(note)
    network = network or load_network(options.model, options.backend, options.device)
    imu = options.visual_imu(network)
    count = 0
    with ExitStack() as stack:
        writer = stack.enter_context(_writer(options, network))
        video = OverlayWriter(options.overlay)
        stack.callback(video.close)
        measurements = progress(imu.track(recording), recording.name, len(recording) or None)
        for measurement in measurements:
            writer.write(measurement.frame, express(measurement.estimate, options.axes))
            video.write(measurement)
            count += 1
    if count == 0:
        raise RecordingError(f"{options.source}: holds no images")
    if count == 1:
        _tell("one image alone does not tell the sign of the motion: it may be the opposite")
    if options.plot is not None:
        _plot(options)
    return f"{options.output}: {count} rows"


def _tell(note: str) -> None:
    print(f"blur-imu: {note}", file=sys.stderr)


def _check_places(options: RunOptions) -> None:
    """Refuse, before the work is done, what could not be written or would destroy an input."""
    inputs = {p.resolve() for p in (options.source, options.camera, options.stamps) if p}
    for path, known in (
        (options.output, RESULT_ENDINGS),
        (options.overlay, VIDEO_ENDINGS),
        (options.plot, PLOT_ENDINGS),
    ):
        if path is None:
            continue
        if path.suffix not in known:
            raise RecordingError(f"{path}: choose one of the endings {', '.join(known)}")
        beside = path.resolve().parent in inputs and path.suffix in READ_ENDINGS
        if path.resolve() in inputs or beside:
            raise RecordingError(f"{path}: would become part of the input; choose another place")
        make_folder_of(path)
    if options.keep_topics and options.output.suffix != ".mcap":
        raise RecordingError(f"{options.output}: only a bag can keep topics; choose .mcap")


@contextmanager
def _writer(options: RunOptions, network: Network) -> Iterator[ResultWriter]:
    """Give what writes the kind of file that is asked for; it is complete at the end."""
    if options.output.suffix == ".mcap":
        from blur_imu_ros.bag_writer import BagWriter

        name = str(getattr(network, "name", options.model))
        with BagWriter(options.output, options.axes, options.direction, name) as bag:
            bag.keep(options.source, options.keep_topics)
            yield bag
    else:
        with CsvWriter(options.output) as table:
            yield table


def frame_settings(options: RunOptions) -> FrameSettings:
    """Return what the options tell of the recording."""
    exposure_time = options.exposure
    if exposure_time is None and options.camera is not None:
        exposure_time = load_exposure_time(options.camera)
    return FrameSettings(
        exposure_time=exposure_time,
        camera=None if options.camera is None else load_camera(options.camera),
        stamps=None if options.stamps is None else read_stamps(options.stamps),
        stamp_reference=options.stamp_reference,
        topic=options.topic,
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
            make_folder_of(self._path)
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

    series = read_velocities(options.output)
    assert options.plot is not None
    title = f"{options.source.name}, {MEANING[options.axes]}"
    plot_velocities(
        options.plot, series.t, series.velocity, series.sigma, title=title, valid=series.valid
    )
