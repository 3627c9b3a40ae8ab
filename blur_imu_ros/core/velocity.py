"""From the blur field of one image to the velocity of the camera, its sign still open.

Every cell gives two equations, s F = A x with x = (theta, t) over the exposure and s = +1 or -1 the
cell's unknown sign. The solver alternates s = sign(A x . F) with a robust, confidence-weighted
least squares, from several starts at once on a sample of the cells, and refines the best on all of
them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from blur_imu_ros.core.arrays import Array, upper_median
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.cell_equations import (
    CellEquations,
    cell_equations,
    motion_of_cells,
    shown_cells,
)
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import check_exposure_time

_MEDIAN_OF_CHI2 = 2 * np.log(2)
"""Median of the squared length of a 2-D standard normal vector."""
_LARGEST_CONDITION = 1e9
_LARGEST_MOTION, _LARGEST_INVERSE_DEPTH, _LARGEST_SIGMA_LOG_DEPTH = 1e5, 1e3, 1e2
_LARGEST_SIGMA = np.finfo(float).max
_LARGEST_ANISOTROPY = 10.0
"""Pixels, 1/m, none, pixels, and none. Beyond these the arithmetic of the solve is lost."""


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """How the velocity is solved for.

    Attributes:
        angular_std: standard deviation of the weak zero-mean prior on each axis, rad/s.
        linear_std: the same for the linear velocity, m/s.
        correlation_length: side of the square of the network's view inside which errors of the
            field are one error, as a share of the view's longer side: they go with what the scene
            shows, not with cells. With 0.39 about two thirds of the shipped models' held-out errors
            fall within one standard deviation.
        noise_floor_px: residual below which the field is not believed however well it fits.
        smallest_scale: the field's standard deviations are scaled by the residuals, but not below
            this: errors that vary smoothly over the image fit well and are wrong all the same.
        length_std: relative error of blur lengths that all cells of an image share.
        robust_scale: residual at which a cell counts half, in medians of all residuals.
        start_cells: number of cells on which the starts compete.
        survivors: how many starts go on after each of the re-weighted solves on the sample.
        steps: re-weighted solves at most of the best start on all cells.
        tolerance: change of the motion, as a share of it, at which these end.
        confident_width: standard deviation below which a cell counts as read, as a share of the
            view's longer side; the network's own, before the `sigma_scale` of its card.
        confident_share: the same as a share of the cell's blur length; the larger limit holds.
        fewest_share: share of confident cells below which the estimate is refused. Of every real
            frame that was tried the shipped models read 42 % of the cells or more, most often all;
            of a uniform image 16 % or less.
    """

    angular_std: float = 10.0
    linear_std: float = 4.0
    correlation_length: float = 0.39
    noise_floor_px: float = 0.1
    smallest_scale: float = 0.5
    length_std: float = 0.2
    robust_scale: float = 1.5
    start_cells: int = 120
    survivors: tuple[int, ...] = (8, 3, 1)
    steps: int = 8
    tolerance: float = 1e-2
    confident_width: float = 3 / 320
    confident_share: float = 0.5
    fewest_share: float = 0.2


@dataclass(frozen=True)
class VelocityPrior:
    """What is known of the velocity before the image is read: a Gaussian, up to sign.

    Attributes:
        mean: (6,) angular (rad/s), then linear velocity (m/s).
        information: (6, 6) inverse covariance; may be singular.
    """

    mean: Array
    information: Array


@dataclass(frozen=True)
class _Fit:
    """How well k motions explain the equations of n cells.

    Attributes:
        signs: (k, n) sign of each cell.
        residual2: (k, n) squared residual, pixels^2.
        mahalanobis2: (k, n) the same over its variance.
        median: (k,) of `mahalanobis2`.
        scale2: (k,) what the variances are to be multiplied by.
        weights: (k, n) robust weight over variance, 1/pixels^2.
    """

    signs: Array
    residual2: Array
    mahalanobis2: Array
    median: Array
    scale2: Array
    weights: Array


class VelocitySolver:
    """Solves blur fields for the velocity of the camera."""

    def __init__(self, config: SolverConfig | None = None) -> None:
        """Use `config`, or the defaults."""
        self.config = config or SolverConfig()

    def solve(
        self,
        field: BlurField,
        exposure_time: float,
        t: float,
        prior: VelocityPrior | None = None,
        near: Array | None = None,
    ) -> VelocityEstimate:
        """Return the velocity at mid-exposure `t`; its sign is open (probability 0.5).

        A field that cannot be solved gives a zero velocity with the prior's covariance, not valid.

        Args:
            field: motion and inverse depth of the network's view.
            exposure_time: seconds.
            t: middle of the exposure, seconds.
            prior: what is known beforehand, on top of the weak prior of the configuration; taken
                for known up to sign.
            near: (6,) velocity that is about what this field gives without the prior, where it was
                measured before: the start in place of many.

        Raises:
            FrameError: an exposure time that cannot be one.
        """
        tau = check_exposure_time(exposure_time)
        if not _is_possible(field):
            return self.invalid_estimate(tau, t, "the blur field holds values that cannot be")
        if field.shown is not None and not field.shown.any():
            return self.invalid_estimate(tau, t, "all of the image shows the camera's own body")
        equations = self._equations(field, tau, prior)
        if equations.signed:
            x = self._signed_start(equations)
        elif near is None:
            x = self._start(equations)
        else:
            x = self._nearer(equations, near * tau)
        x, fit = self._refine(equations, x)
        return self._gated(self._estimate(field, equations, fit, x, tau, t), field)

    def invalid_estimate(self, exposure_time: float, t: float, reason: str) -> VelocityEstimate:
        """Return zero velocity with the weak prior's covariance, not valid for `reason`.

        Args:
            exposure_time: seconds.
            t: middle of the exposure, seconds.
            reason: a short phrase.
        """
        return VelocityEstimate(
            t=t,
            exposure_time=exposure_time,
            angular_velocity=np.zeros(3),
            linear_velocity=np.zeros(3),
            covariance=np.diag(self._weak_std() ** 2),
            blur_px=0.0,
            residual_px=0.0,
            rank=0,
            condition=_LARGEST_CONDITION,
        ).rejected(reason)

    @property
    def weak_prior(self) -> VelocityPrior:
        """What is assumed of every velocity: about zero, no faster than the configuration says."""
        return VelocityPrior(np.zeros(6), np.diag(self._weak_std() ** -2.0))

    def _weak_std(self) -> Array:
        """(6,) standard deviations of the weak prior, rad/s and m/s."""
        return np.array([self.config.angular_std] * 3 + [self.config.linear_std] * 3)

    def _equations(
        self, field: BlurField, tau: float, prior: VelocityPrior | None
    ) -> CellEquations:
        information = np.diag((self._weak_std() * tau) ** -2.0)
        information_vector = np.zeros(6)
        if prior is not None:
            information = information + prior.information / tau**2
            information_vector = prior.information @ prior.mean / tau
        correlated = self.config.correlation_length * field.camera.longer_side / field.stride
        return cell_equations(
            field,
            self.config.noise_floor_px,
            max(1.0, correlated**2),
            (information, information_vector),
        )

    def _start(self, equations: CellEquations) -> Array:
        """Return the best of many starts, each followed for a few solves on a sample of cells."""
        sample = equations.sample(_sample(len(equations.length2), self.config.start_cells))
        # The prior's mean is a start too; where there is none it is zero and does no harm.
        x = np.vstack([_CANONICAL_MOTIONS, sample.prior_mean])
        # Only the direction of a start means something, so the first weights look at nothing else.
        signs = np.copysign(1.0, x @ sample.atb)
        equal = np.tile(1 / sample.variance, (len(x), 1))
        x = sample.solved(np.ones(len(x)), signs, equal, x)
        for survivors in self.config.survivors:
            fit = self._fit(sample, x)
            best = np.argsort(self._cost(sample, x, fit))[:survivors]
            x = self._step(sample, x, fit)[best]
        return np.asarray(x[0])

    def _nearer(self, equations: CellEquations, x: Array) -> Array:
        """Return a motion (6,), or the prior's mean where that explains the cells better."""
        both = np.vstack([x, equations.prior_mean])
        return np.asarray(both[np.argmin(self._cost(equations, both, self._fit(equations, both)))])

    def _signed_start(self, equations: CellEquations) -> Array:
        """Return what the signs of the cells say alone; the prior's mean then follows them."""
        still = np.zeros((1, 6))
        blind = replace(equations, information_vector=np.zeros(6))
        return np.asarray(self._step(blind, still, self._fit(blind, still))[0])

    def _refine(self, equations: CellEquations, x: Array) -> tuple[Array, _Fit]:
        """Return (6,) motion and its fit, solved to convergence on all cells."""
        fit = self._fit(equations, x[None])
        for _ in range(self.config.steps):
            before, x = x, self._step(equations, x[None], fit)[0]
            fit = self._fit(equations, x[None])
            if np.max(np.abs(x - before)) <= self.config.tolerance * np.max(np.abs(x)):
                break
        return x, fit

    def _step(self, equations: CellEquations, x: Array, fit: _Fit) -> Array:
        return equations.solved(fit.scale2, fit.signs, fit.weights, x)

    def _fit(self, equations: CellEquations, x: Array) -> _Fit:
        """Return how well k motions (k, 6) explain the cells, and the weights that follow."""
        signs, residual2, parallax2 = equations.residuals(x)
        variance = equations.variance + equations.half_depth_variance * parallax2
        mahalanobis2 = (residual2 + self.config.noise_floor_px**2) / variance
        median = upper_median(mahalanobis2)
        excess = 1 + mahalanobis2 / (self.config.robust_scale**2 * median)[:, None]
        scale2 = np.maximum(median / _MEDIAN_OF_CHI2, self.config.smallest_scale**2)
        return _Fit(signs, residual2, mahalanobis2, median, scale2, 1 / (variance * excess))

    def _cost(self, equations: CellEquations, x: Array, fit: _Fit) -> Array:
        """(k,) negative logarithm of the posterior of k motions, up to a constant."""
        # One scale for all, else a poor fit would hide behind its own large residuals.
        scale2 = self.config.robust_scale**2
        loss = scale2 * np.log1p(fit.mahalanobis2 / (scale2 * fit.median.min())).sum(1)
        data = 0.5 * _MEDIAN_OF_CHI2 * loss / equations.cells_per_sample
        return np.asarray(data + equations.prior_cost(x))

    def _estimate(
        self, field: BlurField, equations: CellEquations, fit: _Fit, x: Array, tau: float, t: float
    ) -> VelocityEstimate:
        if x @ equations.information_vector < 0:
            x = -x
        data = equations.normal_matrices(fit.weights)[0]
        scale2, cells_per_sample = fit.scale2[0], equations.cells_per_sample
        if field.shared_errors:
            scale2, cells_per_sample = max(1.0, scale2), len(equations.length2)
        information = data / (scale2 * cells_per_sample)
        own = np.linalg.inv(information + equations.information) / tau**2
        shared = self._shared_errors(x / tau, fit.weights[0], equations)
        weak = self._weak_std() * tau
        return VelocityEstimate(
            t=t,
            exposure_time=tau,
            angular_velocity=x[:3] / tau,
            linear_velocity=x[3:] / tau,
            covariance=(own + own.T) / 2 + shared,
            blur_px=float(
                np.sqrt(upper_median(_length2(field.motion)[None, shown_cells(field)])[0])
            ),
            residual_px=float(
                np.sqrt(upper_median(_residual2(field, fit, x))[0] / _MEDIAN_OF_CHI2)
            ),
            rank=int(np.sum(np.linalg.eigvalsh(information * np.outer(weak, weak)) > 1)),
            condition=_condition(data),
            shared_covariance=shared,
        )

    def _shared_errors(self, velocity: Array, weights: Array, equations: CellEquations) -> Array:
        """(6, 6) covariance of what no averaging over cells removes: blur length and depth
        scale."""
        depth_variance = 2 * (equations.half_depth_variance @ weights) / weights.sum()
        linear = np.concatenate([np.zeros(3), velocity[3:]])
        return np.asarray(
            self.config.length_std**2 * np.outer(velocity, velocity)
            + depth_variance * np.outer(linear, linear)
        )

    def _gated(self, estimate: VelocityEstimate, field: BlurField) -> VelocityEstimate:
        least = self.config.confident_width * field.camera.longer_side
        limit = np.maximum(least, self.config.confident_share * field.blur_length)
        confident = field.principal_sigmas[0] < field.sigma_scale * limit
        if field.shown is not None:
            confident = confident & field.shown
        if confident.mean() < self.config.fewest_share:
            estimate = estimate.rejected(
                f"blur could be read in only {confident.sum()} of {confident.size} cells"
            )
        if estimate.rank < 3:
            estimate = estimate.rejected(f"the image determines {estimate.rank} of 6 directions")
        return estimate


