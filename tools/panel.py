"""Measure models on the panel by which they are chosen: `python tools/panel.py DATA --true-blur SET
MODEL ...`.

The first model is the one that the others are compared with. Images are read one by one, without
prior; where an image leaves the sign of its motion open, the ground truth gives it.
docs/TRAINING.md has the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL
from blur_imu_ros.core.series import VELOCITIES
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_ros.recordings.facade import FrameSettings, open_recording
from blur_imu_training.data.held_out import held_out_frames, true_blur_frames
from blur_imu_training.validation.validate import (
    HeldOutErrors,
    ValidationReport,
    measure,
    report,
    rotation_errors,
)
from markdown import heading, row

LENGTHS_FITTED = ("walk",)
"""Sequences whose exposure time is not known: one factor for all lengths is fitted to the ground
truth."""

SEEN = (5.0, 100.0)
"""Pixels of median blur, of a view `SEEN_IN` wide: the frames of true blur that count."""

SEEN_IN, PIXELS_ACROSS = 480, 320


@dataclass(frozen=True)
class Outcome:
    """What a model makes of one set.

    Attributes:
        figures: by name; less is better.
        extra: more of them, for the table alone.
    """

    figures: dict[str, float]
    extra: dict[str, float]

    def ratio(self, to: Outcome) -> float:
        """Return the mean of these figures over those of another model."""
        return float(np.mean([value / to.figures[name] for name, value in self.figures.items()]))


def main(
    data: Annotated[Path, typer.Argument(help="Folder with train/, dining/ and walk/.")],
    models: Annotated[list[str], typer.Argument(help="Names or paths; the shipped one first.")],
    true_blur: Annotated[Path, typer.Option(help="Set of `blur-imu render-rooms blurred`.")],
    frames: Annotated[int, typer.Option(help="Held-out frames.")] = 60,
) -> None:
    """Measure, print a table for each set, and the score: the mean over sets of ratios."""
    panel: dict[str, Callable[[VisualImu], Outcome]] = {
        "dining": lambda imu: of_sequence(imu, data / "dining"),
        "walk": lambda imu: of_sequence(imu, data / "walk"),
        "true blur of two rooms": lambda imu: of_report(
            within(measure(imu, true_blur_frames(true_blur)), SEEN)
        ),
        "held-out NYU and 7-Scenes": lambda imu: of_report(measure(imu, held_out())),
    }
    held_out = cache(lambda: list(held_out_frames(data / "train", frames)))
    imus = {model: VisualImu(load_network(model)) for model in models}
    outcomes: dict[str, dict[str, Outcome]] = {}
    for name, measured in panel.items():
        outcomes[name] = {model: measured(imu) for model, imu in imus.items()}
        print_set(name, outcomes[name])
    print_scores(outcomes, models)


def of_report(errors: HeldOutErrors) -> Outcome:
    """Return the outcome on single views with their truth."""
    result = report(errors)
    return Outcome(
        {"rotation error": result.rotation_error, "direction of v [deg]": result.translation_angle},
        {
            "v along truth": result.translation_slope,
            **dict(zip(("NEES w", "NEES v"), map(float, result.nees), strict=True)),
            "worst length ratio": worst_length_ratio(result),
            "90 % rotation error": float(np.percentile(rotation_errors(errors), 90)),
        },
    )


def worst_length_ratio(result: ValidationReport) -> float:
    """Return the ratio farthest from 1 among the bins that count."""
    ratios = [
        one.length_ratio
        for one in result.bins
        if one.low >= SEEN[0] * PIXELS_ACROSS / SEEN_IN and np.isfinite(one.length_ratio)
    ]
    return max(ratios, key=lambda ratio: abs(np.log(ratio)), default=float("nan"))


def within(errors: HeldOutErrors, blur: tuple[float, float]) -> HeldOutErrors:
    """Return the errors of the frames with a median blur within these pixels of a view `SEEN_IN`
    wide."""
    seen = errors.blur * SEEN_IN / PIXELS_ACROSS
    return errors.of_frames((seen >= blur[0]) & (seen <= blur[1]))


def of_sequence(imu: VisualImu, folder: Path) -> Outcome:
    """Return the outcome on a recorded sequence: RMSE of each axis of omega, in gyroscope axes."""
    found, truth = (np.stack(rows) for rows in zip(*pairs(imu, folder), strict=True))
    factor = 1.0
    if folder.name in LENGTHS_FITTED:
        factor = float(np.sum(found[:, :3] * truth[:, :3]) / np.sum(found[:, :3] ** 2))
    error = found * factor - truth
    rmse = np.sqrt(np.mean(error**2, axis=0))
    names = [f"RMSE {name}" for name in VELOCITIES]
    extra = {name: float(x) for name, x in zip(names[3:], rmse[3:], strict=True) if np.isfinite(x)}
    return Outcome(
        {name: float(x) for name, x in zip(names[:3], rmse[:3], strict=True)},
        {**extra, "lengths times": factor},
    )


def pairs(imu: VisualImu, folder: Path) -> Iterator[tuple[Array, Array]]:
    """Yield estimate and truth (6,) of each frame: omega in gyroscope axes, v in optical ones."""
    table = CsvTable(folder / "truth.csv")
    columns = [
        table.column(n) if n in table.names else np.full(len(table.time()), np.nan)
        for n in VELOCITIES
    ]
    camera_file = folder / "camera.yaml"
    settings = FrameSettings(
        load_exposure_time(camera_file), load_camera(camera_file), table.time()
    )
    truths = np.stack(columns, axis=1)
    for frame, truth in zip(open_recording(folder / "frames", settings), truths, strict=True):
        velocity = imu.measure(frame).estimate.velocity
        found = np.concatenate([GYRO_FROM_OPTICAL @ velocity[:3], velocity[3:]])
        yield np.copysign(1.0, found[:3] @ truth[:3]) * found, truth


def print_set(name: str, found: dict[str, Outcome]) -> None:
    """Print what the models make of one set."""
    print(f"\n{name}\n", flush=True)
    first = next(iter(found.values()))
    heading("model", [*first.figures, *first.extra])
    for model, outcome in found.items():
        row(model, [*outcome.figures.values(), *outcome.extra.values()], digits=3)


def print_scores(outcomes: dict[str, dict[str, Outcome]], models: list[str]) -> None:
    """Print the ratios to the first model, and their mean."""
    print(f"\nRatios to {models[0]}; less is better\n")
    heading("model", [*outcomes, "mean"])
    for model in models:
        ratios = [found[model].ratio(found[models[0]]) for found in outcomes.values()]
        row(model, [*ratios, float(np.mean(ratios))], digits=3)


if __name__ == "__main__":
    typer.run(main)
