"""Camera calibration, and the way from a camera's image to the network's view of it.

Axes are OpenCV's: x right, y down, z forward. Pixel (0, 0) is the centre of the first pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.errors import CameraError

COEFFICIENTS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
    "double_sphere": (2,),
    "extended_unified": (2,),
    "omnidirectional": (1, 5),
}
"""Distortion models, those of sensor_msgs/CameraInfo first, and how many coefficients each may
have."""

MODEL_NAMES = {
    "plumb_bob": (
        *("plumbbob", "radtan", "radialtangential", "brownconrady", "brown", "opencv"),
        *("pinholeradtan", "modifiedbrownconrady"),
    ),
    "rational_polynomial": ("rationalpolynomial", "rational", "radtan8", "pinholeradtan8"),
    "equidistant": (
        *("equidistant", "equi", "fisheye", "kannalabrandt", "kannalabrandt4", "kannalabrandt8"),
        *("kb4", "pinholeequi", "opencvfisheye"),
    ),
    "double_sphere": ("doublesphere", "ds", "dsnone"),
    "extended_unified": ("extendedunified", "eucm", "eucmnone"),
    "omnidirectional": ("omnidirectional", "omni", "mei", "omniradtan", "omninone", "catadioptric"),
    "none": ("none", "pinhole", "ideal", "null", "rectified", "undistorted", "perspective"),
}
"""What drivers and calibration tools call the models, in small letters and without separators."""

PINHOLES = ("plumb_bob", "rational_polynomial")
"""Models that are a plain pinhole where all coefficients are zero."""

SHORTEST_FOCAL = 0.02
"""Focal length as a share of the image's longer side, below which it is read as a unit error."""

