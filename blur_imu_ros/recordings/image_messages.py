"""Raw and compressed image messages, and camera_info, without ROS: plain numbers in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.errors import FrameError

LARGEST_SIDE = 16384
"""Pixels. Headers that claim more are taken for damaged, before memory is asked for."""


SENSOR_BITS = (10, 12, 14, 16)
"""What samples of 16 bits may hold; the brightest of an image tells."""


@dataclass(frozen=True)
class _Encoding:
    """Layout of an encoding: bytes a sample, samples a pixel, and OpenCV's conversion, if any."""

    depth: int
    channels: int
    conversion: int | None = None


_ENCODINGS = {
    "mono8": _Encoding(1, 1),
    "8UC1": _Encoding(1, 1),
    "mono16": _Encoding(2, 1),
    "16UC1": _Encoding(2, 1),
    "bgr8": _Encoding(1, 3),
    "8UC3": _Encoding(1, 3),
    "rgb8": _Encoding(1, 3, cv2.COLOR_RGB2BGR),
    "bgra8": _Encoding(1, 4, cv2.COLOR_BGRA2BGR),
    "rgba8": _Encoding(1, 4, cv2.COLOR_RGBA2BGR),
    # OpenCV names a mosaic by its second row, ROS by its first.
    "bayer_rggb8": _Encoding(1, 1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": _Encoding(1, 1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": _Encoding(1, 1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": _Encoding(1, 1, cv2.COLOR_BayerGB2BGR),
    "bayer_rggb16": _Encoding(2, 1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr16": _Encoding(2, 1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg16": _Encoding(2, 1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg16": _Encoding(2, 1, cv2.COLOR_BayerGB2BGR),
    "uyvy": _Encoding(1, 2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422": _Encoding(1, 2, cv2.COLOR_YUV2BGR_UYVY),
    "yuyv": _Encoding(1, 2, cv2.COLOR_YUV2BGR_YUY2),
    "yuv422_yuy2": _Encoding(1, 2, cv2.COLOR_YUV2BGR_YUY2),
}


_HALF_HEIGHT_CHROMA = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}


def image_of(message: Any) -> NDArray[np.uint8]:
    """Return the BGR or grey uint8 image of an Image or CompressedImage message of ROS 1 or 2.

    Raises:
        FrameError: it is malformed.
    """
    if not hasattr(message, "encoding"):
        return decode_compressed(message.data)
    return decode_image(
        message.height,
        message.width,
        message.encoding,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )


def decode_image(
    height: int, width: int, encoding: str, step: int, is_bigendian: bool, data: Any
) -> NDArray[np.uint8]:
    """Return the BGR (height, width, 3) or grey (height, width) uint8 image of a message.

    Nothing is copied where the message already holds the result.

    Args:
        height, width: pixels.
        encoding: as in sensor_msgs/image_encodings.
        step: bytes from one row to the next; 0 is taken for rows without padding.
        is_bigendian: byte order of 16-bit samples.
        data: bytes-like.

    Raises:
        FrameError: sizes that do not fit each other, or an encoding that is not known.
    """
    if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
        raise FrameError(f"image message of {width}x{height} pixels: not a possible size")
    flat = np.frombuffer(data, np.uint8)
    if encoding in _HALF_HEIGHT_CHROMA:
        return _decode_nv(height, width, encoding, step, flat)
    if encoding not in _ENCODINGS:
        known = ", ".join([*_ENCODINGS, *_HALF_HEIGHT_CHROMA])
        raise FrameError(f"image encoding '{encoding}' is not known; known are {known}")
    layout = _ENCODINGS[encoding]
    rows = _rows(flat, height, width * layout.depth * layout.channels, step, encoding)
    if layout.depth == 2:
        rows = _eight_bits(rows.view(">u2" if is_bigendian else "<u2"))
    shape = (height, width) if layout.channels == 1 else (height, width, layout.channels)
    image = rows.reshape(shape)
    return image if layout.conversion is None else _converted(image, layout.conversion, encoding)


def _rows(
    flat: NDArray[np.uint8], count: int, used: int, step: int, encoding: str
) -> NDArray[np.uint8]:
    step = step or used
    if step < used:
        raise FrameError(f"image step of {step} bytes is less than a row of {encoding} ({used})")
    # The padding of the last row may be missing.
    needed = step * (count - 1) + used
    if len(flat) < needed:
        raise FrameError(f"image data holds {len(flat)} bytes; its header needs {needed}")
    return np.lib.stride_tricks.as_strided(flat, (count, used), (step, 1), writeable=False)


def _eight_bits(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the upper 8 of the bits that a sensor has, which may be fewer than the 16 it fills."""
    used = int(samples.max()).bit_length()
    sensor = next(bits for bits in SENSOR_BITS if bits >= used)
    return np.asarray(samples >> (sensor - 8), np.uint8)


def _decode_nv(
    height: int, width: int, encoding: str, step: int, flat: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    if height % 2 or width % 2:
        raise FrameError(f"image of {width}x{height}: {encoding} needs even sides")
    rows = _rows(flat, height * 3 // 2, width, step, encoding)
    return _converted(rows, _HALF_HEIGHT_CHROMA[encoding], encoding)


def _converted(image: NDArray[np.uint8], conversion: int, encoding: str) -> NDArray[np.uint8]:
    try:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), conversion), np.uint8)
    except cv2.error as error:
        height, width = image.shape[:2]
        raise FrameError(f"image of {width}x{height} cannot be read as {encoding}") from error


def decode_compressed(data: Any) -> NDArray[np.uint8]:
    """Return the BGR uint8 image of a JPEG, PNG or the like; FrameError if it is none, or damaged."""
    buffer = np.frombuffer(data, np.uint8)
    any_depth = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        image = cv2.imdecode(buffer, any_depth) if _is_whole(buffer.data) else None
    except cv2.error:
        image = None
    if image is None:
        raise FrameError(
            f"compressed image of {len(buffer)} bytes is damaged, or of no known format"
        )
    if image.dtype == np.uint16:
        return _eight_bits(np.asarray(image, np.uint16))
    if image.dtype != np.uint8:
        raise FrameError(f"compressed image of {image.dtype} samples; give 8 or 16 bits")
    return np.asarray(image, np.uint8)


def _is_whole(buffer: memoryview) -> bool:
    """Return whether a JPEG or PNG has its end; decoders may fill the rest with grey, and are loud."""
    data = bytes(buffer)
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data
    if data.startswith(b"\xff\xd8"):
        return data.find(b"\xff\xd9", _start_of_scan(data)) >= 0
    return len(data) > 0


def _start_of_scan(data: bytes) -> int:
    """Return where a JPEG's own scan begins, behind headers that may hold a whole thumbnail."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at
