"""Find where in the log of a gyroscope a recording was made, whatever their clocks say.

At every offset of the two clocks one rotation brings the camera's angular velocities nearest to the
log's (Wahba's problem); all products that it needs come from FFT correlations over the whole log.
What each place explains is given as the logarithm of a likelihood ratio, so that a good fit over a
short overlap is not taken for a better one than a fair fit over all of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import find_peaks

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.metrics import LONGEST_GAP

STEP = 0.02
"""Seconds between the offsets that are tried."""
LONGEST = 100_000.0
"""Seconds of log that are searched: more than a day."""
LEAST_SHARE = 0.5
"""Of the shorter of the two that must lie in the other."""
LEAST_LEAD = 3.0
"""Of the logarithm of the likelihood, by which the best place must exceed all others. Of 960
simulated walks with noise as ours, no wrong place led by more than 1.0."""
SAME_PLACE = 0.1
"""Seconds between two peaks that are one."""
_MOST_PLACES = 6
_BLOCK = 100_000


@dataclass(frozen=True)
class Place:
    """Where a recording may lie in a log.

    Attributes:
        offset: seconds to add to the recording's time to get the log's.
        correlation: of the angular velocities there, after the best rotation; 1 is perfect.
        log_likelihood: over that of no relation at all.
    """

    offset: float
    correlation: float
    log_likelihood: float

    def rivals(self, best: Place) -> bool:
        """Return whether this place fits hardly worse than the best, or is it."""
        return self.log_likelihood > best.log_likelihood - LEAST_LEAD


def fitting_places(
    t: Array,
    omega: Array,
    log_t: Array,
    log_omega: Array,
    between: tuple[float, float] = (-np.inf, np.inf),
) -> list[Place]:
    """Return the places where the recording fits the log, the likeliest first.

    Args:
        t: (n,) seconds, rising.
        omega: (n, 3) rad/s, in any axes.
        log_t: (m,) seconds, rising, on any clock.
        log_omega: (m, 3) rad/s.
        between: offsets (s) that are tried.

    Raises:
        RecordingError: the log is longer than `LONGEST`.
    """
    if log_t[-1] - log_t[0] > LONGEST or t[-1] - t[0] > LONGEST:
        raise RecordingError(
            f"the ground truth lasts {(log_t[-1] - log_t[0]) / 3600:.0f} h, more than the "
            f"{LONGEST / 3600:.0f} h that are searched: cut it to the time around the recording"
        )
    seen, log = _sampled(t, omega), _sampled(log_t, log_omega)
    correlation, overlap = _correlations(seen, log)
    # Neighbouring samples say nearly the same.
    independent = 3 * overlap / _samples_alike(seen)
    likelihood = -independent / 2 * np.log1p(-(np.clip(correlation, 0, 1 - 1e-9) ** 2))
    offsets = log_t[0] - t[0] + STEP * (np.arange(len(likelihood)) - seen.shape[1] + 1)
    # A peak at the edge is one as well.
    peaks = find_peaks(np.pad(likelihood, 1), prominence=LEAST_LEAD / 10)[0] - 1
    peaks = peaks[(offsets[peaks] >= between[0]) & (offsets[peaks] <= between[1])]
    places: list[Place] = []
    for k in peaks[np.argsort(-likelihood[peaks])]:
        place = Place(float(offsets[k]), float(correlation[k]), float(likelihood[k]))
        if all(abs(place.offset - other.offset) > SAME_PLACE for other in places):
            places.append(place)
        if len(places) == _MOST_PLACES:
            break
    return places


def _sampled(t: Array, omega: Array) -> Array:
    """Return (4, k) whether the angular velocity is known every `STEP` seconds, and it, else
    zero."""
    grid = t[0] + STEP * np.arange(int((t[-1] - t[0]) / STEP) + 1)
    after = np.clip(np.searchsorted(t, grid, side="right"), 1, len(t) - 1)
    known = t[after] - t[after - 1] <= LONGEST_GAP * max(float(np.median(np.diff(t))), STEP)
    columns = [np.interp(grid, t, column) * known for column in omega.T]
    return np.vstack([known.astype(float), *columns])


def _correlations(seen: Array, log: Array) -> tuple[Array, Array]:
    """Return correlation and number of samples (k,) of the overlap at each place of `seen` in
    `log`."""
    size = next_fast_len(seen.shape[1] + log.shape[1], real=True)
    first, second = (rfft(np.vstack([x, np.sum(x[1:] ** 2, axis=0)]), size) for x in (seen, log))

    def sums(i: int, j: int) -> Array:
        """Return sums of column i of `seen` times column j of `log`, place by place."""
        turned = irfft(np.conj(first[i]) * second[j], size)
        return np.concatenate([turned[size - seen.shape[1] + 1 :], turned[: log.shape[1]]])

    count = np.maximum(np.round(sums(0, 0)), 1)
    mean_seen = np.stack([sums(i, 0) / count for i in (1, 2, 3)])
    mean_log = np.stack([sums(0, j) / count for j in (1, 2, 3)])
    products = np.stack(
        [
            sums(i, j) / count - mean_seen[i - 1] * mean_log[j - 1]
            for i in (1, 2, 3)
            for j in (1, 2, 3)
        ],
        axis=1,
    )
    energy_seen = np.maximum(sums(4, 0) / count - np.sum(mean_seen**2, axis=0), 1e-9)
    energy_log = np.maximum(sums(0, 4) / count - np.sum(mean_log**2, axis=0), 1e-9)
    enough = count >= LEAST_SHARE * min(seen[0].sum(), log[0].sum())
    correlation = _largest_traces(products.reshape(-1, 3, 3)) / np.sqrt(energy_seen * energy_log)
    return np.where(enough, correlation, 0.0), count


def _largest_traces(products: Array) -> Array:
    """Return the largest trace(R^T B) over rotations R for each B (k, 3, 3)."""
    traces = [np.empty(0)]
    for start in range(0, len(products), _BLOCK):
        block = products[start : start + _BLOCK]
        values = np.linalg.svd(block, compute_uv=False)
        traces.append(values[:, 0] + values[:, 1] + np.sign(np.linalg.det(block)) * values[:, 2])
    return np.concatenate(traces)


def _samples_alike(seen: Array) -> float:
    """Return how many neighbouring samples count as one, by their autocorrelation."""
    known = seen[0] > 0
    centred = np.where(known, seen[1:] - seen[1:, known].mean(axis=1, keepdims=True), 0.0)
    length = seen.shape[1]
    power = np.sum(np.abs(rfft(centred, 2 * length)) ** 2, axis=0)
    alike = irfft(power, 2 * length)[: max(1, length // 2)]
    return float(1 + 2 * np.sum((alike[1:] / max(alike[0], 1e-12)) ** 2))
