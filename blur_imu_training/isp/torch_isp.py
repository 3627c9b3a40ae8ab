"""From radiance to the pictures of drawn cameras, many at a time on any torch device.

Does what `numpy_isp.py` does to one picture on the CPU, stage by stage, to those pictures of a
batch whose cameras have the stage. What the stages need is laid out beforehand (`plan_of`), by the
processes that load: on a GPU each number that is fetched while it works makes it wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
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
    Resampling,
    Sharpening,
    Smoothing,
    Tint,
)
from blur_imu_training.isp.torch_jpeg import compressed, compression_values
from blur_imu_training.isp.torch_video import video_coded, video_values
from blur_imu_training.packing import mapped

Choice = TypeVar("Choice")

WIDEST_DISC = 3
"""Pixels; `random_camera` draws no wider defocus."""

BILATERAL_REACH = 2

_SIDE = range(-BILATERAL_REACH, BILATERAL_REACH + 1)
_IN_REACH = [(x, y) for y in _SIDE for x in _SIDE if x * x + y * y <= BILATERAL_REACH**2]

WIDEST_TAPS = 8
"""Pixels beside each other that OpenCV makes one of, at the scales of `Resampling`."""

LEAST_SHARE = 1e-9
"""Of a pixel: what is less is rounding."""


@dataclass(frozen=True)
class Step:
    """What is done to some pictures of a batch.

    Attributes:
        change: called with these pictures and `values`.
        rows: (k,) their numbers, or None for all.
        values: tensors, one row for each of them, and what else it needs.
    """

    change: Callable[..., Tensor]
    rows: Tensor | None
    values: tuple[Any, ...]


Plan = tuple[Step, ...]


@dataclass(frozen=True)
class Softness:
    """Standard deviations (n, 1, 1, 1), pixels, of as many pictures."""

    sigma: Tensor


@dataclass(frozen=True)
class Softening:
    """The matrices (n, side, side) by which columns and rows of pictures are softened."""

    columns: Tensor
    rows: Tensor


def apply_isp(light: Tensor, cameras: Sequence[IspParameters]) -> Tensor:
    """Return the pictures (n, 3, height, width), BGR from 0 to 255, that cameras make of linear
    light on the CPU."""
    height, width = light.shape[-2:]
    return carried_out(plan_of(cameras, width, height), light)


def carried_out(plan: Plan, pictures: Tensor) -> Tensor:
    """Return pictures (n, 3, height, width) after all steps of a plan, which is on their device."""
    height, width = pictures.shape[-2:]
    for step in _with_matrices(plan, width, height):
        pictures = _after(step, pictures)
    return pictures


def _after(step: Step, pictures: Tensor) -> Tensor:
    if step.rows is None:
        return step.change(pictures, *step.values)
    changed = step.change(pictures.index_select(0, step.rows), *step.values)
    return pictures.index_copy(0, step.rows, changed)


# --- in the processes that load: what is done to which pictures -----------------------------------


def plan_of(cameras: Sequence[IspParameters], width: int, height: int) -> Plan:
    """Return what cameras do to linear light of this size, their values on the CPU."""
    return (
        *_optical_steps(cameras),
        *_sensor_steps(cameras),
        *_denoising_steps([c.raw_denoising for c in cameras]),
        Step(_tone_mapped, None, (1 / _column(cameras, "gamma"), _column(cameras, "tone_curve"))),
        *_steps(
            _with_local_contrast,
            [c.local_contrast for c in cameras],
            lambda some: (
                _reach(some),
                *(_column(some, name) for name in ("base", "detail", "lift")),
            ),
        ),
        Step(_within_0_and_1, None, ()),
        *_later_steps(cameras, width, height),
        Step(_in_levels, None, ()),
        *_coding_steps(cameras),
        *_steps(_without_colour, [c if c.grey else None for c in cameras]),
    )


def _steps(
    change: Callable[..., Tensor],
    choices: Sequence[Choice | None],
    values: Callable[[list[Choice]], tuple[Any, ...]] = lambda _: (),
) -> Plan:
    """Return the step that changes the pictures for which there is a choice, if there are any."""
    rows = [row for row, choice in enumerate(choices) if choice is not None]
    chosen = [choice for choice in choices if choice is not None]
    if not rows:
        return ()
    return (
        Step(change, None if len(rows) == len(choices) else torch.tensor(rows), values(chosen)),
    )


def _column(choices: Iterable[Any], name: str) -> Tensor:
    """Return an attribute of each, (n, 1, 1, 1)."""
    return _numbers([getattr(choice, name) for choice in choices])


def _numbers(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)


def _softness(sigma: Sequence[float]) -> tuple[Softness]:
    return (Softness(_numbers(sigma)),)


def _reach(choices: Iterable[Any], name: str = "reach") -> Softness:
    return Softness(_column(choices, name))


def _optical_steps(cameras: Sequence[IspParameters]) -> Plan:
    return (
        *_steps(gaussian, [c.softness or None for c in cameras], _softness),
        *_steps(_defocused, [c.defocus or None for c in cameras], _discs),
        *_steps(
            _glaring,
            [c if c.glare else None for c in cameras],
            lambda some: (_reach(some, "glare_reach"), _column(some, "glare")),
        ),
        *_steps(_vignetted, [c if c.vignette else None for c in cameras], _vignettes),
    )


def _discs(radii: list[float]) -> tuple[Tensor]:
    return (torch.from_numpy(np.stack([disc(radius, WIDEST_DISC) for radius in radii])),)


def _vignettes(cameras: list[IspParameters]) -> tuple[Tensor, ...]:
    x, y = (_numbers([c.vignette_centre[axis] for c in cameras]) for axis in (0, 1))
    return x, y, _column(cameras, "vignette")


def _sensor_steps(cameras: Sequence[IspParameters]) -> Plan:
    balance = torch.tensor([c.balance for c in cameras], dtype=torch.float32)[..., None, None]
    return (
        Step(_exposed, None, (_column(cameras, "target"), balance)),
        *_steps(_noisy, [c if c.noise else None for c in cameras], _noises),
        *_steps(_demosaiced, [c if c.mosaic else None for c in cameras]),
        Step(_within_0_and_1, None, ()),
    )


def _noises(cameras: list[IspParameters]) -> tuple[Any, ...]:
    grain = [c.grain for c in cameras]
    return (
        tuple(c.seed for c in cameras),
        _steps(gaussian, [one or None for one in grain], _softness),
        _numbers([c.noise * (1 + 2 * c.grain) for c in cameras]),
        _numbers([c.read * c.read for c in cameras]),
        _column(cameras, "shot"),
    )


def _denoising_steps(choices: Sequence[Denoising | None]) -> Plan:
    steps: list[Step] = []
    for kind, (change, values) in _DENOISING.items():
        chosen = [one if one is not None and one.kind is kind else None for one in choices]
        steps += _steps(change, chosen, values)
    return tuple(steps)


def _tolerances(choices: list[Denoising]) -> tuple[Tensor, Tensor]:
    """Return logarithms of shares by distance, (k, in reach, 1, 1, 1), and by difference."""
    squares = np.array([x * x + y * y for x, y in _IN_REACH])
    near = [-0.5 * squares / one.reach**2 for one in choices]
    return (
        torch.from_numpy(np.stack(near).astype(np.float32))[..., None, None, None],
        _numbers([-0.5 / one.tolerance**2 for one in choices]),
    )


def _later_steps(cameras: Sequence[IspParameters], width: int, height: int) -> Plan:
    steps: list[Step] = []
    for number in range(max(len(c.stages) for c in cameras)):
        here = [c.stages[number] if number < len(c.stages) else None for c in cameras]
        sharpenings, resamplings, tints, denoisings = (
            [one if isinstance(one, kind) else None for one in here]
            for kind in (Sharpening, Resampling, Tint, Denoising)
        )
        steps += _denoising_steps(denoisings)  # type: ignore[arg-type]
        steps += _steps(_sharpened, sharpenings, lambda s: (_reach(s), _column(s, "amount")))
        steps += _steps(_resampled, resamplings, lambda s: _resamplings(s, width, height))  # type: ignore[arg-type]
        steps += _steps(
            _tinted,
            tints,
            lambda s: tuple(_column(s, name) for name in ("saturation", "gain", "offset")),
        )
        blotchy = [
            one if isinstance(one, Tint) and one.blotches is not None else None for one in here
        ]
        steps += _steps(_blotchy, blotchy, lambda s: _blotches(s, width, height))
        steps.append(Step(_within_0_and_1, None, ()))
    return tuple(steps)


def _resamplings(choices: list[Resampling], width: int, height: int) -> tuple[Tensor, ...]:
    """Return of columns and rows, each down and up, from where and how much, (k, after, taps)."""
    sizes = [resampled_size(width, height, one.scale) for one in choices]
    found: list[Tensor] = []
    for axis, full in enumerate((width, height)):
        most = max(size[axis] for size in sizes)
        for is_up in (False, True):
            taps = [
                _taps(small[axis], full, one.up) if is_up else _taps(full, small[axis], one.down)
                for one, small in zip(choices, sizes, strict=True)
            ]
            for part in (0, 1):
                padded = [
                    np.pad(t[part], ((0, 0 if is_up else most - len(t[part])), (0, 0)))
                    for t in taps
                ]
                found.append(torch.from_numpy(np.stack(padded)))
    return tuple(found)


@cache
def _taps(before: int, after: int, method: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which pixels a resized one is made of, (after, taps), and the shares of them."""
    matrix = resizing(before, after, method)
    first = np.argmax(np.abs(matrix) > LEAST_SHARE, axis=1).clip(max=before - WIDEST_TAPS)
    which = first[:, None] + np.arange(WIDEST_TAPS)
    return which, np.take_along_axis(matrix, which, axis=1)


