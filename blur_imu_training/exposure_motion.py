"""How a camera moves while its shutter is open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.camera import Camera
from blur_imu_ros.motion_field import motion_field

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExposureMotion:
    """Motion over an exposure, with s from -1/2 (opens) to 1/2 (closes).

    Attributes:
        rotation: (3,) theta, the mean angular velocity times the exposure time, rad.
        translation: (3,) t, the mean linear velocity times the exposure time, m.
        angular_acceleration: (3,) change of angular velocity over the exposure times tau, rad.
        linear_acceleration: (3,) change of linear velocity over the exposure times tau, m.
    """

    rotation: Array
    translation: Array
    angular_acceleration: Array
    linear_acceleration: Array

    def at(self, s: float) -> tuple[Array, Array]:
        """Return the rotation vector and translation from the body at mid-exposure to s."""
        # The quadratic parts are equal at both ends: the mean velocity stays theta and t.
        return (
            self.rotation * s + 0.5 * self.angular_acceleration * s * s,
            self.translation * s + 0.5 * self.linear_acceleration * s * s,
        )

    def scaled(self, factor: float) -> ExposureMotion:
        """Return the same path, `factor` times as far."""
        return ExposureMotion(
            self.rotation * factor,
            self.translation * factor,
            self.angular_acceleration * factor,
            self.linear_acceleration * factor,
        )


STILL_SHARE = 0.1
"""Share of samples without visible motion."""


def random_motion(
    camera: Camera,
    u: Array,
    v: Array,
    inverse_depth: NDArray[np.float32],
    longest: float,
    rng: np.random.Generator,
) -> ExposureMotion:
    """Return a motion whose mean blur over the pixels (u, v) is drawn from 0 to `longest` pixels.

    Rotation and translation mix as in hands (turning about a pivot behind the camera), on robots
    (independent of each other) and in tests (one of them alone).
    """
    raw = _unscaled_motion(camera, float(np.median(inverse_depth)), rng)
    field = motion_field(camera, u, v, inverse_depth, raw.rotation, raw.translation)
    lengths = np.hypot(field[..., 0], field[..., 1])
    wanted = _random_length(longest, rng)
    scale = wanted / max(float(lengths.mean()), 1e-9)
    return raw.scaled(min(scale, 1.8 * longest / max(float(lengths.max()), 1e-9)))


def _random_length(longest: float, rng: np.random.Generator) -> float:
    if rng.uniform() < STILL_SHARE:
        return float(rng.uniform(0, 1))
    if rng.uniform() < 0.5:
        return float(np.exp(rng.uniform(0, np.log(longest))))
    return float(rng.uniform(1, longest))


def _unscaled_motion(
    camera: Camera, inverse_depth: float, rng: np.random.Generator
) -> ExposureMotion:
    rotation = rng.standard_normal(3) * (1.0, 1.0, 1.6) * (rng.uniform(size=3) > 0.25)
    direction = rng.standard_normal(3)
    # As fast as the rotation on the image, more or less: t rho f against theta f.
    independent = direction / inverse_depth * np.exp(rng.normal(-0.7, 1.0))
    kind = rng.uniform()
    if kind < 0.45:
        lever_arm = rng.normal((0, 0, 0.25), (0.15, 0.15, 0.2))
        translation = np.cross(rotation, lever_arm) + 0.15 * independent
    elif kind < 0.8:
        translation = independent
    elif kind < 0.9:
        translation = np.zeros(3)
    else:
        rotation, translation = rotation * 0.05, direction / inverse_depth
    bend = rng.uniform(0, 0.8) * (rng.uniform() < 0.7)
    return ExposureMotion(
        rotation,
        translation,
        rng.standard_normal(3) * bend * np.linalg.norm(rotation) / 2,
        rng.standard_normal(3) * bend * np.linalg.norm(translation) / 2,
    )
