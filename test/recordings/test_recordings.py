"""Folders, videos and bags give the same frames, or one clear line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer as McapWriter
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from blur_imu_ros.choices import StampReference
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import BlurImuError, FrameError, RecordingError
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.bag_files import BagFile
from blur_imu_ros.recordings.bags import Bag
from blur_imu_ros.recordings.camera_info import info_topics
from blur_imu_ros.recordings.facade import recordings_in
from blur_imu_ros.recordings.timestamp_files import read_timestamps

CAMERA = Camera(64, 48, 60, 60, 31.5, 23.5)
SETTINGS = FrameSettings(0.01, CAMERA)
IMAGES = [
    cv2.GaussianBlur(
        np.random.default_rng(i).integers(0, 256, (48, 64, 3), dtype=np.uint8), (0, 0), 4
    )
    for i in range(12)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for index, image in enumerate(IMAGES):
        cv2.imwrite(str(path / f"frame_{index}.png"), image)
    (path / "notes.txt").write_text("not an image")
    return path


def write_unusable(writer: Writer1 | Writer2, definition: str, kind: str = "my/msg/Status") -> None:
    """Add a topic of which nobody knows the type."""
    one = isinstance(writer, Writer1)
    told = {"md5sum": "0" * 32} if one else {"rihs01": f"RIHS01_{'0' * 64}"}
    other = writer.add_connection("/other", kind, msgdef=definition, **told)
    writer.write(other, 10**10, b"abcd")


def write_bag(
    path: Path,
    version: str,
    topics: tuple[str, ...] = ("/cam/image_raw",),
    late: frozenset[int] = frozenset(),
    repeated: frozenset[int] = frozenset(),
    focals: tuple[float, ...] = (60.0,),
    distortion: float = 0.0,
    damaged: frozenset[int] = frozenset(),
    zero: frozenset[int] = frozenset(),
    ahead: frozenset[int] = frozenset(),
    epoch: int = 10,
    unusable: str | None = None,
    chunk_size: int | None = None,
    frames: tuple[str, ...] = ("cam",),
    unusable_kind: str = "my/msg/Status",
) -> Path:
    """Write the images of each topic, raw or compressed, with a camera_info beside it.

    `late` ones have a stamp too early, `ahead` ones one too late, `zero` ones none, `repeated` ones
    that of the image before; `damaged` compressed ones are not images, and a topic that nobody
    reads has an `unusable` definition. `epoch` is the second of the stamps. Of several `focals`
    each holds from its share of the images on; that of rectified images is 10 px longer.
    """
    store = get_typestore(Stores.ROS1_NOETIC if version == "bag" else Stores.ROS2_JAZZY)
    types = store.types
    header_type, time_type = types["std_msgs/msg/Header"], types["builtin_interfaces/msg/Time"]

    def header(index: int) -> object:
        moment = index - 1 if index in repeated else index
        sec = epoch + (index in ahead) * 1000 - (index in late)
        stamp = time_type(sec=sec, nanosec=moment * 33_000_000)
        if index in zero:
            stamp = time_type(sec=0, nanosec=0)
        first = (index,) if version == "bag" else ()
        return header_type(*first, stamp=stamp, frame_id=frames[index % len(frames)])

    if version == "bag":
        writer, serialize = Writer1(path), store.serialize_ros1
        writer.chunk_threshold = chunk_size or writer.chunk_threshold
    else:
        plugin = StoragePlugin.MCAP if version == "mcap" else StoragePlugin.SQLITE3
        writer, serialize = Writer2(path, version=9, storage_plugin=plugin), store.serialize_cdr
    with writer:
        if unusable is not None:
            write_unusable(writer, unusable, unusable_kind)
        for topic in topics:
            compressed = topic.endswith("/compressed")
            image_type = f"sensor_msgs/msg/{'CompressedImage' if compressed else 'Image'}"
            info_type = "sensor_msgs/msg/CameraInfo"
            images = writer.add_connection(topic, image_type, typestore=store)
            parent = topic.removesuffix("/compressed").rsplit("/", 1)[0]
            infos = writer.add_connection(f"{parent}/camera_info", info_type, typestore=store)
            roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            for index, image in enumerate(IMAGES):
                stamp = 10**10 + index * 33_000_000
                if index % (len(IMAGES) // len(focals)) == 0:
                    f = focals[index * len(focals) // len(IMAGES)]
                    k = np.array([f, 0, 31.5, 0, f, 23.5, 0, 0, 1])
                    p = np.array([f + 10, 0, 31.5, 0, 0, f + 10, 23.5, 0, 0, 0, 1, 0])
                    info = types[info_type](
                        header(index), 48, 64, "plumb_bob", np.array([distortion, 0, 0, 0, 0]), k,
                        np.eye(3).ravel(), p, 0, 0, roi,
                    )  # fmt: skip
                    writer.write(infos, stamp, serialize(info, info_type))
                if compressed:
                    data = cv2.imencode(".png", image)[1]
                    if index in damaged:
                        data = data[: 100 * (index % 2)]
                    message = types[image_type](header(index), "png", data)
                else:
                    message = types[image_type](
                        header(index), 48, 64, "bgr8", 0, 64 * 3, image.ravel()
                    )
                writer.write(images, stamp, serialize(message, image_type))
    return path


def test_a_folder_is_read_in_natural_order(folder: Path) -> None:
    recording = open_recording(folder, SETTINGS)
    frames = list(recording)
    assert len(recording) == len(frames) == 12
    assert [f.name for f in frames] == [f"frame_{i}.png" for i in range(12)]
    for frame, image in zip(frames, IMAGES, strict=True):
        np.testing.assert_array_equal(frame.image, image)


def test_one_image_is_a_recording(folder: Path) -> None:
    frames = list(open_recording(folder / "frame_3.png", SETTINGS))
    assert len(frames) == 1 and frames[0].exposure_time == 0.01


def test_stamps_of_a_csv_are_used(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "stamps.csv"
    path.write_text("frame,t\n" + "\n".join(f"{i},{5 + i * 0.04:.3f}" for i in range(12)))
    settings = FrameSettings(0.01, CAMERA, read_timestamps(path).times)
    np.testing.assert_allclose(
        [f.t for f in open_recording(folder, settings)], 5 + np.arange(12) * 0.04
    )


@pytest.mark.parametrize(("reference", "shift"), [("start", 0.005), ("middle", 0), ("end", -0.005)])
def test_stamps_mean_what_they_are_said_to_mean(folder: Path, reference: str, shift: float) -> None:
    settings = FrameSettings(0.01, CAMERA, stamp_reference=StampReference(reference))
    first = next(iter(open_recording(folder, settings)))
    assert first.t == pytest.approx(shift)


def test_a_video_is_read_with_its_stamps(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.avi")
    frames = list(open_recording(path, SETTINGS))
    assert len(frames) == 12
    np.testing.assert_allclose(np.diff([f.t for f in frames]), 1 / 20, atol=1e-3)
    assert np.abs(frames[5].image.astype(int) - IMAGES[5]).mean() < 6


@pytest.mark.parametrize("version", ["bag", "sqlite3", "mcap"])
def test_bags_give_images_stamps_and_camera(tmp_path: Path, version: str) -> None:
    path = write_bag(tmp_path / ("one.bag" if version == "bag" else version), version)
    recording = open_recording(path, FrameSettings(0.01))
    frames = list(recording)
    assert len(recording) == len(frames) == 12
    np.testing.assert_allclose([f.t for f in frames], 10 + np.arange(12) * 0.033, atol=1e-9)
    np.testing.assert_array_equal(frames[7].image, IMAGES[7])
    assert frames[0].camera == CAMERA


def test_the_ending_of_a_bag_may_be_in_capital_letters(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "one.bag", "bag").rename(tmp_path / "ONE.BAG")
    assert len(list(open_recording(path, FrameSettings(0.01)))) == 12
    path = path.rename(tmp_path / "one.bag.active")
    assert len(list(open_recording(path, FrameSettings(0.01)))) == 12
    path = storage_of(write_bag(tmp_path / "rec", "mcap")).rename(tmp_path / "REC.MCAP")
    assert len(list(open_recording(path, FrameSettings(0.01)))) == 12


def test_the_storage_file_of_a_bag_is_the_bag(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "rec", "mcap")
    storage = next(path.glob("*.mcap"))
    assert len(list(open_recording(storage, FrameSettings(0.01)))) == 12


def test_a_bag_with_two_cameras_asks_which(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "two", "sqlite3", ("/left/image", "/right/image"))
    with pytest.raises(RecordingError, match="/left/image, /right/image.*choose one"):
        open_recording(path, FrameSettings(0.01))
    chosen = open_recording(path, FrameSettings(0.01, topic="/right/image"))
    assert next(iter(chosen)).name == "/right/image:0"
    with pytest.raises(RecordingError, match="no image topic '/up'.*/left/image"):
        open_recording(path, FrameSettings(0.01, topic="/up"))


def test_compressed_images_of_two_cameras_have_each_its_own_calibration(tmp_path: Path) -> None:
    topics = ("/left/image_raw/compressed", "/right/image_raw/compressed")
    path = write_bag(tmp_path / "two", "mcap", topics)
    frames = list(open_recording(path, FrameSettings(0.01, topic=topics[1])))
    assert len(frames) == 12 and frames[0].camera == CAMERA
    np.testing.assert_array_equal(frames[7].image, IMAGES[7])


def test_the_calibration_in_a_bag_of_the_viewer_of_realsense_is_found(tmp_path: Path) -> None:
    color, depth = ("/device_0/sensor_1/Color_0", "/device_0/sensor_0/Depth_0")
    source = write_bag(tmp_path / "a", "mcap", (f"{color}/image/data", f"{depth}/image/data"))
    renamed = copied(
        storage_of(source),
        tmp_path / "viewer.mcap",
        rename=lambda topic: topic.replace("/image/camera_info", "/info/camera_info"),
    )
    recording = open_recording(renamed, FrameSettings(0.01, topic=f"{color}/image/data"))
    assert next(iter(recording)).camera == CAMERA


def test_several_calibrations_of_which_none_is_beside_the_images_are_listed(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag", "mcap", ("/a/image", "/b/image", "/c/d/image/compressed"))
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer2(tmp_path / "far", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        with AnyReader([path]) as reader:
            for old in reader.connections:
                far = old.topic == "/c/d/camera_info"
                if not far:
                    new = writer.add_connection(old.topic, old.msgtype, typestore=store)
                    for _, time, raw in reader.messages(connections=[old]):
                        writer.write(new, time, raw)
    with pytest.raises(
        RecordingError, match="/a/camera_info, /b/camera_info.*calibration as a file"
    ):
        open_recording(tmp_path / "far", FrameSettings(0.01, topic="/c/d/image/compressed"))


def test_a_calibration_that_changes_holds_from_then_on(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "zoom", "mcap", focals=(60.0, 90.0, 75.0))
    recording = open_recording(path, FrameSettings(0.01))
    for _ in range(2):
        focals = [frame.camera.fx for frame in recording]
        assert focals == [60.0] * 4 + [90.0] * 4 + [75.0] * 4


@pytest.mark.parametrize("topic", ["/cam/image_rect", "/cam/image_rect_color/compressed"])
def test_images_named_rectified_have_the_calibration_p_and_say_so(
    tmp_path: Path, topic: str
) -> None:
    path = write_bag(tmp_path / "rect", "mcap", (topic,), distortion=-0.3)
    recording = open_recording(path, FrameSettings(0.01))
    camera = next(iter(recording)).camera
    assert camera.fx == 70 and not camera.is_distorted
    assert "rectified" in recording.notes[0] and topic in recording.notes[0]
    raw = open_recording(write_bag(tmp_path / "raw", "mcap", distortion=-0.3), FrameSettings(0.01))
    assert next(iter(raw)).camera.is_distorted and raw.notes == []


def test_a_lens_that_is_given_for_rectified_images_is_doubted(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "rect", "mcap", ("/cam/image_rect",))
    given = Camera(64, 48, 60, 60, 31.5, 23.5, "plumb_bob", (-0.3, 0.1, 0, 0, 0))
    notes = open_recording(path, FrameSettings(0.01, given)).notes
    assert len(notes) == 1 and "/cam/image_rect are rectified" in notes[0] and "P" in notes[0]
    without = open_recording(path, FrameSettings(0.01, replace(given, distortion=())))
    assert without.notes == []


def test_two_cameras_on_one_topic_are_told(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "two", "mcap", frames=("left", "right"))
    recording = open_recording(path, FrameSettings(0.01))
    for _ in range(2):
        assert len(list(recording)) == len(IMAGES)
    assert "come from the frames left, right: are there several cameras" in recording.notes[-1]
    one = open_recording(write_bag(tmp_path / "one", "mcap"), FrameSettings(0.01))
    assert len(list(one)) == len(IMAGES) and one.notes == []


def test_exposure_times_that_a_driver_recorded_are_told_of(tmp_path: Path) -> None:
    kind = "realsense2_camera_msgs/msg/Metadata"
    path = write_bag(tmp_path / "bag", "mcap", unusable="string json_data", unusable_kind=kind)
    notes = open_recording(path, FrameSettings(0.01)).notes
    assert len(notes) == 1 and "that the driver recorded (/other) are not used" in notes[0]


def test_a_bag_without_images_tells_what_it_holds(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer2(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
    with pytest.raises(RecordingError, match=r"holds no images.*/chatter \(std_msgs/msg/String\)"):
        open_recording(tmp_path / "bag", FrameSettings(0.01))


def storage_of(path: Path) -> Path:
    """The file in which a bag keeps its messages."""
    return path if path.is_file() else next(p for p in path.iterdir() if p.suffix != ".yaml")


@pytest.mark.parametrize("version", ["bag", "sqlite3", "mcap"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_bag_is_named_and_what_it_holds_is_kept(
    tmp_path: Path, version: str, share: float
) -> None:
    path = write_bag(tmp_path / ("one.bag" if version == "bag" else version), version)
    file = storage_of(path)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    count = 0
    with pytest.raises(BlurImuError, match=str(path)):
        for _ in open_recording(path, FrameSettings(0.01, CAMERA, strict=True)):
            count += 1
    assert count <= 12


def copied(
    path: Path,
    new: Path,
    chunk_size: int = 1000,
    definition: bytes | None = None,
    rename: Callable[[str], str] = str,
    profile: str = "ros2",
    others: Sequence[tuple[str, str, bytes, str]] = (),
) -> Path:
    """The messages of an MCAP in chunks of another size (0: none), with another `definition` of
    each type, topics renamed.

    Of the `others` each is a channel of one message: name and encoding of the schema, message, its
    encoding.
    """
    with path.open("rb") as old, new.open("wb") as file:
        writer = McapWriter(file, chunk_size=chunk_size, use_chunking=chunk_size > 0)
        writer.start(profile=profile)
        for name, kind, data, encoding in others:
            schema = writer.register_schema(name, kind, b"?") if kind else 0
            other = writer.register_channel(f"/other/{encoding}", encoding, schema)
            writer.add_message(other, 0, data, 0)
        known: dict[int, int] = {}
        for schema, one, message in make_reader(old).iter_messages():
            if one.id not in known:
                text = schema.data if definition is None else definition
                number = writer.register_schema(schema.name, schema.encoding, text)
                topic = rename(one.topic)
                known[one.id] = writer.register_channel(topic, one.message_encoding, number)
            writer.add_message(known[one.id], message.log_time, message.data, message.publish_time)
        writer.finish()
    return new


@pytest.mark.parametrize("chunk_size", [0, 1, 20_000])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.97])
def test_an_mcap_that_is_cut_off_gives_what_it_holds(
    tmp_path: Path, chunk_size: int, share: float
) -> None:
    path = copied(storage_of(write_bag(tmp_path / "a", "mcap")), tmp_path / "b.mcap", chunk_size)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    recording = open_recording(path, FrameSettings(0.01))
    frames = list(recording)
    assert 2 <= len(frames) <= 12
    for index, frame in enumerate(frames):
        assert frame.t == pytest.approx(10 + index * 0.033)
        np.testing.assert_array_equal(frame.image, IMAGES[index])
    assert "is damaged after" in recording.notes[-1] and "cut off" in recording.notes[-1]


def test_a_rosbag1_that_is_cut_off_gives_what_it_holds(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "one.bag", "bag", chunk_size=20_000)
    whole = path.read_bytes()
    for size in (len(whole) * 2 // 3, len(whole) - 100):
        path.write_bytes(whole[:size])
        recording = open_recording(path, FrameSettings(0.01))
        frames = list(recording)
        assert 4 <= len(frames) <= 12
        for index, frame in enumerate(frames):
            np.testing.assert_array_equal(frame.image, IMAGES[index])
        assert "is damaged after" in recording.notes[-1]


def test_a_damaged_chunk_of_a_rosbag1_costs_itself_alone(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "one.bag", "bag", chunk_size=20_000)
    content = bytearray(path.read_bytes())
    place = content.index(b"op=\x02", len(content) // 2)  # The head of a message.
    content[place : place + 3] = b"???"
    path.write_bytes(content)
    recording = open_recording(path, FrameSettings(0.01))
    frames = list(recording)
    assert 8 <= len(frames) < 12
    assert frames[0].t == 10 and frames[-1].t == pytest.approx(10 + 11 * 0.033)
    assert "is damaged after" in recording.notes[-1]
    with pytest.raises(RecordingError, match="chunk"):  # Which image has which stamp is not known.
        list(open_recording(path, FrameSettings(0.01, stamps=np.arange(12.0))))


def test_stamps_that_are_given_fit_what_a_bag_holds_before_it_is_cut_off(tmp_path: Path) -> None:
    folder = tmp_path / "a chunk cannot be read"
    folder.mkdir()
    path = copied(storage_of(write_bag(tmp_path / "a", "mcap")), folder / "b.mcap", 20_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    recording = open_recording(path, FrameSettings(0.01, stamps=np.arange(12.0)))
    times = [frame.t for frame in recording]
    assert 2 <= len(times) < 12 and times == list(map(float, range(len(times))))
    assert "RecordingError" not in recording.notes[-1]


def test_stamps_that_are_given_do_not_fit_a_bag_whose_first_file_is_cut_off(
    tmp_path: Path,
) -> None:
    bag = write_bag(tmp_path / "a", "mcap")
    whole = storage_of(bag)
    halves = [bag / f"half_{k}.mcap" for k in (0, 1)]
    for half in halves:
        copied(whole, half, 20_000)
    halves[0].write_bytes(halves[0].read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()
    metadata = bag / "metadata.yaml"
    metadata.write_text(
        metadata.read_text().replace(f"- {whole.name}", "- half_0.mcap\n  - half_1.mcap", 1)
    )
    with pytest.raises(RecordingError, match="is damaged after"):
        list(open_recording(bag, FrameSettings(0.01, stamps=np.arange(24.0))))


def test_a_damaged_chunk_of_an_mcap_costs_itself_alone(tmp_path: Path) -> None:
    path = copied(storage_of(write_bag(tmp_path / "a", "mcap")), tmp_path / "b.mcap", 20_000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 100] = bytes(100)
    path.write_bytes(content)
    recording = open_recording(path, FrameSettings(0.01))
    frames = list(recording)
    assert 6 <= len(frames) < 12 and frames[-1].name.endswith(str(len(frames) - 1))
    assert frames[0].t == 10 and frames[-1].t == pytest.approx(10 + 11 * 0.033)
    assert "chunk" in recording.notes[-1]
    with pytest.raises(RecordingError, match="chunk"):  # Which image has which stamp is not known.
        list(open_recording(path, FrameSettings(0.01, stamps=np.arange(12.0))))


@pytest.mark.parametrize("profile", ["", "ros2", "ros1", "mine"])
def test_an_mcap_of_any_profile_gives_its_topics_of_ros(tmp_path: Path, profile: str) -> None:
    others = [
        ("mine.Status", "protobuf", b"\x08\x01", "protobuf"),
        ("mine", "jsonschema", b"{}", "json"),
        ("mine/Status", "ros1msg", b"", "ros1"),
        ("", "", b"abc", "raw"),
    ]
    source = storage_of(write_bag(tmp_path / "a", "mcap"))
    path = copied(source, tmp_path / "b.mcap", profile=profile, others=others)
    recording = open_recording(path, FrameSettings(0.01))
    assert len(list(recording)) == 12 == len(recording)


def test_images_of_ros_1_in_an_mcap_are_read(tmp_path: Path) -> None:
    """As `mcap convert one.bag` writes them."""
    path = tmp_path / "one.mcap"
    with BagFile(write_bag(tmp_path / "one.bag", "bag")) as bag, path.open("wb") as file:
        writer = McapWriter(file)
        writer.start(profile="ros1")
        channels = {}
        for connection in bag.connections:
            name, text = connection.msgtype.replace("/msg/", "/"), connection.msgdef.data.encode()
            schema = writer.register_schema(name, "ros1msg", text)
            channels[connection.topic] = writer.register_channel(connection.topic, "ros1", schema)
        for connection, time, raw in bag.messages(bag.connections):
            writer.add_message(channels[connection.topic], time, bytes(raw), time)
        writer.finish()
    frames = list(open_recording(path, FrameSettings(0.01)))
    assert len(frames) == 12 and frames[0].camera == CAMERA
    np.testing.assert_array_equal(frames[7].image, IMAGES[7])


@pytest.mark.parametrize("version", ["bag", "sqlite3", "mcap"])
@pytest.mark.parametrize("definition", ["", "not a definition", "other/Type x", "int32 int32 ="])
def test_the_definition_of_another_topic_does_not_matter(
    tmp_path: Path, version: str, definition: str
) -> None:
    path = tmp_path / ("one.bag" if version == "bag" else version)
    write_bag(path, version, unusable=definition)
    assert len(list(open_recording(path, FrameSettings(0.01)))) == 12


def test_a_definition_of_images_that_cannot_be_used_is_that_of_ros(tmp_path: Path) -> None:
    source = storage_of(write_bag(tmp_path / "a", "mcap"))
    path = copied(source, tmp_path / "b.mcap", definition=b"not a definition")
    assert len(list(open_recording(path, FrameSettings(0.01)))) == 12


@pytest.mark.parametrize("version", ["sqlite3", "mcap"])
def test_files_of_a_recorder_that_could_not_write_its_metadata_are_one_bag(
    tmp_path: Path, version: str
) -> None:
    (tmp_path / "rec").mkdir()
    for index, part in enumerate(("first", "second")):
        file = storage_of(write_bag(tmp_path / part, version, epoch=10 + index))
        file.rename(tmp_path / "rec" / f"rec_{index}{file.suffix}")
    recording = open_recording(tmp_path / "rec", FrameSettings(0.01))
    assert len(recording) == len(list(recording)) == 24
    assert recordings_in(tmp_path / "rec") == [tmp_path / "rec"]


def test_what_is_left_of_a_recorder_that_was_killed_is_told(tmp_path: Path) -> None:
    file = storage_of(write_bag(tmp_path / "rec", "sqlite3"))
    file.with_name(f"{file.name}-wal").write_bytes(b"messages")
    recording = open_recording(file, FrameSettings(0.01))
    assert len(list(recording)) == 12 and "rec.db3-wal are not read" in recording.notes[0]
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(RecordingError, match="malformed; .*recover"):
        open_recording(file, FrameSettings(0.01))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_a_bag_in_sqlite_that_is_cut_off_gives_what_it_holds(tmp_path: Path, share: float) -> None:
    file = storage_of(write_bag(tmp_path / "rec", "sqlite3"))
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    recording = open_recording(file, FrameSettings(0.01))
    frames = list(recording)
    assert 12 * share - 4 < len(frames) < 12
    for index, frame in enumerate(frames):
        assert frame.t == pytest.approx(10 + index * 0.033)
        np.testing.assert_array_equal(frame.image, IMAGES[index])
    assert "is damaged after" in recording.notes[-1] and "cut off" in recording.notes[-1]


@pytest.mark.parametrize("version", ["sqlite3", "mcap"])
@pytest.mark.parametrize("what", ["renamed", "no storage", "no metadata", "not YAML"])
def test_metadata_beside_a_bag_file_does_not_matter(
    tmp_path: Path, version: str, what: str
) -> None:
    path = write_bag(tmp_path / "rec", version)
    metadata, file = path / "metadata.yaml", storage_of(path)
    if what == "renamed":
        file = file.rename(path / f"new{file.suffix}")
    elif what == "no storage":
        text = metadata.read_text()
        metadata.write_text(re.sub("storage_identifier: .*", 'storage_identifier: ""', text))
    elif what == "not YAML":
        metadata.write_text("[")
    else:
        metadata.unlink()
    assert len(list(open_recording(file, FrameSettings(0.01)))) == 12
    if what != "no metadata":
        recording = open_recording(path, FrameSettings(0.01))
        assert len(list(recording)) == 12
        assert ("which is missing" in "".join(recording.notes)) == (what == "renamed")


@pytest.mark.parametrize("name", ["x.bag", "x.mcap", "x.db3"])
def test_what_is_no_bag_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("not a bag")
    with pytest.raises(RecordingError, match=name):
        open_recording(path, SETTINGS)


STRICT = replace(SETTINGS, strict=True)


@pytest.mark.parametrize("content", [b"damaged", b"", "cut"])
def test_a_damaged_image_costs_itself_alone_and_is_told(folder: Path, content: bytes | str) -> None:
    path = folder / "frame_4.png"
    path.write_bytes(path.read_bytes()[:200] if isinstance(content, str) else content)
    recording = open_recording(folder, SETTINGS)
    frames = list(recording)
    assert [f.name for f in frames] == [f"frame_{k}.png" for k in range(12) if k != 4]
    np.testing.assert_allclose([f.t * 30 for f in frames], [k for k in range(12) if k != 4])
    assert "1 of 12 images are left out" in recording.notes[-1]
    assert "frame_4.png" in recording.notes[-1] and "damaged" in recording.notes[-1]


def test_a_damaged_image_stops_a_strict_run_after_the_ones_before_it(folder: Path) -> None:
    (folder / "frame_4.png").write_bytes(b"damaged")
    names = []
    with pytest.raises(RecordingError, match=r"frame_4\.png"):
        for frame in open_recording(folder, STRICT):
            names.append(frame.name)
    assert len(names) == 4


def test_a_pipe_among_the_images_is_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "frame_5.jpg")
    frames = list(open_recording(folder, FrameSettings(0.01, CAMERA)))
    assert len(frames) == len(IMAGES)


@pytest.mark.parametrize("name", ["pipe.jpg", "pipe.mp4", "pipe.bag", "pipe"])
def test_a_pipe_is_no_recording(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(RecordingError, match=f"{name}: is a pipe or a device"):
        open_recording(tmp_path / name, FrameSettings(0.01, CAMERA))


def test_many_images_in_one_file_are_told_of(tmp_path: Path) -> None:
    stack = tmp_path / "stack.tif"
    cv2.imwritemulti(str(stack), IMAGES)
    with pytest.raises(RecordingError, match=rf"stack\.tif: holds {len(IMAGES)} images; write"):
        open_recording(stack, FrameSettings(0.01, CAMERA))
    recording = open_recording(tmp_path, FrameSettings(0.01, CAMERA))
    assert len(list(recording)) == 1 and "only the first is measured" in recording.notes[0]
    cv2.imwrite(str(stack), IMAGES[0])
    assert open_recording(stack, FrameSettings(0.01, CAMERA)).notes == []
    stack.write_bytes(b"damaged")
    assert open_recording(stack, FrameSettings(0.01, CAMERA)).notes == []


def test_images_in_folders_below_are_told_of(folder: Path) -> None:
    for name in ("second", "depth", ".hidden", "empty"):
        (folder / name).mkdir()
        if name != "empty":
            (folder / name / "0.png").write_bytes((folder / "frame_0.png").read_bytes())
    told = [note for note in open_recording(folder, FrameSettings(0.01, CAMERA)).notes]
    assert any("folders below it (second)" in note for note in told)


def test_the_first_images_may_be_damaged_but_not_all(folder: Path) -> None:
    for index in range(3):
        (folder / f"frame_{index}.png").write_bytes(b"")
    assert len(list(open_recording(folder, SETTINGS))) == 9
    for index in range(12):
        (folder / f"frame_{index}.png").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"frame_0\.png.*damaged"):
        list(open_recording(folder, SETTINGS))


def test_an_image_of_another_size_costs_itself_alone(folder: Path) -> None:
    cv2.imwrite(str(folder / "frame_7.png"), np.zeros((24, 32, 3), np.uint8))
    recording = open_recording(folder, SETTINGS)
    assert len(list(recording)) == 11
    assert "frame_7.png" in recording.notes[-1] and "32x24" in recording.notes[-1]


@pytest.mark.parametrize("version", ["bag", "sqlite3", "mcap"])
def test_a_damaged_image_of_a_bag_costs_itself_alone(tmp_path: Path, version: str) -> None:
    path = write_bag(
        tmp_path / ("one.bag" if version == "bag" else version),
        version,
        ("/cam/image/compressed",),
        damaged=frozenset({0, 5, 6}),
    )
    recording = open_recording(path, FrameSettings(0.01))
    names = [frame.name.split(":")[1] for frame in recording]
    assert names == [str(k) for k in range(12) if k not in (0, 5, 6)]
    assert "3 of 12 images are left out" in recording.notes[0]
    assert "/cam/image/compressed:0" in recording.notes[0]
    with pytest.raises(RecordingError, match="/cam/image/compressed:0.*damaged"):
        list(open_recording(path, FrameSettings(0.01, strict=True)))


def test_a_damaged_frame_of_a_video_costs_itself_alone(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.avi")
    content = path.read_bytes()
    chunks = content.split(b"00dc")
    chunks[6] = chunks[6][:4] + bytes(len(chunks[6]) - 4)
    path.write_bytes(b"00dc".join(chunks))
    for stamps, step in ((None, 1 / 20), (np.arange(12.0), 1.0)):
        recording = open_recording(path, replace(SETTINGS, stamps=stamps))
        frames = list(recording)
        assert len(frames) == 11 and "1 of 12 frames are damaged" in recording.notes[-1]
        lost = ({*range(12)} - {round(f.t / step) for f in frames}).pop()
        assert 3 <= lost <= 6
        for frame in frames:
            wanted = IMAGES[round(frame.t / step)]
            assert np.abs(frame.image.astype(int) - wanted).mean() < 6
    with pytest.raises(RecordingError, match="1 of 12 frames are damaged"):
        list(open_recording(path, STRICT))


def write_video(path: Path) -> Path:
    """The images as MJPEG, 20 of them a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for image in IMAGES:
        writer.write(image)
    writer.release()
    return path


