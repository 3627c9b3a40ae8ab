"""The node over real rclpy: what comes out, what must not, and that it says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import ModelError
from blur_imu_ros.results.ros_fields import body_frame
from blur_imu_ros.ros import messages
from helpers.ros_bench import HEIGHT, TAU, WIDTH, Oracle, measured, vector


@pytest.mark.parametrize(
    ("omega", "v", "angular", "linear"),
    [
        ((0, -2, 0), (0, 0, 0), (0, 0, 2), (0, 0, 0)),
        ((2, 0, 0), (0, 0, 0), (0, -2, 0), (0, 0, 0)),
        ((0, 0, 2), (0, 0, 0), (2, 0, 0), (0, 0, 0)),
        ((0, 0, 0), (0, 0, 2), (0, 0, 0), (2, 0, 0)),
        ((0, 0, 0), (-2, 0, 0), (0, 0, 0), (0, 2, 0)),
    ],
    ids=["yaw left", "pitch up", "roll clockwise", "forward", "left"],
)
def test_what_a_person_would_expect_comes_out(
    bench: Any, omega: Any, v: Any, angular: Any, linear: Any
) -> None:
    imu, twist = measured(bench(Oracle(omega, v)))
    np.testing.assert_allclose(vector(imu.angular_velocity), angular, atol=0.1)
    np.testing.assert_allclose(vector(twist.twist.twist.angular), angular, atol=0.1)
    np.testing.assert_allclose(vector(twist.twist.twist.linear), linear, atol=0.4)


def test_optical_axes_are_those_of_the_camera(bench: Any) -> None:
    imu, _ = measured(bench(Oracle((0, -2, 0)), axes="optical"))
    np.testing.assert_allclose(vector(imu.angular_velocity), [0, -2, 0], atol=0.1)
    assert imu.header.frame_id == "camera_optical_frame"


def test_messages_are_what_robot_localization_needs(bench: Any) -> None:
    imu, twist = measured(bench(Oracle((1, -2, 0.5), (0.5, 0, 1))))
    assert imu.orientation_covariance[0] == -1 and imu.linear_acceleration_covariance[0] == -1
    assert imu.orientation.w == 1 and imu.header.frame_id == "camera_frame"
    full = np.array(twist.twist.covariance).reshape(6, 6)
    assert np.linalg.eigvalsh(full).min() > 1e-9 and full.max() < 1e3
    np.testing.assert_allclose(full, full.T)
    np.testing.assert_allclose(
        np.array(imu.angular_velocity_covariance).reshape(3, 3), full[3:, 3:]
    )
    assert twist.header.stamp == imu.header.stamp


@pytest.mark.parametrize(
    ("reference", "shift"), [("start", TAU / 2), ("middle", 0.0), ("end", -TAU / 2)]
)
def test_the_output_is_stamped_at_mid_exposure(bench: Any, reference: str, shift: float) -> None:
    imu, _ = measured(bench(Oracle((1, 0, 0)), stamp_reference=reference))
    frames = (messages.seconds(imu.header.stamp) - shift - 100.0) * 30
    assert frames == pytest.approx(round(frames), abs=1e-4)


@pytest.mark.skipif(messages.BlurMotion is None, reason="the message BlurMotion is not built")
def test_the_motion_message_tells_everything(bench: Any) -> None:
    one = bench(Oracle((1, 0, 0)))
    measured(one)
    assert one.send_until(lambda: one.heard["motion"])
    motion = one.heard["motion"][0]
    assert motion.valid and motion.model == "oracle" and motion.exposure_time == TAU
    assert motion.rank == 6 and motion.blur_px > 1
    assert np.linalg.eigvalsh(np.array(motion.covariance).reshape(6, 6)).min() > 0


def test_without_exposure_time_nothing_comes_out_and_the_reason_is_told(bench: Any) -> None:
    one = bench(Oracle((1, 0, 0)), exposure_time=0.0)
    one.start()
    one.calibrate()
    assert one.complaint("exposure time is not known")
    assert not one.heard["imu"] and not one.heard["twist"]
    assert one.statuses()[-1].level == DiagnosticStatus.ERROR


def test_without_camera_info_nothing_comes_out_and_the_reason_is_told(bench: Any) -> None:
    one = bench(Oracle((1, 0, 0)))
    one.start()
    assert one.complaint("no camera_info")
    assert not one.heard["imu"]


@pytest.mark.parametrize(
    ("info", "image", "said"),
    [
        ({"k": [0.0] * 9}, {}, "not calibrated"),
        ({"width": 640, "height": 480}, {}, "calibration is for 640x480"),
        ({"k": [np.nan] * 9}, {}, "not a finite number"),
        ({}, {"encoding": "jpeg2000"}, "jpeg2000"),
        ({}, {"height": 4000}, "header needs"),
        ({}, {"step": 3}, "step"),
    ],
    ids=["K is 0", "other size", "NaN", "unknown encoding", "short data", "short step"],
)
def test_bad_input_is_refused_with_its_reason(bench: Any, info: Any, image: Any, said: str) -> None:
    one = bench(Oracle((1, 0, 0)))
    one.start()
    one.calibrate(**info)
    assert one.send_until(lambda: any(said in s.message for s in one.statuses()), **image)
    assert not one.heard["imu"] and not one.heard["twist"]
    # and it recovers
    one.calibrate()
    assert one.send_until(lambda: one.heard["imu"])


def test_a_frame_without_information_gives_no_twist(bench: Any) -> None:
    network = Oracle((1, 0, 0))
    field = network.predict(np.zeros(0), Camera(320, 224, 300, 300, 160, 112))

    class Blind(Oracle):
        def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
            from dataclasses import replace

            return replace(field, sigma=np.full(field.sigma.shape, 100.0), signed_motion=None)

    one = bench(Blind())
    one.start()
    one.calibrate()
    assert one.complaint("no output")
    assert not one.heard["imu"] and not one.heard["twist"]
    if messages.BlurMotion is not None:
        assert one.send_until(lambda: one.heard["motion"])
        assert not one.heard["motion"][-1].valid and one.heard["motion"][-1].reasons


def test_an_internal_error_is_told_and_the_node_goes_on(bench: Any) -> None:
    network = Oracle((1, 0, 0))
    one = bench(network)
    one.start()
    one.calibrate()
    network.broken = True
    assert one.complaint("the accelerator is gone")
    network.broken = False
    assert one.send_until(lambda: one.heard["imu"])


def test_a_broken_model_fails_to_configure_and_a_good_one_then_works(bench: Any) -> None:
    answers: list[Any] = [ModelError("compact.onnx: differs from the hash in its card")]

    def load(*_: Any) -> Any:
        if answers:
            raise answers.pop()
        return Oracle((1, 0, 0))

    one = bench(load)
    assert str(one.node.trigger_configure()).endswith("FAILURE")
    measured(one)


def test_wrong_parameters_fail_to_configure(bench: Any) -> None:
    for wrong in ({"exposure_time": 10.0}, {"exposure_time": -1.0}, {"axes": "up"}):
        assert str(bench(Oracle(), **wrong).node.trigger_configure()).endswith("FAILURE")


def test_lifecycle_there_and_back(bench: Any) -> None:
    one = bench(Oracle((1, 0, 0)))
    measured(one)
    one.node.trigger_deactivate()
    one.wait(0.3)
    count = len(one.heard["imu"])
    for _ in range(5):
        one.send()
        one.wait(0.05)
    assert len(one.heard["imu"]) == count
    one.node.trigger_cleanup()
    one.heard["imu"].clear()
    measured(one)


def test_stamps_never_decrease_but_a_bag_may_start_anew(bench: Any) -> None:
    one = bench(Oracle((1, 0, 0)))
    measured(one)
    one.stamp -= 0.5
    assert one.complaint("older than the one before")
    one.stamp = 5.0
    before = len(one.heard["imu"])
    assert one.send_until(lambda: len(one.heard["imu"]) > before)


def test_overlay_is_drawn_while_somebody_looks(bench: Any) -> None:
    one = bench(Oracle((1, 0, 0)))
    seen: list[Image] = []
    one.peer.create_subscription(Image, "debug/overlay", seen.append, 1)
    measured(one)
    assert one.send_until(lambda: seen)
    assert (seen[0].height, seen[0].width, seen[0].encoding) == (HEIGHT, WIDTH, "bgr8")


def test_two_cameras_in_one_process_do_not_mix(bench: Any) -> None:
    first, second = bench(Oracle((1, 0, 0)), axes="optical"), bench(Oracle((0, 1, 0)))
    assert first.node.get_name() == second.node.get_name() == "blur_imu"
    assert first.node._health is not second.node._health


@pytest.mark.parametrize(
    ("image", "body"),
    [
        ("camera_optical_frame", "camera_frame"),
        ("cam0_optical", "cam0"),
        ("camera", "camera_body"),
    ],
)
def test_the_body_frame_is_named_after_the_optical_one(image: str, body: str) -> None:
    assert body_frame(image) == body


def started_process() -> subprocess.Popen[str]:
    """Return a process of the node that has begun to spin."""
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    # A model that is not there: the node stays unconfigured, and can still be ended.
    process = subprocess.Popen(
        [sys.executable, "-m", "blur_imu_ros.ros.node", "--ros-args", "-p", "model:=no-such-model"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "no-such-model" in line and "Traceback" not in line
    return process


def ended_cleanly(process: subprocess.Popen[str]) -> bool:
    assert process.stderr is not None
    return process.wait(timeout=15) == 0 and "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_process_cleanly(sent: int, tmp_path: Path) -> None:
    process = started_process()
    process.send_signal(sent)
    assert ended_cleanly(process)


@pytest.mark.parametrize("after", [0.0, 0.03, 0.1, 0.3])
def test_one_ctrl_c_from_terminal_and_launch_ends_the_process_cleanly(after: float) -> None:
    process = started_process()
    process.send_signal(signal.SIGINT)
    for _ in range(2):
        time.sleep(after)
        process.send_signal(signal.SIGINT)
    assert ended_cleanly(process)


SLOW = """
import time
from blur_imu_ros.ros import node

class Slow(node.BlurImuNode):
    def __init__(self, **options):
        super().__init__(**options)
        print("creating", flush=True)
        time.sleep(30)

node.BlurImuNode = Slow
node.main(["blur_imu_node"])
"""


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_while_the_node_is_created_ends_the_process_cleanly(times: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "creating\n"
    for _ in range(times):
        process.send_signal(signal.SIGINT)
    assert ended_cleanly(process)
