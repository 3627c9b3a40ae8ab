"""From radiance on the sensor to the picture that a camera hands out, in random order and strength.

The gap between synthetic and real blur is what limits accuracy, so every stage that real cameras
have after the blur is here and each is drawn far and wide: optics, sensor noise, mosaic, denoising,
tone curve, sharpening, resampling, compression.

Most cameras do all this at two to six times the size of the network's view, and only then is their
picture scaled down to it. Rendering at that size is dear. Instead `pixel`, the size of a camera's
pixel in pixels of the picture at hand, shrinks all that a camera's pixels set the scale of: the reach
of lens, denoising and sharpening, the noise (which scaling down averages) and compression.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_training.procedural import smooth_noise

Float = NDArray[np.float32]
Rng = np.random.Generator


MOSAIC_SHOWS = 0.7
"""Size of a camera's pixel from which its mosaic and the grain of denoising survive scaling down."""


def linear_light(image: NDArray[np.uint8], size: tuple[int, int], rng: Rng) -> Float:
    """Undo a plausible tone curve of an 8-bit picture, resize it, lift its clipped highlights.

    Args:
        image: (height, width, 3) BGR.
        size: width and height of the result, pixels.
        rng: source of every choice.
    """
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    curve = levels ** np.float32(rng.uniform(1.6, 2.6))
    if rng.uniform() < 0.5:
        curve = _unbent(curve, float(rng.uniform(0, 0.6)))
    method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
    light = cv2.resize(cv2.LUT(image, curve.astype(np.float32)), size, interpolation=method)
    light = np.maximum(light, 0)
    if rng.uniform() < 0.7:
        darkest = cv2.min(cv2.min(light[..., 0], light[..., 1]), light[..., 2])
        knee = np.float32(rng.uniform(0.7, 0.95))
        over = np.clip((darkest - knee) / (1 - knee), 0, 1)
        light = (
            light * (1 + over * over * np.float32(np.exp(rng.uniform(0, np.log(20)))))[..., None]
        )
    return np.asarray(light, np.float32)


def _unbent(curve: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """Return the curve with an S-shaped contrast taken out by `strength`."""
    bent = curve + strength * (curve - curve * curve * (3 - 2 * curve))
    return np.asarray(np.clip(bent, 0, 1), np.float32)


def random_pixel(rng: Rng) -> float:
    """Return the size of a camera's pixel in pixels of the network's view, at most 1."""
    if rng.uniform() < 0.2:
        return 1.0
    return float(np.exp(-rng.uniform(np.log(1.3), np.log(6))))


def develop(radiance: Float, rng: Rng, pixel: float = 1.0) -> NDArray[np.uint8]:
    """Return the BGR uint8 picture that some camera makes of linear `radiance` (height, width, 3).

    Half of the cameras are good ones in good light.

    Args:
        radiance: (height, width, 3) linear light.
        rng: source of every choice.
        pixel: size of the camera's pixels in pixels of `radiance`, at most 1.
    """
    severity = float(rng.choice([0.2, 0.6, 1.0], p=[0.5, 0.25, 0.25]))
    light = _optics(radiance, pixel, rng)
    light = _exposed(light, severity, rng)
    light = _sensor(light, severity, pixel, rng)
    if rng.uniform() < 0.35 * severity:
        light = _denoised(light, pixel, rng)
    picture = _tone_mapped(light, rng)
    stages: list[Callable[[Float, float, Rng], Float]] = []
    for stage, share in (
        (_sharpened, 0.4),
        (_resampled, 0.3 * pixel),
        (_denoised, 0.15),
        (_tinted, 0.3 + 0.3 * severity),
    ):
        if rng.uniform() < share:
            stages.append(stage)
    for index in rng.permutation(len(stages)):
        picture = np.clip(stages[index](picture, pixel, rng), 0, 1)
    finished = np.asarray(picture * 255 + 0.5, np.uint8)
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        finished = _compressed(finished, 100 - (15 + 60 * severity) * pixel, rng)
    if rng.uniform() < 0.06:
        finished = np.asarray(cv2.cvtColor(
            cv2.cvtColor(finished, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)  # fmt: skip
    return finished


def _grey(picture: Float) -> Float:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.float32)[..., None]


def _gaussian(image: Float, sigma: float) -> Float:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)), np.float32)


def _optics(light: Float, pixel: float, rng: Rng) -> Float:
    """Soften by lens and defocus, add veiling glare and vignetting."""
    if rng.uniform() < 0.5:
        light = _gaussian(light, float(rng.uniform(0.2, 0.9)) * pixel)
    if rng.uniform() < 0.15:
        radius = rng.uniform(0.7, 3.0) * max(pixel, 0.5)
        reach = int(np.ceil(radius))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
        kernel = (disc / disc.sum()).astype(np.float32)
        light = np.asarray(cv2.filter2D(light, -1, kernel), np.float32)
    if rng.uniform() < 0.3:
        veil = _gaussian(light, float(rng.uniform(5, 15)))
        light = light + np.float32(rng.uniform(0, 0.15)) * veil
    if rng.uniform() < 0.4:
        height, width = light.shape[:2]
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        centre = rng.uniform(-0.8, 0.8, 2)
        fall = 1 - rng.uniform(0, 0.5) * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 4
        light = light * np.clip(fall, 0.2, 1).astype(np.float32)[..., None]
    return light


def _exposed(light: Float, severity: float, rng: Rng) -> Float:
    """Apply auto exposure, more or less right, and white balance gains."""
    level = float(np.mean(np.minimum(light, 1)))
    target = np.exp(rng.normal(np.log(0.2), 0.15 + 0.4 * severity))
    gain = np.clip(target / max(level, 1e-3), 0.3, 6)
    balance = np.exp(rng.normal(0, 0.05 + 0.06 * severity, 3))
    return np.asarray(light * (gain * balance).astype(np.float32), np.float32)


