"""Shots rendered many at a time on any torch device: what `rendered` does one by one on the CPU.

What is drawn is laid out in tensors by the processes that load (`Exposures`); light, motion and
camera are then calculated where the training is. The same shot gives the same picture as on the CPU
but for its noise, which each device draws in its own way, and for the coder that stands in for
JPEG.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from blur_imu_training.isp.parameters import IspParameters
from blur_imu_training.isp.torch_isp import apply_isp, resized, resizing
from blur_imu_training.rendering.numpy_renderer import HIDES, NEAREST_Z, foremost, subframe_times
from blur_imu_training.rendering.shots import Shot

KNOTS = 65
"""Places on the way of a camera between which it is taken to move evenly."""

MOST_PIXELS = 1 << 23
"""Of all sub-frames that are calculated at once: about 1 GB."""


@dataclass(frozen=True)
class Exposures:
    """n shots with windows of one size, those with most sub-frames first.

    Attributes:
        places: (n,) rows of the batch that they become.
        image: (n, 3, rows, columns) BGR uint8; smaller views are filled up at their right and
            bottom.
        curve: (n, 256) linear light of each level.
        highlights: (n, 2) knee and lift.
        inverse_depth: (n, 1, rows, columns) 1/m.
        foremost: (n, 1, half rows, half columns) of what may come to lie there.
        view: (n, 4) fx, fy, cx, cy of the image.
        rays: (n, 4) x = a + b u and y = c + d v of pixels of the window, as a, b, c, d.
        path: (n, knots, 6) rotation vectors and translations, evenly spaced over +-reach.
        reach, skew: (n,) exposures.
        counts: of sub-frames.
        cameras: what becomes of the light.
        window, size: width and height that are rendered, and those of the samples.
    """

    places: Tensor
    image: Tensor
    curve: Tensor
    highlights: Tensor
    inverse_depth: Tensor
    foremost: Tensor
    view: Tensor
    rays: Tensor
    path: Tensor
    reach: Tensor
    skew: Tensor
    counts: tuple[int, ...]
    cameras: tuple[IspParameters, ...]
    window: tuple[int, int]
    size: tuple[int, int]

    def to(self, device: torch.device) -> Exposures:
        """Return them on a device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Exposures:
        """Return them where a GPU can fetch them without waiting; called by torch's loader."""
        return self._with(lambda tensor: tensor.pin_memory())

    def _with(self, change: Callable[[Tensor], Tensor]) -> Exposures:
        held = {one.name: getattr(self, one.name) for one in fields(self)}
        changed: dict[str, Any] = {n: change(v) for n, v in held.items() if isinstance(v, Tensor)}
        return replace(self, **changed)


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


def rendered_on(device: torch.device, exposures: Sequence[Exposures]) -> Tensor:
    """Return the pictures (n, 3, height, width) of all shots, BGR uint8, in their order."""
    width, height = exposures[0].size
    count = sum(len(one.counts) for one in exposures)
    pictures = torch.empty((count, 3, height, width), dtype=torch.uint8, device=device)
    for one in exposures:
        there = one.to(device)
        pictures[there.places] = _pictures(there)
    return pictures


def _pictures(exposures: Exposures) -> Tensor:
    finished = apply_isp(mean_light(exposures), exposures.cameras)
    if exposures.window == exposures.size:
        return finished.to(torch.uint8)
    smaller = [
        torch.as_tensor(resizing(before, after, cv2.INTER_AREA), device=finished.device)
        for before, after in zip(exposures.window, exposures.size, strict=True)
    ]
    return resized(finished, *smaller).round().clamp(0, 255).to(torch.uint8)


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
    rows = max(view.camera.height for view in views)
    columns = max(view.camera.width for view in views)
    cameras = [view.camera for view in views]
    return Exposures(
        places=torch.tensor([one.place for one in placed]),
        image=_stacked([
            _filled_up(view.image, rows, columns, cv2.BORDER_REFLECT_101).transpose(2, 0, 1)
            for view in views
        ]),
        curve=_stacked([view.light.curve for view in views]),
        highlights=torch.tensor([[view.light.knee, view.light.lift] for view in views]),
        inverse_depth=_stacked([
            _filled_up(view.inverse_depth, rows, columns, cv2.BORDER_REPLICATE)[None]
            for view in views
        ]),
        foremost=_stacked([
            foremost(s.view, s.motion, s.view.window, s.view.left, s.view.top, s.shutter.skew)[None]
            for s in shots
        ]),
        view=torch.tensor([[c.fx, c.fy, c.cx, c.cy] for c in cameras]),
        rays=torch.tensor([
            [-w.cx / w.fx, 1 / w.fx, -w.cy / w.fy, 1 / w.fy] for w in (v.window for v in views)
        ]),
        path=_stacked([_path(shot, most) for shot, most in zip(shots, reach, strict=True)]),
        reach=torch.tensor(reach),
        skew=torch.tensor(skews),
        counts=tuple(one.count for one in placed),
        cameras=tuple(shot.camera for shot in shots),
        window=(views[0].window.width, views[0].window.height),
        size=(shots[0].width, shots[0].height),
    )  # fmt: skip


