"""Many frames: angular and linear velocity from the blur of each and the registration of each pair.

Blur tells the velocity at the middle of an exposure, registration its mean between two of them. The
state is (omega, v) and its acceleration; the pose since the frame before is carried along, so that
a mean is an exact linear measurement. With a lever arm r the process is that of (omega, u),
v = omega x r + u: what is left of v is the constraint noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.motion_judge import BlurReading, Judge
from blur_imu_ros.core.motion_process import (
    SLOWEST,
    Gaussian,
    MotionFilterConfig,
    axis,
    symmetric,
)
from blur_imu_ros.core.pivot import skew
from blur_imu_ros.core.registration import Registration

_POSE, _VELOCITY, _ACCELERATION = slice(0, 6), slice(6, 12), slice(12, 18)
_LASTING = slice(6, 18)
"""What is kept from frame to frame: the pose begins anew at each."""


@dataclass(frozen=True)
class Hold:
    """How the camera is held, for one step.

    Attributes:
        lever_arm: (3,) metres, from the pivot to the camera.
        slip: (3, 3) covariance of v - omega x r, (m/s)^2.
    """

    lever_arm: Array
    slip: Array


@dataclass(frozen=True)
class MotionFilterState:
    """What a `MotionFilter` has learnt, as plain numbers; see its attributes."""

    mean: list[float]
    covariance: list[list[float]]
    judge_mean: list[list[float]]
    judge_covariance: list[list[list[float]]]
    accelerations: list[list[float]]
    blur_scales: list[list[float]]


@dataclass(frozen=True)
class _Step:
    """A step from one frame to the next, as smoothing needs it.

    Attributes:
        before: (18,) of the frame before, its blur included.
        predicted: (18,) of the next frame, before anything was measured of it.
        transition: (18, 12) from one to the other, in which the pose begins anew.
    """

    before: Gaussian
    predicted: Gaussian
    transition: Array

    def back(self, after: Gaussian) -> Gaussian:
        """Return (18,) the frame before, by all that is known of the next (Rauch-Tung-Striebel)."""
        spread = self.transition @ self.before.covariance[_LASTING]
        gain = _solved(self.predicted.covariance, spread).T
        mean = self.before.mean + gain @ (after.mean - self.predicted.mean)
        change = after.covariance - self.predicted.covariance
        return Gaussian(mean, symmetric(self.before.covariance + gain @ change @ gain.T))


class MotionFilter:
    """Fuses frames in order of time; each is linked to the one before by a registration."""

    def __init__(self, config: MotionFilterConfig | None = None) -> None:
        """Use `config`, or the defaults."""
        self.config = config or MotionFilterConfig()
        self._judge = Judge(self.config)
        self._head = self._unknown(None)

    def _unknown(self, hold: Hold | None) -> Gaussian:
        """Return what is known of a frame before anything is measured, (18,)."""
        config = self.config
        covariance = np.zeros((18, 18))
        turning = np.diag([config.angular_std**2] * 3)
        sliding = np.eye(3) * config.linear_std**2 if hold is None else hold.slip
        covariance[_VELOCITY, _VELOCITY] = _tied(hold, turning, sliding)
        shaken, pushed = self._accelerations(hold)
        covariance[_ACCELERATION, _ACCELERATION] = _tied(hold, shaken, pushed)
        return Gaussian(np.zeros(18), covariance)

    def restart(self, hold: Hold | None = None) -> None:
        """Begin at a frame that nothing links to those before."""
        self._judge.restart()
        self._head = self._unknown(hold)

    def push(
        self,
        pair: Registration,
        before: BlurReading | None,
        now: BlurReading | None,
        hold: Hold | None = None,
        jitter: float = 0.0,
    ) -> Fused:
        """Take the next frame.

        Args:
            pair: links it to the frame that was taken before it, or began.
            before: blur of that frame, its sign by both its neighbours.
            now: blur of the next frame, its sign by the past.
            hold: how the camera is held.
            jitter: standard deviation of the frames' time stamps, seconds.
        """
        dt = pair.t1 - pair.t0
        pair = _jittered(pair, jitter)
        pair = self.resolved(pair, before)
        mean, variance = self._judge.pair(pair, dt)
        if before is not None:
            self._judge.blur(before, mean, variance)
        start = self._read(self._head, before)
        predicted, transition = self._predicted(start, dt, hold)
        own = (pair.covariance - pair.shared_covariance) * dt**2
        self._head = predicted.observed(_POSE, pair.velocity * dt, own, self.config.degrees)
        step = _Step(start, predicted, transition)
        return Fused(step, self._read(self._head, now), jitter, self.config.lasting)

    def _predicted(self, start: Gaussian, dt: float, hold: Hold | None) -> tuple[Gaussian, Array]:
        """Return (18,) the frame `dt` seconds behind `start`, and the transition (18, 12) to it."""
        transition, noise = self._dynamics(dt, hold)
        lasting = start.part(_LASTING)
        spread = transition @ lasting.covariance @ transition.T + noise
        return Gaussian(transition @ lasting.mean, symmetric(spread)), transition

    def resolved(self, pair: Registration, before: BlurReading | None) -> Registration:
        """Return the next pair with the doubt that what is known leaves of it.

        Args:
            pair: links the next frame to the one that was taken last.
            before: blur of that frame.
        """
        if pair.ambiguity < 1e-3:
            return pair
        dt, sure = pair.t1 - pair.t0, pair.resolved(0.0)
        start = self._read(self._head, before)
        predicted = self._predicted(start, dt, None)[0].part(_POSE)
        innovation = pair.velocity[:3] - predicted.mean[:3] / dt
        expected = predicted.covariance[:3, :3] / dt**2
        right = (1 - pair.ambiguity) * _density(innovation, expected + sure.covariance[:3, :3])
        wrong = pair.ambiguity * _density(
            innovation, expected + pair.resolved(1.0).covariance[:3, :3]
        )
        return pair.resolved(wrong / (right + wrong))

    def current(self, now: BlurReading | None, jitter: float = 0.0) -> Gaussian:
        """Return (6,) the velocity of the frame taken last, with its blur."""
        return _velocity(self._read(self._head, now), jitter, self.config.lasting)

    def _read(self, state: Gaussian, reading: BlurReading | None) -> Gaussian:
        if reading is None:
            return state
        scales = self._judge.scales
        std = np.sqrt(np.append(scales, [np.exp(np.log(scales).mean())] * 3))
        own = reading.covariance * np.outer(std, std)
        return state.observed(_VELOCITY, reading.velocity, own, self.config.degrees)

    def _dynamics(self, dt: float, hold: Hold | None) -> tuple[Array, Array]:
        """Return the transition (18, 12) and the noise (18, 18) of a step."""
        config, decay = self.config, 1 / self.config.acceleration_time
        angular, angular_noise = axis(dt, SLOWEST, decay)
        slowing = SLOWEST if hold is None else 1 / config.constraint_noise_time
        linear, linear_noise = axis(dt, slowing, decay)
        shaken, pushed = self._accelerations(hold)
        nothing, held = np.zeros((3, 3)), _held(hold)
        released = 2 * np.eye(6) - held  # the inverse of `held`
        turning = held[:, :3] @ released[:3]
        sliding = held[:, 3:] @ released[3:]
        transition = _kron(angular, turning) + _kron(linear, sliding)
        noise = _kron(angular_noise, _tied(hold, shaken, nothing))
        return transition[:, 6:], noise + _kron(linear_noise, _tied(hold, nothing, pushed))

    def _accelerations(self, hold: Hold | None) -> tuple[Array, Array]:
        """Return covariances (3, 3) of the angular acceleration and of the linear one beside it."""
        config, variances = self.config, self._judge.variances
        if hold is None:
            along = config.lever**2 * variances.mean() + config.linear_acceleration**2
            return np.diag(variances), np.eye(3) * along
        slowing = 1 / config.constraint_noise_time
        # What makes the slip's stationary variance.
        return np.diag(variances), hold.slip * slowing * (slowing + 1 / config.acceleration_time)

    @property
    def state(self) -> MotionFilterState:
        """What `resume` takes."""
        judge = self._judge
        parts = (
            *(self._head.mean, self._head.covariance, judge.mean, judge.covariance),
            *(judge.accelerations, judge.blur_scales),
        )
        return MotionFilterState(*(part.tolist() for part in parts))

    def resume(self, state: MotionFilterState) -> None:
        """Go on from what another filter of this configuration had learnt."""
        judge = self._judge
        self._head = Gaussian(np.array(state.mean), np.array(state.covariance))
        judge.mean, judge.covariance = np.array(state.judge_mean), np.array(state.judge_covariance)
        judge.accelerations = np.array(state.accelerations)
        judge.blur_scales = np.array(state.blur_scales)


@dataclass(frozen=True)
class Fused:
    """What one more frame tells.

    Attributes:
        step: from the frame before.
        current: (18,) of the frame, by the past and its own blur.
        jitter: standard deviation of the frames' time stamps, seconds.
        lasting: see the configuration.
    """

    step: _Step
    current: Gaussian
    jitter: float
    lasting: float

    @property
    def now(self) -> Gaussian:
        """(6,) velocity of the frame."""
        return self._velocity(self.current)

    @property
    def before(self) -> Gaussian:
        """(6,) velocity of the frame before it, by one frame of its future too."""
        return self._velocity(self.step.back(self.current))

    def _velocity(self, state: Gaussian) -> Gaussian:
        return _velocity(state, self.jitter, self.lasting)


def smoothed(chain: Sequence[Fused]) -> list[Gaussian]:
    """Return (6,) velocities of linked frames by all of them: one more than there are links."""
    state = chain[-1].current
    velocities = [chain[-1].now]
    for fused in reversed(chain):
        state = fused.step.back(state)
        velocities.append(_velocity(state, fused.jitter, fused.lasting))
    return velocities[::-1]


def _velocity(state: Gaussian, jitter: float, lasting: float) -> Gaussian:
    """Return (6,) the velocity of a state (18,), with what no filter sees in its covariance.

    Args:
        state: of a frame.
        jitter: standard deviation of its time stamp, seconds.
        lasting: frames for which errors of depth stay alike.
    """
    velocity, change = state.part(_VELOCITY), state.part(_ACCELERATION)
    std = np.sqrt([1.0] * 3 + [lasting] * 3)
    moved = change.covariance + np.outer(change.mean, change.mean)
    covariance = velocity.covariance * np.outer(std, std) + jitter**2 * moved
    return Gaussian(velocity.mean, covariance)


def _jittered(pair: Registration, jitter: float) -> Registration:
    """Return a pair with what wrong stamps of both frames do to its velocity."""
    if jitter == 0:
        return pair
    share2 = 2 * (jitter / (pair.t1 - pair.t0)) ** 2
    wrong = share2 * np.outer(pair.velocity, pair.velocity)
    return replace(pair, covariance=pair.covariance + wrong)


def _held(hold: Hold | None) -> Array:
    """Return the matrix (6, 6) that makes (omega, v) of (omega, u), v = omega x r + u."""
    held = np.eye(6)
    if hold is not None:
        held[3:, :3] = -skew(hold.lever_arm)
    return held


def _tied(hold: Hold | None, angular: Array, linear: Array) -> Array:
    """Return the covariance (6, 6) of (omega, v) from those of omega and u, (3, 3) each."""
    held = _held(hold)
    return np.asarray(held[:, :3] @ angular @ held[:, :3].T + held[:, 3:] @ linear @ held[:, 3:].T)


def _density(innovation: Array, covariance: Array) -> float:
    """Return that of a Gaussian, up to a constant; never zero."""
    nis = float(innovation @ np.linalg.solve(covariance, innovation))
    return float(np.exp(-min(nis, 600.0) / 2) / np.sqrt(np.linalg.det(covariance)))


def _kron(a: Array, b: Array) -> Array:
    """Return the Kronecker product of two small matrices; much faster than numpy's."""
    product = a[:, None, :, None] * b[None, :, None, :]
    return product.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])


def _solved(covariance: Array, right: Array) -> Array:
    """Return covariance^-1 right; its entries are of very different sizes."""
    size = 1 / np.sqrt(np.diag(covariance))
    scaled = covariance * np.outer(size, size) + 1e-12 * np.eye(len(size))
    return np.asarray(np.linalg.solve(scaled, right * size[:, None]) * size[:, None])
