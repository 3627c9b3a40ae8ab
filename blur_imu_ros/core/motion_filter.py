"""Many frames: angular and linear velocity from the blur of each and the registration of each pair.

Blur tells the velocity at the middle of an exposure, its sign left open, registration its mean
between two of them, and so the sign. The state is (omega, v), its acceleration, and the vibration
that is in omega; the pose since the frame before is carried along, so that a mean is an exact
linear measurement. With a lever arm r the process is that of (omega, u), v = omega x r + u: what is
left of v is the constraint noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_reading import BlurReading
from blur_imu_ros.core.motion_gain import Gain
from blur_imu_ros.core.motion_noise import NoiseEstimator
from blur_imu_ros.core.motion_process import (
    Gaussian,
    Gaussians,
    MotionFilterConfig,
    Turning,
    symmetric,
)
from blur_imu_ros.core.motion_signs import (
    Mixture,
    Posterior,
    likelihoods,
    normalised,
    with_blur,
    without_blur,
)
from blur_imu_ros.core.motion_step import (
    ACCELERATION,
    LASTING,
    POSE,
    VELOCITY,
    Hold,
    Step,
    initial_state,
)
from blur_imu_ros.core.registration import Registration
from blur_imu_ros.core.small_systems import added

_UNLIKELY = 1e-2
"""Share of a wrong pair that is not thought of."""
_CERTAIN = 1e-3
"""Ambiguity below which a pair is not asked for doubt."""
_CHANGED = 0.02
"""Change of the logarithm of blur's scales or gain below which what was read with them holds."""
_STEPS = 32
"""Steps of different lengths that are kept."""
_ROUNDING = 1e-12 * np.eye(21)
"""Share of the variances of a state, which keeps their matrix regular."""
_LEAST_CHANCE = 0.2
"""Share of the covariance of a pair that errs by chance, at least."""


@dataclass(frozen=True)
class MotionFilterState:
    """What a `MotionFilter` has learnt, as plain numbers, by the names of the record beside a
    result: `judge_mean`, `judge_covariance`, `ways`, `blur_scales`, `gains` and `unseen` are of its
    `NoiseEstimator`."""

    signs: list[float]
    weights: list[float]
    means: list[list[float]]
    covariances: list[list[list[float]]]
    judge_mean: list[list[list[float]]]
    judge_covariance: list[list[list[list[float]]]]
    ways: list[list[float]]
    blur_scales: list[list[float]]
    gains: list[float]
    unseen: list[float]
    scales: list[float]
    alike: list[list[float]]
    gain: list[float]


@dataclass(frozen=True)
class _Hypotheses:
    """n hypotheses of the way from a frame to the next, before that is linked.

    Attributes:
        signs: (n,) of the blur of the frame before, +1 or -1.
        weights: (n,) their shares.
        before: n of the frame before, its blur included.
        predicted: n of the next frame.
        transition: (21, 15) from one to the other, in which the pose begins anew.
    """

    signs: Array
    weights: Array
    before: Gaussians
    predicted: Gaussians
    transition: Array

    @classmethod
    def of(cls, start: Mixture, step: Step, knocks: Sequence[tuple[float, float]]) -> _Hypotheses:
        """Return the hypotheses from `start`: under each sign, shaken more or less hard."""
        harder, shares = np.array(knocks).T
        moved = step.moved(start.parts)
        noise = np.square(harder)[:, None, None] * step.shaken + step.other
        covariances = (moved.covariances[:, None] + noise).reshape(-1, *step.shaken.shape)
        rows = np.arange(len(start.signs)).repeat(len(shares))
        return cls(
            start.signs[rows],
            (start.weights[:, None] * shares).ravel(),
            start.parts[rows],
            Gaussians(moved.means[rows], covariances),
            step.transition,
        )

    def doubt(self, pair: Registration) -> float:
        """Return the probability that a pair is wrong: not where one of the hypotheses leads."""
        if pair.ambiguity < _CERTAIN:
            return pair.ambiguity
        dt = pair.t1 - pair.t0
        innovations = pair.velocity[:3] - self.predicted.means[:, :3] / dt
        expected = self.predicted.covariances[:, :3, :3] / dt**2
        right, wrong = (
            float(self.weights @ _densities(innovations, expected + covariance[:3, :3]))
            for covariance in (pair.covariance_at(0.0), pair.covariance_at(1.0))
        )
        wrong *= pair.ambiguity
        return wrong / ((1 - pair.ambiguity) * right + wrong)

    def linked(self, pair: Registration, doubt: float, degrees: float) -> _Linked:
        """Return the hypotheses that a pair leaves possible; a pair that is wrong says nothing.

        Args:
            pair: links the two frames.
            doubt: the probability that it is wrong.
            degrees: of freedom of the Student-t distribution of innovations.
        """
        dt = pair.t1 - pair.t0
        value = pair.velocity[None] * dt
        own = (pair.covariance_at(0.0) - pair.shared_covariance) * dt**2
        fitting, nis = likelihoods(self.predicted, POSE, value, own)
        shares = normalised(self.weights, fitting[:, 0])
        (right,), (wrong,) = shares.nonzero(), (self.weights * doubt > _UNLIKELY).nonzero()
        observed = self.predicted[right].observed(POSE, value, own, nis[right, 0], degrees)
        weights = (1 - doubt) * shares[right]
        rows = right
        if len(wrong):
            rows = np.append(right, wrong)
            weights = np.append(weights, doubt * self.weights[wrong])
            unseen = self.predicted[wrong]
            observed = Gaussians(
                np.concatenate([observed.means, unseen.means]),
                np.concatenate([observed.covariances, unseen.covariances]),
            )
        hypotheses = _Hypotheses(
            self.signs[rows],
            weights / weights.sum(),
            self.before[rows],
            self.predicted[rows],
            self.transition,
        )
        return _Linked(hypotheses, observed)


