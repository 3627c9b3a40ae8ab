"""Blur fields of known motions, and images of a known texture, for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle, motion_field

Array = NDArray[Any]

CAMERA = Camera(width=320, height=224, fx=250.0, fy=250.0, cx=161.0, cy=109.0)
EXPOSURE = 0.01
ROWS, COLUMNS, STRIDE = 28, 40, 8


@dataclass(frozen=True)
class Truth:
    """A blur field, and the motion it was made from."""

    field: BlurField
    angular: Array
    linear: Array

    @property
    def velocity(self) -> Array:
        """(6,) rad/s and m/s."""
        return np.concatenate([self.angular, self.linear])


def random_inverse_depth(rng: np.random.Generator) -> Array:
    """A smooth indoor scene, 0.5 to 6 m away."""
    coarse = rng.standard_normal((4, 5))
    depth = 1.5 + cv2.resize(coarse, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    return 1 / np.clip(depth, 0.5, 6.0)


def field_of(
    angular: Array,
    linear: Array,
    inverse_depth: Array | None = None,
    camera: Camera = CAMERA,
    sigma: float = 0.3,
    signed: bool = False,
    error: Array | None = None,
) -> BlurField:
    """The field of a motion in rad/s and m/s; `error` is added to F, pixels."""
    u, v = cell_centres(ROWS, COLUMNS, STRIDE)
    rho = np.full(u.shape, 0.5) if inverse_depth is None else inverse_depth
    motion = motion_field(
        camera, u, v, rho, np.asarray(angular) * EXPOSURE, np.asarray(linear) * EXPOSURE
    )
    if error is not None:
        motion = motion + error
    return BlurField(
        q=double_angle(motion),
        sigma=np.full(u.shape, sigma),
        inverse_depth=rho,
        sigma_log_depth=np.full(u.shape, 0.1),
        camera=camera,
        stride=STRIDE,
        signed_motion=motion if signed else None,
    )


def random_truth(seed: int, noise: float = 0.0, outliers: float = 0.0) -> Truth:
    """A field of a random hand-held motion with noise (pixels) and a share of senseless cells."""
    rng = np.random.default_rng(seed)
    angular = rng.standard_normal(3) * rng.uniform(1.5, 4.0)
    linear = rng.standard_normal(3) * rng.uniform(0.2, 1.5)
    inverse_depth = random_inverse_depth(rng)
    clean = field_of(angular, linear, inverse_depth, signed=True).motion
    error = noise * rng.standard_normal(clean.shape)
    wrong = rng.uniform(size=(ROWS, COLUMNS)) < outliers
    size = 1.5 * np.linalg.norm(clean, axis=-1).mean()
    error[wrong] = size * rng.standard_normal((int(wrong.sum()), 2)) - clean[wrong]
    sigma = max(noise, 0.1)
    return Truth(
        field_of(angular, linear, inverse_depth, sigma=sigma, error=error), angular, linear
    )


def texture(seed: int = 0, size: int = 1200) -> NDArray[np.uint8]:
    """A smooth random grey texture, (size, size)."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.standard_normal((n, n)), (size, size), interpolation=cv2.INTER_CUBIC) / 2**k
        for k, n in enumerate((16, 40, 90))
    ]
    image = sum(layers)
    return cv2.normalize(image, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)


def seen_after(turn: Array, scene: NDArray[np.uint8], camera: Camera = CAMERA) -> Array:
    """The image (height, width, 3) of a far-away texture after the camera turned by `turn`
    (rad)."""
    size = scene.shape[0]
    ahead = np.array([[camera.fx, 0, size / 2], [0, camera.fy, size / 2], [0, 0, 1]])
    rotation = cv2.Rodrigues(np.asarray(turn, dtype=float))[0]
    to_scene = ahead @ rotation @ np.linalg.inv(camera.matrix)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = cv2.warpPerspective(
        scene, to_scene, (camera.width, camera.height), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