def _stacked(arrays: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _filled_up(picture: NDArray[Any], rows: int, columns: int, border: int) -> NDArray[Any]:
    below, beside = rows - picture.shape[0], columns - picture.shape[1]
    return np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, beside, border))


def _path(shot: Shot, reach: float) -> NDArray[np.float32]:
    turns, shifts = shot.motion.at(np.linspace(-reach, reach, KNOTS))
    return np.concatenate([turns, shifts], axis=1).astype(np.float32)


# --- on the device --------------------------------------------------------------------------------


def mean_light(exposures: Exposures) -> Tensor:
    """Return the mean linear light of each exposure, (n, 3, height, width).

    See `blur_renderer.mean_over_exposure`.
    """
    width, height = exposures.window
    light = linear_light(exposures.image, exposures.curve, exposures.highlights)
    total = light.new_zeros(len(light), 3, height, width)
    first, counts = 0, np.array(exposures.counts)
    while first < counts[0]:
        active = int((counts > first).sum())
        chunk = max(1, min(int(counts[0]) - first, MOST_PIXELS // (active * width * height)))
        number = torch.arange(first, first + chunk, device=light.device)
        count = light.new_tensor(exposures.counts[:active])[:, None]
        weight = (number < count) / count
        s = (number + 0.5) / count - 0.5
        grid = _origins(exposures, active, s)
        seen = functional.grid_sample(
            light[:active], grid.flatten(1, 2), "bilinear", "reflection", align_corners=True
        )
        total[:active] += torch.einsum("nckhw,nk->nchw", seen.unflatten(2, (chunk, height)), weight)
        first += chunk
    return total


def linear_light(image: Tensor, curve: Tensor, highlights: Tensor) -> Tensor:
    """Return linear light (n, 3, rows, columns) of uint8 images, their highlights lifted."""
    light = curve.gather(1, image.flatten(1).long()).reshape(image.shape)
    knee, lift = highlights[:, :1, None, None], highlights[:, 1:, None, None]
    over = ((light.amin(1, keepdim=True) - knee) / (1 - knee)).clamp(0, 1)
    return light * (1 + over * over * lift)


def _origins(exposures: Exposures, active: int, s: Tensor) -> Tensor:
    """Return where in the views the pixels of sub-frames come from, as `grid_sample` wants it.

    (active, sub-frames, height, width, 2); s is (active, sub-frames). See `blur_renderer`.
    """
    width, height = exposures.window
    half = _half_origins(exposures, active, s).flatten(0, 1).permute(0, 3, 1, 2)
    doubled = functional.interpolate(half, scale_factor=2.0, mode="bilinear")
    inside = doubled[..., 2 : 2 + height, 2 : 2 + width].permute(0, 2, 3, 1)
    return inside.reshape(*s.shape, height, width, 2)


def _half_origins(exposures: Exposures, active: int, s: Tensor) -> Tensor:
    """Return the same of every second row and column, one more around."""
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
    depth = exposures.inverse_depth[:active]
    limits = depth.new_tensor([depth.shape[-1] - 1, depth.shape[-2] - 1])

    def origin(inverse: Tensor) -> Tensor:
        z = (turned[2] + shift[2] * inverse).clamp(min=NEAREST_Z)
        u = (turned[0] + shift[0] * inverse) / z * fx + cx
        v = (turned[1] + shift[1] * inverse) / z * fy + cy
        return 2 * torch.stack([u, v], dim=-1) / limits - 1

    def found(places: Tensor) -> Tensor:
        values = functional.grid_sample(
            depth, places.flatten(1, 2), "nearest", "border", align_corners=True
        )
        found_there: Tensor = values[:, 0].unflatten(1, places.shape[1:3])
        return found_there

    first = origin(exposures.foremost[:active])
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
