"""Held-out blur from a camera pipeline that shares nothing with the one trained on.

Pictures of 7-Scenes and the validation block of NYU are blurred at full size, by exact poses and
many sub-frames, in a plain sRGB camera, and go through the same view as a user's frames. Selecting
by this set guards against learning what distinguishes our own training renderer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import RecordingError
from blur_imu_training.data.sample_folder import SampleFolder, settings_of
from blur_imu_training.scene.room_pictures import VIEWS_A_ROOM, RoomPictures
from blur_imu_training.scene.room_units import unscaled
from blur_imu_training.scene.sharp_images import (
    NyuFolder,
    SevenScenesFolder,
    SharpImage,
    SharpImages,
)

EXPOSURE_TIME = 0.02
HELD_OUT_SCENE = "redkitchen"
SEVEN_SCENES, NYU = f"7scenes_{HELD_OUT_SCENE}", "nyuv2"

FARTHEST_SHIFT = 60
"""Pixels at full size, by translation within half an exposure."""

SEARCHES, SETTLED = 5, 0.02
"""How often what a pixel sees is looked up, and the relative change that may be left."""

TERMS = (
    "7-Scenes redkitchen (Shotton et al. 2013): non-commercial",
    "NYU Depth v2, pairs 1250-1448 (Silberman et al. 2012): research use",
)
"""What held-out pictures are, and what their owners ask for."""


@dataclass(frozen=True)
class HeldOutFrame:
    """A blurred frame with its ground truth: velocity in rad/s and m/s, inverse depth of its
    pixels."""

    frame: Frame
    angular_velocity: NDArray[np.float64]
    linear_velocity: NDArray[np.float64]
    inverse_depth: NDArray[np.float32]


class _OtherRooms(RoomPictures):
    """A few rooms that no training sees."""

    def __init__(self) -> None:
        super().__init__(seed=7_000_000)

    def __len__(self) -> int:
        return 4 * VIEWS_A_ROOM


def is_held_out_data(data: Path | None) -> bool:
    """Return whether a data folder holds what `held_out_frames` reads."""
    return data is not None and all((data / name).is_dir() for name in (SEVEN_SCENES, NYU))


def is_held_out_scene(folder: Path, data: Path) -> bool:
    """Return whether a folder of 7-Scenes holds the scene that `held_out_frames` reads."""
    return folder.name in (HELD_OUT_SCENE, SEVEN_SCENES) or (
        folder.exists() and folder.resolve() == (data / SEVEN_SCENES).resolve()
    )


def terms(data: Path | None) -> list[str]:
    """Return what the frames that a data folder gives are made of."""
    return list(TERMS) if is_held_out_data(data) else ["procedural rooms: ours"]


def held_out_frames(data: Path | None, count: int, seed: int = 7) -> Iterator[HeldOutFrame]:
    """Yield `count` frames, in turn of 7-Scenes and NYU 1250-1448, always the same ones.

    Without a data folder they are of rooms made from nothing.
    """
    sets: list[SharpImages] = [_OtherRooms()]
    if data is not None:
        sets = [
            SevenScenesFolder(data / SEVEN_SCENES),
            NyuFolder(data / NYU, range(1250, 1449, 4)),
        ]
    if count < 1:
        raise RecordingError("validation on no frames; ask for at least one")
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        source = sets[index % len(sets)]
        picture = source.draw(int(rng.integers(len(source))), rng)
        yield _blurred(picture, index, rng)


def _blurred(picture: SharpImage, index: int, rng: np.random.Generator) -> HeldOutFrame:
    height, width = picture.image.shape[:2]
    f = picture.focal
    camera = Camera(width, height, f, f, (width - 1) / 2, (height - 1) / 2)
    omega, v = _velocity(picture, camera, float(rng.uniform(0, 60)), rng)
    clipped = picture.image.min(axis=-1, keepdims=True) > 245
    linear = (picture.image / 255) ** 2.2 * np.where(clipped, 5, 1)
    light: NDArray[np.float32] = np.asarray(linear, np.float32)
    mean = _mean_light(light, picture.inverse_depth, camera, omega, v)
    image = plain_camera(mean, rng)
    frame = Frame(image, float(index), EXPOSURE_TIME, camera, f"held-out {index}")
    return HeldOutFrame(frame, omega, v, picture.inverse_depth)


def _velocity(
    picture: SharpImage, camera: Camera, length: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a turn of a hand or a free motion with a median blur of `length` pixels of the view."""
    omega = rng.standard_normal(3)
    lever_arm = rng.normal((0, 0, 0.2), 0.15)
    free = rng.standard_normal(3) / np.median(picture.inverse_depth) * 0.3
    v = np.cross(omega, lever_arm) if rng.uniform() < 0.5 else free
    u, w = np.meshgrid(np.arange(0.0, camera.width, 16), np.arange(0.0, camera.height, 16))
    field = motion_field(camera, u, w, picture.inverse_depth[::16, ::16], omega, v)
    full_size = length * camera.width / 320
    scale = full_size / np.median(np.hypot(field[..., 0], field[..., 1])) / EXPOSURE_TIME
    return omega * scale, v * scale


