"""What is known of a frame under either sign of its blur: a Gaussian each, and their shares.

A blur has no arrowhead, so it is two observations, of which one is right. Both are kept until their
neighbours decide: the next registered pair fits one of them, and often tells only then. After each
frame the past is merged into one Gaussian for each sign of its blur (the generalised
pseudo-Bayesian filter of second order: Ackerson and Fu 1970; backwards: Kim 1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.motion_judge import BlurReading
from blur_imu_ros.core.motion_process import Gaussian, observed, symmetric

_SMALLEST = 1e-3
"""Share below which a sign is given up."""
_ASKED = 3
"""Entries of an observation that tell how likely it is: angular velocity."""
_DEGREES = 2.0
"""Of freedom of the Student-t distribution by which a sign is judged: no one observation decides it
for good."""


@dataclass(frozen=True)
class Mixture:
    """Gaussians, one or more for each sign that is still possible.

    Attributes:
        signs: +1 or -1 each, of the blur that was read last, against that reading.
        weights: their shares, which sum to 1.
        parts: as many Gaussians.
    """

    signs: tuple[int, ...]
    weights: Array
    parts: tuple[Gaussian, ...]

    @classmethod
    def of(cls, state: Gaussian) -> Mixture:
        """Return a state of which no sign was ever asked."""
        return cls((1,), np.ones(1), (state,))

    @cached_property
    def merged(self) -> Gaussian:
        """Mean and covariance of the whole."""
        return merged(self.weights, self.parts)

    @property
    def by_sign(self) -> Mixture:
        """The same with one part for each sign that has a share."""
        shown = zip(self.signs, self.weights, strict=True)
        signs = tuple(dict.fromkeys(sign for sign, weight in shown if weight > 0))
        weights = self.weights * (np.array(signs)[:, None] == self.signs)
        return Mixture(signs, weights.sum(axis=1), tuple(merged(w, self.parts) for w in weights))

    @property
    def probability(self) -> float:
        """That the sign of the reading is right."""
        return float(self.weights[np.array(self.signs) > 0].sum())


@dataclass(frozen=True)
class Read:
    """What is known of a frame once its blur has been read.

    Attributes:
        before: which parts (a) of the frame without its blur are still possible.
        signs: those (b) of its blur that are.
        weights: (a, b) share of each combination; sums to 1.
        parts: a rows of b Gaussians; None where the share is 0.
    """

    before: tuple[int, ...]
    signs: tuple[int, ...]
    weights: Array
    parts: tuple[tuple[Gaussian | None, ...], ...]

    @cached_property
    def state(self) -> Mixture:
        """What is known of the frame, for each sign of its own."""
        columns = zip(*self.parts, strict=True)
        parts = [merged(w, column) for w, column in zip(self.weights.T, columns, strict=True)]
        return Mixture(self.signs, self.weights.sum(axis=0), tuple(parts))

    @cached_property
    def of_before(self) -> tuple[Array, list[Gaussian]]:
        """Shares of the parts `before`, and what is known of the frame under each."""
        parts = [merged(w, row) for w, row in zip(self.weights, self.parts, strict=True)]
        return self.weights.sum(axis=1), parts

    def of_before_given(self, later: Mixture) -> tuple[Array, list[Gaussian]]:
        """The same by all that is known of the frame, `later`, which has a part for each sign."""
        known = {sign: k for k, sign in enumerate(later.signs)}
        shares = np.zeros_like(self.weights)
        parts = [later.parts[known.get(sign, 0)] for sign in self.signs]
        for b, sign in enumerate(self.signs):
            if sign in known:
                share = self.weights[:, b] / self.weights[:, b].sum()
                shares[:, b] = share * later.weights[known[sign]]
        if shares.sum() < _SMALLEST:
            return self.weights.sum(axis=1), [later.merged] * len(self.before)
        shares = shares / shares.sum()
        found = [merged(row, parts) if row.any() else parts[0] for row in shares]
        return shares.sum(axis=1), found


def unread(state: Mixture) -> Read:
    """Return the state of a frame without a reading: its signs stay those of the frame before."""
    signs = tuple(dict.fromkeys(state.signs))
    same = np.array(state.signs)[:, None] == signs
    parts = [
        tuple(part if there else None for there in row)
        for part, row in zip(state.parts, same, strict=True)
    ]
    return Read(tuple(range(len(parts))), signs, state.weights[:, None] * same, tuple(parts))


def read(
    state: Mixture,
    reading: BlurReading,
    rows: slice,
    degrees: float,
    probability: float = 0.5,
) -> Read:
    """Return what is known of a frame by its blur as well.

    Args:
        state: of the frame, without its blur.
        reading: of its blur, under one of both signs.
        rows: the entries of the state that it observes.
        degrees: of freedom of the Student-t distribution of innovations.
        probability: that the sign of the reading is right, by what is not in the state.
    """
    value, covariance = reading.velocity, reading.covariance
    prior = np.log(np.clip([probability, 1 - probability], 1e-6, 1))
    both = np.array([value, -value])
    fitting = fits(state.parts, rows, both, covariance)
    weights = normalised(state.weights[:, None] * np.ones(2), fitting + prior)
    possible = list(zip(*np.nonzero(weights), strict=True))
    states = [state.parts[a] for a, _ in possible]
    found = observed(states, rows, both[[b for _, b in possible]], covariance, degrees)
    known = dict(zip(possible, found, strict=True))
    before, now = np.flatnonzero(weights.any(axis=1)), np.flatnonzero(weights.any(axis=0))
    parts = tuple(tuple(known.get((a, b)) for b in now) for a in before)
    signs = tuple((1, -1)[b] for b in now)
    return Read(tuple(map(int, before)), signs, weights[np.ix_(before, now)], parts)


def merged(weights: Array, parts: Sequence[Gaussian | None]) -> Gaussian:
    """Return mean and covariance of Gaussians by their shares; those without one do not count."""
    kept = [(w, part) for w, part in zip(weights, parts, strict=True) if w > 0 and part is not None]
    if len(kept) == 1:
        return kept[0][1]
    shares = np.array([w for w, _ in kept])
    shares = shares / shares.sum()
    means = np.array([part.mean for _, part in kept])
    mean = shares @ means
    apart = means - mean
    covariances = np.array([part.covariance for _, part in kept])
    covariance = (shares @ covariances.reshape(len(kept), -1)).reshape(covariances.shape[1:])
    return Gaussian(mean, symmetric(covariance + (apart.T * shares) @ apart))


def fits(states: Sequence[Gaussian], rows: slice, values: Array, covariance: Array) -> Array:
    """(k, m) log-likelihoods, but for a constant, of observations of some entries of k states.

    Args:
        states: before the observation.
        rows: the entries, angular ones first, which alone are asked.
        values: (m, n) of the observation, any of which may be the right one.
        covariance: (n, n) of each.
    """
    asked = slice(rows.start, rows.start + _ASKED)
    means = np.stack([state.mean[asked] for state in states])
    expected = np.stack([state.covariance[asked, asked] for state in states])
    expected = expected + covariance[:_ASKED, :_ASKED]
    innovations = (values[:, :_ASKED] - means[:, None]).swapaxes(1, 2)
    nis = np.sum(innovations * np.linalg.solve(expected, innovations), axis=1)
    spread = np.log(np.linalg.det(expected))[:, None]
    return np.asarray(-(_DEGREES + _ASKED) / 2 * np.log1p(nis / _DEGREES) - spread / 2)


def normalised(weights: Array, log_likelihoods: Array) -> Array:
    """Return shares by weights and how well each explains something; hopeless ones are 0."""
    with np.errstate(divide="ignore"):
        total = np.log(weights) + log_likelihoods
    shares = np.exp(total - total.max())
    shares = shares / shares.sum()
    shares = np.where(shares < _SMALLEST, 0.0, shares)
    return np.asarray(shares / shares.sum())
