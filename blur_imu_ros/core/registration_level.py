"""One level of the pyramids of two views: Gauss-Newton steps on the motion between them.

Errors of the network's depth are the largest ones, and they are alike over large parts of the
image. So the logarithm of depth of every block of the image is an unknown with a prior of its own,
which is marginalised in every step (the Schur complement of bundle adjustment): parallax corrects
depth where it can, and what it cannot correct widens the covariance.

Signs are those of `motion_field`: P moves by -t - theta x P while the camera moves by (theta, t).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_rows
from blur_imu_ros.core.registration_view import (
    DepthTold,
    RegistrationConfig,
    View,
    resized,
    sized,
)

_OUTSIDE, _UNSEEN = -1e9, -1e4
"""Grey level of what lies outside an image, and below which a pixel takes part of it: the smallest
share that OpenCV's interpolation knows is 1/1024."""
_NEAREST = np.float32(1e-2)
"""Smallest depth of a point seen from the second camera, as a share of its depth before."""


@dataclass(frozen=True)
class Fits:
    """k motions at one level, and how well n pixels fit under each.

    Attributes:
        motions: (k, 6) rotation (rad) and translation (m), in the axes of the first camera.
        jacobian: (k or 1, 6, n) grey levels.
        weights: (k, n) robust weight over variance, 0 where not seen.
        residual: (k, n) grey levels.
        scale2: (k,) squared scale of the residuals.
        overlap: (k,) share of pixels that are seen.
        correlation: (k,) of the pixels that are seen.
        evidence: (k,) logarithm of the likelihood of the motion.
        settled: whether the steps ended by themselves.
    """

    motions: Array
    jacobian: Array
    weights: Array
    residual: Array
    scale2: Array
    overlap: Array
    correlation: Array
    evidence: Array
    settled: bool


