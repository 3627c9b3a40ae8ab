"""Plots of velocities over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

from blur_imu_ros.core.arrays import Array

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from blur_imu_ros.core.series import UNITS, VELOCITIES
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import ENCODING, UNKNOWN, make_folder_of

ESTIMATE, TRUTH, SINGLE, INVALID = "#d1495b", "#1f2d3d", "#d9a441", "0.55"


def plot_velocities(
    path: Path,
    t: Array,
    estimate: Array,
    sigma: Array | None = None,
    truth: tuple[Array, Array] | None = None,
    title: str = "",
    valid: Array | None = None,
) -> None:
    """Write a picture of six velocities over time.

    Args:
        path: of the picture (.png, .svg, .pdf).
        t: (n,) seconds.
        estimate: (n, 6) angular (rad/s), then linear (m/s).
        sigma: (n, 6) standard deviations, drawn as a band of two.
        truth: (m,) times and (m, 6) velocities; residuals against it are drawn beneath.
        title: above the plot.
        valid: (n,) which estimates may be used; the others are drawn as crosses. None: all.

    Raises:
        RecordingError: the picture cannot be written.
    """
    figure = velocity_figure(t, estimate, sigma, truth, title, valid)
    try:
        save_figure(figure, path, dpi=110)
    finally:
        plt.close(figure)


def save_figure(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure and the folder that it lies in; RecordingError where that cannot be."""
    make_folder_of(path)
    try:
        figure.savefig(path, dpi=dpi)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"{path}: cannot be written: {reason}") from error


def velocity_figure(
    t: Array,
    estimate: Array,
    sigma: Array | None = None,
    truth: tuple[Array, Array] | None = None,
    title: str = "",
    valid: Array | None = None,
) -> Figure:
    """Return the figure that `plot_velocities` writes; the caller closes it."""
    used = np.ones(len(t), bool) if valid is None else valid
    shown = np.where(used[:, None], estimate, np.nan)
    axes, residuals, figure = _panels(with_residuals=truth is not None)
    for index, name in enumerate(VELOCITIES):
        axis, spread = axes[index % 3, index // 3], None if sigma is None else sigma[:, index]
        true = None if truth is None else (truth[0], truth[1][:, index])
        _draw_velocity(axis, t, estimate[:, index], spread, true, used)
        axis.set_ylabel(f"{name} [{UNITS[index]}]")
        if true is not None:
            error = shown[:, index] - np.interp(t, *true)
            _draw_residual(residuals[index % 3, index // 3], t, error, spread)
    for axis in (axes if truth is None else residuals)[-1]:
        axis.set_xlabel("time [s]")
    axes[0, 0].legend(loc="upper right", fontsize=8, ncols=4)
    # A title is no mathematics, and may hold bytes that are no letters.
    figure.suptitle(title.encode(ENCODING, UNKNOWN).decode(), parse_math=False)
    return figure


def _draw_velocity(
    axis: Any,
    t: Array,
    estimate: Array,
    sigma: Array | None,
    truth: tuple[Array, Array] | None,
    used: Array,
) -> None:
    """Draw one velocity (n,) with its band and ground truth (times and values)."""
    shown = np.where(used, estimate, np.nan)
    axis.axhline(0, color="0.8", linewidth=0.8)
    if truth is not None:
        axis.plot(*truth, color=TRUTH, linewidth=1.6, label="ground truth")
    if sigma is not None:
        low, high = (shown + k * sigma for k in (-2, 2))
        axis.fill_between(t, low, high, color=ESTIMATE, alpha=0.2, linewidth=0, label="±2σ")
        alone = _alone(used)
        axis.vlines(t[alone], low[alone], high[alone], color=ESTIMATE, alpha=0.2, linewidth=1)
    # Dots and bars: a valid estimate between two that are not is no line and no band.
    axis.plot(t, shown, ".-", color=ESTIMATE, linewidth=1.1, markersize=3, label="estimate")
    if not used.all():
        crosses = {"color": INVALID, "markersize": 4, "label": "not valid"}
        axis.plot(t[~used], estimate[~used], "x", **crosses)
    axis.set_ylim(*_limits(shown, None if truth is None else truth[1]))
    axis.grid(alpha=0.25)


def _panels(with_residuals: bool) -> tuple[Any, Any, Figure]:
    """Return axes (3, 2) of the velocities, those of the residuals beneath each, and the figure."""
    if not with_residuals:
        figure, axes = plt.subplots(3, 2, figsize=(12, 7), sharex=True, constrained_layout=True)
        return axes, axes, figure
    figure, both = plt.subplots(
        6, 2, figsize=(12, 10), sharex=True, constrained_layout=True, height_ratios=[2.4, 1] * 3
    )
    return both[::2], both[1::2], figure


def _draw_residual(axis: Any, t: Array, error: Array, sigma: Array | None) -> None:
    """Draw estimate minus ground truth (n,) in the band that it should keep to."""
    axis.set_ylabel("residual", fontsize=8)
    if not np.isfinite(error).any():
        where = {"ha": "center", "va": "center", "transform": axis.transAxes}
        axis.text(0.5, 0.5, "no ground truth", color=INVALID, **where)
        axis.set_yticks([])
        return
    axis.axhline(0, color="0.8", linewidth=0.8)
    if sigma is not None:
        axis.fill_between(t, -2 * sigma, 2 * sigma, color=ESTIMATE, alpha=0.2, linewidth=0)
    axis.plot(t, error, ".-", color=ESTIMATE, linewidth=0.9, markersize=2)
    axis.set_ylim(*_limits(error, None))
    axis.grid(alpha=0.25)


def _alone(used: Array) -> Array:
    """Return which of the used estimates (n,) have no used neighbour."""
    padded = np.concatenate([[False], used, [False]])
    return np.asarray(used & ~padded[:-2] & ~padded[2:])


def _limits(estimate: Array, truth: Array | None) -> tuple[float, float]:
    """Return limits that show the curves, not the band of an unsure outlier."""
    values = estimate if truth is None else np.concatenate([estimate, truth])
    values = values[np.isfinite(values)]
    reach = 1.15 * max(0.1, float(np.abs(values).max(initial=0.0)))
    return -reach, reach
