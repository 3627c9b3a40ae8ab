"""`blur-imu run` writes a bag that says what the live node says, and `evaluate` reads it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from blur_imu_ros.choices import Axes, Direction
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.recordings.bag_files import typestore
from blur_imu_ros.results.bag_writer import BagWriter
from helpers.command_line import (
    FRAME_RATE,
    RATE,
    CommandLine,
    rows_of,
    turning_images,
    write_camera,
    write_folder,
)

STORE = get_typestore(Stores.ROS2_JAZZY)
COUNT = 8
IMU, TWIST, MOTION = "/imu_visual/data_raw", "/twist", "/motion"


@pytest.fixture(scope="session")
def images() -> list[np.ndarray]:
    return turning_images(COUNT)


@pytest.fixture
def known(tmp_path: Path, images: list[np.ndarray]) -> list[object]:
    """Arguments of `run` for a folder whose fifth image is black, so that it is not valid."""
    folder = write_folder(tmp_path / "images", images)
    cv2.imwrite(str(folder / "frame_4.png"), np.zeros_like(images[0]))
    camera = write_camera(tmp_path / "camera.yaml")
    return ["run", folder, "--camera", camera, "--exposure", 0.01, "--axes", "body"]


def messages_of(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """Time of recording (ns) and message, by topic."""
    found: dict[str, list[tuple[int, Any]]] = {}
    with AnyReader([path]) as reader:
        for connection, time, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((time, message))
    return found


def raw_of(path: Path, topic: str) -> list[bytes]:
    """The messages of a topic as they lie in the bag."""
    with AnyReader([path]) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        return [bytes(raw) for _, _, raw in reader.messages(connections=chosen)]


def three(vector: Any) -> list[float]:
    return [vector.x, vector.y, vector.z]


def header(t: float, frame_id: str) -> Any:
    nanoseconds = round(t * 1e9)
    time = STORE.types["builtin_interfaces/msg/Time"](nanoseconds // 10**9, nanoseconds % 10**9)
    return STORE.types["std_msgs/msg/Header"](time, frame_id)


def write_camera_bag(path: Path, images: list[np.ndarray]) -> Path:
    """A bag of images, stamped from 10 s by a camera whose recorder's clock is 1000 s ahead."""
    types = STORE.types
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        out = writer.add_connection("/cam/image", "sensor_msgs/msg/Image", typestore=STORE)
        gyro = writer.add_connection("/gyro", "sensor_msgs/msg/Imu", typestore=STORE)
        for index, image in enumerate(images):
            t = 10 + index / FRAME_RATE
            h, w = image.shape[:2]
            message = types["sensor_msgs/msg/Image"](
                header(t, "cam_optical_frame"), h, w, "bgr8", 0, 3 * w, image.ravel()
            )
            log = round((1000 + t) * 1e9)
            writer.write(out, log, STORE.serialize_cdr(message, "sensor_msgs/msg/Image"))
            vector, zero = types["geometry_msgs/msg/Vector3"], np.zeros(9)
            imu = types["sensor_msgs/msg/Imu"](
                header(t, "cam_frame"),
                types["geometry_msgs/msg/Quaternion"](0, 0, 0, 1), zero,
                vector(RATE[2], -RATE[0], -RATE[1]), zero, vector(0, 0, 0), zero,
            )  # fmt: skip
            writer.write(gyro, log + 1, STORE.serialize_cdr(imu, "sensor_msgs/msg/Imu"))
    return path


def test_motion_has_every_frame_and_imu_and_twist_only_what_may_be_used(
    blur_imu: CommandLine, known: list[object], tmp_path: Path
) -> None:
    table, bag = tmp_path / "est.csv", tmp_path / "est.mcap"
    assert blur_imu(*known, "-o", table).status == 0
    ended = blur_imu(*known, "-o", bag)
    assert ended.status == 0 and ended.out.strip() == f"{bag}: {COUNT} rows"
    rows, found = rows_of(table), messages_of(bag)
    assert {topic: len(m) for topic, m in found.items()} == {MOTION: 8, IMU: 7, TWIST: 7}
    valid = [row for row in rows if row["valid"] == "1"]
    for row, (_, motion) in zip(rows, found[MOTION], strict=True):
        assert motion.valid == (row["valid"] == "1") and motion.model == "oracle"
        assert (len(motion.reasons) == 0) == motion.valid
        numbers = [*three(motion.angular_velocity), *three(motion.linear_velocity)]
        wanted = [float(row[k]) for k in ("wx", "wy", "wz", "vx", "vy", "vz")]
        np.testing.assert_allclose(numbers, wanted, atol=1e-6)
    for row, (time, imu), (_, twist) in zip(valid, found[IMU], found[TWIST], strict=True):
        angular = [float(row[k]) for k in ("wx", "wy", "wz")]
        np.testing.assert_allclose(three(imu.angular_velocity), angular, atol=1e-6)
        np.testing.assert_allclose(three(twist.twist.twist.angular), angular, atol=1e-6)
        assert imu.orientation_covariance[0] == imu.linear_acceleration_covariance[0] == -1
        covariance = twist.twist.covariance.reshape(6, 6)
        np.testing.assert_array_equal(covariance[3:, 3:].ravel(), imu.angular_velocity_covariance)
        assert imu.header.frame_id == twist.header.frame_id == "camera_frame"
        assert time == pytest.approx(float(row["t"]) * 1e9, abs=1)


