"""7-Scenes as its archives unpack it, for training: all scenes but the one that validates.

7scenes/SCENE/seq-01/frame-000000.color.png
7scenes/SCENE/seq-01/frame-000000.depth.png  uint16 millimetres
"""

from __future__ import annotations

from pathlib import Path

from blur_imu_ros.errors import TrainingError
from blur_imu_training.data.held_out import SEVEN_SCENES, is_held_out_scene
from blur_imu_training.scene.sharp_images import SevenScenesFolder

FOLDER = "7scenes"

EVERY = 10
"""Frames from one that is used to the next: videos show hardly anything new in less."""


def seven_scenes(data: Path) -> SevenScenesFolder:
    """Return every tenth frame of all scenes in `data / FOLDER`.

    Raises:
        TrainingError: one of them is the scene that validates.
        RecordingError: there are none.
    """
    folder = data / FOLDER
    for scene in sorted([folder, *folder.glob("*/")]):
        if is_held_out_scene(scene, data):
            raise TrainingError(
                f"{scene}: is the scene that validation reads ({SEVEN_SCENES}), which must not be "
                "trained on; move it out of this folder"
            )
    return SevenScenesFolder(folder, "*/seq-*/frame-*.color.*", EVERY)
