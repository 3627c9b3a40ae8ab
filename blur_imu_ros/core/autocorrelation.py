"""The motion of a whole image, by the autocorrelation of its blur.

A blurred image is the mean of the scene along its way during the exposure. Differentiated twice
along that way it is, over the length, what the scene's own derivative was when the shutter closed
less what it was when the shutter opened: every edge is there twice, with opposite signs, at both
ends of its motion. So the mean product of the second derivative at both ends of a supposed motion
is most negative for the true one (Yitzhaky & Kopeika 1997, for one direction and length; here for
the six of a camera, through the inverse depth that the network read).

The network's velocity tells where to look, and Newton steps on that mean product lead to the motion
on which all edges agree. The errors of length that a network makes have no part in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.autocorrelation_image import (
    AutocorrelationConfig,
    DerivedImage,
    Ends,
    Samples,
    grey_of,
    hidden_in,
)
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.small_systems import add_to, added, inverse, solved

__all__ = ["AutocorrelationConfig", "WholeMotion", "fused", "whole_motion"]

_STEEPNESS = 0.1
"""Correlation, below zero, that Newton's steps and the information are worked out for at least."""
_DAMPING = 1e-4
"""Of Newton's steps, as a share of the curvature."""
_LONGEST_STEP = 1.5
"""In widths of the derivative: farther away it tells nothing."""
_ELSEWHERE = np.concatenate([np.linspace(0.6, 2.4, 13), np.linspace(2.7, 3.9, 5)])
"""Lengths, as shares of that of a motion, at which its edges may agree as well."""
_PERIODS = _ELSEWHERE < 2.5
"""Those of them among which is one at which a pattern is like itself."""
_OTHERS = np.abs(np.log(_ELSEWHERE)) > math.log(1.25)
"""Those of them that are not about the length of the motion itself."""
_ACROSS, _AROUND = np.radians([90.0]), np.radians([60.0, 90.0, 120.0])
"""Angles to a motion at which its blur has no ends; what is out of focus has some at all."""
_NEAR = np.array([0.8, 1.0, 1.25])
"""Lengths, as shares of that of the motion, at which they are looked for there."""
_TURNED = 0.1
"""Change of the motion, as a share of it, from which the derivative is taken along the new one."""


@dataclass(frozen=True)
class WholeMotion:
    """Motion over the exposure on which the edges of an image agree; its sign is open.

    Attributes:
        motion: (6,) rotation (rad) and translation (m).
        information: (6, 6) inverse covariance; singular where nothing tells of a direction.
        correlation: mean product at both ends over the contrast: -0.5 without noise, where all that
            is seen at one end is seen at the other.
    """

    motion: Array
    information: Array
    correlation: float


def whole_motion(
    view: Image,
    field: BlurField,
    estimate: VelocityEstimate,
    config: AutocorrelationConfig,
    pixel: float = 1.0,
) -> WholeMotion | None:
    """Return the motion of a whole view, or None where its blur does not show both its ends.

    Args:
        view: (height, width, 3) BGR, input of the network.
        field: what the network read of it.
        estimate: the velocity that follows from the field.
        config: how both ends are compared.
        pixel: side of a pixel of the camera's image in the view, pixels. Where the view is larger
            than that image, what lies between its pixels was not seen.
    """
    known = _known(estimate)
    if estimate.rank == 0 or known is None:
        return None
    search = _Search(view, field, estimate, known, config, pixel)
    start = search.start()
    return None if start is None else search.refined(start)


def fused(estimate: VelocityEstimate, whole: WholeMotion | None) -> VelocityEstimate:
    """Return an estimate with what the autocorrelation of its image tells besides.

    Errors of length and depth that frames share lose weight with all that the field told. An image
    whose blur the network could not read is valid with it. Blur, residual, rank and condition stay
    those of the field.
    """
    if whole is None or (before := _known(estimate)) is None:
        return estimate
    tau = estimate.exposure_time
    told, velocity = whole.information * tau**2, whole.motion / tau
    if estimate.velocity @ told @ velocity < 0:
        velocity = -velocity
    covariance = inverse(before + told)
    mean = covariance @ (before @ estimate.velocity + told @ velocity)
    kept = covariance @ before
    shared = kept @ estimate.shared_covariance @ kept.T
    return replace(
        estimate,
        angular_velocity=mean[:3],
        linear_velocity=mean[3:],
        covariance=(covariance + covariance.T) / 2,
        shared_covariance=(shared + shared.T) / 2,
        valid=True,
        reasons=(),
        autocorrelation=-whole.correlation,
    )


