"""Two successive images -> the mean velocity of the camera between them.

The second image is rebuilt from the first: its rays turn by the exact rotation and its points, at the
depth that the network read, move by the translation. The difference is made small by robust
Gauss-Newton steps over an image pyramid, from several starts at once: frames of a fast camera lie
farther apart than registration reaches from rest, so the start is what the blur says.

Errors of the network's depth are the largest ones, and they are alike over large parts of the image.
So the logarithm of depth of every block of the image is an unknown with a prior of its own, which is
marginalised in every step (the Schur complement of bundle adjustment): parallax corrects depth where
it can, and what it cannot correct widens the covariance.

Signs are those of `motion_field`: P moves by -t - theta x P while the camera moves by (theta, t).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import half_angle, motion_rows
from blur_imu_ros.core.velocity import VelocityPrior

_OUTSIDE, _UNSEEN = -1e9, -1e4
"""Grey level of what lies outside an image, and below which a pixel takes part of it: the smallest
share that OpenCV's interpolation knows is 1/1024."""
AMBIGUOUS = "another motion explains the two images as well"
_NEAREST = np.float32(1e-2)
"""Smallest depth of a point seen from the second camera, as a share of its depth before."""
_LARGEST_ROTATION = 1.2
"""Radians between two images, beyond which a start cannot share a view with the first."""
_LARGEST_INVERSE_DEPTH = 20.0
_TAPS = 9
"""Places along a motion blur whose mean stands for it."""


@dataclass(frozen=True, kw_only=True)
class RegistrationConfig:
    """How two images are registered.

    Attributes:
        width: of the finest level of the pyramid, pixels.
        levels: of the pyramid.
        shrink: how much narrower each is than the one below.
        blur: Gaussian blur of the finest level, its pixels.
        spacing: of the pixels that are compared at each level, finest first.
        passes: of Gauss-Newton steps: the level, the finest being 0, and how many at most; after
            each only the best motions go on.
        settled_px: movement of the image, in pixels of the level, at which they end.
        survivors: how many motions go on after each pass, at most.
        hopeless: evidence, in nats, by which one may lag behind the best and go on.
        distinct_px: motions that move the image less apart than this, in pixels of the finest level,
            are one.
        degrees: of freedom of the Student-t distribution of residuals.
        noise: standard deviation of a pixel's difference, grey levels.
        slack_px: the same for its place, pixels of the finest level; keeps edges from being taken for
            outliers.
        correlation_px: side of the square of the finest level whose residuals are one error.
        angular_std, linear_std: of the zero-mean prior on each axis, rad/s and m/s.
        blocks: rows and columns of blocks of the image whose depth is wrong together.
        depth_share: standard deviation of their logarithm of depth, as a share of the network's.
        depth_tilt: share of that variance which grows linearly over the image.
        depth_reach: correlation length of the rest, as a share of half the image.
        depth_memory: share of what parallax told of depth that holds until the next image.
        depth_scale_std: relative error of depth of the whole image; no parallax tells it from v.
        unknown_depth, unknown_depth_std: metres, and of its logarithm, where there is no field.
        angular_share, linear_share: standard deviation of each axis as a share of the speed:
            calibration and motion that changes in between; depth that no block describes.
        angular_floor, linear_floor: the same of a camera at rest, rad/s and m/s.
        alike: correlation below which each image is blurred as the other one is, and both are registered
            once more: images blurred along different directions have few edges in common.
        chance_quality: correlation that the best of the wrong motions reaches; one of this is as
            likely wrong as right.
        independent: number of parts of an image that agree or not by themselves.
        angular_miss, linear_miss: errors of a wrong motion, rad/s and m/s.
        smallest_overlap, smallest_quality, largest_ambiguity: beyond these a pair is not valid.
        longest_gap: seconds between two images that are registered.
    """

    width: int = 160
    levels: int = 2
    shrink: int = 5
    blur: float = 1.0
    spacing: tuple[int, ...] = (3, 1)
    passes: tuple[tuple[int, int], ...] = ((1, 3), (1, 4), (0, 3))
    settled_px: float = 0.03
    survivors: int = 2
    hopeless: float = 6.0
    distinct_px: float = 1.5
    degrees: float = 3.0
    noise: float = 1.0
    slack_px: float = 0.3
    correlation_px: float = 17.0
    angular_std: float = 20.0
    linear_std: float = 2.0
    blocks: tuple[int, int] = (6, 8)
    depth_share: float = 0.8
    depth_tilt: float = 0.5
    depth_reach: float = 0.3
    depth_memory: float = 0.9
    depth_scale_std: float = 0.3
    unknown_depth: float = 3.0
    unknown_depth_std: float = 1.0
    angular_share: float = 0.02
    linear_share: float = 0.2
    angular_floor: float = 0.03
    linear_floor: float = 0.03
    alike: float = 0.95
    chance_quality: float = 0.8
    independent: float = 7.5
    angular_miss: float = 5.0
    linear_miss: float = 2.0
    smallest_overlap: float = 0.3
    smallest_quality: float = 0.8
    largest_ambiguity: float = 0.5
    longest_gap: float = 0.5


