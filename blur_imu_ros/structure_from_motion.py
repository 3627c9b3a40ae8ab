"""COLMAP as a method to compare with; it needs pycolmap (extra `colmap`), imported when it is used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.baselines import from_trajectory
from blur_imu_ros.camera import Camera, NetworkView
from blur_imu_ros.errors import BlurImuError
from blur_imu_ros.frame import Frame
from blur_imu_ros.results import VelocitySeries
from blur_imu_ros.trajectories import PoseSeries

Array = NDArray[Any]


@dataclass(frozen=True)
class Colmap:
    """Structure from motion over the whole recording, its scale fitted to the truth.

    The camera is known to it. Only the largest of its models counts: each has a world and a scale of
    its own. Frames that it could not place, as heavy blur makes of many, are failures.

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
            times, camera = self._write_images(Path(scratch), frames)
            models = [] if camera is None else self._models(Path(scratch), camera)
        if not models:
            return _nothing()
        poses = _poses(max(models, key=lambda model: int(model.num_reg_images())), times)
        return (
            _nothing() if poses is None else from_trajectory(self.name, poses, self.truth).recorded
        )

    def _write_images(
        self, folder: Path, frames: Iterable[Frame]
    ) -> tuple[dict[str, float], Camera | None]:
        """Write undistorted images; return the time (s) of each by name, and their camera."""
        times, camera = {}, None
        for index, frame in enumerate(frames):
            height = round(self.width * frame.camera.height / frame.camera.width)
            view = NetworkView(frame.camera, self.width, height)
            name, camera = f"{index:06d}.png", view.camera
            cv2.imwrite(str(folder / name), view.apply(frame.image))
            times[name] = frame.t
        return times, camera

    def _models(self, folder: Path, camera: Camera) -> list[Any]:
        """Return the reconstructions of the images of a folder."""
        colmap = _pycolmap()
        colmap.logging.minloglevel = colmap.logging.Level.FATAL.value
        database = folder / "database.db"
        pinhole = f"{camera.fx},{camera.fy},{camera.cx + 0.5},{camera.cy + 0.5}"
        reader = colmap.ImageReaderOptions(camera_model="PINHOLE", camera_params=pinhole)
        pairs = colmap.SequentialPairingOptions(overlap=self.overlap, quadratic_overlap=False)
        mapping = colmap.IncrementalPipelineOptions(
            num_threads=self.threads, ba_refine_focal_length=False, extract_colors=False,
            random_seed=0,
        )  # fmt: skip
        colmap.extract_features(
            database, folder, camera_mode=colmap.CameraMode.SINGLE, reader_options=reader,
            extraction_options=colmap.FeatureExtractionOptions(num_threads=self.threads),
            device=colmap.Device.cpu,
        )  # fmt: skip
        colmap.match_sequential(
            database, pairing_options=pairs, device=colmap.Device.cpu,
            matching_options=colmap.FeatureMatchingOptions(num_threads=self.threads),
        )  # fmt: skip
        return list(colmap.incremental_mapping(database, folder, folder, mapping).values())


def _pycolmap() -> Any:
    try:
        import pycolmap
    except ImportError as error:
        raise BlurImuError(
            "COLMAP is not installed: pip install 'blur-imu-ros[colmap]', or leave out --colmap"
        ) from error
    return pycolmap


def _nothing() -> VelocitySeries:
    return VelocitySeries(np.zeros(0), np.zeros((0, 6)), None, np.zeros(0, bool))


def _poses(model: Any, times: dict[str, float]) -> PoseSeries | None:
    """Return the poses of the images that a model holds, None where it is fewer than two."""
    rows = sorted(
        (times[image.name], image.cam_from_world().inverse())
        for image in model.images.values()
        if image.has_pose and image.name in times
    )
    if len(rows) < 2:
        return None
    rotation = Rotation.from_quat(np.stack([pose.rotation.quat for _, pose in rows]))
    position = np.stack([pose.translation for _, pose in rows])
    return PoseSeries(np.array([t for t, _ in rows]), rotation, position)
