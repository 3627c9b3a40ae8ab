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

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.core.motion_field import motion_rows

_MEDIAN_OF_CHI2 = 2 * np.log(2)
"""Median of the squared length of a 2-D standard normal vector."""
_LARGEST_CONDITION = 1e9
_LARGEST_MOTION, _LARGEST_INVERSE_DEPTH, _LARGEST_SIGMA_LOG_DEPTH = 1e5, 1e3, 1e2
_LARGEST_SIGMA = np.finfo(float).max
_LARGEST_ANISOTROPY = 10.0
"""Pixels, 1/m, none, pixels, and none. Beyond these the arithmetic of the solve is lost."""
_PAIRS = np.array(
    [(i, j) for i in range(3) for j in range(i, 3)]
    + [(i, j) for i in range(3) for j in range(3, 6)]
    + [(i, j) for i in range(3, 6) for j in range(i, 6)]
).T
"""(2, 21) the upper triangle of A^T A: of two columns for rotation, of one of each, of two for
translation."""
_WITH_DEPTH, _WITH_DEPTH2 = slice(6, None), slice(15, None)
"""Those that grow with inverse depth, and those that do so with its square."""
_PLACE = np.zeros((6, 6), dtype=int)
_PLACE[_PAIRS[0], _PAIRS[1]] = _PLACE[_PAIRS[1], _PAIRS[0]] = np.arange(_PAIRS.shape[1])
"""Which of them is at each place of A^T A."""
_TIMES = np.where(_PAIRS[0] == _PAIRS[1], 1.0, 2.0)
"""At how many places each is."""


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
            view's longer side.
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
class _Equations:
    """The equations of n cells, ready for many weighted solves.

    Attributes:
        ata: (21, n) entries `_PAIRS` of A^T P A of each cell; A in pixels per radian and metre. P
            weighs directions: the precision of F with its determinant made 1; often none, the
            identity.
        atb: (6, n) A^T P F of each cell, its sign open unless `signed`.
        length2: (n,) F^T P F, pixels^2.
        variance: (n,) of each component of F, pixels^2; their geometric mean where P weighs them.
        half_depth_variance: (n,) of the logarithm of depth, halved: its share in each component.
        cells_per_sample: how many cells make one independent measurement.
        information: (6, 6) of the prior, in x.
        information_vector: (6,) information times mean of the prior.
        signed: whether F carries its sign.
    """

    ata: Array
    atb: Array
    length2: Array
    variance: Array
    half_depth_variance: Array
    cells_per_sample: float
    information: Array
    information_vector: Array
    signed: bool

    def sample(self, cells: Array | slice) -> _Equations:
        """Return the equations of some cells, carrying the information of all."""
        length2 = self.length2[cells]
        return _Equations(
            self.ata[:, cells],
            self.atb[:, cells],
            length2,
            self.variance[cells],
            self.half_depth_variance[cells],
            self.cells_per_sample * len(length2) / len(self.length2),
            self.information,
            self.information_vector,
            self.signed,
        )


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
            near: (6,) velocity that this field gives without the prior, where it was solved for
                before: the start in place of many.

        Raises:
            FrameError: an exposure time that cannot be one.
        """
        tau = check_exposure_time(exposure_time)
        if not _is_possible(field):
            return self.invalid_estimate(tau, t, "the blur field holds values that cannot be")
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

    def _equations(self, field: BlurField, tau: float, prior: VelocityPrior | None) -> _Equations:
        geometry = _geometry(field.camera, *field.q.shape[:2], field.stride)
        columns, inverse_depth = geometry.columns, field.inverse_depth.ravel()
        motion_x, motion_y = weighed_x, weighed_y = field.motion.reshape(-1, 2).T.astype(float)
        floor2 = self.config.noise_floor_px**2
        if field.anisotropy is None:
            variance = field.sigma.ravel().astype(float) ** 2 + floor2
            ata = geometry.pairs.copy()
        else:
            variance, (xx, xy, yy) = _weighed_directions(field, floor2)
            weighed_x, weighed_y = xx * motion_x + xy * motion_y, xy * motion_x + yy * motion_y
            ata = xx * geometry.pairs_xx + xy * geometry.pairs_xy + yy * geometry.pairs_yy
        atb = columns[0] * weighed_x + columns[1] * weighed_y
        atb[3:] *= inverse_depth
        ata[_WITH_DEPTH] *= inverse_depth
        ata[_WITH_DEPTH2] *= inverse_depth
        information = np.diag((self._weak_std() * tau) ** -2.0)
        information_vector = np.zeros(6)
        correlated = self.config.correlation_length * field.camera.longer_side / field.stride
        if prior is not None:
            information = information + prior.information / tau**2
            information_vector = prior.information @ prior.mean / tau
        equations = _Equations(
            ata=ata,
            atb=atb,
            length2=motion_x * weighed_x + motion_y * weighed_y,
            variance=variance,
            half_depth_variance=field.sigma_log_depth.ravel().astype(float) ** 2 / 2,
            cells_per_sample=max(1.0, correlated**2),
            information=information,
            information_vector=information_vector,
            signed=field.signed_motion is not None,
        )
        if field.shown is None:
            return equations
        # The others tell nothing, so the errors of these stay as alike as they are.
        sampled = equations.sample(_shown(field))
        return replace(sampled, cells_per_sample=equations.cells_per_sample)

    def _start(self, equations: _Equations) -> Array:
        """Return the best of many starts, each followed for a few solves on a sample of cells."""
        sample = equations.sample(_sample(len(equations.length2), self.config.start_cells))
        # The prior's mean is a start too; where there is none it is zero and does no harm.
        mean = np.linalg.solve(sample.information, sample.information_vector)
        x = np.vstack([_CANONICAL_MOTIONS, mean])
        # Only the direction of a start means something, so the first weights look at nothing else.
        signs = np.copysign(1.0, x @ sample.atb)
        x = _solve(sample, np.ones(len(x)), signs, np.tile(1 / sample.variance, (len(x), 1)), x)
        for survivors in self.config.survivors:
            fit = self._fit(sample, x)
            best = np.argsort(self._cost(sample, x, fit))[:survivors]
            x = self._step(sample, x, fit)[best]
        return np.asarray(x[0])

    def _nearer(self, equations: _Equations, x: Array) -> Array:
        """Return a motion (6,), or the prior's mean where that explains the cells better."""
        mean = np.linalg.solve(equations.information, equations.information_vector)
        both = np.vstack([x, mean])
        return np.asarray(both[np.argmin(self._cost(equations, both, self._fit(equations, both)))])

    def _signed_start(self, equations: _Equations) -> Array:
        """Return what the signs of the cells say alone; the prior's mean then follows them."""
        still = np.zeros((1, 6))
        blind = replace(equations, information_vector=np.zeros(6))
        return np.asarray(self._step(blind, still, self._fit(blind, still))[0])

    def _refine(self, equations: _Equations, x: Array) -> tuple[Array, _Fit]:
        """Return (6,) motion and its fit, solved to convergence on all cells."""
        fit = self._fit(equations, x[None])
        for _ in range(self.config.steps):
            before, x = x, self._step(equations, x[None], fit)[0]
            fit = self._fit(equations, x[None])
            if np.max(np.abs(x - before)) <= self.config.tolerance * np.max(np.abs(x)):
                break
        return x, fit

    def _step(self, equations: _Equations, x: Array, fit: _Fit) -> Array:
        return _solve(equations, fit.scale2, fit.signs, fit.weights, x)

    def _fit(self, equations: _Equations, x: Array) -> _Fit:
        """Judge k motions (k, 6) by the cells' residuals and by the prior."""
        pairs = x[:, _PAIRS[0]] * x[:, _PAIRS[1]] * _TIMES
        # Both are squares, but rounding may leave less than nothing of a sum of products.
        parallax2 = np.maximum(pairs[:, _WITH_DEPTH2] @ equations.ata[_WITH_DEPTH2], 0)
        agreement = x @ equations.atb
        signs = np.ones_like(agreement) if equations.signed else np.copysign(1.0, agreement)
        residual2 = pairs @ equations.ata + equations.length2 - 2 * signs * agreement
        np.maximum(residual2, 0, out=residual2)
        variance = equations.variance + equations.half_depth_variance * parallax2
        mahalanobis2 = (residual2 + self.config.noise_floor_px**2) / variance
        median = _median(mahalanobis2)
        excess = 1 + mahalanobis2 / (self.config.robust_scale**2 * median)[:, None]
        scale2 = np.maximum(median / _MEDIAN_OF_CHI2, self.config.smallest_scale**2)
        return _Fit(signs, residual2, mahalanobis2, median, scale2, 1 / (variance * excess))

    def _cost(self, equations: _Equations, x: Array, fit: _Fit) -> Array:
        """(k,) negative logarithm of the posterior of k motions, up to a constant."""
        # One scale for all, else a poor fit would hide behind its own large residuals.
        scale2 = self.config.robust_scale**2
        loss = scale2 * np.log1p(fit.mahalanobis2 / (scale2 * fit.median.min())).sum(1)
        data = 0.5 * _MEDIAN_OF_CHI2 * loss / equations.cells_per_sample
        return np.asarray(data + _prior_cost(equations, x))

    def _estimate(
        self, field: BlurField, equations: _Equations, fit: _Fit, x: Array, tau: float, t: float
    ) -> VelocityEstimate:
        if x @ equations.information_vector < 0:
            x = -x
        data = _normal_matrices(equations, fit.weights)[0]
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
            blur_px=float(np.sqrt(_median(_length2(field.motion)[None, _shown(field)])[0])),
            residual_px=float(np.sqrt(_median(_residual2(field, fit, x))[0] / _MEDIAN_OF_CHI2)),
            rank=int(np.sum(np.linalg.eigvalsh(information * np.outer(weak, weak)) > 1)),
            condition=_condition(data),
            shared_covariance=shared,
        )

    def _shared_errors(self, velocity: Array, weights: Array, equations: _Equations) -> Array:
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
        confident = field.principal_sigmas[0] < limit
        if field.shown is not None:
            confident = confident & field.shown
        if confident.mean() < self.config.fewest_share:
            estimate = estimate.rejected(
                f"blur could be read in only {confident.sum()} of {confident.size} cells"
            )
        if estimate.rank < 3:
            estimate = estimate.rejected(f"the image determines {estimate.rank} of 6 directions")
        return estimate


