"""How much a filter must expect velocities to change: the process noise of a recorded motion."""

from __future__ import annotations

import numpy as np

from blur_imu_ros.core.arrays import Array

LAGS = (0.08, 0.2)
"""Seconds. Shorter ones show the noise of the measurement, longer ones that a hand turns back."""

FASTEST = 16.0
"""The fastest moments of a hand change its velocity four times as fast as on average, squared."""


def process_noise_of(t: Array, velocity: Array) -> tuple[float, float]:
    """Return the process noise of angular and of linear velocity, (rad/s)^2/s and (m/s)^2/s.

    It is the mean squared change of a velocity over a lag, divided by the lag (the structure
    function of a random walk), largest over axes and lags, for the fastest moments.

    Args:
        t: (n,) seconds, increasing.
        velocity: (n, 6) angular, then linear; NaN where not known.

    Returns:
        NaN for a velocity that is not known, or known for too short a time.
    """
    rates = np.full((0, 6), np.nan)
    for k in range(1, len(t)):
        lag = t[k:] - t[:-k]
        usual = float(np.median(lag))
        # A slow recording has no shorter lag than its own.
        if usual > LAGS[1] and k > 1:
            break
        near = np.abs(lag - usual) < 0.5 * usual
        # Amid gaps the median may be a lag that none has.
        if usual >= LAGS[0] and near.any():
            squared = (velocity[k:] - velocity[:-k])[near] ** 2
            rates = np.vstack([rates, np.mean(squared, axis=0) / usual])
    return _largest(rates[:, :3]), _largest(rates[:, 3:])


def _largest(rates: Array) -> float:
    known = rates[np.isfinite(rates)]
    return FASTEST * float(known.max()) if known.size else float("nan")
