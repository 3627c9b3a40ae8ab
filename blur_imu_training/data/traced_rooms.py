"""Path-traced rooms on disk: sharp views with exact depth, true blur, sequences; each made resumably.

What is made depends on the scenes, the sizes and the seed alone, up to how processors round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import RecordingError, TrainingError
from blur_imu_ros.execution.files import make_folder_of, write_text
from blur_imu_ros.simulation.room_renderer import Pose, constant_velocity
from blur_imu_training.data.held_out import plain_camera
from blur_imu_training.data.sample_folder import truth_path, write_index, write_sample
from blur_imu_training.path_tracing.path_tracer import PathTracer
from blur_imu_training.path_tracing.viewpoints import (
    BARE_SHARE,
    View,
    free_places,
    random_view,
)
from blur_imu_training.rendering.numpy_renderer import true_field
from blur_imu_training.rendering.samples import STRIDE, BlurredSample
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter

Float = NDArray[np.float32]

SCENE = "scene.xml"
VIEWS = "views.csv"
VIEW_COLUMNS = (
    "name", "fx", "fy", "cx", "cy", *(f"pose_{row}{column}" for row in range(3) for column in range(4)),
)  # fmt: skip
"""Of a view; its pose is camera to world, OpenCV axes, row by row."""

SHARP_SAMPLES, BLURRED_SAMPLES = 4, 16
"""Of each pixel."""

EXPOSURE_TIME = 0.02
"""Seconds, of blurred views."""

LONGEST_BLUR, WIDTH_OF_BLUR = 120.0, 480
"""Pixels of median blur, of a view so wide."""

EVENLY = (5**0.5 - 1) / 2
"""Golden ratio: its multiples fill 0 to 1 evenly, however many there are."""

DRIVING, FLYING, CALMER = (0.3, 1.5), 0.8, 1 / 3
"""m/s of robots; m/s of free motion in each axis, the standard deviation; how robots are calmer."""

BISECTIONS = 20

POSES = 64
"""Of an exposure."""

BRIGHT, DIM = (0.30, 0.48), (0.03, 0.10)
"""Linear light of a picture's 60th percentile."""

BARE_TO_VALIDATE = 0.1
"""Share of blurred views that may be bare."""

METERED = 60
"""Percentile."""

FARTHEST = 65.535
"""Metres: what 16 bits of millimetres hold."""


@dataclass(frozen=True)
class Rooms:
    """The rooms to render.

    Attributes:
        scenes: folder with one folder for each room.
        names: of the rooms.
    """

    scenes: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, scenes: Path, only: Sequence[str] = (), without: Sequence[str] = ()) -> Rooms:
        """Return all rooms of a folder, or `only` some, `without` others.

        Raises:
            RecordingError: a room is not there, or none is left.
        """
        found = sorted(path.parent.name for path in scenes.glob(f"*/{SCENE}"))
        unknown = sorted({*only} - {*found})
        if unknown or not found:
            listed = ", ".join(found) or f"no folder with a {SCENE}"
            lacking = f"room {', '.join(unknown)}" if unknown else "rooms"
            raise RecordingError(f"{scenes}: has no {lacking}; it holds {listed}")
        left = tuple(name for name in only or found if name not in without)
        if not left:
            raise RecordingError(f"{scenes}: no room is left to render")
        return cls(scenes, left)

    def room(self, name: str) -> TracedRoom:
        """Return a room by its name."""
        return TracedRoom(self.scenes / name / SCENE)


def one_room(scenes: Path, names: Sequence[str]) -> TracedRoom:
    """Return the room that is named; RecordingError unless it is one, and there."""
    rooms = Rooms.of(scenes, names)
    if len(rooms.names) != 1:
        raise RecordingError(f"a sequence is of one room: name it, of {', '.join(rooms.names)}")
    return rooms.room(rooms.names[0])


class TracedRoom:
    """A room, loaded when it is first asked for."""

    def __init__(self, scene: Path) -> None:
        """Take the scene's file."""
        self._scene = scene
        self.name = scene.parent.name

    @cached_property
    def tracer(self) -> PathTracer:
        """The loaded room."""
        return PathTracer(self._scene)

    @cached_property
    def places(self) -> Array:
        """Places (n, 3) where cameras may stand: always the same."""
        return free_places(self.tracer, np.random.default_rng(crc32(self.name.encode())))

    def view(
        self, size: tuple[int, int], rng: np.random.Generator, bare_share: float = BARE_SHARE
    ) -> View:
        """Return a view of that width and height that is worth looking at."""
        return random_view(self.tracer, self.places, size, rng, bare_share)

    def choices(self, seed: int, index: int) -> np.random.Generator:
        """Return the source of every choice for picture `index` of this room."""
        return np.random.default_rng((seed, crc32(self.name.encode()), index))


