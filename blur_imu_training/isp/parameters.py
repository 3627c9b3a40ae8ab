"""Which camera takes a picture: the order and strength of all that it does, drawn far and wide.

The gap between synthetic and real blur is what limits accuracy, so every stage that real cameras
have after the blur is here: optics, sensor noise, mosaic, denoising, tone curve, sharpening,
resampling, compression. `camera_pipeline.py` and, for many pictures at once, `device_camera.py` do
what is drawn.

Most cameras do all this at two to six times the size of the network's view, and only then is their
picture scaled down to it. Rendering at that size is dear. Instead `pixel`, the size of a camera's
pixel in pixels of the picture at hand, shrinks all that a camera's pixels set the scale of: the
reach of lens, denoising and sharpening, the noise (which scaling down averages) and compression.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Float32

Rng = np.random.Generator

MOSAIC_SHOWS = 0.7
"""Size of a camera's pixel from which its mosaic and the grain of denoising survive scaling
down."""

VIDEO_SHARE = 0.2
"""Share of pictures that are frames of a video."""

BEST_VIDEO, WORST_VIDEO = 18.0, 38.0
"""Quantisers."""

DARK_SHARE, BLOWN_SHARE = 0.14, 0.10
"""Shares of pictures far too dark, and so bright that much of them is clipped."""

METHODS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4)


@dataclass(frozen=True)
class Light:
    """How the light of a scene is found in an 8-bit picture of it.

    Attributes:
        curve: (256,) linear light of each level: a tone curve undone.
        knee: level of light from which all colours are read as clipped.
        lift: by how much clipped light was brighter.
    """

    curve: Float32
    knee: float
    lift: float


class Smoothing(Enum):
    """How a camera denoises."""

    EDGE_KEEPING = 0
    MEDIAN = 1
    COLOUR = 2
    SOFTENING = 3


@dataclass(frozen=True)
class Denoising:
    """Noise taken away; `reach` in pixels, `tolerance` of light, `blend` of the median."""

    kind: Smoothing
    reach: float = 0.0
    tolerance: float = 0.0
    blend: float = 1.0


@dataclass(frozen=True)
class Sharpening:
    """An unsharp mask; `reach` in pixels."""

    amount: float
    reach: float


@dataclass(frozen=True)
class Resampling:
    """Scaled down and up again, by OpenCV's methods."""

    scale: float
    down: int
    up: int


@dataclass(frozen=True)
class Tint:
    """Other colours: saturation, gain and offset, and `blotches` (rows, columns, 3) laid over
    all."""

    saturation: float
    gain: float
    offset: float
    blotches: Float32 | None


Stage = Denoising | Sharpening | Resampling | Tint


@dataclass(frozen=True)
class LocalContrast:
    """What is wider than `reach` pixels, times `base`, and what is finer, times `detail`."""

    reach: float
    base: float
    detail: float
    lift: float


@dataclass(frozen=True)
class Compression:
    """JPEG; `halved` colour resolution is 4:2:0."""

    quality: int
    halved: bool


@dataclass(frozen=True)
class VideoCoding:
    """A frame of a video (H.264): `quantiser` from 0 to 51, and the side of its `block`, 4 or 8
    pixels."""

    quantiser: float
    block: int

    @property
    def step(self) -> float:
        """Between the multiples that frequencies are rounded to, levels."""
        return float(0.625 * 2 ** (self.quantiser / 6))


@dataclass(frozen=True)
class IspParameters:
    """A camera.

    Attributes:
        softness: of the lens, standard deviation, pixels.
        defocus: radius of the disc, pixels; 0 is sharp.
        glare_reach, glare: of veiling glare, pixels and share.
        vignette_centre, vignette: (x, y) from -1 to 1, and how much light is lost.
        target: mean brightness that the exposure aims at.
        balance: (3,) gains of the colours.
        read, shot: noise, of light; `noise` times both.
        grain: reach of the noise, pixels.
        mosaic: whether a Bayer pattern is read.
        raw_denoising: before the tone curve.
        gamma, tone_curve: of the tone curve, and its S shape.
        local_contrast: after it.
        stages: what follows, in this order.
        video: the coding of the video that the picture was taken from, if it was.
        compressions: one after the other.
        grey: whether colours are lost.
        seed: of the noise.
    """

    softness: float
    defocus: float
    glare_reach: float
    glare: float
    vignette_centre: tuple[float, float]
    vignette: float
    target: float
    balance: tuple[float, float, float]
    read: float
    shot: float
    noise: float
    grain: float
    mosaic: bool
    raw_denoising: Denoising | None
    gamma: float
    tone_curve: float
    local_contrast: LocalContrast | None
    stages: tuple[Stage, ...]
    video: VideoCoding | None
    compressions: tuple[Compression, ...]
    grey: bool
    seed: int


