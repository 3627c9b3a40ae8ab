"""Shots rendered many at a time on any torch device: what `rendered` does one by one on the CPU.

What is drawn is laid out in tensors by the processes that load (`Exposures`); light, motion and
camera are then calculated where the training is. The same shot gives the same picture as on the CPU
but for its noise, which each device draws in its own way, and for the coder that stands in for
JPEG. On a GPU the exposure is one program (`fused_exposure.py`) where Triton is there and gives the
same as tensors do.
"""

from __future__ import annotations

import importlib.util
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from blur_imu_training.isp.torch_isp import Plan, carried_out, kept_on, plan_of, resized, resizing
from blur_imu_training.packing import empty
from blur_imu_training.rendering.numpy_renderer import (
    HIDES,
    NEAREST_Z,
    foremost_reach,
    subframe_times,
)
from blur_imu_training.rendering.shots import Shot

logger = logging.getLogger(__name__)

KNOTS = 65
"""Places on the way of a camera between which it is taken to move evenly."""

MOST_PIXELS = {"cpu": 1 << 23, "cuda": 1 << 26}
"""Of all sub-frames that are calculated at once with tensors, some 125 bytes each."""

APART = 0.01
"""Mean difference of two ways to calculate an exposure, at most, relative to its light."""


@dataclass(frozen=True)
class Exposures:
    """n shots with windows of one size, those with most sub-frames first.

    Attributes:
        places: (n,) rows of the batch that they become.
        image: (n, rows, columns, 3) BGR uint8; smaller views are filled up at their right and
            bottom.
        inverse_depth: (n, rows, columns) 1/m, float16.
        limits: (n, 2) last column and row of each view.
        curve: (n, 256) linear light of each level.
        highlights: (n, 2) knee and lift.
        radius: (n,) int32: from how far, in pixels, something may come to lie before something
            else; `radii` the same for the CPU.
        corners: (n, 2) int32 column and row of the first pixel of the window's half grid.
        view: (n, 4) fx, fy, cx, cy of the image.
        rays: (n, 4) x = a + b u and y = c + d v of pixels of the window, as a, b, c, d.
        path: (n, knots, 6) rotation vectors and translations, evenly spaced over +-reach.
        reach, skew: (n,) exposures.
        count: (n,) int32 of sub-frames; `counts` the same for the CPU.
        plan: what becomes of the light.
        window, size: width and height that are rendered, and those of the samples.
    """

    places: Tensor
    image: Tensor
    inverse_depth: Tensor
    limits: Tensor
    curve: Tensor
    highlights: Tensor
    radius: Tensor
    corners: Tensor
    view: Tensor
    rays: Tensor
    path: Tensor
    reach: Tensor
    skew: Tensor
    count: Tensor
    counts: tuple[int, ...]
    radii: tuple[int, ...]
    plan: Plan
    window: tuple[int, int]
    size: tuple[int, int]


def exposures_of(shots: Sequence[Shot]) -> list[Exposures]:
    """Return shots laid out in tensors, one for each size of their windows."""
    by_size: dict[tuple[int, int], list[_Placed]] = defaultdict(list)
    for place, shot in enumerate(shots):
        window = shot.view.window
        by_size[window.width, window.height].append(_Placed(place, shot, _count(shot)))
    return [
        _exposures(sorted(group, key=lambda one: one.count, reverse=True))
        for group in by_size.values()
    ]


def rendered_on(exposures: Sequence[Exposures]) -> Tensor:
    """Return the pictures (n, 3, height, width) of all shots, BGR uint8, in their order."""
    first = exposures[0]
    width, height = first.size
    count = sum(len(one.counts) for one in exposures)
    pictures = torch.empty((count, 3, height, width), dtype=torch.uint8, device=first.image.device)
    for one in exposures:
        pictures.index_copy_(0, one.places, _pictures(one))
    return pictures


def _pictures(exposures: Exposures) -> Tensor:
    finished = carried_out(exposures.plan, mean_light(exposures))
    if exposures.window != exposures.size:
        columns, rows = (
            kept_on(finished.device, resizing(before, after, cv2.INTER_AREA))
            for before, after in zip(exposures.window, exposures.size, strict=True)
        )
        finished = resized(finished, columns, rows).round().clamp(0, 255)
    return finished.to(torch.uint8)


