"""What `blur-imu run` was asked for, and what that says about the recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from blur_imu_ros.choices import DEFAULT_MODEL, Axes, Direction, MotionPrior, StampReference
from blur_imu_ros.core.method_settings import MethodSettings
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.visual_imu import Network, VisualImu
from blur_imu_ros.errors import FrameError
from blur_imu_ros.recordings import FrameSettings
from blur_imu_ros.recordings.bag_names import is_bag
from blur_imu_ros.recordings.calibration_files import KnownCalibration, read_calibration
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time
from blur_imu_ros.recordings.settings_files import load_settings
from blur_imu_ros.recordings.timestamp_files import Timestamps, read_timestamps


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `blur-imu run` was asked for; see its help.

    Without `model_is_named`, a resumed run keeps the model of the earlier one, whatever `model` is.
    """

    source: Path
    output: Path
    camera: Path | None = None
    exposure: float | None = None
    stamps: Path | None = None
    stamp_reference: StampReference = StampReference.MIDDLE
    topic: str | None = None
    model: str = DEFAULT_MODEL
    model_is_named: bool = True
    backend: str = "auto"
    device: str = "cpu"
    direction: Direction = Direction.ADJACENT
    registration: bool = True
    axes: Axes = Axes.OPTICAL
    overlay: Path | None = None
    plot: Path | None = None
    keep_topics: tuple[str, ...] = ()
    motion_prior: MotionPrior | None = None
    lever_arm: tuple[float, float, float] | None = None
    resume: bool = False
    jobs: int = 1
    threads: int | None = None
    rerun: str | None = None
    calibration: Path | None = None
    strict: bool = False
    settings: Path | None = None
    force: bool = False

    @cached_property
    def method(self) -> MethodSettings:
        """The settings of the method, of the file or the defaults."""
        return load_settings(self.settings) if self.settings else MethodSettings()

    @cached_property
    def known(self) -> KnownCalibration:
        """What the calibration file says."""
        return read_calibration(self.calibration) if self.calibration else KnownCalibration()

    @property
    def can_be_completed(self) -> bool:
        """Whether half a result can be gone on with: not a bag, not a video, not a stream."""
        return self.output.suffix == ".csv" and self.overlay is None and self.rerun is None

    @property
    def pivot(self) -> PivotConfig | None:
        """How the camera is held; what is not given is guessed from the kind of recording.

        Bags come from robots as a rule, images and videos from hands.
        """
        prior = self.motion_prior
        if prior is None:
            in_hand = self.lever_arm is not None or not is_bag(self.source)
            prior = MotionPrior.PIVOT if in_hand else MotionPrior.NONE
        if prior is MotionPrior.PIVOT:
            return replace(self.method.pivot, lever_arm=self.lever_arm)
        if self.lever_arm is not None:
            raise FrameError("a lever arm needs the motion prior pivot; leave out one of the two")
        return None

    def visual_imu(self, network: Network) -> VisualImu:
        """Return what measures, as the options say."""
        scale = self.known.linear_scale
        return self.method.visual_imu(network, self.direction, self.pivot, scale, self.fuses)

    @property
    def fuses(self) -> bool:
        """Whether neighbouring frames are registered and fused."""
        return self.registration and self.direction is not Direction.NONE


def frame_settings(options: RunOptions) -> FrameSettings:
    """Return what the options say about the recording."""
    exposure_time = options.exposure
    if exposure_time is None:
        exposure_time = options.known.exposure_time
    if exposure_time is None and options.camera is not None:
        exposure_time = load_exposure_time(options.camera)
    given = Timestamps(None) if options.stamps is None else read_timestamps(options.stamps)
    return FrameSettings(
        exposure_time=exposure_time,
        camera=None if options.camera is None else load_camera(options.camera),
        stamps=given.times,
        stamp_reference=options.stamp_reference,
        topic=options.topic,
        strict=options.strict,
        timed=options.direction is not Direction.NONE,
        stamp_names=given.names,
        stamp_note=given.note,
    )
