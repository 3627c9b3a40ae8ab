"""Recordings of any camera with a gyroscope, to fine-tune on.

camera.yaml    as `blur-imu run --camera` takes it, with exposure_time
frames/        images, or frames.mp4; or a bag named frames
stamps.csv     column t, mid-exposure, one row a frame
velocity.csv   t, wx, wy, wz (rad/s) and perhaps vx, vy, vz (m/s): of the camera, optical axes
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time
from blur_imu_ros.recordings.csv_tables import read_series
from blur_imu_ros.recordings.timestamp_files import read_timestamps
from blur_imu_training.data.stray_scanner import mean_over
from blur_imu_training.rendering.samples import STRIDE, BlurredSample
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter

VELOCITIES = "velocity.csv"


def gyro_samples(folder: Path, width: int = 320, height: int = 224) -> Iterator[BlurredSample]:
    """Yield the frames of a recording as they are, with the motion that the sensors measured.

    Depth is not known, nor is the field; translation is where there are velocities. Frames beyond
    the ends of the velocities are left out.

    Args:
        folder: of the recording.
        width, height: of the network's view, pixels.
    """
    series = read_series(folder / VELOCITIES)
    calibration = folder / "camera.yaml"
    stamps = read_timestamps(folder / "stamps.csv").times
    settings = FrameSettings(load_exposure_time(calibration), load_camera(calibration), stamps)
    for frame in open_recording(_frames(folder), settings):
        sample = _sample(frame, series, width, height)
        if sample is not None:
            yield sample


def _frames(folder: Path) -> Path:
    found = [path for path in sorted(folder.glob("frames*")) if path.stem == "frames"]
    if not found:
        raise RecordingError(f"{folder / 'frames'}: there are no frames (folder, video or bag)")
    return found[0]


def _sample(frame: Frame, series: VelocitySeries, width: int, height: int) -> BlurredSample | None:
    tau = frame.exposure_time
    turn = mean_over(series.t, series.velocity[:, :3], frame.t, tau)
    if turn is None:
        return None
    shift = mean_over(series.t, series.velocity[:, 3:], frame.t, tau)
    known = shift is not None and bool(np.isfinite(shift).all())
    motion = ExposureMotion(
        turn * tau, shift * tau if shift is not None and known else np.zeros(3),
        np.zeros(3), np.zeros(3),
    )  # fmt: skip
    view = NetworkView(frame.camera, width, height)
    rows, columns = height // STRIDE, width // STRIDE
    return BlurredSample(
        view.apply(frame.image),
        view.camera,
        motion,
        Shutter(tau),
        np.zeros((rows, columns, 2), np.float32),
        np.full((rows, columns), 0.5, np.float32),
        depth_is_real=False,
        is_recorded=True,
        translation_is_known=known,
    )
