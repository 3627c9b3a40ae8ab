"""What is known of a frame under either sign of its blur: a Gaussian each, and their shares.

A blur has no arrowhead, so it is two observations, of which one is right. Both are kept until their
neighbours decide: the next registered pair fits one of them, and often tells only then. After each
frame the past is merged into one Gaussian for each sign of its blur (the generalised
pseudo-Bayesian filter of second order: Ackerson and Fu 1970; backwards: Kim 1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_reading import BlurReading
from blur_imu_ros.core.motion_process import Gaussian, Gaussians

_SMALLEST = 1e-3
"""Share below which a sign is given up."""
_ASKED = 3
"""Entries of an observation that tell how likely it is: angular velocity."""
_DEGREES = 2.0
"""Of freedom of the Student-t distribution by which a sign is judged: no one observation decides it
for good."""
_BOTH = np.array([1.0, -1.0])


@dataclass(frozen=True)
class Mixture:
    """Gaussians, one or more for each sign that is still possible.

    Attributes:
        signs: (n,) +1 or -1 each, of the blur that was read last, against that reading.
        weights: (n,) their shares, which sum to 1.
        parts: n Gaussians.
    """

    signs: Array
    weights: Array
    parts: Gaussians

    @classmethod
    def of(cls, state: Gaussian) -> Mixture:
        """Return a state of which no sign was ever asked."""
        return cls(np.ones(1), np.ones(1), Gaussians(state.mean[None], state.covariance[None]))

    @cached_property
    def merged(self) -> Gaussian:
        """Mean and covariance of the whole."""
        whole = self.parts.merged(self.weights[None])
        return Gaussian(whole.means[0], whole.covariances[0])

    @property
    def by_sign(self) -> Mixture:
        """The same with one part for each sign that has a share."""
        signs = _each(self.signs[self.weights > 0])
        weights = self.weights * (signs[:, None] == self.signs)
        return Mixture(signs, weights.sum(axis=1), self.parts.merged(weights))

    @property
    def probability(self) -> float:
        """That the sign of the reading is right."""
        return float(self.weights[self.signs > 0].sum())


@dataclass(frozen=True)
class Posterior:
    """What is known of a frame once its blur has been read.

    Attributes:
        before: (a,) which parts of the frame without its blur are still possible.
        signs: (b,) those of its blur that are.
        weights: (a, b) share of each combination; sums to 1.
        combined: (p,) and (p,) which combinations, row and column of `weights`, have a share.
        parts: p Gaussians of these.
    """

    before: Array
    signs: Array
    weights: Array
    combined: tuple[Array, Array]
    parts: Gaussians

    @cached_property
    def state(self) -> Mixture:
        """What is known of the frame, for each sign of its own."""
        shares = self._shares(self.combined[1], len(self.signs))
        return Mixture(self.signs, self.weights.sum(axis=0), self.parts.merged(shares))

    @property
    def probability(self) -> float:
        """That the sign of the reading is right."""
        return float(self.weights[:, self.signs > 0].sum())

    @cached_property
    def of_before(self) -> tuple[Array, Gaussians]:
        """Shares of the parts `before`, and what is known of the frame under each."""
        shares = self._shares(self.combined[0], len(self.before))
        return self.weights.sum(axis=1), self.parts.merged(shares)

    def _shares(self, index: Array, count: int) -> Array:
        """(count, p) share of each combination in the row or column that is its `index` (p,)."""
        return np.asarray(self.weights[self.combined] * (np.arange(count)[:, None] == index))

    def of_before_given(self, later: Mixture) -> tuple[Array, Gaussians]:
        """The same by all that is known of the frame, `later`, which has a part for each sign."""
        same = self.signs[:, None] == later.signs
        shares = self.weights / self.weights.sum(axis=0) @ (same * later.weights)
        total = shares.sum()
        if total < _SMALLEST:
            return self.weights.sum(axis=1), later.parts.merged(
                np.tile(later.weights, (len(self.before), 1))
            )
        # A part without a share is never asked for; it must only be one.
        usable = np.where(shares.any(axis=1, keepdims=True), shares, 1.0)
        return shares.sum(axis=1) / total, later.parts.merged(usable)


def without_blur(state: Mixture) -> Posterior:
    """Return the state of a frame without a reading: its signs stay those of the frame before."""
    signs = _each(state.signs)
    same = state.signs[:, None] == signs
    combined = np.arange(len(state.signs)), same.argmax(axis=1)
    return Posterior(combined[0], signs, state.weights[:, None] * same, combined, state.parts)


def with_blur(
    state: Mixture,
    reading: BlurReading,
    rows: slice,
    degrees: float,
    probability: float = 0.5,
) -> Posterior:
    """Return what is known of a frame by its blur as well.

    Args:
        state: of the frame, without its blur.
        reading: of its blur, under one of both signs.
        rows: the entries of the state that it observes.
        degrees: of freedom of the Student-t distribution of innovations.
        probability: that the sign of the reading is right, by what is not in the state.
    """
    prior = math.log(max(probability, 1e-6)), math.log(max(1 - probability, 1e-6))
    both = np.array([reading.velocity, -reading.velocity])
    fitting, nis = likelihoods(state.parts, rows, both, reading.covariance)
    weights = normalised(state.weights[:, None], fitting + prior)
    possible = weights > 0
    (before,), (now,) = np.nonzero(possible.any(axis=1)), np.nonzero(possible.any(axis=0))
    weights = weights[before][:, now]
    row, column = weights.nonzero()
    a, b = before[row], now[column]
    parts = state.parts[a].observed(rows, both[b], reading.covariance, nis[a, b], degrees)
    return Posterior(before, _BOTH[now], weights, (row, column), parts)


def likelihoods(
    states: Gaussians, rows: slice, values: Array, covariance: Array
) -> tuple[Array, Array]:
    """(k, m) log-likelihoods, but for a constant, of observations of some entries of k states.

    Args:
        states: before the observation.
        rows: the entries, angular ones first, which alone are asked.
        values: (m, n) of the observation, any of which may be the right one.
        covariance: (n, n) of each.

    Returns:
        These, and the normalised squared innovations (k, m).
    """
    asked = slice(rows.start, rows.start + _ASKED)
    expected = states.covariances[:, asked, asked] + covariance[:_ASKED, :_ASKED]
    innovations = (values[:, :_ASKED] - states.means[:, None, asked]).swapaxes(1, 2)
    nis = (innovations * np.linalg.solve(expected, innovations)).sum(axis=1)
    spread = np.log(np.linalg.det(expected))[:, None]
    return -(_DEGREES + _ASKED) / 2 * np.log1p(nis / _DEGREES) - spread / 2, nis


def normalised(weights: Array, log_likelihoods: Array) -> Array:
    """Return shares by positive weights and how well each explains something; hopeless ones are
    0."""
    shares = weights * np.exp(log_likelihoods - log_likelihoods.max())
    shares /= shares.sum()
    shares[shares < _SMALLEST] = 0.0
    return np.asarray(shares / shares.sum())


def _each(signs: Array) -> Array:
    """(1,) or (2,) signs that there are among some (n,), in their order."""
    return signs[:1] if (signs == signs[0]).all() else signs[0] * _BOTH