def solve_published(flow: Array, depth: Array, camera: Camera) -> Array:
    """Return (6,) x = (theta, t) by the published solver: plain least squares, no weights.

    It keeps every 10th pixel, counted row after row, inside a border of 20 pixels. In a view 320
    wide these are the same 28 columns of every row.

    Args:
        flow: (2, height, width) motion over the exposure, pixels, with its sign.
        depth: (height, width) metres.
        camera: pinhole of the pixels.
    """
    height, width = depth.shape
    v, u = (grid[20:-20, 20:-20].ravel()[::10] for grid in np.mgrid[:height, :width])
    rows = motion_rows(camera, u, v, 1 / depth[v, u].astype(float))
    motion = flow[:, v, u].T
    return np.asarray(np.linalg.lstsq(rows.reshape(-1, 6), motion.reshape(-1), rcond=None)[0])


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


@dataclass(frozen=True)
class _Geometry:
    """The equations of a grid of n cells at 1 m.

    Attributes:
        columns: (2, 6, n) A of each.
        pairs: (21, n) `_PAIRS` of A^T A, the sum of what its first row gives and its second.
        pairs_xx, pairs_yy: (21, n) these two.
        pairs_xy: (21, n) what one row gives with the other, both ways.
    """

    columns: Array
    pairs: Array
    pairs_xx: Array
    pairs_xy: Array
    pairs_yy: Array