def _canonical_motions() -> Array:
    """Return (k, 6) starts: rotations about 13 axes spread over the half sphere, then translations.

    Sideways motion blurs an image like yaw and upward motion like pitch, so these enter as what
    sets them apart, near points moving against far ones.
    """
    axes = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)]
    rotations = [(*axis, 0, 0, 0) for axis in axes if axis > (0, 0, 0)]
    forward = (0, 0, 0, 0, 0, 1)
    near_against_far = [(0, 1, 0, -2, 0, 0), (1, 0, 0, 0, 2, 0)]
    return np.array([*rotations, forward, *near_against_far], dtype=float)


_CANONICAL_MOTIONS = _canonical_motions()


def _length2(motion: Array) -> Array:
    """(n,) squared lengths of a field (rows, columns, 2)."""
    return np.asarray(np.sum(motion.reshape(-1, 2).astype(float) ** 2, axis=1))


def _residual2(field: BlurField, fit: _Fit, x: Array) -> Array:
    """(1, n) squared residuals of the motion x, pixels^2, all directions alike."""
    if field.anisotropy is None:
        return fit.residual2
    read = fit.signs.T * field.motion.reshape(-1, 2)[shown_cells(field)]
    return _length2(read - motion_of_cells(field, x))[None]


@lru_cache(maxsize=8)
def _sample(count: int, size: int) -> Array:
    """Return at most `size` of `count` cells, spread without any pattern, always the same."""
    return np.sort(np.random.default_rng(0).permutation(count)[:size])


def _is_possible(field: BlurField) -> bool:
    """Whether a field holds nothing but numbers that a network that works may give."""
    parts = [
        (field.q, _LARGEST_MOTION),
        (field.sigma, _LARGEST_SIGMA),
        (field.inverse_depth, _LARGEST_INVERSE_DEPTH),
        (field.sigma_log_depth, _LARGEST_SIGMA_LOG_DEPTH),
    ]
    if field.signed_motion is not None:
        parts.append((field.signed_motion, _LARGEST_MOTION))
    if field.anisotropy is not None:
        parts.append((field.anisotropy, _LARGEST_ANISOTROPY))
    # The largest of what holds a NaN is NaN, and no NaN is small enough.
    return all(bool(np.abs(p).max() <= most) for p, most in parts)


def _condition(normal: Array) -> float:
    """Return the condition number of the equations behind `normal`, columns scaled to one size."""
    size = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    values = np.linalg.eigvalsh(normal / np.outer(size, size))
    return float(np.sqrt(values[-1] / max(values[0], values[-1] / _LARGEST_CONDITION**2)))
