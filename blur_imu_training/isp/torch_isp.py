"""From radiance to the pictures of drawn cameras, many at a time on any torch device.

Does what `camera_pipeline.py` does to one picture on the CPU, stage by stage, to those pictures of
a batch whose cameras have the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from blur_imu_training.isp.numpy_isp import DARKEST_CORNER, EXPOSURE_GAINS, disc, resampled_size
from blur_imu_training.isp.parameters import (
    Denoising,
    IspParameters,
    LocalContrast,
    Resampling,
    Sharpening,
    Smoothing,
    Tint,
)
from blur_imu_training.isp.torch_jpeg import compressed
from blur_imu_training.isp.torch_video import video_coded

Choice = TypeVar("Choice")

WIDEST_DISC = 3
"""Pixels; `random_camera` draws no wider defocus."""

BILATERAL_REACH = 2

GREY = (0.114, 0.587, 0.299)


def apply_isp(light: Tensor, cameras: Sequence[IspParameters]) -> Tensor:
    """Return the pictures (n, 3, height, width), BGR from 0 to 255, that cameras make of linear
    light."""
    light = _exposed(_optics(light, cameras), cameras)
    light = _sensor(light, cameras)
    light = _where(light, [c.raw_denoising for c in cameras], _denoised)
    pictures = _tone_mapped(light, cameras)
    for number in range(max(len(c.stages) for c in cameras)):
        here = [c.stages[number] if number < len(c.stages) else None for c in cameras]
        for kind, change in _STAGES.items():
            chosen = [stage if isinstance(stage, kind) else None for stage in here]
            pictures = _where(pictures, chosen, change)
        pictures = pictures.clamp(0, 1)
    finished = (pictures * 255 + 0.5).floor()
    for block in (4, 8):
        videos = [
            c.video if c.video is not None and c.video.block == block else None for c in cameras
        ]
        finished = _where(finished, videos, video_coded)
    for number in range(max(len(c.compressions) for c in cameras)):
        files = [c.compressions[number] if number < len(c.compressions) else None for c in cameras]
        for halved in (False, True):
            alike = [f if f is not None and f.halved is halved else None for f in files]
            finished = _where(finished, alike, compressed)
    return _where(finished, _flags([c.grey for c in cameras]), _without_colour)


def _without_colour(pictures: Tensor, _: list[bool]) -> Tensor:
    return _grey(pictures).round().expand_as(pictures)


def _where(
    pictures: Tensor,
    choices: Sequence[Choice | None],
    change: Callable[[Tensor, list[Choice]], Tensor],
) -> Tensor:
    """Return the pictures, changed where there is a choice."""
    rows = [row for row, choice in enumerate(choices) if choice is not None]
    chosen = [choice for choice in choices if choice is not None]
    if not rows:
        return pictures
    if len(rows) == len(pictures):
        return change(pictures, chosen)
    index = torch.tensor(rows, device=pictures.device)
    return pictures.index_copy(0, index, change(pictures[index], chosen))


def _each(values: Sequence[float], like: Tensor) -> Tensor:
    """Return a number for each picture, (n, 1, 1, 1)."""
    return like.new_tensor(list(values)).reshape(-1, 1, 1, 1)


def _or_none(values: Sequence[float]) -> list[float | None]:
    return [value or None for value in values]


def _flags(values: Sequence[bool]) -> list[bool | None]:
    return [value or None for value in values]


# --- linear operators on rows and columns
# -----------------------------------------------------------


@cache
def resizing(before: int, after: int, method: int) -> NDArray[np.float32]:
    """Return the matrix (after, before) by which OpenCV resizes a column of pixels."""
    unit = np.eye(before, dtype=np.float32)
    return np.asarray(cv2.resize(unit, (before, after), interpolation=method), np.float32)


def resized(pictures: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Return pictures with matrices (..., after, before) applied to their columns and rows."""
    if rows.ndim == 3:
        rows, columns = rows[:, None], columns[:, None]
    return rows @ pictures @ columns.transpose(-1, -2)


def gaussian(pictures: Tensor, sigma: Sequence[float]) -> Tensor:
    """Return pictures, each smoothed by its own standard deviation; borders are reflected."""
    sides = [_gaussian_matrix(side, pictures, tuple(sigma)) for side in pictures.shape[-2:]]
    return resized(pictures, sides[1], sides[0])


def _gaussian_matrix(side: int, like: Tensor, sigma: tuple[float, ...]) -> Tensor:
    """Return (n, side, side)."""
    source = torch.arange(side, device=like.device, dtype=like.dtype)
    to = source[:, None]
    width = like.new_tensor([max(one, 0.1) for one in sigma])[:, None, None]
    inner = (source > 0) & (source < side - 1)
    matrix = like.new_zeros(len(sigma), side, side)
    for period in range(-2, 3):
        turn = 2 * (side - 1) * period
        matrix += torch.exp(-0.5 * ((to - source - turn) / width) ** 2)
        matrix += torch.exp(-0.5 * ((to + source - turn) / width) ** 2) * inner
    return matrix / matrix.sum(-1, keepdim=True)