@dataclass(frozen=True)
class _Linked:
    """Hypotheses that the link of a frame to the one before leaves possible.

    Attributes:
        hypotheses: with their shares.
        observed: of the frame by the pair, its blur left out.
    """

    hypotheses: _Hypotheses
    observed: Gaussians

    @property
    def head(self) -> Mixture:
        """What is known of the frame, under the signs of the one before."""
        return Mixture(self.hypotheses.signs, self.hypotheses.weights, self.observed)

    def before_given(self, rows: Array, weights: Array, after: Gaussians) -> Mixture:
        """Return the frame before, by all that is known of the next (Rauch-Tung-Striebel).

        Args:
            rows: which of the hypotheses.
            weights: (r,) their shares.
            after: r of the next frame.
        """
        hypotheses = self.hypotheses
        before, predicted = hypotheses.before[rows], hypotheses.predicted[rows]
        spread = hypotheses.transition @ before.covariances[:, LASTING]
        gains = _solved(predicted.covariances, spread).swapaxes(1, 2)
        change = gains @ (after.covariances - predicted.covariances) @ gains.swapaxes(1, 2)
        step = (gains @ (after.means - predicted.means)[:, :, None])[:, :, 0]
        found = Gaussians(before.means + step, symmetric(before.covariances + change))
        return Mixture(hypotheses.signs[rows], weights, found)