@dataclass(frozen=True)
class DepthTold:
    """What parallax told of depth.

    Attributes:
        correction: (rows, columns) of each block, what to add to the logarithm of the inverse depth
            that the network read.
        covariance: (blocks, blocks) of the errors that are left.
    """

    correction: Array
    covariance: Array


@dataclass(frozen=True)
class View:
    """What registration keeps of a frame.

    Attributes:
        t: middle of the exposure, seconds.
        camera: pinhole of the finest level.
        levels: pyramid of float32 grey images, the finest first.
        inverse_depth: (h, w) float32 of the finest level, 1/m.
        sigma_log_depth: (rows, columns) float32 of each block, standard deviation of the logarithm.
        gradients: of each level, (2, h, w) along x and y, grey levels per pixel.
        blur: (rows, columns, 2) double-angle field of motion blur, pixels of the finest level; None
            where it is not known.
        told: what the parallax of the views before told of `inverse_depth`, in which it is; None
            where there were none.
    """

    t: float
    camera: Camera
    levels: tuple[Array, ...]
    inverse_depth: Array
    sigma_log_depth: Array
    gradients: tuple[Array, ...]
    blur: Array | None
    told: DepthTold | None = None


@dataclass(frozen=True)
class Registration:
    """The mean velocity between two mid-exposures.

    Attributes:
        t0, t1: mid-exposures, seconds.
        velocity: (6,) angular (rad/s) and linear (m/s) velocity of the camera body, in its own axes
            at the middle of the interval.
        covariance: (6, 6), positive definite.
        quality: correlation of the two images once they are registered, 0 to 1.
        overlap: share of the view that both images see.
        ambiguity: probability that another motion, far from this one, is the right one.
        valid: whether the velocity may be used.
        reasons: why not, each a short phrase; empty when valid.
        shared_covariance: (6, 6) that part of `covariance` which other pairs of the same scene and
            model share: the errors of depth.
        depth: what parallax told of the depth of the second view, for `Registrar.corrected`; None
            where it told nothing.
        miss: standard deviation of a wrong motion, rad/s and m/s: its share in `covariance` is as
            large as the ambiguity.
    """

    t0: float
    t1: float
    velocity: Array
    covariance: Array
    quality: float
    overlap: float
    ambiguity: float
    valid: bool
    reasons: tuple[str, ...]
    shared_covariance: Array
    depth: DepthTold | None = None
    miss: tuple[float, float] = (5.0, 2.0)

    @property
    def only_ambiguous(self) -> bool:
        """Whether it is not valid for its ambiguity alone."""
        return self.reasons == (AMBIGUOUS,)

    def resolved(self, ambiguity: float) -> Registration:
        """Return the same, with the ambiguity that is left when more is known."""
        change = (ambiguity - self.ambiguity) * np.repeat(np.square(self.miss), 3)
        covariance = self.covariance + np.diag(change)
        return replace(self, ambiguity=ambiguity, covariance=covariance)


