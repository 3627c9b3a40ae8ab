"""What lives from configure to cleanup: the model, the tracker, the topics, the images on their
way.

An image goes one way: message -> admitted by its timestamp -> frame -> tracker -> measurement ->
messages. The first two happen in the executor's thread, the others in the worker's.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.axes import express
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.lens import doubts as calibration_doubts
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.errors import BlurImuError, CameraError, FrameError
from blur_imu_ros.evaluation.process_noise import process_noise_of
from blur_imu_ros.network.blur_network import Loader
from blur_imu_ros.recordings.camera_info import camera_of, has_superfluous_lens
from blur_imu_ros.recordings.reduced_jpeg import reduced_message
from blur_imu_ros.results.ros_fields import image_frame_of, output_frame, silence
from blur_imu_ros.ros import messages
from blur_imu_ros.ros.accelerometer import Acceleration, Accelerometer
from blur_imu_ros.ros.calibration_topic import CalibrationTopic
from blur_imu_ros.ros.chain import Chain
from blur_imu_ros.ros.diagnostics import Health
from blur_imu_ros.ros.exposure_sources import (
    ExposureSource,
    FixedExposure,
    TopicExposure,
    message_type,
)
from blur_imu_ros.ros.filter_reset import FilterReset
from blur_imu_ros.ros.frames import BaseFrame, BodyFrame, Transforms
from blur_imu_ros.ros.image_reader import ImageReader
from blur_imu_ros.ros.image_times import ImageTimes
from blur_imu_ros.ros.image_topic import LOOK_PERIOD, ImageTopic
from blur_imu_ros.ros.outputs import Outputs
from blur_imu_ros.ros.parameters import Settings
from blur_imu_ros.ros.topics import FAST_SENSOR, LATCHED, SENSOR, Topics
from blur_imu_ros.ros.worker import NewestWorker

try:
    from std_srvs.srv import Trigger
except ImportError:
    Trigger = None

STUCK = 5.0
"""Seconds for one image after which something is wrong, however slow the computer."""

MANY_MISSING = 0.05
"""Share of the images that may be missing before a warning."""

ENOUGH_IMAGES = 30
"""Fewest images by which that share is judged: one of four says nothing."""

MOTION_WINDOW = 300
"""Velocities from which the process noise of a filter is computed; ten seconds of most cameras."""

FOREIGN_CLOCK = 5.0
"""Seconds between stamps and ROS time above which they are of different clocks."""

TOO_SLOW = (
    "this computer does not keep up with the camera: set maximum_rate, or play a bag more slowly"
)

NO_CAMERA = "no camera_info has arrived yet"

CALIBRATION_WAIT = 0.2
"""Seconds that the first image waits for its calibration: they come together, in either order."""

ImageMessage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True)
class _Arrival:
    """An image message, its stamp (s), when it came (monotonic, s), and in which epoch of time."""

    message: ImageMessage
    stamp: float
    came: float
    epoch: int


class Session:
    """Measures the images that come, and publishes what is decided."""

    def __init__(self, node: Node, settings: Settings, load: Loader, health: Health) -> None:
        """Load and warm up the model, create the topics; nothing is measured before `start`.

        Args:
            node: on which the topics are.
            settings: of the parameters.
            load: gives the network.
            health: counts what happens.

        Raises:
            BlurImuError: what cannot be had; whatever was created has been given back.
        """
        self._node, self.settings, self._health = node, settings, health
        self.times = ImageTimes()
        self._camera: Camera | None = None
        self._camera_error = NO_CAMERA
        self._calibration_came, self._waited = threading.Event(), False
        self._active = self._reset = False
        self._dropped, self._lost, self._age = 0, "", math.nan
        self._published: deque[tuple[float, Array]] = deque(maxlen=MOTION_WINDOW)
        self._frame_id = ""
        self._image_frame: str | None = None
        self._other_frame, self._unnamed = "", False
        self._exposure: ExposureSource = FixedExposure(None)
        begun = time.monotonic()
        self._chain = Chain(settings, load)
        taken = time.monotonic() - begun
        node.get_logger().info(
            f"model {self._chain.model} ({self._chain.runs_on}) ready in {taken:.2f} s"
        )
        health.fact("model", self._chain.model)
        health.fact("backend", self._chain.runs_on)
        self._epoch, self._last_time = self.times.epoch, 0.0
        self._steps_back = 0
        self._topics = Topics(node, health.mismatch)
        try:
            self._create_topics()
        except BaseException:
            self._topics.close()
            raise
        self._worker = NewestWorker[_Arrival](self._process, self._report_failure)

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work on images, without a past."""
        self._chain.flush()
        self.times.begin_anew()
        self._worker.start()
        self._base.start()
        self._active = True
        self._node.get_logger().info(f"active: {self._summary()}")

    def stop(self) -> None:
        """Rest; subscriptions stay."""
        self._active = False
        self._base.stop()
        self._transforms.stop()
        self._worker.stop()

    def close(self) -> None:
        """Stop, and give the topics back."""
        self.stop()
        self._topics.close()

    def change(self, settings: Settings) -> None:
        """Take parameters that may change while images come."""
        before, self.settings = self.settings, settings
        if isinstance(self._exposure, FixedExposure):
            self._exposure = FixedExposure(settings.exposure_time)
        if before.shift != settings.shift:
            self.times.begin_anew()
        if before.frame_id != settings.frame_id and self._active:
            self._base.start()

    def _create_topics(self) -> None:
        node, settings, topics = self._node, self.settings, self._topics
        if messages.BlurMotion is None:
            node.get_logger().warning(
                "the message BlurMotion is not built, so topic motion is not published; build the "
                "package with colcon, or run tools/build_messages.py"
            )
        self._outputs = Outputs(topics.publisher, settings)
        self._base = BaseFrame(node, settings.base_frame)
        latched = partial(topics.publisher, profile=LATCHED)
        self._body = BodyFrame(latched) if settings.publish_body_frame else None
        self.filter_reset = FilterReset(node, topics, settings.filter_reset_service)
        self._exposure = self._exposure_source()
        self._health.fact("exposure source", self._exposure.name)
        self._reader = ImageReader(node.get_logger().warning)
        self._health.fact("images are read by", self._reader.name)
        calibration = CalibrationTopic(node, topics, self._on_camera_info)
        self._transforms = Transforms(node)
        self._accelerometer = Accelerometer(self._transforms)
        if settings.merge_accelerometer:
            topics.subscription(Imu, "accelerometer", self._accelerometer.take, FAST_SENSOR)
        if Trigger is not None:
            topics.service(Trigger, "~/reset", self._on_reset)
        self.images = ImageTopic(
            node,
            topics,
            settings.image_transport == "compressed",
            settings.image_reliability,
            settings.image_depth,
            self._on_image,
        )
        for follow in (calibration.follow, self.images.follow):
            topics.timer(LOOK_PERIOD, follow, Clock(clock_type=ClockType.STEADY_TIME))

    def _exposure_source(self) -> ExposureSource:
        settings, name = self.settings, self.settings.exposure_source
        if name != FixedExposure.name:
            source = TopicExposure(
                name,
                self._node.resolve_topic_name("exposure"),
                settings.exposure_unit,
                settings.exposure_tolerance,
                settings.exposure_timeout,
            )
            self._topics.subscription(message_type(name), "exposure", source.take, SENSOR)
            return source
        if settings.exposure_time is None:
            self._node.get_logger().warning(
                "the exposure time is not known, so nothing will be published: set the parameter "
                "exposure_time (seconds)"
            )
        return FixedExposure(settings.exposure_time)

    def _summary(self) -> str:
        """Return in one line what is taken from where, for the log."""
        settings = self.settings
        exposure = settings.exposure_source
        if exposure == FixedExposure.name:
            known = settings.exposure_time
            exposure = "not known" if known is None else f"{known * 1e3:g} ms"
        else:
            exposure += f" on {self._node.resolve_topic_name('exposure')}"
        return (
            f"images of {self.images.name}, exposure {exposure}, stamps at its "
            f"{settings.stamp_reference.value}, model {self._chain.model}, direction "
            f"{settings.direction.value}, registration {'on' if settings.registration else 'off'}, "
            f"motion prior {'none' if settings.pivot is None else 'pivot'}, output in "
            f"{settings.axes.value} axes"
        )

    # --- in -----------------------------------------------------------------------------------

    def _on_camera_info(self, message: CameraInfo) -> None:
        self.times.alive(message.header.stamp)
        try:
            self._camera = camera_of(message, self.settings.rectified)
        except BlurImuError as error:
            self._camera, self._camera_error = None, str(error)
        self._calibration_came.set()

    def _on_reset(self, request: Any, response: Any) -> Any:
        """Forget everything that was learnt of images so far."""
        self._reset = True
        self.times.begin_anew()
        response.success, response.message = True, "direction, lever arm and odometry are reset"
        return response

    def _on_image(self, message: ImageMessage) -> None:
        self._health.received()
        if not self._active:
            return
        self._look_at_frame(message.header.frame_id)
        try:
            stamp = self.times.admit(message.header.stamp)
        except BlurImuError as error:
            self._health.silent(str(error))
            return
        now = self._node.get_clock().now().nanoseconds * 1e-9
        self._age = now - stamp if now else math.nan  # Simulated time may not have begun.
        if not self.times.is_due(stamp, self.settings.maximum_rate):
            return
        self._worker.put(_Arrival(message, stamp, time.monotonic(), self.times.epoch))

    def _look_at_frame(self, name: str) -> None:
        """Begin anew where another camera comes on the topic: its images say nothing of those
        before."""
        before, self._image_frame = self._image_frame, name
        self._unnamed = not name
        if before is not None and before != name:
            self._other_frame = before
            self.times.begin_anew()

    # --- in the worker's thread ---------------------------------------------------------------

    def _process(self, arrival: _Arrival) -> None:
        """Measure one image and publish what is decided by it."""
        if arrival.epoch != self._epoch:
            self._begin_anew(arrival.epoch)
        try:
            frame = self._frame(arrival)
        except BlurImuError as error:
            self._health.silent(str(error))
            return
        self._last_time = frame.t
        for measurement in self._chain.push(frame):
            self._publish(measurement)

    def _begin_anew(self, epoch: int) -> None:
        """Publish what waits, and forget the past; the lever arm stays unless a reset is asked
        for."""
        for measurement in self._chain.flush():
            self._publish(measurement)
        self._epoch, self._last_time = epoch, 0.0
        # After the last message of the old time, before the first of the new.
        if self._steps_back != self.times.steps_back:
            self._steps_back = self.times.steps_back
            self.filter_reset.time_stepped_back()
        self._outputs.begin_anew()
        self._published.clear()
        if self._reset:
            self._reset = False
            self._chain.start_anew()

    def _frame(self, arrival: _Arrival) -> Frame:
        """Return the frame of a message; BlurImuError says why there is none."""
        if not self._waited:
            self._waited = True
            self._calibration_came.wait(CALIBRATION_WAIT)
        camera, settings = self._camera, self.settings
        exposure_time = self._exposure.exposure_time(arrival.stamp)
        if camera is None:
            raise CameraError(self._camera_error)
        t = settings.stamp_reference.middle(arrival.stamp + settings.shift, exposure_time)
        if t <= self._last_time:
            # The stamps are in order, so the exposure of one of the two is another image's.
            raise FrameError("the middle of the exposure is not after that of the image before")

        def whole() -> Frame:
            image = self._reader.read(arrival.message)
            return Frame(image, t, exposure_time, camera, "image", tag=arrival)

        small = reduced_message(arrival.message, camera, self._chain.view)
        if small is None:
            return whole()
        return Frame(small[0], t, exposure_time, small[1], "image", tag=arrival, whole=whole)

    def _report_failure(self, error: BaseException) -> None:
        if not self._node.context.ok():  # The process was asked to end while an image was at hand.
            return
        # The tracker may have taken the frame, or not.
        self._chain.start_anew()
        reason = f"internal error: {type(error).__name__}: {error}"
        self._health.silent(reason)
        self._node.get_logger().error(reason, throttle_duration_sec=5.0)

    # --- out ----------------------------------------------------------------------------------

    def _publish(self, measurement: Measurement) -> None:
        arrival: _Arrival = measurement.frame.tag
        image_frame = image_frame_of(arrival.message.header.frame_id)
        frame_id = self._frame_id = self._output_frame(image_frame)
        if self._body is not None:
            self._body.publish(image_frame, arrival.message.header.stamp)
        settings = self.settings
        estimate = express(measurement.estimate, settings.axes)
        stamp = self._output_stamp(arrival, estimate.t)
        self._outputs.publish_motion(estimate, frame_id, self._chain.model, stamp)
        reason = silence(
            estimate,
            settings.direction,
            settings.minimum_direction_probability,
            settings.maximum_residual,
        )
        if reason is not None:
            self._health.silent(reason)
        else:
            acceleration = self._acceleration(estimate.t, frame_id)
            self._published.append((estimate.t, estimate.velocity))
            self._outputs.publish_velocity(estimate, frame_id, stamp, acceleration)
            self._health.published(
                time.monotonic() - arrival.came,
                self._chain.measuring,
                estimate.blur_px,
                estimate.direction_probability,
            )
        self._outputs.publish_debug(measurement, image_frame)

    def _output_stamp(self, arrival: _Arrival, t: float) -> Any:
        """Return the stamp of what is published of an image whose mid-exposure is at `t`."""
        as_it_came = self.settings.output_stamp == "image"
        return arrival.message.header.stamp if as_it_came else messages.stamp(t)

    def _acceleration(self, t: float, frame_id: str) -> Acceleration | None:
        merging = self.settings.merge_accelerometer
        return self._accelerometer.at(t, frame_id) if merging else None

    def _output_frame(self, image_frame: str) -> str:
        if self.settings.frame_id:
            return self.settings.frame_id
        return output_frame(self.settings.axes, image_frame)

    # --- diagnostics --------------------------------------------------------------------------

    def facts(self) -> dict[str, str]:
        """Tell `health` what is doubtful, and return the numbers worth showing."""
        self._health.caution(self._doubts())
        self._health.missing_images(self.images.why_none())
        self._health.stuck(self._what_holds_up())
        return {
            "images late": str(self.times.late),
            "images missing": str(self.times.missing),
            "images skipped by maximum_rate": str(self.times.skipped),
            "images dropped for newer ones": str(self._worker.dropped),
            "image reliability": self.images.reliability,
            **self._clock(),
            **self._exposure.facts(),
            **self._chain.facts(),
            **self._merging(),
            **self._motion(),
            **self._place(),
        }

    def _clock(self) -> dict[str, str]:
        """Return how old images are by ROS time when they arrive; log it where that cannot be."""
        age = self._age
        if math.isnan(age):
            return {}
        if abs(age) > FOREIGN_CLOCK:
            side = "before" if age > 0 else "after"
            self._node.get_logger().warning(
                f"images are stamped {abs(age):.0f} s {side} ROS time: a filter that fuses other "
                "sensors, and TF, need stamps in ROS time; let the driver stamp so, or set "
                "use_sim_time for a bag whose player publishes the clock",
                once=True,
            )
        return {"image age at arrival [s]": f"{age:.3f}"}

    def _motion(self) -> dict[str, str]:
        """Return the process noise that a filter needs to follow what was published of late."""
        seen = list(self._published)
        if len(seen) < 2:
            return {}
        t, velocity = (np.array(column) for column in zip(*seen, strict=True))
        angular, linear = process_noise_of(t, velocity)
        if not np.isfinite(angular):
            return {}
        return {"process noise of a filter, angular, linear": f"{angular:.2g}, {linear:.2g}"}

    def _merging(self) -> dict[str, str]:
        merging = self.settings.merge_accelerometer
        return {"accelerometer": self._accelerometer.state} if merging else {}

    def _doubts(self) -> str:
        """Return what may be wrong with what is published, or nothing; say it once."""
        base, camera, doubts = self._base, self._camera, []
        if camera is not None:
            if has_superfluous_lens(self.images.name, camera):
                doubts.append(
                    f"{self.images.name} seems to be rectified, but is used as raw: set rectified"
                )
            doubts += calibration_doubts(camera)
        if base.name and self._frame_id:
            doubts.append(base.complaint(self._frame_id))
        if self._unnamed and not self.settings.frame_id:
            doubts.append(
                f"the images name no frame, so {self._output_frame('')} is taken: let the driver "
                "name it, or set frame_id"
            )
        lasting = "; ".join(filter(None, doubts))
        if lasting:
            self._node.get_logger().warning(lasting, once=True)
        return "; ".join(filter(None, (lasting, self._two_cameras(), self._losses())))

    def _two_cameras(self) -> str:
        """Return that images of two cameras came since the last report, or nothing."""
        other, self._other_frame = self._other_frame, ""
        if not other:
            return ""
        return (
            f"images of {self.images.name} come from the frames {other} and {self._image_frame}: "
            "are there two cameras on the topic? Each change begins anew"
        )

    def _losses(self) -> str:
        """Return how many images were lost of late, and the cure, if many were."""
        recent = self.times.recent(ENOUGH_IMAGES)
        if recent is None:
            return self._lost
        came, missing = recent
        dropped, self._dropped = self._worker.dropped - self._dropped, self._worker.dropped
        self._lost = ""
        if missing > MANY_MISSING * (came + missing):
            cure = TOO_SLOW if dropped else self.images.cure_of_losses()
            self._lost = f"{missing} of {came + missing} images did not arrive: {cure}"
            self._node.get_logger().warning(self._lost, throttle_duration_sec=60.0)
        return self._lost

    def _place(self) -> dict[str, str]:
        """Return how the output's frame is reached from the robot's."""
        return {f"TF from {self._base.name}": self._base.state} if self._base.name else {}

    def _what_holds_up(self) -> str:
        """Return that an image has been measured for too long to be well, or nothing."""
        busy = self._worker.busy_seconds
        if busy <= STUCK:
            return ""
        return f"one image has been measured for {busy:.0f} s: is the model stuck? Restart the node"