def _blotches(choices: list[Tint], width: int, height: int) -> tuple[Tensor, ...]:
    """Return blotches (k, 3, most rows, most columns) and matrices that spread them."""
    drawn = [one.blotches for one in choices if one.blotches is not None]
    rows, columns = (max(one.shape[axis] for one in drawn) for axis in (0, 1))
    blotches = np.zeros((len(drawn), 3, rows, columns), np.float32)
    down = np.zeros((len(drawn), height, rows), np.float32)
    across = np.zeros((len(drawn), width, columns), np.float32)
    for k, one in enumerate(drawn):
        blotches[k, :, : one.shape[0], : one.shape[1]] = one.transpose(2, 0, 1)
        down[k, :, : one.shape[0]] = resizing(one.shape[0], height, cv2.INTER_CUBIC)
        across[k, :, : one.shape[1]] = resizing(one.shape[1], width, cv2.INTER_CUBIC)
    return tuple(torch.from_numpy(one) for one in (blotches, across, down))


def _coding_steps(cameras: Sequence[IspParameters]) -> Plan:
    steps: list[Step] = []
    for block in (4, 8):
        videos = [
            c.video if c.video is not None and c.video.block == block else None for c in cameras
        ]
        steps += _steps(video_coded, videos, video_values)
    for number in range(max(len(c.compressions) for c in cameras)):
        files = [c.compressions[number] if number < len(c.compressions) else None for c in cameras]
        for halved in (False, True):
            alike = [f if f is not None and f.halved is halved else None for f in files]
            steps += _steps(compressed, alike, compression_values)
    return tuple(steps)


