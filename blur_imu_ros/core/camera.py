"""Camera calibration, and the way from a camera's image to the network's view of it.

Axes are OpenCV's: x right, y down, z forward. Pixel (0, 0) is the centre of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from blur_imu_ros.errors import CameraError

COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}
"""Distortion models of sensor_msgs/CameraInfo, and how many coefficients each may have."""

SHORTEST_FOCAL = 0.02
"""Focal length as a share of the image's longer side, below which it is taken for a unit error."""


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels, with lens distortion.

    Attributes:
        width, height: image size, pixels.
        fx, fy, cx, cy: focal lengths and principal point, pixels.
        distortion_model: a key of `COEFFICIENTS`.
        distortion: its coefficients in OpenCV's order; empty means all zero, which is no distortion
            but of an equidistant lens: that is a fisheye all the same.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "plumb_bob"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a calibration that would give silent wrong numbers."""
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if self.width <= 0 or self.height <= 0:
            raise CameraError(f"camera image size {self.width}x{self.height}: must be positive")
        if not np.all(np.isfinite(values)):
            raise CameraError(f"camera calibration holds a value that is not a number: {values}")
        if self.fx <= 0 or self.fy <= 0:
            raise CameraError(
                f"camera focal length fx={self.fx:g}, fy={self.fy:g}: an uncalibrated camera "
                "(K[0] = 0)? Calibrate it, or give its focal length in pixels"
            )
        if self.distortion_model not in COEFFICIENTS:
            raise CameraError(
                f"distortion model '{self.distortion_model}' is not known; "
                f"known are {', '.join(COEFFICIENTS)}"
            )
        counts = COEFFICIENTS[self.distortion_model]
        if len(self.distortion) not in counts and any(self.distortion):
            raise CameraError(
                f"distortion model '{self.distortion_model}' takes "
                f"{' or '.join(map(str, counts))} coefficients, "
                f"got {len(self.distortion)}"
            )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The 3x3 intrinsic matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=float)

    @property
    def focal(self) -> float:
        """Geometric mean of the focal lengths, pixels."""
        return float(np.sqrt(self.fx * self.fy))

    @property
    def is_distorted(self) -> bool:
        """Whether straight lines bend in the image."""
        return any(self.distortion) or self.distortion_model == "equidistant"

    def resized(self, width: int, height: int) -> Camera:
        """Return the camera of the image resized to `width` x `height`, pixel centres kept."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """Return the camera of the image's window of `width` x `height` at (`left`, `top`)."""
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def undistorted(self) -> Camera:
        """Return the same pinhole without lens distortion."""
        return replace(self, distortion_model="plumb_bob", distortion=())

    def normalised(self, u: NDArray[Any], v: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the rays (x, y, 1) of pixels (u, v); distortion is not undone."""
        return (u - self.cx) / self.fx, (v - self.cy) / self.fy


LARGEST_SCALED_SIDE = 8192
"""Pixels of an image that is scaled to fill the network's view."""


@dataclass(frozen=True)
class NetworkView:
    """What the network sees of a camera: undistorted, scaled to fill `width` x `height`, cropped.

    The scale is the same in both directions, so blur keeps its direction; the crop is central.
    """

    source: Camera
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse a strip of an image: filling the view would take memory without end."""
        if max(self._scaled_size) > LARGEST_SCALED_SIDE:
            raise CameraError(
                f"camera image {self.source.width}x{self.source.height} is too narrow a strip to "
                f"fill the network's view of {self.width}x{self.height}"
            )

    @property
    def _scaled_size(self) -> tuple[int, int]:
        scale = max(self.width / self.source.width, self.height / self.source.height)
        return (
            max(self.width, round(self.source.width * scale)),
            max(self.height, round(self.source.height * scale)),
        )

    @property
    def _corner(self) -> tuple[int, int]:
        width, height = self._scaled_size
        return (width - self.width) // 2, (height - self.height) // 2

    @cached_property
    def camera(self) -> Camera:
        """Pinhole of the view."""
        left, top = self._corner
        scaled = self.source.undistorted().resized(*self._scaled_size)
        return scaled.cropped(left, top, self.width, self.height)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the view of `image`: (height, width[, 3]) uint8, channels as given."""
        scaled = _scaled(image, *self._scaled_size)
        if self.source.is_distorted:
            return np.asarray(
                cv2.remap(scaled, *self._undistortion_maps, cv2.INTER_LINEAR), np.uint8
            )
        left, top = self._corner
        return np.asarray(scaled[top : top + self.height, left : left + self.width], np.uint8)

    @cached_property
    def _undistortion_maps(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Where in the scaled, still distorted image each pixel of the view comes from."""
        lens = self.source.resized(*self._scaled_size)
        size = (self.width, self.height)
        coefficients = np.array(lens.distortion) if any(lens.distortion) else np.zeros(4)
        if lens.distortion_model == "equidistant":
            maps = cv2.fisheye.initUndistortRectifyMap(
                lens.matrix, coefficients, np.eye(3), self.camera.matrix, size, cv2.CV_16SC2
            )
        else:
            maps = cv2.initUndistortRectifyMap(
                lens.matrix, coefficients, np.eye(3), self.camera.matrix, size, cv2.CV_16SC2
            )
        return maps[0], maps[1]


def _scaled(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return the image at another size, every pixel the mean of the area that it covers."""
    if width >= image.shape[1]:
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    # Halving is ten times faster than other fractions; what is left to them must be fine enough.
    rows, columns = image.shape[:2]
    while rows % 2 == columns % 2 == 0 and columns >= 4 * width and rows >= 4 * height:
        rows, columns = rows // 2, columns // 2
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def in_pixels(camera: Camera) -> Camera:
    """Return a camera that was told by others; CameraError where its focal length is of another unit."""
    longer = max(camera.width, camera.height)
    if min(camera.fx, camera.fy) < SHORTEST_FOCAL * longer:
        raise CameraError(
            f"camera focal length fx={camera.fx:g}, fy={camera.fy:g} is nothing to the {longer} pixels "
            "of its image: in millimetres, or normalised? Then give pixels"
        )
    return camera


EXPECTED = "image_width, image_height, fx, fy, cx, cy"
"""Of a flat camera file."""


def load_camera(path: str | Path) -> Camera:
    """Read a camera from YAML: flat (fx, fy, cx, cy, ...) or a ROS calibration file.

    Raises CameraError naming the file and what is missing.
    """
    return _parse_camera(_read_yaml(path), str(path))


def load_exposure_time(path: str | Path) -> float | None:
    """Return `exposure_time` (seconds) of a camera YAML, or None where it has none.

    Raises CameraError naming the file where it is not a number.
    """
    value = _read_yaml(path).get("exposure_time")
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(f"{path}: exposure_time {value!r} is not a number of seconds") from error


def load_yaml(path: str | Path, complaint: str) -> Any:
    """Return what a YAML file holds; CameraError says `complaint` of a file that is none."""
    try:
        return yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise CameraError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CameraError(f"{path}: {complaint}: {str(error).splitlines()[0]}") from error


def _read_yaml(path: str | Path) -> dict[str, Any]:
    content = load_yaml(path, "is not YAML")
    if not isinstance(content, dict):
        raise CameraError(f"{path}: holds no camera; expected {EXPECTED}")
    return content


def _parse_camera(content: dict[str, Any], name: str) -> Camera:
    try:
        if "camera_matrix" in content:
            fx, fy, cx, cy = _pinhole_of(content["camera_matrix"])
        else:
            fx, fy, cx, cy = (_number(content, key) for key in ("fx", "fy", "cx", "cy"))
        camera = Camera(
            width=int(_number(content, "image_width")),
            height=int(_number(content, "image_height")),
            fx=fx,
            fy=fy,
            cx=cx,
            cy=cy,
            distortion_model=str(content.get("distortion_model") or "plumb_bob"),
            distortion=_coefficients_of(content.get("distortion_coefficients") or []),
        )
        return in_pixels(camera)
    except (CameraError, ValueError, OverflowError) as error:  # int of what is not finite
        raise CameraError(f"{name}: {error}") from error


def _number(content: dict[str, Any], key: str) -> float:
    if key not in content:
        raise CameraError(
            f"lacks {key}; expected {EXPECTED}, or what ROS' camera_calibration writes"
        )
    return _as_number(content[key], key)


def _as_number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CameraError(f"{name} is {value!r}, not a number") from error


def _coefficients_of(given: Any) -> tuple[float, ...]:
    """Return the coefficients of a list, or of a ROS calibration file's `data`."""
    listed = given.get("data") if isinstance(given, dict) else given
    if not isinstance(listed, list):
        raise CameraError(f"distortion_coefficients is {given!r}, not a list of numbers")
    return tuple(_as_number(x, "one of distortion_coefficients") for x in listed)


def _pinhole_of(matrix: Any) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy of a ROS calibration file's camera_matrix."""
    data = matrix.get("data") if isinstance(matrix, dict) else None
    if not isinstance(data, list) or len(data) != 9:
        raise CameraError("camera_matrix lacks data, the 9 numbers of K")
    k = [_as_number(x, "one of camera_matrix") for x in data]
    return k[0], k[4], k[2], k[5]
