"""`blur-imu demo`: a known motion through the whole chain, over real ROS 2 where it is there."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from blur_imu_ros.choices import DEFAULT_MODEL, Axes
from blur_imu_ros.cli.remarks import sign_remark
from blur_imu_ros.cli.terminal import say, show
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.axes import MEANING, express, six_from_optical
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.series import VELOCITIES, VelocitySeries, series_of
from blur_imu_ros.core.visual_imu import Network, VisualImu
from blur_imu_ros.errors import RosSetupError, install_hint
from blur_imu_ros.evaluation.metrics import Evaluation, evaluate, match
from blur_imu_ros.execution.files import make_folder_of
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.execution.progress import progress
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.simulation.room_renderer import (
    Trajectory,
    blurred_image,
    furnished_room,
    hand_held,
)
from blur_imu_ros.viz.tables import WITH_UNITS, Table, rmse_row

CAMERA = Camera(640, 480, 480.0, 480.0, 319.5, 239.5)
FRAME_RATE = 30.0
EXPOSURE_TIME = 0.015
LEVER_ARM = (0.0, 0.0, 0.3)
"""Metres, from the wrist to the camera; the chain does not know it."""
CAREFUL = 0.5
"""Share of its time that the node may measure: transport and the player need theirs."""
SLOWEST_RATE = 2.0
"""Hz, at which images are played even to the slowest machine."""
FEW_UNANSWERED = 0.2
"""Share of the frames; with more the demo says why its figures are bad."""


@dataclass(frozen=True)
class Received:
    """Velocities that came out of the chain, in body axes.

    Attributes:
        series: times, velocities and their standard deviations.
        latency: (n,) seconds from image to twist; empty offline.
        how: the way they went, for a person.
        unanswered: how many frames have no velocity, by the reason.
    """

    series: VelocitySeries
    latency: Array
    how: str
    unanswered: dict[str, int] = field(default_factory=dict)


def run_demo(
    output: Path,
    seconds: float = 3.0,
    ros: str = "auto",
    model: str = DEFAULT_MODEL,
    network: Network | None = None,
) -> Evaluation:
    """Render, measure, compare with the ground truth, and write plot and overlay video into
    `output`.

    Args:
        output: folder, made if needed.
        seconds: length of the motion.
        ros: `on` goes through the ROS node, `off` calls the core, `auto` takes what is there.
        model: name or path of the model.
        network: instead of a model, offline.

    Raises:
        BlurImuError: what is missing, in one line.
    """
    plot, video = output / "velocity.png", output / "overlay.mp4"
    make_folder_of(plot)
    if ros == "on" and not _has_ros():
        raise RosSetupError(f"ROS 2 is not installed ({install_hint('ros')}); or demo --ros off")
    over_ros = network is None and ros != "off" and _has_ros()
    network = network or load_network(model)
    trajectory = hand_held(sway=0.03, lever_arm=LEVER_ARM)
    frames = rendered(trajectory, seconds)
    # Also over ROS: the video shows what the network reads, which no message carries.
    begun = time.monotonic()
    imu = VisualImu(network, pivot=PivotConfig())
    measurements = list(imu.track(progress(frames, "Measuring")))
    rate = _affordable_rate((time.monotonic() - begun) / len(frames))
    received = _through_ros(frames, model, rate) if over_ros else _offline(measurements)
    truth = true_series(trajectory, frames)
    result = evaluate(match(received.series, truth))
    _plot(plot, received, truth)
    note = _video(video, measurements)
    _print(received, result, len(frames))
    say(f"wrote {plot} and {video}")
    if note:
        say(note)
    _print_next()
    return result


def _has_ros() -> bool:
    try:
        import rclpy  # noqa: F401
    except ImportError:
        return False
    return True


def rendered(trajectory: Trajectory, seconds: float) -> list[Frame]:
    """Return the frames of a camera on the trajectory in our furnished room."""
    room = furnished_room()
    frames = []
    for index in progress(range(max(4, round(seconds * FRAME_RATE))), "Rendering blur"):
        # Stamps start at 1 s: a stamp of zero means unknown in ROS.
        t = 1.0 + index / FRAME_RATE
        image = blurred_image(room, CAMERA, trajectory, t, EXPOSURE_TIME, seed=index)
        frames.append(Frame(image, t, EXPOSURE_TIME, CAMERA, f"rendered {index}"))
    return frames


def true_series(trajectory: Trajectory, frames: list[Frame]) -> VelocitySeries:
    """Return the true velocities at the frames' times, in body axes."""
    to_body = six_from_optical(Axes.BODY)
    velocity = np.stack([to_body @ trajectory.velocity(frame.t) for frame in frames])
    t = np.array([frame.t for frame in frames])
    return VelocitySeries(t, velocity, None, np.ones(len(t), bool))