def _sensor(light: Float, severity: float, pixel: float, rng: Rng) -> Float:
    """Add shot and read noise, clip, and read through a Bayer mosaic or not."""
    strength = np.float32(severity * max(pixel, 0.4))
    light = np.clip(light, 0, 1)
    if rng.uniform() < 0.85:
        read = np.float32(np.exp(rng.uniform(np.log(3e-4), np.log(0.012))))
        shot = np.float32(np.exp(rng.uniform(np.log(1e-5), np.log(4e-3))))
        noise = rng.standard_normal(light.shape, dtype=np.float32)
        if rng.uniform() < 0.4:
            sigma = float(rng.uniform(0.4, 1.2))
            noise = _gaussian(noise, sigma) * np.float32(1 + 2 * sigma)
        light = light + noise * strength * np.sqrt(read * read + shot * light)
    if pixel > MOSAIC_SHOWS and rng.uniform() < 0.3:
        light = _demosaiced(np.clip(light, 0, 1))
    return np.clip(light, 0, 1)


def _demosaiced(light: Float) -> Float:
    raw = np.empty(light.shape[:2], np.uint16)
    levels = (light * 65535).astype(np.uint16)
    raw[0::2, 0::2] = levels[0::2, 0::2, 2]
    raw[0::2, 1::2] = levels[0::2, 1::2, 1]
    raw[1::2, 0::2] = levels[1::2, 0::2, 1]
    raw[1::2, 1::2] = levels[1::2, 1::2, 0]
    return cv2.cvtColor(raw, cv2.COLOR_BayerBG2BGR).astype(np.float32) / np.float32(65535)


def _denoised(picture: Float, pixel: float, rng: Rng) -> Float:
    """Denoise as cameras do: edge-keeping, by median, in colour only, or by softening."""
    kind = rng.integers(4) if pixel > MOSAIC_SHOWS else rng.integers(2, 4)
    if kind == 0:
        return np.asarray(
            cv2.bilateralFilter(
                picture, 5, float(rng.uniform(0.02, 0.15)), float(rng.uniform(1, 3))
            )
        )
    if kind == 1:
        blend = np.float32(rng.uniform(0.3, 1))
        return np.asarray(picture + blend * (cv2.medianBlur(picture, 3) - picture), np.float32)
    if kind == 2:
        grey = _grey(picture)
        return np.asarray(grey + _gaussian(picture - grey, float(rng.uniform(0.5, 3))), np.float32)
    return _gaussian(picture, float(rng.uniform(0.3, 0.8)) * pixel)


def _tone_mapped(light: Float, rng: Rng) -> Float:
    """Apply gamma, S-shaped contrast and, at times, local contrast."""
    picture = np.clip(light, 0, 1) ** np.float32(1 / rng.uniform(1.7, 2.6))
    if rng.uniform() < 0.6:
        bend = np.float32(rng.uniform(-0.3, 0.8))
        picture = picture + bend * (picture * picture * (3 - 2 * picture) - picture)
    if rng.uniform() < 0.3:
        base = _gaussian(picture, float(rng.uniform(6, 20)))
        picture = base * np.float32(rng.uniform(0.7, 1)) + (picture - base) * np.float32(
            rng.uniform(0.9, 1.6)
        )
        picture = picture + np.float32(rng.uniform(0, 0.15))
    return np.asarray(np.clip(picture, 0, 1), np.float32)


def _sharpened(picture: Float, pixel: float, rng: Rng) -> Float:
    # Edges that are steeper than motion left them look like shorter blur: what is sharpened at the
    # camera's size hardly shows in the view, and a network used to more reads lengths too long.
    amount = np.float32(rng.uniform(0.1, 1.5) * pixel)
    reach = max(float(rng.uniform(0.5, 2.5)) * pixel, 0.6)
    return picture + amount * (picture - _gaussian(picture, reach))


def _resampled(picture: Float, pixel: float, rng: Rng) -> Float:
    """Scale down and up again with two methods."""
    height, width = picture.shape[:2]
    scale = rng.uniform(0.6, 0.98)
    methods = [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4]
    small = (max(8, round(width * scale)), max(8, round(height * scale)))
    down = cv2.resize(picture, small, interpolation=int(rng.choice(methods)))
    return np.asarray(
        cv2.resize(down, (width, height), interpolation=int(rng.choice(methods))), np.float32
    )


def _tinted(picture: Float, pixel: float, rng: Rng) -> Float:
    """Change saturation, brightness and add blotchy chroma."""
    grey = _grey(picture)
    picture = grey + (picture - grey) * np.float32(np.exp(rng.normal(0.1, 0.35)))
    picture = picture * np.float32(rng.uniform(0.7, 1.2)) + np.float32(rng.uniform(-0.05, 0.08))
    if rng.uniform() < 0.3:
        height, width = picture.shape[:2]
        blotch = smooth_noise(height, width, width / rng.uniform(4, 16), rng)
        picture = picture + blotch[..., None] * rng.normal(0, 0.01, 3).astype(np.float32)
    return np.asarray(picture, np.float32)


def _compressed(picture: NDArray[np.uint8], worst: float, rng: Rng) -> NDArray[np.uint8]:
    quality = int(rng.uniform(worst, 100))
    sampling = rng.choice([
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ])  # fmt: skip
    ok, data = cv2.imencode(
        ".jpg",
        picture,
        [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, int(sampling)],
    )
    assert ok
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
