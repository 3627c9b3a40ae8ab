"""An image differentiated twice along its motion, and the products at both ends of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array, Image, upper_median
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_rows
from blur_imu_ros.core.registration_view import resized

_RIM = 2
"""Pixels along the borders, whose derivatives are not those of the scene."""
_SMALLEST_SIDE = 16
"""Pixels of an image that is compared."""
_SHORTEST = 0.6
"""Of `lobe`: both ends of what moves by less, as near the middle of a roll, are one edge."""
_MOST_PLACES = 20_000
"""At which both ends are compared: OpenCV takes no more than 32,766 at once."""
_TINY = np.float32(1e-12)


@dataclass(frozen=True, kw_only=True)
class AutocorrelationConfig:
    """How the motion of a whole image is found.

    Attributes:
        shortest_px: median blur as read below which it is not looked for, pixels of the network's
            view.
        lag_px: length of the blur in the image that is compared, its pixels: longer blur is looked
            at in a smaller image. Should be above `lobe` times `blur`, else nothing is found.
        blur: Gaussian blur before the derivatives, pixels of that image.
        lobe: shortest length, in units of `blur`, at which the derivative of a single edge no
            longer looks like both ends of one.
        scales: smallest and largest factor of the length as read that may be the start, and the
            end.
        starts: number of these factors.
        steps: Newton steps at most, with the derivative along one motion.
        turns: along how many motions it is taken at most, each where the steps before led.
        settled_px: root mean square movement of a step at which they end, pixels of the image.
        contrast_px: side of the square whose contrast is made one, pixels of the image.
        contrast_floor: share of the contrast of the whole image that is added to that of a square.
        noise: multiple of the contrast of noise that is added to it as well.
        saturated: level of a colour, 0 to 255, from which a pixel may have been any brighter.
        blocks: rows and columns of blocks whose errors are independent.
        gain: share of the information that follows from their errors that is believed.
        sure_correlation: correlation of both ends, below zero, from which that much is; with a
            weaker one less, by its square.
        evenness: share of the mean variance of the slope that every direction has at least.
        depth_std: standard deviation of the logarithm of depth, block by block.
        depth_scale_std: the same for the depth of the whole image.
        linear_std: linear velocity for which errors of depth are allowed at least, m/s.
        length_std: relative error of the motion that no number of edges takes away.
        correlation: correlation of both ends, below zero, from which they are believed.
        significance: the same in standard deviations, as blocks differ.
        deepest: correlation of both ends, below zero, beyond which it is a pattern: blur does not
            reach -0.5 but by chance.
        elsewhere: share of the correlation with the other sign that other lengths of the motion may
            have: a pattern is like itself at its period.
        deeper: multiple of the correlation from which another length is rather that of the motion;
            then neither is believed.
        around: share of the correlation that there may be in other directions on average: what is
            out of focus, or has a pattern, repeats itself in all of them.
        unread_correlation: `correlation` for an image whose blur the network could not read, and
            which is valid by its autocorrelation alone.
        unread_around: `around` for such an image.
        within: correlation at `within_share` of the motion above which the image is too soft to
            show both ends apart.
        within_share: share of the motion at which that is measured.
    """

    shortest_px: float = 3.0
    lag_px: float = 13.0
    blur: float = 1.2
    lobe: float = 5.0
    scales: tuple[float, float] = (0.5, 2.0)
    starts: int = 11
    steps: int = 4
    turns: int = 2
    settled_px: float = 0.2
    contrast_px: int = 19
    contrast_floor: float = 0.8
    noise: float = 2.0
    saturated: int = 250
    blocks: tuple[int, int] = (7, 10)
    gain: float = 0.3
    sure_correlation: float = 0.4
    evenness: float = 0.5
    depth_std: float = 2.0
    depth_scale_std: float = 2.0
    linear_std: float = 2.0
    length_std: float = 0.05
    correlation: float = 0.1
    significance: float = 2.5
    deepest: float = 0.55
    elsewhere: float = 0.7
    deeper: float = 1.1
    around: float = 0.5
    unread_correlation: float = 0.15
    unread_around: float = 0.35
    within: float = 0.4
    within_share: float = 0.4


@dataclass(frozen=True)
class Ends:
    """What is seen at both ends of a motion, of n places, and how it changes with the motion.

    Attributes:
        one, other: (n,) second derivative along the motion, contrast taken out.
        of_one, of_other: (6, n) how they change as both ends move the same way.
    """

    one: NDArray[np.float32]
    other: NDArray[np.float32]
    of_one: NDArray[np.float32]
    of_other: NDArray[np.float32]

    @cached_property
    def correlation(self) -> float:
        """The mean product over the contrast, -1 to 1."""
        contrast = float(self.one @ self.one) * float(self.other @ self.other)
        return float(self.one @ self.other) / math.sqrt(contrast + 1e-12)

    @cached_property
    def slope(self) -> Array:
        """(6,) of the sum of products."""
        return np.asarray(self.of_other @ self.one - self.of_one @ self.other, float) / 2

    @cached_property
    def curvature(self) -> Array:
        """(6, 6) of the sum of products, if all that is seen at one end were seen at the other."""
        both = self.of_one @ self.of_one.T + self.of_other @ self.of_other.T
        return np.asarray(both, float) / 2

    def by_block(self, samples: Samples) -> tuple[Array, Array]:
        """Return the sums of products (blocks,), and their slopes (blocks, 6)."""
        table = np.empty((7, len(self.one)), np.float32)
        table[:6] = self.of_other * self.one - self.of_one * self.other
        table[6] = self.one * self.other
        sums = samples.by_block(table)
        return sums[:, 6], sums[:, :6] / 2

    def of_depth_by_block(self, samples: Samples, shift: Array) -> Array:
        """(blocks, 6) how the slopes change with the logarithm of depth, if that has to do with the
        translation `shift` (3,), metres."""
        by = shift.astype(np.float32)
        table: NDArray[np.float32] = self.of_one * (by @ self.of_one[3:])
        table += self.of_other * (by @ self.of_other[3:])
        return samples.by_block(table) / 2


class Samples:
    """The places of a view at which both ends of a motion are compared: four in each cell, or fewer
    in a very fine grid."""

    def __init__(self, rows: NDArray[np.float32], places: Any, blocks: tuple[int, int]) -> None:
        """Take rows (6, 2, n) of the motion field at `places`, (u, v) of a grid of n each."""
        self.rows, self.places = rows, places
        self.shape = places[0].shape
        self._flat = rows.reshape(6, -1)
        counts = (min(count, side) for count, side in zip(blocks, self.shape, strict=True))
        self._edges = [
            np.arange(count) * side // count for count, side in zip(counts, self.shape, strict=True)
        ]

    @classmethod
    def of(cls, field: BlurField, blocks: tuple[int, int]) -> Samples:
        """Return the samples of a network's view."""
        rows, columns = field.q.shape[:2]
        places = _places(rows, columns, field.stride)
        turning, shifting = _directions(field.camera, rows, columns, field.stride)
        depth = cv2.resize(field.inverse_depth.astype(np.float32), places[0].shape[::-1])
        return cls(np.concatenate([turning, shifting * depth.ravel()]), places, blocks)

    def moved(self, motion: Array) -> NDArray[np.float32]:
        """(2, n) pixels of the view by which a motion (6,) moves each place."""
        moved: NDArray[np.float32] = motion.astype(np.float32) @ self._flat
        return moved.reshape(2, -1)

    def length(self, motion: Array) -> float:
        """Return the median length of that, pixels."""
        x, y = self.moved(motion)
        return math.sqrt(float(upper_median(x * x + y * y)))

    def by_block(self, values: NDArray[np.float32]) -> Array:
        """(blocks, k) sums of values (k, n) at the places."""
        grid = values.reshape(-1, *self.shape)
        rows = np.add.reduceat(grid, self._edges[0], axis=1)
        sums = np.add.reduceat(rows, self._edges[1], axis=2).reshape(len(grid), -1)
        return np.ascontiguousarray(sums.T, float)