def _offline(measurements: list[Measurement]) -> Received:
    series = series_of(express(m.estimate, Axes.BODY) for m in measurements)
    reasons = Counter(m.estimate.reasons[0] for m in measurements if not m.estimate.valid)
    return Received(series, np.zeros(0), "offline, without ROS", dict(reasons))


def _affordable_rate(seconds: float) -> float:
    """Return the images per second that the node can answer where one takes so many `seconds`."""
    return float(np.clip(CAREFUL / max(seconds, 1e-6), SLOWEST_RATE, FRAME_RATE))


def _through_ros(frames: list[Frame], model: str, rate: float) -> Received:
    from blur_imu_ros.ros.replay import replay

    heard = replay(frames, model, progress, rate)
    order = np.argsort(heard.t)
    series = VelocitySeries(
        heard.t[order], heard.velocity[order], heard.sigma[order], np.ones(len(order), bool)
    )
    how = "through the ROS 2 node in its own process"
    if rate < FRAME_RATE:
        how += f"; played at {rate:.0f} Hz, because this machine is too busy for {FRAME_RATE:g}"
    return Received(series, heard.latency[order], how, heard.unanswered)


def _plot(path: Path, received: Received, truth: VelocitySeries) -> None:
    from blur_imu_ros.viz.plots import plot_velocities

    series = received.series
    plot_velocities(
        path,
        series.t,
        series.velocity,
        series.sigma,
        (truth.t, truth.velocity),
        f"rendered room, {MEANING[Axes.BODY]}",
        series.valid,
    )


def _video(path: Path, measurements: list[Measurement]) -> str:
    """Write the overlay; return what a person should know of the kind of video."""
    from blur_imu_ros.viz.overlay_video import OverlayWriter

    writer = OverlayWriter(path, Axes.BODY)  # those of the plot and of the table
    try:
        for measurement in progress(measurements, "Drawing overlay"):
            writer.write(measurement)
    finally:
        writer.close()
    return writer.note


def _print(received: Received, result: Evaluation, sent: int) -> None:
    rows = [
        rmse_row("RMSE", result.rmse),
        rmse_row("RMSE of the zero-velocity baseline", result.zero_rmse),
    ]
    if received.series.sigma is not None:
        rows.append(rmse_row("median sigma", np.median(received.series.sigma, axis=0)))
    title = f"velocity from blur against the ground truth, {MEANING[Axes.BODY]}"
    show(Table.of(title, ("", *WITH_UNITS), rows).for_terminal())
    for line in _lines(received, result, sent):
        say(line)


def _lines(received: Received, result: Evaluation, sent: int) -> Iterator[str]:
    """Yield what a person should know of the figures."""
    yield f"{result.rows} of {sent} frames answered, {received.how}"
    for reason, count in received.unanswered.items():
        yield f"  {count} not: {reason}"
    busy = sent - result.rows > FEW_UNANSWERED * sent and len(received.latency)
    if busy:
        yield "  this machine is too slow or too busy; demo --ros off measures every frame"
    if len(received.latency):
        median, p95 = 1e3 * np.percentile(received.latency, [50, 95])
        load = f", at a load of {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
        yield (
            f"latency from image to twist: median {median:.0f} ms, 95 % within {p95:.0f} ms{load} "
            f"on {usual_jobs()} cores"
        )
    yield sign_remark(result)
    yield from _worse_than_zero(result)


def _worse_than_zero(result: Evaluation) -> Iterator[str]:
    """Yield why an axis may be worse than the zero-velocity baseline."""
    worse = [k for k in range(6) if result.rmse[k] > result.zero_rmse[k]]
    turns, ways = ([VELOCITIES[k] for k in worse if k // 3 == part] for part in (0, 1))
    if ways:
        yield (
            f"{_are(ways)} worse than zero velocity: next to a fast rotation, a slow translation "
            "shows only in the parallax, and the depth is a guess. The wide sigma says so: weight "
            "it accordingly"
        )
    if turns:
        yield (
            f"{_are(turns)} worse than zero velocity: hardly any rotation about this axis, or "
            "wrong signs"
        )


def _are(names: list[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _print_next() -> None:
    for line in (
        "next, on your own recording:",
        "  blur-imu run VIDEO --camera camera.yaml --exposure 0.010 -o velocity.csv --overlay "
        "overlay.mp4",
        "  docs/QUICK_START.md covers a robot, a bag, a phone with its gyroscope log, and photos",
    ):
        say(line)