def _grey(pictures: Tensor) -> Tensor:
    return torch.einsum("c,nchw->nhw", pictures.new_tensor(GREY), pictures)[:, None]


# --- optics and sensor
# --------------------------------------------------------------------------------


def _optics(light: Tensor, cameras: Sequence[IspParameters]) -> Tensor:
    light = _where(light, _or_none([c.softness for c in cameras]), gaussian)
    light = _where(light, _or_none([c.defocus for c in cameras]), _defocused)
    light = _where(light, [c if c.glare else None for c in cameras], _glaring)
    return _where(light, [c if c.vignette else None for c in cameras], _vignetted)


def _defocused(light: Tensor, radii: list[float]) -> Tensor:
    n, channels, height, width = light.shape
    kernels = np.stack([disc(radius, WIDEST_DISC) for radius in radii])
    weights = torch.as_tensor(kernels, device=light.device).repeat_interleave(channels, 0)[:, None]
    padded = functional.pad(light, (WIDEST_DISC,) * 4, mode="reflect").reshape(
        1, n * channels, height + 2 * WIDEST_DISC, width + 2 * WIDEST_DISC
    )
    return functional.conv2d(padded, weights, groups=n * channels).reshape(light.shape)


def _glaring(light: Tensor, cameras: list[IspParameters]) -> Tensor:
    veil = gaussian(light, [c.glare_reach for c in cameras])
    return light + _each([c.glare for c in cameras], light) * veil


def _vignetted(light: Tensor, cameras: list[IspParameters]) -> Tensor:
    height, width = light.shape[-2:]
    y = torch.linspace(-1, 1, height, device=light.device)[:, None]
    x = torch.linspace(-1, 1, width, device=light.device)
    across = x - _each([c.vignette_centre[0] for c in cameras], light)
    down = y - _each([c.vignette_centre[1] for c in cameras], light)
    fall = 1 - _each([c.vignette for c in cameras], light) * (across**2 + down**2) / 4
    return light * fall.clamp(DARKEST_CORNER, 1)


def _exposed(light: Tensor, cameras: Sequence[IspParameters]) -> Tensor:
    level = light.clamp(max=1).mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
    gain = (_each([c.target for c in cameras], light) / level).clamp(*EXPOSURE_GAINS)
    balance = light.new_tensor([c.balance for c in cameras])[..., None, None]
    return light * gain * balance


def _sensor(light: Tensor, cameras: Sequence[IspParameters]) -> Tensor:
    light = light.clamp(0, 1)
    light = _where(light, [c if c.noise else None for c in cameras], _noisy)
    light = _where(light, _flags([c.mosaic for c in cameras]), _demosaiced)
    return light.clamp(0, 1)


def _noisy(light: Tensor, cameras: list[IspParameters]) -> Tensor:
    noise = standard_normal(light, [c.seed for c in cameras])
    grain = [c.grain for c in cameras]
    noise = _where(noise, _or_none(grain), gaussian) * (1 + 2 * _each(grain, light))
    read = _each([c.read * c.read for c in cameras], light)
    shot = _each([c.shot for c in cameras], light)
    return light + noise * _each([c.noise for c in cameras], light) * (read + shot * light).sqrt()


