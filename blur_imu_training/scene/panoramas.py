"""Panoramas: views in every direction, in which a turning camera blurs exactly as it would
there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_training.scene.sharp_images import SharpImage, SharpImages, refuse_empty

FIELD_OF_VIEW = (80.0, 110.0)
"""Degrees, horizontal, of a drawn picture; samples are windows of it, at a random zoom.

A panorama of 1024 px over 360 deg holds 163 px a radian, so pictures are drawn at that focal length
and are 270 to 470 px wide. Samples 160 px wide then see 52 to 110 deg and are as sharp as a
camera's; those 320 px wide are enlarged by up to 1.2 (sharp only in wide views), so the set suits
small samples.
"""

DISTANCE = 100.0
"""Metres: so far that only rotation shows. Depth is not to be learned from these pictures."""

TILT, ROLL = 20.0, 10.0
"""Degrees, standard deviations of how cameras are held."""


class PanoramaFolder(SharpImages):
    """Equirectangular panoramas, `*.jpg` or `*.png`, twice as wide as high."""

    def __init__(self, folder: Path) -> None:
        """Load every panorama; what is none is skipped and listed."""
        self._panoramas: list[NDArray[np.uint8]] = []
        super().__init__()
        for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.png")]):
            image = cv2.imread(str(path))
            if image is None or image.shape[1] != 2 * image.shape[0]:
                self.skipped.append(path.name)
                continue
            self._panoramas.append(np.asarray(image, np.uint8))
        refuse_empty(self._panoramas, folder)

    def __len__(self) -> int:
        """Return the number of panoramas."""
        return len(self._panoramas)

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return a view of panorama `index` in a random direction."""
        panorama = self._panoramas[index]
        focal = panorama.shape[1] / (2 * np.pi)
        width = round(2 * focal * np.tan(np.radians(rng.uniform(*FIELD_OF_VIEW)) / 2))
        direction = Rotation.from_euler(
            "YXZ",
            [rng.uniform(-180, 180), rng.normal(0, TILT), rng.normal(0, ROLL)],
            degrees=True,
        )
        view = perspective_view(panorama, direction, focal, (width, width * 3 // 4))
        inverse_depth = np.full(view.shape[:2], 1 / DISTANCE, np.float32)
        return SharpImage(view, inverse_depth, focal, depth_is_real=False)


def perspective_view(
    panorama: NDArray[np.uint8], direction: Rotation, focal: float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return what a pinhole camera sees, BGR uint8.

    Args:
        panorama: equirectangular; its middle lies straight ahead (z), its top up (-y).
        direction: camera to panorama.
        focal: pixels.
        size: width and height, pixels; the principal point is the middle.
    """
    width, height = size
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    rays = np.stack([x / focal, y / focal, np.ones_like(x)], -1) @ direction.as_matrix().T
    azimuth = np.arctan2(rays[..., 0], rays[..., 2])
    elevation = np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2]))
    rows, columns = panorama.shape[:2]
    u = (azimuth / (2 * np.pi) + 0.5) * columns - 0.5
    v = (elevation / np.pi + 0.5) * rows - 0.5
    seen = cv2.remap(
        panorama,
        u.astype(np.float32),
        v.astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.asarray(seen, np.uint8)
