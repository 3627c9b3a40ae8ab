"""Measure the node: `python tools/node_performance.py --model compact`, on a machine that does
nothing else.

Plays the camera, 640x480 at 30 Hz, to a node in its own process at its defaults, and asks the
operating system, the node's diagnostics and the clock what that costs; then 1280x720 at 60 Hz,
which is more than a small machine measures. Prints the tables of docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistWithCovarianceStamped
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.evaluation.benchmark import EXPOSURE_TIME, FRAME_RATE, SIZES, rendered_frames
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.ros import messages
from blur_imu_ros.ros.replay import DISCOVERY_TIMEOUT, keep_apart, our_node
from markdown import heading, row

FRAME_ID = "camera_optical_frame"

SETTLING = 3.0
"""Seconds of frames that do not count: caches, and the memory that frees itself at first."""

HURRIED_SIZE, HURRIED_RATE = SIZES[1], 60.0


@dataclass(frozen=True)
class NodeFigures:
    """What a node took to answer a camera.

    Attributes:
        first_output: seconds from the start of the process to its first velocity.
        answered: share of the images that a velocity came back from.
        cores: processor seconds a second.
        memory_mb: resident, at the beginning and at the end.
        latency: median and 95th percentile from an image's arrival to its velocity, ms.
        beyond: 95th percentile of what of it was not measuring, ms.
        heard: median from publishing an image to hearing its velocity in another process, s, in
            the first half and in the second.
    """

    first_output: float
    answered: float
    cores: float
    memory_mb: tuple[float, float]
    latency: tuple[float, float]
    beyond: float
    heard: tuple[float, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", help="name or path")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each model")
    options = parser.parse_args()
    models = options.model or [DEFAULT_MODEL]
    table(models, options.seconds)
    hurried(models[:1], options.seconds)


def table(models: list[str], seconds: float) -> None:
    """Print what the node costs with each model."""
    available = usual_jobs()
    print(
        f"{SIZES[0][0]}x{SIZES[0][1]} raw images at {FRAME_RATE:.0f} Hz over the default "
        "transport, "
        "pivot prior, neighbours registered, the camera in another process. Share: of the "
        f"{available} cores. Beyond: of the latency what is not "
        "measuring. Heard: from publishing an image to hearing its velocity in the other process.\n"
    )
    heading(
        "model",
        ["cores", "share [%]", "latency median [ms]", "95 %", "beyond, 95 % [ms]",
         "heard, median [ms]", "answered [%]", "start to output [s]", "resident [MB]"],
    )  # fmt: skip
    for model in models:
        one = measured(model, seconds)
        row(
            Path(model).stem,
            [one.cores, 100 * one.cores / available, *one.latency, one.beyond,
             1e3 * float(np.median(one.heard)), 100 * one.answered, one.first_output,
             one.memory_mb[1]],
        )  # fmt: skip


def hurried(models: list[str], seconds: float) -> None:
    """Print what becomes of a node that gets more than it can measure: nothing may pile up."""
    print(
        f"\n{HURRIED_SIZE[0]}x{HURRIED_SIZE[1]} at {HURRIED_RATE:.0f} Hz; images that came while "
        "another was measured are left out, all but the newest.\n"
    )
    heading(
        "model",
        ["cores", "answered a second", "heard, median of the first half [ms]", "of the second [ms]",
         "resident at first [MB]", "in the end [MB]"],
    )  # fmt: skip
    for model in models:
        one = measured(model, seconds, HURRIED_SIZE, HURRIED_RATE)
        heard = [1e3 * value for value in one.heard]
        row(Path(model).stem, [one.cores, HURRIED_RATE * one.answered, *heard, *one.memory_mb])


def measured(
    model: str,
    seconds: float,
    size: tuple[int, int] = SIZES[0],
    rate: float = FRAME_RATE,
) -> NodeFigures:
    """Start a node, play the camera to it for `seconds`, and return what it took."""
    with node_at_work(model, size, rate) as (camera, process, first_output):
        camera.play(SETTLING)
        return _figures(camera, process, seconds, first_output)


@contextmanager
def node_at_work(
    model: str, size: tuple[int, int], rate: float
) -> Iterator[tuple[PlayedCamera, subprocess.Popen[bytes], float]]:
    """Start a node and play to it until it answers; yield both and the seconds it took."""
    keep_apart()
    images = rendered_frames(size)  # before the clock runs
    rclpy.init()
    views = [one.frame(index).image for index, one in enumerate(images)]
    camera = PlayedCamera(views, images[0].camera, rate)
    try:
        begun = time.monotonic()
        with our_node(model, EXPOSURE_TIME) as process:
            camera.play(
                DISCOVERY_TIMEOUT, lambda: bool(camera.delays) or process.poll() is not None
            )
            yield camera, process, time.monotonic() - begun
    finally:
        camera.close()
        rclpy.try_shutdown()


class PlayedCamera:
    """A node that publishes images and hears what is made of them."""

    def __init__(self, images: list[NDArray[np.uint8]], camera: Camera, rate: float) -> None:
        there_and_back = [*images, *images[-2:0:-1]]
        self._rate = rate
        self._images = [messages.image_message(one, 0.0, FRAME_ID) for one in there_and_back]
        self._info = messages.camera_info_message(camera, 0.0, FRAME_ID)
        self._node = rclpy.create_node("performance_camera")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._image_out = self._node.create_publisher(Image, "image", 1)
        self._info_out = self._node.create_publisher(CameraInfo, "camera_info", 1)
        self._node.create_subscription(TwistWithCovarianceStamped, "twist", self._on_twist, 10)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.sent: list[float] = []
        self.delays: list[float] = []
        self.facts: dict[str, str] = {}

    def play(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Publish frames in step for `seconds`, or until there is `enough`."""
        begun = time.monotonic()
        for index in count():
            due = begun + index / self._rate
            while (left := due - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left)
            if enough() or due > begun + seconds:
                return
            self._publish()

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _publish(self) -> None:
        number = len(self.sent)
        image = self._images[number % len(self._images)]
        image.header.stamp = self._info.header.stamp = messages.stamp(100 + number / self._rate)
        self.sent.append(time.monotonic())
        self._info_out.publish(self._info)
        self._image_out.publish(image)

    def _on_twist(self, message: TwistWithCovarianceStamped) -> None:
        number = round((messages.seconds(message.header.stamp) - 100) * self._rate)
        self.delays.append(time.monotonic() - self.sent[number])

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.facts |= {pair.key: pair.value for pair in message.status[0].values}