class Registrar:
    """Registers views of frames on each other."""

    def __init__(self, settings: RegistrationConfig | None = None) -> None:
        """Use `settings`, or the defaults."""
        self.settings = settings or RegistrationConfig()

    def view(
        self,
        image: Image,
        field: BlurField | None,
        t: float,
        camera: Camera | None = None,
    ) -> View:
        """Return what `register` needs of a frame.

        Args:
            image: the network's view, BGR or grey.
            field: what the network read; None where it could not: then depth is a guess.
            t: middle of the exposure, seconds.
            camera: pinhole of `image`; needed only without a field.
        """
        pinhole = field.camera if field is not None else camera
        assert pinhole is not None, "a view needs a field or a camera"
        settings = self.settings
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        width = min(settings.width, pinhole.width)
        height = max(8, round(width * pinhole.height / pinhole.width))
        small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        levels = _pyramid(small.astype(np.float32), settings)
        blur = None
        if field is None:
            depth = np.full((height, width), 1 / settings.unknown_depth, np.float32)
            sigma = np.full(settings.blocks, settings.unknown_depth_std, np.float32)
        else:
            depth = _resized(
                _finite(field.inverse_depth, 1 / settings.unknown_depth), (height, width)
            )
            sigma = _resized(
                _finite(field.sigma_log_depth, settings.unknown_depth_std), settings.blocks
            )
            blur = _finite(field.q, 0.0) * np.float32(width / pinhole.width)
        depth = np.clip(depth, 0, _LARGEST_INVERSE_DEPTH)
        gradients = tuple(_gradients(level) for level in levels)
        return View(t, _sized(pinhole, width, height), levels, depth, sigma, gradients, blur)

    def corrected(self, view: View, registration: Registration) -> View:
        """Return the second view of a registration with the depth that parallax corrected.

        The next registration may begin with it, or with the view as it was, which forgets.
        """
        told = registration.depth
        if told is None:
            return view
        shape = view.inverse_depth.shape
        factor = np.exp(_resized(told.correction.astype(np.float32), shape))
        return replace(view, inverse_depth=view.inverse_depth * factor, told=told)

    def register(
        self, first: View, second: View, starts: Array, prior: VelocityPrior | None = None
    ) -> Registration:
        """Return the mean velocity between two views.

        Args:
            first, second: in order of time.
            starts: (k, 6) velocities to start from, rad/s and m/s; rest is always tried as well.
            prior: what is known beforehand of the velocity, in the axes of the result, on top of
                the prior of the settings.
        """
        dt = second.t - first.t
        if not 0 < dt <= self.settings.longest_gap:
            return self._blind(first, second, f"{dt:.3g} s lie between the two images")
        level = _Level(first, second, self.settings.passes[0][0], self.settings)
        motions = self._starts(level, np.asarray(starts, float).reshape(-1, 6) * dt)
        if np.ptp(first.levels[0]) < 1:
            return self._blind(first, second, "the image shows nothing")
        if np.array_equal(first.levels[0], second.levels[0]):
            return self._repeated(first, second, motions / dt)
        settled = False
        for number, steps in self.settings.passes:
            if level.number != number:
                level = _Level(first, second, number, self.settings)
            elif settled and len(motions) == 1:
                continue
            belief = self._belief(prior, dt, motions[0])
            fits = level.refined(motions, steps, belief)
            settled = fits.settled
            kept = self._kept(level, fits)
            motions = fits.motions[kept]
        if fits.correlation[kept[0]] < self.settings.alike and first.blur is not None:
            level = _Level(*_alike(first, second), level.number, self.settings)
            fits = level.refined(motions, steps, belief)
            kept = self._kept(level, fits)
        return self._registration(first, second, level, fits, kept, belief)

    def _belief(self, prior: VelocityPrior | None, dt: float, motion: Array) -> tuple[Array, Array]:
        """Information matrix and vector of the prior, of (theta, t), next to a motion."""
        settings = self.settings
        std = np.array([settings.angular_std] * 3 + [settings.linear_std] * 3) * dt
        information: Array = np.diag(std**-2.0)
        vector: Array = np.zeros(6)
        if prior is not None:
            to_middle = np.kron(np.eye(2), _half_rotation(motion[:3]).T) / dt
            information = information + to_middle.T @ prior.information @ to_middle
            vector = to_middle.T @ prior.information @ prior.mean
        return information, vector

    def _starts(self, level: _Level, starts: Array) -> Array:
        """(k, 6) motions to start from, the same ones only once."""
        possible = np.linalg.norm(starts[:, :3], axis=1) < _LARGEST_ROTATION
        motions = np.vstack([np.zeros(6), starts[possible]])
        apart = level.apart(motions[:, None], motions) > self.settings.distinct_px
        kept: list[int] = []
        for k in range(len(motions)):
            if apart[k, kept].all():
                kept.append(k)
        return motions[kept]

    def _kept(self, level: _Level, fits: _Fits) -> Array:
        """Return which motions go on: the best, and the best of those far from it."""
        settings, order = self.settings, np.argsort(-fits.evidence)
        kept = order[:1]
        for k in order[1:]:
            if len(kept) == settings.survivors or (
                fits.evidence[k] < fits.evidence[kept[0]] - settings.hopeless
            ):
                break
            if level.apart(fits.motions[k], fits.motions[kept]).min() > settings.distinct_px:
                kept = np.append(kept, k)
        return kept

    def _registration(
        self,
        first: View,
        second: View,
        level: _Level,
        fits: _Fits,
        kept: Array,
        belief: tuple[Array, Array],
    ) -> Registration:
        settings, dt, best = self.settings, second.t - first.t, int(kept[0])
        chance = _evidence(np.array([settings.chance_quality]), settings)
        rivals = np.append(fits.evidence[kept[1:]], chance)
        ambiguity = 1 - 1 / (1 + float(np.sum(np.exp(rivals - fits.evidence[best]))))
        motion = fits.motions[best]
        to_middle = np.kron(np.eye(2), _half_rotation(motion[:3]).T) / dt
        velocity = to_middle @ motion
        shared = shared_covariance(velocity, settings)
        covariance = (
            to_middle @ level.covariance(fits, best, belief) @ to_middle.T
            + np.diag(_unmodelled(velocity, settings))
            + ambiguity * np.diag(_spread(settings))
            + shared
        )
        quality, overlap = float(fits.correlation[best]), float(fits.overlap[best])
        reasons = []
        if quality < settings.smallest_quality:
            reasons.append(f"the two images agree to {quality:.2f} only")
        if overlap < settings.smallest_overlap:
            reasons.append(f"the two images share {100 * overlap:.0f} % of the view only")
        if ambiguity > settings.largest_ambiguity:
            reasons.append(AMBIGUOUS)
        return Registration(
            first.t,
            second.t,
            velocity,
            covariance,
            quality,
            overlap,
            ambiguity,
            not reasons,
            tuple(reasons),
            shared,
            None if reasons else level.told_of_depth(first, second, fits, best, belief),
            (settings.angular_miss, settings.linear_miss),
        )

    def _blind(self, first: View, second: View, reason: str) -> Registration:
        """Return the prior, not valid."""
        settings = self.settings
        std = np.array([settings.angular_std] * 3 + [settings.linear_std] * 3)
        return Registration(
            first.t,
            second.t,
            np.zeros(6),
            np.diag(std**2),
            0.0,
            0.0,
            0.5,
            False,
            (reason,),
            np.zeros((6, 6)),
        )

    def _repeated(self, first: View, second: View, starts: Array) -> Registration:
        """Return what is known from the same image twice: rest, unless something says motion."""
        settings = self.settings
        covariance = np.diag(_unmodelled(np.zeros(6), settings)) + starts.T @ starts
        reasons = ("the same image twice",) if len(starts) > 1 else ()
        return Registration(
            first.t,
            second.t,
            np.zeros(6),
            covariance,
            1.0,
            1.0,
            0.0 if not reasons else 0.5,
            not reasons,
            reasons,
            np.zeros((6, 6)),
        )


