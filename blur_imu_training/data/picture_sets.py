"""The sets of sharp pictures that a recipe may name, and how each is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from blur_imu_ros.errors import TrainingError
from blur_imu_training.data.scannetpp import scannetpp
from blur_imu_training.data.seven_scenes import seven_scenes
from blur_imu_training.data.stray_scanner import stray_scanner
from blur_imu_training.scene.panoramas import PanoramaFolder
from blur_imu_training.scene.path_traced_rooms import PathTracedRooms
from blur_imu_training.scene.recorded_rotations import RecordedTurns
from blur_imu_training.scene.room_pictures import RoomPictures
from blur_imu_training.scene.sharp_images import (
    NyuFolder,
    PhotoFolder,
    ProceduralPictures,
    SharpImages,
    WeightedMixture,
)

logger = logging.getLogger(__name__)

NYU_TRAINING = range(0, 1250)

PICTURE_SETS: dict[str, Callable[[Path], SharpImages]] = {
    "nyuv2": lambda data: NyuFolder(data / "nyuv2", NYU_TRAINING),
    "photos": lambda data: PhotoFolder(data / "houses_indoor"),
    "procedural": lambda data: ProceduralPictures(),
    "rooms": lambda data: RoomPictures(),
    "traced_rooms": lambda data: PathTracedRooms(data / "traced_rooms"),
    "panoramas": lambda data: PanoramaFolder(data / "hdri_cc0_ldr"),
    "scannetpp": lambda data: scannetpp(data / "scannetpp"),
    "7scenes": seven_scenes,
    "strayscanner": lambda data: stray_scanner(data / "strayscanner"),
}
"""What `pictures` of a recipe may name, and how each is loaded from the data folder."""


FROM_NOTHING = {"procedural": 1.0, "rooms": 1.0}
"""What is drawn from where there is no data folder."""


def shares_of(shares: dict[str, float], data: Path | None) -> dict[str, float]:
    """Return the sets of a recipe, or those that need no data folder where there is none."""
    return FROM_NOTHING if data is None else shares


def load_pictures(shares: dict[str, float], data: Path | None) -> WeightedMixture:
    """Return the mixture of `shares`; without a data folder, what is made from nothing.

    Motion follows the gyroscope logs of `data / "gyro_traces"` where there are some.
    """
    if data is None:
        return WeightedMixture(
            [(PICTURE_SETS[n](Path()), share) for n, share in FROM_NOTHING.items()]
        )
    if not shares:
        raise TrainingError("the recipe names no pictures to blur; use one that does")
    sets: list[tuple[SharpImages, float]] = []
    for name, share in shares.items():
        if name not in PICTURE_SETS:
            raise TrainingError(f"pictures: '{name}' is not known; use {', '.join(PICTURE_SETS)}")
        pictures = PICTURE_SETS[name](data)
        sets.append((pictures, share))
        warn_of_skipped(name, pictures.skipped)
    logs = data / "gyro_traces"
    return WeightedMixture(sets, RecordedTurns.from_folder(logs) if logs.is_dir() else None)


def warn_of_skipped(name: str, skipped: Sequence[str]) -> None:
    """Tell how many pictures or samples of a set were left out, and the first of them."""
    if skipped:
        listed = ", ".join([*skipped[:5], *(["..."] if len(skipped) > 5 else [])])
        logger.warning("%s: %d left out: %s", name, len(skipped), listed)
