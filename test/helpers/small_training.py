"""A training that takes seconds: a small network, small samples, few pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_training.data.held_out import EXPOSURE_TIME, HeldOutFrame
from blur_imu_training.recipe import HeldOut, NetworkChoice, Stage, TrainingConfig
from blur_imu_training.scene.procedural import dead_leaves, invented_inverse_depth
from blur_imu_training.scene.sharp_images import SharpImage, SharpImages, WeightedMixture

NETWORK = NetworkChoice(widths=(8, 8, 16, 16, 16), blocks=(1, 1, 1, 1), head_blocks=1)

CONFIG = TrainingConfig(
    seed=1,
    focal_reference=250.0,
    peak_learning_rate=2e-3,
    weight_decay=0.01,
    ema_decay=0.9,
    pictures={"procedural": 1.0},
    stages=(Stage(0.5, 64, 32, 2, 8.0), Stage(0.5, 64, 64, 2, 10.0, pose=0.1)),
    uses=2,
    network=NETWORK,
    validation=HeldOut(frames=0),
)


class FewPictures(SharpImages):
    """Three small pictures, drawn once."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self._pictures = [
            SharpImage(
                dead_leaves(96, 128, rng), invented_inverse_depth(96, 128, rng), 100.0, bool(n)
            )
            for n in range(3)
        ]

    def __len__(self) -> int:
        return len(self._pictures)

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        return self._pictures[index]


def few_pictures(*_: object) -> WeightedMixture:
    """Stand in for `load_pictures`."""
    return WeightedMixture([(FewPictures(), 1.0)])


class Ticks:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def wall_frames(data: Path | None, count: int) -> Iterator[HeldOutFrame]:
    """Frames before a wall 2 m away."""
    rng = np.random.default_rng(0)
    camera = Camera(320, 224, 250.0, 250.0, 159.5, 111.5)
    for index in range(count):
        image = rng.integers(0, 255, (224, 320, 3), dtype=np.uint8)
        frame = Frame(image, float(index), EXPOSURE_TIME, camera)
        omega, v = rng.standard_normal(3) * 3, rng.standard_normal(3)
        yield HeldOutFrame(frame, omega, v, np.full((224, 320), 0.5, np.float32))
