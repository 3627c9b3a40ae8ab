"""CameraInfo messages without ROS: plain numbers in, a camera out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from blur_imu_ros.core.camera import Camera, in_pixels, lens_of
from blur_imu_ros.errors import CameraError


@dataclass(frozen=True)
class CameraInfo:
    """The fields of sensor_msgs/CameraInfo that matter; all sizes in pixels."""

    width: int
    height: int
    k: Sequence[float]
    d: Sequence[float] = ()
    distortion_model: str = "plumb_bob"
    binning_x: int = 0
    binning_y: int = 0
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    """x_offset, y_offset, width, height; zero width or height means the whole image."""
    p: Sequence[float] = ()
    """3x4, row-major; matters for rectified images only."""

    @classmethod
    def of(cls, message: Any) -> CameraInfo:
        """Return the fields of a message of ROS 1 or 2, or of Foxglove's CameraCalibration."""

        def numbers(name: str) -> list[float]:
            values = getattr(message, name if hasattr(message, name) else name.upper())
            return [float(x) for x in values]

        roi = getattr(message, "roi", None)  # Foxglove's has neither this nor binning.
        return cls(
            width=message.width,
            height=message.height,
            k=numbers("k"),
            d=numbers("d"),
            distortion_model=message.distortion_model,
            binning_x=getattr(message, "binning_x", 0),
            binning_y=getattr(message, "binning_y", 0),
            roi=(roi.x_offset, roi.y_offset, roi.width, roi.height) if roi else (0, 0, 0, 0),
            p=numbers("p"),
        )

    def rectified(self) -> CameraInfo:
        """Return the calibration of the rectified image, which is P, without distortion.

        Raises:
            CameraError: there is none.
        """
        if len(self.p) != 12 or self.p[0] == 0:
            raise CameraError(
                "camera_info P[0] is 0: there is no calibration of rectified images; calibrate the "
                "camera, or use its raw images"
            )
        k = [x for row in (0, 4, 8) for x in self.p[row : row + 3]]
        return replace(self, k=k, d=(), distortion_model="")

    def camera(self) -> Camera:
        """Return the camera of the image that is published: ROI first, then binning (REP-104).

        Raises:
            CameraError: what is wrong with the calibration.
        """
        if len(self.k) != 9:
            raise CameraError(f"camera_info K has {len(self.k)} numbers; expected 9")
        if self.k[0] == 0:
            raise CameraError("camera_info K[0] is 0: the camera is not calibrated; calibrate it")
        model, coefficients = lens_of(self.distortion_model, self.d)
        pinhole = pinhole_of(self.k, "camera_info K")
        camera = Camera(int(self.width), int(self.height), *pinhole, model, coefficients)
        binning = int(self.binning_x), int(self.binning_y)
        return windowed(in_pixels(camera), self.roi, binning)


def pinhole_of(k: Sequence[float], name: str) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy of the 9 numbers of K, row by row; CameraError, naming it, where they
    are not."""
    last_row = max(abs(k[6]), abs(k[7])) > 0  # False for NaN, which Camera refuses.
    if last_row and not (k[2] or k[5]):
        raise CameraError(f"{name} is {list(k)}, column by column; give it row by row")
    if last_row or abs(k[3]) > 0:
        raise CameraError(f"{name} is {list(k)}; K is [fx, 0, cx, 0, fy, cy, 0, 0, 1]")
    scale = float(k[8]) or 1.0  # Some drivers leave that 1 out.
    fx, fy, cx, cy = (float(k[place]) / scale for place in (0, 4, 2, 5))
    return fx, fy, cx, cy


def windowed(
    camera: Camera, roi: tuple[int, int, int, int], binning: tuple[int, int] = (0, 0)
) -> Camera:
    """Return the camera of a region (left, top, width, height) of the image, then binned.

    Raises:
        CameraError: the region leaves the image.
    """
    left, top, width, height = (int(x) for x in roi)
    if width and height:
        if left + width > camera.width or top + height > camera.height:
            raise CameraError(
                f"camera_info ROI {width}x{height} at ({left}, {top}) leaves the "
                f"{camera.width}x{camera.height} image"
            )
        camera = camera.cropped(left, top, width, height)
    across, down = (max(1, count) for count in binning)
    return camera.resized(camera.width // across, camera.height // down)


def camera_of(message: Any, rectified: bool = False) -> Camera:
    """Return the camera of raw or of rectified images by their CameraInfo message of ROS 1 or 2.

    Raises:
        CameraError: it cannot be used.
    """
    info = CameraInfo.of(message)
    return (info.rectified() if rectified else info).camera()


def info_topics(images: str) -> tuple[str, ...]:
    """Return where drivers publish the camera_info of an image topic, the usual place first."""
    images = images.removesuffix("/compressed")
    parent, slash, _ = images.rpartition("/")
    of_realsense_viewer = images.removesuffix("/image/data") + "/info/camera_info"
    return f"{parent}{slash}camera_info", f"{images}/camera_info", of_realsense_viewer


RECTIFIED = {"rect", "rectified", "undistorted", "undistort"}
"""Words in the names of topics whose images have no lens: image_rect, image_undistorted, ..."""


def named_rectified(topic: str) -> bool:
    """Whether an image topic is called as rectified images are: image_rect_color, imageRect, ..."""
    words = re.sub("([a-z])([A-Z])", r"\1_\2", topic).lower()
    return not RECTIFIED.isdisjoint(re.split("[^a-z]+", words))


def has_superfluous_lens(topic: str, camera: Camera) -> bool:
    """Whether a camera has a lens although the images of `topic` are rectified, by its name."""
    return camera.is_distorted and named_rectified(topic)


def rectified_doubt(topic: str, camera: Camera) -> str:
    """Return what may be wrong where images of `topic` are taken to have the lens of `camera`, or
    nothing."""
    if not has_superfluous_lens(topic, camera):
        return ""
    return (
        f"the images of {topic} are rectified, by its name, but the calibration that is given has "
        "a lens: give that of rectified images (P, without distortion), or the raw images"
    )
