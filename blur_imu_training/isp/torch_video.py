"""What a video's frames lose, many at a time on any torch device; see `video_coding.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from blur_imu_training.isp.parameters import VideoCoding
from blur_imu_training.isp.torch_jpeg import FROM_BGR, TO_BGR, mixed
from blur_imu_training.isp.video_coding import (
    CHROMA_BLOCK,
    MACROBLOCK,
    NO_COLOUR,
    cosines,
    dead_zones,
    deblocked,
    edge_limits,
    quantised,
)


def video_values(videos: Sequence[VideoCoding]) -> tuple[Any, ...]:
    """Return what `video_coded` needs of videos whose blocks have one size.

    That size, the steps (n, ...), limits (3, n, 1, 1, 1), colours, and the cosines and dead zones
    of brightness and of colour.
    """
    (block,) = {one.block for one in videos}
    step = torch.tensor([one.step for one in videos]).reshape(-1, 1, 1, 1, 1, 1)
    limits = torch.tensor([edge_limits(one.quantiser) for one in videos]).T
    blocks = [
        torch.tensor(of(side)) for side in (block, CHROMA_BLOCK) for of in (cosines, dead_zones)
    ]
    colours = (torch.tensor(FROM_BGR), torch.tensor(TO_BGR))
    return block, step, limits.reshape(3, -1, 1, 1, 1).contiguous(), *colours, *blocks


def video_coded(
    pictures: Tensor,
    block: int,
    step: Tensor,
    limits: Tensor,
    from_bgr: Tensor,
    to_bgr: Tensor,
    *blocks: Tensor,
) -> Tensor:
    """Return pictures (n, 3, height, width), BGR from 0 to 255, as they come out of videos.

    See `video_values`.
    """
    height, width = pictures.shape[-2:]
    padding = (0, -width % MACROBLOCK, 0, -height % MACROBLOCK)
    coloured = mixed(functional.pad(pictures, padding, mode="replicate"), from_bgr).round()
    luma = quantised(coloured[:, :1], blocks[0], blocks[1], step)
    luma = deblocked(luma, block, *limits.unbind())
    small = functional.avg_pool2d(coloured[:, 1:], 2).round()
    small = quantised(small, blocks[2], blocks[3], step)
    chroma = functional.interpolate(small, scale_factor=2.0, mode="bilinear")
    luma, chroma = luma.round().clamp(0, 255), chroma.round().clamp(-NO_COLOUR, NO_COLOUR - 1)
    back = mixed(torch.cat([luma, chroma], dim=1), to_bgr)
    return back[..., :height, :width].round().clamp(0, 255)