# --- in the processes that load -------------------------------------------------------------------


@dataclass(frozen=True)
class _Placed:
    """A shot, its row in the batch, and how many sub-frames it needs."""

    place: int
    shot: Shot
    count: int


def _count(shot: Shot) -> int:
    view = shot.view
    place = (view.window, view.left, view.top)
    return len(subframe_times(view, shot.motion, *place, shot.step))


def _exposures(placed: list[_Placed]) -> Exposures:
    shots = [one.shot for one in placed]
    views = [shot.view for shot in shots]
    skews = [shot.shutter.skew for shot in shots]
    reach = [0.5 * (1 + skew) for skew in skews]
    cameras = [view.camera for view in views]
    counts = [one.count for one in placed]
    radii = [foremost_reach(s.view, s.motion, s.shutter.skew) for s in shots]
    window = (views[0].window.width, views[0].window.height)
    image, inverse_depth = _filled_up(shots)
    return Exposures(
        places=torch.tensor([one.place for one in placed]),
        image=image,
        inverse_depth=inverse_depth,
        limits=_floats([[c.width - 1, c.height - 1] for c in cameras]),
        curve=torch.from_numpy(np.stack([view.light.curve for view in views])),
        highlights=_floats([[view.light.knee, view.light.lift] for view in views]),
        radius=_integers(radii),
        corners=_integers([[_first(view.left), _first(view.top)] for view in views]),
        view=_floats([[c.fx, c.fy, c.cx, c.cy] for c in cameras]),
        rays=_floats([
            [-w.cx / w.fx, 1 / w.fx, -w.cy / w.fy, 1 / w.fy] for w in (v.window for v in views)
        ]),
        path=torch.from_numpy(
            np.stack([_path(shot, most) for shot, most in zip(shots, reach, strict=True)])
        ),
        reach=_floats(reach),
        skew=_floats(skews),
        count=_integers(counts),
        counts=tuple(counts),
        radii=tuple(radii),
        plan=plan_of([shot.camera for shot in shots], *window),
        window=window,
        size=(shots[0].width, shots[0].height),
    )  # fmt: skip


