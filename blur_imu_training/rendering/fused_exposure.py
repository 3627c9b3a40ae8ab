"""Exposures on a GPU, all sub-frames of a pixel in one go, with Triton.

`torch_renderer.py` does the same with tensors, one step after the other: some 200 bytes are then
written and read for each pixel of each sub-frame. Here nothing is written but the mean.
"""

# Programs of Triton have no types of Python.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 128
"""Pixels of a row that one program calculates."""

UNSPECIALISED = ["rows", "columns", "half_columns", "width", "height"]
"""Sizes differ from batch to batch: one program for all, not one for each kind of number."""


@triton.jit
def _nearest(values, u, v, last_u, last_v, columns, inside):
    """Values at the nearest pixels, or at the border."""
    column = tl.floor(tl.minimum(tl.maximum(u, 0.0), last_u) + 0.5).to(tl.int32)
    row = tl.floor(tl.minimum(tl.maximum(v, 0.0), last_v) + 0.5).to(tl.int32)
    return tl.load(values + row * columns + column, mask=inside, other=1.0).to(tl.float32)


@triton.jit
def _turned(knot, share, row: tl.constexpr, x, y):
    """A row of the rotation between two knots, times the ray (x, y, 1)."""
    a = tl.load(knot + 3 * row)
    b = tl.load(knot + 3 * row + 1)
    c = tl.load(knot + 3 * row + 2)
    a += share * (tl.load(knot + 3 * row + 12) - a)
    b += share * (tl.load(knot + 3 * row + 13) - b)
    c += share * (tl.load(knot + 3 * row + 14) - c)
    return a * x + b * y + c


@triton.jit
def _shift(knot, share, axis: tl.constexpr):
    before = tl.load(knot + 9 + axis)
    return before + share * (tl.load(knot + 21 + axis) - before)


@triton.jit
def _origin(
    x, y, nearby, place, knots, view, depth, last_u, last_v, columns, inside,
    KNOTS: tl.constexpr, NEAREST_Z: tl.constexpr, HIDES: tl.constexpr,
):  # fmt: skip
    """Where rays (x, y, 1) come from at a place on the way; see `torch_renderer._half_origins`."""
    place = tl.minimum(tl.maximum(place, 0.0), KNOTS - 1.0)
    first = tl.minimum(tl.floor(place), KNOTS - 2.0)
    share = place - first
    knot = knots + first.to(tl.int32) * 12
    fx, fy = tl.load(view), tl.load(view + 1)
    cx, cy = tl.load(view + 2), tl.load(view + 3)
    turned_x = _turned(knot, share, 0, x, y)
    turned_y = _turned(knot, share, 1, x, y)
    turned_z = _turned(knot, share, 2, x, y)
    shift_x = _shift(knot, share, 0)
    shift_y = _shift(knot, share, 1)
    shift_z = _shift(knot, share, 2)
    z = tl.maximum(turned_z + shift_z * nearby, NEAREST_Z)
    first_u = (turned_x + shift_x * nearby) / z * fx + cx
    first_v = (turned_y + shift_y * nearby) / z * fy + cy
    seen = _nearest(depth, first_u, first_v, last_u, last_v, columns, inside)
    z = tl.maximum(turned_z + shift_z * seen, NEAREST_Z)
    u = (turned_x + shift_x * seen) / z * fx + cx
    v = (turned_y + shift_y * seen) / z * fy + cy
    hidden = _nearest(depth, u, v, last_u, last_v, columns, inside) > HIDES * seen
    return tl.where(hidden, first_u, u), tl.where(hidden, first_v, v)


@triton.jit
def _reflected(u, last):
    """Coordinates from 0 to `last`, as mirrors at both ends show them."""
    period = 2.0 * last
    u = u - tl.floor(u / period) * period
    return tl.minimum(u, period - u)


@triton.jit
def _tap(pixels, weight, inside, blue, green, red):
    blue += weight * tl.load(pixels, mask=inside, other=0.0).to(tl.float32)
    green += weight * tl.load(pixels + 1, mask=inside, other=0.0).to(tl.float32)
    red += weight * tl.load(pixels + 2, mask=inside, other=0.0).to(tl.float32)
    return blue, green, red


