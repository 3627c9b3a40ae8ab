"""Sharp pictures to blur: RGB-D folders, photo folders and procedural ones, behind one interface.

Pictures are kept in memory, scaled so that `LONG_SIDE` bounds them: a training run reads each of
them thousands of times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.errors import RecordingError
from blur_imu_training.scene.exposure_motion import RecordedMotion
from blur_imu_training.scene.procedural import dead_leaves, invented_inverse_depth
from blur_imu_training.scene.recorded_rotations import RecordedTurns

LONG_SIDE = 640
"""Pixels. Sharp pictures are about twice the network's view, so that zooming in stays sharp."""

FALLBACK_FIELD_OF_VIEW = (45.0, 95.0)
"""Degrees, horizontal: what photos of unknown cameras are read as."""


@dataclass(frozen=True)
class SharpImage:
    """A picture without blur and its geometry.

    Attributes:
        image: (height, width, 3) BGR uint8, tone-mapped as cameras do.
        inverse_depth: (height, width) 1/m, float32.
        focal: focal length, pixels.
        depth_is_real: whether depth may be learned from.
        motion: of the camera that recorded it, around that moment, as one exposure; None if it is
            not known or may be any.
    """

    image: NDArray[np.uint8]
    inverse_depth: NDArray[np.float32]
    focal: float
    depth_is_real: bool
    motion: RecordedMotion | None = None


class SharpImages(ABC):
    """A set of sharp pictures that can be drawn from at random.

    Attributes:
        skipped: pictures that were left out, with the reason where it is not damage.
    """

    skipped: list[str]

    def __init__(self) -> None:
        """Begin with nothing left out."""
        self.skipped = []

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of pictures."""

    @abstractmethod
    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return picture `index`; what is not known of it is invented with `rng`."""


_NYU_INVERSE = 1 / np.maximum((np.arange(256, dtype=np.float32) + 0.5) * np.float32(10 / 255), 0.3)
"""1/m of each level of depth."""


