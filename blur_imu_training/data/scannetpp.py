"""ScanNet++ v2, the iPhone's part, as its toolkit unpacks it.

    splits/nvs_sem_val.txt                    scenes held out by the authors of the set: one a line
    data/SCENE/iphone/rgb/frame_000000.jpg
    data/SCENE/iphone/depth/frame_000000.png  uint16 millimetres
    data/SCENE/iphone/pose_intrinsic_imu.json {"frame_000000": {"aligned_pose": 4x4, "intrinsic":
    3x3}}

Poses are camera to world in OpenCV axes; intrinsics are those of the RGB image.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import CameraError, RecordingError
from blur_imu_training.data.averaged_frames import AveragedFrames
from blur_imu_training.data.recorded_sequences import (
    PosedFrame,
    RecordedSequences,
    read_depth_image,
)

VALIDATION_SCENES = Path("splits") / "nvs_sem_val.txt"


def scannetpp(root: Path) -> RecordedSequences:
    """Return the keyframes of all scenes but the validation ones.

    Raises:
        RecordingError: no scenes, no list of validation scenes, or a scene without readable poses.
    """
    unpaired: list[str] = []
    sequences = RecordedSequences(_recordings(root, unpaired), root)
    sequences.skipped[:0] = unpaired
    return sequences


def averaged_scannetpp(root: Path, width: int, height: int, exposure_time: float) -> AveragedFrames:
    """Return the means of the frames around the keyframes that `scannetpp` returns."""
    unpaired: list[str] = []
    frames = AveragedFrames(_recordings(root, unpaired), root, width, height, exposure_time)
    frames.skipped[:0] = unpaired
    return frames


def _recordings(root: Path, unpaired: list[str]) -> list[list[PosedFrame]]:
    held_out = _validation_scenes(root)
    scenes = [p.parent for p in sorted((root / "data").glob("*/iphone/pose_intrinsic_imu.json"))]
    return [scene_frames(scene, unpaired) for scene in scenes if scene.parent.name not in held_out]


def _validation_scenes(root: Path) -> set[str]:
    path = root / VALIDATION_SCENES
    try:
        return set(path.read_text().split())
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(
            f"{path}: cannot be read; it names the validation scenes, which must not be trained on"
        ) from error


def scene_frames(iphone: Path, unpaired: list[str]) -> list[PosedFrame]:
    """Return the frames of a scene's `iphone` folder in order; list those that lack something."""
    path = iphone / "pose_intrinsic_imu.json"
    try:
        entries = json.loads(path.read_text())
        names = sorted(entries.keys())
    except (OSError, ValueError, AttributeError) as error:
        raise RecordingError(f"{path}: is not a table of poses: {error}") from error
    frames: list[PosedFrame] = []
    size: tuple[int, int] | None = None
    for name in names:
        image, depth = iphone / "rgb" / f"{name}.jpg", iphone / "depth" / f"{name}.png"
        label = f"{iphone.parent.name}/{name}"
        if not (image.is_file() and depth.is_file()):
            unpaired.append(f"{label}: unpaired")
            continue
        size = size or _size(image)
        if size is None:
            unpaired.append(f"{label}: damaged")
            continue
        try:
            frames.append(_frame(label, entries[name], image, depth, size))
        except (KeyError, TypeError, ValueError, CameraError):
            unpaired.append(f"{label}: no pose or intrinsics")
    return frames


def _size(path: Path) -> tuple[int, int] | None:
    image = cv2.imread(str(path))
    return None if image is None else (image.shape[1], image.shape[0])


def _frame(
    label: str, entry: dict[str, Any], image: Path, depth: Path, size: tuple[int, int]
) -> PosedFrame:
    k = np.array(entry["intrinsic"], float).reshape(3, 3)
    pose = np.array(entry["aligned_pose"], float).reshape(4, 4)
    if not np.all(np.isfinite(pose)):
        raise ValueError("pose is not finite")
    read_image: Callable[[], Any] = partial(cv2.imread, str(image), cv2.IMREAD_COLOR)
    return PosedFrame(
        label,
        read_image,
        partial(read_depth_image, depth),
        Camera(*size, k[0, 0], k[1, 1], k[0, 2], k[1, 2]),
        Rotation.from_matrix(pose[:3, :3]),
        pose[:3, 3],
    )
