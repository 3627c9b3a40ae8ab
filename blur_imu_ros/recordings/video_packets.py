"""Images that are packets of a video, message by message: H.264, H.265, VP9, AV1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.errors import RecordingError, install_hint

VIDEOS = {
    "foxglove_msgs/msg/CompressedVideo": (
        "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
    ),
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": (
        "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n"
        "uint8 flags\nbool is_bigendian\nuint8[] data\n"
    ),
}
"""Messages that hold packets, with their definitions, which bags in sqlite3 do not have."""
CODECS = {
    "264": "h264", "avc": "h264", "265": "hevc", "hevc": "hevc", "vp9": "vp9", "vp8": "vp8",
    "av1": "av1",
}  # fmt: skip
"""How FFmpeg calls the codecs that formats name: `h264`, `libx264`, `hevc_nvenc`, ..."""


def codec_of(message: Any) -> str | None:
    """Return the codec of a message that holds a packet of a video, None where it holds none."""
    is_packet = hasattr(message, "pts")
    said = str(message.encoding if is_packet else getattr(message, "format", "")).lower()
    known = (codec for part, codec in CODECS.items() if part in said)
    return next(known, said.partition(";")[0] if is_packet else None)


class PacketDecoder:
    """Decodes packets as they come; an image may come out later than its packet went in."""

    def __init__(self, codec: str, source: str) -> None:
        """Start without a past; RecordingError if PyAV is not installed, or does not know the
        codec."""
        try:
            import av
        except ImportError as error:
            raise RecordingError(
                f"{source}: its images are packets of {codec} video, which need PyAV "
                f"({install_hint('video')})"
            ) from error
        self._av = av
        try:
            self._context: Any = av.CodecContext.create(codec, "r")
        except (ValueError, av.error.FFmpegError) as error:
            raise RecordingError(f"{source}: FFmpeg knows no codec '{codec}'") from error
        self._context.thread_count = 1  # More would delay images, and change nothing else here.

    def decode(self, index: int, data: bytes) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield packet number and BGR image of what is ready once packet `index` is in."""
        packet = self._av.Packet(data)
        packet.pts = packet.dts = index
        yield from self._images(packet)

    def flush(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield what is still in the decoder."""
        yield from self._images(None)

    def _images(self, packet: Any) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        try:
            frames = self._context.decode(packet)
        except self._av.error.FFmpegError:  # Damaged, or before the first key frame.
            return
        for frame in frames:
            if frame.pts is not None and not frame.is_corrupt:
                yield int(frame.pts), frame.to_ndarray(format="bgr24")