def _floats(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _integers(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.int32)


def _first(corner: int) -> int:
    """Return the pixel nearest to the half grid's first place, 1.5 before the window's corner."""
    return int(np.rint(corner - 1.5))


def _filled_up(shots: Sequence[Shot]) -> tuple[Tensor, Tensor]:
    """Return images and inverse depths, filled up to the largest of them."""
    views = [shot.view for shot in shots]
    shape = (
        len(views),
        max(view.camera.height for view in views),
        max(view.camera.width for view in views),
    )
    images, depths = empty((*shape, 3), torch.uint8), empty(shape, torch.float16)
    for view, image, depth in zip(views, images.numpy(), depths, strict=True):
        rows, columns = view.inverse_depth.shape
        missing = (0, shape[1] - rows, 0, shape[2] - columns)
        cv2.copyMakeBorder(view.image, *missing, cv2.BORDER_REFLECT_101, image)
        # Torch rounds to halves far faster than numpy.
        depth[:rows, :columns] = torch.from_numpy(view.inverse_depth)
        depth[:rows, columns:] = depth[:rows, columns - 1 : columns]
        depth[rows:] = depth[rows - 1]
    return images, depths


def _path(shot: Shot, reach: float) -> NDArray[np.float32]:
    turns, shifts = shot.motion.at(np.linspace(-reach, reach, KNOTS))
    return np.concatenate([turns, shifts], axis=1).astype(np.float32)


# --- on the device --------------------------------------------------------------------------------


def mean_light(exposures: Exposures) -> Tensor:
    """Return the mean linear light of each exposure, (n, 3, height, width).

    See `numpy_renderer.mean_over_exposure`.
    """
    device = exposures.image.device
    if device.type != "cuda":
        return mean_light_by_tensors(exposures)
    if device not in _has_fused:
        _has_fused[device] = _fused_agrees(_head(exposures, 2))
    return mean_light_fused(exposures) if _has_fused[device] else mean_light_by_tensors(exposures)


_has_fused: dict[torch.device, bool] = {}


def _head(exposures: Exposures, count: int) -> Exposures:
    """Return the first few exposures, without what becomes of their light."""
    kept: dict[str, Any] = {
        name: value[:count]
        for name, value in vars(exposures).items()
        if isinstance(value, Tensor) or name in ("counts", "radii")
    }
    return replace(exposures, plan=(), **kept)


def _fused_agrees(exposures: Exposures) -> bool:
    """Return whether this GPU calculates the same with Triton as with tensors; tell if it does
    not."""
    if importlib.util.find_spec("triton") is None:
        logger.warning("rendering with tensors, slowly: Triton is not installed")
        return False
    expected = mean_light_by_tensors(exposures)
    try:
        apart = (mean_light_fused(exposures) - expected).abs().mean() / expected.mean()
    except Exception as error:  # what a compiler of another version may raise
        logger.warning("rendering with tensors, slowly: Triton failed: %s", error)
        return False
    if not bool(apart < APART):
        logger.warning("rendering with tensors, slowly: Triton is %.2g off", float(apart))
        return False
    return True


def mean_light_fused(exposures: Exposures) -> Tensor:
    """Return the same, calculated by one program; on a GPU."""
    from blur_imu_training.rendering import fused_exposure

    one = exposures
    light = linear_light(one.image, one.curve, one.highlights).half()
    depth = one.inverse_depth
    nearby = fused_exposure.foremost(depth, one.radius, one.corners, one.limits, one.window)
    turns = rotation_matrices(one.path[..., :3]).flatten(2)
    knots = torch.cat([turns, one.path[..., 3:]], dim=2)
    motion = (knots, one.reach, one.skew, one.count)
    return fused_exposure.mean_light(
        light, depth, nearby, one.limits, one.view, one.rays, *motion, one.window, NEAREST_Z, HIDES
    )


def mean_light_by_tensors(exposures: Exposures) -> Tensor:
    """Return the same, calculated step by step; on any device."""
    width, height = exposures.window
    light = linear_light(exposures.image, exposures.curve, exposures.highlights)
    light = light.permute(0, 3, 1, 2).contiguous()
    depth = exposures.inverse_depth.float()[:, None]
    nearby = _foremost(exposures, depth)
    total = light.new_zeros(len(light), 3, height, width)
    first, counts = 0, np.array(exposures.counts)
    most = MOST_PIXELS.get(light.device.type, MOST_PIXELS["cpu"])
    while first < counts[0]:
        active = int((counts > first).sum())
        chunk = max(1, min(int(counts[0]) - first, most // (active * width * height)))
        number = torch.arange(first, first + chunk, device=light.device)
        count = exposures.count[:active, None]
        weight = (number < count) / count
        s = (number + 0.5) / count - 0.5
        grid = _origins(exposures, depth[:active], nearby[:active], s)
        seen = functional.grid_sample(
            light[:active], grid.flatten(1, 2), "bilinear", "reflection", align_corners=True
        )
        total[:active] += torch.einsum("nckhw,nk->nchw", seen.unflatten(2, (chunk, height)), weight)
        first += chunk
    return total


def linear_light(image: Tensor, curve: Tensor, highlights: Tensor) -> Tensor:
    """Return linear light (n, rows, columns, 3) of uint8 images, their highlights lifted."""
    light = curve.gather(1, image.flatten(1).long()).reshape(image.shape)
    knee, lift = highlights[:, :1, None, None], highlights[:, 1:, None, None]
    over = ((light.amin(-1, keepdim=True) - knee) / (1 - knee)).clamp(0, 1)
    return light * (1 + over * over * lift)


def _foremost(exposures: Exposures, depth: Tensor) -> Tensor:
    """Return (n, 1, half rows, half columns): see `numpy_renderer.foremost`."""
    columns, rows = ((side + 1) // 2 + 2 for side in exposures.window)
    right = 2 * torch.arange(columns, device=depth.device) + exposures.corners[:, :1]
    down = 2 * torch.arange(rows, device=depth.device) + exposures.corners[:, 1:]
    last = exposures.limits.long()
    right = right.clamp(min=0).minimum(last[:, :1])
    down = down.clamp(min=0).minimum(last[:, 1:])
    found = []
    for one, radius, u, v in zip(depth, exposures.radii, right, down, strict=True):
        side = 2 * radius + 1
        beside = functional.max_pool2d(one, (1, side), 1, (0, radius))[..., u]
        found.append(functional.max_pool2d(beside, (side, 1), 1, (radius, 0))[..., v, :])
    return torch.stack(found)


def _origins(exposures: Exposures, depth: Tensor, nearby: Tensor, s: Tensor) -> Tensor:
    """Return where in the views the pixels of sub-frames come from, as `grid_sample` wants it.

    (active, sub-frames, height, width, 2); s is (active, sub-frames). See `numpy_renderer`.
    """
    width, height = exposures.window
    half = _half_origins(exposures, depth, nearby, s).flatten(0, 1).permute(0, 3, 1, 2)
    doubled = functional.interpolate(half, scale_factor=2.0, mode="bilinear")
    inside = doubled[..., 2 : 2 + height, 2 : 2 + width].permute(0, 2, 3, 1)
    return inside.reshape(*s.shape, height, width, 2)


def _half_origins(exposures: Exposures, depth: Tensor, nearby: Tensor, s: Tensor) -> Tensor:
    """Return the same of every second row and column, one more around."""
    active = len(s)
    u, v = _half_grid(exposures.window, s.device)
    a, b, c, d = exposures.rays[:active, :, None].unbind(1)
    x, y = a + b * u, c + d * v  # (active, columns), (active, rows)
    late = (v / (exposures.window[1] - 1) - 0.5) * exposures.skew[:active, None]
    # What follows is (active, sub-frames, rows, columns).
    m, t = _poses(exposures, active, s[..., None] + late[:, None])
    turned = [
        m[..., i, 0, None] * x[:, None, None]
        + (m[..., i, 1] * y[:, None] + m[..., i, 2])[..., None]
        for i in range(3)
    ]
    shift = [t[..., i, None] for i in range(3)]
    fx, fy, cx, cy = exposures.view[:active, :, None, None, None].unbind(1)
    last_u, last_v = depth.shape[-1] - 1, depth.shape[-2] - 1

    def origin(inverse: Tensor) -> Tensor:
        z = (turned[2] + shift[2] * inverse).clamp(min=NEAREST_Z)
        u = (turned[0] + shift[0] * inverse) / z * fx + cx
        v = (turned[1] + shift[1] * inverse) / z * fy + cy
        return torch.stack([u * (2 / last_u) - 1, v * (2 / last_v) - 1], dim=-1)

    def found(places: Tensor) -> Tensor:
        values = functional.grid_sample(
            depth, places.flatten(1, 2), "nearest", "border", align_corners=True
        )
        found_there: Tensor = values[:, 0].unflatten(1, places.shape[1:3])
        return found_there

    first = origin(nearby)
    seen = found(first)
    places = origin(seen)
    hidden = found(places) > HIDES * seen
    return torch.where(hidden[..., None], first, places)


def _half_grid(window: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the columns and rows of the half grid, pixels of the window."""
    columns, rows = ((side + 1) // 2 + 2 for side in window)
    return (
        torch.arange(columns, dtype=torch.float32, device=device) * 2 - 1.5,
        torch.arange(rows, dtype=torch.float32, device=device) * 2 - 1.5,
    )


def _poses(exposures: Exposures, active: int, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return matrices (..., 3, 3) and translations (..., 3) at s (active, ...)."""
    reach = exposures.reach[:active].reshape(-1, 1, 1)
    place = ((s / reach + 1) / 2 * (KNOTS - 1)).clamp(0, KNOTS - 1)
    knot = place.floor().clamp(max=KNOTS - 2)
    index = knot.long().flatten(1)[..., None].expand(-1, -1, 6)
    path = exposures.path[:active]
    before, after = path.gather(1, index), path.gather(1, index + 1)
    way = torch.lerp(before, after, (place - knot).flatten(1)[..., None])
    pose = way.unflatten(1, s.shape[1:])
    return rotation_matrices(pose[..., :3]), pose[..., 3:]


def rotation_matrices(vectors: Tensor) -> Tensor:
    """Return the matrices (..., 3, 3) of rotation vectors (..., 3), of at most a few radians."""
    angle = vectors.square().sum(-1).clamp(min=1e-12).sqrt()[..., None, None]
    zero = torch.zeros_like(vectors[..., 0])
    x, y, z = vectors.unbind(-1)
    skew: Tensor = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1)
    cross = skew.reshape(*vectors.shape, 3)
    one = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    return one + angle.sin() / angle * cross + (1 - angle.cos()) / angle**2 * (cross @ cross)