class NyuFolder(SharpImages):
    """RGB-D pairs in NYU Depth v2 layout: `rgb/NNNN.jpg`, `depth8_320/NNNN.png`."""

    BORDER = 8
    FOCAL = 519.2

    def __init__(self, folder: Path, indices: range) -> None:
        """Load the pairs numbered `indices`; unreadable ones are skipped and listed."""
        super().__init__()
        self._pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
        for index in indices:
            image = cv2.imread(str(folder / "rgb" / f"{index:04d}.jpg"))
            depth = cv2.imread(
                str(folder / "depth8_320" / f"{index:04d}.png"), cv2.IMREAD_GRAYSCALE
            )
            if image is None or depth is None:
                self.skipped.append(f"{index:04d}")
                continue
            b = self.BORDER
            self._pairs.append(
                (
                    np.asarray(image[b:-b, b:-b], np.uint8),
                    np.asarray(depth[b // 2 : -b // 2, b // 2 : -b // 2], np.uint8),
                )
            )
        refuse_empty(self._pairs, folder)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._pairs)

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return pair `index`; depth is stored as (depth - 0.02 m) / 0.039 m in 8 bits."""
        image, depth8 = self._pairs[index]
        size = (image.shape[1], image.shape[0])
        inverse = cv2.resize(cv2.LUT(depth8, _NYU_INVERSE), size, interpolation=cv2.INTER_LINEAR)
        return SharpImage(image, np.asarray(inverse, np.float32), self.FOCAL, True)


class SevenScenesFolder(SharpImages):
    """RGB-D frames in 7-Scenes layout; holes in the depth are filled from their neighbours."""

    FOCAL = 585.0

    def __init__(self, folder: Path, pattern: str = "frame-*.color.*", every: int = 1) -> None:
        """Load every so many-th colour image that fits the pattern, with its `.depth.png` (uint16
        mm)."""
        self._pairs: list[tuple[NDArray[np.uint8], NDArray[np.float32]]] = []
        super().__init__()
        for path in sorted(folder.glob(pattern))[::every]:
            image = cv2.imread(str(path))
            depth = cv2.imread(
                str(path.with_name(path.name.split(".")[0] + ".depth.png")), cv2.IMREAD_UNCHANGED
            )
            if image is None or depth is None or depth.dtype != np.uint16 or not depth.any():
                self.skipped.append(str(path.relative_to(folder)))
                continue
            self._pairs.append(
                (np.asarray(image, np.uint8), filled_inverse_depth(np.asarray(depth, np.uint16)))
            )
        refuse_empty(self._pairs, folder)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._pairs)

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return frame `index`."""
        image, inverse = self._pairs[index]
        size = (image.shape[1], image.shape[0])
        return SharpImage(image, cv2.resize(inverse, size).astype(np.float32), self.FOCAL, True)


class PhotoFolder(SharpImages):
    """Photos without depth; their geometry is invented anew at every draw."""

    def __init__(self, folder: Path) -> None:
        """Load every JPEG and PNG of `folder`."""
        self._images: list[NDArray[np.uint8]] = []
        super().__init__()
        for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.jpeg"), *folder.glob("*.png")]):
            image = cv2.imread(str(path))
            if image is None or min(image.shape[:2]) < 200:
                self.skipped.append(path.name)
                continue
            self._images.append(bounded(np.asarray(image, np.uint8)))
        refuse_empty(self._images, folder)

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self._images)

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return photo `index` with invented depth and focal length."""
        image = self._images[index]
        return _with_invented_geometry(image, rng)


class ProceduralPictures(SharpImages):
    """Dead leaves: endless pictures with the edge statistics of photos, from nothing."""

    def __len__(self) -> int:
        """Return a nominal size; every draw is new."""
        return 1000

    def draw(self, index: int, rng: np.random.Generator) -> SharpImage:
        """Return a new picture; `index` is not used."""
        return _with_invented_geometry(dead_leaves(480, LONG_SIDE, rng), rng)


def _with_invented_geometry(image: NDArray[np.uint8], rng: np.random.Generator) -> SharpImage:
    height, width = image.shape[:2]
    field_of_view = np.radians(rng.uniform(*FALLBACK_FIELD_OF_VIEW))
    focal = max(height, width) / 2 / np.tan(field_of_view / 2)
    return SharpImage(image, invented_inverse_depth(height, width, rng), float(focal), False)


def bounded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale down so that the long side is at most `LONG_SIDE` and the short one at least 300."""
    height, width = image.shape[:2]
    scale = max(LONG_SIDE / max(height, width), 300 / min(height, width))
    if scale >= 1:
        return image
    size = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def filled_inverse_depth(depth_mm: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return 1/m at half size, with holes (0 or 65535) taken from the nearest measured pixel."""
    half = depth_mm[::2, ::2]
    hole = (half == 0) | (half == 65535)
    _, labels = cv2.distanceTransformWithLabels(
        hole.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(int(labels.max()) + 1, np.uint16)
    nearest[labels[~hole]] = half[~hole]
    metres = np.maximum(nearest[labels], 300).astype(np.float32) / 1000
    return np.asarray(1 / metres, np.float32)


def refuse_empty(images: Sized, folder: Path) -> None:
    """Raise RecordingError naming the folder where no image is left."""
    if not images:
        raise RecordingError(f"{folder}: holds no usable pictures; check the folder's layout")


class WeightedMixture:
    """Draws from several sets, each with its share.

    Attributes:
        turns: recorded motion to move the pictures by, if there is any.
    """

    def __init__(
        self, sets: list[tuple[SharpImages, float]], turns: RecordedTurns | None = None
    ) -> None:
        """Take the sets and their shares (any positive numbers), and recorded motion."""
        self.turns = turns
        self._sets = [s for s, _ in sets]
        shares = np.array([share for _, share in sets], dtype=float)
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator) -> SharpImage:
        """Return one picture."""
        chosen = self._sets[int(rng.choice(len(self._sets), p=self._shares))]
        return chosen.draw(int(rng.integers(len(chosen))), rng)