@dataclass(frozen=True)
class _Fits:
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


class _Level:
    """One level of the pyramid of two views, with the pixels of the first that are compared."""

    def __init__(
        self, first: View, second: View, number: int, settings: RegistrationConfig
    ) -> None:
        self.settings, self.number = settings, number
        self.finest = number == 0
        image, self.other = first.levels[number], second.levels[number]
        self.other_gradients = second.gradients[number]
        camera = _sized(first.camera, *image.shape[::-1])
        self.matrix = _sized(second.camera, *self.other.shape[::-1]).matrix
        spacing = settings.spacing[number]
        some = slice(spacing // 2, None, spacing)
        depth = _resized(first.inverse_depth, image.shape)[some, some]
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
        self.redundancy = max(1.0, settings.correlation_px / scale / spacing) ** 2
        self.moments = np.stack([np.ones_like(self.values), self.values, self.values**2], axis=1)
        self.depth_information = _depth_information(first, settings) if self.finest else None
        rows = self.rows.reshape(2, 6, -1)
        self.metric = (rows @ rows.swapaxes(1, 2)).sum(axis=0).astype(float)
        self.metric *= scale**2 / self.values.size

    def apart(self, motion: Array, others: Array) -> Array:
        """(...) how differently motions (..., 6) move the image, RMS pixels of the finest level."""
        difference = others - motion
        squared = np.einsum("...i,ij,...j->...", difference, self.metric, difference)
        return np.asarray(np.sqrt(np.maximum(squared, 0)))

    def refined(self, motions: Array, most: int, belief: tuple[Array, Array]) -> _Fits:
        """Follow k motions (k, 6) down to the nearest minimum of their residuals."""
        symmetric = len(motions) <= self.settings.survivors
        jacobian = self._jacobian(self.gradient[None])
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
        evidence = _evidence(correlation, self.settings)
        return _Fits(
            motions, jacobian, weights, residual, scale2, overlap, correlation, evidence, settled
        )

    def _places(self, motions: Array) -> tuple[Array, Array, Array]:
        """Rotations (k, 3, 3) of points, and where in the second image they fall, (k, n) each."""
        rotations = np.stack([cv2.Rodrigues(-motion[:3])[0] for motion in motions])
        shifts = -(rotations @ motions[:, 3:, None])
        projections = (self.matrix @ np.concatenate([rotations, shifts], axis=2)).astype(np.float32)
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
        seen = (found > _UNSEEN).astype(np.float32)
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
        size = (1 / (scale2 * self.redundancy)).astype(float)
        normal = (weighted @ jacobian.swapaxes(1, 2)) * size[:, None, None]
        vector = (weighted @ residual[:, :, None])[:, :, 0] * size[:, None]
        if self.finest:
            for k, motion in enumerate(motions):
                own = jacobian[k if len(jacobian) > 1 else 0]
                less, pull = self._lost_to_depth(motion, own, weighted[k], residual[k], size[k])
                normal[k] -= less
                vector[k] -= pull
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
        self, first: View, second: View, fits: _Fits, best: int, belief: tuple[Array, Array]
    ) -> DepthTold | None:
        """Return what parallax, now and before, tells of the depth of the second view.

        Corrections stay with what the image shows; of those that left the view nothing is known.
        """
        settings = self.settings
        motion, size = fits.motions[best], 1 / (float(fits.scale2[best]) * self.redundancy)
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

    def covariance(self, fits: _Fits, best: int, belief: tuple[Array, Array]) -> Array:
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
        """(k, n) the part of images (k, n) that a vignette may make, smooth over the whole image."""
        even = _even(self.shape)
        return np.asarray((values @ even.T) @ even)


