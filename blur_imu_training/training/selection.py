"""Which weights of a run are its best: those that read held-out blur of another pipeline best."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.network.blur_network import BlurNetwork
from blur_imu_ros.network.model_card import ModelCard
from blur_imu_training.data.held_out import HeldOutFrame, held_out_frames, is_held_out_data
from blur_imu_training.recipe import HeldOut
from blur_imu_training.training.checkpoint import read_facts
from blur_imu_training.validation.validate import (
    CALIBRATED,
    FEWEST_CELLS,
    HeldOutErrors,
    ValidationReport,
    measure,
    report,
)

logger = logging.getLogger(__name__)

FIRST = 0.05
"""Share of the time after which there is something to validate."""


@dataclass(frozen=True)
class Figures:
    """What a network makes of held-out frames.

    Attributes:
        rotation_error: median of |omega - true| / |true|; of one that reads no motion it is 1.
        translation_angle: median angle between linear velocity and its ground truth, degrees.
        length_ratio: predicted over true length of blur, NaN where too little of it is seen. It
            counts in the score only through the velocities: `blur-imu validate --calibrate` scales
            it.
    """

    rotation_error: float
    translation_angle: float
    length_ratio: float

    @property
    def score(self) -> float:
        """Less is better: 1.5 is chance, 0 is perfect."""
        return self.rotation_error + self.translation_angle / 180

    def entries(self) -> dict[str, float]:
        """Return the figures with their score, by name."""
        return {**asdict(self), "score": self.score}

    def __str__(self) -> str:
        """Return the figures for a person."""
        return (
            f"rotation error {self.rotation_error:.0%} (zero velocity: 100%), translation "
            f"{self.translation_angle:.0f} deg off, lengths x{self.length_ratio:.2f}, on held-out "
            "frames"
        )

    @classmethod
    def of_file(cls, path: Path) -> Figures | None:
        """Return the figures written beside the best weights of a run, if there are some."""
        if not path.is_file():
            return None
        held_out = dict(read_facts(path)["held_out"])
        del held_out["score"]
        return cls(**held_out)


class _InMemory:
    """Runs a network as it is now."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._device = next(network.parameters()).device
        self.runs_on = f"torch, {self._device}"

    def run(self, image: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        """See `blur_network.Backend`."""
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(image).to(self._device))
        return tuple(output.float().cpu().numpy() for output in outputs)


def _length_ratio(result: ValidationReport) -> float:
    """Return predicted over true length, the mean over the bins by which lengths are calibrated."""
    low, high = CALIBRATED
    ratios = [
        max(one.length_ratio, 1e-3)  # of a network that reads no blur yet
        for one in result.bins
        if one.low >= low and one.high <= high and one.cells >= FEWEST_CELLS
    ]
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan")


class Selection:
    """Measures networks on held-out frames, as often as a share of the time allows.

    Attributes:
        best: the figures with the lowest score so far.
        last: of the network measured last.
    """

    def __init__(
        self,
        choice: HeldOut,
        data: Path | None,
        card: ModelCard,
        seconds: float,
        best: Figures | None = None,
    ) -> None:
        """Take how much to measure, the data folder, what models are like, and the time budget."""
        self.best = best
        self.last: Figures | None = None
        self._choice, self._data, self._card = choice, data, card
        self._first = FIRST * seconds
        self._frames: list[HeldOutFrame] = []
        self._spent = self._latest = 0.0

    def is_due(self, elapsed: float) -> bool:
        """Return whether one more measurement, after `elapsed` seconds, stays within the share."""
        affordable = self._spent + self._latest <= self._choice.share * elapsed
        return bool(self._choice.frames) and elapsed >= self._first and affordable

    def measure(self, network: nn.Module) -> Figures:
        """Return the figures of a network in evaluation mode; the best ones are kept."""
        begin = time.monotonic()
        frames = self._rendered()
        rendered = time.monotonic()
        found = self.last = figures_of(read(network, self._card, frames))
        if self.best is None or found.score < self.best.score:
            self.best = found
        end = time.monotonic()
        self._latest = end - rendered
        self._spent += end - begin
        return found

    def _rendered(self) -> list[HeldOutFrame]:
        """Return the frames; they are rendered once and kept in memory."""
        if not self._frames:
            self._frames = rendered(self._data, self._choice.frames)
        return self._frames


def rendered(data: Path | None, count: int) -> list[HeldOutFrame]:
    """Return held-out frames of the pictures in a data folder; of rooms where it holds none."""
    if not is_held_out_data(data):
        logger.warning("validating on procedural rooms: no held-out pictures")
        data = None
    return list(held_out_frames(data, count))


def read(network: nn.Module, card: ModelCard, frames: list[HeldOutFrame]) -> HeldOutErrors:
    """Return what a network in evaluation mode makes of frames; the card has its view."""
    # Weights are compared by what they read, not by what the image's autocorrelation puts right.
    return measure(VisualImu(BlurNetwork(_InMemory(network), card), autocorrelation=None), frames)


def figures_of(errors: HeldOutErrors) -> Figures:
    """Return the figures of measured frames."""
    result = report(errors)
    return Figures(result.rotation_error, result.translation_angle, _length_ratio(result))
