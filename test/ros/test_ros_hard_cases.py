"""What goes wrong on robots: nothing crashes, nothing wrong is published, diagnostics say why."""

from __future__ import annotations

import importlib.util
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, TimeReference
from std_msgs.msg import Float64, Header

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle
from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.ros import messages, node, parameters, session
from helpers.command_line import MODEL, needs_model
from helpers.ros_bench import (
    FOCAL,
    HEIGHT,
    TAU,
    WIDTH,
    Oracle,
    measured,
    numbers,
    started,
    vector,
)

SMALL = np.zeros((24, 32), np.uint8)
GREY = np.zeros((HEIGHT, WIDTH), np.uint8)


# --- exposure ---------------------------------------------------------------------------------


def test_the_exposure_comes_from_a_topic_and_its_end_is_told(bench: Any) -> None:
    one = started(bench, exposure_source="float64", exposure_unit="ms", exposure_timeout=0.5)
    exposure = one.peer.create_publisher(Float64, "exposure", 1)
    one.until(lambda: exposure.get_subscription_count() > 0)
    assert one.complaint("/exposure has sent no exposure yet")
    assert not one.heard["imu"]
    for _ in range(20):
        exposure.publish(Float64(data=TAU * 1e3))
        one.send()
        if one.until(lambda: one.heard["imu"], 0.2):
            break
    assert one.heard["imu"]
    np.testing.assert_allclose(vector(one.heard["imu"][0].angular_velocity), [0, 0, 2], atol=0.1)
    assert one.until(lambda: one.fact("exposure time [ms]") == "20.000")
    assert one.fact("exposure source") == "float64" and float(one.fact("exposure age [s]")) < 2
    one.wait(0.6)
    assert one.complaint("/exposure has stopped")


def test_the_exposure_of_libcamera_is_found_by_stamp(bench: Any) -> None:
    one = started(bench, exposure_source="diagnostics", exposure_tolerance=0.05)
    exposure = one.peer.create_publisher(DiagnosticArray, "exposure", 1)
    one.until(lambda: exposure.get_subscription_count() > 0)
    message = DiagnosticArray(
        status=[DiagnosticStatus(values=[KeyValue(key="ExposureTime", value="20000")])]
    )
    message.header.stamp = messages.stamp(one.stamp)
    exposure.publish(message)
    assert one.until(lambda: one.fact("exposure time [ms]") == "20.000")
    one.send()
    assert one.until(lambda: one.heard["imu"])
    one.stamp += 1.0
    assert one.complaint("has no message stamped within exposure_tolerance")


def test_each_image_has_the_exposure_of_the_time_reference_of_its_stamp(bench: Any) -> None:
    one = started(bench, exposure_source="time_reference", exposure_tolerance=0.01)
    exposure = one.peer.create_publisher(TimeReference, "exposure", 10)
    one.until(lambda: exposure.get_subscription_count() > 0)
    for count, milliseconds in enumerate((10, 20, 40), start=1):
        duration = Time(nanosec=milliseconds * 10**6)
        message = TimeReference(time_ref=duration, source="camera")
        message.header.stamp = messages.stamp(one.stamp)
        exposure.publish(message)
        assert one.until(lambda ms=milliseconds: one.fact("exposure time [ms]") == f"{ms}.000")
        one.send()
        assert one.until(lambda count=count: len(one.heard["imu"]) == count)
    # The smear is that of 2 rad/s over TAU; half or double the time makes it double or half.
    turns = [message.angular_velocity.z for message in one.heard["imu"]]
    np.testing.assert_allclose(turns, [4, 2, 1], rtol=0.05)


def test_an_exposure_message_that_is_not_installed_fails_to_configure(bench: Any) -> None:
    if importlib.util.find_spec("flir_camera_msgs"):
        pytest.skip("the message is installed here")
    one = bench(Oracle(), exposure_source="flir")
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    assert one.until(
        lambda: any("ros-$ROS_DISTRO-flir-camera-msgs" in s.message for s in one.statuses())
    )
    assert one.set("exposure_source", "fixed") == ""
    measured(one)


# --- time -------------------------------------------------------------------------------------


def test_the_time_offset_moves_the_output(bench: Any) -> None:
    one = started(bench, stamp_reference="middle", time_offset=0.25)
    one.send()
    assert one.until(lambda: one.heard["imu"])
    assert messages.seconds(one.heard["imu"][0].header.stamp) == pytest.approx(100.25, abs=1e-6)
    assert one.set("time_offset", -0.25) == ""
    one.send()
    assert one.until(lambda: len(one.heard["imu"]) > 1)
    t = messages.seconds(one.heard["imu"][1].header.stamp)
    assert t == pytest.approx(100 + 1 / 30 - 0.25, abs=1e-6)