def _evidence(correlation: Array, settings: RegistrationConfig) -> Array:
    """(k,) logarithm of the likelihood of motions under which two images correlate so (k,)."""
    unexplained = np.maximum(1 - correlation.astype(float) ** 2, 1e-4)
    return np.asarray(-settings.independent / 2 * np.log(unexplained))


def _unmodelled(velocity: Array, settings: RegistrationConfig) -> Array:
    """(6,) variance of a velocity that no residual tells."""
    angular = settings.angular_share * np.linalg.norm(velocity[:3])
    return np.repeat([settings.angular_floor**2 + angular**2, settings.linear_floor**2], 3)


def shared_covariance(velocity: Array, settings: RegistrationConfig) -> Array:
    """(6, 6) covariance of a velocity (6,) that all pairs of a scene share: depth that is wrong.

    The scale of depth errs along the velocity, its pattern in any direction.
    """
    linear = np.concatenate([np.zeros(3), velocity[3:]])
    pattern = settings.linear_share**2 * float(linear @ linear)
    scale = settings.depth_scale_std**2 * np.outer(linear, linear)
    return np.asarray(scale + np.diag(np.repeat([0.0, pattern], 3)))


def _spread(settings: RegistrationConfig) -> Array:
    """(6,) variance of a wrong motion."""
    return np.array([settings.angular_miss] * 3 + [settings.linear_miss] * 3) ** 2


