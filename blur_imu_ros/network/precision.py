"""Whether 8-bit weights pay on this machine: tried out when a model is loaded, not assumed.

Processors with instructions for 8-bit sums (VNNI and the like) take a third of the time; others
gain nothing, and on some of them such sums overflow in silence.
"""

from __future__ import annotations

import time
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
SMALLEST_GAIN = 1.2
"""Times faster that 8 bits must be here, or 32 are kept."""
LARGEST_DIFFERENCE = 0.1
"""Share of the motion field by which 8 bits may differ from 32; the shipped models differ by 0.02
to 0.04 on pictures, sums that overflow by far more."""
_RUNS = 3


class Network(Protocol):
    """What is tried out: a `BlurNetwork`."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the image it takes, pixels."""

    def predict(self, image: Image, camera: Camera) -> BlurField:
        """Return the blur field of a view."""


@dataclass(frozen=True)
class Trial:
    """How a model in 8 bits compares on this machine.

    Attributes:
        gain: times less processor time than in 32 bits.
        difference: mean length of the change of q, as a share of that of q itself.
    """

    gain: float
    difference: float

    @property
    def pays(self) -> bool:
        """Whether 8 bits are faster here, and read the same."""
        return self.gain >= SMALLEST_GAIN and self.difference <= LARGEST_DIFFERENCE


def with_8_bits(path: Path) -> Path | None:
    """Return the model in 8 bits that lies beside one in 32; None where there is none."""
    reduced = path.with_name(f"{path.stem}{SUFFIX}{path.suffix}")
    return reduced if reduced.is_file() and reduced.with_suffix(".json").is_file() else None


def try_out(full: Network, reduced: Network) -> Trial:
    """Run both on one image a few times; processor time counts, so that a busy machine does not."""
    (first, slow), (second, fast) = (_timed(network) for network in (full, reduced))
    change = np.hypot(*np.moveaxis(second.q - first.q, -1, 0)).mean()
    return Trial(slow / fast, float(change / first.blur_length.mean()))


def _timed(network: Network) -> tuple[BlurField, float]:
    """Return what a network reads, and its processor time in seconds, least of a few runs."""
    image, camera = _streaks(*network.input_size)
    network.predict(image, camera)  # memory and kernels
    spent = []
    for _ in range(_RUNS):
        start = time.process_time()
        field = network.predict(image, camera)
        spent.append(time.process_time() - start)
    return field, max(min(spent), 1e-6)


def _streaks(width: int, height: int) -> tuple[Image, Camera]:
    """Return noise with motion blur of a twentieth of the width, and a camera for it."""
    noise = np.random.default_rng(0).uniform(0, 255, (height, width, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 2)
    image = cv2.blur(texture, (width // 20, 1))
    shown = ((image - image.min()) * (255 / np.ptp(image))).astype(np.uint8)
    focal = 0.8 * width
    return shown, Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
