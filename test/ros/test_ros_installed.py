"""Beside what a whole ROS installation has and no package index: skipped, with the reason,
elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Imu

from blur_imu_ros.core.axes import BODY_FROM_OPTICAL
from blur_imu_ros.recordings.image_messages import image_of
from blur_imu_ros.ros import frames, messages
from helpers.ros_bench import FOCAL, HEIGHT, WIDTH, Oracle, started
from helpers.synthetic_fields import EXPOSURE, field_of

ROOT = Path(__file__).resolve().parents[2]
CHANNELS = {
    "mono8": 1, "8UC1": 1, "bgr8": 3, "rgb8": 3, "8UC3": 3, "bgra8": 4, "rgba8": 4,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "yuv422": 2, "yuv422_yuy2": 2,
}  # fmt: skip


@pytest.mark.parametrize("encoding", sorted(CHANNELS))
def test_images_are_what_cv_bridge_makes_of_them(encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")
    rng = np.random.default_rng(0)
    message = messages.image_message(np.zeros((24, 32), np.uint8), 1.0, "camera")
    # Padding of whole pixels: cv_bridge misreads any other.
    message.encoding, message.step = encoding, 34 * CHANNELS[encoding]
    message.data = rng.integers(0, 256, 24 * message.step, dtype=np.uint8).tobytes()
    ours = image_of(message)
    wanted = "passthrough" if encoding.startswith("8U") else "mono8" if ours.ndim == 2 else "bgr8"
    theirs = cv_bridge.CvBridge().imgmsg_to_cv2(message, wanted)
    np.testing.assert_array_equal(ours, theirs)


def test_points_are_read_by_sensor_msgs_py() -> None:
    reason = "sensor_msgs_py is not installed"
    point_cloud2 = pytest.importorskip("sensor_msgs_py.point_cloud2", reason=reason)
    field = field_of(np.array([0.0, 1.0, 0.0]), np.zeros(3))
    points = point_cloud2.read_points_numpy(messages.points_message(field, EXPOSURE, "camera"))
    assert points.shape == (field.inverse_depth.size, 3)
    np.testing.assert_allclose(points[:, 2], 1 / field.inverse_depth.ravel(), rtol=1e-6)


@pytest.mark.parametrize("path", sorted(ROOT.glob("launch/*.launch.py")), ids=lambda p: p.name)
def test_launch_files_list_their_arguments_to_the_real_launch(path: Path) -> None:
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    try:
        get_package_share_directory("blur_imu_ros")
    except PackageNotFoundError:
        pytest.skip("the package is not installed: colcon build, and source its setup file")
    description = get_launch_description_from_python_launch_file(str(path))
    names = [argument.name for argument in description.get_launch_arguments()]
    assert "exposure_time" in names and len(names) == len(set(names))


@pytest.fixture
def static_tree() -> Iterator[Callable[[TransformStamped], None]]:
    """What publishes a lasting transform as robot_state_publisher does, from another context."""
    reason = "tf2_ros is not installed"
    tf2_ros = pytest.importorskip("tf2_ros", reason=reason)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("robot_state_publisher", context=context)
    yield tf2_ros.StaticTransformBroadcaster(node).sendTransform
    node.destroy_node()
    rclpy.shutdown(context=context)


def placed(parent: str, child: str, turn: Rotation) -> TransformStamped:
    """Return the transform of `child`, turned in `parent`."""
    transform = TransformStamped(child_frame_id=child)
    transform.header.frame_id, transform.header.stamp = parent, messages.stamp(1.0)
    transform.transform.translation.x = 0.1
    names = ("x", "y", "z", "w")
    for name, value in zip(names, turn.as_quat(), strict=True):
        setattr(transform.transform.rotation, name, float(value))
    return transform


OPTICAL_IN_BODY = Rotation.from_matrix(BODY_FROM_OPTICAL)


def test_the_real_tf2_leads_to_our_output_once_the_camera_has_its_place(
    bench: Any, static_tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "PATIENCE", 0.0)
    one = started(bench, Oracle((0, -2, 0)))
    static_tree(placed("base_link", "wheel", Rotation.identity()))
    assert one.until(lambda: one.node.count_publishers("/tf_static"), 30)
    assert one.complaint("TF does not lead from base_link to camera_frame")
    static_tree(placed("base_link", "camera_frame", Rotation.identity()))
    assert one.send_until(lambda: one.fact("TF from base_link") == "reaches camera_frame")


def test_the_real_tf2_takes_our_body_frame_where_a_driver_tells_the_optical_one_only(
    bench: Any, static_tree: Any
) -> None:
    import tf2_ros

    one = started(bench, Oracle((0, -2, 0)), publish_body_frame=True)
    # A camera that looks to the left of the robot.
    left = Rotation.from_euler("z", 90, degrees=True)
    static_tree(placed("base_link", "camera_optical_frame", left * OPTICAL_IN_BODY))
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, one.peer, spin_thread=False)
    assert one.send_until(
        lambda: buffer.can_transform("base_link", "camera_frame", rclpy.time.Time())
    )
    found = buffer.lookup_transform("base_link", "camera_frame", rclpy.time.Time()).transform
    turn = Rotation.from_quat([getattr(found.rotation, name) for name in "xyzw"])
    np.testing.assert_allclose(turn.as_matrix(), left.as_matrix(), atol=1e-9)
    assert found.translation.x == pytest.approx(0.1)
    assert one.send_until(lambda: one.fact("TF from base_link") == "reaches camera_frame")
    listener.unregister()


def test_the_real_tf2_turns_the_acceleration_into_the_axes_of_the_output(
    bench: Any, static_tree: Any
) -> None:
    one = started(bench, Oracle((0, -2, 0)), merge_accelerometer=True)
    merged: list[Imu] = []
    one.peer.create_subscription(Imu, "imu/data", merged.append, 10)
    accelerometer = one.peer.create_publisher(Imu, "accelerometer", 100)
    # Its z is the camera's forward.
    static_tree(placed("camera_frame", "imu_link", OPTICAL_IN_BODY))

    def measured() -> bool:
        for step in (0.0, 0.02):
            message = Imu()
            message.header.frame_id = "imu_link"
            message.header.stamp = messages.stamp(one.stamp + step)
            message.linear_acceleration.z = 3.0
            accelerometer.publish(message)
        one.send()
        return one.until(lambda: merged, 0.2)

    assert any(measured() for _ in range(60)), one.fact("accelerometer")
    a = merged[0].linear_acceleration
    np.testing.assert_allclose([a.x, a.y, a.z], [3, 0, 0], atol=1e-9)


FILES = {"drives": ["ekf.yaml"], "carried": ["ekf.yaml", "ekf_carried.yaml"]}


@contextmanager
def filter_of(motion: str, *more: str) -> Iterator[None]:
    """Run robot_localization with the shipped parameters of a motion."""
    known = shutil.which("ros2") and subprocess.run(
        ["ros2", "pkg", "prefix", "robot_localization"], capture_output=True
    )
    if not known or known.returncode:
        pytest.skip("robot_localization is not installed")
    files = [str(ROOT / "config" / name) for name in FILES[motion]]
    given = [part for file in files for part in ("--params-file", file)]
    process = subprocess.Popen(
        ["ros2", "run", "robot_localization", "ekf_node", "--ros-args", *given, *more],
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=15)


@pytest.fixture(params=FILES)
def ekf(request: pytest.FixtureRequest, ros: None) -> Iterator[str]:
    """robot_localization with the shipped parameters; yields for which motion."""
    with filter_of(request.param):
        yield request.param


def test_robot_localization_follows_a_step_within_two_frames(bench: Any, ekf: str) -> None:
    odometry = pytest.importorskip("nav_msgs.msg", reason="nav_msgs is not installed").Odometry
    peer = bench(Oracle()).peer
    imu = peer.create_publisher(Imu, "imu_visual/data_raw", 10)
    heard: list[Any] = []
    peer.create_subscription(odometry, "odometry/filtered", heard.append, 100)
    executor = SingleThreadedExecutor()
    executor.add_node(peer)
    stepped: float | None = None
    begun = time.time()
    while (now := time.time()) < begun + 60 and (stepped is None or now < stepped + 1):
        if stepped is None and len(heard) > 60:
            stepped = now
        message = Imu()
        message.header.stamp, message.header.frame_id = messages.stamp(now), "base_link"
        message.orientation_covariance[0] = message.linear_acceleration_covariance[0] = -1.0
        message.angular_velocity.z = 0.0 if stepped is None else 1.0
        message.angular_velocity_covariance = np.eye(3).ravel() * 0.3**2
        imu.publish(message)
        while time.time() < now + 1 / 30:
            executor.spin_once(timeout_sec=0.005)
    assert stepped is not None, "the filter publishes nothing"
    # Two measurements, and the filter's own period until it publishes.
    due = stepped + 3.5 / 30
    after = [m for m in heard if messages.seconds(m.header.stamp) > due]
    assert after and after[0].twist.twist.angular.z > 0.9
    np.testing.assert_allclose([m.twist.twist.angular.z for m in after], 1.0, atol=0.1)


def test_robot_localization_goes_on_in_the_second_turn_of_a_bag(bench: Any) -> None:
    odometry = pytest.importorskip("nav_msgs.msg", reason="nav_msgs is not installed").Odometry
    with filter_of("drives", "-p", "use_sim_time:=true"):
        one = started(
            bench,
            Oracle((0, -2, 0)),
            use_sim_time=True,
            frame_id="base_link",
            filter_reset_service="reset",
        )
        heard: list[Any] = []
        one.peer.create_subscription(odometry, "odometry/filtered", heard.append, 10)
        clock = one.peer.create_publisher(Clock, "/clock", 1)
        assert one.until(lambda: one.session.filter_reset.is_offered, 30)

        def turn_from(start: float) -> bool:
            one.stamp = start
            for _ in range(60):
                one.send()
                clock.publish(Clock(clock=messages.stamp(one.stamp)))
                if one.until(lambda: heard, 0.1):
                    return True
            return False

        assert turn_from(100.0)
        heard.clear()
        assert turn_from(50.0), "the filter ignores what is older than it has seen"
        assert messages.seconds(heard[0].header.stamp) < 60


@pytest.mark.parametrize("ekf", ["drives"], indirect=True)
def test_robot_localization_turns_as_our_node_tells(bench: Any, ekf: str) -> None:
    odometry = pytest.importorskip("nav_msgs.msg", reason="nav_msgs is not installed").Odometry
    one = started(bench, Oracle((0, -2, 0)), direction="previous", frame_id="base_link")
    heard: list[Any] = []
    one.peer.create_subscription(odometry, "odometry/filtered", heard.append, 10)
    wall = cv2.GaussianBlur(np.random.default_rng(1).uniform(size=(HEIGHT, WIDTH)), (0, 0), 4)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    begun = time.time()
    while time.time() - begun < 20 and not (heard and heard[-1].twist.twist.angular.z > 1.5):
        one.stamp = time.time()
        # To the left with 2 rad/s: what is seen moves right.
        one.send(np.roll(wall, round(2 * FOCAL * (one.stamp - begun)), axis=1))
        one.wait(1 / 30)
    assert heard[-1].twist.twist.angular.z == pytest.approx(2, abs=0.5)
    said = "functioning properly"
    assert one.until(lambda: any(said in s.message for s in one.statuses()), 5)
