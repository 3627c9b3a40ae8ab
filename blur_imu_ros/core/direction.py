"""Which of the two motions that leave the same blur is the right one.

Every pair of successive frames is asked under the four combinations of their signs: turned into
the second by the mean of the two velocities over the time between their mid-exposures, how well
does the first image agree? And could the camera have changed its velocity so fast? A two-state
hidden Markov filter over the sign chains the pairs. Where frames can be registered, the motion
filter decides instead, which knows more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.choices import Direction
from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate, mean_velocities

_SIGNS = np.array([1.0, -1.0])
_OPEN = np.array([0.5, 0.5])
"""Probabilities of the two signs before anything is known."""


@dataclass(frozen=True, kw_only=True)
class DirectionConfig:
    """How the sign is decided.

    Attributes:
        mode: `adjacent` also uses the next frame (one frame of latency), `previous` only what has
            been seen (none), `smooth` the whole recording, `none` leaves the sign open.
        width: width of the small images that are compared, pixels.
        spacing: spacing of the compared pixels; blurred images hold no more detail.
        blur_px: their Gaussian blur, pixels of the network's view; hides the motion blur itself.
        evidence: nats for each unit of the logarithm of the ratio of two photometric errors.
        acceleration: standard deviation of each axis's angular acceleration, rad/s^2.
        outlier_likelihood: likelihood left to any change of velocity, so that photometric evidence
            can overrule continuity.
        transition_probability: probability that the sign so far is wrong for unmodelled reasons.
        smallest_overlap: share of the image below which a pair is not compared.
        longest_gap: seconds between frames above which they are not compared.
    """

    mode: Direction | str = Direction.ADJACENT
    width: int = 160
    spacing: int = 2
    blur_px: float = 2.0
    evidence: float = 8.0
    acceleration: float = 100.0
    outlier_likelihood: float = 0.02
    transition_probability: float = 1e-3
    smallest_overlap: float = 0.25
    longest_gap: float = 0.5

    def __post_init__(self) -> None:
        """Take the word of a mode for it; ValueError where it is none."""
        object.__setattr__(self, "mode", Direction(self.mode))


@dataclass(frozen=True)
class Observation:
    """What the filter keeps of a frame; the small image is made where it is asked for.

    Attributes:
        view: network's view, BGR.
        field: what the network read of it.
        estimate: velocity of the frame, its sign open.
        config: says how small the image is, and how blurred.
    """

    view: Image
    field: BlurField
    estimate: VelocityEstimate
    config: DirectionConfig

    @cached_property
    def camera(self) -> Camera:
        """Pinhole of `image`."""
        camera = self.field.camera
        width = min(self.config.width, camera.width)
        return camera.resized(width, max(1, round(width * camera.height / camera.width)))

    @cached_property
    def image(self) -> Array:
        """(h, w) float32 grey, small, blurred, of mean 1."""
        grey = cv2.cvtColor(self.view, cv2.COLOR_BGR2GRAY).astype(np.float32)
        blurred = cv2.GaussianBlur(grey, (0, 0), self.config.blur_px)
        size = self.camera.width, self.camera.height
        small: Array = cv2.resize(blurred, size, interpolation=cv2.INTER_AREA)
        # Unit mean: automatic exposure and gain change the brightness from frame to frame.
        return small / max(float(small.mean()), 1.0)

    @cached_property
    def inverse_depth(self) -> Array:
        """(h, w) float32, 1/m."""
        size = self.camera.width, self.camera.height
        return np.asarray(cv2.resize(self.field.inverse_depth.astype(np.float32), size))


class DirectionFilter:
    """Finds the probability that the sign of each estimate is right, one frame after the other."""

    def __init__(self, config: DirectionConfig | None = None) -> None:
        """Use `config`, or the defaults."""
        self.config = config or DirectionConfig()
        self._last: Observation | None = None
        self._waiting = False
        self._posterior = _OPEN
        self.revised: float | None = None
        """Probability that the sign of the frame before is right, by the last one too; None where
        the last frame says nothing of it."""

    @property
    def posterior(self) -> tuple[float, float]:
        """Probabilities that the sign of the last frame is right, and wrong, by the past alone."""
        return float(self._posterior[0]), float(self._posterior[1])

    def follow(self, observation: Observation, probability: float) -> None:
        """Take the next frame, of which something else told how likely its sign is right."""
        self.resume(observation, (probability, 1 - probability))

    def resume(self, last: Observation | None, posterior: tuple[float, float]) -> None:
        """Go on behind the frame `last`, with the posterior that the filter had after it."""
        self._last, self._posterior = last, np.array(posterior)
        self._waiting = last is not None

    def observe(
        self, view: NDArray[np.uint8], field: BlurField, estimate: VelocityEstimate
    ) -> Observation:
        """Return what `push` needs of a frame; `view` is its network's view, BGR."""
        return Observation(view, field, estimate, self.config)

    def push(self, observation: Observation | None, bridged: bool = False) -> list[float]:
        """Take the next frame and return the probabilities that are now decided, in input order.

        Args:
            observation: None for a frame that could not be measured.
            bridged: whether the chain goes on behind a frame that could not be measured; otherwise
                it begins anew.

        Returns:
            For each frame decided, the probability that its estimate has the right sign.
        """
        if self.config.mode is Direction.NONE:
            return [0.5]
        self.revised = None
        adjacent = self.config.mode is not Direction.PREVIOUS
        if observation is None:
            return [*(self._settle() if bridged else self.flush()), 0.5]
        decided: list[float] = []
        if self._last is None or not self._follows(self._last, observation):
            decided = self.flush()
        else:
            pair = self._pair_likelihood(self._last, observation)
            self.revised = float(_normalised(self._posterior * pair.sum(axis=1))[0])
            if adjacent and self._waiting:
                decided = [self.revised]
            posterior = _normalised(self._posterior @ pair)
            self._posterior = posterior + self.config.transition_probability * (_OPEN - posterior)
        self._last, self._waiting = observation, True
        return decided if adjacent else [float(self._posterior[0])]

    def flush(self) -> list[float]:
        """Return what is still undecided and forget everything."""
        decided = self._settle()
        self._last, self._posterior = None, _OPEN
        return decided

    def _settle(self) -> list[float]:
        """Decide the frame that waits for the next one without it."""
        waiting = self._waiting and self.config.mode is not Direction.PREVIOUS
        self._waiting = False
        return [float(self._posterior[0])] if waiting else []

    def _follows(self, first: Observation, second: Observation) -> bool:
        """Whether two frames may be compared; false after a gap or a jump back in time."""
        gap = second.estimate.t - first.estimate.t
        one, other = first.camera, second.camera
        same_size = (one.width, one.height) == (other.width, other.height)
        return same_size and 0 < gap <= self.config.longest_gap

    def _pair_likelihood(self, first: Observation, second: Observation) -> Array:
        """(2, 2) likelihood of the signs (+, -) of the first frame and of the second, largest 1."""
        logarithm = self._photometric(first, second) + self._continuity(first, second)
        return np.asarray(np.exp(logarithm - logarithm.max()))

    def _photometric(self, first: Observation, second: Observation) -> Array:
        """(2, 2) log-likelihood of the signs from how well the two images agree."""
        if np.array_equal(first.image, second.image):
            return np.zeros((2, 2))  # One image twice agrees best at rest, which blur rules out.
        dt = second.estimate.t - first.estimate.t
        means = mean_velocities(first.estimate.velocity, second.estimate.velocity)
        spacing = self.config.spacing
        warped, seen = _warp(second, first, means, dt, spacing)
        if seen.mean(axis=(1, 2)).min() < self.config.smallest_overlap:
            return np.zeros((2, 2))
        apart = np.abs(first.image[::spacing, ::spacing] - warped)
        errors = np.mean(apart, axis=(1, 2), where=seen).reshape(2, 2)
        return np.asarray(-self.config.evidence * np.log(errors + 1e-6))

    def _continuity(self, first: Observation, second: Observation) -> Array:
        """(2, 2) log-likelihood of the signs from the change of angular velocity they ask for."""
        a, b = first.estimate, second.estimate
        change = (
            _SIGNS[None, :, None] * b.angular_velocity - _SIGNS[:, None, None] * a.angular_velocity
        )
        random_walk = (self.config.acceleration * (b.t - a.t)) ** 2
        covariance = a.covariance[:3, :3] + b.covariance[:3, :3] + random_walk * np.eye(3)
        distance2 = np.einsum("abi,ij,abj->ab", change, np.linalg.inv(covariance), change)
        return np.asarray(np.log(self.config.outlier_likelihood + np.exp(-distance2 / 2)))


