"""RGB-D recordings with poses: sharp keyframes to blur, and the motion that really followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import RecordingError
from blur_imu_training.scene.exposure_motion import RecordedMotion
from blur_imu_training.scene.sharp_images import (
    SharpImage,
    SharpImages,
    bounded,
    filled_inverse_depth,
    refuse_empty,
)

KEYFRAME_GAP = 10
"""Frames from one keyframe to the next: the published recipe's exposure."""

LONGEST_BLUR = 30.0
VIEW_WIDTH = 320
"""Keyframes whose mean motion is more pixels, in a view of this width, are left out."""

JUMP_TURN, JUMP_SHIFT = 0.1, 0.05
"""rad and m: a step between frames that differs more from the steps around it is a pose jump."""


@dataclass(frozen=True)
class PosedFrame:
    """A frame of a recording.

    Attributes:
        name: for messages.
        read_image: returns the BGR uint8 image, None if it is damaged.
        read_depth: returns uint16 millimetres, 0 where unknown, None if it is damaged.
        camera: of the image.
        rotation, position: camera to world, OpenCV axes, metres.
    """

    name: str
    read_image: Callable[[], Array | None]
    read_depth: Callable[[], Array | None]
    camera: Camera
    rotation: Rotation
    position: Array


@dataclass(frozen=True)
class Keyframe:
    """A frame in the middle of a stretch of real motion.

    Attributes:
        frame: the frame.
        motion: from half a gap before to half a gap after it, as one exposure.
        around: the frames of that stretch, in order.
    """

    frame: PosedFrame
    motion: RecordedMotion
    around: Sequence[PosedFrame]


def read_depth_image(path: Path) -> Array | None:
    """Return the uint16 millimetres of a PNG, None if it is damaged or holds something else."""
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return depth if depth is not None and depth.dtype == np.uint16 and depth.ndim == 2 else None


def keyframes(frames: Sequence[PosedFrame], skipped: list[str]) -> list[Keyframe]:
    """Return every `KEYFRAME_GAP`-th frame that has usable motion around it; list the others."""
    half = KEYFRAME_GAP // 2
    kept = []
    jumps = pose_jumps(frames)
    for middle in range(half, len(frames) - half, KEYFRAME_GAP):
        around = frames[middle - half : middle + half + 1]
        frame = frames[middle]
        depth = frame.read_depth()
        if depth is None or not depth.any():
            skipped.append(f"{frame.name}: no depth")
        elif jumps[middle - half : middle + half].any():
            skipped.append(f"{frame.name}: pose jumps")
        elif (blur := _mean_blur(frame, motion := motion_through(around), depth)) > LONGEST_BLUR:
            skipped.append(f"{frame.name}: {blur:.0f} px of motion")
        else:
            kept.append(Keyframe(frame, motion, around))
    return kept


def motion_through(frames: Sequence[PosedFrame]) -> RecordedMotion:
    """Return the motion from the first to the last frame, as recorded, over one exposure."""
    steps = len(frames) - 1
    angular, linear = [], []
    for one, next_one in zip(frames[:-1], frames[1:], strict=True):
        turn = one.rotation.inv() * next_one.rotation
        halfway = one.rotation * Rotation.from_rotvec(turn.as_rotvec() / 2)
        angular.append(turn.as_rotvec() * steps)
        linear.append(halfway.inv().apply(next_one.position - one.position) * steps)
    return RecordedMotion.from_rates(np.array(angular), np.array(linear))


def pose_jumps(frames: Sequence[PosedFrame]) -> NDArray[np.bool_]:
    """Return (n - 1,) whether the step from each frame to the next breaks with those around it."""
    if len(frames) < 3:
        return np.zeros(max(0, len(frames) - 1), bool)
    turns = Rotation.concatenate([f.rotation for f in frames])
    turned = (turns[:-1].inv() * turns[1:]).as_rotvec()
    shifted = np.diff([f.position for f in frames], axis=0)
    return np.asarray(_outlying(turned, JUMP_TURN) | _outlying(shifted, JUMP_SHIFT))


def _outlying(steps: Array, most: float) -> Array:
    padded = np.concatenate([steps[1:2], steps, steps[-2:-1]])
    around = (padded[:-2] + padded[2:]) / 2
    return np.asarray(np.linalg.norm(steps - around, axis=1) > most)


def _mean_blur(frame: PosedFrame, motion: RecordedMotion, depth: Array) -> float:
    height = round(VIEW_WIDTH * frame.camera.height / frame.camera.width)
    camera = frame.camera.resized(VIEW_WIDTH, height)
    u, v = np.meshgrid(np.arange(0.0, VIEW_WIDTH, 16), np.arange(0.0, height, 16))
    inverse = filled_inverse_depth(depth)
    size = (u.shape[1], u.shape[0])
    cells = cv2.resize(inverse, size, interpolation=cv2.INTER_NEAREST)
    field = motion_field(camera, u, v, cells, motion.rotation, motion.translation)
    return float(np.hypot(field[..., 0], field[..., 1]).mean())


class RecordedSequences(SharpImages):
    """The keyframes of recordings, read when they are drawn.

    Attributes:
        skipped: what was left out, and why.
        keyframes: what is left.
    """

    def __init__(self, recordings: Sequence[Sequence[PosedFrame]], folder: Path) -> None:
        """Choose the keyframes of each recording; RecordingError if none is left."""
        super().__init__()
        self.keyframes = [k for frames in recordings for k in keyframes(frames, self.skipped)]
        refuse_empty(self.keyframes, folder)

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self.keyframes)

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return keyframe `index`, or the next one whose image and depth can be read."""
        for number in range(index, index + len(self.keyframes)):
            keyframe = self.keyframes[number % len(self.keyframes)]
            frame = keyframe.frame
            image, depth = frame.read_image(), frame.read_depth()
            if image is not None and depth is not None:
                return _sharp(keyframe, image, depth)
            if f"{frame.name}: damaged" not in self.skipped:
                self.skipped.append(f"{frame.name}: damaged")
        raise RecordingError(f"{self.keyframes[index].frame.name}: damaged, as are all others")


def _sharp(keyframe: Keyframe, image: Array, depth: Array) -> SharpImage:
    small = bounded(np.asarray(image, np.uint8))
    size = (small.shape[1], small.shape[0])
    inverse = cv2.resize(filled_inverse_depth(depth), size, interpolation=cv2.INTER_LINEAR)
    camera = keyframe.frame.camera
    focal = camera.focal * small.shape[1] / camera.width
    return SharpImage(small, np.asarray(inverse, np.float32), focal, True, keyframe.motion)