def render_views(
    rooms: Rooms, folder: Path, count: int, size: tuple[int, int], seed: int
) -> Iterator[int]:
    """Render the sharp views that `folder` lacks, the rooms in turn; yield how many are there.

    Each room's folder has `rgb/*.jpg`, `depth/*.png` (uint16 mm, 0 where nothing is) and `views.csv`.
    """
    loaded = [rooms.room(name) for name in rooms.names]
    there = {room.name: _names(folder / room.name / VIEWS) for room in loaded}
    for index in range(count):
        room, number = loaded[index % len(loaded)], index // len(loaded)
        name = f"{seed:02d}_{number:04d}"
        if name not in there[room.name]:
            _render_view(room, folder / room.name, name, size, room.choices(seed, number))
        yield index + 1


def _names(table: Path) -> set[str]:
    """Return the views in a table, and mend it: a line that a kill cut off is taken out."""
    if not table.exists():
        return set()
    text = table.read_text()
    whole = [line for line in text.splitlines() if line.count(",") == len(VIEW_COLUMNS) - 1]
    mended = "\n".join(whole) + "\n"
    if mended != text:
        write_text(table, mended)
    return {line.split(",")[0] for line in whole}


def _render_view(
    room: TracedRoom, folder: Path, name: str, size: tuple[int, int], rng: np.random.Generator
) -> None:
    view = room.view(size, rng)
    light = room.tracer.light(view.camera, [view.pose], SHARP_SAMPLES, _seed(rng))
    write_image(folder / "rgb" / f"{name}.jpg", srgb(exposed(light, rng.uniform(*BRIGHT))))
    write_image(folder / "depth" / f"{name}.png", millimetres(view.depth))
    c, table = view.camera, folder / VIEWS
    pose = np.column_stack([view.pose.rotation.as_matrix(), view.pose.position])
    numbers = (c.fx, c.fy, c.cx, c.cy, *pose.ravel())
    row = ",".join([name, *(f"{number:.7g}" for number in numbers)])
    head = "" if table.exists() else ",".join(VIEW_COLUMNS) + "\n"
    with table.open("a") as file:
        file.write(head + row + "\n")


def render_true_blur(
    rooms: Rooms, folder: Path, count: int, size: tuple[int, int], seed: int
) -> Iterator[int]:
    """Render the blurred views that `folder` lacks, the rooms in turn; yield how many are there.

    Median blur is evenly spread over 0 to `LONGEST_BLUR`; every other pair of views is dim; hands,
    robots and free motion take turns. The folder is a set as `sample_folder` reads it.
    """
    if size[0] % STRIDE or size[1] % STRIDE:
        raise TrainingError(f"{size[0]}x{size[1]} is no multiple of {STRIDE}")
    loaded = [rooms.room(name) for name in rooms.names]
    for index in range(count):
        if not truth_path(folder, index).exists():
            room = loaded[index % len(loaded)]
            rng = room.choices(seed, index)
            write_sample(folder, index, _blurred(room, index // len(loaded), size, rng))
            write_index(folder, index + 1)
        yield index + 1


def _blurred(
    room: TracedRoom, number: int, size: tuple[int, int], rng: np.random.Generator
) -> BlurredSample:
    view = room.view(size, rng, BARE_TO_VALIDATE)
    length = LONGEST_BLUR * size[0] / WIDTH_OF_BLUR * ((number + 0.5) * EVENLY % 1)
    kind = (hand, robot, free)[number // 2 % 3]
    motion = kind(view, length, rng)
    light = room.tracer.light(view.camera, exposure(view.pose, motion), BLURRED_SAMPLES, _seed(rng))
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
    """Return the poses of an exposure with constant velocity around `pose`, at the middles of its parts."""
    screw = constant_velocity(motion.rotation, motion.translation, pose)
    return [screw.pose((k + 0.5) / POSES - 0.5) for k in range(POSES)]


def median_blur(view: View, motion: ExposureMotion) -> float:
    """Return the median length of the motion over the view, pixels."""
    v, u = np.mgrid[: view.camera.height : 8, : view.camera.width : 8].astype(float)
    depth = view.depth[::8, ::8]
    inverse = 1 / np.where(depth > 0, depth, FARTHEST)
    field = motion_field(view.camera, u, v, inverse, motion.rotation, motion.translation)
    return float(np.median(np.hypot(field[..., 0], field[..., 1])))


def exposed(light: Float, level: float) -> Float:
    """Return light scaled so that its `METERED` percentile is `level`, clipped at 1."""
    metered = float(np.percentile(light.mean(axis=-1), METERED))
    return np.asarray(np.clip(light * np.float32(level / max(metered, 1e-6)), 0, 1), np.float32)


def srgb(light: Float) -> NDArray[np.uint8]:
    """Return the 8-bit picture of linear light from 0 to 1."""
    curve = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055
    )
    return np.asarray(np.clip(curve * 255 + 0.5, 0, 255), np.uint8)


def millimetres(depth: Float) -> NDArray[np.uint16]:
    """Return depth in metres as 16-bit millimetres, 0 where it is 0 or too far to be told."""
    told = np.where(depth < FARTHEST, depth, 0)
    return np.asarray(np.round(told * 1000), np.uint16)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a JPEG or PNG; RecordingError if that is not possible."""
    make_folder_of(path)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), image, quality):
        raise RecordingError(f"{path}: cannot be written")