def test_a_direction_that_is_not_sure_keeps_imu_and_twist_silent(
    blur_imu: CommandLine, known: list[object], tmp_path: Path
) -> None:
    bag = tmp_path / "est.mcap"
    blur_imu(*known, "-o", bag, "--direction", "previous")
    found = messages_of(bag)
    # The first frame has nothing before it to tell the sign, and the black one tells nothing; the
    # one after that is registered across it.
    assert len(found[MOTION]) == COUNT and len(found[IMU]) == COUNT - 2
    blur_imu(*known, "-o", bag, "--direction", "none")
    assert len(messages_of(bag)[IMU]) == COUNT - 1


def test_a_bag_is_the_same_in_every_run(
    blur_imu: CommandLine, known: list[object], tmp_path: Path
) -> None:
    first, second = tmp_path / "a" / "est.mcap", tmp_path / "b" / "est.mcap"
    blur_imu(*known, "-o", first)
    blur_imu(*known, "-o", second)
    assert first.read_bytes() == second.read_bytes()
    left = sorted(p.name for p in first.parent.iterdir())
    assert left == ["est.mcap", "est.mcap.run.json"]
    blur_imu(*known, "-o", first)
    assert first.read_bytes() == second.read_bytes()


def test_topics_of_a_bag_are_kept_on_its_clock(
    blur_imu: CommandLine, images: list[np.ndarray], tmp_path: Path
) -> None:
    source, out = write_camera_bag(tmp_path / "rec", images), tmp_path / "est.mcap"
    camera = write_camera(tmp_path / "camera.yaml")
    ended = blur_imu(
        "run", source, "-o", out, "--camera", camera, "--exposure", 0.01, "--axes", "body",
        "--keep-topic", "/gyro", "--keep-topic", "/gyro",
    )  # fmt: skip
    assert ended.status == 0
    given, found = messages_of(source), messages_of(out)
    assert [t for t, _ in found["/gyro"]] == [t for t, _ in given["/gyro"]]
    np.testing.assert_allclose(
        [t for t, _ in found[MOTION]], [t for t, _ in given["/cam/image"]], atol=1e3
    )
    first = found[MOTION][0][1].header
    assert (first.stamp.sec, first.stamp.nanosec) == (10, 0)
    assert first.frame_id == "cam_frame"


