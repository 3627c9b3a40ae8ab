"""Sharp views of path-traced rooms, with exact depth: what `scene.path_traced_rooms` reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blur_imu_ros.errors import TrainingError
from blur_imu_ros.execution.files import write_text
from blur_imu_training.data.sample_folder import SETTINGS, claim
from blur_imu_training.data.traced_rooms import (
    BRIGHT,
    Rooms,
    TracedRoom,
    drawn_seed,
    exposed,
    millimetres,
    srgb,
    write_image,
)

RENDERER = 1
"""Raised whenever the same room, size and seed give other views than before."""

VIEWS = "views.csv"
VIEW_COLUMNS = (
    "name", "fx", "fy", "cx", "cy",
    *(f"pose_{row}{column}" for row in range(3) for column in range(4)),
)  # fmt: skip
"""Of a view; its pose is camera to world, metres, OpenCV axes, row by row."""

SAMPLES = 4
"""Of each pixel."""


def render_views(
    rooms: Rooms, folder: Path, count: int, size: tuple[int, int], seed: int
) -> Iterator[int]:
    """Render the sharp views that `folder` lacks, the rooms in turn; yield how many are there.

    Each room's folder has `rgb/*.jpg`, `depth/*.png` (uint16 mm, 0 where nothing is), `views.csv`,
    and `set.json`, which says how many metres a unit of the scene was taken for.

    Raises:
        TrainingError: a room's folder is of another scale, or older than scales.
    """
    loaded = [rooms.room(name) for name in rooms.names]
    for room in loaded:
        _claim(folder / room.name, room)
        room.check_height()
    there = {room.name: _names(folder / room.name / VIEWS) for room in loaded}
    for index in range(count):
        room, number = loaded[index % len(loaded)], index // len(loaded)
        name = f"{seed:02d}_{number:04d}"
        if name not in there[room.name]:
            _render_view(room, folder / room.name, name, size, room.choices(seed, number))
        yield index + 1


def _claim(folder: Path, room: TracedRoom) -> None:
    old = (folder / VIEWS).exists() and not (folder / SETTINGS).exists()
    if old and room.metres_per_unit != 1:
        raise TrainingError(
            f"{folder}: its views were rendered in units of the scene, of {room.metres_per_unit:g} "
            "m, by an older version; take another folder (training still reads this one)"
        )
    claim(folder, {"renderer": RENDERER, "metres_per_unit": room.metres_per_unit})


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
    light = room.tracer.light(view.camera, [view.pose], SAMPLES, drawn_seed(rng))
    write_image(folder / "rgb" / f"{name}.jpg", srgb(exposed(light, rng.uniform(*BRIGHT))))
    write_image(folder / "depth" / f"{name}.png", millimetres(view.depth))
    c, table = view.camera, folder / VIEWS
    pose = np.column_stack([view.pose.rotation.as_matrix(), view.pose.position])
    numbers = (c.fx, c.fy, c.cx, c.cy, *pose.ravel())
    row = ",".join([name, *(f"{number:.7g}" for number in numbers)])
    head = "" if table.exists() else ",".join(VIEW_COLUMNS) + "\n"
    with table.open("a") as file:
        file.write(head + row + "\n")
