"""One level of the pyramids of two views: Gauss-Newton steps on the motion between them.

Errors of the network's depth are the largest ones, and they are alike over large parts of the
image. So the logarithm of depth of every block of the image is an unknown with a prior of its own,
which is marginalised in every step (the Schur complement of bundle adjustment): parallax corrects
depth where it can, and what it cannot correct widens the covariance.

Signs are those of `motion_field`: P moves by -t - theta x P while the camera moves by (theta, t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.depth_errors import (
    depth_covariance,
    depth_information,
    lost_to_any_depth,
    root_of_moment,
    turned_blocks,
)
from blur_imu_ros.core.motion_field import motion_rows
from blur_imu_ros.core.registration_view import (
    DepthTold,
    RegistrationConfig,
    View,
    resized,
    sized,
)
from blur_imu_ros.core.small_systems import added, principal, solved

_OUTSIDE, _UNSEEN = -1e9, -1e4
"""Grey level of what lies outside an image, and below which a pixel takes part of it: the smallest
share that OpenCV's interpolation knows is 1/1024."""
_AS_BEFORE = 0.5
"""Share of the movement at which steps stop, below which pixels fit as they did before it."""
_TINY = 1e-6
"""Keeps sums over pixels that are not seen away from zero."""
_NEAREST = np.float32(1e-2)
"""Smallest depth of a point seen from the second camera, as a share of its depth before."""


@dataclass(frozen=True)
class Fits:
    """k motions at one level, and how well n pixels fit under each.

    Attributes:
        level: that level.
        motions: (k, 6) rotation (rad) and translation (m), in the axes of the first camera.
        jacobian: (k or 1, 6, n) grey levels; empty where no step was made.
        weights: (k, n) robust weight over variance, 0 where not seen.
        residual: (k, n) grey levels.
        scale2: (k,) squared scale of the residuals.
        overlap: (k,) share of pixels that are seen.
        places: (k, n) and (k, n), where in the second image each pixel falls.
    """

    level: Level
    motions: Array
    jacobian: Array
    weights: Array
    residual: Array
    scale2: Array
    overlap: Array
    places: tuple[Array, Array]

    @cached_property
    def correlation(self) -> Array:
        """(k,) of the pixels that are seen."""
        return self.level.agreement(self.residual, self.weights)

    @cached_property
    def evidence(self) -> Array:
        """(k,) logarithm of the likelihood of the motion."""
        return evidence_of(self.correlation, self.overlap, self.level.settings)

    def only(self, best: int) -> Fits:
        """Return one of them."""
        own = slice(best, best + 1)
        jacobian = self.jacobian[own] if len(self.jacobian) > 1 else self.jacobian
        u, v = self.places
        return Fits(
            self.level,
            self.motions[own],
            jacobian,
            self.weights[own],
            self.residual[own],
            self.scale2[own],
            self.overlap[own],
            (u[own], v[own]),
        )


