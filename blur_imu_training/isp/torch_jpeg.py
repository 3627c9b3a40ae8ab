"""What JPEG does to pictures, many at a time on any torch device.

Colours in blocks of 8 x 8, each frequency rounded to multiples that grow with it (ITU-T T.81, Annex
K), at half the colour resolution or not. Nothing is coded: only the loss is of interest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from blur_imu_training.isp.parameters import Compression
from blur_imu_training.isp.video_coding import cosines

LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip

FROM_BGR = ((0.114, 0.587, 0.299), (0.5, -0.331264, -0.168736), (-0.081312, -0.418688, 0.5))
TO_BGR = ((1.0, 1.772, 0.0), (1.0, -0.344136, -0.714136), (1.0, 0.0, 1.402))
"""Y, Cb, Cr of B, G, R, and back (JFIF)."""

BLOCK = 8


def compression_values(compressions: Sequence[Compression]) -> tuple[Any, ...]:
    """Return what `compressed` needs of files that all are at half the colour resolution, or none.

    Whether they are, their steps (n, 2, 64), and colours and cosines.
    """
    (halved,) = {one.halved for one in compressions}
    return halved, torch.tensor([_tables(one.quality) for one in compressions]), *constants()


def constants() -> tuple[Tensor, Tensor, Tensor]:
    """Return the matrices (3, 3) from and to BGR, and the cosines of a block."""
    return torch.tensor(FROM_BGR), torch.tensor(TO_BGR), torch.tensor(cosines(BLOCK))


def compressed(
    pictures: Tensor,
    halved: bool,
    steps: Tensor,
    from_bgr: Tensor,
    to_bgr: Tensor,
    basis: Tensor,
) -> Tensor:
    """Return pictures (n, 3, height, width), BGR from 0 to 255, as they come out of JPEG files.

    See `compression_values`.
    """
    height, width = pictures.shape[-2:]
    reach = BLOCK * (2 if halved else 1)
    padding = (0, -width % reach, 0, -height % reach)
    coloured = mixed(functional.pad(pictures, padding, mode="replicate"), from_bgr).round()
    luma = _rounded(coloured[:, :1] - 128, steps[:, :1], basis) + 128
    chroma = coloured[:, 1:]
    if halved:
        small = _rounded(functional.avg_pool2d(chroma, 2).round(), steps[:, 1:], basis)
        chroma = functional.interpolate(small, scale_factor=2.0, mode="bilinear")
    else:
        chroma = _rounded(chroma, steps[:, 1:], basis)
    back = mixed(torch.cat([luma, chroma], dim=1), to_bgr)[..., :height, :width]
    return back.round().clamp(0, 255)


def mixed(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Return pictures (n, 3, height, width), their colours mixed by a matrix (3, 3)."""
    return torch.einsum("ij,njhw->nihw", matrix, pictures)


@cache
def _tables(quality: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the steps of brightness and of colour at a quality of 1 to 100, as libjpeg scales
    them."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (
        tuple(float(np.clip((step * scale + 50) // 100, 1, 255)) for step in table)
        for table in (LUMA, CHROMA)
    )
    return luma, chroma


def _rounded(channels: Tensor, steps: Tensor, basis: Tensor) -> Tensor:
    """Return channels (n, c, height, width) with their blocks' frequencies rounded to steps (n, 1,
    64)."""
    rows, columns = (side // BLOCK for side in channels.shape[-2:])
    blocks = channels.unflatten(3, (columns, BLOCK)).unflatten(2, (rows, BLOCK))
    frequencies = torch.einsum("ai,bj,ncrixj->ncrxab", basis, basis, blocks)
    step = steps.reshape(len(steps), 1, 1, 1, BLOCK, BLOCK)
    kept = (frequencies / step).round() * step
    back = torch.einsum("ai,bj,ncrxab->ncrixj", basis, basis, kept)
    return back.flatten(4, 5).flatten(2, 3).round().clamp(-128, 127)
