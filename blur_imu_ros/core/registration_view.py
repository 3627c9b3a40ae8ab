"""What registration keeps of an image: small, blurred, with the depth that a network read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import half_angle

_SIGMA_LOG_DEPTH = 0.02, 3.0
"""Smallest and largest standard deviation of the logarithm of depth: no network knows more, or
less."""
_LARGEST_CORRECTION = 2.0
"""Of the logarithm of depth, by parallax."""
_LARGEST_INVERSE_DEPTH = 20.0
_BLACK, _MUCH_BLACK = 0.5, 0.05
"""Grey level below which there is no image, as in a half-delivered frame, and share of it that
matters: its edge is no edge of the scene."""
_TAPS = 9
"""Places along a motion blur whose mean stands for it."""


@dataclass(frozen=True, kw_only=True)
class RegistrationConfig:
    """How two images are registered.

    Attributes:
        width: longer side of the finest level of the pyramid, pixels.
        levels: number of levels of the pyramid.
        shrink: ratio of the widths of successive levels.
        blur: Gaussian blur of the finest level, its pixels.
        spacing: spacing of the compared pixels at each level, finest first.
        coarse_steps: Gauss-Newton steps at most at the coarsest level, of all motions and then of
            those that are left.
        steps: at the finest one.
        settled_px: movement of the image, in pixels of the level, at which the steps stop.
        survivors: largest number of motions that are kept at each level.
        hopeless: evidence, in nats, by which a motion may be behind the best and still be kept.
        distinct_px: motions that move the image less apart than this, in pixels of the finest
            level, are one.
        distinct_sigmas: so are those that are less apart than this many standard deviations.
        detail_px: standard deviation of the Gaussian, pixels of the finest level, whose mean is
            taken off both images before the best motion is refined: reflections and shadows are
            smooth, and do not move as the scene does.
        detail_share: share of that mean which is taken off.
        details_reach: pixels of the finest level by which details may move the image; where they
            do it by more, there are too few.
        detail_correlation_px: `correlation_px` of what is left.
        degrees: degrees of freedom of the Student-t distribution of residuals.
        noise: standard deviation of a pixel's difference, grey levels.
        slack_px: the same for its place, pixels of the finest level; keeps edges from being taken
            for outliers.
        correlation_px: side of the square of the finest level whose residuals are one error.
        angular_std, linear_std: standard deviation of the zero-mean prior on each axis, rad/s and
            m/s.
        sway: more of the linear one for each rad/s, metres: what turns also moves.
        still_std, lever: standard deviation of the linear velocity that a camera may have on each
            axis, m/s, when it does not turn, and more of it for each rad/s: by that wrong depth
            takes its part in the covariance, however small the velocity found is.
        blocks: rows and columns of blocks of the image whose depth is wrong together.
        depth_share: standard deviation of their logarithm of depth, as a share of the network's.
        depth_tilt: share of that variance which grows linearly over the image.
        depth_reach: correlation length of the rest, as a share of half the image.
        depth_inner_std: standard deviation of the logarithm of depth from place to place inside a
            block; counts in the covariance.
        depth_memory: share of the depth corrections from parallax that carries over to the next
            image.
        depth_changed: corrections of depth, RMS in standard deviations of what the network read,
            from which a pair is also registered without them.
        depth_contradicted: squared Mahalanobis distance of both motions above which they are
            forgotten; on real and path-traced sequences right ones were up to 31 apart.
        depth_scale_std: relative error of the depth of the whole image; not separable from v.
        unknown_depth, unknown_depth_std: metres, and of its logarithm, where there is no field.
        angular_share, linear_share: standard deviation of each axis as a share of the speed:
            calibration and motion that changes in between; depth that no block describes.
        angular_floor, linear_floor: the same of a camera at rest, rad/s and m/s.
        clear: correlation above which the only motion left is the right one.
        alike: correlation below which each image is blurred as the other one is, and both are
            registered once more: images blurred along different directions have few edges in
            common.
        banded, unbanded: share of residuals in the means of rows, less twice that in those of
            columns, above which, and correlation below which, both are registered without the
            means of rows as well: mains light makes bands.
        chance_quality: correlation that the best of the wrong motions reaches; one of this is as
            likely wrong as right.
        independent: number of independent parts of an image.
        search_above: ambiguity above which rotations in all directions are tried as well.
        search_step, search_roll: how far apart, shares of the view's width and radians.
        searched: how many of them are kept.
        search_doubt: by what that multiplies the odds of a wrong motion: the more are tried, the
            more fit by chance.
        angular_miss, linear_miss: errors of a wrong motion, rad/s and m/s.
        smallest_overlap, smallest_quality, largest_ambiguity: beyond these a pair is not valid.
        longest_gap: seconds between two images that are registered.
    """

    width: int = 160
    levels: int = 2
    shrink: int = 5
    blur: float = 1.0
    spacing: tuple[int, ...] = (3, 1)
    coarse_steps: tuple[int, int] = (3, 4)
    steps: int = 3
    settled_px: float = 0.1
    survivors: int = 2
    hopeless: float = 6.0
    distinct_px: float = 1.5
    distinct_sigmas: float = 1.5
    detail_px: float = 4.0
    detail_share: float = 0.9
    details_reach: float = 3.0
    detail_correlation_px: float = 12.0
    degrees: float = 3.0
    noise: float = 1.0
    slack_px: float = 0.3
    correlation_px: float = 17.0
    angular_std: float = 20.0
    linear_std: float = 1.0
    sway: float = 0.3
    still_std: float = 0.5
    lever: float = 0.2
    blocks: tuple[int, int] = (6, 8)
    depth_share: float = 0.8
    depth_tilt: float = 0.5
    depth_reach: float = 0.3
    depth_inner_std: float = 0.3
    depth_memory: float = 0.9
    depth_changed: float = 0.5
    depth_contradicted: float = 40.0
    depth_scale_std: float = 0.3
    unknown_depth: float = 3.0
    unknown_depth_std: float = 1.0
    angular_share: float = 0.02
    linear_share: float = 0.1
    angular_floor: float = 0.03
    linear_floor: float = 0.03
    clear: float = 0.96
    alike: float = 0.95
    banded: float = 0.1
    unbanded: float = 0.99
    chance_quality: float = 0.8
    independent: float = 12.0
    search_above: float = 0.1
    search_step: float = 0.1
    search_roll: float = 0.25
    searched: int = 6
    search_doubt: float = 3.0
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
        detail, detail_gradients: the finest level without its slow changes, and its gradients.
        black: (h, w) where the finest level shows nothing; None where it shows something nearly
            everywhere.
        blur: (rows, columns, 2) double-angle field of motion blur, pixels of the finest level; None
            where it is not known.
        told: what the parallax of the views before told of `inverse_depth`, in which it is; None
            where there were none.
        read: `inverse_depth` before that, as the network read it; None where it is the same.
        shown: (h, w) bool of the finest level, False where the camera's own body is seen; None if
            all of it shows the scene.
    """

    t: float
    camera: Camera
    levels: tuple[Array, ...]
    inverse_depth: Array
    sigma_log_depth: Array
    gradients: tuple[Array, ...]
    detail: Array
    detail_gradients: Array
    black: Array | None
    blur: Array | None
    told: DepthTold | None = None
    read: Array | None = None
    shown: Array | None = None

    @cached_property
    def nearness(self) -> float:
        """Median of the inverse depth, 1/m."""
        some = self.inverse_depth[::4, ::4].ravel()
        middle = (some.size - 1) // 2, some.size // 2
        some.partition(middle)  # numpy's median takes eight times as long
        return float(some[[*middle]].sum() / 2)

    @property
    def as_read(self) -> View:
        """The same with the depth that the network read."""
        if self.read is None:
            return self
        return replace(self, inverse_depth=self.read, told=None, read=None)

    def depth_changed(self, settings: RegistrationConfig) -> float:
        """RMS of the corrections of depth, in standard deviations of what the network read."""
        if self.told is None:
            return 0.0
        std = settings.depth_share * self.sigma_log_depth
        changed = (self.told.correction / std).ravel()
        return math.sqrt(changed @ changed / changed.size)


