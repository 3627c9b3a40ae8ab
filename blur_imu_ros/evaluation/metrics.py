"""How well an estimate agrees with the ground truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from blur_imu_ros.choices import Axes, Unit
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.axes import six_from_optical
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError

CLEAR_TURN = 2.0
"""rad/s. Slower than this the sign of a motion hardly shows."""

LEAST_RELATION = 0.3
"""Correlation above which an estimate and a ground truth are of the same motion, in the same
axes."""
DEGREES = 25.0
"""Times as fast as an estimate, beyond which a ground truth is in degrees: 57 by any exposure time
up to twice."""

FEWEST_ROWS = 3
"""Of which anything is said."""
SAME_TIME = 1e-6
"""Seconds by which times that are one may differ in files."""
LONGEST_GAP = 3.5
"""Median intervals of a series, across which nothing is interpolated."""
_OFFSET_ROWS = 5000
"""Most rows that are compared at each time offset."""

BLUR_EDGES = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0, np.inf)
"""Pixels of the network's view between which errors are listed separately."""
SPEED_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, np.inf)
"""rad/s of the ground truth between which errors are listed separately."""


@dataclass(frozen=True)
class ErrorBin:
    """Errors of the frames whose motion blur, or whose angular speed, is from `low` to `high`.

    Attributes:
        low, high: pixels of the network's view, or rad/s; `high` may be infinite.
        rows: how many frames.
        rmse: (2,) of the angular velocity (rad/s) and of the linear (m/s), over all axes.
    """

    low: float
    high: float
    rows: int
    rmse: Array


