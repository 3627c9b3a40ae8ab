"""Two successive images -> the mean velocity of the camera between them.

The second image is rebuilt from the first: its rays turn by the exact rotation and its points, at
the depth that the network read, move by the translation. The difference is made small by robust
Gauss-Newton steps over an image pyramid, from several starts at once: frames of a fast camera lie
farther apart than registration reaches from rest, so the start is what the blur says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.registration_level import Fits, Level, evidence_of
from blur_imu_ros.core.registration_view import (
    DepthTold,
    RegistrationConfig,
    View,
    blurred_alike,
    corrected,
    view_of,
    without_bands,
)
from blur_imu_ros.core.small_systems import added

__all__ = [
    "AMBIGUOUS",
    "REPEATED",
    "DepthTold",
    "Registrar",
    "Registration",
    "RegistrationConfig",
    "View",
    "shared_covariance",
]

AMBIGUOUS = "another motion explains the two images equally well"
REPEATED = "the same image twice"
_LARGEST_ROTATION = 1.2
"""Radians between two images, beyond which a start cannot share a view with the first."""
_FIRST = np.array([0])
"""Which of some motions is kept where there is one."""


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

    def rejected(self, reason: str) -> Registration:
        """Return the same, marked as not to be used."""
        return replace(self, valid=False, reasons=(*self.reasons, reason), depth=None)

    def covariance_at(self, ambiguity: float) -> Array:
        """(6, 6) covariance with the ambiguity that is left when more is known."""
        change = ambiguity - self.ambiguity
        angular, linear = self.miss
        return added(
            self.covariance, np.array([change * angular**2] * 3 + [change * linear**2] * 3)
        )


@dataclass(frozen=True)
class _Found:
    """The best motion between two views.

    Attributes:
        level: of the details of the finest one.
        fits: of the motion there.
        correlation, overlap: of all that the two images show.
        rivals: (k, 6) other motions.
        prior: (6, 6) information of the zero-mean prior that the fit holds.
        covariance: (6, 6) of its motion.
        ambiguity: probability that one of the others is the right one.
        banded: share of the residuals in the means of rows, less twice that in those of columns; 0
            where the images agree so well that bands do no harm.
    """

    level: Level
    fits: Fits
    correlation: float
    overlap: float
    rivals: Array
    prior: Array
    covariance: Array
    ambiguity: float
    banded: float

    @property
    def evidence(self) -> float:
        """Logarithm of the likelihood of its motion."""
        correlation, overlap = np.array(self.correlation), np.array(self.overlap)
        return float(evidence_of(correlation, overlap, self.level.settings))

    def doubted(self, times: float) -> _Found:
        """Return the same where the odds of a wrong motion are so many times as large."""
        odds = times * self.ambiguity
        return replace(self, ambiguity=odds / (1 - self.ambiguity + odds))


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
        return view_of(image, field, t, camera, self.settings)

    def corrected(self, view: View, registration: Registration) -> View:
        """Return the second view of a registration with the depth that parallax corrected.

        The next registration may begin with it, or with the view as it was, which forgets.
        """
        return view if registration.depth is None else corrected(view, registration.depth)

    def register(self, first: View, second: View, starts: Array) -> Registration:
        """Return the mean velocity between two views.

        Args:
            first, second: in order of time.
            starts: (k, 6) velocities to start from, rad/s and m/s; rest is always tried as well.
        """
        dt = second.t - first.t
        if not 0 < dt <= self.settings.longest_gap:
            return self._blind(first, second, f"{dt:.3g} s lie between the two images")
        level = self._coarsest(first, second)
        motions = self._starts(level, np.asarray(starts, float).reshape(-1, 6) * dt)
        if all(np.ptp(image) < 1 for image in reversed(first.levels)):
            return self._blind(first, second, "the image shows no texture")
        pairs = zip(reversed(first.levels), reversed(second.levels), strict=True)
        if all(np.array_equal(*pair) for pair in pairs):  # the smallest ones first
            return self._repeated(first, second, motions / dt)
        found = self._followed(first, second, level, motions)
        if self._may_be_banded(found):
            views, coarse, other = self._unbanded(first, second, motions)
            if other.correlation > found.correlation and other.ambiguity < found.ambiguity:
                (first, second), level, found = views, coarse, other
        if found.ambiguity > self.settings.search_above:
            searched = self._searched(level, dt)
            motions = np.concatenate([found.fits.motions, found.rivals, searched])
            found = self._followed(first, second, level, motions).doubted(
                self.settings.search_doubt
            )
        if first.depth_changed(self.settings) > self.settings.depth_changed:
            contradiction = self._contradiction(found, first.as_read, second)
            if contradiction is not None:
                first, found = first.as_read, contradiction
        return self._registration(first, second, found)

    def _followed(self, first: View, second: View, coarse: Level, motions: Array) -> _Found:
        """Return the best of motions (k, 6), each followed down from the coarsest level."""
        settings, dt = self.settings, second.t - first.t
        prior = self._prior(dt, motions[0])
        level, detailed = self._finest(first, second, coarse.metric)
        for steps in settings.coarse_steps:
            fits = coarse.refined(motions, steps, prior)
            motions = fits.motions[self._kept(coarse, fits)]
            prior = self._prior(dt, motions[0])
            if len(motions) == 1:
                refined = detailed.refined(motions, settings.steps, prior)
                fits = level.fitting(refined)
                near = level.apart(refined.motions[0], motions[0]) < settings.details_reach
                if near and fits.correlation[0] > settings.clear:
                    return self._found(detailed, refined, fits, prior, dt)
        fits = level.refined(motions, settings.steps, prior)
        kept = self._kept(level, fits)
        if fits.correlation[kept[0]] < settings.alike and first.blur is not None:
            first, second = blurred_alike(first, second, settings)
            level, detailed = self._finest(first, second, coarse.metric)
            fits = level.refined(fits.motions[kept], settings.steps, prior)
            kept = self._kept(level, fits)
        best = fits.motions[kept[:1]]
        detailed = detailed.trusting(level, fits, int(kept[0]))
        refined = detailed.refined(best, settings.steps, prior)
        if level.apart(refined.motions[0], best[0]) > settings.details_reach:
            detailed, refined = level, fits.only(int(kept[0]))
        return self._found(detailed, refined, fits, prior, dt, kept)

    def _finest(
        self, first: View, second: View, metric: Array | None = None
    ) -> tuple[Level, Level]:
        """Return the finest level of two views, and that of their details."""
        level = Level(first, second, 0, self.settings, metric)
        return level, level.detailed(first, second)

    def _contradiction(self, found: _Found, first: View, second: View) -> _Found | None:
        """Return the motion next to the one found, with `first` as the network read its depth, if
        that disproves the corrected depth; else None.

        Corrections by a wrong motion lead the next pair to the same wrong motion, which corrects in
        the same way again: they agree better and better with each other, and not with the depth
        that was read anew.
        """
        settings, dt, motion = self.settings, second.t - first.t, found.fits.motions
        prior = self._prior(dt, motion[0])
        level, detailed = self._finest(first, second)
        near = level.refined(motion, settings.steps, prior).motions
        refined = detailed.refined(near, settings.steps, prior)
        apart = motion[0] - refined.motions[0]
        # Most of them are near each other, and that is soon seen.
        if detailed.farthest(apart, refined, prior) <= settings.depth_contradicted:
            return None
        read = self._found(detailed, refined, level.fitting(refined), prior, dt)
        apart2 = float(apart @ np.linalg.solve(read.covariance, apart))
        behind = found.evidence - read.evidence
        disproved = apart2 > settings.depth_contradicted and behind < settings.hopeless
        return read if disproved else None

    def _found(
        self,
        level: Level,
        refined: Fits,
        fits: Fits,
        prior: Array,
        dt: float,
        kept: Array = _FIRST,
    ) -> _Found:
        """Return the best of the motions `kept` of `fits`, which was refined on details.

        How well the images agree, and whether another motion is as good, is seen better with all
        that they show.
        """
        settings, best, rivals = self.settings, kept[0], kept[1:]
        turning = _length(refined.motions[0, :3])
        may_be = math.hypot(settings.still_std * dt, settings.lever * turning)
        covariance = level.covariance(refined, prior, may_be)
        if len(rivals):
            apart = fits.motions[rivals] - refined.motions[0]
            apart2 = (apart * np.linalg.solve(covariance, apart.T).T).sum(axis=1)
            rivals = rivals[apart2 > settings.distinct_sigmas**2]
        chance = evidence_of(np.array([settings.chance_quality]), fits.overlap[best], settings)
        others = np.concatenate([fits.evidence[rivals], chance])
        ambiguity = 1 - 1 / (1 + float(np.exp(others - fits.evidence[best]).sum()))
        correlation = float(fits.correlation[best])
        banded = level.banded(fits.residual[best]) if correlation < settings.unbanded else 0.0
        return _Found(
            level=level,
            fits=refined,
            correlation=correlation,
            overlap=float(fits.overlap[best]),
            rivals=fits.motions[rivals],
            prior=prior,
            covariance=covariance,
            ambiguity=ambiguity,
            banded=banded,
        )

    def _may_be_banded(self, found: _Found) -> bool:
        """Whether two views may agree better without bands of mains light."""
        settings = self.settings
        rows = found.banded > settings.banded and found.correlation < settings.unbanded
        return rows or found.correlation < settings.alike

    def _unbanded(
        self, first: View, second: View, motions: Array
    ) -> tuple[tuple[View, View], Level, _Found]:
        """Return views without bands of mains light, their coarsest level, and what is found."""
        views = without_bands(first, self.settings), without_bands(second, self.settings)
        coarse = self._coarsest(*views)
        return views, coarse, self._followed(*views, coarse, motions)

    def _coarsest(self, first: View, second: View) -> Level:
        return Level(first, second, self.settings.levels - 1, self.settings)

    def _searched(self, level: Level, dt: float) -> Array:
        """(k, 6) the likeliest of rotations about all axes: no start led to the other image."""
        settings = self.settings
        rotations = _rotations_of_search(level.camera.fx, level.camera.width, settings)
        fits = level.refined(rotations, 1, self._prior(dt, rotations[0]))
        return fits.motions[self._kept(level, fits, settings.searched)]

    def _prior(self, dt: float, motion: Array) -> Array:
        """(6, 6) information of the zero-mean prior of (theta, t), next to a motion."""
        settings = self.settings
        linear = math.hypot(settings.linear_std * dt, settings.sway * _length(motion[:3]))
        angular = settings.angular_std * dt
        return np.asarray(angular**-2.0 * _ROTATION + linear**-2.0 * _TRANSLATION)

    def _starts(self, level: Level, starts: Array) -> Array:
        """(k, 6) motions to start from, the same ones only once."""
        possible = np.square(starts[:, :3]).sum(axis=1) < _LARGEST_ROTATION**2
        motions = np.concatenate([np.zeros((1, 6)), starts[possible]])
        return np.asarray(motions[self._distinct(level, motions, len(motions))])

    def _kept(self, level: Level, fits: Fits, most: int | None = None) -> Array:
        """Return which motions go on: the best, and the best of those far from it."""
        settings, order = self.settings, (-fits.evidence).argsort()
        likely = order[fits.evidence[order] >= fits.evidence[order[0]] - settings.hopeless]
        distinct = self._distinct(level, fits.motions[likely], most or settings.survivors)
        return np.asarray(likely[distinct])

    def _distinct(self, level: Level, motions: Array, most: int) -> list[int]:
        """Return which motions (k, 6) are not alike: the first, and those far from all before."""
        apart = (level.apart(motions[:, None], motions) > self.settings.distinct_px).tolist()
        kept: list[int] = []
        for k, row in enumerate(apart):
            if len(kept) < most and all(row[other] for other in kept):
                kept.append(k)
        return kept

    def _registration(self, first: View, second: View, found: _Found) -> Registration:
        settings, dt = self.settings, second.t - first.t
        level, fits, ambiguity = found.level, found.fits, found.ambiguity
        motion = fits.motions[0]
        to_middle = _to_middle(motion[:3]) / dt
        velocity = to_middle @ motion
        shared = shared_covariance(velocity, settings, second.nearness)
        covariance = added(
            to_middle @ found.covariance @ to_middle.T + shared,
            _unmodelled(velocity, settings) + ambiguity * _spread(settings),
        )
        quality, overlap = found.correlation, found.overlap
        reasons = []
        if quality < settings.smallest_quality:
            reasons.append(f"the two images agree to {quality:.2f} only")
        if overlap < settings.smallest_overlap:
            reasons.append(f"the two images share {100 * overlap:.0f} % of the view only")
        if ambiguity > settings.largest_ambiguity:
            reasons.append(AMBIGUOUS)
        depth = None
        if not reasons:
            depth = level.told_of_depth(first, second, fits, found.prior, overlap)
        return Registration(
            t0=first.t,
            t1=second.t,
            velocity=velocity,
            covariance=covariance,
            quality=quality,
            overlap=overlap,
            ambiguity=ambiguity,
            valid=not reasons,
            reasons=tuple(reasons),
            shared_covariance=shared,
            depth=depth,
            miss=(settings.angular_miss, settings.linear_miss),
        )

    def _blind(self, first: View, second: View, reason: str) -> Registration:
        """Return the prior, not valid."""
        settings = self.settings
        std = np.array([settings.angular_std] * 3 + [settings.linear_std] * 3)
        return Registration(
            t0=first.t,
            t1=second.t,
            velocity=np.zeros(6),
            covariance=np.diag(std**2),
            quality=0.0,
            overlap=0.0,
            ambiguity=0.5,
            valid=False,
            reasons=(reason,),
            shared_covariance=np.zeros((6, 6)),
        )

    def _repeated(self, first: View, second: View, starts: Array) -> Registration:
        """Return what is known from the same image twice: rest, unless something says motion."""
        settings = self.settings
        covariance = np.diag(_unmodelled(np.zeros(6), settings)) + starts.T @ starts
        reasons = (REPEATED,) if len(starts) > 1 else ()
        return Registration(
            t0=first.t,
            t1=second.t,
            velocity=np.zeros(6),
            covariance=covariance,
            quality=1.0,
            overlap=1.0,
            ambiguity=0.5 if reasons else 0.0,
            valid=not reasons,
            reasons=reasons,
            shared_covariance=np.zeros((6, 6)),
        )


def _length(vector: Array) -> float:
    return math.sqrt(vector @ vector)


def _unmodelled(velocity: Array, settings: RegistrationConfig) -> Array:
    """(6,) variance of a velocity that no residual tells."""
    angular2 = settings.angular_share**2 * float(velocity[:3] @ velocity[:3])
    return np.array([settings.angular_floor**2 + angular2] * 3 + [settings.linear_floor**2] * 3)


def shared_covariance(velocity: Array, settings: RegistrationConfig, nearness: float) -> Array:
    """(6, 6) covariance of a velocity (6,) that all pairs of a scene share: depth that is wrong.

    The scale of depth errs along the velocity, its pattern in any direction. What it errs by of
    sideways motion is made up for by a turn, so that the image stays where it is at the usual
    inverse depth `nearness`, 1/m.
    """
    linear = velocity[3:]
    forward, sideways = float(linear[2] ** 2), float(linear[:2] @ linear[:2])
    turning = np.empty((6, 3))
    turning[:3], turning[3:] = nearness * _TURN_OF_SHIFT, _IDENTITY
    covariance = settings.linear_share**2 * sideways * turning @ turning.T
    covariance[3:, 3:] += settings.depth_scale_std**2 * linear[:, None] * linear
    covariance[3:, 3:] += settings.linear_share**2 * forward * _IDENTITY
    return np.asarray(covariance)


_TURN_OF_SHIFT = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 0]])
"""(3, 3) turn that moves what is 1 m away as a shift does, in the middle of the image."""
_IDENTITY = np.eye(3)
_ROTATION, _TRANSLATION = np.diag([1.0, 1, 1, 0, 0, 0]), np.diag([0.0, 0, 0, 1, 1, 1])
"""(6, 6) identities of rotation and of translation alone."""


@lru_cache(maxsize=8)
def _rotations_of_search(focal: float, width: int, settings: RegistrationConfig) -> Array:
    """(k, 6) motions that turn by less than half a view, evenly spread; `focal` in pixels."""
    step = settings.search_step * width / focal
    yaw = step * np.arange(-4, 5)
    pitch = step * np.arange(-3, 4)
    roll = settings.search_roll * np.arange(-1, 2)
    turns = np.stack(np.meshgrid(pitch, yaw, roll, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.hstack([turns, np.zeros_like(turns)])


def _spread(settings: RegistrationConfig) -> Array:
    """(6,) variance of a wrong motion."""
    return np.array([settings.angular_miss] * 3 + [settings.linear_miss] * 3) ** 2


def _to_middle(rotation: Array) -> Array:
    """(6, 6) from axes of the first image to those of the middle, which half of a rotation vector
    (3,) turns."""
    turned = np.zeros((6, 6))
    turned[:3, :3] = turned[3:, 3:] = cv2.Rodrigues(-rotation / 2)[0]
    return turned