@lru_cache(maxsize=8)
def _geometry(camera: Camera, rows: int, columns: int, stride: int) -> _Geometry:
    u, v = cell_centres(rows, columns, stride)
    at_1_m = motion_rows(camera, u.ravel(), v.ravel(), np.ones(u.size)).transpose(1, 2, 0)
    one, other = at_1_m[:, _PAIRS[0]], at_1_m[:, _PAIRS[1]]
    pairs = np.sum(one * other, axis=0)
    both_ways = one[0] * other[1] + one[1] * other[0]
    return _Geometry(
        np.ascontiguousarray(at_1_m), pairs, one[0] * other[0], both_ways, one[1] * other[1]
    )


def _weighed_directions(field: BlurField, floor2: float) -> tuple[Array, tuple[Array, ...]]:
    """Return (n,) geometric mean variances of F, and the xx, xy, yy of P, (n,) each, of determinant
    1.

    `floor2` is the variance, pixels^2, that is added in every direction.
    """
    assert field.anisotropy is not None
    a, b = field.anisotropy.reshape(-1, 2).T.astype(float)
    strength = np.maximum(np.hypot(a, b), 1e-12)
    along, across = (sigma.ravel().astype(float) ** 2 + floor2 for sigma in field.principal_sigmas)
    stretch = np.sqrt(along / across)
    even, odd = (stretch + 1 / stretch) / 2, (stretch - 1 / stretch) / 2
    cosine, sine = odd * a / strength, odd * b / strength
    return np.sqrt(along * across), (even - cosine, -sine, even + cosine)


