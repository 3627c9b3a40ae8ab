"""Views of path-traced rooms, rendered beforehand: exact depth, bare walls, blown windows."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.errors import RecordingError, TrainingError
from blur_imu_training.scene.room_units import SCALE_FILE, metres_per_unit
from blur_imu_training.scene.sharp_images import SharpImage, SharpImages, refuse_empty

Float = NDArray[np.float32]

logger = logging.getLogger(__name__)

HELD_OUT_ROOMS = ("bathroom", "living-room")
"""Rooms that models are validated on; chosen before any was measured there."""

FARTHEST = 30.0
"""Metres. What is said to be nowhere is read as that far: windows and doors that lead outside."""

NEAREST = 0.2
"""Metres. Nothing is read as nearer."""

SCALED = "set.json"
"""In the folder of a room whose depth is in metres. Older ones have none, and theirs is in the
scene's unit."""

_MILLIMETRES = np.arange(1 << 16)


class PathTracedRooms(SharpImages):
    """Folders of rooms, each with `rgb/NAME.jpg`, `depth/NAME.png` (uint16 mm, 0: none),
    `views.csv` and `set.json`.

    A row of `views.csv` begins with name, fx, fy, cx, cy (pixels). Without `set.json`, depth is in
    thousandths of what `metres_per_unit` says of the folder.
    """

    def __init__(self, folder: Path) -> None:
        """Load every view of every room in `folder`; those that cannot be read are listed.

        Raises:
            TrainingError: a room is there that models are validated on.
            RecordingError: no usable view, or a table that is none.
        """
        super().__init__()
        self._views: list[tuple[NDArray[np.uint8], NDArray[np.uint16], float, Float]] = []
        for table in sorted(folder.glob("*/views.csv")):
            if table.parent.name in HELD_OUT_ROOMS:
                raise TrainingError(
                    f"{table.parent}: is a room that models are validated on; take it out of there"
                )
            inverse = _inverses(_unit(table.parent))
            for name, focal in _views_of(table).items():
                self._load(table.parent, name, focal, inverse)
        refuse_empty(self._views, folder)

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self._views)

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return view `index`; nothing is left to `rng`."""
        image, depth, focal, inverse = self._views[index]
        return SharpImage(image, inverse.take(depth, mode="clip"), focal, depth_is_real=True)

    def _load(self, room: Path, name: str, focal: float, inverse: Float) -> None:
        image = cv2.imread(str(room / "rgb" / f"{name}.jpg"))
        depth = cv2.imread(str(room / "depth" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        if image is None or depth is None or depth.dtype != np.uint16:
            self.skipped.append(f"{room.name}/{name}")
        elif depth.shape != image.shape[:2]:
            self.skipped.append(f"{room.name}/{name} (depth of another size)")
        else:
            view = (np.asarray(image, np.uint8), np.asarray(depth, np.uint16), focal, inverse)
            self._views.append(view)


def _inverses(unit: float) -> Float:
    """Return 1/m of each depth (65536,), in thousandths of `unit` metres.

    What is said to be nowhere may be farther than the file can hold: in small units that is near.
    """
    depth = np.where(_MILLIMETRES == 0, len(_MILLIMETRES), _MILLIMETRES) * (unit / 1000)
    return np.asarray(1 / np.clip(depth, NEAREST, FARTHEST), np.float32)


def _unit(room: Path) -> float:
    """Return metres per unit of a room's depth."""
    unit = 1.0 if (room / SCALED).exists() else metres_per_unit(room)
    if unit != 1:
        logger.warning(
            "%s: has no %s, so its depth is read in units of the scene, of %g m; if they are "
            "others, write their metres to %s there",
            *(room, SCALED, unit, SCALE_FILE),
        )
    return unit


def _views_of(table: Path) -> dict[str, float]:
    """Return the focal lengths of the views in a table; RecordingError names the row that is
    none."""
    found = {}
    with table.open(newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or row[0] == "name":
                continue
            try:
                found[row[0]] = float(row[1])
            except (IndexError, ValueError) as error:
                raise RecordingError(f"{table}: line {number} is not a view: {error}") from error
            if not 1 <= found[row[0]] < 1e5:
                raise RecordingError(f"{table}: line {number}: focal length {row[1]} cannot be one")
    return found