def _pyramid(image: Array, settings: RegistrationConfig) -> tuple[Array, ...]:
    """Return the blurred image, and smaller ones blurred again."""
    levels = [cv2.GaussianBlur(image, (0, 0), settings.blur)]
    for _ in range(1, settings.levels):
        size = [max(8, side // settings.shrink) for side in levels[-1].shape[::-1]]
        small = cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)
        levels.append(cv2.GaussianBlur(small, (0, 0), 0.8 * settings.blur))
    return tuple(levels)


def _alike(first: View, second: View) -> tuple[View, View]:
    """Return the finest levels of two views, each blurred as the other one is as well."""
    return _blurred(first, second.blur), _blurred(second, first.blur)


def _blurred(view: View, blur: Array | None) -> View:
    """Return a view whose finest level is blurred along a double-angle field (rows, columns, 2)."""
    if blur is None:
        return view
    image = view.levels[0]
    motion = half_angle(cv2.resize(blur, image.shape[::-1])).astype(np.float32)
    v, u = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    taps = np.linspace(-0.5, 0.5, _TAPS, dtype=np.float32)
    total = sum(
        cv2.remap(
            image,
            u + tap * motion[..., 0],
            v + tap * motion[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for tap in taps
    )
    blurred = np.asarray(total) / np.float32(_TAPS)
    return replace(
        view,
        levels=(blurred, *view.levels[1:]),
        gradients=(_gradients(blurred), *view.gradients[1:]),
    )


def _gradients(image: Array) -> Array:
    """(2, h, w) slopes along x and y, grey levels per pixel."""
    return np.stack(
        [cv2.Sobel(image, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1))]
    )


def _resized(image: Array, shape: tuple[int, ...]) -> Array:
    if image.shape == tuple(shape):
        return image
    smaller = shape[1] < image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=method))


def _finite(values: Array, otherwise: float) -> Array:
    """Return float32 values, those that are no numbers replaced."""
    return np.where(np.isfinite(values), values, otherwise).astype(np.float32)


def _half_rotation(rotation: Array) -> Array:
    """(3, 3) rotation of the camera from the first image to the middle, from a rotation vector."""
    return np.asarray(cv2.Rodrigues(rotation / 2)[0])


def _moved(motions: Array, rotations: Array, steps: Array) -> Array:
    """Return motions (k, 6), each behind a small one (k, 6); both in the axes of the first camera."""
    moved = motions + steps
    for k, step in enumerate(steps):
        together = rotations[k] @ cv2.Rodrigues(-step[:3])[0]
        moved[k, :3] = -cv2.Rodrigues(together)[0][:, 0]
    return moved


@lru_cache(maxsize=64)
def _sized(camera: Camera, width: int, height: int) -> Camera:
    return camera.resized(width, height)


@lru_cache(maxsize=16)
def _geometry(camera: Camera, spacing: int) -> tuple[Array, Array]:
    """Rays (3, n) of every `spacing`-th pixel and row, and rows (2, 6, n) of their motion at 1 m."""
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
    """Which rows and columns of pixels belong to which block: (rows, h) and (w, columns) of 0, 1."""
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
    """(rows, columns) values of blocks of the first image where the second one sees them, else 0."""
    rows, columns = values.shape
    before = _sized(first, columns, rows).matrix
    after = _sized(second, columns, rows).matrix
    way = after @ cv2.Rodrigues(-rotation)[0] @ np.linalg.inv(before)
    return np.asarray(cv2.warpPerspective(values, way, (columns, rows)))