@lru_cache(maxsize=8)
def _directions(camera: Camera, rows: int, columns: int, stride: int) -> Any:
    """Return how the places of a view move by a rotation, and by a translation at inverse depth 1:
    (3, 2, n) pixels each."""
    u, v = (place.astype(float) for place in _places(rows, columns, stride))
    table = motion_rows(camera, u, v, np.ones_like(u)).reshape(-1, 2, 6)
    both = np.ascontiguousarray(table.transpose(2, 1, 0), np.float32)
    return both[:3], both[3:]


@lru_cache(maxsize=8)
def _places(rows: int, columns: int, stride: int) -> tuple[NDArray[np.float32], ...]:
    """Return (u, v) of the middles of the quarters of cells, pixels of the view."""
    share = min(2.0, math.sqrt(_MOST_PLACES / (rows * columns)))
    u, v = (
        (np.arange(count) + 0.5) * n * stride / count - 0.5
        for n, count in ((n, max(1, int(share * n))) for n in (columns, rows))
    )
    grid = np.meshgrid(u, v)
    return grid[0].astype(np.float32), grid[1].astype(np.float32)


def grey_of(view: Image) -> NDArray[np.uint8]:
    """Return the brightness of a BGR image."""
    return np.asarray(cv2.cvtColor(view, cv2.COLOR_BGR2GRAY), np.uint8)


