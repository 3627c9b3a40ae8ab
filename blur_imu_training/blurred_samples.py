"""Training samples: a blurred crop of the network's view and its truth, deterministic by index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.blur_field import cell_centres
from blur_imu_ros.camera import Camera
from blur_imu_ros.errors import TrainingError
from blur_imu_ros.motion_field import double_angle, motion_field, motion_rows
from blur_imu_training.blur_renderer import (
    SharpView,
    inverse_depth_seen,
    mean_over_exposure,
    true_field,
)
from blur_imu_training.camera_pipeline import develop, linear_light, random_pixel
from blur_imu_training.exposure_motion import (
    ExposureMotion,
    Shutter,
    gentler,
    random_motion,
    random_shutter,
)
from blur_imu_training.recorded_turns import RecordedTurns
from blur_imu_training.sharp_images import SharpImage, WeightedMixture

STRIDE = 8
MARGIN = 48
"""Pixels of scene rendered around a crop, so that motion brings in what lies outside."""

SHARP_SCALE = 0.7
"""How far pictures are enlarged at most, unless the window needs more."""

RECORDED_SHARE = 0.1
"""Share of samples that move unevenly as a recorded hand did, where there are recordings."""


@dataclass(frozen=True)
class BlurredSample:
    """A blurred picture with its truth.

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

        `rows` are the equations F = A x of each cell at the normalised inverse depth 1, (2, 6, rows,
        columns), and `motion` is x = (theta, t); `known` (6,) is 1 where it was measured, and
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


def render_sample(
    picture: SharpImage,
    width: int,
    height: int,
    longest: float,
    rng: np.random.Generator,
    turns: RecordedTurns | None = None,
) -> BlurredSample:
    """Blur a random window of `picture`, seen at a random zoom.

    Args:
        picture: what is seen at mid-exposure.
        width, height: of the sample, multiples of the stride.
        longest: mean blur is drawn from 0 to this many pixels.
        rng: source of every choice.
        turns: recorded motion, if there is any.
    """
    oversampling = float(rng.choice([1.0, 1.0, 1.0, 1.0, 1.5, 2.0]))
    view, window, left, top = _random_window(
        picture, round(width * oversampling), round(height * oversampling), rng
    )
    motion, shutter = _fitting_motion(view, window, left, top, longest * oversampling, rng, turns)
    step = float(rng.uniform(1.0, 1.6))
    radiance = mean_over_exposure(view, motion, window, left, top, step, shutter.skew)
    camera = window.resized(width, height)
    seen = inverse_depth_seen(view, motion, window, left, top, shutter.skew)
    field, cells = true_field(camera, seen, motion, STRIDE)
    finished = develop(radiance, rng, min(1.0, random_pixel(rng) * oversampling))
    if oversampling > 1:
        finished = np.asarray(
            cv2.resize(finished, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    return BlurredSample(finished, camera, motion, shutter, field, cells, picture.depth_is_real)


def _fitting_motion(
    view: SharpView,
    window: Camera,
    left: int,
    top: int,
    longest: float,
    rng: np.random.Generator,
    turns: RecordedTurns | None,
) -> tuple[ExposureMotion, Shutter]:
    u, v = np.meshgrid(np.arange(0.0, window.width, 16), np.arange(0.0, window.height, 16))
    inverse = view.inverse_depth[top : top + window.height : 16, left : left + window.width : 16]
    motion = random_motion(window, u, v, inverse, longest, rng)
    field = motion_field(window, u, v, inverse, motion.rotation, motion.translation)
    shutter = random_shutter(motion, float(np.hypot(field[..., 0], field[..., 1]).max()), rng)
    if turns is not None and rng.uniform() < RECORDED_SHARE:
        return turns.follow(motion, shutter, rng), shutter
    return gentler(motion, shutter), shutter


def _random_window(
    picture: SharpImage, width: int, height: int, rng: np.random.Generator
) -> tuple[SharpView, Camera, int, int]:
    """Return a scaled region of the picture, and a window of width x height within it."""
    image, inverse = picture.image, picture.inverse_depth
    if rng.uniform() < 0.5:
        image, inverse = image[:, ::-1], inverse[:, ::-1]
    if not picture.depth_is_real and rng.uniform() < 0.2:
        image, inverse = image.transpose(1, 0, 2)[::-1], inverse.T[::-1]
    rows, columns = image.shape[:2]
    # From the whole picture just covering the window to nearly its full resolution: at that, most
    # pictures are softer than what a camera's larger image gives when it is scaled down.
    cover = max(width / columns, height / rows)
    scale = float(np.exp(rng.uniform(np.log(cover), np.log(max(cover, SHARP_SCALE)))))
    reach_x, reach_y = (
        min(columns, round((width + 2 * MARGIN) / scale)),
        min(rows, round((height + 2 * MARGIN) / scale)),
    )
    x = int(rng.integers(0, columns - reach_x + 1))
    y = int(rng.integers(0, rows - reach_y + 1))
    size = (max(width, round(reach_x * scale)), max(height, round(reach_y * scale)))
    region = np.ascontiguousarray(image[y : y + reach_y, x : x + reach_x])
    depth_region = np.ascontiguousarray(inverse[y : y + reach_y, x : x + reach_x])
    radiance = linear_light(region, size, rng)
    # Another focal length for the same picture stretches the scene along the axis: depth follows.
    stretch = float(np.exp(rng.uniform(np.log(0.6), np.log(1.6))))
    scaled_depth = cv2.resize(depth_region, size, interpolation=cv2.INTER_NEAREST) / stretch
    focal = picture.focal * scale * stretch
    camera = Camera(
        width=size[0],
        height=size[1],
        fx=focal,
        fy=focal,
        cx=(columns / 2 - x) * scale - 0.5,
        cy=(rows / 2 - y) * scale - 0.5,
    )
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    view = SharpView(radiance, scaled_depth.astype(np.float32), camera)
    return view, camera.cropped(left, top, width, height), left, top


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

    def __getitem__(self, index: int) -> BlurredSample:
        """Return sample `index`."""
        rng = np.random.default_rng((self._seed, index))
        picture = self._pictures.draw(rng)
        return render_sample(picture, *self._size, self._longest, rng, self._pictures.turns)
