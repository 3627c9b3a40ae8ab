"""Training samples: a blurred crop of the network's view and its ground truth, deterministic by
index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.blur_field import cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle, motion_rows
from blur_imu_ros.errors import TrainingError
from blur_imu_training.isp.numpy_isp import apply_isp, linear_light
from blur_imu_training.rendering.numpy_renderer import (
    SharpView,
    inverse_depth_seen,
    mean_over_exposure,
    true_field,
)
from blur_imu_training.rendering.shots import Shot, random_shot
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter
from blur_imu_training.scene.sharp_images import WeightedMixture

STRIDE = 8


@dataclass(frozen=True)
class BlurredSample:
    """A blurred picture with its ground truth.

    Attributes:
        image: (height, width, 3) BGR uint8.
        camera: its pinhole.
        motion: of the camera over the exposure of the middle row.
        shutter: exposure and read-out times.
        field: (rows, columns, 2) motion of each cell, pixels, at the velocity of the middle row
            also where a rolling shutter exposes the other rows earlier and later.
        inverse_depth: (rows, columns) 1/m, as each row saw it.
        depth_is_real: whether depth may be learned from.
        is_recorded: whether it is a frame of a real camera, whose motion a sensor measured. Its
            field and depth may then be labels that are worth less than the motion, or missing.
        translation_is_known: whether the motion's translation was measured too.
    """

    image: NDArray[np.uint8]
    camera: Camera
    motion: ExposureMotion
    shutter: Shutter
    field: NDArray[np.float32]
    inverse_depth: NDArray[np.float32]
    depth_is_real: bool
    is_recorded: bool = False
    translation_is_known: bool = True

    def tensors(self, focal_reference: float) -> dict[str, NDArray[Any]]:
        """Return what the losses need; inverse depth is normalised to `focal_reference`.

        `rows` are the equations F = A x of each cell at the normalised inverse depth 1, (2, 6,
        rows, columns), and `motion` is x = (theta, t); `known` (6,) is 1 where it was measured, and
        `recorded` 1 for frames of a real camera.
        """
        q = double_angle(self.field).transpose(2, 0, 1)
        nearness = np.float32(self.camera.focal / focal_reference)
        rows, columns = self.inverse_depth.shape
        u, v = cell_centres(rows, columns, STRIDE)
        equations = motion_rows(self.camera, u, v, np.ones_like(u)).transpose(2, 3, 0, 1)
        equations[:, 3:] /= nearness
        known = np.ones(6, np.float32)
        known[3:] = self.translation_is_known
        return {
            "known": known,
            "recorded": np.float32(self.is_recorded),
            "image": self.image.transpose(2, 0, 1),
            "q": q.astype(np.float32),
            "log_inverse_depth": np.log(self.inverse_depth * nearness),
            "depth_weight": np.float32(self.depth_is_real),
            "rows": equations.astype(np.float32),
            "motion": np.concatenate([self.motion.rotation, self.motion.translation]).astype(
                np.float32
            ),
        }


def cropped(
    sample: BlurredSample, width: int, height: int, rng: np.random.Generator
) -> BlurredSample:
    """Return a random window of whole cells; TrainingError if the sample is smaller than that."""
    rows, columns = sample.inverse_depth.shape
    if columns * STRIDE < width or rows * STRIDE < height:
        raise TrainingError(
            f"a sample of {sample.camera.width}x{sample.camera.height} is smaller than the "
            f"{width}x{height} that are to be trained on; lower the recipe's sizes"
        )
    row = int(rng.integers(rows - height // STRIDE + 1))
    column = int(rng.integers(columns - width // STRIDE + 1))
    left, top = column * STRIDE, row * STRIDE
    cells = np.s_[row : row + height // STRIDE, column : column + width // STRIDE]
    return replace(
        sample,
        image=sample.image[top : top + height, left : left + width],
        camera=sample.camera.cropped(left, top, width, height),
        field=sample.field[cells],
        inverse_depth=sample.inverse_depth[cells],
    )


def rendered(shot: Shot) -> BlurredSample:
    """Return a shot, blurred, through the ISP on the CPU."""
    view = shot.view
    sharp = SharpView(linear_light(view.image, view.light), view.inverse_depth, view.camera)
    place = (view.window, view.left, view.top)
    radiance = mean_over_exposure(sharp, shot.motion, *place, shot.step, shot.shutter.skew)
    finished = apply_isp(radiance, shot.camera)
    if view.window.width > shot.width:
        size = (shot.width, shot.height)
        finished = np.asarray(cv2.resize(finished, size, interpolation=cv2.INTER_AREA), np.uint8)
    return with_truth(shot, finished)


def with_truth(shot: Shot, image: NDArray[np.uint8]) -> BlurredSample:
    """Return the sample that an image of a shot is."""
    view = shot.view
    place = (view.window, view.left, view.top)
    seen = inverse_depth_seen(view, shot.motion, *place, shot.shutter.skew)
    camera = view.window.resized(shot.width, shot.height)
    field, cells = true_field(camera, seen, shot.motion, STRIDE)
    return BlurredSample(image, camera, shot.motion, shot.shutter, field, cells, shot.depth_is_real)


class SampleStream:
    """Sample `index` is the same on every machine and at every restart."""

    def __init__(
        self, pictures: WeightedMixture, width: int, height: int, longest: float, seed: int
    ) -> None:
        """Take where pictures come from, the size of samples, and the longest mean blur."""
        self._pictures = pictures
        self._size = (width, height)
        self._longest = longest
        self._seed = seed

    @property
    def pixels(self) -> int:
        """Of a sample."""
        return self._size[0] * self._size[1]

    def __getitem__(self, index: int) -> BlurredSample:
        """Return sample `index`, rendered on the CPU."""
        return rendered(self.shot(index))

    def shot(self, index: int) -> Shot:
        """Return what decides sample `index`."""
        rng = np.random.default_rng((self._seed, index))
        picture = self._pictures.draw(rng)
        return random_shot(picture, *self._size, self._longest, rng, self._pictures.turns)