def test_a_rolling_shutter_is_stamped_at_its_middle_row(bench: Any) -> None:
    one = started(bench, stamp_reference="start", readout_time=0.03)
    one.send()
    assert one.until(lambda: one.heard["imu"])
    # The first row is exposed from 100 s on, the middle one 15 ms later, both for TAU.
    t = messages.seconds(one.heard["imu"][0].header.stamp)
    assert t == pytest.approx(100 + 0.015 + TAU / 2, abs=1e-6)
    assert one.set("readout_time", 0.0) == ""
    one.send()
    assert one.until(lambda: len(one.heard["imu"]) > 1)
    t = messages.seconds(one.heard["imu"][1].header.stamp)
    assert t == pytest.approx(100 + 1 / 30 + TAU / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("stamp", "said"),
    [(Time(), "no stamp"), (Time(sec=-5), "malformed"), (Time(sec=5, nanosec=2**31), "malformed")],
    ids=["zero", "negative", "too many nanoseconds"],
)
def test_stamps_that_cannot_be_are_refused(bench: Any, stamp: Time, said: str) -> None:
    one = started(bench)
    message = messages.image_message(SMALL, 1.0, "camera")
    message.header.stamp = stamp
    one.image.publish(message)
    assert one.until(lambda: any(said in s.message for s in one.statuses()))
    assert not one.heard["imu"]


def test_late_images_are_refused_and_missing_ones_are_counted(bench: Any) -> None:
    one = started(bench)
    for sent, step in enumerate((1, 1, 1, 1, 1, 3, 1, -2, 1, 1), start=1):
        one.send()
        one.stamp += (step - 1) / 30
        assert one.answered(sent)
    assert one.until(
        lambda: one.fact("images missing") == "2" and one.fact("images late") == "2", 3
    )
    assert one.until(lambda: len(one.heard["imu"]) == 8)
    stamps = [messages.seconds(m.header.stamp) for m in one.heard["imu"]]
    assert np.all(np.diff(stamps) > 0)


def test_the_middles_of_exposures_never_go_back_either(bench: Any) -> None:
    one = started(bench, exposure_time=0.04)
    one.send()
    assert one.until(lambda: one.heard["imu"])
    assert one.set("exposure_time", 0.004) == ""
    one.stamp += 0.005 - 1 / 30
    one.send()
    said = "the middle of the exposure is not after that of the image before"
    assert one.until(lambda: any(said in s.message for s in one.statuses()))
    assert len(one.heard["imu"]) == 1


@pytest.mark.skipif(messages.BlurMotion is None, reason="the message BlurMotion is not built")
def test_a_bag_that_loops_makes_the_direction_filter_forget(bench: Any) -> None:
    one = started(bench, direction="previous", minimum_direction_probability=0.5)
    wall = cv2.GaussianBlur(np.random.default_rng(1).uniform(size=(HEIGHT, WIDTH)), (0, 0), 4)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    for count in range(1, 4):
        # 2 rad/s to the left for 1/30 s: what is seen moves right by 20 pixels.
        one.send(np.roll(wall, round(2 / 30 * FOCAL) * count, axis=1))
        assert one.until(lambda count=count: len(one.heard["motion"]) >= count)
    one.stamp = 50.0
    one.send(wall)
    assert one.until(lambda: one.heard["motion"][-1].header.stamp.sec == 50)
    before, after = one.heard["motion"][-2:]
    # Three frames that agree tell the sign; the first of a new beginning has no neighbour.
    assert before.direction_probability > 0.6 and after.direction_probability == 0.5


class InHand(Oracle):
    """A camera that turns to and fro about a wrist, 0.4 m behind it."""

    arm = np.array([0.0, 0.0, 0.4])

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        self.omega = np.roll(self.omega, 1)
        self.v = np.cross(self.omega, self.arm)
        return super().predict(image, camera)


