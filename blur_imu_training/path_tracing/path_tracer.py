"""Mitsuba 3 and Open Image Denoise (extra `rooms`): light and distances along given rays."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import TrainingError, install_hint
from blur_imu_ros.simulation.room_renderer import Pose
from blur_imu_training.path_tracing.rays import exposure_rays, pixel_rays, pose_of_mitsuba
from blur_imu_training.path_tracing.scene_file import SceneFile, read_scene_file

Float = NDArray[np.float32]

VARIANT = "llvm_ad_rgb"
LLVM_PATHS = tuple(
    f"/usr/lib/{machine}-linux-gnu/libLLVM{version}"
    for version in ("-20.so", "-19.so", ".so.20.1", ".so.19.1", "-18.so", "-17.so", "-16.so")
    for machine in ("x86_64", "aarch64")
)
"""Where Debian and Ubuntu put LLVM. Versions 14 and 15 crash on processors with AVX-512."""

LONGEST_PATH = 6
"""Bounces of light, and one."""

ALBEDO, NORMAL = slice(4, 7), slice(7, 10)
"""Channels of what the integrator gives beside colour and alpha."""

MOST_RENAMED = 40


def import_mitsuba() -> Any:
    """Return Mitsuba, ready; TrainingError says how to get what is missing."""
    if "DRJIT_LIBLLVM_PATH" not in os.environ:
        found = next((path for path in LLVM_PATHS if os.path.exists(path)), None)
        if found is not None:
            os.environ["DRJIT_LIBLLVM_PATH"] = found
    try:
        import mitsuba
        import pyoidn  # noqa: F401
    except ImportError as error:
        raise TrainingError(
            f"rendering rooms needs {error.name} ({install_hint('rooms')})"
        ) from error
    try:
        mitsuba.set_variant(VARIANT)
        mitsuba.load_dict({"type": "sphere"})
    except (ImportError, RuntimeError) as error:
        raise TrainingError(
            "Mitsuba finds no LLVM: install libllvm19 (apt install libllvm19), or let "
            "DRJIT_LIBLLVM_PATH name a libLLVM.so of version 16 or later"
        ) from error
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    return mitsuba


class PathTracer:
    """A room to look at, in metres whatever the unit of its file is.

    Attributes:
        start: the pose of the artist's camera.
        missing: files that the scene names and lacks.
    """

    def __init__(self, scene: Path, metres_per_unit: float = 1.0) -> None:
        """Load a scene (.xml).

        Args:
            scene: its file.
            metres_per_unit: metres in one unit of the file.

        Raises:
            TrainingError: Mitsuba, Open Image Denoise or LLVM is missing.
            RecordingError: the file is not a scene.
        """
        self._mitsuba = import_mitsuba()
        file = read_scene_file(scene)
        self._scene = self._loaded(file, scene)
        self._integrator = self._mitsuba.load_dict({
            "type": "aov", "aovs": "albedo:albedo,normal:sh_normal",
            "image": {"type": "path", "max_depth": LONGEST_PATH},
        })  # fmt: skip
        to_world = self._scene.sensors()[0].world_transform().matrix
        start = pose_of_mitsuba(np.array(to_world, float).reshape(4, 4))
        self._metres = metres_per_unit
        self.start = Pose(start.rotation, start.position * metres_per_unit)
        self.missing = file.missing

    def _loaded(self, file: SceneFile, path: Path) -> Any:
        """Load a scene; leave out parameters as Mitsuba says that it does not know them."""
        for _ in range(MOST_RENAMED):
            try:
                return self._mitsuba.load_string(file.xml)
            except RuntimeError as error:
                unknown = re.findall(r'- \w+ "(\w+)"', str(error))
                if not file.without(unknown):
                    reason = str(error).strip().splitlines()[0]
                    raise TrainingError(f"{path}: Mitsuba cannot read it: {reason}") from error
        raise TrainingError(f"{path}: is written for too old a version of Mitsuba")

    def distances(self, origins: Array, directions: Array) -> Array:
        """Return how far (n,) the first surface is along unit rays (n, 3), metres; inf where there
        is none."""
        hit = self._scene.ray_intersect_preliminary(self._rays(origins, directions))
        t = np.array(hit.t, float) * self._metres
        return np.where(np.isfinite(t), t, np.inf)

    def depth(self, camera: Camera, pose: Pose) -> Float:
        """Return (height, width) depth along the optical axis, metres; 0 where nothing is."""
        origins, directions, lengths = pixel_rays(camera, pose)
        z = self.distances(origins, directions) / lengths
        size = (camera.height, camera.width)
        return np.where(np.isfinite(z), z, 0).reshape(size).astype(np.float32)

    def light(self, camera: Camera, poses: Sequence[Pose], samples: int, seed: int) -> Float:
        """Return (height, width, 3) BGR linear light over an exposure, denoised.

        Args:
            camera: undistorted pinhole.
            poses: at the middles of equal parts of the exposure; one for a sharp picture.
            samples: of each pixel.
            seed: of every choice.
        """
        import pyoidn

        colour, albedo, normal = self._traced(camera, poses, samples, seed)
        clean = pyoidn.denoise(colour, np.clip(albedo, 0, 1), np.clip(normal, -1, 1), hdr=True)
        return np.maximum(np.nan_to_num(np.asarray(clean, np.float32)), 0)[..., ::-1]

    def texture(self, camera: Camera, pose: Pose, samples: int, seed: int) -> Float:
        """Return (height, width) mean reflectance: what is painted on surfaces, without light."""
        _, albedo, _ = self._traced(camera, [pose], samples, seed)
        return np.asarray(albedo.mean(axis=-1), np.float32)

    def _traced(
        self, camera: Camera, poses: Sequence[Pose], samples: int, seed: int
    ) -> tuple[Float, Float, Float]:
        """Return RGB colour, albedo, and normals, (height, width, 3) each."""
        origins, directions = exposure_rays(camera, poses, samples, np.random.default_rng(seed))
        sampler = self._mitsuba.load_dict({"type": "independent"})
        sampler.seed(seed, len(origins))
        rays = self._rays(origins, directions)
        _, _, channels = self._integrator.sample(self._scene, sampler, rays)
        found = np.stack([np.array(channel, np.float32) for channel in channels], axis=-1)
        means = found.reshape(camera.height, camera.width, samples, -1).mean(axis=2)
        colour, albedo, normal = means[..., :3], means[..., ALBEDO], means[..., NORMAL]
        return (
            np.ascontiguousarray(colour),
            np.ascontiguousarray(albedo),
            np.ascontiguousarray(normal),
        )

    def _rays(self, origins: Array, directions: Array) -> Any:
        point, vector = (
            kind(np.ascontiguousarray(values.T, np.float32))
            for kind, values in (
                (self._mitsuba.Point3f, origins / self._metres),
                (self._mitsuba.Vector3f, directions),
            )
        )  # fmt: skip
        return self._mitsuba.RayDifferential3f(point, vector)