class Level:
    """One level of the pyramid of two views, with the pixels of the first that are compared."""

    def __init__(
        self, first: View, second: View, number: int, settings: RegistrationConfig
    ) -> None:
        self.settings, self.number = settings, number
        self.finest = number == 0
        image, self.other = first.levels[number], second.levels[number]
        self.other_gradients = second.gradients[number]
        camera = sized(first.camera, *image.shape[::-1])
        self.camera = camera
        self.matrix = sized(second.camera, *self.other.shape[::-1]).matrix
        spacing = settings.spacing[number]
        some = slice(spacing // 2, None, spacing)
        self.shown = _shown(first, image.shape, some)
        depth = resized(first.inverse_depth, image.shape)[some, some]
        self.shape = depth.shape
        rays, rows = _geometry(camera, spacing)
        self.points = np.vstack([rays, depth.reshape(1, -1)])
        self.rows = rows.copy()
        self.rows[:, 3:] *= self.points[3]
        grey = image[some, some].reshape(-1)
        self.values = grey - grey.mean()
        self.gradient = first.gradients[number][:, some, some].reshape(2, -1)
        scale = settings.shrink**number
        self.settled = settings.settled_px * scale
        slack = settings.slack_px / scale
        steep = np.sum(self.gradient * self.gradient, axis=0)
        self.variance = np.float32(settings.noise**2) + np.float32(slack**2) * steep
        self.precision = 1 / self.variance
        self.cells_per_sample = max(1.0, settings.correlation_px / scale / spacing) ** 2
        self.moments = np.stack([np.ones_like(self.values), self.values, self.values**2], axis=1)
        self.depth_information = _depth_information(first, settings) if self.finest else None
        rows = self.rows.reshape(2, 6, -1)
        self.metric = (rows @ rows.swapaxes(1, 2)).sum(axis=0).astype(float)
        self.metric *= scale**2 / self.values.size

    def apart(self, motion: Array, others: Array) -> Array:
        """(...) how differently motions (..., 6) move the image, RMS pixels of the finest level."""
        difference = others - motion
        squared = np.sum(difference @ self.metric * difference, axis=-1)
        return np.asarray(np.sqrt(np.maximum(squared, 0)))

    def refined(self, motions: Array, most: int, belief: tuple[Array, Array]) -> Fits:
        """Follow k motions (k, 6) down to the nearest minimum of their residuals."""
        symmetric = len(motions) <= self.settings.survivors
        jacobian = np.empty(0) if symmetric else self._jacobian(self.gradient[None])
        robust = np.ones((1, self.values.size), np.float32)
        settled = False
        for step in range(most):
            rotations, u, v = self._places(motions)
            residual, robust, weights, scale2, gain, *_ = self._residuals(u, v, robust)
            if step == 0 and symmetric:
                jacobian = self._symmetric_jacobian(rotations, u, v, gain)
            normal, vector = self._equations(motions, jacobian, weights, residual, scale2)
            vector = vector + belief[1] - motions @ belief[0]
            steps = np.linalg.solve(normal + belief[0], vector[:, :, None])[:, :, 0]
            motions = _moved(motions, rotations, steps)
            settled = bool(self.apart(np.zeros(6), steps).max() < self.settled)
            if settled:
                break
        _, u, v = self._places(motions)
        residual, robust, weights, scale2, gain, overlap = self._residuals(u, v, robust)
        correlation = self._agreement(residual, weights * self.variance)
        evidence = evidence_of(correlation, overlap, self.settings)
        return Fits(
            motions, jacobian, weights, residual, scale2, overlap, correlation, evidence, settled
        )

    def _places(self, motions: Array) -> tuple[Array, Array, Array]:
        """Rotations (k, 3, 3) of points, and where in the second image they fall, (k, n) each."""
        rotations = np.array([cv2.Rodrigues(-motion[:3])[0] for motion in motions])
        projections = np.empty((len(motions), 3, 4), np.float32)
        turned = self.matrix @ rotations
        projections[:, :, :3] = turned
        projections[:, :, 3:] = -(turned @ motions[:, 3:, None])
        points = (projections.reshape(-1, 4) @ self.points).reshape(len(motions), 3, -1)
        nearness = 1 / np.maximum(points[:, 2], _NEAREST)
        return rotations, points[:, 0] * nearness, points[:, 1] * nearness

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
        """Residuals (k, n) under the best gain and offset, and what follows from them.

        The scale is one step of expectation maximisation of the Student-t distribution, given the
        robust weights (k or 1, n) of the step before.
        """
        found = self._seen_at(self.other, u, v, _OUTSIDE)
        seen = (found > _UNSEEN).astype(np.float32) * self.shown
        seen_precision = seen * self.precision
        weights = robust * seen_precision
        weighted = weights * found
        total, a, aa = (weights @ self.moments).T
        total = total + np.float32(1e-6)
        b = weighted.sum(axis=1)
        bb = np.einsum("kn,kn->k", weighted, found)
        variance_a = np.maximum(aa / total - (a / total) ** 2, 0) + np.float32(1e-6)
        variance_b = np.maximum(bb / total - (b / total) ** 2, 0) + np.float32(1e-6)
        gain = np.clip(np.sqrt(variance_a / variance_b), 0.25, 4.0)
        found *= gain[:, None]
        found += ((a - gain * b) / total)[:, None]
        residual = (self.values - found) * seen
        squared = residual * residual * self.precision
        count = seen.sum(axis=1) + np.float32(1e-6)
        scale2 = np.maximum(np.einsum("kn,kn->k", robust * seen, squared) / count, np.float32(0.05))
        degrees = np.float32(self.settings.degrees)
        robust = (degrees + 1) / (degrees + squared / scale2[:, None])
        weights = robust * seen_precision
        overlap = count / self.values.size
        return residual, robust, weights, scale2, gain, overlap

    def _jacobian(self, gradient: Array) -> Array:
        """(k, 6, n) change of the grey level by a motion, for gradients (k, 2, n)."""
        return np.asarray(gradient[:, :1] * self.rows[0] + gradient[:, 1:] * self.rows[1])

    def _symmetric_jacobian(self, rotations: Array, u: Array, v: Array, gain: Array) -> Array:
        """The same by the mean gradient of both images: they may be blurred differently.

        (Efficient second-order minimisation: Benhimane & Malis 2004.)
        """
        along = [self._seen_at(part, u, v, 0.0) for part in self.other_gradients]
        gradient = np.stack(along, axis=1)
        # The second image is turned against the first, mostly about the optical axis.
        back = (rotations[:, :2, :2] * gain[:, None, None]).swapaxes(1, 2).astype(np.float32)
        return self._jacobian((back @ gradient + self.gradient) * np.float32(0.5))

    def _equations(
        self, motions: Array, jacobian: Array, weights: Array, residual: Array, scale2: Array
    ) -> tuple[Array, Array]:
        """Normal matrices (k, 6, 6) and right sides (k, 6), depth of the blocks marginalised."""
        weighted = jacobian * weights[:, None]
        size = (1 / (scale2 * self.cells_per_sample)).astype(float)
        normal = (weighted @ jacobian.swapaxes(1, 2)) * size[:, None, None]
        vector = (weighted @ residual[:, :, None])[:, :, 0] * size[:, None]
        if self.finest:
            for k, motion in enumerate(motions):
                own = jacobian[k if len(jacobian) > 1 else 0]
                less, information_vector = self._lost_to_depth(
                    motion, own, weighted[k], residual[k], size[k]
                )
                normal[k] -= less
                vector[k] -= information_vector
        return normal, vector

    def _lost_to_depth(
        self, motion: Array, jacobian: Array, weighted: Array, residual: Array, size: float
    ) -> tuple[Array, Array]:
        """Return what unknown depth takes from a normal matrix (6, 6) and right side (6,)."""
        sums = self._depth_sums(motion, jacobian, weighted, residual) * size
        assert self.depth_information is not None
        information = self.depth_information + np.diag(sums[7])
        solved = np.linalg.solve(information, sums[:7].T)
        return sums[:6] @ solved[:, :6], sums[:6] @ solved[:, 6]

    def _depth_sums(
        self, motion: Array, jacobian: Array, weighted: Array, residual: Array
    ) -> Array:
        """(8, blocks) products of the slopes along each block's logarithm of inverse depth.

        With the Jacobian (6), the residual and the slopes themselves: J_d' W (J, r, J_d).
        """
        translation = motion[3:].astype(np.float32)
        slopes = np.empty((8, residual.size), np.float32)
        along = translation @ weighted[3:]
        np.multiply(jacobian, along, out=slopes[:6])
        np.multiply(residual, along, out=slopes[6])
        np.multiply(translation @ jacobian[3:], along, out=slopes[7])
        return self._block_sums(slopes)

    def told_of_depth(
        self, first: View, second: View, fits: Fits, best: int, belief: tuple[Array, Array]
    ) -> DepthTold | None:
        """Return what parallax, now and before, tells of the depth of the second view.

        Corrections stay with what the image shows; of those that left the view nothing is known.
        """
        settings = self.settings
        motion, size = fits.motions[best], 1 / (float(fits.scale2[best]) * self.cells_per_sample)
        jacobian = fits.jacobian[best if len(fits.jacobian) > 1 else 0]
        weighted = jacobian * fits.weights[best]
        sums = self._depth_sums(motion, jacobian, weighted, fits.residual[best]) * size
        assert self.depth_information is not None
        change = np.linalg.solve(self.depth_information + np.diag(sums[7]), sums[6])
        correction = change.reshape(settings.blocks)
        if first.told is not None:
            correction = correction + first.told.correction
        # Less what the motion may take for depth.
        normal = (weighted @ jacobian.T).astype(float) * size + belief[0]
        shared = sums[:6].T @ np.linalg.solve(normal, sums[:6])
        information = self.depth_information + np.diag(sums[7]) - shared
        if not _positive_definite(information):
            return None  # lost to rounding
        known = np.linalg.inv(information)
        memory = settings.depth_memory * float(fits.overlap[best])
        return DepthTold(
            memory * _turned(correction, first.camera, second.camera, motion[:3]),
            memory**2 * known + (1 - memory**2) * _depth_covariance(second, settings),
        )

    def _block_sums(self, values: Array) -> Array:
        """(k, blocks) sums over each block of values (k, n)."""
        rows, columns = _blocks(self.shape, self.settings.blocks)
        values = values.reshape(len(values), *self.shape)
        return np.asarray(rows @ (values @ columns)).reshape(len(values), -1).astype(float)

    def covariance(self, fits: Fits, best: int, belief: tuple[Array, Array]) -> Array:
        """(6, 6) covariance of one of the fits, of (theta, t).

        A vignette stands still whatever the camera does, so the slopes that it may make count for
        nothing.
        """
        own = slice(best, best + 1)
        jacobian = fits.jacobian[own] if len(fits.jacobian) > 1 else fits.jacobian
        normal, _ = self._equations(
            fits.motions[own],
            jacobian - self._jacobian(self._evenly(self.gradient)[None]),
            fits.weights[own],
            fits.residual[own],
            fits.scale2[own],
        )
        # In the prior's own units; rounding must not make the images tell less than nothing.
        to_prior = np.linalg.inv(np.linalg.cholesky(belief[0]))
        told, axes = np.linalg.eigh(to_prior @ normal[0] @ to_prior.T)
        root = to_prior.T @ axes / np.sqrt(1 + np.maximum(told, 0))
        return np.asarray(root @ root.T)

    def _agreement(self, residual: Array, weights: Array) -> Array:
        """(k,) correlation of what the images show, without brightness that changes evenly."""
        texture = self.values - self._evenly(self.values[None])[0]
        other = texture - residual + self._evenly(residual)
        size = (weights @ (texture * texture)) * np.einsum("kn,kn,kn->k", weights, other, other)
        found = ((weights * other) @ texture) / np.sqrt(size + np.float32(1e-6))
        return np.asarray(np.clip(found, 0, 1))

    def _evenly(self, values: Array) -> Array:
        """(k, n) the part of images (k, n) that a vignette may make, smooth over the whole
        image."""
        even = _even(self.shape)
        return np.asarray((values @ even.T) @ even)


def evidence_of(correlation: Array, overlap: Array, settings: RegistrationConfig) -> Array:
    """(k,) logarithm of the likelihood of motions under which two images correlate so (k,).

    `overlap` (k,) is the share of the view that is compared: a corner of it is soon alike.
    """
    unexplained = np.maximum(1 - correlation.astype(float) ** 2, 1e-4)
    return np.asarray(-settings.independent * overlap / 2 * np.log(unexplained))


def _moved(motions: Array, rotations: Array, steps: Array) -> Array:
    """Return motions (k, 6), each behind a small one (k, 6); both in the axes of the first
    camera."""
    moved = motions + steps
    for k, step in enumerate(steps):
        together = rotations[k] @ cv2.Rodrigues(-step[:3])[0]
        moved[k, :3] = -cv2.Rodrigues(together)[0][:, 0]
    return moved


def _shown(view: View, shape: tuple[int, ...], some: slice) -> Array:
    """(n or 1,) share of each compared pixel that shows the scene."""
    if view.shown is None:
        return np.ones(1, np.float32)
    return resized(view.shown.astype(np.float32), shape)[some, some].reshape(-1)


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


def _positive_definite(matrix: Array) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _depth_information(view: View, settings: RegistrationConfig) -> Array:
    """(blocks, blocks) inverse covariance of the errors of the logarithm of a view's depth."""
    told = view.told
    covariance = _depth_covariance(view, settings) if told is None else told.covariance
    return np.asarray(np.linalg.inv(covariance))


def _depth_covariance(view: View, settings: RegistrationConfig) -> Array:
    """(blocks, blocks) covariance of the same before any parallax told of it."""
    std = settings.depth_share * view.sigma_log_depth.ravel()
    alike = _depth_correlation(settings.blocks, settings.depth_tilt, settings.depth_reach)
    return np.asarray(alike * np.outer(std, std))


@lru_cache(maxsize=16)
def _depth_correlation(blocks: tuple[int, int], tilt: float, reach: float) -> Array:
    """(blocks, blocks) correlation of the errors of the logarithm of depth."""
    rows, columns = blocks
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) + 0.5
    x, y = 2 * x / columns - 1, 2 * y / rows - 1
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    slopes = 1.5 * (np.outer(x, x) + np.outer(y, y))
    return np.asarray(tilt * slopes + (1 - tilt) * np.exp(-apart / reach))


def _turned(values: Array, first: Camera, second: Camera, rotation: Array) -> Array:
    """(rows, columns) values of blocks of the first image where the second one sees them, else
    0."""
    rows, columns = values.shape
    before = sized(first, columns, rows).matrix
    after = sized(second, columns, rows).matrix
    way = after @ cv2.Rodrigues(-rotation)[0] @ np.linalg.inv(before)
    return np.asarray(cv2.warpPerspective(values, way, (columns, rows)))
