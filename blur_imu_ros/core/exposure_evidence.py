"""What the images themselves say about the exposure time that was given for them.

Blur is how far the image moves during the exposure, and from image to image it moves for a whole
frame interval: the ratio of the two lengths is that of the two times, whatever the motion. Where
images are registered, the two are turns, and known well enough to notice a factor of two.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.estimate import mean_velocities
from blur_imu_ros.core.measurement import Measurement

FEWEST_PAIRS = 3
MOST_PAIRS = 12
"""Informative pairs of images, after which the answer is certain."""
MOST_TRIED = 300
"""Pairs, counted from the first on, of which some are compared."""
ALL_OF, EVERY = 12, 3
"""All of the first pairs are compared, behind them every third: it takes some milliseconds each."""
LARGEST_FACTOR = 3.0
"""Between what was given and what the images say, below which a coarse comparison proves
nothing."""
FEWEST_TURNS = 8
"""Registered pairs of clearly blurred images, after which these decide."""
LARGEST_TURN_FACTOR = 1.6
"""The same between what was given and what registered pairs say. Of 20 sequences, real and
rendered, with the right exposure time, blur was read as 0.74 to 1.37 of its length in 19, and twice
too long in one of 4 % of the light."""
LONGEST_SHARE = 1.02
"""Of the frame interval that an exposure may take, by the accuracy of timestamps."""
FASTEST = 20.0
"""rad/s; hands and robots turn slower for most of a recording."""
_LONGEST_INTERVAL = 0.2
"""Seconds, beyond which two images are not compared."""
_CLEAR_BLUR, _CLEAR_SHARE = 6.0, 0.5
"""Pixels of the network's view, and share of its cells that are read well, for a clear image."""
_CLEAR_QUALITY, _CLEAR_AMBIGUITY, _CLEAR_COSINE = 0.9, 0.05, 0.9
"""For a clear pair: that of its registration, and of the two axes of rotation."""
_SHORTEST = 2.0
"""Pixels of a motion that stands out from noise."""
_FEWEST_POINTS, _MOST_POINTS = 12, 150
_LARGEST_RETURN = 1.0
"""Pixels by which a point that is followed there and back may miss itself."""
_NARROWEST = 240
"""Pixels of width to which images are halved."""


class ExposureEvidence:
    """Collects what measurements, in order of time, say about the exposure time."""

    def __init__(self) -> None:
        """Start without images."""
        self._before: Measurement | None = None
        self._intervals: list[float] = []
        self._exposures: list[float] = []
        self._found: list[float] = []
        self._turned: list[float] = []
        self._speeds: list[float] = []

    def add(self, measurement: Measurement) -> None:
        """Take the measurement of the next image."""
        before, self._before = self._before, measurement
        self._exposures.append(measurement.frame.exposure_time)
        self._speeds.append(float(np.linalg.norm(measurement.estimate.angular_velocity)))
        if before is None:
            return
        interval = measurement.frame.t - before.frame.t
        if interval > 0:
            self._intervals.append(interval)
        ratio = _blurred_turn(before, measurement)
        if ratio is not None:
            self._turned.append(ratio * measurement.frame.exposure_time)
        if self._tells_something_new() and 0 < interval < _LONGEST_INTERVAL:
            share = _blurred_share(before, measurement)
            if share is not None:
                self._found.append(share * interval)

    def _tells_something_new(self) -> bool:
        number = len(self._intervals)
        if len(self._found) >= MOST_PAIRS or number > MOST_TRIED:
            return False
        return number <= ALL_OF or number % EVERY == 0

    @property
    def exposure_time(self) -> float | None:
        """Seconds, coarsely, from the images; None where they do not decide."""
        if self._registered:
            return float(np.median(self._turned))
        return float(np.median(self._found)) if len(self._found) >= FEWEST_PAIRS else None

    @property
    def _registered(self) -> bool:
        return len(self._turned) >= FEWEST_TURNS

    def doubts(self) -> Iterator[str]:
        """Yield why the exposure time can hardly be right, with a likelier one, or what else is
        amiss."""
        if not self._intervals:
            return
        given, interval = float(np.median(self._exposures)), float(np.median(self._intervals))
        found = self.exposure_time
        largest = LARGEST_TURN_FACTOR if self._registered else LARGEST_FACTOR
        longest = LONGEST_SHARE * interval
        likelier = ""
        if found is not None and found <= longest:
            likelier = f"; the images suggest about {_rounded(found):g} s"
        cure = (
            "velocities from blur are wrong by the same factor: check the exposure time (seconds) "
            "and the timestamps"
        )
        if given > longest:
            if found is None:
                likelier = f", is it {given / 10:g}?"
            yield (
                f"an exposure time of {given:g} s does not fit between images that are "
                f"{interval:.2g} s apart{likelier}; {cure}"
            )
        elif found is not None and found > longest:
            yield (
                f"the images are blurred {found / interval:.2g} times as far as they move from one "
                "to the next, which no exposure time explains: does the camera vibrate faster than "
                f"{1 / interval:.3g} images a second show, or is it out of focus? Velocities from "
                "neighbouring frames do not include such a vibration, nor does their sigma"
            )
        elif found is not None and not 1 / largest < given / found < largest:
            yield (
                f"the exposure time of {given:g} s contradicts the images{likelier}: from frame to "
                f"frame they move {'less' if found > given else 'more'} than their blur implies; "
                f"{cure}"
            )
        elif found is None and np.median(self._speeds) > FASTEST:
            yield (
                f"in half of the images the camera rotates faster than {FASTEST:g} rad/s: is the "
                f"exposure time of {given:g} s too short? If so, {cure}"
            )