def test_a_bag_that_loops_leaves_the_lever_arm_as_it_was_found(bench: Any) -> None:
    one = started(bench, InHand((3, 0.5, 0)), motion_prior="pivot")
    for count in range(1, 21):
        one.send(GREY)
        assert one.answered(count)
    one.stamp = 50.0
    one.send(GREY)
    assert one.until(lambda: one.heard["twist"][-1].header.stamp.sec == 50)
    # The device is held in the new loop as it was in the old one.
    np.testing.assert_allclose(one.session._chain._tracker.pivot.lever_arm, InHand.arm, atol=0.05)

    def told() -> list[float]:
        return [float(x) for x in one.fact("lever arm [m]").split()]

    # Diagnostics come once a second: what was heard first may be of the first images.
    assert one.until(lambda: len(told()) == 3 and np.allclose(told(), InHand.arm, atol=0.05))


def test_a_lever_arm_is_told_no_more_once_nothing_is_assumed(bench: Any) -> None:
    one = started(bench, InHand((3, 0.5, 0)), motion_prior="pivot")
    assert one.send_until(lambda: one.fact("lever arm [m]"))
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    assert one.set("motion_prior", "none") == ""
    one.start()
    one.calibrate()
    one.heard["diag"].clear()
    assert one.complaint("publishing")
    assert not one.fact("lever arm [m]")


def test_a_node_that_rested_does_not_publish_what_waited(bench: Any) -> None:
    one = started(bench, direction="adjacent", minimum_direction_probability=0.5)
    one.send()
    assert one.until(lambda: one.session._chain._tracker._waiting)
    one.node.trigger_deactivate()
    one.node.trigger_activate()
    one.stamp = 200.0
    assert one.send_until(lambda: one.heard["imu"])
    assert one.heard["imu"][0].header.stamp.sec >= 200


def test_a_clock_that_jumps_back_makes_the_direction_filter_forget(bench: Any) -> None:
    one = started(bench, use_sim_time=True)
    clock = one.peer.create_publisher(Clock, "/clock", 1)
    one.until(lambda: clock.get_subscription_count() > 0)

    def tell(sec: int) -> None:
        clock.publish(Clock(clock=Time(sec=sec)))
        one.until(lambda: one.node.get_clock().now().nanoseconds == sec * 10**9)

    tell(100)
    one.send()
    assert one.until(lambda: one.heard["imu"])
    epoch, one.stamp = one.session.times.epoch, 99.5
    tell(99)
    assert one.until(lambda: one.session.times.epoch > epoch)
    one.send()
    # Half a second back would be a late image, but the clock says that time begins anew.
    assert one.until(lambda: len(one.heard["imu"]) > 1)


@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_a_filter_is_reset_where_simulated_time_steps_back(bench: Any, simulated: bool) -> None:
    empty = pytest.importorskip("std_srvs.srv", reason="std_srvs is not installed").Empty
    one = started(bench, use_sim_time=simulated, filter_reset_service="reset")
    resets: list[int] = []

    def reset(request: Any, response: Any) -> Any:
        resets.append(len(one.heard["imu"]))
        return response

    one.peer.create_service(empty, "reset", reset)
    assert one.until(lambda: one.session.filter_reset.is_offered)
    for count, stamp in enumerate((100.0, 50.0, 51.0, 40.0), start=1):
        one.stamp = stamp
        one.send(GREY)
        assert one.until(lambda count=count: len(one.heard["imu"]) == count)
    one.wait(0.3)
    assert len(resets) == (2 if simulated else 0)
    one.node.trigger_deactivate()
    one.node.trigger_activate()
    one.send(GREY)
    assert one.until(lambda: len(one.heard["imu"]) == 5)
    one.wait(0.2)
    assert len(resets) == (2 if simulated else 0), "a pause of ours is none of the filter's"


def test_a_filter_that_is_not_there_is_no_fault_but_its_name_must_be_one(bench: Any) -> None:
    one = started(bench, use_sim_time=True, filter_reset_service="reset")
    for count, stamp in enumerate((100.0, 50.0), start=1):
        one.stamp = stamp
        one.send(GREY)
        assert one.until(lambda count=count: len(one.heard["imu"]) == count)
    one = bench(Oracle(), namespace="/other", filter_reset_service="no such name")
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    said = "parameter filter_reset_service is 'no such name'"
    assert one.until(lambda: any(said in s.message for s in one.statuses()))


@pytest.mark.parametrize(("offset", "foreign"), [(-0.05, False), (-30.0, True), (30.0, True)])
def test_stamps_of_another_clock_than_ros_are_told(
    bench: Any, capfd: Any, offset: float, foreign: bool
) -> None:
    one = started(bench)
    for _ in range(3):
        one.stamp = time.time() + offset
        one.send()
        one.wait(0.1)
    assert one.until(lambda: one.fact("image age at arrival [s]"))
    assert float(one.fact("image age at arrival [s]")) == pytest.approx(-offset, abs=1.0)
    assert ("30 s" in capfd.readouterr().err) is foreign


