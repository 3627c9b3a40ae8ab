"""Image messages to arrays: cv_bridge where it is installed and works, else our own reader."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.recordings.image_messages import image_of

PIXEL_BYTES = {
    "mono8": 1,
    "8UC1": 1,
    "bgr8": 3,
    "8UC3": 3,
    "rgb8": 3,
    "bgra8": 4,
    "rgba8": 4,
    "bayer_rggb8": 1,
    "bayer_bggr8": 1,
    "bayer_gbrg8": 1,
    "bayer_grbg8": 1,
}
"""What cv_bridge reads as we do. Samples of 16 bits are not among them: it takes their upper 8
bits, which are empty where the sensor has 10 or 12; nor YUV, of which it refuses some."""

GREY = ("mono8", "8UC1")


class ImageReader:
    """Reads image messages.

    Attributes:
        name: what reads them, for people.
    """

    def __init__(self, warn: Callable[[str], Any]) -> None:
        """Look for cv_bridge; `warn` is given the reason where it is there but fails."""
        self._bridge, self.name = None, "own reader"
        try:
            self._bridge = importlib.import_module("cv_bridge").CvBridge()
            self._try_out()
            self.name = "cv_bridge"
        except ModuleNotFoundError as error:
            self._bridge = None
            if not str(error.name).startswith("cv_bridge"):
                warn(f"cv_bridge does not work ({error}), so images are read without it")
        except Exception as error:  # One built for another numpy fails in ways of its own.
            self._bridge = None
            warn(f"cv_bridge does not work ({error}), so images are read without it")

    def read(self, message: Any) -> NDArray[np.uint8]:
        """Return the BGR (height, width, 3) or grey (height, width) image of a message.

        Raises:
            FrameError: it is malformed.
        """
        if self._bridge is None or not _is_for_bridge(message):
            return image_of(message)
        try:
            wanted = "mono8" if message.encoding in GREY else "bgr8"
            return np.asarray(self._bridge.imgmsg_to_cv2(message, wanted), np.uint8)
        except Exception:  # Our own reader says in our words what is wrong.
            return image_of(message)

    def _try_out(self) -> None:
        """Convert a small image: an import alone does not show whether the compiled part works."""
        assert self._bridge is not None
        from sensor_msgs.msg import Image

        small = Image(height=2, width=2, encoding="rgb8", step=6, data=bytes(range(12)))
        found = np.asarray(self._bridge.imgmsg_to_cv2(small, "bgr8"))
        if not np.array_equal(found, image_of(small)):
            raise ValueError("it does not read back the image that was written")


def _is_for_bridge(message: Any) -> bool:
    """Return whether cv_bridge reads a message as it is meant: it misreads some padded rows."""
    size = PIXEL_BYTES.get(getattr(message, "encoding", ""))
    return size is not None and message.step % size == 0 and message.step >= size * message.width
