"""`blur-imu demo`: a known motion through the whole chain, over real ROS 2 where it is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from blur_imu_ros.choices import FOR_CAMERAS, Axes
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.axes import MEANING, express, six_from_optical
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.series import VELOCITIES, VelocitySeries, series_of
from blur_imu_ros.core.visual_imu import Network, VisualImu
from blur_imu_ros.errors import RosSetupError
from blur_imu_ros.evaluation.metrics import Evaluation, evaluate, match
from blur_imu_ros.execution.files import make_folder_of
from blur_imu_ros.execution.progress import progress
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.simulation.room_renderer import (
    Trajectory,
    blurred_image,
    furnished_room,
    hand_held,
)

CAMERA = Camera(640, 480, 480.0, 480.0, 319.5, 239.5)
FRAME_RATE = 30.0
EXPOSURE_TIME = 0.015
LEVER_ARM = (0.0, 0.0, 0.3)
"""Metres, from the wrist to the camera; the chain is not told."""


FEWEST_ANSWERED = 0.8
"""Share of the frames; with fewer answers the demo says why its figures are bad."""


@dataclass(frozen=True)
class Received:
    """Velocities that came out of the chain, in body axes.

    Attributes:
        series: times, velocities and their standard deviations.
        latency: (n,) seconds from image to twist; empty offline.
        how: the way they went, for a person.
    """

    series: VelocitySeries
    latency: Array
    how: str


def run_demo(
    output: Path,
    seconds: float = 3.0,
    ros: str = "auto",
    model: str = FOR_CAMERAS,
    network: Network | None = None,
) -> Evaluation:
    """Render, measure, compare with the truth, and write plot and overlay video into `output`.

    Args:
        output: folder, made if needed.
        seconds: length of the motion.
        ros: `on` goes through the ROS node, `off` calls the core, `auto` takes what is there.
        model: name or path of the model.
        network: instead of a model, offline.

    Raises:
        BlurImuError: what is missing, in one line.
    """
    console = Console()
    plot, video = output / "velocity.png", output / "overlay.mp4"
    make_folder_of(plot)
    if ros == "on" and not _has_ros():
        raise RosSetupError("ROS 2 is not installed: pip install '.[ros]', or demo --ros off")
    over_ros = network is None and ros != "off" and _has_ros()
    network = network or load_network(model)
    trajectory = hand_held(sway=0.03, lever_arm=LEVER_ARM)
    frames = rendered(trajectory, seconds)
    received = _through_ros(frames, model) if over_ros else None
    # The video shows what the network reads, which ROS does not carry.
    imu = VisualImu(network, pivot=PivotConfig())
    measurements = list(imu.track(progress(frames, "Measuring")))
    received = received or _offline(measurements)
    truth = true_series(trajectory, frames)
    result = evaluate(match(received.series, truth))
    _plot(plot, received, truth)
    _video(video, measurements)
    _print(console, received, result, len(frames))
    console.print(f"wrote {plot} and {video}")
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
    return Received(series, np.zeros(0), "offline, without ROS")


def _through_ros(frames: list[Frame], model: str) -> Received:
    from blur_imu_ros.ros.replay import replay

    heard = replay(frames, model, progress)
    order = np.argsort(heard.t)
    series = VelocitySeries(
        heard.t[order], heard.velocity[order], heard.sigma[order], np.ones(len(order), bool)
    )
    return Received(series, heard.latency[order], "through the ROS 2 node in its own process")


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


def _video(path: Path, measurements: list[Measurement]) -> None:
    from blur_imu_ros.viz.overlay_video import OverlayWriter

    writer = OverlayWriter(path, Axes.BODY)
    try:
        for measurement in progress(measurements, "Drawing overlay"):
            writer.write(measurement)
    finally:
        writer.close()


def _print(console: Console, received: Received, result: Evaluation, sent: int) -> None:
    from rich.table import Table

    table = Table(title="velocity from blur against the truth, body axes")
    for heading in ("", *VELOCITIES):
        table.add_column(heading, justify="right")
    for name, row in (
        ("RMSE", result.rmse),
        ("RMSE of zero", result.zero_rmse),
        ("correlation", result.correlation),
    ):
        table.add_row(name, *(f"{x:.2f}" for x in row))
    console.print(table)
    console.print(f"{result.rows} of {sent} frames answered, {received.how}")
    if result.rows < FEWEST_ANSWERED * sent and len(received.latency):
        console.print(
            f"this machine is too slow or too busy for {FRAME_RATE:g} images a second: the node dropped "
            "the others, and hardly tells the sign across the gaps; demo --ros off measures all"
        )
    if len(received.latency):
        console.print(f"median latency image to twist {np.median(received.latency) * 1e3:.0f} ms")
    console.print(f"right signs {result.right_signs:.1%} of {result.clear_rows} clear turns")