def _figures(
    camera: PlayedCamera, process: subprocess.Popen[bytes], seconds: float, first_output: float
) -> NodeFigures:
    sent, heard = len(camera.sent), len(camera.delays)
    memory = resident_mb(process.pid)
    begun, before = time.monotonic(), processor_seconds(process.pid)
    camera.play(seconds)
    spent, elapsed = processor_seconds(process.pid) - before, time.monotonic() - begun
    delays = camera.delays[heard:]
    if len(delays) < 2:
        raise SystemExit(f"the node answered nothing: {camera.facts}")
    measured = {name: float(value) for name, value in camera.facts.items() if name.endswith("[ms]")}
    halves = delays[: len(delays) // 2], delays[len(delays) // 2 :]
    return NodeFigures(
        first_output=first_output,
        answered=len(delays) / (len(camera.sent) - sent),
        cores=spent / elapsed,
        memory_mb=(memory, resident_mb(process.pid)),
        latency=(measured["latency median [ms]"], measured["latency p95 [ms]"]),
        beyond=measured["beyond measuring p95 [ms]"],
        heard=(float(np.median(halves[0])), float(np.median(halves[1]))),
    )


def processor_seconds(process: int) -> float:
    """Return what a process has used of the processor (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(process: int) -> float:
    """Return the memory that a process holds (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1e3


if __name__ == "__main__":
    main()