class MotionFilter:
    """Fuses frames in order of time; each is linked to the one before by a registration."""

    def __init__(self, config: MotionFilterConfig | None = None) -> None:
        """Use `config`, or the defaults."""
        self.config = config or MotionFilterConfig()
        self._noise = NoiseEstimator(self.config)
        # Frames come at even intervals as a rule, so few steps differ.
        self._turning = lru_cache(maxsize=_STEPS)(partial(Turning.of, config=self.config))
        self._alike: Array = np.zeros((3, 3))
        self._scales, self._gain = self._noise.scales, self._noise.gains.gain
        self._known: _Known | None = None
        self.restart()

    def restart(self, hold: Hold | None = None) -> None:
        """Begin at a frame that nothing links to those before."""
        self._noise.restart()
        self._head = Mixture.of(initial_state(hold, self._noise, self.config))

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
            jitter: standard deviation of the frames' timestamps, seconds.
            probability: that the sign of `before` is right, by what was not taken; where it began.
        """
        dt, registered = pair.t1 - pair.t0, pair
        pair, self._alike = _by_chance(pair, self.config.alike)
        pair = _jittered(pair, jitter)
        turning = self._turning(dt)
        mean, variance = self._noise.pair(pair, turning, dt)
        if before is not None:
            self._noise.blur(before, mean, variance)
            self._rescale()
        hypotheses = self._hypotheses(before, probability, turning, dt, hold)
        linked = hypotheses.linked(pair, hypotheses.doubt(pair), self.config.degrees)
        self._head = linked.head
        return Fused(linked, self._posterior(now), self._unseen(registered, jitter))

    def doubt(self, pair: Registration, before: BlurReading | None) -> float:
        """Return the probability that the next pair is wrong, by what is known before it.

        Args:
            pair: links the next frame to the one that was taken last.
            before: blur of that frame.
        """
        dt = pair.t1 - pair.t0
        return self._hypotheses(before, 0.5, self._turning(dt), dt, None).doubt(pair)

    def _hypotheses(
        self,
        before: BlurReading | None,
        probability: float,
        turning: Turning,
        dt: float,
        hold: Hold | None,
    ) -> _Hypotheses:
        step = Step.of(turning, dt, hold, self._noise, self.config)
        return _Hypotheses.of(self._posterior(before, probability).state, step, self.config.knocks)

    def current(self, pair: Registration, now: BlurReading | None, jitter: float = 0.0) -> Gaussian:
        """Return (6,) the velocity of the frame taken last, by its `pair` and its blur."""
        return self._unseen(pair, jitter).velocity(self._posterior(now).state)

    def _unseen(self, pair: Registration, jitter: float) -> Unseen:
        frames = max(self.config.lasting / (pair.t1 - pair.t0), 1.0)
        own = (pair.covariance_at(0.0) - pair.shared_covariance)[3:, 3:].trace()
        return Unseen(jitter, frames, float(own), added(self._alike, self._noise.unseen))

    def _rescale(self) -> None:
        """Take the scales and the gain of blur that were estimated, once they have changed by a
        little."""
        scales, gain = self._noise.scales, self._noise.gains.gain
        change = np.abs(np.log(scales / self._scales)).max()
        if change > _CHANGED or abs(gain.log - self._gain.log) > _CHANGED:
            self._scales, self._gain, self._known = scales, gain, None

    def _posterior(self, reading: BlurReading | None, probability: float = 0.5) -> Posterior:
        """Return what is known of the frame taken last, with its blur."""
        if reading is None:
            return without_blur(self._head)
        known = self._known
        if known is not None and known.holds_for(self._head, reading, probability):
            return known.posterior
        std = np.full(6, self._scales.prod() ** (1 / 6))
        std[:3] = np.sqrt(self._scales)
        own = BlurReading(reading.velocity, reading.covariance * (std[:, None] * std))
        own = own.multiplied(self._gain)
        found = with_blur(self._head, own, VELOCITY, self.config.degrees, probability)
        self._known = _Known(self._head, reading, probability, found)
        return found

    @property
    def state(self) -> MotionFilterState:
        """What `resume` takes."""
        noise, head = self._noise, self._head
        parts = head.signs, head.weights, head.parts.means, head.parts.covariances
        noises = noise.mean, noise.covariance, noise.models, noise.blur_scales
        gain = np.array([self._gain.log, self._gain.variance])
        learnt = noise.gains.found, noise.unseen, self._scales, self._alike, gain
        return MotionFilterState(*(array.tolist() for array in (*parts, *noises, *learnt)))

    def resume(self, state: MotionFilterState) -> None:
        """Go on from what another filter of this configuration had learnt."""
        noise = self._noise
        parts = Gaussians(np.array(state.means), np.array(state.covariances))
        self._head = Mixture(np.array(state.signs), np.array(state.weights), parts)
        noise.mean, noise.covariance = np.array(state.judge_mean), np.array(state.judge_covariance)
        noise.models, noise.blur_scales = np.array(state.ways), np.array(state.blur_scales)
        noise.gains.found, noise.unseen = np.array(state.gains), np.array(state.unseen)
        self._scales, self._alike = np.array(state.scales), np.array(state.alike)
        self._gain = Gain(*state.gain)
        self._known = None


@dataclass(frozen=True)
class _Known:
    """What was read of a frame, while nothing that it depends on has changed."""

    head: Mixture
    reading: BlurReading
    probability: float
    posterior: Posterior

    def holds_for(self, head: Mixture, reading: BlurReading, probability: float) -> bool:
        """Return whether it is that of this frame."""
        same = self.head is head and self.reading is reading
        return same and self.probability == probability


@dataclass(frozen=True)
class Unseen:
    """What no filter sees of its errors.

    Attributes:
        jitter: standard deviation of the frames' timestamps, seconds.
        lasting: frames for which errors of depth stay alike.
        of_pair: variance of the linear velocity of one pair, over all axes, (m/s)^2.
        alike: (3, 3) covariance of the errors that registered angular velocities share, and of
            motion between frames that no pair shows.
    """

    jitter: float
    lasting: float
    of_pair: float
    alike: Array

    def velocity(self, state: Mixture) -> Gaussian:
        """Return (6,) the velocity of a state, with all of its covariance."""
        velocity, change = state.merged.part(VELOCITY), state.merged.part(ACCELERATION)
        more = min(self.lasting - 1, self.of_pair / velocity.covariance[3:, 3:].trace())
        std = np.ones(6)
        std[3:] = math.sqrt(1 + more)
        moved = change.covariance + change.mean[:, None] * change.mean
        covariance = velocity.covariance * (std[:, None] * std) + self.jitter**2 * moved
        covariance[:3, :3] += self.alike
        return Gaussian(velocity.mean, covariance)


@dataclass(frozen=True)
class Fused:
    """What one more frame tells.

    Attributes:
        linked: the hypotheses of the way from the frame before.
        posterior: of the frame, by the past and its own blur.
        unseen: what is added to the covariance of its velocities.
    """

    linked: _Linked
    posterior: Posterior
    unseen: Unseen

    @property
    def now(self) -> Gaussian:
        """(6,) velocity of the frame."""
        return self.velocity(self.posterior.state)

    @property
    def before(self) -> Gaussian:
        """(6,) velocity of the frame before it, by one frame of its future too."""
        return self.velocity(self.last)

    @cached_property
    def last(self) -> Mixture:
        """(21,) the frame before, by one frame of its future too."""
        return self.linked.before_given(self.posterior.before, *self.posterior.of_before)

    def last_given(self, later: Mixture) -> Mixture:
        """The same by all that is known of this frame, with one part for each sign."""
        return self.linked.before_given(
            self.posterior.before, *self.posterior.of_before_given(later)
        ).by_sign

    def velocity(self, state: Mixture) -> Gaussian:
        """Return (6,) the velocity of a state."""
        return self.unseen.velocity(state)


def smoothed(chain: Sequence[Fused]) -> list[tuple[Gaussian, float]]:
    """Return what all of a chain tells of its linked frames, one more than there are links.

    Of each the (6,) velocity, and the probability that the sign of its reading is right.
    """
    state = chain[-1].posterior.state
    found = [(chain[-1].now, state.probability)]
    for fused in reversed(chain):
        state = fused.last_given(state)
        found.append((fused.velocity(state), state.probability))
    return found[::-1]


def _by_chance(pair: Registration, alike: float) -> tuple[Registration, Array]:
    """Return a pair with the covariance of what errs by chance, and (3, 3) of what does not.

    The latter is half of what is taken out: pairs claim twice as much as they err.

    Args:
        pair: as registered.
        alike: see the configuration.
    """
    own = pair.covariance_at(0.0) - pair.shared_covariance
    std = np.ones(6)
    std[:3] = np.sqrt(np.maximum(1 - alike**2 / own.diagonal()[:3], _LEAST_CHANCE))
    change = own * (std[:, None] * std - 1)
    return replace(pair, covariance=pair.covariance + change), -change[:3, :3] / 2


def _jittered(pair: Registration, jitter: float) -> Registration:
    """Return a pair with what wrong stamps of both frames do to its velocity."""
    if jitter == 0:
        return pair
    share2 = 2 * (jitter / (pair.t1 - pair.t0)) ** 2
    wrong = share2 * pair.velocity[:, None] * pair.velocity
    return replace(pair, covariance=pair.covariance + wrong)


def _densities(innovations: Array, covariances: Array) -> Array:
    """(n,) those of Gaussians, up to a constant; never zero."""
    solved = np.linalg.solve(covariances, innovations[:, :, None])[:, :, 0]
    nis = np.minimum((innovations * solved).sum(axis=1), 600.0)
    return np.asarray(np.exp(-nis / 2) / np.sqrt(np.linalg.det(covariances)))


def _solved(covariances: Array, right: Array) -> Array:
    """Return covariance^-1 right of each of n; their entries are of very different sizes."""
    size = 1 / np.sqrt(covariances.diagonal(axis1=1, axis2=2))[:, :, None]
    scaled = covariances * (size * size.swapaxes(1, 2)) + _ROUNDING
    return np.asarray(np.linalg.solve(scaled, right * size) * size)