def view_of(
    image: Image,
    field: BlurField | None,
    t: float,
    camera: Camera | None,
    settings: RegistrationConfig,
) -> View:
    """Return a view of an image; `Registrar.view` tells of what."""
    pinhole = field.camera if field is not None else camera
    assert pinhole is not None, "a view needs a field or a camera"
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    scale = min(1.0, settings.width / pinhole.longer_side)
    width, height = (max(8, round(side * scale)) for side in (pinhole.width, pinhole.height))
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    levels = _pyramid(small.astype(np.float32), settings)
    blur = None
    if field is None:
        depth = np.full((height, width), 1 / settings.unknown_depth, np.float32)
        sigma = np.full(settings.blocks, settings.unknown_depth_std, np.float32)
    else:
        depth = _finite(field.inverse_depth, 1 / settings.unknown_depth)
        depth = resized(np.clip(depth, 0, _LARGEST_INVERSE_DEPTH), (height, width))
        sigma = resized(_finite(field.sigma_log_depth, settings.unknown_depth_std), settings.blocks)
        blur = _finite(field.q, 0.0) * np.float32(width / pinhole.width)
    sigma = np.clip(sigma, *_SIGMA_LOG_DEPTH)
    black = levels[0] < _BLACK
    return View(
        t=t,
        camera=sized(pinhole, width, height),
        inverse_depth=depth,
        sigma_log_depth=sigma,
        black=black if np.count_nonzero(black) > _MUCH_BLACK * black.size else None,
        blur=blur,
        **_images(levels, settings),
    )