def hidden_in(view: Image, field: BlurField, saturated: int) -> NDArray[np.uint8] | None:
    """Return 1 where a view is saturated or shows the camera's own body; None if it is nowhere.

    Blur of what is saturated ends where it does not.
    """
    brightest = cv2.max(cv2.max(*cv2.split(view)[:2]), view[..., 2])
    hidden = cv2.threshold(brightest, saturated - 1, 1, cv2.THRESH_BINARY)[1]
    if field.shown is not None:
        own = cv2.resize((~field.shown).astype(np.uint8), view.shape[1::-1])
        hidden = cv2.max(hidden, own)
    return np.asarray(hidden, np.uint8) if hidden.any() else None


class DerivedImage:
    """A view, as small as makes its blur a few pixels long, differentiated along a motion."""

    def __init__(
        self,
        grey: NDArray[np.uint8],
        hidden: NDArray[np.uint8] | None,
        ratio: float,
        samples: Samples,
        config: AutocorrelationConfig,
    ) -> None:
        """Make a view `ratio` times as large; nothing is compared where `hidden` is 1."""
        self._samples, self._config = samples, config
        size = [max(_SMALLEST_SIDE, round(side * ratio)) for side in grey.shape[::-1]]
        self._size = width, height = size[0], size[1]
        self.ratio = width / grey.shape[1]
        self._across = np.array([self.ratio, height / grey.shape[0]], np.float32)
        small = resized(grey, self._size[::-1]).astype(np.float32)
        soft = cv2.GaussianBlur(small, (0, 0), config.blur)
        xx, yy, self._xy = (
            cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3, scale=0.25)
            for order in ((2, 0), (0, 2), (1, 1))
        )
        self._mean, self._half = (xx + yy) / 2, (xx - yy) / 2
        self._noise = _noise(small, config.blur)
        self._shortest = np.float32((_SHORTEST * config.lobe * config.blur / 2) ** 2)
        self._hidden = None if hidden is None else _widened(hidden, self._size, config.blur)
        self._places = tuple(
            ((place.ravel() + 0.5) * across - 0.5).astype(np.float32)
            for place, across in zip(samples.places, self._across, strict=True)
        )
        # Both ends are inside where the middle is by half the motion more.
        self._margins = tuple(
            (side - 1) / 2 - _RIM - np.abs(place - np.float32((side - 1) / 2))
            for place, side in zip(self._places, self._size, strict=True)
        )

    def turn(self, moved: NDArray[np.float32]) -> None:
        """Differentiate along motions (2, n) of all places from now on, and bring all to one
        contrast."""
        derived = self._derived(moved)
        config = self._config
        side = min(config.contrast_px, *self._size)
        contrast = cv2.sqrBoxFilter(derived, cv2.CV_32F, (side, side))
        noise = self._noise**2
        floor = config.contrast_floor**2 * float(contrast.mean()) + config.noise**2 * noise
        seen = np.maximum(contrast - np.float32(noise), 0) / (contrast + _TINY)
        derived *= np.sqrt(seen / (contrast + np.float32(floor + 1e-6)))
        self._single = derived
        self._all: Any = None

    def _derived(self, moved: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the second derivative along motions (2, n): at an angle a to x it is
        (xx + yy) / 2 + cos 2a (xx - yy) / 2 + sin 2a xy."""
        x, y = moved
        squares = x * x + y * y + _TINY
        shape = self._samples.shape
        cos, sin = (
            cv2.resize(part.reshape(shape), self._size)
            for part in ((x * x - y * y) / squares, 2 * x * y / squares)  # Of 2a.
        )
        derived: NDArray[np.float32] = self._mean + cos * self._half + sin * self._xy
        derived[:_RIM] = derived[-_RIM:] = 0
        derived[:, :_RIM] = derived[:, -_RIM:] = 0
        if self._hidden is not None:
            derived[self._hidden] = 0
        return derived

    def correlations(self, moved: NDArray[np.float32], scales: Array) -> Array:
        """(k,) correlations of both ends of motions (2, n) times each of k factors, by every second
        place."""
        scaled = moved[:, None, ::2] * scales.astype(np.float32)[:, None]
        one, other = self._at_ends(self._single, scaled, every=2)
        contrast = np.einsum("kn,kn->k", one, one) * np.einsum("kn,kn->k", other, other)
        return np.asarray(np.einsum("kn,kn->k", one, other) / np.sqrt(contrast + _TINY), float)

    def at(self, motion: Array) -> Ends:
        """Return what is seen at both ends of a motion (6,)."""
        if self._all is None:
            slopes = [
                cv2.Sobel(self._single, cv2.CV_32F, *order, ksize=3, scale=scale / 8)
                for order, scale in (((1, 0), self._across[0]), ((0, 1), self._across[1]))
            ]
            self._all = cv2.merge([self._single, *slopes])
        rows = self._samples.rows
        seen, changes = [], []
        for end in self._at_ends(self._all, self._samples.moved(motion)[:, None]):
            value, x, y = (part[0] for part in cv2.split(end))
            seen.append(value)
            changes.append(rows[:, 0] * x + rows[:, 1] * y)
        return Ends(*seen, *changes)

    def _at_ends(self, image: Any, moved: NDArray[np.float32], every: int = 1) -> list[Any]:
        """Return (k, n[, c]) what an image shows at both ends of motions (2, k, n), zero where one
        of them is outside."""
        x, y = moved[0] * (self._across[0] / 2), moved[1] * (self._across[1] / 2)
        (u, v), (wide, high) = (
            [part[::every] for part in parts] for parts in (self._places, self._margins)
        )
        inside = (np.abs(x) < wide) & (np.abs(y) < high) & (x * x + y * y > self._shortest)
        both = (
            cv2.remap(image, u + sign * x, v + sign * y, cv2.INTER_LINEAR)
            for sign in (np.float32(-1), np.float32(1))
        )
        return [end * (inside if end.ndim == 2 else inside[..., None]) for end in both]


def _noise(image: NDArray[np.float32], blur: float) -> float:
    """Return the standard deviation of noise in second derivatives of a Gaussian, grey levels:
    that of pixels, by the median Laplacian, times (3 / 16 pi)^(1/2) / blur^3."""
    laplacian = np.abs(cv2.Laplacian(image[::2], cv2.CV_32F)[:, ::2]).ravel()
    of_pixels = float(upper_median(laplacian)) / 0.6745 / math.sqrt(20)
    return of_pixels * math.sqrt(3 / (16 * math.pi)) / blur**3


def _widened(hidden: NDArray[np.uint8], size: tuple[int, int], blur: float) -> NDArray[np.bool_]:
    """Return where derivatives of an image of this size depend on what is hidden."""
    side = 2 * math.ceil(2 * blur) + 1
    small = (resized(255 * hidden, size[::-1]) > 127).astype(np.uint8)
    return np.asarray(cv2.dilate(small, np.ones((side, side), np.uint8)) > 0)
