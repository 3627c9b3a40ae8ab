"""Ground truth in bags: velocities as they are, poses and transforms as their differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.velocities import read_velocities

STORE = get_typestore(Stores.ROS2_JAZZY)
T = 1.7e9 + np.arange(40) / 50
RATE, SPEED = 0.5, 2.0
"""rad/s about z, m/s along the body's x."""


def make(name: str, **values: Any) -> Any:
    return STORE.types[name](**values)


def header(t: float, frame: str = "world") -> Any:
    nanoseconds = round((t - 1.7e9) * 1e9)
    stamp = make("builtin_interfaces/msg/Time", sec=1_700_000_000, nanosec=nanoseconds)
    return make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def vector(x: float, y: float, z: float) -> Any:
    return make("geometry_msgs/msg/Vector3", x=float(x), y=float(y), z=float(z))


def twist(moving: bool = True) -> Any:
    linear, angular = vector(SPEED * moving, 0, 0), vector(0, 0, RATE * moving)
    return make("geometry_msgs/msg/Twist", linear=linear, angular=angular)


def place(t: float) -> tuple[np.ndarray, np.ndarray]:
    """Position and quaternion on the circle that the body drives on."""
    angle, radius = RATE * (t - T[0]), SPEED / RATE
    position = radius * np.array([np.sin(angle), 1 - np.cos(angle), 0])
    return position, Rotation.from_rotvec([0, 0, angle]).as_quat()


def pose(t: float) -> Any:
    p, q = place(t)
    point = make("geometry_msgs/msg/Point", x=p[0], y=p[1], z=p[2])
    turned = make("geometry_msgs/msg/Quaternion", x=q[0], y=q[1], z=q[2], w=q[3])
    return make("geometry_msgs/msg/Pose", position=point, orientation=turned)


def transform(t: float, parent: str = "world", child: str = "camera") -> Any:
    p, q = place(t)
    turned = make("geometry_msgs/msg/Quaternion", x=q[0], y=q[1], z=q[2], w=q[3])
    moved = make("geometry_msgs/msg/Transform", translation=vector(*p), rotation=turned)
    name = "geometry_msgs/msg/TransformStamped"
    return make(name, header=header(t, parent), child_frame_id=child, transform=moved)


def odometry(t: float, moving: bool = True) -> Any:
    none = np.zeros(36)
    return make(
        "nav_msgs/msg/Odometry",
        header=header(t),
        child_frame_id="base",
        pose=make("geometry_msgs/msg/PoseWithCovariance", pose=pose(t), covariance=none),
        twist=make("geometry_msgs/msg/TwistWithCovariance", twist=twist(moving), covariance=none),
    )


def imu(t: float) -> Any:
    none = np.zeros(9)
    return make(
        "sensor_msgs/msg/Imu",
        header=header(t),
        orientation=make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=none,
        angular_velocity=vector(0, 0, RATE),
        angular_velocity_covariance=none,
        linear_acceleration=vector(0, 0, 9.8),
        linear_acceleration_covariance=none,
    )


MESSAGES = {
    "Odometry": odometry,
    "Odometry without twist": lambda t: odometry(t, moving=False),
    "TwistStamped": lambda t: make(
        "geometry_msgs/msg/TwistStamped", header=header(t), twist=twist()
    ),
    "PoseStamped": lambda t: make("geometry_msgs/msg/PoseStamped", header=header(t), pose=pose(t)),
    "TransformStamped": transform,
    "tf": lambda t: make("tf2_msgs/msg/TFMessage", transforms=[transform(t)]),
}


def written(folder: Path, topics: dict[str, Any], times: np.ndarray = T) -> Path:
    path = folder / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, message_at in topics.items():
            kind = message_at(times[0]).__msgtype__
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for k, t in enumerate(times):
                raw = STORE.serialize_cdr(message_at(t), kind)
                writer.write(connection, int(1.7e18) + k, raw)
    return path


@pytest.mark.parametrize("name", MESSAGES)
def test_velocities_are_read_or_made_of_poses(tmp_path: Path, name: str) -> None:
    found = read_velocities(written(tmp_path, {"/truth": MESSAGES[name]}))
    expected = [0, 0, RATE, SPEED, 0, 0]
    np.testing.assert_allclose(found.velocity, np.tile(expected, (len(found.t), 1)), atol=1e-3)
    assert len(found.t) in (len(T), len(T) - 1) and found.t[0] == pytest.approx(T[0], abs=0.011)


def test_one_of_several_transforms_is_named(tmp_path: Path) -> None:
    def both(t: float) -> Any:
        other = transform(T[0], "world", "lamp")
        return make("tf2_msgs/msg/TFMessage", transforms=[other, transform(t)])

    bag = written(tmp_path, {"/tf": both})
    with pytest.raises(RecordingError, match=r"world:lamp, world:camera; .*/tf:PARENT:CHILD"):
        read_velocities(bag)
    for topic in ("/tf:camera", "/tf:world:camera"):
        assert read_velocities(bag, topic).velocity[0, 2] == pytest.approx(RATE, abs=1e-6)


def test_a_gyroscope_is_preferred_to_poses(tmp_path: Path) -> None:
    bag = written(tmp_path, {"/odom": odometry, "/imu": imu, "/tf": MESSAGES["tf"]})
    assert np.isnan(read_velocities(bag).velocity[:, 3:]).all()
    assert read_velocities(bag, "/odom").velocity[0, 3] == SPEED


def accelerometer(t: float) -> Any:
    none = np.zeros(9)
    none[0] = -1
    message = imu(t)
    return make(
        message.__msgtype__,
        **vars(message)
        | {"angular_velocity": vector(0, 0, 0), "angular_velocity_covariance": none},
    )


def test_an_accelerometer_is_no_gyroscope_at_rest(tmp_path: Path) -> None:
    both = written(tmp_path, {"/accel": accelerometer, "/gyro": imu})
    assert read_velocities(both).velocity[:, 2] == pytest.approx(RATE)
    with pytest.raises(RecordingError, match="/accel: its messages .* no angular velocity"):
        read_velocities(both, "/accel")
    mixed = {"/imu": lambda t: accelerometer(t) if t == T[0] else imu(t)}
    found = read_velocities(written(tmp_path / "mixed", mixed))
    assert len(found.t) == len(T) - 1 and "1 messages say" in found.notes[0]


def test_a_few_wrong_stamps_cost_their_messages(tmp_path: Path) -> None:
    times = T.copy()
    times[20] = times[19]
    found = read_velocities(written(tmp_path, {"/imu": imu}, times))
    assert len(found.t) == len(T) - 1 and "1 of 40 rows repeat the time" in found.notes[0]
    times[10:30] = times[5]
    with pytest.raises(RecordingError, match="time does not increase"):
        read_velocities(written(tmp_path / "many", {"/imu": imu}, np.r_[times[20:], times[:20]]))