# --- parameters -------------------------------------------------------------------------------


def test_values_that_hold_already_may_be_set_again_at_any_time(bench: Any) -> None:
    one = started(bench, lever_arm=[0.0, 0.1, -0.3], motion_prior="pivot")
    for name in parameters.PARAMETERS:  # As `ros2 param load` does with what `dump` wrote.
        assert one.set(name, one.node.get_parameter(name).value) == ""
    assert "cannot change while the node is configured" in one.set("lever_arm", [0.0, 0.1, -0.2])
    assert "cannot change while the node is configured" in one.set("threads", 2)


# --- what may be looked at --------------------------------------------------------------------


def test_depth_and_points_are_made_while_somebody_looks(bench: Any) -> None:
    one = started(bench)
    seen: dict[str, list[Any]] = {"depth": [], "points": [], "camera_info": []}
    kinds = {"depth": Image, "points": PointCloud2, "camera_info": CameraInfo}
    for name, kind in kinds.items():
        one.peer.create_subscription(kind, f"debug/{name}", seen[name].append, 1)
    assert one.send_until(lambda: all(seen.values()))
    depth, points, info = (seen[name][-1] for name in kinds)
    metres = np.frombuffer(depth.data, np.float32).reshape(depth.height, depth.width)
    assert (depth.encoding, depth.width, depth.height) == ("32FC1", info.width, info.height)
    assert np.all((metres > 1.9) & (metres < 10.1))
    cloud = np.frombuffer(points.data, np.float32).reshape(-1, 3)
    assert points.width == len(cloud) == 28 * 40 and np.isfinite(cloud).all()
    assert depth.header.frame_id == points.header.frame_id == "camera_optical_frame"
    # Each point lies where the depth image has it.
    u = np.round(cloud[:, 0] / cloud[:, 2] * info.k[0] + info.k[2]).astype(int)
    v = np.round(cloud[:, 1] / cloud[:, 2] * info.k[4] + info.k[5]).astype(int)
    np.testing.assert_allclose(metres[v, u], cloud[:, 2], rtol=0.05)


def test_nothing_is_drawn_while_nobody_looks(bench: Any, monkeypatch: Any) -> None:
    drawn: list[str] = []
    for name in ("depth_message", "points_message", "camera_info_message"):
        monkeypatch.setattr(messages, name, lambda *_, name=name: drawn.append(name))
    measured(bench(Oracle((1, 0, 0))))
    assert drawn == []


def test_diagnostics_tell_all_that_a_person_asks(bench: Any) -> None:
    one = started(bench)
    assert one.send_until(lambda: float(one.fact("output rate [Hz]") or 0) > 0)
    for name in (
        "image rate [Hz]", "latency median [ms]", "latency p95 [ms]", "latency p99 [ms]",
        "beyond measuring p95 [ms]",
        "image age at arrival [s]", "images dropped for newer ones", "images late", "images missing", "blur length [px]",
        "direction probability", "exposure source", "exposure time [ms]", "model", "backend",
    ):  # fmt: skip
        assert one.fact(name), name
    assert one.fact("backend") == Oracle.runs_on  # not the parameter, which may say `auto`
    assert one.statuses()[-1].name == "blur_imu: velocity from blur"


def test_a_limited_rate_leaves_images_out_and_counts_them(bench: Any) -> None:
    one = started(bench, maximum_rate=10.0)
    for taken in range(1, 4):
        for _ in range(3):
            one.send(GREY)
            one.wait(0.03)
        assert one.answered(taken)
    stamps = [messages.seconds(m.header.stamp) for m in one.heard["imu"]]
    np.testing.assert_allclose(np.diff(stamps), 0.1, atol=1e-6)
    assert one.until(lambda: one.fact("images skipped by maximum_rate") == "6")
    assert not any("no output" in s.message for s in one.statuses()), "what is asked is not a fault"


def test_blur_that_no_single_motion_explains_is_silent_with_its_reason(bench: Any) -> None:
    one = started(bench, TwoMotions((0, -2, 0)), maximum_residual=2.0)
    assert one.complaint("no single motion explains the blur")
    assert not one.heard["imu"] and not one.heard["twist"]
    assert one.set("maximum_residual", 0.0) == ""
    assert one.send_until(lambda: one.heard["imu"])


