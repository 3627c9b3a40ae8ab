"""Blurred frames as the mean of consecutive sharp ones: nothing is rendered, and poses give the
truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.errors import RecordingError
from blur_imu_training.data.recorded_sequences import Keyframe, PosedFrame, keyframes
from blur_imu_training.rendering.numpy_renderer import true_field
from blur_imu_training.rendering.samples import STRIDE, BlurredSample
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter
from blur_imu_training.scene.sharp_images import filled_inverse_depth, refuse_empty

GAMMA = 2.2
"""By which frames become linear light, as in the published data set."""


class AveragedFrames:
    """A blurred sample for each keyframe of recordings: the mean of the frames around it.

    Frames are read when a sample is asked for.

    Attributes:
        skipped: what was left out, and why; see `keyframes`.
    """

    def __init__(
        self,
        recordings: Sequence[Sequence[PosedFrame]],
        folder: Path,
        width: int,
        height: int,
        exposure_time: float,
    ) -> None:
        """Choose the keyframes of each recording; RecordingError if none is left.

        Args:
            recordings: frames of each, in order.
            folder: for messages.
            width, height: of the network's view, pixels.
            exposure_time: seconds that the way from the first to the last frame is read as.
        """
        self.skipped: list[str] = []
        self._keyframes = [k for frames in recordings for k in keyframes(frames, self.skipped)]
        self._size, self._exposure_time = (width, height), exposure_time
        refuse_empty(self._keyframes, folder)

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self._keyframes)

    def __getitem__(self, index: int) -> BlurredSample:
        """Return the mean around keyframe `index`; RecordingError names a frame that is damaged."""
        keyframe = self._keyframes[index]
        mean = mean_light(_read(frame) for frame in keyframe.around)
        depth = keyframe.frame.read_depth()
        if depth is None:
            raise RecordingError(f"{keyframe.frame.name}: depth has become damaged")
        sample = frame_sample(
            mean, depth, self._view(keyframe, mean), keyframe.motion, self._exposure_time
        )
        # Poses and depth of every pixel: labels of full worth, as those of what is rendered.
        return replace(sample, is_recorded=False)

    def _view(self, keyframe: Keyframe, mean: NDArray[np.uint8]) -> NetworkView:
        rows, columns = mean.shape[:2]
        return NetworkView(keyframe.frame.camera.resized(columns, rows), *self._size)


def _read(frame: PosedFrame) -> Array:
    image = frame.read_image()
    if image is None:
        raise RecordingError(f"{frame.name}: damaged")
    return image


def mean_light(images: Iterable[Array]) -> NDArray[np.uint8]:
    """Return the BGR uint8 mean of consecutive images in linear light, from the first to the last.

    The first and the last count half: what is between two images belongs to both of them.
    """
    linear = (np.arange(256, dtype=np.float32) / np.float32(255)) ** np.float32(GAMMA)
    light = [cv2.LUT(image, linear) for image in images]
    total = sum(light[1:-1], (light[0] + light[-1]) / 2)
    mean = total / np.float32(len(light) - 1)
    return np.asarray(mean ** np.float32(1 / GAMMA) * 255 + 0.5, np.uint8)


def frame_sample(
    image: NDArray[np.uint8],
    depth: Array,
    view: NetworkView,
    motion: ExposureMotion,
    exposure_time: float,
) -> BlurredSample:
    """Return a frame of a real camera as a sample.

    Args:
        image: (height, width, 3) BGR.
        depth: uint16 millimetres, of any size.
        view: the network's, of the image.
        motion: of the camera over the exposure.
        exposure_time: seconds.
    """
    source = view.source
    inverse = cv2.resize(filled_inverse_depth(depth), (source.width, source.height))
    x, y = view.camera.normalised(*np.meshgrid(np.arange(view.width), np.arange(view.height)))
    seen = cv2.remap(
        inverse,
        (x * source.fx + source.cx).astype(np.float32),
        (y * source.fy + source.cy).astype(np.float32),
        cv2.INTER_NEAREST,
    )
    field, cells = true_field(view.camera, np.asarray(seen, np.float32), motion, STRIDE)
    return BlurredSample(
        view.apply(image), view.camera, motion, Shutter(exposure_time), field, cells, True, True
    )
