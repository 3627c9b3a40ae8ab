"""What a video's frames lose, many at a time on any torch device; see `video_coding.py`."""

from __future__ import annotations

from collections.abc import Sequence

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


def video_coded(pictures: Tensor, videos: Sequence[VideoCoding]) -> Tensor:
    """Return pictures (n, 3, height, width), BGR from 0 to 255, as they come out of videos.

    All have blocks of one size.
    """
    (block,) = {one.block for one in videos}
    height, width = pictures.shape[-2:]
    padding = (0, -width % MACROBLOCK, 0, -height % MACROBLOCK)
    coloured = mixed(functional.pad(pictures, padding, mode="replicate"), FROM_BGR).round()
    step = pictures.new_tensor([one.step for one in videos]).reshape(-1, 1, 1, 1, 1, 1)
    limits = pictures.new_tensor([edge_limits(one.quantiser) for one in videos])
    across, beside, most = limits.reshape(-1, 3, 1, 1, 1).unbind(1)
    luma = quantised(coloured[:, :1], *_as_tensors(block, pictures), step)
    luma = deblocked(luma, block, across, beside, most)
    small = functional.avg_pool2d(coloured[:, 1:], 2).round()
    small = quantised(small, *_as_tensors(CHROMA_BLOCK, pictures), step)
    chroma = functional.interpolate(small, scale_factor=2.0, mode="bilinear")
    luma, chroma = luma.round().clamp(0, 255), chroma.round().clamp(-NO_COLOUR, NO_COLOUR - 1)
    back = mixed(torch.cat([luma, chroma], dim=1), TO_BGR)
    return back[..., :height, :width].round().clamp(0, 255)


def _as_tensors(block: int, like: Tensor) -> tuple[Tensor, Tensor]:
    return like.new_tensor(cosines(block)), like.new_tensor(dead_zones(block))