def _images(levels: tuple[Array, ...], settings: RegistrationConfig) -> dict[str, Any]:
    """Return the images of a view: these levels, and what is derived from them."""
    detail = _detail(levels[0], settings)
    return {
        "levels": levels,
        "gradients": tuple(_gradients(level) for level in levels),
        "detail": detail,
        "detail_gradients": _gradients(detail),
    }


def corrected(view: View, told: DepthTold) -> View:
    """Return a view with the depth that parallax corrected."""
    shape = view.inverse_depth.shape
    change = np.clip(told.correction, -_LARGEST_CORRECTION, _LARGEST_CORRECTION)
    factor = resized(np.exp(change).astype(np.float32), shape)
    read = view.inverse_depth
    return replace(view, inverse_depth=read * factor, told=told, read=read)


def _pyramid(image: Array, settings: RegistrationConfig) -> tuple[Array, ...]:
    """Return the blurred image, and smaller ones blurred again."""
    levels = [cv2.GaussianBlur(image, (0, 0), settings.blur)]
    for _ in range(1, settings.levels):
        size = [max(8, side // settings.shrink) for side in levels[-1].shape[::-1]]
        small = cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)
        levels.append(cv2.GaussianBlur(small, (0, 0), 0.8 * settings.blur))
    return tuple(levels)


def _detail(image: Array, settings: RegistrationConfig) -> Array:
    """Return an image without its slow changes."""
    side = 2 * round(2 * settings.detail_px) + 1  # the Gaussian's tails hardly weigh
    slow = cv2.GaussianBlur(image, (side, side), settings.detail_px)
    return np.asarray(image - np.float32(settings.detail_share) * slow)


def blurred_alike(first: View, second: View, settings: RegistrationConfig) -> tuple[View, View]:
    """Return the finest levels of two views, each blurred as the other one is as well."""
    return _blurred(first, second.blur, settings), _blurred(second, first.blur, settings)


def _blurred(view: View, blur: Array | None, settings: RegistrationConfig) -> View:
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
    return replace(view, **_images((blurred, *view.levels[1:]), settings))


def without_bands(view: View, settings: RegistrationConfig) -> View:
    """Return a view without the mean of each row: a rolling shutter sees bands of mains light."""
    levels = tuple(level - level.mean(axis=1, keepdims=True) for level in view.levels)
    return replace(view, **_images(levels, settings))


def _gradients(image: Array) -> Array:
    """(2, h, w) slopes along x and y, grey levels per pixel."""
    slopes = np.empty((2, *image.shape), np.float32)
    for order, along in zip(((1, 0), (0, 1)), slopes, strict=True):
        cv2.Sobel(image, cv2.CV_32F, *order, along, ksize=3, scale=1 / 8)
    return slopes


def resized(image: Array, shape: tuple[int, ...]) -> Array:
    """Return an image of another shape (h, w), every pixel the mean of what it covers."""
    if image.shape == tuple(shape):
        return image
    smaller = shape[1] < image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=method))


def _finite(values: Array, otherwise: float) -> Array:
    """Return float32 values, those that are not numbers replaced."""
    return np.where(np.isfinite(values), values, otherwise).astype(np.float32, copy=False)


@lru_cache(maxsize=64)
def sized(camera: Camera, width: int, height: int) -> Camera:
    """Return `camera.resized`; the same object again for the same size."""
    return camera.resized(width, height)
