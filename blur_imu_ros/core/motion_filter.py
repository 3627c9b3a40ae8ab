"""Many frames: angular and linear velocity from the blur of each and the registration of each pair.

Blur tells the velocity at the middle of an exposure, its sign left open, registration its mean
between two of them, and so the sign. The state is (omega, v), its acceleration, and the vibration
that is in omega; the pose since the frame before is carried along, so that a mean is an exact
linear measurement. With a lever arm r the process is that of (omega, u), v = omega x r + u: what is
left of v is the constraint noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.motion_judge import BlurReading, Judge
from blur_imu_ros.core.motion_process import (
    SLOWEST,
    Gaussian,
    MotionFilterConfig,
    Turning,
    axis,
    observed,
    symmetric,
)
from blur_imu_ros.core.motion_signs import Mixture, Read, fits, normalised, read, unread
from blur_imu_ros.core.pivot import skew
from blur_imu_ros.core.registration import Registration

_POSE, _VELOCITY, _ACCELERATION = slice(0, 6), slice(6, 12), slice(12, 18)
_UNLIKELY = 1e-2
"""Share of a wrong pair that is not thought of."""
_VIBRATION = slice(18, 21)
_LASTING = slice(6, 21)
"""What is kept from frame to frame: the pose begins anew at each."""
_STANDING = np.outer((0.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0))
"""What a vibration of variance 1 is before anything is known of it: (4, 4) of one axis."""
_LEAST_CHANCE = 0.2
"""Share of the covariance of a pair that errs by chance, at least."""


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

    signs: list[int]
    weights: list[float]
    means: list[list[float]]
    covariances: list[list[list[float]]]
    judge_mean: list[list[list[float]]]
    judge_covariance: list[list[list[list[float]]]]
    ways: list[list[float]]
    blur_scales: list[list[float]]
    alike: list[list[float]]


@dataclass(frozen=True)
class _Step:
    """A step from one frame to the next, as smoothing needs it.

    Attributes:
        before: (21,) of the frame before, its blur included.
        predicted: (21,) of the next frame, before anything was measured of it.
        transition: (21, 15) from one to the other, in which the pose begins anew.
    """

    before: Gaussian
    predicted: Gaussian
    transition: Array

    def back(self, after: Gaussian) -> Gaussian:
        """Return (21,) the frame before, by all that is known of the next (Rauch-Tung-Striebel)."""
        spread = self.transition @ self.before.covariance[_LASTING]
        gain = _solved(self.predicted.covariance, spread).T
        mean = self.before.mean + gain @ (after.mean - self.predicted.mean)
        change = after.covariance - self.predicted.covariance
        return Gaussian(mean, symmetric(self.before.covariance + gain @ change @ gain.T))


@dataclass(frozen=True)
class _Link:
    """A way from a frame to the next that is still possible.

    Attributes:
        sign: of the blur of the frame before, +1 or -1.
        weight: its share.
        step: from that frame to this one.
        observed: (21,) of this frame by the pair, its blur left out.
    """

    sign: int
    weight: float
    step: _Step
    observed: Gaussian


class MotionFilter:
    """Fuses frames in order of time; each is linked to the one before by a registration."""

    def __init__(self, config: MotionFilterConfig | None = None) -> None:
        """Use `config`, or the defaults."""
        self.config = config or MotionFilterConfig()
        self._judge = Judge(self.config)
        self._head = Mixture.of(self._unknown(None))
        self._alike: Array = np.zeros((3, 3))

    def _unknown(self, hold: Hold | None) -> Gaussian:
        """Return what is known of a frame before anything is measured, (21,)."""
        config = self.config
        covariance = np.zeros((21, 21))
        turning = np.diag([config.angular_std**2] * 3)
        sliding = np.eye(3) * config.linear_std**2 if hold is None else hold.slip
        covariance[_VELOCITY, _VELOCITY] = _tied(hold, turning, sliding)
        shaken, pushed = self._accelerations(hold)
        covariance[_ACCELERATION, _ACCELERATION] = _tied(hold, shaken, pushed)
        covariance += _vibrating(hold, self._judge.vibrations, _STANDING)
        return Gaussian(np.zeros(21), covariance)

    def restart(self, hold: Hold | None = None) -> None:
        """Begin at a frame that nothing links to those before."""
        self._judge.restart()
        self._head = Mixture.of(self._unknown(hold))

    def push(
        self,
        pair: Registration,
        before: BlurReading | None,
        now: BlurReading | None,
        hold: Hold | None = None,
        jitter: float = 0.0,
        probability: float = 0.5,
    ) -> Fused:
        """Take the next frame.

        Args:
            pair: links it to the frame that was taken before it, or began.
            before: blur of that frame, under one of both signs.
            now: blur of the next frame, likewise.
            hold: how the camera is held.
            jitter: standard deviation of the frames' time stamps, seconds.
            probability: that the sign of `before` is right, by what was not taken; where it began.
        """
        dt = pair.t1 - pair.t0
        pair, self._alike = _by_chance(pair, self.config.alike)
        pair = _jittered(pair, jitter)
        pair = self.resolved(pair, before, probability)
        turning = Turning.of(dt, self.config)
        mean, variance = self._judge.pair(pair, turning, dt)
        if before is not None:
            self._judge.blur(before, mean, variance)
        start = self._read(self._head, before, probability).state
        links = self._links(start, pair, dt, hold)
        weights = np.array([link.weight for link in links])
        self._head = Mixture(
            tuple(link.sign for link in links),
            weights / weights.sum(),
            tuple(link.observed for link in links),
        )
        return Fused(tuple(links), self._read(self._head, now), self._unseen(jitter))

    def _links(
        self, start: Mixture, pair: Registration, dt: float, hold: Hold | None
    ) -> list[_Link]:
        """Return the ways from a frame to the next that a pair leaves possible.

        A pair that is wrong tells nothing.
        """
        value, degrees = pair.velocity * dt, self.config.degrees
        own = (pair.resolved(0.0).covariance - pair.shared_covariance) * dt**2
        transition, shaken, slipping = self._dynamics(dt, hold)
        ways, weights = [], []
        for sign, weight, state in zip(start.signs, start.weights, start.parts, strict=True):
            mean, spread = _moved(state, transition)
            for harder, share in self.config.knocks:
                predicted = Gaussian(mean, spread + harder**2 * shaken + slipping)
                ways.append((sign, state, predicted))
                weights.append(weight * share)
        fitting = fits([way[2] for way in ways], _POSE, value[None], own)[:, 0]
        shares = normalised(np.array(weights), fitting)
        kept = np.flatnonzero(shares)
        values = np.broadcast_to(value, (len(kept), len(value)))
        found = observed([ways[k][2] for k in kept], _POSE, values, own, degrees)
        seen = dict(zip(kept.tolist(), found, strict=True))
        links = []
        for k, (sign, state, predicted) in enumerate(ways):
            step = _Step(state, predicted, transition)
            if k in seen:
                share = (1 - pair.ambiguity) * float(shares[k])
                links.append(_Link(sign, share, step, seen[k]))
            if weights[k] * pair.ambiguity > _UNLIKELY:
                links.append(_Link(sign, weights[k] * pair.ambiguity, step, predicted))
        return links

    def resolved(
        self, pair: Registration, before: BlurReading | None, probability: float = 0.5
    ) -> Registration:
        """Return the next pair with the doubt that what is known leaves of it.

        Args:
            pair: links the next frame to the one that was taken last.
            before: blur of that frame.
            probability: that its sign is right, by what was not taken.
        """
        if pair.ambiguity < 1e-3:
            return pair
        dt, sure = pair.t1 - pair.t0, pair.resolved(0.0)
        start = self._read(self._head, before, probability).state
        right = wrong = 0.0
        wide = pair.resolved(1.0).covariance[:3, :3]
        transition, shaken, slipping = self._dynamics(dt, None)
        for weight, state in zip(start.weights, start.parts, strict=True):
            mean, spread = _moved(state, transition)
            innovation = pair.velocity[:3] - mean[:3] / dt
            for harder, share in self.config.knocks:
                expected = (spread + harder**2 * shaken + slipping)[:3, :3] / dt**2
                chance = weight * share
                right += chance * _density(innovation, expected + sure.covariance[:3, :3])
                wrong += chance * _density(innovation, expected + wide)
        right, wrong = (1 - pair.ambiguity) * right, pair.ambiguity * wrong
        return pair.resolved(wrong / (right + wrong))

    def current(self, now: BlurReading | None, jitter: float = 0.0) -> Gaussian:
        """Return (6,) the velocity of the frame taken last, with its blur."""
        return self._unseen(jitter).velocity(self._read(self._head, now).state)

    def _unseen(self, jitter: float) -> Unseen:
        return Unseen(jitter, self.config.lasting, self._alike)

    def _read(self, state: Mixture, reading: BlurReading | None, probability: float = 0.5) -> Read:
        if reading is None:
            return unread(state)
        scales = self._judge.scales
        std = np.sqrt(np.append(scales, [np.exp(np.log(scales).mean())] * 3))
        own = replace(reading, covariance=reading.covariance * np.outer(std, std))
        return read(state, own, _VELOCITY, self.config.degrees, probability)

    def _dynamics(self, dt: float, hold: Hold | None) -> tuple[Array, Array, Array]:
        """Return the transition (21, 15) of a step, and two parts (21, 21) of its noise.

        The first is that of the shaken camera, the other that of the pivot.
        """
        config, decay = self.config, 1 / self.config.acceleration_time
        turning = Turning.of(dt, config)
        slowing = SLOWEST if hold is None else 1 / config.constraint_noise_time
        linear, linear_noise = axis(dt, slowing, decay)
        shaken, pushed = self._accelerations(hold)
        nothing, held = np.zeros((3, 3)), _held(hold)
        released = 2 * np.eye(6) - held  # the inverse of `held`
        transition = np.zeros((21, 15))
        transition[:18, :12] = _kron(turning.transition[:3, :2], held[:, :3] @ released[:3])
        transition[:18, :12] += _kron(linear[:, 1:], held[:, 3:] @ released[3:])
        transition[:18, 12:] = _kron(turning.transition[:3, 2:], held[:, :3])
        transition[_VIBRATION, 12:] = turning.transition[3, 2] * np.eye(3)
        noise = np.zeros((21, 21))
        noise[:18, :18] = _kron(turning.shaken[:3, :3], _tied(hold, shaken, nothing))
        along = _vibrating(hold, self._judge.vibrations, turning.vibrating)
        sliding = _kron(linear_noise, _tied(hold, nothing, pushed))
        (noise if hold is None else along)[:18, :18] += sliding
        return transition, noise, along

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
        judge, head = self._judge, self._head
        means = [part.mean.tolist() for part in head.parts]
        covariances = [part.covariance.tolist() for part in head.parts]
        parts = judge.mean, judge.covariance, judge.ways, judge.blur_scales, self._alike
        judged = [part.tolist() for part in parts]
        return MotionFilterState(
            list(head.signs), head.weights.tolist(), means, covariances, *judged
        )

    def resume(self, state: MotionFilterState) -> None:
        """Go on from what another filter of this configuration had learnt."""
        judge = self._judge
        parts = [
            Gaussian(np.array(mean), np.array(covariance))
            for mean, covariance in zip(state.means, state.covariances, strict=True)
        ]
        self._head = Mixture(tuple(state.signs), np.array(state.weights), tuple(parts))
        judge.mean, judge.covariance = np.array(state.judge_mean), np.array(state.judge_covariance)
        judge.ways = np.array(state.ways)
        judge.blur_scales = np.array(state.blur_scales)
        self._alike = np.array(state.alike)


@dataclass(frozen=True)
class Unseen:
    """What no filter sees of its errors.

    Attributes:
        jitter: standard deviation of the frames' time stamps, seconds.
        lasting: frames for which errors of depth stay alike.
        alike: (3, 3) covariance of the errors that registered angular velocities share.
    """

    jitter: float
    lasting: float
    alike: Array

    def velocity(self, state: Mixture) -> Gaussian:
        """Return (6,) the velocity of a state, with all of its covariance."""
        velocity, change = state.merged.part(_VELOCITY), state.merged.part(_ACCELERATION)
        std = np.sqrt([1.0] * 3 + [self.lasting] * 3)
        moved = change.covariance + np.outer(change.mean, change.mean)
        covariance = velocity.covariance * np.outer(std, std) + self.jitter**2 * moved
        covariance[:3, :3] += self.alike
        return Gaussian(velocity.mean, covariance)


@dataclass(frozen=True)
class Fused:
    """What one more frame tells.

    Attributes:
        links: the ways from the frame before.
        read: of the frame, by the past and its own blur.
        unseen: what is added to the covariance of its velocities.
    """

    links: tuple[_Link, ...]
    read: Read
    unseen: Unseen

    @property
    def now(self) -> Gaussian:
        """(6,) velocity of the frame."""
        return self.velocity(self.read.state)

    @property
    def before(self) -> Gaussian:
        """(6,) velocity of the frame before it, by one frame of its future too."""
        return self.velocity(self.last)

    @cached_property
    def last(self) -> Mixture:
        """(21,) the frame before, for each sign of its blur, by one frame of its future too."""
        return self._back(*self.read.of_before)

    def last_given(self, later: Mixture) -> Mixture:
        """The same by all that is known of this frame."""
        return self._back(*self.read.of_before_given(later))

    def _back(self, weights: Array, parts: Sequence[Gaussian]) -> Mixture:
        links = [self.links[k] for k in self.read.before]
        back = [link.step.back(part) for link, part in zip(links, parts, strict=True)]
        return Mixture(tuple(link.sign for link in links), weights, tuple(back)).by_sign

    def velocity(self, state: Mixture) -> Gaussian:
        """Return (6,) the velocity of a state."""
        return self.unseen.velocity(state)


def smoothed(chain: Sequence[Fused]) -> list[tuple[Gaussian, float]]:
    """Return what all of a chain tells of its linked frames, one more than there are links.

    Of each the (6,) velocity, and the probability that the sign of its reading is right.
    """
    state = chain[-1].read.state
    found = [(chain[-1].now, state.probability)]
    for fused in reversed(chain):
        state = fused.last_given(state)
        found.append((fused.velocity(state), state.probability))
    return found[::-1]


def _moved(state: Gaussian, transition: Array) -> tuple[Array, Array]:
    """Return mean (21,) and covariance (21, 21) of a state one step on, without the noise of it."""
    lasting = state.part(_LASTING)
    spread = transition @ lasting.covariance @ transition.T
    return transition @ lasting.mean, symmetric(spread)


def _by_chance(pair: Registration, alike: float) -> tuple[Registration, Array]:
    """Return a pair with the covariance of what errs by chance, and (3, 3) of what does not.

    The latter is half of what is taken out: pairs claim twice as much as they err.

    Args:
        pair: as registered.
        alike: see the configuration.
    """
    own = pair.resolved(0.0).covariance - pair.shared_covariance
    chance = np.maximum(1 - alike**2 / np.diag(own)[:3], _LEAST_CHANCE)
    std = np.sqrt(np.append(chance, [1.0] * 3))
    change = own * (np.outer(std, std) - 1)
    return replace(pair, covariance=pair.covariance + change), -change[:3, :3] / 2


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


def _vibrating(hold: Hold | None, variances: Array, noise: Array) -> Array:
    """Return covariance (21, 21) of a state by a vibration in omega.

    Args:
        hold: how the camera is held.
        variances: (3,) of the vibration of each axis.
        noise: (4, 4) of pose, velocity, acceleration and vibration of one axis, for variance 1.
    """
    held = _held(hold)[:, :3]
    found = np.zeros((21, 21))
    found[:18, :18] = _kron(noise[:3, :3], (held * variances) @ held.T)
    found[:18, _VIBRATION] = _kron(noise[:3, 3:], held * variances)
    found[_VIBRATION, :18] = found[:18, _VIBRATION].T
    found[_VIBRATION, _VIBRATION] = noise[3, 3] * np.diag(variances)
    return found


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
