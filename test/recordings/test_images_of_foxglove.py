"""Images without ROS in MCAP, and images that are packets of a video."""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
import sys
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mcap.writer import Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.foxglove import decoded
from helpers.mutations import damaged, numbered

COUNT = 8
CAMERA = Camera(64, 48, 60, 61, 31.5, 23.5)
SETTINGS = FrameSettings(0.01)
IMAGES = [np.full((48, 64, 3), 20 + 25 * k, np.uint8) for k in range(COUNT)]


# --- messages -------------------------------------------------------------------------------------


def field(number: int, value: Any) -> bytes:
    """A field of protobuf: text, bytes, numbers of 64 bits, or a number of 32 bits."""
    if isinstance(value, int):
        return varint(number << 3 | 5) + struct.pack("<I", value)
    if isinstance(value, list):
        value = struct.pack(f"<{len(value)}d", *value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    rest = b""
    while value > 127:
        rest += bytes([value & 127 | 128])
        value >>= 7
    return rest + bytes([value])


def stamp(index: int) -> tuple[int, int]:
    return 10, index * 50_000_000


def protobuf(index: int, **fields: tuple[int, Any]) -> bytes:
    seconds, nanoseconds = stamp(index)
    time = varint(1 << 3) + varint(seconds) + varint(2 << 3) + varint(nanoseconds)
    return field(1, time) + b"".join(field(*pair) for pair in fields.values())


def in_json(index: int, **fields: tuple[int, Any]) -> bytes:
    seconds, nanoseconds = stamp(index)
    values = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, (_, value) in fields.items()
    }
    return json.dumps({"timestamp": {"sec": seconds, "nsec": nanoseconds}} | values).encode()


ENCODERS: dict[str, Callable[..., bytes]] = {"protobuf": protobuf, "json": in_json}
K = [60.0, 0, 31.5, 0, 61, 23.5, 0, 0, 1]


def calibration(encode: Callable[..., bytes]) -> bytes:
    return encode(
        0, width=(2, 64), height=(3, 48), distortion_model=(4, "plumb_bob"), D=(5, [0.0] * 5),
        K=(6, K), R=(7, [1.0, 0, 0, 0, 1, 0, 0, 0, 1]), P=(8, [0.0] * 12), frame_id=(9, "cam"),
    )  # fmt: skip


def image(encode: Callable[..., bytes], kind: str, index: int, packets: list[bytes]) -> bytes:
    if kind == "RawImage":
        return encode(
            index, width=(2, 64), height=(3, 48), encoding=(4, "bgr8"), step=(5, 192),
            data=(6, IMAGES[index].tobytes()), frame_id=(7, "cam"),
        )  # fmt: skip
    if kind == "CompressedImage":
        data = cv2.imencode(".png", IMAGES[index])[1].tobytes()
        return encode(index, data=(2, data), format=(3, "png"), frame_id=(4, "cam"))
    return encode(index, frame_id=(2, "cam"), data=(3, packets[index]), format=(4, "h264"))


def write_mcap(path: Path, encoding: str, kind: str, packets: list[bytes]) -> Path:
    encode = ENCODERS[encoding]
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        described = "protobuf" if encoding == "protobuf" else "jsonschema"
        channels = {
            topic: writer.register_channel(
                topic, encoding, writer.register_schema(f"foxglove.{name}", described, b"{}")
            )
            for topic, name in (("/cam/image", kind), ("/cam/camera_info", "CameraCalibration"))
        }
        writer.add_message(channels["/cam/camera_info"], 10**10, calibration(encode), 10**10)
        for index in range(COUNT):
            time = 10**10 + index * 50_000_000
            message = image(encode, kind, index, packets)
            writer.add_message(channels["/cam/image"], time, message, time)
        writer.finish()
    return path


@pytest.fixture(scope="session")
def packets() -> list[bytes]:
    """The images as H.264, a packet each."""
    return encode_video("libx264", {"tune": "zerolatency"})


def encode_video(codec: str, options: dict[str, str]) -> list[bytes]:
    av = pytest.importorskip("av", reason="pip install '.[video]'")
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base, context.options = Fraction(1, 20), options
    frames = [av.VideoFrame.from_ndarray(picture, format="bgr24") for picture in IMAGES]
    for index, frame in enumerate(frames):
        frame.pts = index
    return [bytes(packet) for frame in [*frames, None] for packet in context.encode(frame)]