LONGEST_FOCAL = 1000.0
"""That share above which it is no lens of this world: the image would span 4 arc minutes."""


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
        # OpenCV gives coefficients as an array (1, n), which could not be compared.
        object.__setattr__(self, "distortion", tuple(np.ravel(self.distortion).tolist()))
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(isinstance(value, Real) for value in (self.width, self.height, *values)):
            raise CameraError(
                f"camera calibration of {self.width!r} x {self.height!r} pixels holds a value that "
                f"is not a finite number: {values}"
            )
        if self.width <= 0 or self.height <= 0:
            raise CameraError(f"camera image size {self.width}x{self.height}: must be positive")
        if not np.all(np.isfinite(values)):
            raise CameraError(
                f"camera calibration holds a value that is not a finite number: {values}"
            )
        if self.fx <= 0 or self.fy <= 0:
            raise CameraError(
                f"camera focal length fx={self.fx:g}, fy={self.fy:g}: an uncalibrated camera (K[0] "
                "= 0)? Calibrate it, or give its focal length in pixels"
            )
        if self.distortion_model not in COEFFICIENTS:
            raise CameraError(
                f"distortion model '{self.distortion_model}' is not known; known are "
                f"{', '.join(COEFFICIENTS)}"
            )
        counts = COEFFICIENTS[self.distortion_model]
        if len(self.distortion) not in counts and any(self.distortion):
            raise CameraError(
                f"distortion model '{self.distortion_model}' takes {' or '.join(map(str, counts))} "
                f"coefficients, got {len(self.distortion)}"
            )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The 3x3 intrinsic matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=float)

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """(n,) of the lens, as OpenCV takes them: four zeros where there is none."""
        return np.array(self.distortion if any(self.distortion) else (0.0,) * 4)

    @property
    def focal(self) -> float:
        """Geometric mean of the focal lengths, pixels."""
        return float(np.sqrt(self.fx * self.fy))

    @property
    def longer_side(self) -> int:
        """Of width and height the larger one, pixels."""
        return max(self.width, self.height)

    @property
    def is_distorted(self) -> bool:
        """Whether straight lines bend in the image."""
        return any(self.distortion) or self.distortion_model not in PINHOLES

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

    def reduced(self, factor: int) -> Camera:
        """Return the camera of the image with `factor` pixels and rows made one; a rest makes one
        more."""
        return replace(
            self,
            width=-(-self.width // factor),
            height=-(-self.height // factor),
            fx=self.fx / factor,
            fy=self.fy / factor,
            cx=(self.cx + 0.5) / factor - 0.5,
            cy=(self.cy + 0.5) / factor - 0.5,
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """Return the camera of the image's window of `width` x `height` at (`left`, `top`)."""
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def undistorted(self) -> Camera:
        """Return the pinhole that shows the middle of the image at the same scale."""
        scale = 1.0
        if self.distortion_model in ("double_sphere", "omnidirectional") and self.distortion:
            scale = 1 / (1 + self.distortion[0])
        return replace(
            self,
            fx=self.fx * scale,
            fy=self.fy * scale,
            distortion_model="plumb_bob",
            distortion=(),
        )

    def normalised(self, u: NDArray[Any], v: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the rays (x, y, 1) of pixels (u, v); distortion is not undone."""
        return (u - self.cx) / self.fx, (v - self.cy) / self.fy


def check_focal(camera: Camera) -> None:
    """Raise CameraError for a focal length of another unit than pixels."""
    longer = camera.longer_side
    if min(camera.fx, camera.fy) < SHORTEST_FOCAL * longer:
        raise CameraError(
            f"camera focal length fx={camera.fx:g}, fy={camera.fy:g} is far too small for an image "
            f"of {longer} pixels: is it in millimetres, or normalised? Give pixels"
        )
    if max(camera.fx, camera.fy) > LONGEST_FOCAL * longer:
        raise CameraError(
            f"camera focal length fx={camera.fx:g}, fy={camera.fy:g} is too long for the {longer} "
            "pixels of its image: give pixels"
        )


def in_pixels(camera: Camera) -> Camera:
    """Return a camera stated by others; CameraError where its focal length or principal point is of
    another unit or image."""
    check_focal(camera)
    if not (abs(camera.cx) < 3 * camera.width and abs(camera.cy) < 3 * camera.height):
        raise CameraError(
            f"camera principal point ({camera.cx:g}, {camera.cy:g}) is far outside its image of "
            f"{camera.width}x{camera.height}: is the calibration right, and of this size?"
        )
    return camera


def lens_name(model: str) -> str:
    """Return what this package calls a distortion model, "none" for none, else the name as it
    is."""
    plain = "".join(x for x in model.lower() if x.isalnum()) or "plumbbob"
    return next((name for name, others in MODEL_NAMES.items() if plain in others), model)


def lens_of(model: str, coefficients: Sequence[float]) -> tuple[str, tuple[float, ...]]:
    """Return distortion model and coefficients as `Camera` takes them, of what others call so.

    Drivers fill coefficients up with zeros, and call a rational model plumb_bob where OpenCV
    distinguishes the two by their number: what is certain is understood, the rest is left for
    `Camera` to refuse.

    Raises:
        CameraError: there are coefficients, but no model.
    """
    known = lens_name(model)
    numbers = tuple(float(x) for x in coefficients)
    if known == "none":
        if any(numbers):
            raise CameraError(
                f"distortion model '{model}' has coefficients that are not zero; which model is "
                f"it? Known are {', '.join(COEFFICIENTS)}"
            )
        return "plumb_bob", ()
    if known not in COEFFICIENTS:
        # Of RealSense, whose colour cameras name it with zeros.
        zeros = "inverse" in known.lower() and numbers and not any(numbers)
        return ("plumb_bob", ()) if zeros else (known, numbers)
    if not any(numbers):
        return known, ()
    if known == "plumb_bob" and any(numbers[5:]):
        known = "rational_polynomial"
    elif known == "rational_polynomial" and len(numbers) in COEFFICIENTS["plumb_bob"]:
        known = "plumb_bob"
    if len(numbers) in COEFFICIENTS[known]:
        return known, numbers
    fitting = [n for n in COEFFICIENTS[known] if n < len(numbers) and not any(numbers[n:])]
    return known, numbers[: fitting[-1]] if fitting else numbers