class TwoMotions(Oracle):
    """Sees the left half of the image move as the camera does, and the right half across it."""

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        field = super().predict(image, camera)
        self.omega, before = self.omega[[1, 0, 2]], self.omega
        across = super().predict(image, camera).signed_motion
        self.omega = before
        motion = field.signed_motion.copy()
        motion[:, 20:] = across[:, 20:]
        return replace(field, q=double_angle(motion), signed_motion=motion)


# --- parameters while running -----------------------------------------------------------------


def test_the_exposure_time_may_be_told_while_the_node_runs(bench: Any) -> None:
    one = started(bench, exposure_time=0.0)
    assert one.complaint("exposure time is not known")
    assert one.set("exposure_time", TAU) == ""
    assert one.send_until(lambda: one.heard["imu"])
    assert one.set("frame_id", "base_link") == ""
    assert one.send_until(lambda: one.heard["imu"][-1].header.frame_id == "base_link")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("exposure_time", 20.0, "milliseconds"),
        ("exposure_time", float("nan"), "finite"),
        ("exposure_time", -1.0, "positive"),
        ("exposure_time", "long", "type"),
        ("minimum_direction_probability", 0.2, "range"),
        ("minimum_direction_probability", float("nan"), "range"),
        ("time_offset", 1e9, "range"),
        ("axes", "optical", "clean up first"),
        ("model", "other", "clean up first"),
        ("axes", "sideways", "use body, optical"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(
    bench: Any, name: str, value: Any, said: str
) -> None:
    one = bench(Oracle())
    assert str(one.node.trigger_configure()).endswith("SUCCESS")
    before = one.session.settings
    assert said in one.set(name, value)
    assert one.session.settings == before


@pytest.mark.parametrize(
    ("wrong", "said", "name", "right"),
    [
        ({"exposure_time": 1}, "1.0, not 1", "exposure_time", TAU),
        ({"threads": 1000}, "out of range", "threads", 1),
        ({"model": [1.0, 2.0]}, "model", "model", "compact"),
        ({"exposure_source": "guess"}, "use fixed, metadata_json", "exposure_source", "fixed"),
        ({"exposure_source": "float64"}, "set exposure_unit", "exposure_unit", "s"),
    ],
)
def test_parameter_garbage_is_told_and_can_be_mended_without_a_restart(
    bench: Any, wrong: dict[str, Any], said: str, name: str, right: Any
) -> None:
    one = bench(Oracle((1, 0, 0)), **wrong)
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    assert one.until(lambda: any(said in s.message for s in one.statuses()))
    assert one.statuses()[-1].level == DiagnosticStatus.ERROR
    assert one.set(name, right) == ""
    assert str(one.node.trigger_configure()).endswith("SUCCESS")


def test_a_misspelt_parameter_is_told_and_those_of_others_are_not(bench: Any, capfd: Any) -> None:
    bench(Oracle((1, 0, 0)), exposure_tme=0.01, use_sim_time=False, robot_description="<robot/>")
    told = capfd.readouterr().err
    assert "no parameter exposure_tme" in told and "is exposure_time meant?" in told
    assert told.count("there is no parameter") == 1


@pytest.mark.parametrize(
    "arguments", [["--params-file", "/no/such/file.yaml"], ["-p", "model"], ["-p", "model:=[1"]]
)
def test_arguments_that_ros_cannot_parse_end_in_one_line(
    arguments: list[str], monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(node.rclpy, "init", lambda args: rclpy.Context().init(args))
    with pytest.raises(SystemExit) as stopped:
        node.main(["--ros-args", *arguments])
    assert stopped.value.code == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and told[0].startswith("blur_imu_node: ") and "parse" in told[0]


def test_a_broken_model_is_mended_by_its_parameter(bench: Any) -> None:
    def load(model: str, *_: Any) -> Oracle:
        if model == "broken":
            raise ModelError("broken.onnx: differs from the hash in its card")
        if model == "no-runtime":
            raise ModuleNotFoundError("No module named 'torch'")
        return Oracle((1, 0, 0))

    one = bench(load, model="broken")
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    assert one.until(lambda: any("differs from the hash" in s.message for s in one.statuses()))
    assert one.set("model", "no-runtime") == ""
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    assert one.until(lambda: any("No module named 'torch'" in s.message for s in one.statuses()))
    assert one.set("model", "compact") == ""
    measured(one)


@needs_model
def test_a_model_that_is_deleted_while_it_runs_is_missed_at_the_next_start(
    bench: Any, tmp_path: Path
) -> None:
    for part in (MODEL, MODEL.with_suffix(".json")):
        shutil.copy(part, tmp_path)
    model = tmp_path / MODEL.name
    one = started(bench, load_network, model=str(model), threads=1)
    model.rename(tmp_path / "away")
    one.send(GREY)
    assert one.answered(1), "it is in memory: the node goes on"
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    assert one.until(lambda: any(str(model) in s.message for s in one.statuses()))
    (tmp_path / "away").rename(model)
    assert str(one.node.trigger_configure()).endswith("SUCCESS")


# --- quality of service -----------------------------------------------------------------------


@pytest.mark.parametrize("offered", [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_reliable_and_best_effort_cameras_are_both_heard(bench: Any, offered: Any) -> None:
    one = bench(Oracle((0, -2, 0)))
    one.peer.destroy_publisher(one.image)
    one.image = one.peer.create_publisher(Image, "image", QoSProfile(depth=1, reliability=offered))
    one.start()
    one.calibrate()
    assert one.send_until(lambda: one.heard["imu"])


def test_a_publisher_that_does_not_fit_is_told(bench: Any) -> None:
    one = bench(Oracle(), image_reliability="reliable")
    one.peer.destroy_publisher(one.image)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    one.image = one.peer.create_publisher(Image, "image", best_effort)
    one.node.trigger_configure()
    one.node.trigger_activate()
    said = "a publisher of /image offers another QoS than requested: RELIABILITY"
    assert one.until(lambda: any(said in s.message for s in one.statuses()))


def test_a_topic_that_nobody_or_something_else_publishes_is_told(bench: Any) -> None:
    one = bench(Oracle(), namespace="/alone")
    one.peer.destroy_publisher(one.image)
    one.node.trigger_configure()
    one.node.trigger_activate()
    said = "no image has arrived yet: nobody publishes on /alone/image"
    assert one.until(lambda: any(said in s.message for s in one.statuses()))
    # Another context, for one participant has one message on a topic.
    elsewhere = rclpy.Context()
    elsewhere.init()
    stranger = rclpy.create_node("stranger", context=elsewhere)
    stranger.create_publisher(CompressedImage, "/alone/image", 1)
    said = "/alone/image carries CompressedImage, not Image"
    assert one.until(lambda: any(said in s.message for s in one.statuses()))
    stranger.destroy_node()
    elsewhere.try_shutdown()


# --- what cameras send ------------------------------------------------------------------------


def test_compressed_images_are_read_and_damaged_ones_refused(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)), image_transport="compressed")
    one.peer.destroy_publisher(one.image)
    one.image = one.peer.create_publisher(CompressedImage, "image/compressed", 1)
    one.start()
    one.calibrate()
    jpeg = cv2.imencode(".jpg", GREY)[1].tobytes()
    sent = [(5.0, jpeg), (5.1, b""), (5.2, jpeg[:40]), (5.3, b"no image"), (5.4, jpeg)]
    for count, (stamp, data) in enumerate(sent, start=1):
        message = CompressedImage(format="jpeg", data=data)
        message.header.stamp = messages.stamp(stamp)
        one.heard["diag"].clear()
        one.image.publish(message)
        assert one.answered(count)
        # Diagnostics tell of the newest image only, so the next one waits until they have.
        said = "publishing" if data is jpeg else "damaged"
        assert one.until(lambda said=said: any(said in s.message for s in one.statuses()))
    assert one.until(lambda: len(one.heard["imu"]) == 2)


def test_camera_info_that_comes_late_changes_or_breaks_is_followed(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)))
    one.start()
    assert one.complaint("no camera_info has arrived yet")
    one.calibrate()
    assert one.send_until(lambda: one.heard["imu"])
    one.calibrate(width=160, height=120)
    assert one.complaint("calibration is for 160x120")
    half = np.zeros((HEIGHT // 2, WIDTH // 2, 3), np.uint8)
    one.heard["imu"].clear()
    assert one.send_until(lambda: one.heard["imu"], image=half)
    one.calibrate(d=[float("nan")] * 5)
    assert one.complaint("not a finite number")
    one.calibrate(binning_x=2, binning_y=2)
    one.heard["imu"].clear()
    assert one.send_until(lambda: one.heard["imu"], image=half)
    one.calibrate(k=[0.0] * 9)
    assert one.complaint("not calibrated")


def test_the_first_image_waits_for_the_calibration_that_comes_with_it(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)))
    one.start()
    one.send()
    one.wait(0.05)
    one.calibrate()
    assert one.until(lambda: len(one.heard["imu"]) == 1)
    assert not one.node._health._silences


