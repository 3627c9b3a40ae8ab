"""Find when a recording was made, in the log of a gyroscope that has a clock of its own.

How fast a body turns is the same in all axes and for either sign of a motion. So the speed of turning
is compared wherever in the log the recording may lie, before anything is known of the mounting.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import correlate

from blur_imu_ros.core.arrays import Array

STEP = 0.02
"""Seconds between the offsets that are tried."""
LONGEST = 100_000.0
"""Seconds of log that are searched: more than a day."""
LEAST_SHARE = 0.5
"""Of the recording that must lie in the log."""
MOST_PLACES = 5


def likely_offsets(t: Array, omega: Array, log_t: Array, log_omega: Array, apart: float) -> Array:
    """Return offsets (s) to add to `t` to get the log's time, the likeliest first.

    Args:
        t: (n,) seconds, rising.
        omega: (n, 3) rad/s, in any axes, of any sign.
        log_t: (m,) seconds, rising, on another clock.
        log_omega: (m, 3) rad/s.
        apart: seconds between two of the offsets, at least.
    """
    if log_t[-1] - log_t[0] > LONGEST or t[-1] - t[0] > LONGEST:
        return np.empty(0)
    seen, log = _speed(t, omega), _speed(log_t, log_omega)
    agreement = _correlation(log, seen)
    first = log_t[0] - t[0] - (len(seen) - 1) * STEP
    places: list[float] = []
    while len(places) < MOST_PLACES and agreement.max() > 0:
        best = int(np.argmax(agreement))
        places.append(first + best * STEP)
        reach = round(apart / STEP)
        agreement[max(0, best - reach) : best + reach + 1] = 0
    return np.array(places)


def _speed(t: Array, omega: Array) -> Array:
    """Return the speed of turning every `STEP` seconds, bridged where it is not known."""
    speed = np.linalg.norm(omega, axis=1)
    known = np.isfinite(speed)
    grid = np.arange(t[0], t[-1], STEP)
    return np.interp(grid, t[known], speed[known]) if known.any() else np.zeros(len(grid))


def _correlation(log: Array, seen: Array) -> Array:
    """Return the correlation at each place of `seen` along `log`, -1 where they hardly overlap."""

    def sums(a: Array, b: Array) -> Array:
        return np.asarray(correlate(a, b, mode="full", method="fft"))

    # About their means, or the differences of large sums are lost.
    log, seen = log - log.mean(), seen - seen.mean()
    whole, part = np.ones(len(log)), np.ones(len(seen))
    count = np.maximum(np.round(sums(whole, part)), 1)
    mean_log, mean_seen = sums(log, part) / count, sums(whole, seen) / count
    spread_log = np.maximum(sums(log**2, part) / count - mean_log**2, 1e-9)
    spread_seen = np.maximum(sums(whole, seen**2) / count - mean_seen**2, 1e-9)
    covariance = sums(log, seen) / count - mean_log * mean_seen
    enough = count >= LEAST_SHARE * len(seen)
    return np.where(enough, covariance / np.sqrt(spread_log * spread_seen), -1.0)
