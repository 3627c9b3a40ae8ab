"""How a camera moves while its shutter is open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Float64
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field

FASTEST_TURN, FASTEST_SHIFT = 16.0, 7.0
"""rad/s and m/s: what hands, robots and drones reach."""

EXPOSURE_TIMES = (0.001, 0.040)
READOUT_TIMES = (0.004, 0.033)
"""Seconds. Read-out: from the first row to the last, of sensors with a rolling shutter."""

ROLLING_SHARE = 0.25
LONGEST_SKEW = 32.0
"""Pixels that a read-out may shift the first and last row by: about the margin of a sample."""


@dataclass(frozen=True)
class Shutter:
    """When rows are exposed.

    Attributes:
        exposure_time: seconds that each row is exposed for.
        readout_time: seconds between the first and the last row; 0 for a global shutter.
    """

    exposure_time: float
    readout_time: float = 0.0

    @property
    def skew(self) -> float:
        """Read-out time in exposures: rows are exposed around s from -skew/2 to skew/2."""
        return self.readout_time / self.exposure_time


@dataclass(frozen=True)
class ExposureMotion:
    """Motion over an exposure, with s from -1/2 (opens) to 1/2 (closes).

    Under a rolling shutter s goes on beyond both ends, and the mean is that of the middle row.

    Attributes:
        rotation: (3,) theta, the mean angular velocity times the exposure time, rad.
        translation: (3,) t, the mean linear velocity times the exposure time, m.
        angular_acceleration: (3,) change of angular velocity over the exposure times tau, rad.
        linear_acceleration: (3,) change of linear velocity over the exposure times tau, m.
    """

    rotation: Float64
    translation: Float64
    angular_acceleration: Float64
    linear_acceleration: Float64

    def at(self, s: float | Float64) -> tuple[Float64, Float64]:
        """Return the rotation vectors and translations (..., 3) from the body at mid-exposure to
        s."""
        s = np.asarray(s, float)[..., None]
        # The quadratic parts are equal at both ends: the mean velocity stays theta and t.
        return (
            self.rotation * s + 0.5 * self.angular_acceleration * s * s,
            self.translation * s + 0.5 * self.linear_acceleration * s * s,
        )

    @property
    def unevenness(self) -> float:
        """Fastest over mean speed in the exposure, about."""
        return 1.2

    def scaled(self, factor: float) -> ExposureMotion:
        """Return the same path, `factor` times as far."""
        return ExposureMotion(
            self.rotation * factor,
            self.translation * factor,
            self.angular_acceleration * factor,
            self.linear_acceleration * factor,
        )


@dataclass(frozen=True)
class RecordedMotion(ExposureMotion):
    """Motion as an inertial sensor records it: velocities of the body, step by step.

    Attributes:
        angular_rates: (n, 3) angular velocity times the exposure time, in the body's axes, constant
            in each of n equal steps of s; rad.
        linear_rates: (n, 3) linear velocity times the exposure time, likewise; m.
        reach: the steps cover s from -reach to reach; at least 1/2.
    """

    angular_rates: Float64
    linear_rates: Float64
    reach: float

    @classmethod
    def from_rates(cls, angular: Float64, linear: Float64, reach: float = 0.5) -> RecordedMotion:
        """Return the motion with these rates; theta and t are their means over the exposure."""
        inside = _time_within_exposure(len(angular), reach)
        return cls(
            inside @ angular, inside @ linear, np.zeros(3), np.zeros(3), angular, linear, reach
        )

    @property
    def _step(self) -> float:
        return 2 * self.reach / len(self.angular_rates)

    @cached_property
    def _knots(self) -> tuple[Rotation, Float64]:
        """Orientation and place at the beginning of each step, relative to mid-exposure."""
        turns = [Rotation.identity()]
        places = [np.zeros(3)]
        for angular, linear in zip(self.angular_rates, self.linear_rates, strict=True):
            # Within a step the body turns so little that its mean orientation carries it.
            halfway = turns[-1] * Rotation.from_rotvec(angular * self._step / 2)
            places.append(places[-1] + halfway.apply(linear * self._step))
            turns.append(turns[-1] * Rotation.from_rotvec(angular * self._step))
        start = Rotation.concatenate(turns[:-1]), np.array(places[:-1])
        middle, place = self._from(start, np.zeros(()))
        return middle.inv() * start[0], middle.inv().apply(start[1] - place)

    def _from(self, knots: tuple[Rotation, Float64], s: Float64) -> tuple[Rotation, Float64]:
        steps = (s + self.reach) / self._step
        index = np.clip(steps.astype(int), 0, len(self.angular_rates) - 1)
        rest = ((steps - index) * self._step)[..., None]
        turn, angular = knots[0][index], self.angular_rates[index] * rest
        halfway = turn * Rotation.from_rotvec(angular / 2)
        return (
            turn * Rotation.from_rotvec(angular),
            knots[1][index] + halfway.apply(self.linear_rates[index] * rest),
        )

    def at(self, s: float | Float64) -> tuple[Float64, Float64]:
        """Return the rotation vectors and translations (..., 3) from the body at mid-exposure to
        s."""
        turn, place = self._from(self._knots, np.asarray(s, float))
        return turn.as_rotvec(), place

    @property
    def unevenness(self) -> float:
        """Fastest over mean speed in the exposure, about."""
        mean = float(np.linalg.norm(self.rotation))
        inside = _time_within_exposure(len(self.angular_rates), self.reach) > 0
        fastest = float(np.linalg.norm(self.angular_rates[inside], axis=1).max())
        return float(np.clip(fastest / max(mean, 1e-9), super().unevenness, 4))

    def scaled(self, factor: float) -> RecordedMotion:
        """Return the same course of velocities, `factor` times as fast."""
        return self.from_rates(self.angular_rates * factor, self.linear_rates * factor, self.reach)

    def mirrored(self) -> RecordedMotion:
        """Return the motion as a mirror shows it that exchanges left and right."""
        return self.from_rates(
            self.angular_rates * (1, -1, -1), self.linear_rates * (-1, 1, 1), self.reach
        )


def _time_within_exposure(steps: int, reach: float) -> Float64:
    """Return the share of the exposure that each of the equal steps over +-reach takes, (n,)."""
    edges = np.clip(np.linspace(-reach, reach, steps + 1), -0.5, 0.5)
    return np.diff(edges)


STILL_SHARE = 0.16
"""Share of samples without visible motion."""

EVEN_RATIOS = 0.85
"""Share of the others whose mean blur is drawn evenly in ratio, since a network in doubt answers
with what it met most; the rest is drawn evenly in pixels, or long blur would be rare."""

MOST_OVER_MEAN = 1.8
"""The longest blur in a picture may be so many times the longest mean blur."""


def random_motion(
    camera: Camera,
    u: Float64,
    v: Float64,
    inverse_depth: NDArray[np.float32],
    longest: float,
    rng: np.random.Generator,
) -> ExposureMotion:
    """Return a motion whose mean blur over the pixels (u, v) is drawn from 0 to `longest` pixels.

    It is at most what the fastest camera does in the longest exposure. Rotation and translation mix
    as in hands (turning about a pivot behind the camera), on robots (independent of each other) and
    in tests (one of them alone).
    """
    motion = _unscaled_motion(camera, float(np.median(inverse_depth)), rng)
    wanted = _random_length(longest, rng)
    # Before far scenes translation ends up at its limit, and rotation has to make the blur.
    for _ in range(2):
        field = motion_field(camera, u, v, inverse_depth, motion.rotation, motion.translation)
        lengths = np.hypot(field[..., 0], field[..., 1])
        scale = wanted / max(float(lengths.mean()), 1e-9)
        scale = min(scale, MOST_OVER_MEAN * longest / max(float(lengths.max()), 1e-9))
        motion = _possible(motion.scaled(scale))
    return motion


def _possible(motion: ExposureMotion) -> ExposureMotion:
    """Return the motion with rotation and translation shortened to what cameras do."""
    turn = _shortening(motion.rotation, FASTEST_TURN)
    shift = _shortening(motion.translation, FASTEST_SHIFT)
    return ExposureMotion(
        motion.rotation * turn,
        motion.translation * shift,
        motion.angular_acceleration * turn,
        motion.linear_acceleration * shift,
    )


def slowed(
    motion: RecordedMotion,
    camera: Camera,
    u: Float64,
    v: Float64,
    inverse_depth: NDArray[np.float32],
    longest: float,
) -> RecordedMotion:
    """Return recorded motion, slowed where its mean blur over the pixels (u, v) is above `longest`
    pixels.

    It is at most what the fastest camera does in the longest exposure.
    """
    field = motion_field(camera, u, v, inverse_depth, motion.rotation, motion.translation)
    lengths = np.hypot(field[..., 0], field[..., 1])
    return motion.scaled(
        min(
            longest / max(float(lengths.mean()), longest),
            MOST_OVER_MEAN * longest / max(float(lengths.max()), MOST_OVER_MEAN * longest),
            _shortening(motion.rotation, FASTEST_TURN),
            _shortening(motion.translation, FASTEST_SHIFT),
        )
    )


def _shortening(path: Float64, fastest: float) -> float:
    longest = fastest * EXPOSURE_TIMES[1] * (1 - 1e-9)
    return min(1.0, longest / max(float(np.linalg.norm(path)), 1e-12))


def random_shutter(motion: ExposureMotion, blur: float, rng: np.random.Generator) -> Shutter:
    """Return a shutter whose exposure is long enough for `motion` to be possible.

    Args:
        motion: over the exposure.
        blur: the longest blur of that motion, pixels; bounds how far a read-out may skew.
        rng: source of every choice.
    """
    shortest = max(
        EXPOSURE_TIMES[0],
        float(np.linalg.norm(motion.rotation)) / FASTEST_TURN,
        float(np.linalg.norm(motion.translation)) / FASTEST_SHIFT,
    )
    exposure_time = float(np.exp(rng.uniform(np.log(shortest), np.log(EXPOSURE_TIMES[1]))))
    if rng.uniform() >= ROLLING_SHARE:
        return Shutter(exposure_time)
    most = 2 * LONGEST_SKEW / max(blur, 1.0) * exposure_time
    return Shutter(exposure_time, min(float(rng.uniform(*READOUT_TIMES)), most))


def gentler(motion: ExposureMotion, shutter: Shutter) -> ExposureMotion:
    """Return the motion with as much less acceleration in an exposure as the read-out is longer."""
    calm = 1 / (1 + shutter.skew)
    return replace(
        motion,
        angular_acceleration=motion.angular_acceleration * calm,
        linear_acceleration=motion.linear_acceleration * calm,
    )


def _random_length(longest: float, rng: np.random.Generator) -> float:
    if rng.uniform() < STILL_SHARE:
        return float(rng.uniform(0, 1))
    if rng.uniform() < EVEN_RATIOS:
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
    # Hands change their velocity by 10 to 40 % in an exposure. More of it in training makes a
    # network read even motion too long: what is uneven leaves a short bright core and a faint tail.
    acceleration_ratio = rng.uniform(0, 0.4) * (rng.uniform() < 0.6)
    return ExposureMotion(
        rotation,
        translation,
        rng.standard_normal(3) * acceleration_ratio * np.linalg.norm(rotation) / 2,
        rng.standard_normal(3) * acceleration_ratio * np.linalg.norm(translation) / 2,
    )