def test_a_rectified_image_is_read_with_p(bench: Any) -> None:
    one = started(bench, rectified=True)
    assert one.complaint("no calibration of rectified images")
    p = [FOCAL, 0.0, 159.5, 0.0, 0.0, FOCAL, 119.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    one.calibrate(p=p, k=[9.0, 0.0, 9.0, 0.0, 9.0, 9.0, 0.0, 0.0, 1.0], d=[0.5] * 5)
    assert one.send_until(lambda: one.heard["imu"])
    assert one.session._camera.fx == FOCAL and not one.session._camera.is_distorted


def test_a_calibration_file_that_is_gone_does_no_harm_to_a_node_that_works(
    bench: Any, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("linear_scale: 1.5\n")
    one = started(bench, calibration=str(path))
    path.unlink()
    assert one.set("exposure_time", 2 * TAU) == ""
    assert one.send_until(lambda: one.heard["imu"])
    assert (
        one.session.settings.exposure_time == 2 * TAU and one.session.settings.linear_scale == 1.5
    )


def test_images_called_rectified_that_are_read_as_raw_are_a_caution(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)), namespace="/rect")
    one.start()
    one.calibrate()
    assert one.send_until(lambda: any(s.message == "publishing" for s in one.statuses()))
    one.calibrate(d=[-0.3, 0.1, 0.0, 0.0, 0.0])
    assert one.complaint("/rect/image seems to be rectified, but is used as raw")
    assert one.statuses()[-1].level == DiagnosticStatus.WARN
    assert "set rectified" in one.statuses()[-1].message