def _normalised(weights: Array) -> Array:
    return np.asarray(weights / weights.sum())


@lru_cache(maxsize=8)
def _rays(camera: Camera, spacing: int) -> Array:
    """Return the rays (x, y, 1) of every `spacing`-th pixel and row, (3, h, w) float32."""
    u, v = np.meshgrid(np.arange(0, camera.width, spacing), np.arange(0, camera.height, spacing))
    x, y = camera.normalised(u, v)
    return np.stack([x, y, np.ones_like(x)]).astype(np.float32)


def _warp(
    source: Observation, target: Observation, velocities: Array, dt: float, spacing: int
) -> tuple[Array, Array]:
    """Return `source` as seen `dt` seconds earlier, from `target`, and where it was seen.

    The rotation is exact: between frames it is too large for the linear motion field.

    Args:
        source, target: the frame to look up, and the frame to rebuild with its own depth.
        velocities: (k, 6) of the camera from `target` to `source`, rad/s and m/s.
        dt: from the mid-exposure of `target` to that of `source`, seconds.
        spacing: of the pixels of `target` that are rebuilt.

    Returns:
        Image and whether it was seen, (k, h, w) each.
    """
    camera, rays = source.camera, _rays(target.camera, spacing)
    rotations, translations = _rotations_and_translations(velocities, dt)
    points = (rotations.reshape(-1, 3) @ rays.reshape(3, -1)).reshape(-1, *rays.shape)
    points -= translations[:, :, None, None] * target.inverse_depth[::spacing, ::spacing]
    in_front = points[:, 2] > 1e-3
    nearness = 1 / np.maximum(points[:, 2], np.float32(1e-3))
    u = points[:, 0] * nearness * np.float32(camera.fx) + np.float32(camera.cx)
    v = points[:, 1] * nearness * np.float32(camera.fy) + np.float32(camera.cy)
    seen = in_front & (u >= 0) & (u <= camera.width - 1) & (v >= 0) & (v <= camera.height - 1)
    below_each_other = (-1, rays.shape[2])
    maps = u.reshape(below_each_other), v.reshape(below_each_other)
    warped = cv2.remap(source.image, *maps, cv2.INTER_LINEAR)
    return warped.reshape(u.shape), seen


def _rotations_and_translations(velocities: Array, dt: float) -> tuple[Array, Array]:
    """Return rotations (k, 3, 3) and translations (k, 3) of points while the camera moves."""
    rotations = np.empty((len(velocities), 3, 3), np.float32)
    translations = np.empty((len(velocities), 3), np.float32)
    for k, velocity in enumerate(velocities):
        rotations[k], half = (cv2.Rodrigues(-velocity[:3] * dt * share)[0] for share in (1.0, 0.5))
        translations[k] = half @ velocity[3:] * dt
    return rotations, translations
