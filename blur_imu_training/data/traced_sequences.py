"""Sequences of frames of a path-traced room: hand-shaken or driven, blurred truly, with their
truth.

A folder holds `frames/NNNNNN.jpg`, `depth/NNNNNN.png` (uint16 mm at mid-exposure), `camera.yaml`,
and `truth.csv`: frame, t (mid-exposure, s), wx, wy, wz (rad/s, gyroscope axes), vx, vy, vz (m/s,
optical axes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.execution.files import write_text
from blur_imu_ros.simulation.room_renderer import Pose, Trajectory
from blur_imu_training.data.sample_folder import claim
from blur_imu_training.data.traced_rooms import (
    METERED,
    TracedRoom,
    millimetres,
    srgb,
    write_image,
)
from blur_imu_training.path_tracing.path_tracer import PathTracer
from blur_imu_training.path_tracing.viewpoints import free_start, pinhole
from blur_imu_training.path_tracing.ways import hand_shake, robot_drive
from blur_imu_training.scene.room_units import scales

Float = NDArray[np.float32]

RENDERER = 1
"""Raised whenever the same room and choice give other frames than before."""

FIRST = 0.02
"""Seconds, the middle of the first exposure."""

LEVEL = 0.25
"""Linear light of a frame's metered percentile."""

READ_NOISE, SHOT_NOISE = 2e-5, 4e-4
"""Variance of noise, and what it grows by with light."""

DIM_GAIN = 5.0
"""Of the noise's variance in dim sequences."""

SAMPLES, POSES = 12, 64
"""Of each pixel; of the camera in an exposure."""


@dataclass(frozen=True)
class SequenceChoice:
    """What to film.

    Attributes:
        width, height: pixels.
        frames: how many.
        frame_rate: Hz.
        exposure_time: seconds.
        focal: over the width.
        rate: rad/s of a hand's shake, at most, in each axis.
        robot: whether a robot drives instead.
        dim: linear light over that of a well exposed frame.
        seed: of every choice.
    """

    width: int = 400
    height: int = 304
    frames: int = 45
    frame_rate: float = 30.0
    exposure_time: float = 0.01
    focal: float = 0.75
    rate: float = 6.0
    robot: bool = False
    dim: float = 1.0
    seed: int = 1

    @property
    def camera(self) -> Camera:
        """That films."""
        return pinhole(self.width, self.height, self.focal * self.width)

    @property
    def duration(self) -> float:
        """Seconds."""
        return FIRST + self.frames / self.frame_rate + self.exposure_time

    def way(self) -> Callable[[Pose], Trajectory]:
        """Return what makes a way from a start."""
        if self.robot:
            return lambda start: robot_drive(start, self.seed, self.duration)
        return lambda start: hand_shake(start, self.seed, self.rate)


def render_sequence(room: TracedRoom, folder: Path, choice: SequenceChoice) -> Iterator[int]:
    """Render the frames that `folder` lacks; yield how many are there. The ground truth is written
    first.

    Raises:
        TrainingError: a folder of other settings, or a room without a free way.
        RecordingError: what cannot be read or written.
    """
    settings = {"room": room.name, "renderer": RENDERER, **asdict(choice)}
    claim(folder, settings | scales({room.name: room.metres_per_unit}))
    room.check_height()
    camera = choice.camera
    rng = room.choices(choice.seed, 0)
    trajectory = free_start(room.tracer, camera, choice.way(), choice.duration, rng)
    times = [FIRST + index / choice.frame_rate for index in range(choice.frames)]
    write_text(folder / "camera.yaml", _camera_file(camera, choice.exposure_time))
    write_text(folder / "truth.csv", _truth(trajectory, times))
    for index, t in enumerate(times):
        path = folder / "frames" / f"{index:06d}.jpg"
        if not path.exists():
            depth = millimetres(room.tracer.depth(camera, trajectory.pose(t)))
            write_image(folder / "depth" / f"{index:06d}.png", depth)
            write_image(path, _frame(room.tracer, trajectory, t, choice, index))
        yield index + 1


def _frame(
    tracer: PathTracer, trajectory: Trajectory, t: float, choice: SequenceChoice, index: int
) -> NDArray[np.uint8]:
    moments = t + choice.exposure_time * ((np.arange(POSES) + 0.5) / POSES - 0.5)
    poses = [trajectory.pose(float(moment)) for moment in moments]
    seed = choice.seed * 100_000 + index
    # The first frame sets the exposure: cameras change it slowly, and a frame may be made again
    # alone.
    coarse = choice.camera.resized(40, 30)
    metered = np.percentile(
        tracer.light(coarse, [trajectory.pose(FIRST)], 16, choice.seed).mean(axis=-1), METERED
    )
    light = tracer.light(choice.camera, poses, SAMPLES, seed)
    light = np.clip(light * np.float32(choice.dim * LEVEL / max(float(metered), 1e-6)), 0, 1)
    return srgb(_noisy(light, choice.dim, np.random.default_rng(seed)))


def _noisy(light: Float, dim: float, rng: np.random.Generator) -> Float:
    gain = DIM_GAIN if dim < 1 else 1.0
    variance = gain * dim * (READ_NOISE * dim + SHOT_NOISE * light)
    noise = rng.standard_normal(light.shape, dtype=np.float32) * np.sqrt(variance)
    clipped = np.clip(light + noise, 0, 1).astype(np.float32)
    return np.asarray(cv2.bilateralFilter(clipped, 3, 0.05, 2), np.float32)


def _camera_file(camera: Camera, exposure_time: float) -> str:
    content = {
        "image_width": camera.width, "image_height": camera.height,
        "fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy,
        "exposure_time": exposure_time,
    }  # fmt: skip
    return yaml.safe_dump(content, sort_keys=False)


def _truth(trajectory: Trajectory, times: list[float]) -> str:
    rows = ["frame,t,wx,wy,wz,vx,vy,vz"]
    for index, t in enumerate(times):
        velocity = trajectory.velocity(t)
        numbers = (t, *(GYRO_FROM_OPTICAL @ velocity[:3]), *velocity[3:])
        rows.append(",".join([str(index), *(f"{number:.6f}" for number in numbers)]))
    return "\n".join(rows) + "\n"
