"""Folders of the app StrayScanner: a video, its camera and its timestamps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from blur_imu_ros.core.camera import Camera, in_pixels
from blur_imu_ros.errors import CameraError, RecordingError
from blur_imu_ros.recordings.settings import FrameSettings
from blur_imu_ros.recordings.timestamp_files import read_timestamps
from blur_imu_ros.recordings.videos import Video

VIDEO, MATRIX, ODOMETRY = "rgb.mp4", "camera_matrix.csv", "odometry.csv"


def is_stray_scan(folder: Path) -> bool:
    """Return whether a folder is one of StrayScanner's."""
    return (folder / VIDEO).is_file() and (folder / MATRIX).is_file()


class StrayScan(Video):
    """The video of a folder with what lies beside it; what the settings say goes first."""

    def __init__(self, folder: Path, settings: FrameSettings) -> None:
        """Read what lies beside the video; RecordingError if it cannot be read."""
        said = []
        video = folder / VIDEO
        if settings.camera is None:
            settings = replace(settings, camera=_camera(folder / MATRIX, *self.size_of(video)))
            said.append(f"the camera is that of {MATRIX}")
        if settings.stamps is None and (folder / ODOMETRY).is_file():
            times = read_timestamps(folder / ODOMETRY).times
            assert times is not None
            missing = max(0, self.count_of(video) - len(times))
            settings = replace(settings, stamps=np.append(times, np.full(missing, np.nan)))
            said.append(f"stamps are those of {ODOMETRY}")
        super().__init__(video, settings)
        self.name = folder.name
        self.notes += said


def _camera(path: Path, width: int, height: int) -> Camera:
    """Return the pinhole of a 3x3 matrix in a CSV for images of that size, pixels."""
    try:
        lines = path.read_text(encoding="utf-8").split()
        k = np.array([[float(cell) for cell in line.split(",")] for line in lines])
        if k.shape != (3, 3):
            raise ValueError("expected 3 rows of 3 numbers")
        return in_pixels(Camera(width, height, k[0, 0], k[1, 1], k[0, 2], k[1, 2]))
    except (OSError, ValueError, CameraError) as error:
        raise RecordingError(f"{path}: is not a camera matrix: {error}") from error