def _rounded(value: float) -> float:
    return float(f"{value:.1g}")


def _blurred_turn(before: Measurement, after: Measurement) -> float | None:
    """Return the angular velocity from blur over that from registration, None if unknown."""
    pair = after.registration
    if pair is None or not pair.valid or pair.t0 != before.estimate.t:
        return None
    if pair.quality < _CLEAR_QUALITY or pair.ambiguity > _CLEAR_AMBIGUITY:
        return None
    if not (_is_clear(before) and _is_clear(after)):
        return None
    turned = pair.velocity[:3]
    means = mean_velocities(_turn_alone(before), _turn_alone(after))
    cosines = [_cosine(mean, turned) for mean in means]
    best = int(np.argmax(cosines))
    if cosines[best] < _CLEAR_COSINE:
        return None
    return float(means[best] @ turned / (turned @ turned))


def _turn_alone(measurement: Measurement) -> Array:
    """Return (3,) angular velocity from the image alone, rad/s."""
    single = measurement.estimate.single
    return measurement.estimate.angular_velocity if single is None else single[:3]


def _cosine(one: Array, other: Array) -> float:
    return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-9))


def _is_clear(measurement: Measurement) -> bool:
    """Return whether an image is blurred, and most of its blur read well."""
    field = measurement.field
    if field is None or np.median(field.blur_length) < _CLEAR_BLUR:
        return False
    read = field.principal_sigmas[0] < _CLEAR_SHARE * field.blur_length
    return float(np.mean(read)) >= _CLEAR_SHARE


def _blurred_share(before: Measurement, after: Measurement) -> float | None:
    """Return the length of the blur over that of the motion to the next image, None if unknown."""
    if before.view is None or after.view is None or before.field is None:
        return None
    if not _is_clear(before):  # Of a sharp image a network reads some blur all the same.
        return None
    points, motion = _followed(before.view, after.view)
    if len(points) == 0:
        return None
    field = before.field
    rows, columns = field.blur_length.shape
    place = (points / field.stride).astype(int)
    blur = field.blur_length[place[:, 1].clip(0, rows - 1), place[:, 0].clip(0, columns - 1)]
    clear = (motion > _SHORTEST) & (blur > _SHORTEST)
    if clear.sum() < _FEWEST_POINTS:
        return None
    return float(np.median(blur[clear] / motion[clear]))


def _followed(one: Image, other: Image) -> tuple[Array, Array]:
    """Return points (n, 2) that are found again in the other image, and how far (n,) they moved."""
    first, second = _small(one), _small(other)
    corners = cv2.goodFeaturesToTrack(first, _MOST_POINTS, 0.01, 5)
    if corners is None:
        return np.empty((0, 2)), np.empty(0)
    start = np.asarray(corners, np.float32)
    there, found = _flow(first, second, start)
    back, found_back = _flow(second, first, there)
    kept = found & found_back & (np.linalg.norm((back - start)[:, 0], axis=1) < _LARGEST_RETURN)
    moved = np.linalg.norm((there - start)[kept, 0], axis=1)
    scale = one.shape[1] / first.shape[1]
    # Pixel (0, 0) is the centre of the first pixel.
    return (start[kept, 0] + 0.5) * scale - 0.5, moved * scale


def _small(image: Image) -> Image:
    """Return the image in grey, of half the size where that is large enough."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    height, width = grey.shape
    if width < 2 * _NARROWEST:
        return np.asarray(grey, np.uint8)
    half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


def _flow(one: Image, other: Image, points: Array) -> tuple[Array, Array]:
    """Return where points (n, 1, 2) of an image are in another, and which (n,) were found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(one, other, points, points.copy(), maxLevel=4)
    return np.asarray(there), np.asarray(found)[:, 0] > 0
