"""From radiance on the sensor to the picture that a drawn camera hands out, one at a time on the
CPU."""

from __future__ import annotations

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Float32, Image
from blur_imu_training.isp.parameters import (
    Compression,
    Denoising,
    IspParameters,
    Light,
    LocalContrast,
    Resampling,
    Sharpening,
    Smoothing,
    Stage,
    Tint,
)
from blur_imu_training.isp.video_coding import video_coded

DARKEST_CORNER = 0.2
EXPOSURE_GAINS = (0.3, 6.0)
"""What automatic exposure may do at most."""


def linear_light(image: Image, light: Light) -> Float32:
    """Return the linear light (height, width, 3) of an 8-bit BGR picture, its highlights lifted."""
    radiance = np.asarray(cv2.LUT(image, light.curve), np.float32)
    if not light.lift:
        return radiance
    darkest = cv2.min(cv2.min(radiance[..., 0], radiance[..., 1]), radiance[..., 2])
    over = np.clip((darkest - np.float32(light.knee)) / np.float32(1 - light.knee), 0, 1)
    return np.asarray(radiance * (1 + over * over * np.float32(light.lift))[..., None], np.float32)


def apply_isp(radiance: Float32, camera: IspParameters) -> Image:
    """Return the BGR uint8 picture that a camera makes of linear `radiance` (height, width, 3)."""
    light = _exposed(_optics(radiance, camera), camera)
    light = _sensor(light, camera)
    if camera.raw_denoising is not None:
        light = _denoised(light, camera.raw_denoising)
    picture = _tone_mapped(light, camera)
    for stage in camera.stages:
        picture = np.clip(_applied(picture, stage), 0, 1)
    finished = np.asarray(picture * 255 + 0.5, np.uint8)
    if camera.video is not None:
        finished = video_coded(finished, camera.video)
    for compression in camera.compressions:
        finished = _compressed(finished, compression)
    if camera.grey:
        finished = np.asarray(cv2.cvtColor(
            cv2.cvtColor(finished, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)  # fmt: skip
    return finished


def _grey(picture: Float32) -> Float32:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.float32)[..., None]


def _gaussian(image: Float32, sigma: float) -> Float32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1)), np.float32)


def disc(radius: float, reach: int) -> Float32:
    """Return the kernel (2 reach + 1, 2 reach + 1) of a defocused point."""
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _optics(light: Float32, camera: IspParameters) -> Float32:
    """Soften by lens and defocus, add veiling glare and vignetting."""
    if camera.softness:
        light = _gaussian(light, camera.softness)
    if camera.defocus:
        kernel = disc(camera.defocus, int(np.ceil(camera.defocus)))
        light = np.asarray(cv2.filter2D(light, -1, kernel), np.float32)
    if camera.glare:
        light = light + np.float32(camera.glare) * _gaussian(light, camera.glare_reach)
    if camera.vignette:
        height, width = light.shape[:2]
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        centre = camera.vignette_centre
        fall = 1 - camera.vignette * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 4
        light = light * np.clip(fall, DARKEST_CORNER, 1).astype(np.float32)[..., None]
    return light


def _exposed(light: Float32, camera: IspParameters) -> Float32:
    """Apply auto exposure, more or less right, and white balance gains."""
    level = float(np.mean(np.minimum(light, 1)))
    gain = np.clip(camera.target / max(level, 1e-3), *EXPOSURE_GAINS)
    return np.asarray(light * (gain * np.array(camera.balance)).astype(np.float32), np.float32)


def _sensor(light: Float32, camera: IspParameters) -> Float32:
    """Add shot and read noise, clip, and read through a Bayer mosaic or not."""
    light = np.clip(light, 0, 1)
    if camera.noise:
        read, shot = np.float32(camera.read), np.float32(camera.shot)
        rng = np.random.default_rng(camera.seed)
        noise = rng.standard_normal(light.shape, dtype=np.float32)
        if camera.grain:
            noise = _gaussian(noise, camera.grain) * np.float32(1 + 2 * camera.grain)
        light = light + noise * np.float32(camera.noise) * np.sqrt(read * read + shot * light)
    if camera.mosaic:
        light = _demosaiced(np.clip(light, 0, 1))
    return np.clip(light, 0, 1)