def _length2(motion: Array) -> Array:
    """(n,) squared lengths of a field (rows, columns, 2)."""
    return np.asarray(np.sum(motion.reshape(-1, 2).astype(float) ** 2, axis=1))


def _residual2(field: BlurField, fit: _Fit, x: Array) -> Array:
    """(1, n) squared residuals of the motion x, pixels^2, all directions alike."""
    if field.anisotropy is None:
        return fit.residual2
    cells = _shown(field)
    columns = _geometry(field.camera, *field.q.shape[:2], field.stride).columns[..., cells]
    turned = np.tensordot(columns[:, :3], x[:3], (1, 0))
    nearness = field.inverse_depth.ravel()[cells]
    moved = turned + np.tensordot(columns[:, 3:], x[3:], (1, 0)) * nearness
    return _length2((fit.signs * field.motion.reshape(-1, 2)[cells].T - moved).T)[None]


def _shown(field: BlurField) -> Array | slice:
    """Return which of the n cells show the scene."""
    return slice(None) if field.shown is None else np.flatnonzero(field.shown)


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


def _median(values: Array) -> Array:
    """(k,) medians of values (k, n), the upper of the middle two; much faster than numpy's."""
    middle = values.shape[1] // 2
    return np.asarray(np.partition(values, middle, axis=1)[:, middle])


def _prior_signs(equations: _Equations, x: Array) -> Array:
    """(k,) under which sign the prior fits k motions (k, 6) better."""
    return np.asarray(np.copysign(1.0, x @ equations.information_vector))


def _prior_cost(equations: _Equations, x: Array) -> Array:
    """(k,) squared Mahalanobis distance of k motions to the prior, halved, up to a constant."""
    squared = np.sum((x @ equations.information) * x, axis=1)
    return np.asarray(0.5 * squared - np.abs(x @ equations.information_vector))


def _solve(equations: _Equations, scale2: Array, signs: Array, weights: Array, x: Array) -> Array:
    """Return k motions (k, 6) by weighted least squares with the prior, next to motions `x`."""
    weights = weights / (scale2 * equations.cells_per_sample)[:, None]
    right = (weights * signs) @ equations.atb.T
    right = right + _prior_signs(equations, x)[:, None] * equations.information_vector
    normal = _normal_matrices(equations, weights) + equations.information
    return np.asarray(np.linalg.solve(normal, right[:, :, None])[:, :, 0])


def _normal_matrices(equations: _Equations, weights: Array) -> Array:
    """(k, 6, 6) A^T W A for the weights (k, n) of the cells."""
    return np.asarray((weights @ equations.ata.T)[:, _PLACE])


def _condition(normal: Array) -> float:
    """Return the condition number of the equations behind `normal`, columns scaled to one size."""
    size = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    values = np.linalg.eigvalsh(normal / np.outer(size, size))
    return float(np.sqrt(values[-1] / max(values[0], values[-1] / _LARGEST_CONDITION**2)))