def test_topics_of_a_ros_1_bag_are_kept_as_ros_2_reads_them(
    blur_imu: CommandLine, images: list[np.ndarray], tmp_path: Path
) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    types, source, out = store.types, tmp_path / "rec.bag", tmp_path / "est.mcap"
    with Writer1(source) as writer:
        camera = writer.add_connection("/cam/image", "sensor_msgs/msg/Image", typestore=store)
        pose = writer.add_connection("/pose", "geometry_msgs/msg/PointStamped", typestore=store)
        for index, image in enumerate(images):
            stamp = types["builtin_interfaces/msg/Time"](10, index * 33_000_000)
            header = types["std_msgs/msg/Header"](7, stamp, "cam")
            shown = types["sensor_msgs/msg/Image"](
                header, *image.shape[:2], "bgr8", 0, 3 * image.shape[1], image.ravel()
            )
            point = types["geometry_msgs/msg/Point"](1.0, 2.0, float(index))
            log = 10**10 + index * 33_000_000
            writer.write(camera, log, store.serialize_ros1(shown, "sensor_msgs/msg/Image"))
            held = types["geometry_msgs/msg/PointStamped"](header, point)
            writer.write(pose, log, store.serialize_ros1(held, "geometry_msgs/msg/PointStamped"))
    ended = blur_imu(
        "run", source, "-o", out, "--camera", write_camera(tmp_path / "camera.yaml"),
        "--exposure", 0.01, "--axes", "body", "--keep-topic", "/pose",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    kept = [
        STORE.deserialize_cdr(raw, "geometry_msgs/msg/PointStamped") for raw in raw_of(out, "/pose")
    ]
    assert [message.point.z for message in kept] == list(range(COUNT))
    assert kept[1].header.stamp.nanosec == 33_000_000 and kept[1].header.frame_id == "cam"


def test_evaluate_reads_bags_as_estimate_and_as_truth(
    blur_imu: CommandLine, images: list[np.ndarray], tmp_path: Path
) -> None:
    source, out = write_camera_bag(tmp_path / "rec", images), tmp_path / "est.mcap"
    camera, figures = write_camera(tmp_path / "camera.yaml"), tmp_path / "figures.json"
    common = ("--camera", camera, "--exposure", 0.01, "--axes", "body")
    blur_imu("run", source, "-o", out, *common)
    axes = ("--axes", "body", "--truth-axes", "body", "--json", figures)
    for topic, rows in (([], COUNT), (["--topic", TWIST], COUNT), (["--topic", IMU], COUNT)):
        ended = blur_imu("evaluate", out, source, *axes, *topic)
        assert ended.status == 0, ended.err
        result = json.loads(figures.read_text())
        assert result["rows"] == rows
        np.testing.assert_allclose(result["rmse"][:3], 0, atol=0.05)
        assert result["rmse"][3] is None  # A gyroscope knows nothing of it.
        assert result["coverage"][1][0] is not None


def test_evaluate_tells_the_latency_of_what_was_recorded_live(
    blur_imu: CommandLine, images: list[np.ndarray], tmp_path: Path
) -> None:
    live, truth, figures = tmp_path / "live", tmp_path / "truth.csv", tmp_path / "figures.json"
    with Writer(live, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        gyro = writer.add_connection("/imu", "sensor_msgs/msg/Imu", typestore=STORE)
        types, zero = STORE.types, np.zeros(9)
        vector = types["geometry_msgs/msg/Vector3"]
        for index in range(20):
            t = 10 + index / FRAME_RATE
            imu = types["sensor_msgs/msg/Imu"](
                header(t, "cam"), types["geometry_msgs/msg/Quaternion"](0, 0, 0, 1), zero,
                vector(*RATE), zero, vector(0, 0, 0), zero,
            )  # fmt: skip
            late = 0.025 if index < 18 else 0.1
            raw = STORE.serialize_cdr(imu, "sensor_msgs/msg/Imu")
            writer.write(gyro, round((t + late) * 1e9), raw)
    rows = "".join(f"{9 + k},0.4,3,-1\n" for k in range(4))
    truth.write_text("t,wx,wy,wz\n" + rows)
    ended = blur_imu("evaluate", live, truth, "--json", figures)
    assert "median 25 ms, 95 % within 100 ms" in ended.out, ended.out
    assert json.loads(figures.read_text())["latency"]["median"] == pytest.approx(0.025, abs=1e-4)
    assert "latency" not in blur_imu("evaluate", truth, truth).out


def test_a_bag_without_velocities_tells_what_it_holds(
    blur_imu: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/cam/image", "sensor_msgs/msg/Image", typestore=STORE)
    refusal = blur_imu("evaluate", path, path).refusal
    assert "holds no velocities" in refusal and "/cam/image (sensor_msgs/msg/Image)" in refusal
    assert "choose" not in refusal


def test_a_topic_that_is_not_there_lists_those_that_are(
    blur_imu: CommandLine, images: list[np.ndarray], tmp_path: Path
) -> None:
    source, out = write_camera_bag(tmp_path / "rec", images), tmp_path / "est.mcap"
    camera = write_camera(tmp_path / "camera.yaml")
    run = ("run", source, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert "/cam/image, /gyro" in blur_imu(*run, "--keep-topic", "/gyros").refusal
    assert not out.exists() and not list(tmp_path.glob(".*"))
    assert "image topics are: /cam/image" in blur_imu(*run, "--topic", "/left").refusal
    table = blur_imu("run", source, "-o", tmp_path / "x.csv", *run[4:], "--keep-topic", "/gyro")
    assert "choose .mcap" in table.refusal
    blur_imu(*run)
    refusal = blur_imu("evaluate", out, source, "--topic", "/left").refusal
    assert "/imu_visual/data_raw, /motion, /twist" in refusal


def test_what_is_measured_before_an_error_is_a_whole_bag(
    blur_imu: CommandLine, known: list[object], tmp_path: Path
) -> None:
    folder, bag = Path(str(known[1])), tmp_path / "est.mcap"
    (folder / "frame_6.png").write_bytes(b"damaged")
    assert "frame_6.png" in blur_imu(*known, "-o", bag, "--strict").refusal
    assert len(messages_of(bag)[MOTION]) == 6


def test_messages_have_no_place_for_gyro_axes(
    blur_imu: CommandLine, known: list[object], tmp_path: Path
) -> None:
    ended = blur_imu(*known, "-o", tmp_path / "est.mcap", "--axes", "gyro")
    assert "use axes optical or body (--axes)" in ended.refusal


def test_a_bag_of_velocities_that_is_cut_off_gives_what_it_holds(
    blur_imu: CommandLine, known: list[object], tmp_path: Path
) -> None:
    bag, cut = tmp_path / "est.mcap", tmp_path / "cut.mcap"
    blur_imu(*known, "-o", bag)
    shutil.copy(bag, cut)
    cut.write_bytes(bag.read_bytes()[:-200])
    ended = blur_imu("evaluate", cut, bag)
    assert ended.status == 0 and "cut.mcap: is damaged after" in ended.err
    cut.write_bytes(bag.read_bytes()[:200])
    assert "cut.mcap" in blur_imu("evaluate", cut, bag).refusal


def test_a_bag_holds_the_very_messages_that_the_node_publishes(tmp_path: Path) -> None:
    serialization = pytest.importorskip("rclpy.serialization", reason="ROS 2 is not installed")
    from blur_imu_ros.ros import messages

    if messages.BlurMotion is None:
        pytest.skip("the message BlurMotion is not built: make messages")
    estimate = VelocityEstimate(
        12.345, 0.01, np.array([0.4, 3.0, -1.0]), np.array([0.1, 0.2, -0.3]),
        np.diag(np.arange(1.0, 7.0)), 9.5, 0.4, 6, 2.5, 0.95,
    )  # fmt: skip
    image = np.zeros((8, 8), np.uint8)
    frame = Frame(image, 12.345, 0.01, Camera(8, 8, 8.0, 8.0, 3.5, 3.5), "0", "cam_optical_frame")
    bag = tmp_path / "est.mcap"
    with BagWriter(bag, Axes.BODY, Direction.ADJACENT, "oracle") as writer:
        writer.write(frame, estimate)
    with AnyReader([bag]) as reader:
        kinds = {c.topic: c.msgtype for c in reader.connections}
        written = {c.topic: bytes(raw) for c, _, raw in reader.messages()}
    published = {
        IMU: messages.imu_message(estimate, "cam_frame"),
        TWIST: messages.twist_message(estimate, "cam_frame"),
        MOTION: messages.motion_message(estimate, "cam_frame", "oracle"),
    }
    store = typestore()
    for topic, message in published.items():
        kind = kinds[topic]
        # Read and written again, as the live side leaves padding as it finds it.
        live = store.deserialize_cdr(serialization.serialize_message(message), kind)
        assert bytes(store.serialize_cdr(live, kind)) == written[topic], topic


@pytest.mark.parametrize(
    ("t", "written"), [(1.6, True), (1.5, False), (1.4, False), (0.6, False), (0.4, True)]
)
def test_stamps_of_imu_increase_but_where_a_recording_begins_anew(
    tmp_path: Path, t: float, written: bool
) -> None:
    estimate = VelocityEstimate(
        1.5, 0.01, np.ones(3), np.ones(3), np.eye(6), 9.5, 0.4, 6, 2.5, 0.95
    )
    frame = Frame(np.zeros((8, 8), np.uint8), 0.0, 0.01, Camera(8, 8, 8.0, 8.0, 3.5, 3.5))
    bag = tmp_path / "est.mcap"
    with BagWriter(bag, Axes.BODY, Direction.ADJACENT, "oracle") as writer:
        writer.write(frame, estimate)
        writer.write(frame, replace(estimate, t=9.0).rejected("too dark"))
        writer.write(frame, replace(estimate, t=t))
    counts = {topic: len(found) for topic, found in messages_of(bag).items()}
    assert counts == {MOTION: 3, IMU: 1 + written, TWIST: 1 + written}