def _demosaiced(light: Float32) -> Float32:
    raw = np.empty(light.shape[:2], np.uint16)
    levels = (light * 65535).astype(np.uint16)
    raw[0::2, 0::2] = levels[0::2, 0::2, 2]
    raw[0::2, 1::2] = levels[0::2, 1::2, 1]
    raw[1::2, 0::2] = levels[1::2, 0::2, 1]
    raw[1::2, 1::2] = levels[1::2, 1::2, 0]
    return cv2.cvtColor(raw, cv2.COLOR_BayerBG2BGR).astype(np.float32) / np.float32(65535)


def _denoised(picture: Float32, denoising: Denoising) -> Float32:
    """Denoise as cameras do: edge-keeping, by median, in colour only, or by softening."""
    if denoising.kind is Smoothing.EDGE_KEEPING:
        return np.asarray(
            cv2.bilateralFilter(picture, 5, denoising.tolerance, denoising.reach), np.float32
        )
    if denoising.kind is Smoothing.MEDIAN:
        blend = np.float32(denoising.blend)
        return np.asarray(picture + blend * (cv2.medianBlur(picture, 3) - picture), np.float32)
    if denoising.kind is Smoothing.COLOUR:
        grey = _grey(picture)
        return np.asarray(grey + _gaussian(picture - grey, denoising.reach), np.float32)
    return _gaussian(picture, denoising.reach)


def _tone_mapped(light: Float32, camera: IspParameters) -> Float32:
    """Apply gamma, S-shaped contrast and, at times, local contrast."""
    picture = np.clip(light, 0, 1) ** np.float32(1 / camera.gamma)
    if camera.tone_curve:
        s_shaped = picture * picture * (3 - 2 * picture)
        picture = picture + np.float32(camera.tone_curve) * (s_shaped - picture)
    if camera.local_contrast is not None:
        picture = _with_local_contrast(picture, camera.local_contrast)
    return np.asarray(np.clip(picture, 0, 1), np.float32)


def _with_local_contrast(picture: Float32, local: LocalContrast) -> Float32:
    base = _gaussian(picture, local.reach)
    picture = base * np.float32(local.base) + (picture - base) * np.float32(local.detail)
    return np.asarray(picture + np.float32(local.lift), np.float32)


def _applied(picture: Float32, stage: Stage) -> Float32:
    if isinstance(stage, Sharpening):
        return picture + np.float32(stage.amount) * (picture - _gaussian(picture, stage.reach))
    if isinstance(stage, Resampling):
        return _resampled(picture, stage)
    if isinstance(stage, Tint):
        return _tinted(picture, stage)
    return _denoised(picture, stage)


def _resampled(picture: Float32, stage: Resampling) -> Float32:
    """Scale down and up again."""
    height, width = picture.shape[:2]
    small = resampled_size(width, height, stage.scale)
    down = cv2.resize(picture, small, interpolation=stage.down)
    return np.asarray(cv2.resize(down, (width, height), interpolation=stage.up), np.float32)


def resampled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Return width and height between the two resamplings."""
    return max(8, round(width * scale)), max(8, round(height * scale))


def _tinted(picture: Float32, tint: Tint) -> Float32:
    """Change saturation and brightness and add blotchy chroma."""
    grey = _grey(picture)
    picture = grey + (picture - grey) * np.float32(tint.saturation)
    picture = picture * np.float32(tint.gain) + np.float32(tint.offset)
    if tint.blotches is not None:
        size = (picture.shape[1], picture.shape[0])
        picture = picture + cv2.resize(tint.blotches, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(picture, np.float32)


def _compressed(picture: Image, compression: Compression) -> Image:
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        if compression.halved
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    )
    settings = (cv2.IMWRITE_JPEG_QUALITY, compression.quality)
    ok, data = cv2.imencode(
        ".jpg", picture, [*settings, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, int(sampling)]
    )
    assert ok
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