# --- linear operators on rows and columns
# -----------------------------------------------------------


@cache
def resizing(before: int, after: int, method: int) -> NDArray[np.float32]:
    """Return the matrix (after, before) by which OpenCV resizes a column of pixels."""
    unit = np.eye(before, dtype=np.float32)
    return np.asarray(cv2.resize(unit, (before, after), interpolation=method), np.float32)


def resized(pictures: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Return pictures with matrices (..., after, before) applied to their columns and rows."""
    n, channels, height, _ = pictures.shape
    across = pictures.reshape(n, channels * height, -1) @ columns.transpose(-1, -2)
    down = rows[:, None] if rows.ndim == 3 else rows
    return torch.matmul(down, across.unflatten(1, (channels, height)))


def gaussian(pictures: Tensor, by: Softening) -> Tensor:
    """Return pictures, each smoothed by its own standard deviation; borders are reflected."""
    return resized(pictures, by.columns, by.rows)


def _with_matrices(plan: Plan, width: int, height: int) -> Plan:
    """Return a plan with the matrices of all that is to be softened, which are calculated at
    once."""
    found: list[Softness] = []
    mapped(plan, lambda one: found.append(one) if isinstance(one, Softness) else None, Softness)
    if not found:
        return plan
    counts = [len(one.sigma) for one in found]
    sigma = torch.cat([one.sigma[:, 0] for one in found])
    parts = [_gaussian_matrix(side, sigma).split(counts) for side in (width, height)]
    each = (Softening(*of_both) for of_both in zip(*parts, strict=True))
    done: Plan = mapped(
        plan, lambda one: next(each) if isinstance(one, Softness) else one, Softness
    )
    return done


def _gaussian_matrix(side: int, sigma: Tensor) -> Tensor:
    """Return (n, side, side) of standard deviations (n, 1, 1)."""
    apart, direct, mirrored, inner = (
        kept_on(sigma.device, one) for one in _reflected_distances(side)
    )
    near = -0.5 / sigma.clamp(min=0.1).square()
    share = torch.exp(near * apart).sum(1)  # (n, distances)
    matrix = torch.addcmul(share[:, direct], share[:, mirrored], inner)
    return matrix / matrix.sum(-1, keepdim=True)


@cache
def _reflected_distances(side: int) -> tuple[NDArray[Any], ...]:
    """Return what matrices between pixels of a row that mirrors reflect are made of.

    Squared distances (periods, distances) of pixels so many apart, over all periods; the distance
    (side, side) of each pixel from each, and from its mirror image; and 1 for pixels that have one.
    """
    period = max(2 * (side - 1), 1)
    pixel = np.arange(side)
    turns = period * np.arange(-2, 4)[:, None]
    squares = (np.arange(period) - turns).astype(np.float32) ** 2
    direct, mirrored = (pixel[:, None] - pixel) % period, (pixel[:, None] + pixel) % period
    inner = ((pixel > 0) & (pixel < side - 1)).astype(np.float32)
    return squares, direct, mirrored, inner


_KEPT: dict[tuple[int, torch.device], Tensor] = {}


def kept_on(device: torch.device, array: NDArray[Any]) -> Tensor:
    """Return an array that lives to the end of the process; a GPU fetches it only once."""
    there = torch.from_numpy(array)
    if device.type != "cuda":
        return there.to(device)
    key = (id(array), device)
    if key not in _KEPT:
        _KEPT[key] = there.to(device)
    return _KEPT[key]


def _grey(pictures: Tensor) -> Tensor:
    blue, green, red = pictures.unbind(1)
    return (0.114 * blue + 0.587 * green + 0.299 * red)[:, None]


# --- optics and sensor
# --------------------------------------------------------------------------------


def _within_0_and_1(pictures: Tensor) -> Tensor:
    return pictures.clamp(0, 1)


def _defocused(light: Tensor, kernels: Tensor) -> Tensor:
    n, channels, height, width = light.shape
    weights = kernels.repeat_interleave(channels, 0)[:, None]
    padded = functional.pad(light, (WIDEST_DISC,) * 4, mode="reflect").reshape(
        1, n * channels, height + 2 * WIDEST_DISC, width + 2 * WIDEST_DISC
    )
    return functional.conv2d(padded, weights, groups=n * channels).reshape(light.shape)


def _glaring(light: Tensor, reach: Softening, glare: Tensor) -> Tensor:
    return light + glare * gaussian(light, reach)


def _vignetted(light: Tensor, x: Tensor, y: Tensor, vignette: Tensor) -> Tensor:
    height, width = light.shape[-2:]
    down = torch.linspace(-1, 1, height, device=light.device)[:, None] - y
    across = torch.linspace(-1, 1, width, device=light.device) - x
    fall = 1 - vignette * (across**2 + down**2) / 4
    return light * fall.clamp(DARKEST_CORNER, 1)


def _exposed(light: Tensor, target: Tensor, balance: Tensor) -> Tensor:
    level = light.clamp(max=1).mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
    return (light * ((target / level).clamp(*EXPOSURE_GAINS) * balance)).clamp(0, 1)


def _noisy(
    light: Tensor, seeds: tuple[int, ...], grain: Plan, noise: Tensor, read: Tensor, shot: Tensor
) -> Tensor:
    drawn = carried_out(grain, standard_normal(light, seeds))
    return light + drawn * noise * (read + shot * light).sqrt()


def standard_normal(like: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return numbers of the shape of `like` that depend on each picture's seed and the kind of
    device."""
    generator = torch.Generator(device=like.device)
    numbers = torch.empty_like(like, memory_format=torch.contiguous_format)
    for picture, seed in zip(numbers, seeds, strict=True):
        picture.normal_(generator=generator.manual_seed(seed))
    return numbers


def _demosaiced(light: Tensor) -> Tensor:
    """Read one colour a pixel (RG in even rows, GB in odd), the others between their neighbours."""
    height, width = light.shape[-2:]
    odd_row = torch.arange(height, device=light.device)[:, None] % 2
    odd_column = torch.arange(width, device=light.device) % 2
    blue, red = odd_row * odd_column, (1 - odd_row) * (1 - odd_column)
    mask = torch.stack([blue, 1 - blue - red, red]).to(light.dtype)
    seen = light.clamp(0, 1) * mask
    return torch.cat([_spread(seen, mask, channel) for channel in range(3)], dim=1)


def _spread(seen: Tensor, mask: Tensor, channel: int) -> Tensor:
    """Return (n, 1, height, width): a colour of each pixel as the mean of what is seen around."""
    around = _around_in_a_cross if channel == 1 else _around_in_a_square
    total, weights = around(seen[:, channel]), around(mask[None, channel])
    return (total / weights)[:, None]


def _framed(values: Tensor) -> Tensor:
    """Return (n, height + 2, width + 2) with a border that mirrors."""
    return functional.pad(values[:, None], (1, 1, 1, 1), mode="reflect")[:, 0]


def _around_in_a_cross(values: Tensor) -> Tensor:
    """Return (n, height, width) sums over each pixel and its four neighbours, as green needs."""
    padded = _framed(values)
    beside = padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return 4 * values + beside + padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]


