"""True blur of path-traced rooms, to validate on: a set as `sample_folder` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import TrainingError
from blur_imu_ros.simulation.room_renderer import Pose, constant_velocity
from blur_imu_training.data.held_out import plain_camera
from blur_imu_training.data.sample_folder import claim, truth_path, write_index, write_sample
from blur_imu_training.data.traced_rooms import (
    BRIGHT,
    FARTHEST,
    Rooms,
    TracedRoom,
    drawn_seed,
    exposed,
)
from blur_imu_training.path_tracing.viewpoints import View
from blur_imu_training.rendering.numpy_renderer import true_field
from blur_imu_training.rendering.samples import STRIDE, BlurredSample
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter
from blur_imu_training.scene.room_units import scales

RENDERER = 1
"""Raised whenever the same rooms, size and seed give other pictures than before."""

EXPOSURE_TIME = 0.02
"""Seconds."""

SAMPLES, POSES = 16, 64
"""Of each pixel; of the camera in an exposure."""

LONGEST_BLUR, WIDTH_OF_BLUR = 120.0, 480
"""Pixels of median blur, of a view so wide."""

EVENLY = (5**0.5 - 1) / 2
"""Golden ratio: its multiples fill 0 to 1 evenly, however many there are."""

DRIVING, FLYING, CALMER = (0.3, 1.5), 0.8, 1 / 3
"""m/s of robots; m/s of free motion in each axis, the standard deviation; how robots are calmer."""

DIM = (0.03, 0.10)
"""Linear light of the metered percentile of a dim picture."""

BARE_SHARE = 0.1
"""Of views that may be bare."""

BISECTIONS = 20


def render_true_blur(
    rooms: Rooms, folder: Path, count: int, size: tuple[int, int], seed: int
) -> Iterator[int]:
    """Render the blurred views that `folder` lacks, the rooms in turn; yield how many are there.

    Median blur is evenly spread over 0 to `LONGEST_BLUR`; every other pair of views is dim; hands,
    robots and free motion take turns. The folder is a set as `sample_folder` reads it.
    """
    if size[0] % STRIDE or size[1] % STRIDE:
        raise TrainingError(f"{size[0]}x{size[1]} is not a multiple of {STRIDE}")
    loaded = [rooms.room(name) for name in rooms.names]
    settings = {"rooms": rooms.names, "size": size, "seed": seed, "renderer": RENDERER}
    claim(folder, settings | scales({room.name: room.metres_per_unit for room in loaded}))
    for room in loaded:
        room.check_height()
    there = 0
    try:
        for index in range(count):
            if not truth_path(folder, index).exists():
                room = loaded[index % len(loaded)]
                rng = room.choices(seed, index)
                sample = _blurred(room, index // len(loaded), size, rng)
                write_sample(folder, index, sample)
            there = index + 1
            yield there
    finally:
        write_index(folder, there)


def _blurred(
    room: TracedRoom, number: int, size: tuple[int, int], rng: np.random.Generator
) -> BlurredSample:
    view = room.view(size, rng, BARE_SHARE)
    length = LONGEST_BLUR * size[0] / WIDTH_OF_BLUR * ((number + 0.5) * EVENLY % 1)
    kind = (hand, robot, free)[number // 2 % 3]
    motion = kind(view, length, rng)
    light = room.tracer.light(view.camera, exposure(view.pose, motion), SAMPLES, drawn_seed(rng))
    level = rng.uniform(*(DIM if number % 2 else BRIGHT))
    image = plain_camera(exposed(light, level), rng)
    inverse = np.asarray(1 / np.where(view.depth > 0, view.depth, FARTHEST), np.float32)
    field, cells = true_field(view.camera, inverse, motion, STRIDE)
    return BlurredSample(image, view.camera, motion, Shutter(EXPOSURE_TIME), field, cells, True)


def hand(view: View, length: float, rng: np.random.Generator) -> ExposureMotion:
    """Return a turn about a wrist or an elbow with a median blur of `length` pixels."""
    turn = rng.standard_normal(3) * (1, 1, 1.2)
    motion = _even(turn, np.cross(turn, rng.normal((0, 0, 0.2), 0.15)))
    return motion.scaled(length / median_blur(view, motion))


def robot(view: View, length: float, rng: np.random.Generator) -> ExposureMotion:
    """Return a drive forward that yaws and rattles, with `CALMER` times that blur."""
    turn = rng.standard_normal(3) * (0.15, 1, 0.1)
    forward = np.array([0, 0, 1.0]) + rng.standard_normal(3) * 0.05
    speed = rng.uniform(*DRIVING) * EXPOSURE_TIME
    return turned_until(view, turn, forward * speed, length * CALMER)


def free(view: View, length: float, rng: np.random.Generator) -> ExposureMotion:
    """Return a motion whose parts know nothing of each other, with that blur."""
    shift = rng.standard_normal(3) * (FLYING * EXPOSURE_TIME)
    return turned_until(view, rng.standard_normal(3), shift, length)


def turned_until(view: View, turn: Array, shift: Array, length: float) -> ExposureMotion:
    """Return a motion with that shift and so much turn that the median blur is `length` pixels.

    Where the shift alone blurs more than half of that, there is less of it.
    """
    alone = median_blur(view, _even(np.zeros(3), shift))
    shift = shift * min(1, length / 2 / max(alone, 1e-9))
    low, high = 0.0, 1.5 * length / median_blur(view, _even(turn, np.zeros(3)))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        too_much = median_blur(view, _even(turn * middle, shift)) > length
        low, high = (low, middle) if too_much else (middle, high)
    return _even(turn * high, shift)


def _even(turn: Array, shift: Array) -> ExposureMotion:
    return ExposureMotion(turn, shift, np.zeros(3), np.zeros(3))


def exposure(pose: Pose, motion: ExposureMotion) -> list[Pose]:
    """Return the poses of an exposure with constant velocity around `pose`, at the middles of its
    parts."""
    screw = constant_velocity(motion.rotation, motion.translation, pose)
    return [screw.pose((k + 0.5) / POSES - 0.5) for k in range(POSES)]


def median_blur(view: View, motion: ExposureMotion) -> float:
    """Return the median length of the motion over the view, pixels."""
    v, u = np.mgrid[: view.camera.height : 8, : view.camera.width : 8].astype(float)
    depth = view.depth[::8, ::8]
    inverse = 1 / np.where(depth > 0, depth, FARTHEST)
    field = motion_field(view.camera, u, v, inverse, motion.rotation, motion.translation)
    return float(np.median(np.hypot(field[..., 0], field[..., 1])))