def test_a_part_of_a_longer_video_is_not_taken_for_cut_off(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="pip install .[video]")
    path = tmp_path / "part_7.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for k, image in enumerate(IMAGES):
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts = 3000 + k
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    recording = open_recording(path, FrameSettings(0.01, CAMERA, strict=True))
    assert len(recording) == len(list(recording)) == len(IMAGES) and recording.notes == []


@pytest.mark.parametrize(("same", "told"), [(9, True), (3, False)])
@pytest.mark.parametrize("level", [0, 90])
def test_a_video_of_which_nothing_is_decoded_is_told(
    tmp_path: Path, level: int, same: int, told: bool
) -> None:
    path = tmp_path / "interlaced.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for k, image in enumerate(IMAGES):
        writer.write(np.full_like(image, level) if k < same else image)
    writer.release()
    recording = open_recording(path, FrameSettings(0.01, CAMERA))
    assert len(list(recording)) == len(IMAGES)
    assert any("is the video interlaced?" in note for note in recording.notes) is told


def test_stamps_that_are_all_zero_are_none(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag", "mcap", zero=frozenset(range(12)))
    recording = open_recording(path, FrameSettings(0.01))
    np.testing.assert_allclose([f.t for f in recording], 10 + np.arange(12) * 0.033, atol=1e-9)
    assert "not stamped: the time of their recording" in recording.notes[0]


@pytest.mark.parametrize("zero", [{0}, {5}])
def test_a_stamp_of_zero_among_others_costs_its_image_alone(tmp_path: Path, zero: set[int]) -> None:
    path = write_bag(tmp_path / "bag", "mcap", zero=frozenset(zero), epoch=1_700_000_000)
    recording = open_recording(path, FrameSettings(0.01))
    names = [frame.name.split(":")[1] for frame in recording]
    assert names == [str(k) for k in range(12) if k not in zero]
    assert (
        "1 of 12 images are left out" in recording.notes[0]
        and "its time is 0" in recording.notes[0]
    )


def test_a_stamp_far_ahead_costs_its_image_alone(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag", "mcap", ahead=frozenset({4}))
    recording = open_recording(path, FrameSettings(0.01))
    names = [frame.name.split(":")[1] for frame in recording]
    assert names == [str(k) for k in range(12) if k != 4]
    assert "/cam/image_raw:4" in recording.notes[0]


def test_missing_empty_and_unknown_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        open_recording(tmp_path / "none", SETTINGS)
    with pytest.raises(RecordingError, match="holds no images"):
        open_recording(tmp_path, SETTINGS)
    (tmp_path / "x.docx").write_text("")
    with pytest.raises(RecordingError, match="is not a known kind of recording"):
        open_recording(tmp_path / "x.docx", SETTINGS)
    (tmp_path / "x.mp4").write_text("not a video")
    with pytest.raises(RecordingError, match=r"x\.mp4"):
        list(open_recording(tmp_path / "x.mp4", SETTINGS))


@pytest.mark.parametrize(
    "cure", ["the camera is not known", "fx, fy, cx, cy", "field of view", "EXIF", "docs/FAQ.md"]
)
def test_a_folder_needs_a_camera_and_the_ways_to_one_are_told(folder: Path, cure: str) -> None:
    with pytest.raises(RecordingError, match=cure):
        open_recording(folder, FrameSettings(0.01))


def test_a_camera_of_another_size_is_refused(folder: Path) -> None:
    other = Camera(640, 480, 600, 600, 320, 240)
    with pytest.raises(RecordingError, match=r"64x48.*640x480"):
        list(open_recording(folder, FrameSettings(0.01, other)))


@pytest.mark.parametrize("exposure", [0.0, -0.01, float("nan"), 10.0])
def test_impossible_exposure_times_are_refused(folder: Path, exposure: float) -> None:
    with pytest.raises(FrameError, match="exposure"):
        open_recording(folder, FrameSettings(exposure, CAMERA))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "column t"),
        ("t\n1\n0\n", "does not increase at row 1"),
        ("t\n0\nx\n", "not a number"),
        ("", "column t"),
    ],
)
def test_bad_stamps_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "stamps.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=said):
        read_timestamps(path)


