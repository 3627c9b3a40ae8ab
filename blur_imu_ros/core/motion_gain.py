"""By how much all blur of a recording is read too short or too long, learnt from registrations.

A network reads all blur of a dim room twice as long as it is, that of tiles by a third; a wrong
exposure time does the same to all velocities. The error is one factor in every frame, so it is not
averaged away like chance. Pairs know it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.small_systems import inverse

_COUNT = 41
"""Factors that are asked, evenly spread over logarithms, 1 in the middle."""
_DEGREES = 3.0
"""Of freedom of the Student-t distribution of the distance of blur from pairs."""
_CLEAR = 9.0
"""Normalised square of the motion by pairs beyond which it is mostly motion."""
_MOST = 3.0
"""Of evidence from one frame: a jerk between two frames is not a wrong factor."""


@dataclass(frozen=True)
class Gain:
    """What is known of the factor that blur's velocity is to be multiplied by.

    Attributes:
        log: mean of its logarithm.
        variance: of its logarithm.
    """

    log: float
    variance: float


class GainEvidence:
    """Log-likelihoods of possible factors: a grid filter with forgetting.

    Attributes:
        found: (n,) of each factor by the frames so far.
    """

    def __init__(self, std: float, largest: float, share: float, memory: float) -> None:
        """Begin without evidence.

        Args:
            std: half of the factors of all recordings are as near to 1; their logarithms are
                Cauchy's, because a few are far away.
            largest: the largest factor; the smallest is its inverse.
            share: of a frame's evidence that counts, as neighbouring frames err alike.
            memory: share of it that is still there one frame later.
        """
        self._logs = np.linspace(-math.log(largest), math.log(largest), _COUNT)
        self._factors = np.exp(self._logs)
        self._usual = -np.log1p(np.square(self._logs / max(std, 1e-9)))
        self._share, self._memory = share, memory
        self.found: Array = np.zeros(_COUNT)

    @property
    def gain(self) -> Gain:
        """As of a Gaussian of the same mean absolute deviation: tails hardly count."""
        weights = self._usual + self.found
        shares = np.exp(weights - weights.max())
        shares /= shares.sum()
        mean = float(shares @ self._logs)
        off = float(shares @ np.abs(self._logs - mean))
        return Gain(mean, math.pi / 2 * off**2)

    def take(self, blur: Array, mean: Array, expected: Array) -> None:
        """Take a frame.

        Args:
            blur: (3,) angular velocity that it reads, under one of both signs.
            mean: (3,) what the pairs around it tell.
            expected: (3, 3) covariance of the difference.
        """
        both = np.array([blur, mean])
        (length, across), (_, motion) = (both @ inverse(expected) @ both.T).tolist()
        factors = self._factors
        nis = factors**2 * length + motion + np.multiply.outer((-2.0, 2.0), factors * across)
        likelihoods = -(_DEGREES + 3) / 2 * np.log1p(np.maximum(nis, 0) / _DEGREES)
        found = np.logaddexp(likelihoods[0], likelihoods[1])
        # Only where the camera turns, and both tell it of the same axis, lengths can be compared.
        alike = across**2 / max(length * motion, 1e-12)
        share = self._share * alike**2 * motion / (motion + _CLEAR)
        self.found = self._memory * self.found + share * np.maximum(found - found.max(), -_MOST)