class Level:
    """One level of the pyramid of two views, with the pixels of the first that are compared."""

    def __init__(
        self,
        first: View,
        second: View,
        number: int,
        settings: RegistrationConfig,
        metric: Array | None = None,
    ) -> None:
        """Compare two views at level `number`, 0 the finest, by the `metric` of another one."""
        self.settings = settings
        self.shown: Array | None = None
        self.finest = number == 0
        shape = first.levels[number].shape
        self.camera = sized(first.camera, *shape[::-1])
        self.matrix = sized(second.camera, *second.levels[number].shape[::-1]).matrix
        self.spacing = settings.spacing[number]
        some = slice(self.spacing // 2, None, self.spacing)
        depth = resized(first.inverse_depth, shape)[some, some]
        self.shape = depth.shape
        rays, rows = _geometry(self.camera, self.spacing)
        self.points = np.empty((4, depth.size), np.float32)
        self.points[:3], self.points[3] = rays, depth.reshape(-1)
        self.rows = np.empty_like(rows)
        self.rows[:, :3] = rows[:, :3]
        np.multiply(rows[:, 3:], self.points[3], out=self.rows[:, 3:])
        self.scale = settings.shrink**number
        self.settled = settings.settled_px * self.scale
        self.depth_information = depth_information(first, settings) if self.finest else None
        self.metric = self._metric() if metric is None else metric
        images = first.levels[number], second.levels[number]
        gradients = first.gradients[number], second.gradients[number]
        self._compare(images, gradients, settings.correlation_px)
        self._leave_out((_shown(first, shape, 1), _shown(second, self.other.shape, 1)))

    def _metric(self) -> Array:
        """(6, 6) of motions, the square of their length being what `apart` tells."""
        rows = self.rows.reshape(2, 6, -1)
        summed = (rows @ rows.swapaxes(1, 2)).sum(axis=0).astype(float)
        return np.asarray(summed * (self.scale**2 / rows.shape[2]))

    def _compare(
        self, images: tuple[Array, Array], gradients: tuple[Array, Array], correlation_px: float
    ) -> None:
        """Compare these images, whose residuals are one error in squares of that side."""
        settings, some = self.settings, slice(self.spacing // 2, None, self.spacing)
        self.other, self.other_gradients = images[1], gradients[1]
        grey = images[0][some, some].reshape(-1)
        self.values = grey - grey.sum() / np.float32(grey.size)
        self.gradient = gradients[0][:, some, some].reshape(2, -1)
        slack = settings.slack_px / self.scale
        steep = (self.gradient * self.gradient).sum(axis=0)
        self.variance = np.float32(settings.noise**2) + np.float32(slack**2) * steep
        self.precision = 1 / self.variance
        self.cells_per_sample = max(1.0, correlation_px / self.scale / self.spacing) ** 2

    def detailed(self, first: View, second: View) -> Level:
        """Return the same of the details of two views; see the settings."""
        settings, level = self.settings, copy(self)
        margin = round(settings.detail_px)
        level._compare(
            (first.detail, second.detail),
            (first.detail_gradients, second.detail_gradients),
            settings.detail_correlation_px,
        )
        images = (first, first.detail.shape), (second, second.detail.shape)
        shown = [_framed(_shown(view, shape, margin), shape, margin) for view, shape in images]
        level._leave_out(shown)
        return level

    def _leave_out(self, shown: Sequence[Array | None]) -> None:
        """Compare what both images show alone, (h, w) each of 0 and 1; None is all."""
        before, after = shown
        if before is not None:
            some = slice(self.spacing // 2, None, self.spacing)
            self.shown = before[some, some].reshape(-1)
            mean = float(self.shown @ self.values) / max(float(self.shown.sum()), 1.0)
            self.values = (self.values - np.float32(mean)) * self.shown
        if after is not None:
            self.other = self.other + (1 - after) * np.float32(_OUTSIDE)
        self.moments = np.empty((self.values.size, 3), np.float32)
        self.moments[:, 0] = 1
        self.moments[:, 1] = self.values
        np.multiply(self.values, self.values, out=self.moments[:, 2])

    def trusting(self, other: Level, fits: Fits, best: int) -> Level:
        """Return the same with less weight for pixels that do not fit at another level."""
        level = copy(self)
        fitting = np.minimum(fits.weights[best] * other.variance, 1)
        level.precision = level.precision * fitting
        return level

    def apart(self, motion: Array, others: Array) -> Array:
        """(...) how differently motions (..., 6) move the image, RMS pixels of the finest level."""
        return self._lengths(others - motion)

    def _lengths(self, motions: Array) -> Array:
        """(...) how far motions (..., 6) move the image, RMS pixels of the finest level."""
        squared = (motions @ self.metric * motions).sum(axis=-1)
        return np.asarray(np.sqrt(np.maximum(squared, 0)))

    def refined(self, motions: Array, most: int, prior: Array) -> Fits:
        """Follow k motions (k, 6) down to the nearest minimum of their residuals."""
        symmetric = len(motions) <= self.settings.survivors
        jacobian = np.empty(0) if symmetric else self._jacobian(self.gradient[None])
        squares = None if symmetric or self.finest else _squares(jacobian[0])
        robust = np.ones((1, self.values.size), np.float32)
        rotations, moved = _rotations(-motions[:, :3]), math.inf
        for step in range(most):
            u, v = self._places(rotations, motions[:, 3:])
            residual, robust, weights, scale2, gain, overlap = self._residuals(u, v, robust)
            if step == 0 and symmetric:
                jacobian = self._symmetric_jacobian(rotations, u, v, gain)
            normal, vector = self._equations(motions, jacobian, squares, weights, residual, scale2)
            vector -= motions @ prior
            normal += prior
            steps = np.array([solved(*of_one) for of_one in zip(normal, vector, strict=True)])
            motions, rotations = _moved(motions, rotations, steps)
            moved = self._lengths(steps).max()
            if moved < self.settled:
                break
        places = self._places(rotations, motions[:, 3:])
        if moved > _AS_BEFORE * self.settled:
            residual, _, weights, scale2, _, overlap = self._residuals(*places, robust)
        else:
            precision = weights / robust
            robust, scale2 = self._weighed(residual, robust, overlap)
            weights = robust * precision
        return Fits(self, motions, jacobian, weights, residual, scale2, overlap, places)

    def fitting(self, other: Fits) -> Fits:
        """Return how well motions fit here that were refined at another level of these pixels."""
        robust = np.ones((1, self.values.size), np.float32)
        residual, _, weights, scale2, _, overlap = self._residuals(*other.places, robust)
        none = np.empty(0)
        return Fits(self, other.motions, none, weights, residual, scale2, overlap, other.places)

    def _places(self, rotations: Array, translations: Array) -> tuple[Array, Array]:
        """Where points that turn (k, 3, 3) and move back by (k, 3) fall in the second image: (k, n)
        each."""
        projections = np.empty((3, len(rotations), 4), np.float32)
        turned = self.matrix @ rotations
        projections[:, :, :3] = turned.swapaxes(0, 1)
        projections[:, :, 3] = -(turned @ translations[:, :, None])[:, :, 0].T
        points = (projections.reshape(-1, 4) @ self.points).reshape(3, len(rotations), -1)
        u, v = points[:2] / np.maximum(points[2], _NEAREST)
        return u, v

    def _seen_at(self, image: Array, u: Array, v: Array, outside: float) -> Array:
        """(k, n) values of an image at places (k, n)."""
        below_each_other = (-1, self.shape[1])
        found = cv2.remap(
            image,
            u.reshape(below_each_other),
            v.reshape(below_each_other),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=outside,
        )
        return np.asarray(found.reshape(u.shape))

    def _residuals(self, u: Array, v: Array, robust: Array) -> tuple[Array, ...]:
        """Residuals (k, n) under the best gain and offset, and what follows from them and from the
        robust weights (k or 1, n) of the step before."""
        found = self._seen_at(self.other, u, v, _OUTSIDE)
        seen = (found > _UNSEEN).astype(np.float32)
        if self.shown is not None:
            seen *= self.shown
        precision = seen * self.precision
        weights = robust * precision
        sums = (weights @ self.moments).T.tolist()
        weights *= found
        sums += weights.sum(axis=1).tolist(), np.einsum("kn,kn->k", weights, found).tolist()
        gain, offset = np.array([*map(_brightness, *sums)], np.float32).T
        found *= gain[:, None]
        found += offset[:, None]
        residual = np.subtract(self.values, found, out=found)
        residual *= seen
        overlap = (seen.sum(axis=1) + _TINY) / self.values.size
        robust, scale2 = self._weighed(residual, robust, overlap)
        weights = np.multiply(robust, precision, out=weights)
        return residual, robust, weights, scale2, gain, overlap

    def _weighed(self, residual: Array, robust: Array, overlap: Array) -> tuple[Array, Array]:
        """Robust weights (k, n) and squared scale (k,) of residuals, one step of expectation
        maximisation of the Student-t distribution on from the weights (k or 1, n) before."""
        squared = residual * residual
        squared *= self.precision
        scale2 = np.einsum("kn,kn->k", robust, squared) / (overlap * self.values.size)
        scale2 = np.maximum(scale2, np.float32(0.05))
        degrees = np.float32(self.settings.degrees)
        squared /= scale2[:, None]
        squared += degrees
        return np.divide(degrees + 1, squared, out=squared), scale2

    def _jacobian(self, gradient: Array) -> Array:
        """(k, 6, n) change of the grey level by a motion, for gradients (k, 2, n)."""
        return np.asarray(gradient[:, :1] * self.rows[0] + gradient[:, 1:] * self.rows[1])

    def _symmetric_jacobian(self, rotations: Array, u: Array, v: Array, gain: Array) -> Array:
        """The same by the mean gradient of both images: they may be blurred differently.

        (Efficient second-order minimisation: Benhimane & Malis 2004.)
        """
        along = [self._seen_at(part, u, v, 0.0) for part in self.other_gradients]
        gradient = np.array(along).swapaxes(0, 1)
        # The second image is turned against the first, mostly about the optical axis.
        back = (rotations[:, :2, :2] * gain[:, None, None]).swapaxes(1, 2).astype(np.float32)
        return self._jacobian((back @ gradient + self.gradient) * np.float32(0.5))

    def _equations(
        self,
        motions: Array,
        jacobian: Array,
        squares: Array | None,
        weights: Array,
        residual: Array,
        scale2: Array,
    ) -> tuple[Array, Array]:
        """Normal matrices (k, 6, 6) and right sides (k, 6), depth of the blocks marginalised.

        `squares` are those of a Jacobian that all motions share, `_squares`; None where each has
        its own.
        """
        precision = 1 / (scale2 * np.float32(self.cells_per_sample))
        if squares is not None:
            size = precision.astype(float)[:, None]
            normal = (weights @ squares) * size
            return normal.reshape(-1, 6, 6), (weights * residual) @ jacobian[0].T * size
        products = np.empty((len(motions), 8, 8))
        weights = weights * precision[:, None]
        for k, motion in enumerate(motions):
            own = jacobian[k if len(jacobian) > 1 else 0]
            rows = _weighted_rows(motion, own, weights[k], residual[k])
            products[k] = rows @ rows.T
            if self.finest:
                sums, information = self._of_depth(rows)
                products[k, :6, :7] -= sums[:6] @ np.linalg.solve(information, sums[:7].T)
        return products[:, :6, :6], products[:, :6, 6]

    def _of_depth(self, rows: Array) -> tuple[Array, Array]:
        """Return sums over each block of the products of its slopes along the logarithm of inverse
        depth with all `rows` (8, n), (8, blocks), and the information on depth (blocks, blocks)."""
        sums = self._block_sums(rows * rows[7])
        assert self.depth_information is not None
        return sums, added(self.depth_information, sums[7])

    def told_of_depth(
        self, first: View, second: View, fits: Fits, prior: Array, overlap: float
    ) -> DepthTold | None:
        """Return what parallax, now and before, tells of the depth of the second view.

        Corrections stay with what the image shows; of those that left the view nothing is known.
        """
        settings, motion = self.settings, fits.motions[0]
        weights = fits.weights[0] / (fits.scale2[0] * np.float32(self.cells_per_sample))
        rows = _weighted_rows(motion, fits.jacobian[0], weights, fits.residual[0])
        sums, information = self._of_depth(rows)
        known = np.linalg.inv(information)
        correction = (known @ sums[6]).reshape(settings.blocks)
        if first.told is not None:
            correction = correction + first.told.correction
        # Less what the motion may take for depth (Woodbury).
        across = sums[:6] @ known
        normal = (rows @ rows.T)[:6, :6] + prior - across @ sums[:6].T
        positive, solved_across = cv2.solve(normal, across, flags=cv2.DECOMP_CHOLESKY)
        if not positive:
            return None  # lost to rounding
        known += across.T @ solved_across
        memory = settings.depth_memory * overlap
        return DepthTold(
            memory * turned_blocks(correction, first.camera, second.camera, motion[:3]),
            memory**2 * known + (1 - memory**2) * depth_covariance(second, settings),
        )

    def _block_sums(self, values: Array) -> Array:
        """(k, blocks) sums over each block of values (k, n)."""
        rows, columns = _blocks(self.shape, self.settings.blocks)
        along = values.reshape(-1, self.shape[1]) @ columns
        along = along.reshape(len(values), self.shape[0], -1)
        return np.asarray(rows @ along).reshape(len(values), -1).astype(float)

    def covariance(self, fits: Fits, prior: Array, spread: float) -> Array:
        """(6, 6) covariance of the fit of one motion, of (theta, t).

        Wrong depth errs by what the camera may have moved, not by what was found.

        Args:
            fits: of it.
            prior: (6, 6) information of the zero-mean prior that it holds.
            spread: standard deviation of a translation on each axis before anything is known of
                it.
        """
        jacobian, precision = self._slopes(fits)
        if self.finest:
            axes = root_of_moment(fits.motions[0, 3:], spread)
            slopes = axes.astype(np.float32) @ jacobian[3:]
            inner = np.float32(self.settings.depth_inner_std**2) * np.einsum(
                "kn,kn->n", slopes, slopes
            )
            precision = precision / (1 + precision * inner)
        weighted = jacobian * (precision / np.float32(self.cells_per_sample))
        normal = (weighted @ jacobian.T).astype(float)
        if self.finest:
            sums = self._parallax_sums(jacobian, weighted)
            assert self.depth_information is not None
            normal = normal - lost_to_any_depth(sums, axes, self.depth_information)
        # In the prior's own units; rounding must not make the images tell less than nothing.
        size, axes = principal(prior)
        from_prior = axes / np.sqrt(size)
        gained, axes = principal(from_prior.T @ normal @ from_prior)
        root = from_prior @ axes / np.sqrt(1 + np.maximum(gained, 0))
        return np.asarray(root @ root.T)

    def farthest(self, apart: Array, fits: Fits, prior: Array) -> float:
        """Squared Mahalanobis distance of a motion that is `apart` (6,) from the fit of one, were
        depth known: by its `covariance` it is not larger."""
        jacobian, precision = self._slopes(fits)
        change = apart.astype(np.float32) @ jacobian
        seen = precision @ (change * change) / self.cells_per_sample
        return float(seen + apart @ prior @ apart)

    def _slopes(self, fits: Fits) -> tuple[Array, Array]:
        """Jacobian (6, n) of the fit of one motion, and inverse variances of the pixels (n,).

        A vignette stands still whatever the camera does, so the slopes that it may make count for
        nothing.
        """
        jacobian = fits.jacobian[0] - self._jacobian(self._evenly(self.gradient)[None])[0]
        return jacobian, fits.weights[0] / fits.scale2[0]

    def _parallax_sums(self, jacobian: Array, weighted: Array) -> Array:
        """(3, 6, blocks) products of each block's slopes along the three axes of translation."""
        products = np.empty((3, 6, jacobian.shape[1]), np.float32)
        np.multiply(weighted[3:, None], jacobian, out=products)
        return self._block_sums(products.reshape(18, -1)).reshape(3, 6, -1)

    def agreement(self, residual: Array, weights: Array) -> Array:
        """(k,) correlation of what the images show, without brightness that changes evenly."""
        weights = weights * self.variance
        texture = self.values - self._evenly(self.values[None])[0]
        other = texture - residual + self._evenly(residual)
        size = weights @ (texture * texture)
        weights *= other
        size *= np.einsum("kn,kn->k", weights, other)
        found = (weights @ texture) / np.sqrt(size + np.float32(1e-6))
        return np.asarray(np.minimum(np.maximum(found, 0), 1))

    def banded(self, residual: Array) -> float:
        """Share of residuals (n,), 0 where nothing is seen, that is in the means of rows, less
        twice that in the means of columns."""
        rows = residual.reshape(self.shape)
        seen = rows != 0
        in_rows, in_columns = (
            np.sum(rows.sum(axis=axis) ** 2 / np.maximum(seen.sum(axis=axis), 1)) for axis in (1, 0)
        )
        return float((in_rows - 2 * in_columns) / np.maximum(residual @ residual, _TINY))

    def _evenly(self, values: Array) -> Array:
        """(k, n) the part of images (k, n) that a vignette may make, smooth over the whole
        image."""
        even = _even(self.shape)
        return np.asarray((values @ even.T) @ even)


def _weighted_rows(motion: Array, jacobian: Array, weights: Array, residual: Array) -> Array:
    """(8, n) what enters a normal matrix, each times the root of its weight: a Jacobian (6, n),
    residuals (n,), and the slopes along the logarithm of inverse depth under a motion (6,)."""
    roots = np.sqrt(weights)
    rows = np.empty((8, roots.size), np.float32)
    np.multiply(jacobian, roots, out=rows[:6])
    np.multiply(residual, roots, out=rows[6])
    np.matmul(motion[3:].astype(np.float32), rows[3:6], out=rows[7])
    return rows


def _squares(jacobian: Array) -> Array:
    """(n, 36) products of the rows of a Jacobian (6, n) with each other."""
    return np.ascontiguousarray((jacobian[:, None] * jacobian).reshape(36, -1).T)


def _brightness(
    total: float, first: float, first2: float, second: float, second2: float
) -> tuple[float, float]:
    """Return gain and offset that make the second of two images most like the first.

    Of a few motions, plain numbers take half the time of arrays.

    Args:
        total: sum of the weights.
        first, first2, second, second2: weighted sums over each image, and of its squares.
    """
    total += _TINY
    mean, other = first / total, second / total
    variance = max(first2 / total - mean * mean, 0.0) + _TINY
    variance /= max(second2 / total - other * other, 0.0) + _TINY
    gain = math.sqrt(min(max(variance, 0.25**2), 4.0**2))
    return gain, mean - gain * other


def _shown(view: View, shape: tuple[int, ...], margin: int) -> Array | None:
    """(h, w) 1 where a view shows the scene, and so do all pixels up to `margin` around; or None,
    which is everywhere."""
    if view.black is None and view.shown is None:
        return None
    shown = np.ones(view.inverse_depth.shape, bool) if view.shown is None else view.shown
    if view.black is not None:
        shown = shown & ~view.black
    inside = (resized(shown.astype(np.float32), shape) > 0.99).astype(np.uint8)
    side = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    return cv2.erode(inside, side).astype(np.float32)


def _framed(shown: Array | None, shape: tuple[int, ...], margin: int) -> Array:
    """Return the same without a margin at the edges of the image."""
    frame = _frame(shape, margin)
    return frame if shown is None else shown * frame


@lru_cache(maxsize=16)
def _frame(shape: tuple[int, ...], margin: int) -> Array:
    """(h, w) 1, but 0 in a margin at the edges."""
    frame = np.zeros(shape, np.float32)
    frame[margin:-margin, margin:-margin] = 1
    frame.setflags(write=False)
    return frame


def evidence_of(correlation: Array, overlap: Array, settings: RegistrationConfig) -> Array:
    """(k,) logarithm of the likelihood of motions under which two images correlate so (k,).

    `overlap` (k,) is the share of the view that is compared: a corner of it is soon alike.
    """
    unexplained = np.maximum(1 - correlation.astype(float) ** 2, 1e-4)
    return np.asarray(-settings.independent * overlap / 2 * np.log(unexplained))


def _moved(motions: Array, rotations: Array, steps: Array) -> tuple[Array, Array]:
    """Return motions (k, 6), each behind a small one (k, 6), both in the axes of the first camera,
    and the rotations of points (k, 3, 3) likewise."""
    moved, rotations = motions + steps, rotations @ _rotations(-steps[:, :3])
    moved[:, :3] = [_vector_of(rotation) for rotation in rotations.swapaxes(1, 2).tolist()]
    return moved, rotations


def _vector_of(rotation: list[list[float]]) -> tuple[float, float, float]:
    """Vector of a rotation by less than half a turn. OpenCV's, which first makes the matrix
    orthonormal, takes three times as long."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    x, y, z = zy - yz, xz - zx, yx - xy  # twice the sine of the angle, along the axis
    sine = math.sqrt(x * x + y * y + z * z)
    size = math.atan2(sine, xx + yy + zz - 1) / sine if sine > 0 else 0.0
    return size * x, size * y, size * z


def _rotations(vectors: Array) -> Array:
    """(k, 3, 3) of rotation vectors (k, 3)."""
    return np.array([cv2.Rodrigues(vector)[0] for vector in vectors])


@lru_cache(maxsize=16)
def _geometry(camera: Camera, spacing: int) -> tuple[Array, Array]:
    """Rays (3, n) of every `spacing`-th pixel and row, and rows (2, 6, n) of their motion at 1
    m."""
    some = spacing // 2
    u, v = np.meshgrid(
        np.arange(some, camera.width, spacing), np.arange(some, camera.height, spacing)
    )
    x, y = camera.normalised(u, v)
    rays = np.stack([x, y, np.ones_like(x)]).reshape(3, -1).astype(np.float32)
    rows = motion_rows(camera, u.ravel(), v.ravel(), np.ones(u.size)).transpose(1, 2, 0)
    return rays, np.ascontiguousarray(rows, np.float32)


@lru_cache(maxsize=16)
def _blocks(shape: tuple[int, int], blocks: tuple[int, int]) -> tuple[Array, Array]:
    """Which rows and columns of pixels belong to which block: (rows, h) and (w, columns) of 0,
    1."""
    height, width = shape
    row = np.arange(height) * blocks[0] // height
    column = np.arange(width) * blocks[1] // width
    of_rows = row == np.arange(blocks[0])[:, None]
    of_columns = column[:, None] == np.arange(blocks[1])
    return of_rows.astype(np.float32), of_columns.astype(np.float32)


@lru_cache(maxsize=16)
def _even(shape: tuple[int, int]) -> Array:
    """(6, n) orthonormal polynomials of second order over an image."""
    y, x = (np.mgrid[: shape[0], : shape[1]].reshape(2, -1).T / np.array(shape) - 0.5).T
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    return np.ascontiguousarray(np.linalg.qr(basis)[0].T, np.float32)