def _known(estimate: VelocityEstimate) -> Array | None:
    """(6, 6) inverse covariance; None where it is beyond what can be computed with: no image adds
    to what is known that well beforehand."""
    try:
        return inverse(estimate.covariance)
    except np.linalg.LinAlgError:
        return None


class _Search:
    """Looks for the motion of one view."""

    def __init__(
        self,
        view: Image,
        field: BlurField,
        estimate: VelocityEstimate,
        known: Array,
        config: AutocorrelationConfig,
        pixel: float,
    ) -> None:
        """Look for what blurred `view`, near an estimate and by its inverse covariance `known`."""
        self._config = config
        self._least, self._most_around, self._around = (
            (config.correlation, config.around, _ACROSS)
            if estimate.valid
            else (config.unread_correlation, config.unread_around, _AROUND)
        )
        self._samples = Samples.of(field, config.blocks)
        self._view, self._field = view, field
        self._tau = estimate.exposure_time
        self._read = estimate.velocity * self._tau
        self._information = known / self._tau**2
        self._length = self._samples.length(self._read)
        self._turned: tuple[DerivedImage, Array] | None = None
        self._fewest_halves = max(0, math.ceil(2 * math.log2(pixel) - 0.1))
        self._images: dict[int, DerivedImage] = {}

    def start(self) -> Array | None:
        """Return the motion as read, times the factor for which both ends agree best."""
        config = self._config
        if self._length < config.shortest_px:
            return None
        scales = _scales(*config.scales, config.starts)
        image = self._image(self._length * math.sqrt(config.scales[0] * config.scales[1]))
        scales = scales[scales * self._length * image.ratio > config.lobe * config.blur]
        if not len(scales):
            return None
        self._turn(image, self._read)
        found = image.correlations(self._samples.moved(self._read), scales)
        best = int(found.argmin())
        # Steps do not double it.
        return float(scales[best]) * self._read if found[best] < -config.correlation / 2 else None

    def refined(self, start: Array) -> WholeMotion | None:
        """Return the motion to which Newton's steps lead, if both ends agree there."""
        config, samples = self._config, self._samples
        before, (x, image) = start, self._stepped(start)
        for _ in range(config.turns - 1):
            if samples.length(x - before) < _TURNED * samples.length(x):
                break
            before, (x, image) = x, self._stepped(x)
        length, ends = samples.length(x), image.at(x)
        if not config.scales[0] <= length / self._length <= config.scales[1]:
            return None
        if ends.correlation > -self._least or length * image.ratio < config.lobe * config.blur:
            return None
        told, significance = self._told(ends, x)
        told *= min(1.0, (ends.correlation / config.sure_correlation) ** 2)
        if significance < config.significance or not self._only_there(image, x, ends.correlation):
            return None
        motion = x + _newton(ends)
        # A common error of its length, by the rule of Woodbury: what is told may be singular.
        along = told @ motion
        told -= along[:, None] * along / (config.length_std**-2 + float(motion @ along))
        return WholeMotion(motion, told, ends.correlation)

    def _image(self, length: float) -> DerivedImage:
        """Return the view at a size in which blur of `length` pixels of the view is about as long
        as it should be."""
        halves = max(self._fewest_halves, round(2 * math.log2(length / self._config.lag_px)))
        if halves not in self._images:
            self._images[halves] = DerivedImage(
                self._grey, self._hidden, 2 ** (-halves / 2), self._samples, self._config
            )
        return self._images[halves]

    @cached_property
    def _grey(self) -> NDArray[np.uint8]:
        return grey_of(self._view)

    @cached_property
    def _hidden(self) -> NDArray[np.uint8] | None:
        return hidden_in(self._view, self._field, self._config.saturated)

    def _turn(self, image: DerivedImage, x: Array) -> None:
        """Differentiate along a motion, unless that is done."""
        turned = image, x / math.sqrt(float(x @ x))
        if (
            self._turned is None
            or self._turned[0] is not image
            or np.abs(turned[1] - self._turned[1]).max() > 1e-9
        ):
            image.turn(self._samples.moved(x))
            self._turned = turned

    def _stepped(self, x: Array) -> tuple[Array, DerivedImage]:
        """Return where Newton's steps lead, with the derivative along the motion as it is now; and
        the image that was compared."""
        config, before = self._config, self._information
        image = self._image(self._samples.length(x))
        self._turn(image, x)
        ends = image.at(x)
        told = self._told(ends, x, depth_known=True)[0]
        for _ in range(config.steps):
            asked = told @ _newton(ends) + before @ (self._read - x)
            step = solved(told + before, asked)
            moved = self._samples.moved(step) * image.ratio
            size = math.sqrt(2 * float(np.mean(moved * moved)))
            x = x + step * min(1.0, _LONGEST_STEP * config.blur / max(size, 1e-9))
            if size < config.settled_px:
                break
            ends = image.at(x)
        return x, image

    def _only_there(self, image: DerivedImage, x: Array, correlation: float) -> bool:
        """Return whether it is by the blur of a motion that its ends agree, and by no pattern or
        softness."""
        config, moved = self._config, self._samples.moved(x)
        found = image.correlations(moved, np.array([config.within_share, *_ELSEWHERE]))
        within, along = found[0], found[1:]
        period = along[_PERIODS]
        if within > config.within or min(correlation, period.min()) < -config.deepest:
            return False
        if period.max() > -config.elsewhere * correlation:
            return False
        if along[_OTHERS].min() < config.deeper * correlation:
            return False
        across = np.stack([-moved[1], moved[0]])
        around = []
        for angle in self._around:
            turned = np.asarray(math.cos(angle) * moved + math.sin(angle) * across, np.float32)
            image.turn(turned)
            around.append(image.correlations(turned, _NEAR))
        return bool(np.mean(around) > self._most_around * correlation)

    def _told(self, ends: Ends, x: Array, depth_known: bool = False) -> tuple[Array, float]:
        """Return the information (6, 6) on the motion, and how many standard deviations the sum of
        products is below zero.

        Information is H V^-1 H, H being the curvature and V the covariance of the slope, as it
        differs from block to block and as wrong depth changes it.
        """
        config = self._config
        products, slopes = ends.by_block(self._samples)
        size = np.sqrt(ends.curvature.diagonal() + 1e-12)
        scale = size[:, None] * size
        steep, curvature = max(-ends.correlation, _STEEPNESS), ends.curvature / scale
        slopes = slopes / size
        variance = slopes.T @ slopes
        variance += config.evenness * float(np.trace(variance)) / 6 * curvature
        variance /= config.gain
        if not depth_known:
            allowed = np.maximum(np.abs(x[3:]), config.linear_std * self._tau)
            shift = np.copysign(allowed, x[3:])
            depth = steep * ends.of_depth_by_block(self._samples, shift) / size
            common = config.depth_scale_std * depth.sum(0)
            variance += config.depth_std**2 * (depth.T @ depth) + common[:, None] * common
        add_to(variance, 1e-6 * float(np.trace(variance)) + 1e-9)
        told = curvature @ solved(variance, curvature) * (steep * steep) * scale
        significance = -float(products.sum()) / math.sqrt(float(products @ products) + 1e-12)
        return np.asarray((told + told.T) / 2), significance


def _newton(ends: Ends) -> Array:
    """(6,) the step to the least mean product, if what is seen at both ends is alike."""
    steep = max(-ends.correlation, _STEEPNESS) * ends.curvature
    diagonal = steep.diagonal()
    damping = _DAMPING * diagonal + 1e-9 * float(diagonal.max()) + 1e-9
    return -solved(added(steep, damping), ends.slope)


@lru_cache(maxsize=8)
def _scales(first: float, last: float, count: int) -> Array:
    """Return factors of equal ratio."""
    return np.geomspace(first, last, max(1, count))
