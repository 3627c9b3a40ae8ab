"""Whether fewer bits pay on this machine: tried out when a model is loaded, not assumed.

Processors with instructions for 8-bit sums (VNNI and the like) take a third of the time; others
gain nothing, and on some of them such sums overflow in silence. GPUs differ as much in 16 bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera

SUFFIX = "-int8"
"""Of the name of a model in 8 bits, behind that of the model in 32."""
_RUNS = 3


@dataclass(frozen=True)
class Demands:
    """What fewer bits must give, or all are kept.

    Attributes:
        gain: times faster that they must be here.
        difference: share of the motion field by which they may differ.
    """

    gain: float
    difference: float


INT8 = Demands(gain=1.2, difference=0.1)
"""The shipped model differs by 0.024 on pictures, sums that overflow by far more."""
FLOAT16 = Demands(gain=1.05, difference=0.02)
"""The shipped model differs by less than 0.001; beyond the largest float16 nothing is left."""


class Network(Protocol):
    """What is tried out: a `BlurNetwork`."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the image it takes, pixels."""

    def predict(self, image: Image, camera: Camera) -> BlurField:
        """Return the blur field of a view."""


@dataclass(frozen=True)
class Trial:
    """How a model in fewer bits compares on this machine.

    Attributes:
        gain: times less time than in 32 bits.
        difference: mean length of the change of q, as a share of that of q itself.
        demands: what they must give.
    """

    gain: float
    difference: float
    demands: Demands = INT8

    @property
    def pays(self) -> bool:
        """Whether fewer bits are faster here, and read the same."""
        return self.gain >= self.demands.gain and self.difference <= self.demands.difference


def with_8_bits(path: Path) -> Path | None:
    """Return the model in 8 bits that lies beside one in 32; None where there is none."""
    reduced = path.with_name(f"{path.stem}{SUFFIX}{path.suffix}")
    return reduced if reduced.is_file() and reduced.with_suffix(".json").is_file() else None


def try_out(
    full: Network,
    reduced: Network,
    demands: Demands = INT8,
    clock: Callable[[], float] = time.process_time,
    runs: int = _RUNS,
) -> Trial:
    """Run both on one image a few times.

    Args:
        full: in 32 bits.
        reduced: in fewer.
        demands: what these must give.
        clock: seconds; processor time by default, so that a busy machine does not count.
        runs: of which the fastest counts.
    """
    (first, slow), (second, fast) = (_timed(network, clock, runs) for network in (full, reduced))
    change = np.hypot(*np.moveaxis(second.q - first.q, -1, 0)).mean()
    return Trial(slow / fast, float(change / first.blur_length.mean()), demands)


def _timed(network: Network, clock: Callable[[], float], runs: int) -> tuple[BlurField, float]:
    """Return what a network reads, and its time in seconds, least of some runs."""
    image, camera = _streaks(*network.input_size)
    network.predict(image, camera)  # memory and kernels
    spent = []
    for _ in range(runs):
        start = clock()
        field = network.predict(image, camera)
        spent.append(clock() - start)
    return field, max(min(spent), 1e-6)


def _streaks(width: int, height: int) -> tuple[Image, Camera]:
    """Return noise with motion blur of a twentieth of the width, and a camera for it."""
    noise = np.random.default_rng(0).uniform(0, 255, (height, width, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 2)
    image = cv2.blur(texture, (width // 20, 1))
    shown = ((image - image.min()) * (255 / np.ptp(image))).astype(np.uint8)
    focal = 0.8 * width
    return shown, Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