def test_an_image_topic_that_appears_late_is_found(bench: Any) -> None:
    one = bench(Oracle((0, -2, 0)), namespace="/late")
    one.peer.destroy_publisher(one.image)
    one.node.trigger_configure()
    one.node.trigger_activate()
    said = "no image has arrived yet: nobody publishes on /late/image"
    assert one.until(lambda: any(said in s.message for s in one.statuses()))
    one.image = one.peer.create_publisher(Image, "image", 1)
    assert one.until(lambda: one.image.get_subscription_count() > 0)
    one.calibrate()
    assert one.send_until(lambda: one.heard["imu"])


def test_a_pause_is_told_and_is_no_loss_of_images(bench: Any) -> None:
    one = started(bench)
    for count in range(1, 7):
        one.send(GREY)
        assert one.answered(count)
    one.heard["diag"].clear()
    assert one.until(lambda: any("no images arrive" in s.message for s in one.statuses()))
    assert one.statuses()[-1].level == DiagnosticStatus.WARN
    one.stamp += 10.0
    one.send(GREY)
    assert one.until(lambda: len(one.heard["imu"]) == 7)
    assert one.until(lambda: any(s.message == "publishing" for s in one.statuses()[-3:]))
    assert one.fact("images missing") == one.fact("images late") == "0"
    stamps = [messages.seconds(m.header.stamp) for m in one.heard["imu"]]
    assert stamps[-1] - stamps[-2] > 10


def test_images_lost_for_seconds_are_counted_where_camera_info_kept_coming(bench: Any) -> None:
    one = started(bench)
    for count in range(1, 7):
        one.send(GREY)
        assert one.answered(count)
    for _ in range(15):
        one.stamp += 0.2
        one.calibrate(header=Header(stamp=messages.stamp(one.stamp)))
    one.send(GREY)
    assert one.until(lambda: one.fact("images missing") == "90")
    assert any("90 of 97 images did not arrive" in s.message for s in one.statuses())


def test_one_missing_image_of_a_slow_bag_is_counted_but_no_cause_for_a_warning(bench: Any) -> None:
    one = started(bench)
    for count in range(1, 10):
        one.stamp += 1 / 30 if count == 7 else 0
        one.send(GREY)
        assert one.answered(count)
        one.wait(0.2)
    assert one.until(lambda: one.fact("images missing") == "1")
    one.wait(1.0)
    assert not any("did not arrive" in s.message for s in one.statuses())


class Slow(Oracle):
    """Takes 0.15 s an image, as a weak computer does."""

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        time.sleep(0.15)
        return super().predict(image, camera)


def test_a_flood_of_images_does_not_grow_the_latency(bench: Any) -> None:
    one = started(bench, Slow((0, -2, 0)))
    for _ in range(150):
        one.send(GREY)
        one.stamp += 0.005 - 1 / 30
        one.wait(0.005)
    assert one.until(lambda: len(one.heard["imu"]) >= 3)
    assert int(one.fact("images dropped for newer ones")) > 10
    # One image at hand and one that waits; a queue of them all would be 20 s long.
    assert float(one.fact("latency p99 [ms]")) < 3000