def _mean_light(
    light: NDArray[np.float32],
    inverse_depth: NDArray[np.float32],
    camera: Camera,
    omega: NDArray[np.float64],
    v: NDArray[np.float64],
) -> NDArray[np.float32]:
    u, w = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    x, y = camera.normalised(u, w)
    rays = np.stack([x, y, np.ones_like(x)], -1).astype(np.float32)
    field = motion_field(
        camera, u[::16, ::16], w[::16, ::16], inverse_depth[::16, ::16],
        omega * EXPOSURE_TIME, v * EXPOSURE_TIME,
    )  # fmt: skip
    count = int(np.clip(np.hypot(field[..., 0], field[..., 1]).max() / 1.5, 5, 81)) | 1
    nearest = _nearest_around(inverse_depth, camera, v)
    total = np.zeros_like(light)
    for s in np.linspace(-0.5, 0.5, count):
        pose = _Pose(camera, rays, omega * EXPOSURE_TIME * s, v * EXPOSURE_TIME * s)
        seen = pose.seen(inverse_depth, nearest)
        total += cv2.remap(
            light, *pose.places(seen), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
    return np.asarray(np.clip(total / count, 0, 1), np.float32)


def _nearest_around(
    inverse_depth: NDArray[np.float32], camera: Camera, v: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the inverse depth of the nearest that translation may bring to each place."""
    shift = float(np.linalg.norm(v)) * EXPOSURE_TIME / 2 * camera.fx
    reach = int(np.clip(np.ceil(shift * float(inverse_depth.max())), 1, FARTHEST_SHIFT))
    around = cv2.dilate(inverse_depth, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return np.asarray(around, np.float32)


class _Pose:
    """The camera at one moment of the exposure, relative to where it was in the middle."""

    def __init__(
        self,
        camera: Camera,
        rays: NDArray[np.float32],
        rotation: NDArray[np.float64],
        translation: NDArray[np.float64],
    ) -> None:
        turn = Rotation.from_rotvec(rotation).as_matrix().astype(np.float32)
        self._camera, self._turned = camera, rays @ turn.T
        self._shift = translation.astype(np.float32)

    def places(self, seen: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return where, in the middle of the exposure, the points were that are seen now."""
        z, c = self._z(seen), self._camera
        x = (self._turned[..., 0] + self._shift[0] * seen) / z * c.fx + c.cx
        y = (self._turned[..., 1] + self._shift[1] * seen) / z * c.fy + c.cy
        return x.astype(np.float32), y.astype(np.float32)

    def seen(
        self, inverse_depth: NDArray[np.float32], nearest: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the inverse depth of what each pixel sees now, the foremost where there is a
        choice.

        What a pixel sees is a fixed point: its depth says where it was, and what was there has that
        depth. The search begins with the nearest around. Where an edge has laid open what no
        picture shows, there is none, and the foremost is returned: it leads beyond that edge.
        """
        foremost = self._found(nearest, np.zeros_like(nearest))
        seen = foremost
        for _ in range(SEARCHES):
            before, seen = seen, self._found(inverse_depth, seen)
        settled = np.abs(seen / before - 1) < SETTLED
        return np.asarray(np.where(settled, seen, foremost), np.float32)

    def _found(
        self, inverse_depth: NDArray[np.float32], supposed: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        found = cv2.remap(
            inverse_depth,
            *self.places(supposed),
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(found * self._z(supposed), np.float32)

    def _z(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(np.maximum(self._turned[..., 2] + self._shift[2] * seen, 0.1), np.float32)


def plain_camera(light: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a plain sRGB camera makes of linear light (height, width, 3): noise, denoising,
    JPEG."""
    photons = float(rng.choice([500, 3000, 20000]))
    noisy = rng.poisson(light * photons).astype(np.float32) / np.float32(photons)
    srgb = np.where(
        noisy <= 0.0031308, 12.92 * noisy, 1.055 * np.maximum(noisy, 0) ** (1 / 2.4) - 0.055
    )
    bytes_ = np.asarray(np.clip(srgb * 255 + 0.5, 0, 255), np.uint8)
    bytes_ = (
        np.asarray(cv2.fastNlMeansDenoisingColored(bytes_, None, 2, 3, 3, 7))
        if photons < 1000
        else bytes_
    )
    ok, data = cv2.imencode(".jpg", bytes_, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert ok
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def true_blur_frames(folder: Path, count: int | None = None) -> Iterator[HeldOutFrame]:
    """Yield the first `count` blurred views of path-traced rooms, or all of them.

    They are a set as `blur-imu render-rooms blurred` writes it; RecordingError if there is none, or
    if its motion and depth are not in metres.
    """
    settings = settings_of(folder)
    rooms = [] if "metres_per_unit" in settings else unscaled(settings.get("rooms", ()))
    if rooms:
        raise RecordingError(
            f"{folder}: {', '.join(rooms)} was rendered by an older version, in units of the scene "
            "instead of metres; render the set again"
        )
    samples = SampleFolder(folder)
    for index in range(min(count or len(samples), len(samples))):
        sample = samples[index]
        size = (sample.camera.width, sample.camera.height)
        tau = sample.shutter.exposure_time
        frame = Frame(sample.image, float(index), tau, sample.camera, f"{folder.name} {index}")
        yield HeldOutFrame(
            frame,
            sample.motion.rotation / tau,
            sample.motion.translation / tau,
            np.asarray(cv2.resize(sample.inverse_depth, size), np.float32),
        )
