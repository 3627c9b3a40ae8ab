"""The lifecycle node `blur_imu`: images in, velocities out."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistWithCovarianceStamped
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu

from blur_imu_ros.axes import express
from blur_imu_ros.blur_network import load_network
from blur_imu_ros.camera import Camera
from blur_imu_ros.direction import DirectionConfig
from blur_imu_ros.errors import BlurImuError
from blur_imu_ros.frame import Frame
from blur_imu_ros.ros import messages, parameters
from blur_imu_ros.ros.diagnostics import Health
from blur_imu_ros.ros.exposure_sources import ExposureSource, FixedExposure
from blur_imu_ros.ros.worker import NewestWorker
from blur_imu_ros.ros_outputs import IMU_TOPIC, MOTION_TOPIC, TWIST_TOPIC, Gate, output_frame
from blur_imu_ros.visual_imu import Measurement, Tracker, VisualImu

NEWEST_ONLY = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)

ImageMessage: TypeAlias = Image | CompressedImage


class BlurImuNode(LifecycleNode):  # type: ignore[misc]
    """Measures the velocity of a camera from its blurred images and publishes it."""

    def __init__(self, load: Callable[..., Any] = load_network, **options: Any) -> None:
        """Declare the parameters; all work begins in `on_configure`.

        Args:
            load: gives the network by model, backend, device and threads.
            options: of the node, as in rclpy.
        """
        super().__init__("blur_imu", **options)
        parameters.declare(self)
        self._load = load
        self._health = Health()
        self._camera: Camera | None = None
        self._camera_error = "no camera_info has come yet"
        self._active = False
        self._arrivals: OrderedDict[float, tuple[float, str]] = OrderedDict()
        self._owned: list[tuple[Callable[[Any], Any], Any]] = []

    # --- lifecycle ----------------------------------------------------------------------------

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; failures are logged."""
        if self.get_parameter("autostart").value:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, load and warm up the model, create topics."""
        try:
            settings = parameters.read(self)
            self._start_network(settings)
        except BlurImuError as error:
            self.get_logger().error(f"cannot be configured: {error}")
            return TransitionCallbackReturn.FAILURE
        self._settings = settings
        self._gate = Gate(settings.direction, settings.minimum_direction_probability)
        self._exposure: ExposureSource = FixedExposure(settings.exposure_time)
        self._health.fact("exposure source", self._exposure.name)
        if settings.exposure_time is None:
            self.get_logger().warning(
                "the exposure time is not known, so nothing will be published: "
                "set the parameter exposure_time (seconds)"
            )
        self._worker = NewestWorker[ImageMessage](self._process, self._report_failure)
        self._create_topics(settings)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work on images."""
        self._worker.start()
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Rest; subscriptions stay."""
        self._active = False
        self._worker.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give model and topics back."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop the worker before the node is destroyed."""
        self._active = False
        if hasattr(self, "_worker"):
            self._worker.stop()

    def _release(self) -> None:
        self.close()
        for destroy, entity in self._owned:
            destroy(entity)
        self._owned.clear()

    def _start_network(self, settings: parameters.Settings) -> None:
        begun = time.monotonic()
        network = self._load(settings.model, settings.backend, settings.device, settings.threads)
        network.warm_up()
        taken = time.monotonic() - begun
        self.get_logger().info(
            f"model {network.name} ({settings.backend}, {settings.device}) ready in {taken:.2f} s"
        )
        self._model = str(network.name)
        self._imu = VisualImu(network, direction=DirectionConfig(mode=settings.direction))
        self._tracker = Tracker(self._imu)
        self._health.fact("model", f"{network.name}, {settings.backend}, {settings.device}")

    def _create_topics(self, settings: parameters.Settings) -> None:
        self._imu_out = self._publisher(Imu, IMU_TOPIC)
        self._twist_out = self._publisher(TwistWithCovarianceStamped, TWIST_TOPIC)
        self._overlay_out = self._publisher(Image, "debug/overlay")
        self._diagnostics_out = self._publisher(DiagnosticArray, "/diagnostics")
        self._motion_out = None
        if messages.BlurMotion is None:
            self.get_logger().warning(
                "the message BlurMotion is not built, so topic motion is not published; "
                "build the package with colcon, or run tools/build_messages.py"
            )
        else:
            self._motion_out = self._publisher(messages.BlurMotion, MOTION_TOPIC)
        compressed = settings.image_transport == "compressed"
        kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
        for message, name, callback in (
            (kind, topic, self._on_image),
            (CameraInfo, "camera_info", self._on_camera_info),
        ):
            subscription = self.create_subscription(message, name, callback, NEWEST_ONLY)
            self._owned.append((self.destroy_subscription, subscription))
        timer = self.create_timer(settings.diagnostics_period, self._publish_diagnostics)
        self._owned.append((self.destroy_timer, timer))

    def _publisher(self, message: type, topic: str) -> Any:
        publisher: Any = self.create_publisher(message, topic, RELIABLE)
        self._owned.append((self.destroy_publisher, publisher))
        return publisher

    # --- in -----------------------------------------------------------------------------------

    def _on_camera_info(self, message: CameraInfo) -> None:
        try:
            self._camera = messages.camera(message)
        except BlurImuError as error:
            self._camera, self._camera_error = None, str(error)

    def _on_image(self, message: ImageMessage) -> None:
        self._health.received()
        if self._active:
            arrival = (time.monotonic(), message.header.frame_id)
            self._arrivals[messages.seconds(message.header.stamp)] = arrival
            while len(self._arrivals) > 100:
                self._arrivals.popitem(last=False)
            self._worker.put(message)

    # --- in the worker's thread ---------------------------------------------------------------

    def _process(self, message: ImageMessage) -> None:
        """Measure one image and publish what is decided by it."""
        frame = self._frame(message)
        if frame is not None:
            for measurement in self._tracker.push(frame):
                self._publish(measurement)

    def _frame(self, message: ImageMessage) -> Frame | None:
        """Return the frame of a message, or None with the reason in the diagnostics."""
        stamp = messages.seconds(message.header.stamp)
        exposure_time = self._exposure.exposure_time(stamp)
        if exposure_time is None:
            self._health.silent("the exposure time is not known; set exposure_time (seconds)")
            return None
        if self._camera is None:
            self._health.silent(self._camera_error)
            return None
        t = self._settings.stamp_reference.middle(stamp, exposure_time)
        try:
            image = messages.image_array(message)
            return Frame(image, t, exposure_time, self._camera, "image")
        except BlurImuError as error:
            self._health.silent(str(error))
            return None

    def _report_failure(self, error: Exception) -> None:
        reason = f"internal error: {type(error).__name__}: {error}"
        self._health.silent(reason)
        self.get_logger().error(reason, throttle_duration_sec=5.0)

    # --- out ----------------------------------------------------------------------------------

    def _publish(self, measurement: Measurement) -> None:
        reference = self._settings.stamp_reference
        frame = measurement.frame
        stamp = frame.t - reference.middle(0.0, frame.exposure_time)
        arrived, image_frame = self._arrival(stamp)
        frame_id = self._output_frame(image_frame)
        estimate = express(measurement.estimate, self._settings.axes)
        if self._motion_out is not None:
            self._motion_out.publish(messages.motion_message(estimate, frame_id, self._model))
        reason = self._gate.silence(estimate)
        if reason is not None:
            self._health.silent(reason)
        else:
            self._imu_out.publish(messages.imu_message(estimate, frame_id))
            self._twist_out.publish(messages.twist_message(estimate, frame_id))
            self._health.published(
                time.monotonic() - arrived, estimate.blur_px, estimate.direction_probability
            )
        if self._overlay_out.get_subscription_count():
            self._publish_overlay(measurement, image_frame)

    def _arrival(self, stamp: float) -> tuple[float, str]:
        """Return when the image stamped `stamp` came, and its frame."""
        if not self._arrivals:
            return time.monotonic(), ""
        nearest = min(self._arrivals, key=lambda known: abs(known - stamp))
        return self._arrivals[nearest]

    def _output_frame(self, image_frame: str) -> str:
        if self._settings.frame_id:
            return self._settings.frame_id
        return output_frame(self._settings.axes, image_frame)

    def _publish_overlay(self, measurement: Measurement, frame_id: str) -> None:
        from blur_imu_ros.overlay import draw_overlay

        frame = measurement.frame
        picture = draw_overlay(frame.image, measurement.field, measurement.estimate)
        self._overlay_out.publish(messages.image_message(picture, frame.t, frame_id))

    def _publish_diagnostics(self) -> None:
        now = self.get_clock().now().to_msg()
        report = self._health.report(now, self.get_fully_qualified_name(), self._worker.dropped)
        self._diagnostics_out.publish(report)


def main(arguments: list[str] | None = None) -> None:
    """Run the node until it is asked to stop (SIGINT or SIGTERM)."""
    rclpy.init(args=arguments)
    node = BlurImuNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        node.autostart()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # A signal while something is being created invalidates the context under it.
        if rclpy.ok():
            raise
    finally:
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