def random_light(rng: Rng) -> Light:
    """Draw a plausible tone curve of a picture, and how bright its clipped highlights were."""
    curve = np.linspace(0, 1, 256, dtype=np.float32) ** np.float32(rng.uniform(1.6, 2.6))
    if rng.uniform() < 0.5:
        curve = _unbent(curve, float(rng.uniform(0, 0.6)))
    lifted = rng.uniform() < 0.7
    knee, lift = float(rng.uniform(0.7, 0.95)), float(np.exp(rng.uniform(0, np.log(20))))
    return Light(curve.astype(np.float32), knee, lift if lifted else 0.0)


def _unbent(curve: Float32, strength: float) -> Float32:
    """Return the curve with an S-shaped contrast taken out by `strength`."""
    curved = curve + strength * (curve - curve * curve * (3 - 2 * curve))
    return np.asarray(np.clip(curved, 0, 1), np.float32)


def random_pixel(rng: Rng) -> float:
    """Return the size of a camera's pixel in pixels of the network's view, at most 1."""
    if rng.uniform() < 0.2:
        return 1.0
    return float(np.exp(-rng.uniform(np.log(1.3), np.log(6))))


def random_camera(rng: Rng, pixel: float = 1.0, shape: float = 0.75) -> IspParameters:
    """Draw a camera; half of them are good ones in good light.

    Args:
        rng: source of every choice.
        pixel: size of the camera's pixels in pixels of the picture at hand, at most 1.
        shape: height over width of the picture.
    """
    severity = float(rng.choice([0.2, 0.6, 1.0], p=[0.5, 0.25, 0.25]))
    noisy = rng.uniform() < 0.85
    return IspParameters(
        softness=_perhaps(0.65, float(rng.uniform(0.2, 2.0)) * float(np.sqrt(pixel)), rng),
        defocus=_perhaps(0.2, float(rng.uniform(0.7, 3.0)) * max(pixel, 0.5), rng),
        glare_reach=float(rng.uniform(5, 15)),
        glare=_perhaps(0.3, float(rng.uniform(0, 0.15)), rng),
        vignette_centre=(float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.8, 0.8))),
        vignette=_perhaps(0.4, float(rng.uniform(0, 0.5)), rng),
        target=_brightness(severity, rng),
        balance=_three(np.exp(rng.normal(0, 0.05 + 0.06 * severity, 3))),
        read=float(np.exp(rng.uniform(np.log(3e-4), np.log(0.012)))),
        shot=float(np.exp(rng.uniform(np.log(1e-5), np.log(4e-3)))),
        noise=severity * max(pixel, 0.4) if noisy else 0.0,
        grain=_perhaps(0.4, float(rng.uniform(0.4, 1.2)), rng),
        mosaic=pixel > MOSAIC_SHOWS and rng.uniform() < 0.3,
        raw_denoising=_denoising(pixel, rng) if rng.uniform() < 0.35 * severity else None,
        gamma=float(rng.uniform(1.7, 2.6)),
        tone_curve=_perhaps(0.6, float(rng.uniform(-0.3, 0.8)), rng),
        local_contrast=_local_contrast(rng) if rng.uniform() < 0.3 else None,
        stages=_stages(severity, pixel, shape, rng),
        compressions=_compressions(100 - (15 + 60 * severity) * pixel, rng),
        grey=rng.uniform() < 0.06,
        seed=int(rng.integers(2**31)),
        video=_video(severity, pixel, rng) if rng.uniform() < VIDEO_SHARE else None,
    )


