"""What is trained on when, and how fast it is learned: a function of the share of the time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blur_imu_training.recipe import Stage, TrainingConfig

WARM_UP_STEPS, WARM_UP_SHARE = 200, 0.03


@dataclass(frozen=True)
class Schedule:
    """One cycle of the learning rate over `seconds`, through the stages of a recipe."""

    config: TrainingConfig
    seconds: float

    def progress(self, elapsed: float) -> float:
        """Return the share of the time that is over, 0 to 1."""
        return min(1.0, elapsed / self.seconds)

    def stage(self, elapsed: float) -> int:
        """Return the number of the stage after `elapsed` seconds."""
        reached = 0.0
        for number, stage in enumerate(self.config.stages):
            reached += stage.share
            if self.progress(elapsed) < reached - 1e-9:
                return number
        return len(self.config.stages) - 1

    def learning_rate(self, elapsed: float, step: int) -> float:
        """Return the rate: up over 3 % of the time (200 steps at least), down along a cosine."""
        progress = self.progress(elapsed)
        warm_up = min(1.0, step / WARM_UP_STEPS, progress / WARM_UP_SHARE + step / 1000)
        fall = 0.5 * (1 + np.cos(np.pi * progress))
        return float(self.config.peak_learning_rate * max(warm_up, 0.05) * (0.01 + 0.99 * fall))

    def __getitem__(self, number: int) -> Stage:
        """Return a stage by its number."""
        return self.config.stages[number]
