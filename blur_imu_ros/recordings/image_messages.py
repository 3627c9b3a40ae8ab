"""Raw and compressed image messages, and camera_info, without ROS: plain numbers in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blur_imu_ros.errors import FrameError

LARGEST_SIDE = 16384
"""Pixels. Headers that claim more are read as damaged, before memory is asked for."""

SENSOR_BITS = (10, 12, 14, 16)
"""What samples of 16 bits may hold; the brightest of an image decides."""


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
    "8UC4": _Encoding(1, 4, cv2.COLOR_BGRA2BGR),
    "rgba8": _Encoding(1, 4, cv2.COLOR_RGBA2BGR),
    "bgr16": _Encoding(2, 3),
    "16UC3": _Encoding(2, 3),
    "rgb16": _Encoding(2, 3, cv2.COLOR_RGB2BGR),
    "bgra16": _Encoding(2, 4, cv2.COLOR_BGRA2BGR),
    "16UC4": _Encoding(2, 4, cv2.COLOR_BGRA2BGR),
    "rgba16": _Encoding(2, 4, cv2.COLOR_RGBA2BGR),
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

_PLANES = {
    "nv12": cv2.COLOR_YUV2BGR_NV12,
    "nv21": cv2.COLOR_YUV2BGR_NV21,
    "nv24": cv2.COLOR_YUV2BGR_NV12,
    "i420": cv2.COLOR_YUV2BGR_I420,
    "yv12": cv2.COLOR_YUV2BGR_YV12,
}
"""Encodings whose brightness comes first, and then the colours of 2x2 pixels; of each in nv24."""

_OTHER_NAMES = {
    "yuv420": "i420", "yuv420p": "i420", "iyuv": "i420",
    # GenICam names a mosaic by its first row.
    "bayerrg8": "bayer_rggb8", "bayerbg8": "bayer_bggr8",
    "bayergb8": "bayer_gbrg8", "bayergr8": "bayer_grbg8",
}  # fmt: skip
_ALIGNMENTS = (4, 8, 16, 32, 64)
"""Rows of which planes of brightness may have a multiple."""
_VIDEO_CODECS = ("h264", "h265", "hevc", "av1", "vp8", "vp9", "theora")
KNOWN_ENCODINGS = (*_ENCODINGS, *_PLANES)
_BY_SMALL_LETTERS = {name.lower(): name for name in KNOWN_ENCODINGS}


def image_of(message: Any) -> NDArray[np.uint8]:
    """Return the BGR or grey uint8 image of an Image or CompressedImage message of ROS 1 or 2.

    Raises:
        FrameError: it is malformed.
    """
    if not hasattr(message, "encoding"):
        return decode_compressed(message.data, message.format)
    return decode_image(
        message.height,
        message.width,
        message.encoding,
        message.step,
        bool(getattr(message, "is_bigendian", False)),
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
        step: bytes from one row to the next; 0 is read as rows without padding.
        is_bigendian: byte order of 16-bit samples.
        data: bytes-like.

    Raises:
        FrameError: sizes that do not fit each other, or an encoding that is not known.
    """
    if not (0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE):
        raise FrameError(f"image message of {width}x{height} pixels: not a possible size")
    flat = np.frombuffer(data, np.uint8)
    name = _known_name(encoding)
    if name in _PLANES:
        return _decode_planes(height, width, name, step, flat)
    layout = _ENCODINGS[name]
    rows = _rows(flat, height, width * layout.depth * layout.channels, step, name)
    shape = (height, width) if layout.channels == 1 else (height, width, layout.channels)
    if layout.depth == 1:
        image = rows.reshape(shape)
        return image if layout.conversion is None else _converted(image, layout.conversion, name)
    samples = rows.view(">u2" if is_bigendian else "<u2").reshape(shape)
    if layout.channels > 1 and layout.conversion is not None:
        # Before the number of bits is looked for: alpha has all of them.
        return _eight_bits(_converted(samples.astype(np.uint16), layout.conversion, name))
    image = _eight_bits(samples)
    return image if layout.conversion is None else _converted(image, layout.conversion, name)


def _known_name(encoding: str) -> str:
    """Return the name of an encoding in our tables; capital letters do not matter."""
    plain = encoding.strip().lower()
    plain = _OTHER_NAMES.get(plain, plain)
    known = _BY_SMALL_LETTERS.get(plain)
    if known is None:
        depth = " (a depth image? Choose the topic of the colour images)"
        raise FrameError(
            f"image encoding '{encoding}' is not known{depth if plain == '32fc1' else ''}; known "
            f"are {', '.join(KNOWN_ENCODINGS)}"
        )
    return known


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