def _brightness(severity: float, rng: Rng) -> float:
    """Return the mean brightness that an exposure aims at; some miss it by far."""
    kind = rng.uniform()
    if kind < DARK_SHARE:
        return float(np.exp(rng.uniform(np.log(0.02), np.log(0.08))))
    if kind < DARK_SHARE + BLOWN_SHARE:
        return float(rng.uniform(0.4, 0.8))
    return float(np.exp(rng.normal(np.log(0.2), 0.15 + 0.4 * severity)))


def _perhaps(share: float, value: float, rng: Rng) -> float:
    return value if rng.uniform() < share else 0.0


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    one, two, three = (float(x) for x in values)
    return one, two, three


def _denoising(pixel: float, rng: Rng) -> Denoising:
    kinds = list(Smoothing) if pixel > MOSAIC_SHOWS else [Smoothing.COLOUR, Smoothing.SOFTENING]
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind is Smoothing.EDGE_KEEPING:
        return Denoising(kind, float(rng.uniform(1, 3)), tolerance=float(rng.uniform(0.02, 0.15)))
    if kind is Smoothing.MEDIAN:
        return Denoising(kind, blend=float(rng.uniform(0.3, 1)))
    if kind is Smoothing.COLOUR:
        return Denoising(kind, float(rng.uniform(0.5, 3)))
    return Denoising(kind, float(rng.uniform(0.3, 0.8)) * pixel)


def _local_contrast(rng: Rng) -> LocalContrast:
    return LocalContrast(
        reach=float(rng.uniform(6, 20)),
        base=float(rng.uniform(0.7, 1)),
        detail=float(rng.uniform(0.9, 1.6)),
        lift=float(rng.uniform(0, 0.15)),
    )


def _stages(severity: float, pixel: float, shape: float, rng: Rng) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    if rng.uniform() < 0.4:
        # Edges that are steeper than motion left them look like shorter blur: what is sharpened at
        # the camera's size hardly shows in the view, and a network used to more reads lengths too
        # long.
        amount = float(rng.uniform(0.1, 1.5)) * pixel
        stages.append(Sharpening(amount, max(float(rng.uniform(0.5, 2.5)) * pixel, 0.6)))
    if rng.uniform() < 0.3 * pixel:
        down, up = (METHODS[int(i)] for i in rng.integers(len(METHODS), size=2))
        stages.append(Resampling(float(rng.uniform(0.6, 0.98)), down, up))
    if rng.uniform() < 0.15:
        stages.append(_denoising(pixel, rng))
    if rng.uniform() < 0.3 + 0.3 * severity:
        stages.append(_tint(shape, rng))
    return tuple(stages[int(i)] for i in rng.permutation(len(stages)))


def _tint(shape: float, rng: Rng) -> Tint:
    blotches = None
    if rng.uniform() < 0.3:
        cells = rng.uniform(4, 16)
        size = (max(2, round(cells * shape) + 1), max(2, round(cells) + 1))
        one_colour = rng.standard_normal(size).astype(np.float32)
        blotches = one_colour[..., None] * rng.normal(0, 0.01, 3).astype(np.float32)
    return Tint(
        saturation=float(np.exp(rng.normal(0.1, 0.35))),
        gain=float(rng.uniform(0.7, 1.2)),
        offset=float(rng.uniform(-0.05, 0.08)),
        blotches=blotches,
    )


def _compressions(worst: float, rng: Rng) -> tuple[Compression, ...]:
    count = int(rng.choice([0, 1, 1, 2]))
    return tuple(
        Compression(int(rng.uniform(worst, 100)), bool(rng.uniform() < 0.5)) for _ in range(count)
    )


def _video(severity: float, pixel: float, rng: Rng) -> VideoCoding:
    worst = BEST_VIDEO + (WORST_VIDEO - BEST_VIDEO) * max(severity, 0.4)
    # Scaling down averages what was lost: a step shrinks with the pixels, by half for each 6.
    quantiser = float(rng.uniform(BEST_VIDEO, worst)) + 6 * float(np.log2(pixel))
    return VideoCoding(quantiser, 8 if pixel > MOSAIC_SHOWS and rng.uniform() < 0.5 else 4)