@pytest.mark.parametrize("kind", ["RawImage", "CompressedImage", "CompressedVideo"])
@pytest.mark.parametrize("encoding", ENCODERS)
def test_images_of_foxglove_are_read_without_ros(
    tmp_path: Path, packets: list[bytes], encoding: str, kind: str
) -> None:
    recording = open_recording(write_mcap(tmp_path / "a.mcap", encoding, kind, packets), SETTINGS)
    frames = list(recording)
    assert len(frames) == len(recording) == COUNT and recording.notes == []
    assert frames[0].camera == CAMERA and frames[0].frame_id == "cam"
    np.testing.assert_allclose([f.t for f in frames], 10 + np.arange(COUNT) / 20)
    found = [f.image.mean() for f in frames]
    np.testing.assert_allclose(found, [x.mean() for x in IMAGES], atol=6)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_damaged_message_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    encode = ENCODERS[encoding]

    def cut(index: int, **fields: tuple[int, Any]) -> bytes:
        return encode(index, **fields)[: None if index != 5 else 60]

    monkeypatch.setitem(ENCODERS, encoding, cut)
    path = write_mcap(tmp_path / "a.mcap", encoding, "RawImage", [])
    recording = open_recording(path, FrameSettings(0.01, stamps=np.arange(float(COUNT))))
    assert [frame.t for frame in recording] == [0, 1, 2, 3, 4, 6, 7]
    assert f"1 of {COUNT} images are left out" in recording.notes[0]


def test_any_bytes_are_a_message_of_foxglove_or_refused() -> None:
    for encoding, encode in ENCODERS.items():
        for valid, kind in (
            (image(encode, "RawImage", 1, []), "RawImage"),
            (calibration(encode), "CameraCalibration"),
        ):
            for rng in numbered(0.01, 11):
                try:
                    found = decoded(damaged(rng, valid), f"foxglove_msgs/msg/{kind}", encoding)
                except ValueError:
                    continue
                assert isinstance(found.timestamp.sec, int) and isinstance(found.width, int)


# --- packets in messages of ROS -------------------------------------------------------------------

PACKET = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
DEFINITION = (
    "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\n"
    "bool is_bigendian\nuint8[] data\n"
)


def write_ros(
    path: Path,
    kind: str,
    packets: list[bytes],
    said: str = "h264",
    storage: StoragePlugin = StoragePlugin.MCAP,
) -> Path:
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(DEFINITION, PACKET))
    types = store.types
    with Writer2(path, version=9, storage_plugin=storage) as writer:
        out = writer.add_connection("/cam/image", kind, typestore=store)
        for index, packet in enumerate(packets):
            time = types["builtin_interfaces/msg/Time"](*stamp(index))
            header = types["std_msgs/msg/Header"](time, "cam")
            data = np.frombuffer(packet, np.uint8)
            fields = (64, 48, said, index, 0, False) if kind == PACKET else (said,)
            message = types[kind](header, *fields, data)
            log = 10**10 + index * 50_000_000
            writer.write(out, log, store.serialize_cdr(message, kind))
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (PACKET, "h264"), (PACKET, "libx264"), (PACKET, "h264;bgr8;yuv420p"),
        ("sensor_msgs/msg/CompressedImage", "h264"),
    ],
)  # fmt: skip
def test_packets_of_video_in_messages_of_ros_are_images(
    tmp_path: Path, packets: list[bytes], kind: str, said: str
) -> None:
    path = write_ros(tmp_path / "bag", kind, packets, said)
    recording = open_recording(path, FrameSettings(0.01, CAMERA))
    frames = list(recording)
    np.testing.assert_allclose([f.t for f in frames], 10 + np.arange(COUNT) / 20)
    np.testing.assert_allclose([f.image.mean() for f in frames], [x.mean() for x in IMAGES], atol=6)


def test_bags_without_definitions_have_packets_of_video_too(
    tmp_path: Path, packets: list[bytes]
) -> None:
    path = write_ros(tmp_path / "bag", PACKET, packets, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(path / "bag.db3")) as database, database:
        database.execute("DELETE FROM message_definitions")
    assert len(list(open_recording(path / "bag.db3", FrameSettings(0.01, CAMERA)))) == COUNT


def test_images_that_come_late_out_of_the_decoder_have_the_stamps_of_their_packets(
    tmp_path: Path,
) -> None:
    packets = encode_video("libx264", {"x264-params": "bframes=0:rc-lookahead=4"})
    path = write_ros(tmp_path / "bag", PACKET, packets)
    frames = list(open_recording(path, FrameSettings(0.01, CAMERA)))
    assert [frame.name for frame in frames] == [f"/cam/image:{k}" for k in range(COUNT)]


def test_packets_before_a_key_frame_and_damaged_ones_cost_themselves(
    tmp_path: Path, packets: list[bytes]
) -> None:
    again = [*packets[3:6], *packets[:4], b"", b"no packet", *packets[4:]]
    recording = open_recording(
        write_ros(tmp_path / "bag", PACKET, again), FrameSettings(0.01, CAMERA)
    )
    frames = list(recording)
    names = {int(frame.name.split(":")[1]) for frame in frames}
    assert {3, 4, 5, 6} <= names and not names & {7, 8}
    assert "packets of video gave no image" in recording.notes[-1]
    path = write_ros(tmp_path / "none", PACKET, packets[3:6])
    with pytest.raises(RecordingError, match="format 'h264' is video, and none of its 3"):
        list(open_recording(path, FrameSettings(0.01, CAMERA)))


def test_without_pyav_packets_of_video_name_it(
    tmp_path: Path, packets: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ros(tmp_path / "bag", PACKET, packets)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RecordingError, match=r"h264 video, which need PyAV \(.*\[video\]"):
        open_recording(path, FrameSettings(0.01, CAMERA))
