"""What a training reports: a bar for a person, lines of JSON, and TensorBoard where it is
installed."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from blur_imu_ros.errors import TrainingError

logger = logging.getLogger(__name__)

LOG = "log.jsonl"

WRITE_EVERY = 20.0
"""Seconds between rows of the log."""


class MetricLogger:
    """Means of the losses, row by row; a folder that takes no more rows does not end a training."""

    def __init__(self, folder: Path, minutes: float, heard: bool = True) -> None:
        """Write into `folder`, about a run of so many minutes; unheard, only watch the losses."""
        self._path = folder / LOG
        self._heard = heard
        self._board = _tensorboard(folder) if heard else None
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._samples: int | None = None
        self._written = time.monotonic()
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not (heard and console.is_terminal),
        )
        self._task = self._bar.add_task("Training", total=minutes, losses="")

    def __enter__(self) -> MetricLogger:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away and close the files."""
        self._bar.stop()
        if self._board is not None:
            self._board.close()

    def add(self, losses: dict[str, Tensor], minutes: float, samples: int, stage: int) -> None:
        """Count the losses of one step; every now and then write their means.

        Raises:
            TrainingError: a loss is no longer a number.
        """
        self._count += 1
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach()
        if self._samples is None:
            self._samples = samples
        now = time.monotonic()
        self._bar.update(self._task, completed=minutes)
        if now - self._written > WRITE_EVERY:
            self.flush(minutes, samples, stage)

    def flush(self, minutes: float, samples: int, stage: int) -> None:
        """Write the means since the last row."""
        if not self._count:
            return
        now = time.monotonic()
        means = {name: float(value) / self._count for name, value in self._sums.items()}
        rate = (samples - (self._samples or 0)) / max(now - self._written, 1e-9)
        self._sums, self._count, self._samples, self._written = {}, 0, samples, now
        shown = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        self._bar.update(self._task, losses=f"{shown}  {rate:.0f} samples/s")
        self.write("loss", means, {"minutes": minutes, "samples": samples, "stage": stage})
        if not all(abs(value) < float("inf") for value in means.values()):
            raise TrainingError(
                f"the losses are no longer finite ({shown}); the last saved state is from before: "
                "lower the learning rate, and start in another folder"
            )

    def write(self, kind: str, figures: dict[str, float], where: dict[str, float]) -> None:
        """Write one row; `where` holds minutes and samples."""
        if not self._heard:
            return
        row: dict[str, Any] = {k: round(v, 4) for k, v in {**where, **figures}.items()}
        try:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            if self._board is not None:
                for name, value in figures.items():
                    self._board.add_scalar(f"{kind}/{name}", value, where["samples"])
        except OSError as error:
            logger.warning("%s: a row is lost: %s", self._path, error.strerror)


def _tensorboard(folder: Path) -> Any:
    """Return a writer into `folder`, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