def _decode_planes(
    height: int, width: int, encoding: str, step: int, flat: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    if height % 2 or width % 2:
        raise FrameError(f"image of {width}x{height}: {encoding} needs even sides")
    step = step or width
    higher = _rows_of_planes(len(flat), height, step, encoding)
    luma, rest = _rows(flat, height, width, step, encoding), flat[higher * step :]
    if encoding == "nv24":
        both = _rows(rest, height, 2 * width, 2 * step, encoding).reshape(height, width, 2)
        half = cv2.resize(both, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        chroma = np.asarray(half, np.uint8).reshape(height // 2, width)
    elif encoding in ("i420", "yv12"):
        parts = rest, rest[higher // 2 * (step // 2) :]
        halves = [_rows(part, height // 2, width // 2, step // 2, encoding) for part in parts]
        chroma = np.concatenate(halves).reshape(height // 2, width)
    else:
        chroma = _rows(rest, height // 2, width, step, encoding)
    return _converted(np.vstack([luma, chroma]), _PLANES[encoding], encoding)


def _rows_of_planes(count: int, height: int, step: int, encoding: str) -> int:
    """Return how many rows the brightness fills of so many bytes: an image's own, or more, as
    hardware that codes videos aligns planes."""
    rows, left = divmod(2 * count, (6 if encoding == "nv24" else 3) * step)
    aligned = {-(-height // multiple) * multiple for multiple in _ALIGNMENTS}
    return rows if not left and rows in aligned else height


def _converted(image: NDArray[Any], conversion: int, encoding: str) -> NDArray[Any]:
    try:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), conversion))
    except cv2.error as error:
        height, width = image.shape[:2]
        raise FrameError(f"image of {width}x{height} cannot be read as {encoding}") from error


def decode_compressed(data: Any, said: str = "") -> NDArray[np.uint8]:
    """Return the BGR uint8 image of a JPEG, PNG or the like.

    Args:
        data: bytes-like.
        said: what a CompressedImage message says of its format; a mosaic in grey becomes colour.

    Raises:
        FrameError: it is not an image, or a damaged one.
    """
    buffer = np.frombuffer(data, np.uint8)
    mosaic = mosaic_of(said)
    colours = cv2.IMREAD_COLOR if mosaic is None else cv2.IMREAD_ANYCOLOR
    whole = np.frombuffer(whole_image(buffer.data), np.uint8)
    try:
        image = cv2.imdecode(whole, colours | cv2.IMREAD_ANYDEPTH) if len(whole) else None
    except cv2.error:
        image = None
    if image is None:
        raise FrameError(_why_not(len(buffer), said))
    if image.dtype not in (np.uint8, np.uint16):
        raise FrameError(f"compressed image of {image.dtype} samples; give 8 or 16 bits")
    deep = image.dtype == np.uint16
    shallow = _eight_bits(np.asarray(image, np.uint16)) if deep else np.asarray(image, np.uint8)
    if mosaic is None:
        return shallow
    if shallow.ndim == 2:
        return _converted(shallow, mosaic, said)
    return shallow


def mosaic_of(said: str) -> int | None:
    """Return how a mosaic becomes colour where a format like `bayer_rggb8; jpeg compressed` names
    one."""
    plain = said.partition(";")[0].strip().lower()
    layout = _ENCODINGS.get(_OTHER_NAMES.get(plain, plain))
    return layout.conversion if plain.startswith("bayer") and layout is not None else None


def _why_not(size: int, said: str) -> str:
    """Return why compressed data is not an image that is read here."""
    plain = said.lower()
    if "compresseddepth" in plain:
        return (
            f"compressed message of format '{said}' is a depth image; choose the topic of the "
            "colour images"
        )
    if any(codec in plain for codec in _VIDEO_CODECS):
        return f"compressed message of format '{said}' is a packet of a video, no image"
    return f"compressed image of {size} bytes is damaged, or of no known format"


def whole_image(data: bytes | memoryview) -> bytes:
    """Return a JPEG or PNG that has its end, nothing of others; decoders fill them up with grey,
    loudly.

    A JPEG that lacks nothing but the marker at its end gets it.
    """
    content = bytes(data)
    if content.startswith(b"\x89PNG"):
        return content if b"IEND" in content else b""
    if content.startswith(b"\xff\xd8") and content.find(_JPEG_END, _start_of_scan(content)) < 0:
        return content + _JPEG_END if _has_all_pixels(content) else b""
    return content


def _start_of_scan(data: bytes) -> int:
    """Return where a JPEG's own scan begins, behind headers that may hold a whole thumbnail."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # Any number of them may fill the space before a marker.
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def _has_all_pixels(data: bytes) -> bool:
    """Whether a JPEG without end holds all pixels: then what follows its data changes none of
    them."""
    try:
        return _pixels(data + _JPEG_END) == _pixels(data + _OTHER_DATA + _JPEG_END)
    except Exception:  # Pillow raises what its readers meet.
        return False


def _pixels(data: bytes) -> bytes:
    with Image.open(BytesIO(data)) as image:
        return image.tobytes()


_JPEG_END = b"\xff\xd9"
_OTHER_DATA = b"".join(
    (bytes([0xFF, 0xD0 + k]) if k >= 0 else b"") + b"\x5a\xc3\x17\x9e\x6b" * 40
    for k in range(-1, 8)
)
"""What decodes to some pixels, also where data begins anew behind restart markers."""
