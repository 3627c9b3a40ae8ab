"""Recordings of the StrayScanner app on iPhones with a depth sensor.

odometry.csv       timestamp, frame, x, y, z, qx, qy, qz, qw: camera to world, OpenCV axes
imu.csv            timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z: the last three rad/s
camera_matrix.csv  3x3, of the video
rgb.mp4
depth/000000.png   uint16 millimetres
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_ros.recordings.image_messages import decode_compressed
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_training.data.averaged_frames import AveragedFrames, frame_sample
from blur_imu_training.data.recorded_sequences import (
    KEYFRAME_GAP,
    PosedFrame,
    RecordedSequences,
    pose_jumps,
    read_depth_image,
)
from blur_imu_training.rendering.samples import BlurredSample
from blur_imu_training.scene.exposure_motion import ExposureMotion
from blur_imu_training.scene.sharp_images import bounded


@dataclass(frozen=True)
class _Odometry:
    t: Array
    position: Array
    rotation: Rotation


def stray_scanner(folder: Path) -> RecordedSequences:
    """Return the keyframes of all recordings in `folder`, or of the one that it is.

    Sharp ones only are of use for blurring: record in good light and move slowly.
    """
    return RecordedSequences([_frames(one, False) for one in _recordings(folder)], folder)


def averaged_stray_scanner(
    folder: Path, width: int, height: int, exposure_time: float
) -> AveragedFrames:
    """Return the means of the frames around the keyframes that `stray_scanner` returns."""
    recordings = [_frames(one, True) for one in _recordings(folder)]
    return AveragedFrames(recordings, folder, width, height, exposure_time)


def _recordings(folder: Path) -> list[Path]:
    tables = sorted([*folder.glob("odometry.csv"), *folder.glob("*/odometry.csv")])
    return [table.parent for table in tables]


def _frames(recording: Path, all_images: bool) -> list[PosedFrame]:
    odometry = _read_odometry(recording / "odometry.csv")
    frames: list[PosedFrame] = []
    for number, (image, camera) in enumerate(_video(recording, len(odometry.t))):
        # Unless frames are averaged, keyframes alone are read again.
        is_wanted = all_images or number % KEYFRAME_GAP == KEYFRAME_GAP // 2
        read_image = _kept(image) if is_wanted else _nothing
        frames.append(
            PosedFrame(
                f"{recording.name}/{number:06d}",
                read_image,
                partial(read_depth_image, recording / "depth" / f"{number:06d}.png"),
                camera,
                odometry.rotation[number],
                odometry.position[number],
            )
        )
    return frames


def _kept(image: NDArray[np.uint8]) -> Callable[[], Array]:
    """Return what reads the image again; kept as JPEG, 600 of them take some 100 MB."""
    ok, data = cv2.imencode(".jpg", bounded(image), [cv2.IMWRITE_JPEG_QUALITY, 97])
    assert ok
    return partial(decode_compressed, data)


def _nothing() -> None:
    """Stand in for what is never read."""


def _read_odometry(path: Path) -> _Odometry:
    table = CsvTable(path)
    columns = [table.column(name) for name in ("x", "y", "z", "qx", "qy", "qz", "qw")]
    values = np.stack(columns, axis=1)
    if not np.all(np.linalg.norm(values[:, 3:], axis=1) > 0):
        raise RecordingError(f"{path}: holds a quaternion of length zero")
    return _Odometry(table.column("timestamp"), values[:, :3], Rotation.from_quat(values[:, 3:]))


def _video(recording: Path, most: int) -> Iterator[tuple[NDArray[np.uint8], Camera]]:
    path = recording / "rgb.mp4"
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise RecordingError(f"{path}: cannot be opened as a video")
    try:
        k = np.loadtxt(recording / "camera_matrix.csv", delimiter=",").reshape(3, 3)
    except (OSError, ValueError) as error:
        raise RecordingError(f"{recording / 'camera_matrix.csv'}: is not a 3x3 matrix") from error
    for _ in range(most):
        ok, image = capture.read()
        if not ok:
            break
        height, width = image.shape[:2]
        camera = Camera(width, height, k[0, 0], k[1, 1], k[0, 2], k[1, 2])
        yield np.asarray(image, np.uint8), camera
    capture.release()


def real_samples(
    recording: Path, exposure_time: float, width: int = 320, height: int = 224
) -> Iterator[BlurredSample]:
    """Yield the frames of a recording as they are, with the motion that the sensors measured.

    Angular velocity is the gyroscope's mean over the exposure, linear velocity the odometry's.
    Frames without depth or beside a pose jump are left out. Stamps are read as mid-exposure.

    Args:
        recording: folder of the recording.
        exposure_time: seconds; the app does not note it.
        width, height: of the network's view, pixels.
    """
    odometry = _read_odometry(recording / "odometry.csv")
    gyro = read_velocities(recording / "imu.csv")
    velocity = np.gradient(odometry.position, odometry.t, axis=0)
    jumps = pose_jumps([_pose_only(odometry, i) for i in range(len(odometry.t))])
    for number, (image, camera) in enumerate(_video(recording, len(odometry.t))):
        depth = read_depth_image(recording / "depth" / f"{number:06d}.png")
        omega = mean_over(gyro.t, gyro.velocity[:, :3], odometry.t[number], exposure_time)
        beside_jump = bool(jumps[max(0, number - 1) : number + 1].any())
        if depth is None or not depth.any() or omega is None or beside_jump:
            continue
        body_velocity = odometry.rotation[number].inv().apply(velocity[number])
        motion = ExposureMotion(
            GYRO_FROM_OPTICAL.T @ omega * exposure_time,
            body_velocity * exposure_time,
            np.zeros(3),
            np.zeros(3),
        )
        yield frame_sample(image, depth, NetworkView(camera, width, height), motion, exposure_time)


def _pose_only(odometry: _Odometry, index: int) -> PosedFrame:
    camera = Camera(1, 1, 1.0, 1.0, 0.0, 0.0)
    place = odometry.position[index]
    return PosedFrame("", _nothing, _nothing, camera, odometry.rotation[index], place)


def mean_over(t: Array, values: Array, middle: float, duration: float) -> Array | None:
    """Return the mean of a series, linear between its readings, over a span; None beyond its
    ends."""
    times = middle + ((np.arange(20) + 0.5) / 20 - 0.5) * duration
    if times[0] < t[0] or times[-1] > t[-1]:
        return None
    return np.array([np.interp(times, t, column).mean() for column in values.T])
