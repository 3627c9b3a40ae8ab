"""Our node, and a node that plays camera and listener, in one process over real rclpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistWithCovarianceStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, Imu

from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle, motion_field
from blur_imu_ros.ros import messages
from blur_imu_ros.ros.node import BlurImuNode
from blur_imu_ros.ros.session import Session

WIDTH, HEIGHT, FOCAL, TAU = 320, 240, 300.0, 0.02


class Oracle:
    """A network that reads the given motion from any image; with its sign, so no doubt is left."""

    name, runs_on = "oracle", "thin air"
    input_size = (320, 224)

    def __init__(self, omega: tuple[float, ...] = (0, 0, 0), v: tuple[float, ...] = (0, 0, 0)):
        self.omega, self.v = np.array(omega, float), np.array(v, float)
        self.broken = False

    def warm_up(self) -> None: ...

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        if self.broken:
            raise RuntimeError("the accelerator is gone")
        u, v = cell_centres(28, 40, 8)
        inverse = 0.3 + 0.2 * np.sin(u / 50) * np.cos(v / 40)
        field = motion_field(camera, u, v, inverse, self.omega * TAU, self.v * TAU)
        return BlurField(
            double_angle(field), np.full(u.shape, 0.3), inverse, np.full(u.shape, 0.1), camera, 8,
            signed_motion=field,
        )  # fmt: skip


class Bench:
    """Our node, and a node that plays camera and listener, in one process."""

    def __init__(self, network: Any, namespace: str = "", **values: Any) -> None:
        defaults = {"autostart": False, "exposure_time": TAU, "direction": "none",
                    "diagnostics_period": 0.1} | values  # fmt: skip
        overrides = [Parameter(name, value=value) for name, value in defaults.items()]
        load = network if callable(network) else (lambda *_: network)
        self.node = BlurImuNode(load, parameter_overrides=overrides, namespace=namespace)
        self.peer = rclpy.create_node("peer", namespace=namespace)
        self.image = self.peer.create_publisher(Image, "image", 1)
        self.info = self.peer.create_publisher(CameraInfo, "camera_info", 1)
        self.heard: dict[str, list[Any]] = {"imu": [], "twist": [], "motion": [], "diag": []}
        wanted = [
            (Imu, "imu_visual/data_raw", "imu"),
            (TwistWithCovarianceStamped, "twist", "twist"),
            (DiagnosticArray, "/diagnostics", "diag"),
        ]
        if messages.BlurMotion is not None:
            wanted.append((messages.BlurMotion, "motion", "motion"))
        for kind, topic, key in wanted:
            self.peer.create_subscription(kind, topic, self.heard[key].append, 10)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.peer)
        self.stamp = 100.0

    def start(self) -> None:
        assert str(self.node.trigger_configure()).endswith("SUCCESS")
        assert str(self.node.trigger_activate()).endswith("SUCCESS")
        self.until(lambda: self.image.get_subscription_count() > 0)
        self.until(lambda: self.info.get_subscription_count() > 0)
        self.until(lambda: self.session._outputs._imu.get_subscription_count() > 0)

    @property
    def session(self) -> Session:
        """What the node made when it was configured."""
        assert self.node._session is not None
        return self.node._session

    def until(self, done: Callable[[], Any], timeout: float = 12.0) -> bool:
        end = time.monotonic() + timeout
        while not done() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        return bool(done())

    def calibrate(self, **changes: Any) -> None:
        info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob")
        info.k = [FOCAL, 0.0, 159.5, 0.0, FOCAL, 119.5, 0.0, 0.0, 1.0]
        for name, value in changes.items():
            setattr(info, name, value)
        self.info.publish(info)
        self.wait(0.15)

    def send(self, image: np.ndarray | None = None, **changes: Any) -> None:
        if image is None:
            image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        message = messages.image_message(image, self.stamp, "camera_optical_frame")
        for name, value in changes.items():
            setattr(message, name, value)
        self.stamp += 1 / 30
        self.image.publish(message)

    def send_until(self, done: Callable[[], Any], **options: Any) -> bool:
        for _ in range(100):
            self.send(**options)
            if self.until(done, 0.1):
                return True
        return False

    def complaint(self, text: str) -> bool:
        """Send images until the diagnostics say `text`."""
        return self.send_until(lambda: any(text in s.message for s in self.statuses()))

    def statuses(self) -> list[DiagnosticStatus]:
        return [status for array in self.heard["diag"] for status in array.status]

    def fact(self, name: str) -> str:
        """Return the newest value that diagnostics give of `name`."""
        found = [p.value for s in self.statuses()[-1:] for p in s.values if p.key == name]
        return found[0] if found else ""

    def answered(self, images: int) -> bool:
        """Wait until the node has published, or said why not, for so many images in all."""
        health = self.node._health
        return self.until(lambda: health._published + sum(health._silences.values()) >= images)

    def wait(self, seconds: float) -> None:
        self.until(lambda: False, seconds)

    def set(self, name: str, value: Any) -> str:
        """Set a parameter as `ros2 param set` does; return why it was refused, or nothing."""
        result = self.node.set_parameters([Parameter(name, value=value)])[0]
        return "" if result.successful else str(result.reason)

    def close(self) -> None:
        self.node.close()
        self.executor.shutdown()
        self.node.destroy_node()
        self.peer.destroy_node()


def measured(bench: Bench) -> tuple[Imu, TwistWithCovarianceStamped]:
    bench.start()
    bench.calibrate()
    assert bench.send_until(lambda: bench.heard["imu"] and bench.heard["twist"])
    return bench.heard["imu"][0], bench.heard["twist"][0]


def vector(v: Any) -> list[float]:
    return [v.x, v.y, v.z]


def started(bench: Callable[..., Bench], network: Any = None, **values: Any) -> Bench:
    """Return a bench whose node is active and knows its camera."""
    one = bench(network or Oracle((0, -2, 0)), **values)
    one.start()
    one.calibrate()
    return one


def numbers(one: Bench) -> np.ndarray:
    """Return all numbers that were published as velocities and covariances."""
    rows = [[*vector(m.angular_velocity), *m.angular_velocity_covariance] for m in one.heard["imu"]]
    more = [
        [*vector(m.twist.twist.linear), *vector(m.twist.twist.angular), *m.twist.covariance]
        for m in one.heard["twist"]
    ]
    return np.concatenate([np.ravel(rows), np.ravel(more)])
