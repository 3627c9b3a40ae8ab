"""The lifecycle node `blur_imu`: images in, velocities out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined]
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from blur_imu_ros.core.axes import express
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import BlurImuError, CameraError, FrameError, RosSetupError
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings.camera_info import camera_of, named_rectified
from blur_imu_ros.recordings.image_messages import image_of
from blur_imu_ros.results.ros_fields import output_frame, silence
from blur_imu_ros.ros import messages, parameters
from blur_imu_ros.ros.diagnostics import Health
from blur_imu_ros.ros.exposure_sources import (
    ExposureSource,
    FixedExposure,
    TopicExposure,
    message_type,
)
from blur_imu_ros.ros.frames import BaseFrame, BodyFrame
from blur_imu_ros.ros.image_times import ImageTimes
from blur_imu_ros.ros.outputs import Outputs
from blur_imu_ros.ros.worker import NewestWorker

NEWEST_ONLY = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
EXPOSURES = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

STUCK = 5.0
"""Seconds for one image after which something is wrong, however slow the computer."""

NO_CAMERA = "no camera_info has come yet"

ImageMessage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True)
class _Arrival:
    """An image message, its stamp (s), when it came (monotonic, s), and in which epoch of time."""

    message: ImageMessage
    stamp: float
    came: float
    epoch: int


class BlurImuNode(LifecycleNode):  # type: ignore[misc]
    """Measures the velocity of a camera from its blurred images and publishes it."""

    def __init__(self, load: Callable[..., Any] = load_network, **options: Any) -> None:
        """Declare the parameters; all work begins in `on_configure`.

        Args:
            load: gives the network by model, backend, device and threads.
            options: of the node, as in rclpy.
        """
        super().__init__("blur_imu", **options)
        self._refused_parameters = parameters.declare(self)
        self._configured = self._active = False
        self._load = load
        self._health = Health()
        self._times = ImageTimes()
        self._camera: Camera | None = None
        self._camera_error = NO_CAMERA
        self._worker: NewestWorker[_Arrival] | None = None
        self._base: BaseFrame | None = None
        self._owned: list[tuple[Callable[[Any], Any], Any]] = []
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._take_parameters)
        self._clock_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=lambda jump: self._times.begin_anew(),
        )
        self._diagnostics_out = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        # Not on ROS time: a simulation that has not begun is worth a report, too.
        self._diagnostics_timer = self.create_timer(
            self.get_parameter("diagnostics_period").value,
            self._publish_diagnostics,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    # --- lifecycle ----------------------------------------------------------------------------

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; failures are logged."""
        if self.get_parameter("autostart").value:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, load and warm up the model, create topics."""
        try:
            if self._refused_parameters:
                raise RosSetupError("; ".join(self._refused_parameters.values()))
            settings = parameters.read(self)
            self._start_network(settings)
            self._settings = settings
            self._create_topics(settings)
        except BlurImuError as error:
            return self._not_configured(str(error))
        except Exception as error:  # Runtimes of models raise anything; the node must live on.
            return self._not_configured(f"{type(error).__name__}: {error}")
        self._worker = NewestWorker[_Arrival](self._process, self._report_failure)
        self._diagnostics_timer.timer_period_ns = round(settings.diagnostics_period * 1e9)
        self._configured = True
        self._health.resting("inactive")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work on images."""
        assert self._worker is not None and self._base is not None
        self._forget_direction()
        self._times.begin_anew()
        self._worker.start()
        self._base.start()
        self._active = True
        self._health.working()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Rest; subscriptions stay."""
        self.close()
        self._health.resting("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give model and topics back."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back, to be configured again."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop the worker before the node is destroyed."""
        self._active = False
        if self._base is not None:
            self._base.stop()
        if self._worker is not None:
            self._worker.stop()

    def _not_configured(self, reason: str) -> TransitionCallbackReturn:
        self._release()
        self.get_logger().error(f"cannot be configured: {reason}")
        self._health.resting(f"cannot be configured: {reason}", failed=True)
        return TransitionCallbackReturn.FAILURE

    def _release(self) -> None:
        self.close()
        for destroy, entity in self._owned:
            destroy(entity)
        self._owned.clear()
        self._worker, self._configured = None, False
        self._camera, self._camera_error = None, NO_CAMERA
        self._health.resting("not configured")

    def _start_network(self, settings: parameters.Settings) -> None:
        begun = time.monotonic()
        network = self._load(settings.model, settings.backend, settings.device, settings.threads)
        network.warm_up()
        taken = time.monotonic() - begun
        self.get_logger().info(f"model {network.name} ({network.runs_on}) ready in {taken:.2f} s")
        self._model = str(network.name)
        direction = DirectionConfig(mode=settings.direction)
        self._imu = VisualImu(
            network,
            direction=direction,
            pivot=settings.pivot,
            linear_scale=settings.linear_scale,
        )
        self._start_tracking()
        self._epoch, self._last_time = self._times.epoch, 0.0
        self._health.fact("model", self._model)
        self._health.fact("backend", str(network.runs_on))

    def _create_topics(self, settings: parameters.Settings) -> None:
        if messages.BlurMotion is None:
            self.get_logger().warning(
                "the message BlurMotion is not built, so topic motion is not published; "
                "build the package with colcon, or run tools/build_messages.py"
            )
        self._outputs = Outputs(self._publisher)
        self._base, self._frame_id = BaseFrame(self, settings.base_frame), ""
        latched = partial(self._publisher, profile=LATCHED)
        self._body = BodyFrame(latched) if settings.publish_body_frame else None
        self._exposure = self._exposure_source(settings)
        self._health.fact("exposure source", self._exposure.name)
        self._subscribe(CameraInfo, "camera_info", self._on_camera_info, NEWEST_ONLY)
        compressed = settings.image_transport == "compressed"
        kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
        reliability = ReliabilityPolicy[settings.image_reliability.upper()]
        profile = QoSProfile(depth=settings.image_depth, reliability=reliability)
        self._subscribe(kind, topic, self._on_image, profile)
        self._image_type, self._image_topic = kind.__name__, self.resolve_topic_name(topic)

    def _exposure_source(self, settings: parameters.Settings) -> ExposureSource:
        name = settings.exposure_source
        if name != FixedExposure.name:
            source = TopicExposure(
                name,
                self.resolve_topic_name("exposure"),
                settings.exposure_unit,
                settings.exposure_tolerance,
                settings.exposure_timeout,
            )
            self._subscribe(message_type(name), "exposure", source.take, EXPOSURES)
            return source
        if settings.exposure_time is None:
            self.get_logger().warning(
                "the exposure time is not known, so nothing will be published: "
                "set the parameter exposure_time (seconds)"
            )
        return FixedExposure(settings.exposure_time)

    def _publisher(self, message: type, topic: str, profile: QoSProfile = RELIABLE) -> Any:
        publisher: Any = self.create_publisher(message, topic, profile)
        self._owned.append((self.destroy_publisher, publisher))
        return publisher

    def _subscribe(
        self, message: Any, topic: str, callback: Callable[[Any], None], profile: QoSProfile
    ) -> None:
        def tell(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            name = self.resolve_topic_name(topic)
            text = f"a publisher of {name} offers another QoS than is asked for: {policy}"
            self._health.mismatch(text)
            self.get_logger().warning(text)

        events = SubscriptionEventCallbacks(incompatible_qos=tell)
        subscription = self.create_subscription(
            message, topic, callback, profile, event_callbacks=events
        )
        self._owned.append((self.destroy_subscription, subscription))

    # --- parameters while running -------------------------------------------------------------

    def _check_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        try:
            parameters.check_changes(changes, self._configured)
        except RosSetupError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take_parameters(self, changes: list[Parameter[Any]]) -> None:
        for change in changes:
            self._refused_parameters.pop(change.name, None)
        if not self._configured:
            return
        before = self._settings
        self._settings = parameters.read(self, before.calibration)
        if isinstance(self._exposure, FixedExposure):
            self._exposure = FixedExposure(self._settings.exposure_time)
        if before.shift != self._settings.shift:
            self._times.begin_anew()

    # --- in -----------------------------------------------------------------------------------

    def _on_camera_info(self, message: CameraInfo) -> None:
        try:
            self._camera = camera_of(message, self._settings.rectified)
        except BlurImuError as error:
            self._camera, self._camera_error = None, str(error)

    def _on_image(self, message: ImageMessage) -> None:
        self._health.received()
        if not self._active or self._worker is None:
            return
        try:
            stamp = self._times.admit(message.header.stamp)
        except BlurImuError as error:
            self._health.silent(str(error))
            return
        if not self._times.is_due(stamp, self._settings.maximum_rate):
            return
        self._worker.put(_Arrival(message, stamp, time.monotonic(), self._times.epoch))

    # --- in the worker's thread ---------------------------------------------------------------

    def _process(self, arrival: _Arrival) -> None:
        """Measure one image and publish what is decided by it."""
        if arrival.epoch != self._epoch:
            for measurement in self._tracker.flush():
                self._publish(measurement)
            self._epoch, self._last_time = arrival.epoch, 0.0
        try:
            frame = self._frame(arrival)
        except BlurImuError as error:
            self._health.silent(str(error))
            return
        self._last_time = frame.t
        begun = time.monotonic()
        measurements = self._tracker.push(self._imu.measure(frame))
        self._measuring = time.monotonic() - begun
        for measurement in measurements:
            self._publish(measurement)

    def _start_tracking(self) -> None:
        """Begin without a past."""
        self._tracker = self._imu.tracker()
        self._measuring = 0.0

    def _forget_direction(self) -> None:
        """Drop what earlier images said of the sign; the lever arm stays, as the device does."""
        self._tracker.flush()

    def _frame(self, arrival: _Arrival) -> Frame:
        """Return the frame of a message; BlurImuError says why there is none."""
        camera, settings = self._camera, self._settings
        exposure_time = self._exposure.exposure_time(arrival.stamp)
        if camera is None:
            raise CameraError(self._camera_error)
        t = settings.stamp_reference.middle(arrival.stamp + settings.shift, exposure_time)
        if t <= self._last_time:
            # The stamps are in order, so the exposure of one of the two is another image's.
            raise FrameError("the middle of the exposure is not after that of the image before")
        image = image_of(arrival.message)
        return Frame(image, t, exposure_time, camera, "image", tag=arrival)

    def _report_failure(self, error: BaseException) -> None:
        if not self.context.ok():  # The process was asked to end while an image was at hand.
            return
        # The tracker may have taken the frame, or not.
        self._start_tracking()
        reason = f"internal error: {type(error).__name__}: {error}"
        self._health.silent(reason)
        self.get_logger().error(reason, throttle_duration_sec=5.0)

    # --- out ----------------------------------------------------------------------------------

    def _publish(self, measurement: Measurement) -> None:
        arrival: _Arrival = measurement.frame.tag
        image_frame = arrival.message.header.frame_id
        frame_id = self._frame_id = self._output_frame(image_frame)
        if self._body is not None:
            self._body.tell(image_frame, arrival.message.header.stamp)
        settings = self._settings
        estimate = express(measurement.estimate, settings.axes)
        self._outputs.publish_motion(estimate, frame_id, self._model)
        reason = silence(
            estimate,
            settings.direction,
            settings.minimum_direction_probability,
            settings.maximum_residual,
        )
        if reason is not None:
            self._health.silent(reason)
        else:
            self._outputs.publish_velocity(estimate, frame_id)
            self._health.published(
                time.monotonic() - arrival.came,
                self._measuring,
                estimate.blur_px,
                estimate.direction_probability,
            )
        self._outputs.publish_debug(measurement, image_frame)

    def _output_frame(self, image_frame: str) -> str:
        if self._settings.frame_id:
            return self._settings.frame_id
        return output_frame(self._settings.axes, image_frame)

    def _publish_diagnostics(self) -> None:
        facts = {
            "images late": str(self._times.late),
            "images missing": str(self._times.missing),
            "images skipped by maximum_rate": str(self._times.skipped),
        }
        if self._worker is not None:
            facts |= {"images dropped for newer ones": str(self._worker.dropped)}
            facts |= self._exposure.facts()
            facts |= self._lever_arm()
            self._health.caution(self._doubts())
            facts |= self._place()
            self._health.missing_images(self._why_no_images())
            self._health.stuck(self._what_holds_up())
        now = self.get_clock().now().to_msg()
        report = self._health.report(now, self.get_fully_qualified_name(), facts)
        self._diagnostics_out.publish(report)

    def _lever_arm(self) -> dict[str, str]:
        pivot = self._tracker.pivot
        if pivot is None:
            return {}
        return {"lever arm [m]": str(pivot) if pivot.trusted else "none fits"}

    def _doubts(self) -> str:
        """Return what may be wrong with what is published, or nothing; say it once."""
        base, camera, doubts = self._base, self._camera, []
        if camera is not None and camera.is_distorted and named_rectified(self._image_topic):
            doubts.append(
                f"{self._image_topic} is rectified, by its name, and taken for raw: set rectified"
            )
        if base is not None and base.name and self._frame_id:
            doubts.append(base.complaint(self._frame_id))
        told = "; ".join(filter(None, doubts))
        if told:
            self.get_logger().warning(told, once=True)
        return told

    def _place(self) -> dict[str, str]:
        """Return how the output's frame is reached from the robot's."""
        base = self._base
        return {f"TF from {base.name}": base.state} if base is not None and base.name else {}

    def _what_holds_up(self) -> str:
        """Return that an image has been measured for too long to be well, or nothing."""
        busy = 0.0 if self._worker is None else self._worker.busy_seconds
        if busy <= STUCK:
            return ""
        return f"one image has been measured for {busy:.0f} s: is the model stuck? Restart the node"

    def _why_no_images(self) -> str:
        """Return what of the image topic explains that none come, or nothing."""
        publishers = self.get_publishers_info_by_topic(self._image_topic)
        if not publishers:
            return f"nobody publishes on {self._image_topic}"
        types = {publisher.topic_type.split("/")[-1] for publisher in publishers}
        if self._image_type not in types:
            found = f"{self._image_topic} carries {', '.join(sorted(types))}"
            return f"{found}, not {self._image_type}; remap image, or set image_transport"
        return ""


def main(arguments: list[str] | None = None) -> None:
    """Run the node until it is asked to stop (SIGINT or SIGTERM)."""
    try:
        rclpy.init(args=arguments)
        node = BlurImuNode()
    except (RuntimeError, ValueError) as error:  # Arguments that ROS cannot parse, wrong names.
        print(f"blur_imu_node: {str(error).splitlines()[0]}", file=sys.stderr)
        sys.exit(2)
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
