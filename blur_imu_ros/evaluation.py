"""How well an estimate agrees with the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.axes import Axes, six_from_optical
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.results import VelocitySeries

Array = NDArray[Any]

CLEAR_TURN = 2.0
"""rad/s. Slower than this the sign of a motion hardly shows."""

FEWEST_ROWS = 3


@dataclass(frozen=True)
class Evaluation:
    """Agreement of an estimate with the truth, axis by axis (wx, wy, wz, vx, vy, vz).

    Attributes:
        rows: how many estimates were compared.
        invalid: how many were marked as not to be used, and left out.
        outside: how many lie outside the truth's time, and were left out.
        rmse, mae, zero_rmse: (6,) rad/s and m/s; `zero_rmse` is that of always saying zero.
        correlation: (6,) with the truth.
        right_signs: share of rows with |omega| > `CLEAR_TURN` whose turn points the right way.
        clear_rows: how many such rows there are.
        time_offset: seconds to add to the estimate's time for the best agreement of omega.
        exposure_scale: true over assumed exposure time that fits omega best; 1 is right.
        nees: normalised squared errors of omega and of v over their degrees of freedom, from the
            standard deviations; (2,), NaN without them.
        coverage: (2, 6) share of errors within 1 and 2 standard deviations.
    """

    rows: int
    invalid: int
    outside: int
    rmse: Array
    mae: Array
    zero_rmse: Array
    correlation: Array
    right_signs: float
    clear_rows: int
    time_offset: float
    exposure_scale: float
    nees: Array
    coverage: Array

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers and lists by name; what is not known is null."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value.tolist()]
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, 6)
    return value


@dataclass(frozen=True)
class MatchedSeries:
    """Estimate and truth at the same times, in the same axes; (n,), (n, 6) each."""

    t: Array
    estimate: Array
    sigma: Array | None
    truth: Array
    invalid: int
    outside: int


def in_axes(series: VelocitySeries, given: Axes, wanted: Axes) -> VelocitySeries:
    """Return a series given in some axes in others; standard deviations go along.

    All axes here are permutations with signs, so standard deviations are permuted.
    """
    matrix = six_from_optical(wanted) @ six_from_optical(given).T
    # A NaN (a velocity that is not known) must not spread over the other columns.
    source = np.argmax(np.abs(matrix), axis=1)
    sign = matrix[np.arange(6), source]
    sigma = None if series.sigma is None else series.sigma[:, source]
    return replace(series, velocity=series.velocity[:, source] * sign, sigma=sigma)


def match(
    estimate: VelocitySeries, truth: VelocitySeries, exposure_time: float | None = None
) -> MatchedSeries:
    """Return the valid estimates with the truth at their times.

    Truth with several samples in an exposure is averaged over it; otherwise it is interpolated.

    Raises:
        RecordingError: hardly any row is left, for the reason that it tells.
    """
    inside = (estimate.t >= truth.t[0] - 1e-6) & (estimate.t <= truth.t[-1] + 1e-6)
    used = inside & estimate.valid
    if used.sum() < FEWEST_ROWS:
        raise RecordingError(
            f"only {used.sum()} of {len(used)} estimates can be compared: "
            f"{np.sum(~estimate.valid)} are not valid and {np.sum(~inside)} lie outside the "
            f"truth's time {truth.t[0]:.3f} to {truth.t[-1]:.3f} s; do the clocks agree?"
        )
    return MatchedSeries(
        estimate.t[used],
        estimate.velocity[used],
        None if estimate.sigma is None else estimate.sigma[used],
        truth_at(truth, estimate.t[used], exposure_time),
        int(np.sum(~estimate.valid)),
        int(np.sum(~inside & estimate.valid)),
    )


def truth_at(truth: VelocitySeries, t: Array, exposure_time: float | None) -> Array:
    """Return the truth (n, 6) at times t, averaged over the exposure where it is dense enough."""
    interval = float(np.median(np.diff(truth.t))) if len(truth.t) > 1 else np.inf
    if exposure_time is None or exposure_time < 2 * interval:
        return np.stack([np.interp(t, truth.t, column) for column in truth.velocity.T], axis=1)
    # Exact mean of the piecewise linear truth: differences of its integral.
    steps = np.diff(truth.t)[:, None] * (truth.velocity[1:] + truth.velocity[:-1]) / 2
    integral = np.vstack([np.zeros(6), np.cumsum(steps, axis=0)])
    opens = np.clip(t - exposure_time / 2, truth.t[0], truth.t[-1])
    closes = np.clip(t + exposure_time / 2, truth.t[0], truth.t[-1])
    columns = [np.interp(closes, truth.t, c) - np.interp(opens, truth.t, c) for c in integral.T]
    return np.stack(columns, axis=1) / (closes - opens)[:, None]


def evaluate(matched: MatchedSeries) -> Evaluation:
    """Return the agreement of matched series."""
    error = matched.estimate - matched.truth
    omega, true_omega = matched.estimate[:, :3], matched.truth[:, :3]
    clear = np.linalg.norm(true_omega, axis=1) > CLEAR_TURN
    right = np.sum(omega * true_omega, axis=1) > 0
    energy = float(np.sum(omega * omega))
    return Evaluation(
        rows=len(matched.t),
        invalid=matched.invalid,
        outside=matched.outside,
        rmse=np.sqrt(np.mean(error**2, axis=0)),
        mae=np.mean(np.abs(error), axis=0),
        zero_rmse=np.sqrt(np.mean(matched.truth**2, axis=0)),
        correlation=_correlation(matched.estimate, matched.truth),
        right_signs=float(np.mean(right[clear])) if clear.any() else float("nan"),
        clear_rows=int(clear.sum()),
        time_offset=_time_offset(matched),
        # omega is inversely proportional to the exposure time assumed.
        exposure_scale=energy / max(float(np.sum(omega * true_omega)), 1e-12),
        nees=_nees(error, matched.sigma),
        coverage=_coverage(error, matched.sigma),
    )


def with_exposure_scaled(matched: MatchedSeries, scale: float) -> MatchedSeries:
    """Return the estimates that an exposure time `scale` times as long would have given."""
    sigma = None if matched.sigma is None else matched.sigma / scale
    return replace(matched, estimate=matched.estimate / scale, sigma=sigma)


def _correlation(a: Array, b: Array) -> Array:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    spread = np.sqrt(np.sum(a * a, axis=0) * np.sum(b * b, axis=0))
    out = np.full(6, np.nan)
    return np.asarray(np.divide(np.sum(a * b, axis=0), spread, out=out, where=spread > 0))


def _time_offset(matched: MatchedSeries, reach: float = 0.2) -> float:
    """Return the shift of the estimate (s) at which omega agrees best, to a tenth of a frame."""
    t, interval = matched.t, float(np.median(np.diff(matched.t)))
    shifts = np.arange(-reach, reach + interval / 20, interval / 10)
    errors = []
    for shift in shifts:
        inside = (t + shift >= t[0]) & (t + shift <= t[-1])
        if inside.sum() < max(FEWEST_ROWS, len(t) // 2):
            errors.append(np.inf)
            continue
        truth = np.stack(
            [np.interp(t[inside] + shift, t, column) for column in matched.truth[:, :3].T], axis=1
        )
        errors.append(float(np.mean((matched.estimate[inside, :3] - truth) ** 2)))
    return float(shifts[int(np.argmin(errors))])


def _nees(error: Array, sigma: Array | None) -> Array:
    if sigma is None:
        return np.full(2, np.nan)
    squared = np.mean((error / sigma) ** 2, axis=0)
    return np.array([squared[:3].mean(), squared[3:].mean()])


def _coverage(error: Array, sigma: Array | None) -> Array:
    if sigma is None:
        return np.full((2, 6), np.nan)
    inside = [np.where(np.isnan(error), np.nan, np.abs(error) <= k * sigma) for k in (1, 2)]
    return np.stack([np.mean(share, axis=0) for share in inside])
