"""Measure the shipped model and draw its figures: `python tools/accuracy.py ../shared/data`.

Prints the tables of docs/ACCURACY.md as Markdown and writes the pictures beside it. Everything goes
through the same code as `blur-imu run`, `evaluate` and `validate`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import cv2
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.choices import DEFAULT_MODEL, Axes, Direction, MotionPrior
from blur_imu_ros.cli.demo import CAMERA
from blur_imu_ros.cli.run import run
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.series import UNITS, VELOCITIES, VelocitySeries
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.evaluation.metrics import Evaluation, MatchedSeries, evaluate, in_axes, match
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.simulation.room_renderer import blurred_image, furnished_room, hand_held
from blur_imu_ros.viz.overlay import draw_overlay
from blur_imu_ros.viz.plots import ESTIMATE, TRUTH
from blur_imu_training.data.held_out import held_out_frames
from blur_imu_training.validation.validate import PIXELS_ACROSS, ValidationReport, measure, report
from markdown import heading, row

Image = NDArray[np.uint8]

JPEG = [cv2.IMWRITE_JPEG_QUALITY, 88]

WAYS: list[tuple[Direction, MotionPrior, bool]] = [
    (Direction.ADJACENT, MotionPrior.PIVOT, True),
    (Direction.SMOOTH, MotionPrior.PIVOT, True),
    (Direction.PREVIOUS, MotionPrior.PIVOT, True),
    (Direction.ADJACENT, MotionPrior.NONE, True),
    (Direction.PREVIOUS, MotionPrior.NONE, True),
    (Direction.ADJACENT, MotionPrior.PIVOT, False),
    (Direction.PREVIOUS, MotionPrior.PIVOT, False),
    (Direction.ADJACENT, MotionPrior.NONE, False),
]
"""Of using a model, what `run` does first: direction, prior, whether neighbours are fused."""

READING_ERROR = np.array([0.2] * 3 + [0.05] * 3)
"""Standard deviation (6,) of the ground truth, rad/s and m/s: its curves were digitised."""

Mode = tuple[str, Direction, MotionPrior, bool]
"""A model, and how it is used."""


def named(mode: Mode) -> str:
    """Return how a table calls a mode."""
    model, direction, prior, fused = mode
    alone = "" if fused else ", no registration"
    return f"{model}, {direction.value}, prior {prior.value}{alone}"


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with dining/ and train/")
    parser.add_argument("--model", action="append", help="the pictures are of the first")
    parser.add_argument("--frames", type=int, default=200, help="held-out frames")
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    models = options.model or [DEFAULT_MODEL]
    real_sequence(options.data / "dining", models, options.pictures)
    held_out(options.data / "train", models, options.frames, options.pictures)
    rendered_cases(models[0], options.pictures)


# --- the real sequence ----------------------------------------------------------------------------


def real_sequence(folder: Path, models: list[str], pictures: Path) -> None:
    """Print errors on the real sequence beside those published, and draw the best mode."""
    truth = read_velocities(folder / "truth.csv")
    curve = read_velocities(folder / "published.csv")
    published = evaluate(match(curve, truth))
    modes: list[Mode] = [(model, *way) for model in models for way in WAYS]
    results = {mode: compared(folder, truth, mode) for mode in modes}
    print(f"## Real frames: {folder.name}\n")
    heading("RMSE", [f"{name} [{unit}]" for name, unit in zip(VELOCITIES, UNITS, strict=True)])
    row("zero velocity", published.zero_rmse)
    row("published", published.rmse)
    for mode, matched in results.items():
        row(named(mode), evaluate(matched).rmse_all_rows)
    print()
    normalised = [
        "NEES w",
        "NEES v",
        "NEES w, error of truth included",
        "NEES v, error of truth included",
    ]
    heading("method", ["sign accuracy", "exposure that fits [ms]", *normalised, "valid"])
    for mode, matched in results.items():
        row(named(mode), figures(evaluate(matched), matched), digits=3)
    print()
    heading("share of errors", list(VELOCITIES))
    for model in models:
        best = results[(model, *WAYS[0])]
        for matched, truth_is in (
            (best, ""),
            (with_reading_error(best), ", error of truth included"),
        ):
            for k, shares in zip((1, 2), evaluate(matched).coverage, strict=True):
                row(f"{model}, within {k} sigma{truth_is}", shares)
    print()
    curves(pictures / "dining.png", results[modes[0]], curve)


def compared(folder: Path, truth: VelocitySeries, mode: Mode) -> MatchedSeries:
    """Run on the sequence as a user does, and match with the ground truth in its axes."""
    model, direction, prior, fused = mode
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "estimate.csv"
        options = RunOptions(
            source=folder / "frames", output=output, camera=folder / "camera.yaml", stamps=folder / "truth.csv",
            model=model, direction=direction, axes=Axes.GYRO, motion_prior=prior, registration=fused,
        )  # fmt: skip
        run(options)
        estimate = in_axes(read_velocities(output), Axes.GYRO, Axes.GYRO)
    return match(estimate, truth)


def figures(result: Evaluation, matched: MatchedSeries) -> list[float]:
    """Return what is said of a mode beside its errors."""
    fitted = 10.0 * result.exposure_scale
    included = evaluate(with_reading_error(matched)).nees
    return [result.right_signs, fitted, *result.nees, *included, float(np.mean(matched.valid))]


def with_reading_error(matched: MatchedSeries) -> MatchedSeries:
    """Return the match with standard deviations of estimate minus truth, not of the estimate
    alone."""
    assert matched.sigma is not None
    return replace(matched, sigma=np.hypot(matched.sigma, READING_ERROR))


def curves(path: Path, ours: MatchedSeries, published: VelocitySeries) -> None:
    """Draw ours, the published estimate and the ground truth over time."""
    figure, axes = plt.subplots(3, 2, figsize=(13, 7.5), sharex=True, constrained_layout=True)
    assert ours.sigma is not None
    for index, name in enumerate(VELOCITIES):
        axis = axes[index % 3, index // 3]
        low, high = (ours.estimate[:, index] + k * ours.sigma[:, index] for k in (-2, 2))
        axis.fill_between(ours.t, low, high, color=ESTIMATE, alpha=0.15, linewidth=0)
        axis.plot(ours.t, ours.truth[:, index], color=TRUTH, linewidth=1.8, label="ground truth")
        axis.plot(
            published.t,
            published.velocity[:, index],
            color="#5b8ea6",
            linewidth=1,
            label="published",
        )
        axis.plot(
            ours.t, ours.estimate[:, index], color=ESTIMATE, linewidth=1.2, label="ours, 2 sigma"
        )
        reach = 1.2 * np.abs(ours.truth[:, index]).max()
        axis.set_ylim(-reach, reach)
        axis.set_ylabel(f"{name} [{UNITS[index]}]")
        axis.grid(alpha=0.25)
    for axis in axes[-1]:
        axis.set_xlabel("time [s]")
    axes[0, 0].legend(loc="upper right", fontsize=8, ncols=3)
    figure.suptitle("Velocity from blur and neighbouring frames: real phone frames, 10 ms exposure")
    figure.savefig(path, dpi=90)
    plt.close(figure)


# --- held-out synthetic blur ----------------------------------------------------------------------


def held_out(data: Path, models: list[str], count: int, pictures: Path) -> None:
    """Print and draw errors against the length of the blur, from another camera pipeline."""
    frames = list(held_out_frames(data, count))
    for model in models:
        result = report(measure(VisualImu(load_network(model, "onnx")), frames))
        print(f"## Held-out blur: {model}, {result.frames} frames, another camera pipeline\n")
        heading(
            f"blur [px of a view {PIXELS_ACROSS} wide]",
            ["length ratio", "frames", "rotation error", "translation angle [deg]", "v scale"],
        )
        for one in result.bins:
            values = [one.length_ratio, one.frames, one.rotation_error, one.translation_angle]
            row(f"{one.low:g}-{one.high:g}", [*values, one.translation_scale])
        print(
            f"\nMedian rotation error {result.rotation_error:.3f}. "
            f"NEES {result.nees[0]:.2f} (w), {result.nees[1]:.2f} (v); within 1 sigma "
            f"{shares(result.coverage[0])}, within 2 sigma {shares(result.coverage[1])}\n"
        )
        if model == models[0]:
            draw_bins(pictures / "error_by_blur.png", result)


def shares(values: Any) -> str:
    """Return shares for a person."""
    return " ".join(f"{x:.2f}" for x in values)


def draw_bins(path: Path, result: ValidationReport) -> None:
    """Draw length ratio, rotation error and translation angle by the length of the blur."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), constrained_layout=True)
    middle = [(one.low + one.high) / 2 for one in result.bins]
    panels: list[tuple[str, list[float]]] = [
        ("predicted / true length", [one.length_ratio for one in result.bins]),
        ("rotation error [%]", [100 * one.rotation_error for one in result.bins]),
        ("translation direction error [deg]", [one.translation_angle for one in result.bins]),
    ]
    for axis, (title, values) in zip(axes, panels, strict=True):
        axis.plot(middle, values, "o-", color=ESTIMATE)
        axis.set_xlabel(f"blur [px of a view {PIXELS_ACROSS} wide]")
        axis.set_title(title, fontsize=10)
        axis.set_ylim(0, 1.15 * max(1e-3, float(np.nanmax(values))))
        axis.grid(alpha=0.25)
    axes[0].axhline(1, color="0.5", linewidth=0.8)
    figure.savefig(path, dpi=90)
    plt.close(figure)