@dataclass(frozen=True)
class Evaluation:
    """Agreement of an estimate with the ground truth, axis by axis (wx, wy, wz, vx, vy, vz).

    Attributes:
        rows: how many estimates were compared.
        invalid: how many were marked as not to be used, and left out.
        outside: how many lie outside the ground truth's time, and were left out.
        rmse, mae, zero_rmse: (6,) rad/s and m/s; `zero_rmse` is that of the zero-velocity
            baseline.
        rmse_all_rows: (6,) RMSE with the rows that are not valid counted too, as they stand in the
            file: refusing frames cannot flatter it.
        correlation: (6,) with the ground truth.
        right_signs: share of rows with |omega| > `CLEAR_TURN` whose turn points the right way.
        clear_rows: how many such rows there are.
        time_offset: seconds to add to the estimate's time for the best agreement of omega.
        exposure_scale: true over assumed exposure time that fits omega best; 1 is right, NaN where
            the turns do not go with the ground truth's, so that none fits.
        nees: normalised squared errors of omega and of v over their degrees of freedom, from the
            standard deviations; (2,), NaN without them.
        coverage: (2, 6) share of errors within 1 and 2 standard deviations.
        by_blur: errors by the length of the motion blur, where the estimate has it.
        by_speed: errors by the angular speed of the ground truth.
        rmse_single: (6,) RMSE of each image alone, NaN where no neighbours were fused.
        nees_axes: (6,) mean of (error / standard deviation)^2 of each axis; 1 is consistent.
    """

    rows: int
    invalid: int
    outside: int
    rmse: Array
    mae: Array
    zero_rmse: Array
    rmse_all_rows: Array
    correlation: Array
    right_signs: float
    clear_rows: int
    time_offset: float
    exposure_scale: float
    nees: Array
    coverage: Array
    by_blur: tuple[ErrorBin, ...] = ()
    by_speed: tuple[ErrorBin, ...] = ()
    nees_axes: Array = field(default_factory=lambda: np.full(6, np.nan))
    rmse_single: Array = field(default_factory=lambda: np.full(6, np.nan))

    @property
    def turns_by_zero(self) -> float:
        """RMSE of omega over that of the zero-velocity baseline; NaN where nothing turns."""
        ours, zero = np.square([self.rmse[:3], self.zero_rmse[:3]]).sum(axis=1)
        return float(np.sqrt(ours / zero)) if zero > 0 else float("nan")

    @property
    def doubt(self) -> str:
        """Why the ground truth seems to be in other axes or on another clock; empty if it does
        not."""
        if self.right_signs < 0.5:
            return "fewer signs are right than by chance"
        return "zero velocity would err less" if self.turns_by_zero > 1 else ""

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers and lists by name; what is not known is null."""
        return {name: plain(value) for name, value in asdict(self).items()}


def plain(value: Any) -> Any:
    """Return what JSON can hold of arrays, lists, dicts and numbers; NaN becomes null."""
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value


@dataclass(frozen=True)
class MatchedSeries:
    """Estimate and truth at the same times, in the same axes.

    Attributes:
        t: (n,) seconds.
        estimate, truth: (n, 6) rad/s and m/s.
        sigma: (n, 6) standard deviations of the estimate, or None.
        valid: (n,) whether the estimate may be used.
        outside: how many estimates lay outside the ground truth's time, and were left out.
        blur_px: (n,) pixels, or None.
        frames: n names, or none.
        single: (n, 6) of each image alone, where neighbouring frames were fused, or None.
    """

    t: Array
    estimate: Array
    truth: Array
    sigma: Array | None
    valid: Array
    outside: int
    blur_px: Array | None = None
    frames: tuple[str, ...] = ()
    single: Array | None = None

    @property
    def error(self) -> Array:
        """(n, 6) estimate minus truth."""
        return np.asarray(self.estimate - self.truth)

    def rows(self, chosen: Array) -> MatchedSeries:
        """Return some rows, by a mask (n,)."""
        return replace(
            self,
            t=self.t[chosen],
            estimate=self.estimate[chosen],
            truth=self.truth[chosen],
            sigma=None if self.sigma is None else self.sigma[chosen],
            valid=self.valid[chosen],
            blur_px=None if self.blur_px is None else self.blur_px[chosen],
            frames=tuple(np.array(self.frames)[chosen]) if self.frames else (),
            single=None if self.single is None else self.single[chosen],
        )

    def used(self) -> MatchedSeries:
        """Return the valid rows."""
        return self.rows(self.valid)


def refuse_degrees(matched: MatchedSeries, units: Iterable[Unit] = ()) -> None:
    """Refuse a ground truth that turns so much faster than the estimate that it is in degrees.

    Args:
        matched: estimate and ground truth.
        units: that were given for the ground truth; one of angles is believed.

    Raises:
        RecordingError: naming the cure.
    """
    if any(unit.radians for unit in units):
        return
    used = matched.used()
    known = np.isfinite(used.truth[:, :3]).all(axis=1)
    seen, true = used.estimate[known, :3], used.truth[known, :3]
    sizes = np.sqrt([np.sum(seen**2), np.sum(true**2)])
    product = float(np.sum(seen * true))
    # Noise makes slow estimates larger, but not the part of them that goes with the ground truth.
    related = product > LEAST_RELATION * sizes.prod()
    factor = sizes[1] ** 2 / product if related else sizes[1] / max(sizes[0], 1e-12)
    if sizes[0] > 0 and factor > DEGREES:
        raise RecordingError(
            f"the ground truth turns {factor:.0f} times as fast as the estimate: is it in degrees "
            "per second? Give its unit, deg or rad",
            cures=("truth_unit",),
        )


def in_axes(series: VelocitySeries, given: Axes, wanted: Axes) -> VelocitySeries:
    """Return a series given in some axes in others; standard deviations go along.

    All axes here are permutations with signs, so standard deviations are permuted.
    """
    matrix = six_from_optical(wanted) @ six_from_optical(given).T
    # A NaN (a velocity that is not known) must not spread over the other columns.
    source = np.argmax(np.abs(matrix), axis=1)
    sign = matrix[np.arange(6), source]
    sigma = None if series.sigma is None else series.sigma[:, source]
    single = None if series.single is None else series.single[:, source] * sign
    return replace(series, velocity=series.velocity[:, source] * sign, sigma=sigma, single=single)


def match(
    estimate: VelocitySeries, truth: VelocitySeries, exposure_time: float | None = None
) -> MatchedSeries:
    """Return the estimates with the ground truth at their times.

    Truth with several samples in an exposure is averaged over it; otherwise it is interpolated.
    Estimates at times of which the ground truth knows no angular velocity are left out.

    Raises:
        RecordingError: hardly any valid row is left; the message says why.
    """
    true = truth_at(truth, estimate.t, exposure_time)
    inside = lies_within(estimate.t, truth)
    inside &= np.isfinite(true[:, :3]).all(axis=1)
    used = inside & estimate.valid
    if used.sum() < FEWEST_ROWS:
        raise RecordingError(
            f"only {used.sum()} of {len(used)} estimates can be compared: "
            f"{np.sum(~estimate.valid)} are not valid and {np.sum(~inside)} lie outside the time "
            f"of the ground truth ({truth.t[0]:.3f} to {truth.t[-1]:.3f} s) or in a gap of it; do "
            "the clocks agree? Axes `found` also find the time offset",
            cures=("truth_axes",),
        )
    every = MatchedSeries(
        estimate.t,
        estimate.velocity,
        true,
        estimate.sigma,
        estimate.valid,
        int(np.sum(~inside)),
        estimate.blur_px,
        estimate.frames,
        estimate.single,
    )
    return every.rows(inside)


def lies_within(t: Array, truth: VelocitySeries) -> Array:
    """Return which times (n,), seconds, lie in that of the ground truth, gaps of it included."""
    return np.asarray((t >= truth.t[0] - SAME_TIME) & (t <= truth.t[-1] + SAME_TIME))


def truth_at(truth: VelocitySeries, t: Array, exposure_time: float | None) -> Array:
    """Return the ground truth (n, columns) at times t, averaged over the exposure where it is dense
    enough.

    NaN where it is not known, or not valid, nearby; it is not bridged across gaps.
    """
    interval = float(np.median(np.diff(truth.t))) if len(truth.t) > 1 else np.inf
    averaged = exposure_time is not None and exposure_time >= 2 * interval
    half = exposure_time / 2 if averaged and exposure_time is not None else 0.0
    columns = []
    for column in truth.velocity.T:
        known = np.isfinite(column) & truth.valid
        columns.append(_known_at(truth.t[known], column[known], t, half, LONGEST_GAP * interval))
    return np.stack(columns, axis=1)


def _known_at(known_t: Array, values: Array, t: Array, half: float, gap: float) -> Array:
    """Return the mean (n,) over t - half to t + half of a piecewise linear series without gaps."""
    if len(known_t) < 2:
        return np.full(len(t), np.nan)
    if half:
        # Exact mean: differences of the integral.
        steps = np.diff(known_t) * (values[1:] + values[:-1]) / 2
        integral = np.concatenate([[0.0], np.cumsum(steps)])
        opens, closes = (np.clip(t + k * half, known_t[0], known_t[-1]) for k in (-1, 1))
        turned = np.interp(closes, known_t, integral) - np.interp(opens, known_t, integral)
        at = turned / np.maximum(closes - opens, 1e-12)
    else:
        at = np.interp(t, known_t, values)
    lost = np.diff(known_t) > gap
    begun = np.searchsorted(known_t[:-1][lost], t + half - 1e-9)
    bridged = begun > np.searchsorted(known_t[1:][lost], t - half + 1e-9, side="right")
    return np.where(bridged, np.nan, at)


def evaluate(matched: MatchedSeries) -> Evaluation:
    """Return the agreement of matched series, of the valid rows unless said otherwise."""
    used = matched.used()
    error = used.error
    omega, true_omega = used.estimate[:, :3], used.truth[:, :3]
    clear = np.linalg.norm(true_omega, axis=1) > CLEAR_TURN
    right = np.sum(omega * true_omega, axis=1) > 0
    # Registration does not know the exposure time, so it is fitted by single images.
    alone = np.full_like(used.estimate, np.nan) if used.single is None else used.single
    blurred = omega if used.single is None else alone[:, :3]
    energy, agreement = float(np.sum(blurred**2)), float(np.sum(blurred * true_omega))
    return Evaluation(
        rows=len(used.t),
        invalid=len(matched.t) - len(used.t),
        outside=matched.outside,
        rmse=_root_mean_square(error),
        mae=_mean(np.abs(error)),
        zero_rmse=_root_mean_square(used.truth),
        rmse_all_rows=_root_mean_square(matched.error),
        correlation=_correlation(used.estimate, used.truth),
        right_signs=float(np.mean(right[clear])) if clear.any() else float("nan"),
        clear_rows=int(clear.sum()),
        time_offset=_time_offset(matched),
        # omega is inversely proportional to the exposure time assumed.
        exposure_scale=energy / agreement if agreement > 0 else float("nan"),
        nees=_nees(error, used.sigma),
        coverage=_coverage(error, used.sigma),
        by_blur=() if used.blur_px is None else _binned(error, used.blur_px, BLUR_EDGES),
        by_speed=_binned(error, np.linalg.norm(true_omega, axis=1), SPEED_EDGES),
        nees_axes=_nees_axes(error, used.sigma),
        rmse_single=_root_mean_square(alone - used.truth),
    )


def _binned(error: Array, size: Array, edges: tuple[float, ...]) -> tuple[ErrorBin, ...]:
    """Return the errors (n, 6) by a size (n,) of each frame; empty bins are left out."""
    place = np.digitize(size, edges) - 1
    bins = []
    for index, (low, high) in enumerate(pairwise(edges)):
        inside = error[place == index]
        if len(inside):
            rmse = [_root_mean_square(part.ravel()) for part in (inside[:, :3], inside[:, 3:])]
            bins.append(ErrorBin(low, high, len(inside), np.array(rmse)))
    return tuple(bins)


def worst_rows(matched: MatchedSeries, count: int = 10) -> Array:
    """Return the places of the rows with the largest errors of angular velocity, worst first."""
    size = np.nan_to_num(np.linalg.norm(matched.error[:, :3], axis=1))
    return np.asarray(np.argsort(-size)[:count])


def with_exposure_scaled(matched: MatchedSeries, scale: float) -> MatchedSeries:
    """Return the estimates that an exposure time `scale` times as long would have given."""
    sigma = None if matched.sigma is None else matched.sigma / scale
    return replace(matched, estimate=matched.estimate / scale, sigma=sigma)


def _correlation(a: Array, b: Array) -> Array:
    known = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(known, a, np.nan), np.where(known, b, np.nan)
    a, b = a - _mean(a), b - _mean(b)
    spread = np.sqrt(_mean(a * a) * _mean(b * b))
    out = np.full(6, np.nan)
    return np.asarray(np.divide(_mean(a * b), spread, out=out, where=spread > 0))


def _mean(values: Array) -> Array:
    """Return the mean over the rows that are known, NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    empty = np.full(np.shape(count), np.nan)
    return np.asarray(np.divide(total, count, out=empty, where=count > 0))


