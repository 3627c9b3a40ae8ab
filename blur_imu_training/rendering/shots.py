"""Shots: a picture, the way a camera moves before it, and the camera, all drawn and not yet
rendered.

What is drawn is cheap; what is rendered of it can be rendered one by one on the CPU
(`blurred_samples.py`) or many at a time on a GPU (`device_renderer.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_training.isp.parameters import (
    IspParameters,
    Light,
    random_camera,
    random_light,
    random_pixel,
)
from blur_imu_training.scene.exposure_motion import (
    ExposureMotion,
    RecordedMotion,
    Shutter,
    gentler,
    random_motion,
    random_shutter,
    slowed,
)
from blur_imu_training.scene.recorded_rotations import RecordedTurns
from blur_imu_training.scene.sharp_images import SharpImage

MARGIN = 48
"""Pixels of scene rendered around a crop, so that motion brings in what lies outside."""

SHARP_SCALE = 0.7
"""How far pictures are enlarged at most, unless the window needs more."""

RECORDED_SHARE = 0.1
"""Share of samples that move unevenly as a recorded hand did, where there are recordings."""

OVERSAMPLINGS = (1.0, 1.0, 1.0, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class PictureView:
    """What a camera at rest would see, as an 8-bit picture.

    Attributes:
        image: (rows, columns, 3) BGR uint8.
        light: how bright it was.
        inverse_depth: (rows, columns) 1/m, float32.
        camera: pinhole of the picture.
        window: pinhole of the part that becomes a sample.
        left, top: where that lies, pixels.
    """

    image: NDArray[np.uint8]
    light: Light
    inverse_depth: NDArray[np.float32]
    camera: Camera
    window: Camera
    left: int
    top: int


@dataclass(frozen=True)
class Shot:
    """All that decides a sample.

    Attributes:
        view: what is before the camera.
        motion, shutter: while it is exposed.
        step: longest way between two sub-frames, pixels.
        camera: what becomes of the light.
        width, height: of the sample, pixels; the window may be larger.
        depth_is_real: whether depth may be learned from.
    """

    view: PictureView
    motion: ExposureMotion
    shutter: Shutter
    step: float
    camera: IspParameters
    width: int
    height: int
    depth_is_real: bool


def random_shot(
    picture: SharpImage,
    width: int,
    height: int,
    longest: float,
    rng: np.random.Generator,
    turns: RecordedTurns | None = None,
) -> Shot:
    """Draw a window of `picture`, seen at a random zoom, and how it is blurred.

    Args:
        picture: what is seen at mid-exposure.
        width, height: of the sample, multiples of the stride.
        longest: mean blur is drawn from 0 to this many pixels.
        rng: source of every choice.
        turns: recorded motion, if there is any.
    """
    oversampling = float(rng.choice(OVERSAMPLINGS))
    picture = _as_held(picture, rng)
    view = _random_view(picture, round(width * oversampling), round(height * oversampling), rng)
    motion, shutter = _fitting_motion(view, longest * oversampling, rng, turns, picture.motion)
    step = float(rng.uniform(1.0, 1.6))
    camera = random_camera(rng, min(1.0, random_pixel(rng) * oversampling), height / width)
    return Shot(view, motion, shutter, step, camera, width, height, picture.depth_is_real)


def _fitting_motion(
    view: PictureView,
    longest: float,
    rng: np.random.Generator,
    turns: RecordedTurns | None,
    recorded: RecordedMotion | None,
) -> tuple[ExposureMotion, Shutter]:
    """Return the picture's own recorded motion where it has one, else a drawn one, and a
    shutter."""
    window, left, top = view.window, view.left, view.top
    u, v = np.meshgrid(np.arange(0.0, window.width, 16), np.arange(0.0, window.height, 16))
    inverse = view.inverse_depth[top : top + window.height : 16, left : left + window.width : 16]
    motion = (
        random_motion(window, u, v, inverse, longest, rng)
        if recorded is None
        else slowed(recorded, window, u, v, inverse, longest)
    )
    field = motion_field(window, u, v, inverse, motion.rotation, motion.translation)
    shutter = random_shutter(motion, float(np.hypot(field[..., 0], field[..., 1]).max()), rng)
    if recorded is not None:
        return motion, shutter
    if turns is not None and rng.uniform() < RECORDED_SHARE:
        return turns.follow(motion, shutter, rng), shutter
    return gentler(motion, shutter), shutter


def _as_held(picture: SharpImage, rng: np.random.Generator) -> SharpImage:
    """Return the picture mirrored at random, its motion with it; on its side only without depth."""
    if rng.uniform() < 0.5:
        picture = replace(
            picture,
            image=np.asarray(cv2.flip(picture.image, 1), np.uint8),
            inverse_depth=np.asarray(cv2.flip(picture.inverse_depth, 1), np.float32),
            motion=picture.motion and picture.motion.mirrored(),
        )
    if not picture.depth_is_real and rng.uniform() < 0.2:
        on_its_side = cv2.ROTATE_90_COUNTERCLOCKWISE
        picture = replace(
            picture,
            image=np.asarray(cv2.rotate(picture.image, on_its_side), np.uint8),
            inverse_depth=np.asarray(cv2.rotate(picture.inverse_depth, on_its_side), np.float32),
            motion=None,
        )
    return picture


def _random_view(
    picture: SharpImage, width: int, height: int, rng: np.random.Generator
) -> PictureView:
    """Return a scaled region of the picture with a window of width x height, `MARGIN` around it."""
    image, inverse = picture.image, picture.inverse_depth
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
    # Another focal length for the same picture stretches the scene along the axis: depth follows.
    stretch = float(np.exp(rng.uniform(np.log(0.6), np.log(1.6))))
    focal = picture.focal * scale * stretch
    camera = Camera(
        width=size[0],
        height=size[1],
        fx=focal,
        fy=focal,
        cx=(columns / 2 - x) * scale - 0.5,
        cy=(rows / 2 - y) * scale - 0.5,
    )
    region = image[y : y + reach_y, x : x + reach_x]
    depth_region = inverse[y : y + reach_y, x : x + reach_x]
    method = cv2.INTER_AREA if size[0] < reach_x else cv2.INTER_CUBIC
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return PictureView(
        np.asarray(cv2.resize(region, size, interpolation=method), np.uint8),
        random_light(rng),
        np.asarray(
            cv2.resize(depth_region, size, interpolation=cv2.INTER_NEAREST) / stretch, np.float32
        ),
        camera,
        camera.cropped(left, top, width, height),
        left,
        top,
    )