def test_too_few_stamps_are_named(folder: Path) -> None:
    with pytest.raises(RecordingError, match="more than 3 frames"):
        list(open_recording(folder, FrameSettings(0.01, CAMERA, np.arange(3.0))))


@pytest.mark.parametrize("kind", ["folder", "bag", "video"])
def test_more_stamps_than_images_are_told(folder: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "v.avi"
    if kind == "folder":
        path = folder
    elif kind == "bag":
        path = write_bag(tmp_path / "bag", "mcap")
    else:
        write_video(path)
    for count, told in (
        (15, ["the last 3 of 15 stamps are not used: there are 12 images"]),
        (12, []),
    ):
        recording = open_recording(path, FrameSettings(0.01, CAMERA, np.arange(float(count))))
        assert len(list(recording)) == 12
        assert [note.split(";")[0] for note in recording.notes] == told


def test_a_stray_image_whose_stamp_goes_back_is_left_out_and_told(tmp_path: Path) -> None:
    bag = Bag(write_bag(tmp_path / "bag", "mcap", late=frozenset({3, 7})), SETTINGS)
    frames = list(bag)
    assert [f.name.split(":")[1] for f in frames] == [str(k) for k in range(12) if k not in (3, 7)]
    assert np.all(np.diff([f.t for f in frames]) > 0)
    assert "2 of 12 images are left out (/cam/image_raw:3, ...)" in bag.notes[0]
    assert not Bag(write_bag(tmp_path / "good", "mcap"), SETTINGS).notes


def test_a_clock_that_stays_behind_is_refused(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag", "mcap", late=frozenset(range(5, 12)))
    with pytest.raises(RecordingError, match="/cam/image_raw:11.*give timestamps"):
        list(Bag(path, SETTINGS))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"camera": "camera.yaml"}, "camera is of type str; give a Camera"),
        ({"stamp_reference": "begin"}, "stamp_reference is 'begin'; use start, middle, end"),
        ({"stamps": "stamps.csv"}, "stamps are of type str; give an array of seconds"),
        ({"stamps": np.zeros((12, 1))}, r"stamps have the shape \(12, 1\)"),
    ],
)
def test_settings_of_another_kind_are_refused_in_words(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BlurImuError, match=said):
        FrameSettings(0.01, **values)


def test_settings_take_lists_and_words(folder: Path) -> None:
    stamps = [1 + k / 30 for k in range(len(IMAGES))]
    settings = FrameSettings(0.01, CAMERA, stamps, "start")  # type: ignore[arg-type]
    assert next(iter(open_recording(folder, settings))).t == pytest.approx(1.005)


@pytest.mark.parametrize(
    ("images", "place"),
    [
        ("/cam/image_raw", "/cam/camera_info"), ("/cam/image_raw/compressed", "/cam/camera_info"),
        ("image", "camera_info"),
    ],
)  # fmt: skip
def test_the_calibration_of_images_is_looked_for_beside_them(images: str, place: str) -> None:
    assert info_topics(images)[0] == place
