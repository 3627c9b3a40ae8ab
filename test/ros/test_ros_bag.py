"""A bag played to the live node and the same bag read by `blur-imu run` give the same messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from rclpy.serialization import serialize_message

from blur_imu_ros.choices import DEFAULT_MODEL, Axes, Direction, MotionPrior, StampReference
from blur_imu_ros.cli.run import run
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings.bag_files import typestore
from blur_imu_ros.ros import messages
from blur_imu_ros.simulation.room_renderer import blurred_image, constant_velocity, furnished_room
from helpers.command_line import FRAME_RATE, RATE, needs_model
from helpers.ros_bench import Bench
from helpers.synthetic_fields import CAMERA

COUNT, EXPOSURE = 5, 0.02
IMAGE, INFO = "/cam/image_raw", "/cam/camera_info"
TOPICS = {"imu": "/imu_visual/data_raw", "twist": "/twist", "motion": "/motion"}
STORE = typestore()

pytestmark = [
    needs_model,
    pytest.mark.skipif(messages.BlurMotion is None, reason="BlurMotion is not built"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag as a camera driver's: calibration and image, stamped at the start of the exposure."""
    room, turn = furnished_room(), constant_velocity(RATE, np.array([0.2, 0.0, 0.1]))
    path = tmp_path_factory.mktemp("bag") / "in"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kinds = {INFO: "sensor_msgs/msg/CameraInfo", IMAGE: "sensor_msgs/msg/Image"}
        topics = {t: writer.add_connection(t, kind, typestore=STORE) for t, kind in kinds.items()}
        for index in range(COUNT):
            moment = index / FRAME_RATE
            image = blurred_image(room, CAMERA, turn, moment + EXPOSURE / 2, EXPOSURE, index)
            # A time that no float holds exactly.
            t = 1_700_000_000.123456789 + moment
            for topic, message in (
                (INFO, messages.camera_info_message(CAMERA, t, "cam_optical_frame")),
                (IMAGE, messages.image_message(image, t, "cam_optical_frame")),
            ):
                writer.write(topics[topic], round(t * 1e9), serialize_message(message))
    return path


def written(bag: Path) -> dict[str, list[bytes]]:
    """The messages of a bag, serialised, by topic."""
    found: dict[str, list[bytes]] = {}
    with AnyReader([bag], default_typestore=STORE) as reader:
        for connection, _, raw in reader.messages():
            found.setdefault(connection.topic, []).append(bytes(raw))
    return found


def serialised(message: Any, kind: str) -> bytes:
    """Written by the library of bags: ROS leaves padding as it finds it."""
    live = STORE.deserialize_cdr(serialize_message(message), kind)
    return bytes(STORE.serialize_cdr(live, kind))


def played(one: Bench, bag: Path, late: int) -> dict[str, list[bytes]]:
    """Play a bag to the node, image by image; return what it publishes, serialised, by topic."""
    one.start()
    for raw in written(bag)[INFO]:
        one.info.publish(raw)
    assert one.until(lambda: one.session._camera is not None)
    for count, raw in enumerate(written(bag)[IMAGE], start=1):
        one.image.publish(raw)
        assert one.until(lambda count=count: one.node._health._received == count)
        assert one.until(lambda: one.session._worker._newest._thing is None) and one.answered(
            count - late
        )
    assert one.until(lambda: len(one.heard["motion"]) == COUNT - late)
    one.until(lambda: len(one.heard["twist"]) == one.node._health._published)
    kinds = {
        "imu": "sensor_msgs/msg/Imu",
        "twist": "geometry_msgs/msg/TwistWithCovarianceStamped",
        "motion": "blur_imu_ros/msg/BlurMotion",
    }
    return {
        TOPICS[key]: [serialised(message, kind) for message in one.heard[key]]
        for key, kind in kinds.items()
    }


@pytest.mark.parametrize(
    ("direction", "prior", "late"),
    [("previous", MotionPrior.NONE, 0), ("adjacent", MotionPrior.PIVOT, 1)],
    ids=["on a robot", "in a hand, one frame late"],
)
def test_the_live_node_publishes_what_run_writes_to_the_bit(
    bench: Any,
    source: Path,
    tmp_path: Path,
    direction: Direction,
    prior: MotionPrior,
    late: int,
) -> None:
    out = tmp_path / "out.mcap"
    options = RunOptions(
        source=source, output=out, exposure=EXPOSURE, stamp_reference=StampReference.START, axes=Axes.BODY,
        direction=Direction(direction), motion_prior=prior, model=DEFAULT_MODEL,
    )  # fmt: skip
    run(options)
    one = bench(
        load_network, exposure_time=EXPOSURE, direction=direction, motion_prior=prior.value,
        image_reliability="reliable",
    )  # fmt: skip
    live, offline = played(one, source, late), written(out)
    assert len(offline[TOPICS["motion"]]) == COUNT
    # The live node cannot know that the last image was the last: it waits for the next one.
    assert live[TOPICS["motion"]] == offline[TOPICS["motion"]][: COUNT - late]
    for topic in (TOPICS["imu"], TOPICS["twist"]):
        assert len(live[topic]) >= COUNT - 2, "the comparison must not be of nothing"
        assert live[topic] == offline[topic][: len(live[topic])]
        assert len(offline[topic]) - len(live[topic]) <= late


def test_a_bag_gives_the_same_bytes_on_every_run(source: Path, tmp_path: Path) -> None:
    outs = [tmp_path / name / "out.mcap" for name in ("first", "second")]
    for out in outs:
        run(
            RunOptions(
                source=source, output=out, exposure=EXPOSURE, axes=Axes.BODY, keep_topics=(INFO,)
            )
        )
    first, second = (out.read_bytes() for out in outs)
    assert first == second
    assert set(written(outs[0])) == {INFO, *TOPICS.values()}