@triton.jit(do_not_specialize=UNSPECIALISED)
def _expose(
    mean, light, depth, nearby, limits, view, rays, knots, reaches, skews, counts,
    rows, columns, half_columns, width, height,
    KNOTS: tl.constexpr, NEAREST_Z: tl.constexpr, HIDES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Mean light of `BLOCK` pixels in row program_id(1) of picture program_id(2)."""
    n = tl.program_id(2).to(tl.int64)
    y = tl.program_id(1)
    x = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = x < width
    light += n * rows * columns * 3
    depth += n * rows * columns
    half_rows = (height + 1) // 2 + 2
    nearby += n * half_rows * half_columns
    view += n * 4
    knots += n * KNOTS * 12
    last_u, last_v = tl.load(limits + n * 2), tl.load(limits + n * 2 + 1)
    a, b = tl.load(rays + n * 4), tl.load(rays + n * 4 + 1)
    c, d = tl.load(rays + n * 4 + 2), tl.load(rays + n * 4 + 3)
    skew = tl.load(skews + n)
    to_knots = (KNOTS - 1) / (2 * tl.load(reaches + n))
    count = tl.load(counts + n)
    # A pixel lies between two columns and two rows of the half grid, at 3/4 and 1/4.
    column1 = (x + 2) // 2
    column0 = column1 - 1 + 2 * (x % 2)
    row1 = (y + 2) // 2
    row0 = row1 - 1 + 2 * (y % 2)
    v1 = row1 * 2 - 1.5
    v0 = row0 * 2 - 1.5
    x1 = a + b * (column1 * 2 - 1.5)
    x0 = a + b * (column0 * 2 - 1.5)
    y1 = c + d * v1
    y0 = c + d * v0
    late1 = (v1 / (height - 1) - 0.5) * skew
    late0 = (v0 / (height - 1) - 0.5) * skew
    near11 = tl.load(nearby + row1 * half_columns + column1, mask=inside, other=1.0)
    near10 = tl.load(nearby + row1 * half_columns + column0, mask=inside, other=1.0)
    near01 = tl.load(nearby + row0 * half_columns + column1, mask=inside, other=1.0)
    near00 = tl.load(nearby + row0 * half_columns + column0, mask=inside, other=1.0)
    blue = tl.zeros([BLOCK], tl.float32)
    green = tl.zeros([BLOCK], tl.float32)
    red = tl.zeros([BLOCK], tl.float32)
    for k in range(0, count):
        s = (k + 0.5) / count - 0.5
        place1 = (s + late1) * to_knots + (KNOTS - 1) * 0.5
        place0 = (s + late0) * to_knots + (KNOTS - 1) * 0.5
        u11, v11 = _origin(x1, y1, near11, place1, knots, view, depth, last_u, last_v, columns,
                           inside, KNOTS, NEAREST_Z, HIDES)  # fmt: skip
        u10, v10 = _origin(x0, y1, near10, place1, knots, view, depth, last_u, last_v, columns,
                           inside, KNOTS, NEAREST_Z, HIDES)  # fmt: skip
        u01, v01 = _origin(x1, y0, near01, place0, knots, view, depth, last_u, last_v, columns,
                           inside, KNOTS, NEAREST_Z, HIDES)  # fmt: skip
        u00, v00 = _origin(x0, y0, near00, place0, knots, view, depth, last_u, last_v, columns,
                           inside, KNOTS, NEAREST_Z, HIDES)  # fmt: skip
        u = _reflected(0.5625 * u11 + 0.1875 * (u10 + u01) + 0.0625 * u00, last_u)
        v = _reflected(0.5625 * v11 + 0.1875 * (v10 + v01) + 0.0625 * v00, last_v)
        left = tl.minimum(tl.floor(u), last_u - 1)
        top = tl.minimum(tl.floor(v), last_v - 1)
        right_share = u - left
        low_share = v - top
        pixel = light + (top.to(tl.int32) * columns + left.to(tl.int32)) * 3
        weight = (1 - right_share) * (1 - low_share)
        blue, green, red = _tap(pixel, weight, inside, blue, green, red)
        weight = right_share * (1 - low_share)
        blue, green, red = _tap(pixel + 3, weight, inside, blue, green, red)
        pixel += columns * 3
        weight = (1 - right_share) * low_share
        blue, green, red = _tap(pixel, weight, inside, blue, green, red)
        weight = right_share * low_share
        blue, green, red = _tap(pixel + 3, weight, inside, blue, green, red)
    mean += n * 3 * height * width + y * width + x
    tl.store(mean, blue / count, mask=inside)
    tl.store(mean + height * width, green / count, mask=inside)
    tl.store(mean + 2 * height * width, red / count, mask=inside)


@triton.jit(do_not_specialize=UNSPECIALISED)
def _greatest_beside(
    found, values, radii, corners, limits, rows, columns, half_columns, BLOCK: tl.constexpr
):
    """Greatest values of a row around the columns of the half grid."""
    n = tl.program_id(2).to(tl.int64)
    row = tl.program_id(1)
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    last = tl.load(limits + n * 2).to(tl.int32)
    middle = tl.minimum(tl.maximum(2 * k + tl.load(corners + n * 2), 0), last)
    radius = tl.load(radii + n)
    values += (n * rows + row) * columns
    greatest = tl.zeros([BLOCK], tl.float32)
    for step in range(0, 2 * radius + 1):
        at = middle + step - radius
        there = (k < half_columns) & (at >= 0) & (at <= last)
        greatest = tl.maximum(greatest, tl.load(values + at, mask=there, other=0.0).to(tl.float32))
    tl.store(found + (n * rows + row) * half_columns + k, greatest, mask=k < half_columns)


@triton.jit(do_not_specialize=UNSPECIALISED)
def _greatest_above(
    found, values, radii, corners, limits, rows, half_columns, height, BLOCK: tl.constexpr
):
    """Greatest values of a column around the rows of the half grid."""
    n = tl.program_id(2).to(tl.int64)
    j = tl.program_id(1)
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    last = tl.load(limits + n * 2 + 1).to(tl.int32)
    middle = tl.minimum(tl.maximum(2 * j + tl.load(corners + n * 2 + 1), 0), last)
    radius = tl.load(radii + n)
    values += n * rows * half_columns + k
    greatest = tl.zeros([BLOCK], tl.float32)
    for step in range(0, 2 * radius + 1):
        at = middle + step - radius
        there = (k < half_columns) & (at >= 0) & (at <= last)
        found_there = tl.load(values + at * half_columns, mask=there, other=0.0)
        greatest = tl.maximum(greatest, found_there)
    half_rows = (height + 1) // 2 + 2
    tl.store(found + (n * half_rows + j) * half_columns + k, greatest, mask=k < half_columns)


def foremost(
    depth: Tensor, radii: Tensor, corners: Tensor, limits: Tensor, window: tuple[int, int]
) -> Tensor:
    """Return (n, half rows, half columns) the greatest inverse depths around the half grid.

    Args:
        depth: (n, rows, columns).
        radii: (n,) int32, pixels.
        corners: (n, 2) int32 column and row of the half grid's first pixel.
        limits: (n, 2) last column and row of each view.
        window: width and height.
    """
    n, rows, columns = depth.shape
    half_columns, half_rows = ((side + 1) // 2 + 2 for side in window)
    blocks = triton.cdiv(half_columns, BLOCK)
    beside = depth.new_empty((n, rows, half_columns), dtype=torch.float32)
    _greatest_beside[blocks, rows, n](
        beside, depth, radii, corners, limits, rows, columns, half_columns, BLOCK
    )
    found = depth.new_empty((n, half_rows, half_columns), dtype=torch.float32)
    _greatest_above[blocks, half_rows, n](
        found, beside, radii, corners, limits, rows, half_columns, window[1], BLOCK
    )
    return found


def mean_light(
    light: Tensor,
    depth: Tensor,
    nearby: Tensor,
    limits: Tensor,
    view: Tensor,
    rays: Tensor,
    knots: Tensor,
    reach: Tensor,
    skew: Tensor,
    counts: Tensor,
    window: tuple[int, int],
    nearest_z: float,
    hides: float,
) -> Tensor:
    """Return the mean linear light of exposures, (n, 3, height, width).

    Args:
        light: (n, rows, columns, 3).
        depth: (n, rows, columns) 1/m.
        nearby: of `foremost`.
        limits, view, rays, reach, skew: as of `Exposures`.
        knots: (n, knots, 12) rotation matrix and translation.
        counts: (n,) int32 sub-frames.
        window: width and height.
        nearest_z, hides: as of `numpy_renderer`.
    """
    width, height = window
    n, rows, columns = depth.shape
    mean = light.new_empty((n, 3, height, width), dtype=torch.float32)
    _expose[triton.cdiv(width, BLOCK), height, n](
        mean, light, depth, nearby, limits, view, rays, knots, reach, skew, counts,
        rows, columns, nearby.shape[2], width, height,
        knots.shape[1], nearest_z, hides, BLOCK,
    )  # fmt: skip
    return mean