def _root_mean_square(values: Array) -> Array:
    return np.asarray(np.sqrt(_mean(values**2)))


def _time_offset(matched: MatchedSeries, reach: float = 0.2) -> float:
    """Return the shift of the estimate (s) at which omega agrees best, between two tries of it."""
    t, interval = matched.t, float(np.median(np.diff(matched.t)))
    # The ground truth is taken at all rows, else it would be bridged where estimates are not valid.
    chosen = np.flatnonzero(matched.valid)
    chosen = chosen[:: 1 + len(chosen) // _OFFSET_ROWS]
    step = float(np.clip(interval / 5, reach / 100, reach / 10))
    shifts = np.arange(-round(reach / step), round(reach / step) + 1) * step
    errors = np.array([_shifted_error(matched, t, chosen, shift) for shift in shifts])
    best = int(np.argmin(errors))
    if not 0 < best < len(shifts) - 1 or not np.isfinite(errors[best - 1 : best + 2]).all():
        return float(shifts[best])
    before, here, after = errors[best - 1 : best + 2]
    curvature = before - 2 * here + after
    return float(shifts[best] + (step * (before - after) / (2 * curvature) if curvature > 0 else 0))


def _shifted_error(matched: MatchedSeries, t: Array, chosen: Array, shift: float) -> float:
    """Return the mean squared error of omega with the estimate `shift` seconds later."""
    moved = t[chosen] + shift
    inside = (moved >= t[0]) & (moved <= t[-1])
    if inside.sum() < max(FEWEST_ROWS, len(chosen) // 2):
        return np.inf
    truth = [np.interp(moved[inside], t, column) for column in matched.truth[:, :3].T]
    return float(np.mean((matched.estimate[chosen[inside], :3] - np.stack(truth, axis=1)) ** 2))


def _nees_axes(error: Array, sigma: Array | None) -> Array:
    return np.full(6, np.nan) if sigma is None else _mean((error / sigma) ** 2)


def _nees(error: Array, sigma: Array | None) -> Array:
    squared = _nees_axes(error, sigma)
    return np.array([squared[:3].mean(), squared[3:].mean()])


def _coverage(error: Array, sigma: Array | None) -> Array:
    if sigma is None:
        return np.full((2, 6), np.nan)
    inside = [np.where(np.isnan(error), np.nan, np.abs(error) <= k * sigma) for k in (1, 2)]
    return np.stack([_mean(share) for share in inside])
