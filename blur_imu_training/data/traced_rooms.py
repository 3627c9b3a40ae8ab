"""Path-traced rooms by name, and pictures of them on disk.

What is made of rooms depends on the scenes, the sizes and the seed alone, up to how processors
round.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import make_folder_of
from blur_imu_training.path_tracing.path_tracer import PathTracer
from blur_imu_training.path_tracing.viewpoints import (
    BARE_SHARE,
    View,
    free_places,
    heights,
    random_view,
)
from blur_imu_training.scene.room_units import CEILINGS, SCALE_FILE, metres_per_unit

logger = logging.getLogger(__name__)

Float = NDArray[np.float32]

SCENE = "scene.xml"
BRIGHT = (0.30, 0.48)
"""Linear light of the metered percentile of a well exposed picture."""

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
        unit: metres per unit of all of these scenes; None: as `room_units` says.
    """

    scenes: Path
    names: tuple[str, ...]
    unit: float | None = None

    @classmethod
    def of(
        cls,
        scenes: Path,
        only: Sequence[str] = (),
        without: Sequence[str] = (),
        unit: float | None = None,
    ) -> Rooms:
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
        return cls(scenes, left, unit)

    def room(self, name: str) -> TracedRoom:
        """Return a room by its name."""
        return TracedRoom(self.scenes / name / SCENE, self.unit)


def one_room(scenes: Path, names: Sequence[str], unit: float | None = None) -> TracedRoom:
    """Return the room that is named; RecordingError unless it is one, and there."""
    rooms = Rooms.of(scenes, names, unit=unit)
    if len(rooms.names) != 1:
        raise RecordingError(f"a sequence is of one room: name it, of {', '.join(rooms.names)}")
    return rooms.room(rooms.names[0])


class TracedRoom:
    """A room, loaded when it is first asked for.

    Attributes:
        scene: its file.
        name: of its folder.
        metres_per_unit: of its scene.
    """

    def __init__(self, scene: Path, unit: float | None = None) -> None:
        """Take the scene's file, and metres per unit if its folder is not to say them."""
        self.scene = scene
        self.name = scene.parent.name
        self.metres_per_unit = metres_per_unit(scene.parent) if unit is None else unit

    @cached_property
    def tracer(self) -> PathTracer:
        """The loaded room."""
        return PathTracer(self.scene, self.metres_per_unit)

    @cached_property
    def places(self) -> Array:
        """Places (n, 3) where cameras may stand, metres: always the same."""
        return free_places(self.tracer, np.random.default_rng(crc32(self.name.encode())))

    def check_height(self) -> None:
        """Warn where the ceiling is so high or low that the scene's unit must be another."""
        found = heights(self.tracer, self.places)
        if found.size and not CEILINGS[0] <= (height := float(np.median(found))) <= CEILINGS[1]:
            logger.warning(
                "%s: its ceiling is %.3g m over the floor if a unit of the scene is %g m; measure "
                "a door (2 m), a table (0.74 m) or a step (0.17 m) and give the metres per unit, "
                "or write them to %s",
                *(self.name, height, self.metres_per_unit, self.scene.with_name(SCALE_FILE)),
            )

    def view(
        self, size: tuple[int, int], rng: np.random.Generator, bare_share: float = BARE_SHARE
    ) -> View:
        """Return a view of that width and height that is worth looking at."""
        return random_view(self.tracer, self.places, size, rng, bare_share)

    def choices(self, seed: int, index: int) -> np.random.Generator:
        """Return the source of every choice for picture `index` of this room."""
        return np.random.default_rng((seed, crc32(self.name.encode()), index))


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
    """Return depth in metres as 16-bit millimetres, 0 where it is 0 or too far."""
    kept = np.where(depth < FARTHEST, depth, 0)
    return np.asarray(np.round(kept * 1000), np.uint16)


def drawn_seed(rng: np.random.Generator) -> int:
    """Return a seed for the path tracer."""
    return int(rng.integers(2**31))


def write_image(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a JPEG or PNG; RecordingError if that is not possible."""
    make_folder_of(path)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), image, quality):
        raise RecordingError(f"{path}: cannot be written")