def test_a_computer_that_is_too_slow_is_named_where_images_are_missing_too(bench: Any) -> None:
    one = started(bench, Slow((0, -2, 0)))
    for count in range(60):
        one.send(GREY)
        one.stamp += (count % 2) / 30
        one.wait(0.02)
    assert one.complaint("this computer does not keep up with the camera: set maximum_rate")


class Doubtful(Oracle):
    """Sees the true motion with noise, and does not know its sign."""

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        field = super().predict(image, camera)
        return replace(field, signed_motion=None)


@pytest.mark.parametrize("axes", ["body", "optical"])
def test_every_number_is_finite_and_every_covariance_positive(bench: Any, axes: str) -> None:
    one = started(bench, Doubtful((0.7, -1.5, 0.4), (0.3, 0.1, 0.8)), axes=axes)
    assert one.send_until(lambda: len(one.heard["twist"]) >= 3)
    assert np.isfinite(numbers(one)).all()
    for message in one.heard["twist"]:
        covariance = np.array(message.twist.covariance).reshape(6, 6)
        np.testing.assert_allclose(covariance, covariance.T, rtol=1e-6)
        assert np.linalg.eigvalsh(covariance).min() > 0
    for message in one.heard["imu"]:
        assert message.orientation_covariance[0] == message.linear_acceleration_covariance[0] == -1
        assert message.orientation.w == 1


class Mad(Oracle):
    """Answers with a field of `bad` values."""

    bad = np.nan

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        field = super().predict(image, camera)
        return replace(field, inverse_depth=np.full_like(field.inverse_depth, self.bad))


def test_a_network_that_answers_nonsense_is_not_believed(bench: Any) -> None:
    network = Mad((0, -2, 0))
    one = started(bench, network)
    assert one.complaint("values that cannot be")
    assert not one.heard["imu"]
    # A wall a millimetre away would make the linear velocity known beyond all measure.
    network.bad = 900.0
    assert one.send_until(lambda: one.heard["twist"])
    variances = np.diag(np.array(one.heard["twist"][0].twist.covariance).reshape(6, 6))
    assert variances.min() == pytest.approx(1e-8)


class Hanging(Oracle):
    """Waits in `predict`, as an accelerator that hangs does, until it is let go."""

    def __init__(self) -> None:
        super().__init__((0, -2, 0))
        self.let_go = threading.Event()

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        self.let_go.wait(30)
        return super().predict(image, camera)


def test_a_model_that_hangs_is_told_and_its_return_too(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(session, "STUCK", 0.3)
    network = Hanging()
    one = started(bench, network)
    assert one.complaint("one image has been measured for")
    assert one.statuses()[-1].level == DiagnosticStatus.ERROR
    network.let_go.set()
    assert one.send_until(lambda: one.statuses()[-1].message == "publishing")


def test_the_covariance_turns_with_the_axes(bench: Any) -> None:
    motion = ((0.7, -1.5, 0.4), (0.3, 0.1, 0.8))
    _, optical = measured(bench(Oracle(*motion), axes="optical", namespace="/first"))
    _, body = measured(bench(Oracle(*motion), axes="body", namespace="/second"))
    # x forward is the camera's z, y left its -x, z up its -y.
    turn = np.kron(np.eye(2), np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]))
    expected = turn @ np.array(optical.twist.covariance).reshape(6, 6) @ turn.T
    np.testing.assert_allclose(np.array(body.twist.covariance).reshape(6, 6), expected, rtol=1e-6)


# --- several nodes, and their end -------------------------------------------------------------


def test_two_cameras_in_one_process_measure_each_its_own(bench: Any) -> None:
    left = started(bench, Oracle((0, -2, 0)), namespace="/left")
    right = started(bench, Oracle((0, 2, 0)), namespace="/right")
    for one in (left, right):
        assert one.send_until(lambda one=one: len(one.heard["imu"]) >= 2)
    for one, turn in ((left, 2), (right, -2)):
        for imu in one.heard["imu"]:
            np.testing.assert_allclose(vector(imu.angular_velocity), [0, 0, turn], atol=0.1)
    right.node.trigger_deactivate()
    count = len(left.heard["imu"])
    assert left.send_until(lambda: len(left.heard["imu"]) > count)