def _around_in_a_square(values: Tensor) -> Tensor:
    """Return (n, height, width) sums over 3 x 3 pixels."""
    padded = _framed(values)
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]


# --- what the camera makes of it
# ------------------------------------------------------------------------


def _bilateral(pictures: Tensor, near: Tensor, alike: Tensor) -> Tensor:
    height, width = pictures.shape[-2:]
    reach = BILATERAL_REACH
    padded = functional.pad(pictures, (reach,) * 4, mode="reflect")
    others = torch.stack(
        [padded[..., reach + y :, reach + x :][..., :height, :width] for x, y in _IN_REACH], dim=1
    )
    apart = (others - pictures[:, None]).abs().sum(2, keepdim=True)
    weight = torch.exp(near + alike[:, None] * apart.square())
    return (weight * others).sum(1) / weight.sum(1)


def _median(pictures: Tensor, blend: Tensor) -> Tensor:
    height, width = pictures.shape[-2:]
    padded = functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    nine = [padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
    for low, high in _EXCHANGES:
        nine[low], nine[high] = (
            torch.minimum(nine[low], nine[high]),
            torch.maximum(nine[low], nine[high]),
        )
    return torch.lerp(pictures, nine[4], blend)


_EXCHANGES = (
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3),
    (5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip
"""Pairs of nine numbers to be put in order, one after the other, until the fifth is their median
(Paeth, "Median finding on a 3 x 3 grid", Graphics Gems, 1990). Sorting is far dearer on a GPU."""


def _smooth_in_colour(pictures: Tensor, reach: Softening) -> Tensor:
    grey = _grey(pictures)
    return grey + gaussian(pictures - grey, reach)


_DENOISING: dict[
    Smoothing, tuple[Callable[..., Tensor], Callable[[list[Denoising]], tuple[Any, ...]]]
] = {
    Smoothing.EDGE_KEEPING: (_bilateral, _tolerances),
    Smoothing.MEDIAN: (_median, lambda some: (_column(some, "blend"),)),
    Smoothing.COLOUR: (_smooth_in_colour, lambda some: (_reach(some),)),
    Smoothing.SOFTENING: (gaussian, lambda some: (_reach(some),)),
}


def _tone_mapped(light: Tensor, exponent: Tensor, tone_curve: Tensor) -> Tensor:
    pictures = light.clamp(0, 1) ** exponent
    s_shaped = pictures * pictures * (3 - 2 * pictures)
    return torch.lerp(pictures, s_shaped, tone_curve)


def _with_local_contrast(
    pictures: Tensor, reach: Softening, base: Tensor, detail: Tensor, lift: Tensor
) -> Tensor:
    soft = gaussian(pictures, reach)
    return soft * base + (pictures - soft) * detail + lift


def _sharpened(pictures: Tensor, reach: Softening, amount: Tensor) -> Tensor:
    return pictures + amount * (pictures - gaussian(pictures, reach))


def _resampled(pictures: Tensor, *taps: Tensor) -> Tensor:
    """See `_resamplings`."""
    height, width = pictures.shape[-2:]
    columns, rows = (
        _matrix(up, up_share, len(down[0])) @ _matrix(down, down_share, full)
        for (down, down_share, up, up_share), full in ((taps[:4], width), (taps[4:], height))
    )
    return resized(pictures, columns, rows)


def _matrix(which: Tensor, shares: Tensor, before: int) -> Tensor:
    """Return matrices (k, after, before) with shares at the columns `which`, each named once."""
    matrix = shares.new_zeros(*shares.shape[:2], before)
    return matrix.scatter(2, which, shares)


def _tinted(pictures: Tensor, saturation: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    grey = _grey(pictures)
    return (grey + (pictures - grey) * saturation) * gain + offset


def _blotchy(pictures: Tensor, blotches: Tensor, across: Tensor, down: Tensor) -> Tensor:
    return pictures + resized(blotches, across, down)


def _in_levels(pictures: Tensor) -> Tensor:
    return (pictures * 255 + 0.5).floor()


def _without_colour(pictures: Tensor) -> Tensor:
    return _grey(pictures).round().expand_as(pictures)
