"""COLMAP as a method to compare with; it needs pycolmap (extra `colmap`), imported when it is
used."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import BlurImuError, install_hint
from blur_imu_ros.evaluation.baselines import from_trajectory
from blur_imu_ros.recordings.trajectories import PoseSeries

POSES = "poses.npy"


@dataclass(frozen=True)
class Colmap:
    """Structure from motion over the whole recording, its scale fitted to the ground truth.

    The camera is known to it. Only the largest of its models counts: each has a world and a scale
    of its own. Frames that it could not place, as heavy blur makes of many, are failures.

    Attributes:
        truth: velocities in optical axes, for the scale.
        width: of its images, pixels; the height follows.
        overlap: how many of the next images each is matched with.
        threads: that it may use.
    """

    truth: VelocitySeries
    width: int = 480
    overlap: int = 5
    threads: int = 2
    name: str = "COLMAP"

    def __post_init__(self) -> None:
        """Refuse, before the work, where pycolmap is missing."""
        _pycolmap()

    def series(self, frames: Iterable[Frame]) -> VelocitySeries:
        """See `baselines.Method`."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            times, camera = self._write_images(folder, frames)
            if camera is not None:
                _in_a_process(_reconstruct, (folder, camera, self.overlap, self.threads))
            poses = _read_poses(folder / POSES, np.array(times))
        return (
            _nothing() if poses is None else from_trajectory(self.name, poses, self.truth).recorded
        )

    def _write_images(
        self, folder: Path, frames: Iterable[Frame]
    ) -> tuple[list[float], Camera | None]:
        """Write undistorted images, named by their index; return their times (s) and camera."""
        times, camera = [], None
        for index, frame in enumerate(frames):
            height = round(self.width * frame.camera.height / frame.camera.width)
            view = NetworkView(frame.camera, self.width, height)
            cv2.imwrite(str(folder / f"{index:06d}.png"), view.apply(frame.image))
            times.append(frame.t)
            camera = view.camera
        return times, camera


def _in_a_process(work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Call a function elsewhere: COLMAP would let nobody stop us, nor survive its own crash."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    try:
        process.join()
    finally:
        process.kill()
        process.join()


def _reconstruct(folder: Path, camera: Camera, overlap: int, threads: int) -> None:
    """Write the poses that COLMAP finds of the images of a folder: index, quaternion, position."""
    colmap = _pycolmap()
    colmap.logging.minloglevel = colmap.logging.Level.FATAL.value
    database = folder / "database.db"
    # COLMAP's pixel (0, 0) is the corner of the first pixel, ours its centre.
    pinhole = f"{camera.fx},{camera.fy},{camera.cx + 0.5},{camera.cy + 0.5}"
    colmap.extract_features(
        database,
        folder,
        camera_mode=colmap.CameraMode.SINGLE,
        reader_options=colmap.ImageReaderOptions(camera_model="PINHOLE", camera_params=pinhole),
        extraction_options=colmap.FeatureExtractionOptions(num_threads=threads),
        device=colmap.Device.cpu,
    )
    colmap.match_sequential(
        database,
        matching_options=colmap.FeatureMatchingOptions(num_threads=threads),
        pairing_options=colmap.SequentialPairingOptions(overlap=overlap, quadratic_overlap=False),
        device=colmap.Device.cpu,
    )
    options = colmap.IncrementalPipelineOptions(
        num_threads=threads, ba_refine_focal_length=False, extract_colors=False, random_seed=0
    )
    models = colmap.incremental_mapping(database, folder, folder, options).values()
    largest = max(models, key=lambda model: int(model.num_reg_images()), default=None)
    images = [] if largest is None else [one for one in largest.images.values() if one.has_pose]
    poses = [(int(Path(one.name).stem), one.cam_from_world().inverse()) for one in images]
    rows = [
        [index, *pose.rotation.quat, *pose.translation] for index, pose in sorted(poses, key=_first)
    ]
    np.save(folder / POSES, np.array(rows).reshape(-1, 8))


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _read_poses(path: Path, times: Array) -> PoseSeries | None:
    """Return the poses of the images placed, None where there are fewer than two."""
    rows = np.load(path, allow_pickle=False) if path.is_file() else np.zeros((0, 8))
    if len(rows) < 2:
        return None
    t = times[rows[:, 0].astype(int)]
    return PoseSeries(t, Rotation.from_quat(rows[:, 1:5]), rows[:, 5:])


def _pycolmap() -> Any:
    try:
        import pycolmap
    except ImportError as error:
        raise BlurImuError(
            f"COLMAP is not installed ({install_hint('colmap')}); or go without it",
            cures=("colmap",),
        ) from error
    return pycolmap


def _nothing() -> VelocitySeries:
    return VelocitySeries(np.zeros(0), np.zeros((0, 6)), None, np.zeros(0, bool))