# --- frames of our own renderer -------------------------------------------------------------------


def rendered_cases(model: str, pictures: Path) -> None:
    """Draw what is read from frames of our own renderer: good cases, and bad ones."""
    imu = VisualImu(load_network(model, "onnx"))
    room, trajectory = furnished_room(), hand_held()
    print("\n## Frames of our own renderer\n")
    heading("case", ["true rate [rad/s]", "found [rad/s]", "sigma [rad/s]", "blur [px]", "valid"])
    drawn = []
    for name, t, exposure_time, change in CASES:
        frames = []
        for step in (-STEP, 0.0, STEP):
            image = change(blurred_image(room, CAMERA, trajectory, t + step, exposure_time, seed=1))
            frames.append(Frame(image, t + step, exposure_time, CAMERA, name))
        image, measurement = frames[1].image, imu.measure(frames[1])
        estimate = measurement.estimate
        true = float(np.linalg.norm(trajectory.velocity(t)[:3]))
        found = float(np.linalg.norm(estimate.angular_velocity))
        sigma = float(np.linalg.norm(estimate.sigma[:3]))
        row(name, [true, found, sigma, estimate.blur_px, int(estimate.valid)])
        # The sign of one image is open: its neighbours decide.
        decided = list(imu.track(frames))[1].estimate
        if estimate.angular_velocity @ decided.angular_velocity < 0:
            estimate = estimate.reversed()
        estimate = replace(estimate, direction_probability=decided.direction_probability)
        drawn.append((image, draw_overlay(image, measurement.field, estimate)))
    cv2.imwrite(str(pictures / "overlay.jpg"), np.hstack(drawn[0]), JPEG)
    grid = [np.vstack([overlay for _, overlay in drawn[k : k + 2]]) for k in range(1, 5, 2)]
    cv2.imwrite(str(pictures / "cases.jpg"), np.hstack(grid), JPEG)


def _dark(image: Image) -> Image:
    return np.asarray(image * 0.04, np.uint8)


def _defocused(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 12), np.uint8)


def _as_it_is(image: Image) -> Image:
    return image


STEP = 1 / 30
"""Seconds between a frame and the neighbours that decide its sign."""
CASES: list[tuple[str, float, float, Callable[[Image], Image]]] = [
    ("turning fast", 2.4, 0.015, _as_it_is),
    ("turning, long exposure", 1.7, 0.030, _as_it_is),
    ("hardly any blur", 1.7, 0.001, _as_it_is),
    ("nearly dark", 2.4, 0.015, _dark),
    ("out of focus", 2.4, 0.015, _defocused),
]


if __name__ == "__main__":
    main()