def standard_normal(like: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return numbers of the shape of `like` that depend on each picture's seed and the kind of
    device."""
    generator = torch.Generator(device=like.device)
    return torch.stack([
        torch.randn(
            like.shape[1:],
            generator=generator.manual_seed(seed),
            device=like.device,
            dtype=like.dtype,
        )
        for seed in seeds
    ])  # fmt: skip


def _demosaiced(light: Tensor, _: list[bool]) -> Tensor:
    """Read one colour a pixel (RG in even rows, GB in odd), the others between their neighbours."""
    height, width = light.shape[-2:]
    odd_row = torch.arange(height, device=light.device)[:, None] % 2
    odd_column = torch.arange(width, device=light.device) % 2
    blue, red = odd_row * odd_column, (1 - odd_row) * (1 - odd_column)
    seen = torch.stack([blue, 1 - blue - red, red])
    square, cross = [[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], [[0.0, 1, 0], [1, 4, 1], [0, 1, 0]]
    weights = light.new_tensor([square, cross, square])[:, None]
    mask = seen.to(light.dtype)

    def spread(values: Tensor) -> Tensor:
        padded = functional.pad(values, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(padded, weights, groups=3)

    return spread(light.clamp(0, 1) * mask) / spread(mask[None])


# --- what the camera makes of it
# ------------------------------------------------------------------------


def _denoised(pictures: Tensor, choices: list[Denoising]) -> Tensor:
    changes: dict[Smoothing, Callable[[Tensor, list[Denoising]], Tensor]] = {
        Smoothing.EDGE_KEEPING: _bilateral,
        Smoothing.MEDIAN: _median,
        Smoothing.COLOUR: _smooth_in_colour,
        Smoothing.SOFTENING: lambda p, some: gaussian(p, [one.reach for one in some]),
    }
    for kind, change in changes.items():
        pictures = _where(pictures, [one if one.kind is kind else None for one in choices], change)
    return pictures


def _bilateral(pictures: Tensor, choices: list[Denoising]) -> Tensor:
    height, width = pictures.shape[-2:]
    reach = BILATERAL_REACH
    near = _each([-0.5 / one.reach**2 for one in choices], pictures)
    alike = _each([-0.5 / one.tolerance**2 for one in choices], pictures)
    padded = functional.pad(pictures, (reach,) * 4, mode="reflect")
    total, weights = torch.zeros_like(pictures), torch.zeros_like(pictures[:, :1])
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx > reach * reach:
                continue
            other = padded[..., reach + dy :, reach + dx :][..., :height, :width]
            apart = (other - pictures).abs().sum(1, keepdim=True)
            weight = torch.exp(near * (dy * dy + dx * dx) + alike * apart * apart)
            total, weights = total + weight * other, weights + weight
    return total / weights


def _median(pictures: Tensor, choices: list[Denoising]) -> Tensor:
    height, width = pictures.shape[-2:]
    padded = functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    around = [padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
    median = torch.stack(around).median(0).values
    return torch.lerp(pictures, median, _each([one.blend for one in choices], pictures))


def _smooth_in_colour(pictures: Tensor, choices: list[Denoising]) -> Tensor:
    grey = _grey(pictures)
    return grey + gaussian(pictures - grey, [one.reach for one in choices])


def _tone_mapped(light: Tensor, cameras: Sequence[IspParameters]) -> Tensor:
    pictures = light.clamp(0, 1) ** _each([1 / c.gamma for c in cameras], light)
    s_shaped = pictures * pictures * (3 - 2 * pictures)
    pictures = torch.lerp(pictures, s_shaped, _each([c.tone_curve for c in cameras], light))
    pictures = _where(pictures, [c.local_contrast for c in cameras], _with_local_contrast)
    return pictures.clamp(0, 1)


def _with_local_contrast(pictures: Tensor, choices: list[LocalContrast]) -> Tensor:
    each = partial(_each, like=pictures)
    base = gaussian(pictures, [one.reach for one in choices])
    detail = (pictures - base) * each([one.detail for one in choices])
    return base * each([one.base for one in choices]) + detail + each([one.lift for one in choices])


def _sharpened(pictures: Tensor, choices: list[Sharpening]) -> Tensor:
    soft = gaussian(pictures, [one.reach for one in choices])
    return pictures + _each([one.amount for one in choices], pictures) * (pictures - soft)


def _resampled(pictures: Tensor, choices: list[Resampling]) -> Tensor:
    height, width = pictures.shape[-2:]
    rows, columns = [], []
    for one in choices:
        small = resampled_size(width, height, one.scale)
        columns.append(resizing(small[0], width, one.up) @ resizing(width, small[0], one.down))
        rows.append(resizing(small[1], height, one.up) @ resizing(height, small[1], one.down))
    matrices = [torch.as_tensor(np.stack(m), device=pictures.device) for m in (columns, rows)]
    return resized(pictures, *matrices)


def _tinted(pictures: Tensor, choices: list[Tint]) -> Tensor:
    each = partial(_each, like=pictures)
    grey = _grey(pictures)
    pictures = grey + (pictures - grey) * each([one.saturation for one in choices])
    pictures = pictures * each([one.gain for one in choices])
    pictures = pictures + each([one.offset for one in choices])
    return _where(
        pictures, [one if one.blotches is not None else None for one in choices], _blotchy
    )


def _blotchy(pictures: Tensor, choices: list[Tint]) -> Tensor:
    height, width = pictures.shape[-2:]
    full = [
        cv2.resize(one.blotches, (width, height), interpolation=cv2.INTER_CUBIC)
        for one in choices
        if one.blotches is not None
    ]
    laid = torch.as_tensor(np.stack(full), device=pictures.device)
    return pictures + laid.permute(0, 3, 1, 2)


_STAGES: dict[type, Callable[[Tensor, list[Any]], Tensor]] = {
    Denoising: _denoised,
    Sharpening: _sharpened,
    Resampling: _resampled,
    Tint: _tinted,
}
