"""The gyroscope that action cameras (GoPro, Insta360, Sony, DJI, ...) record into their videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.rising_times import rising_rows

LIBRARY = "telemetry-parser"
CURE = "or let Gyroflow or gopro-telemetry write its log as .gcsv or CSV"


def read_video_gyroscope(path: Path) -> VelocitySeries:
    """Return the angular velocities in a video, in the sensor's own axes, from the video's start.

    Raises:
        RecordingError: there are none, or the library that reads them is not installed.
    """
    try:
        import telemetry_parser
    except ImportError as error:
        raise RecordingError(
            f"{path}: the gyroscope in a video is read by {LIBRARY}: pip install {LIBRARY}, {CURE}"
        ) from error
    if not path.is_file():
        raise RecordingError(f"{path}: cannot be read: there is no such file")
    try:
        samples = telemetry_parser.Parser(str(path)).normalized_imu()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # What goes wrong in Rust is no Exception.
        raise RecordingError(
            f"{path}: {LIBRARY} finds no gyroscope in it ({str(error)[:100]}); {CURE}"
        ) from error
    rows = [(s["timestamp_ms"], *s["gyro"]) for s in samples if s.get("gyro")]
    if len(rows) < 2:
        raise RecordingError(f"{path}: {LIBRARY} finds no gyroscope in it; {CURE}")
    table = np.array(rows, float)
    t, omega = 1e-3 * table[:, 0], np.radians(table[:, 1:])
    kept, notes = rising_rows(np.where(np.isfinite(omega).all(axis=1), t, np.nan), str(path))
    velocity = np.hstack([omega, np.full_like(omega, np.nan)])[kept]
    return VelocitySeries(t[kept], velocity, None, np.ones(len(velocity), bool), notes=tuple(notes))
