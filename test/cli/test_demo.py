"""`blur-imu demo` without ROS: a known motion is rendered, measured and compared."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros.cli import demo
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.simulation.room_renderer import Trajectory, hand_held
from helpers.command_line import CommandLine, Oracle


@pytest.fixture
def blur_imu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr(demo, "load_network", lambda *_: Oracle())
    return CommandLine(capsys)


@pytest.fixture
def grey_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that cost nothing, for what does not look at them."""
    image = np.full((480, 640, 3), 90, np.uint8)
    monkeypatch.setattr(demo, "blurred_image", lambda *_, **__: image)


@pytest.mark.usefixtures("grey_frames")
def test_demo_prints_a_table_and_writes_plot_and_video(
    blur_imu: CommandLine, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "demo"
    ended = blur_imu("demo", "--ros", "off", "--seconds", 0.2, "--output", out)
    assert ended.status == 0 and ended.err == ""
    assert "6 of 6 frames answered, offline, without ROS" in ended.out
    for told in (
        "RMSE",
        "zero-velocity baseline",
        "[rad/s]",
        "[m/s]",
        "sigma",
        "x forward",
        "next,",
    ):
        assert told in ended.out
    assert cv2.imread(str(out / "velocity.png")) is not None
    assert cv2.VideoCapture(str(out / "overlay.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 6


@pytest.mark.usefixtures("grey_frames")
@pytest.mark.parametrize(("answered", "told"), [(9, False), (4, True)])
def test_demo_says_when_the_node_cannot_keep_up(
    blur_imu: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answered: int,
    told: bool,
) -> None:
    def through_ros(frames: list[Frame], _: str, rate: float) -> demo.Received:
        series = demo.true_series(hand_held(), frames[:answered])
        return demo.Received(series, np.full(answered, 0.5), "through a node")

    monkeypatch.setattr(demo, "_has_ros", lambda: True)
    monkeypatch.setattr(demo, "_through_ros", through_ros)
    ended = blur_imu("demo", "--seconds", 0.3, "--output", tmp_path / "demo")
    assert ended.status == 0 and f"{answered} of 9 frames answered" in ended.out
    assert "latency from image to twist: median 500 ms" in ended.out and " cores" in ended.out
    assert ("too slow or too busy" in ended.out) == told


def test_demo_plays_no_faster_than_the_machine_measures() -> None:
    rates = [demo._affordable_rate(seconds) for seconds in (0.0, 0.01, 0.1, 10.0)]
    assert rates == [demo.FRAME_RATE, demo.FRAME_RATE, 5.0, demo.SLOWEST_RATE]


def test_rendered_frames_come_with_their_true_velocity_in_body_axes() -> None:
    trajectory = hand_held()
    frames = demo.rendered(trajectory, 4 / demo.FRAME_RATE)
    truth = demo.true_series(trajectory, frames)
    np.testing.assert_allclose(np.diff(truth.t), 1 / demo.FRAME_RATE)
    assert all(isinstance(frame, Frame) and frame.image.std() > 5 for frame in frames)
    np.testing.assert_array_equal(truth.velocity[0], body(trajectory, frames[0].t))


def body(trajectory: Trajectory, t: float) -> np.ndarray:
    """The true velocity in body axes: x forward, y left, z up."""
    x = trajectory.velocity(t)
    return np.array([x[2], -x[0], -x[1], x[5], -x[3], -x[4]])


def test_demo_over_ros_says_where_ros_is_missing(
    blur_imu: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_has_ros", lambda: False)
    refusal = blur_imu("demo", "--ros", "on", "--output", tmp_path / "demo").refusal
    assert "ROS 2 is not installed" in refusal


def test_demo_says_which_model_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("demo", "--ros", "off", "--model", "huge", "--output", tmp_path / "demo")
    assert "model 'huge' is not there" in CommandLine(capsys)(*arguments).refusal


@pytest.mark.usefixtures("grey_frames")
def test_demo_says_why_frames_are_not_answered_and_axes_are_bad(
    blur_imu: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def through_ros(frames: list[Frame], _: str, rate: float) -> demo.Received:
        series = demo.true_series(hand_held(), frames[1:])
        series.velocity[:, [0, 4]] += 50
        reasons = {"the first frame has no predecessor to decide its sign": 1}
        return demo.Received(series, np.full(8, 0.02), "through a node", reasons)

    monkeypatch.setattr(demo, "_has_ros", lambda: True)
    monkeypatch.setattr(demo, "_through_ros", through_ros)
    out = blur_imu("demo", "--seconds", 0.3, "--output", tmp_path / "demo").out
    assert "8 of 9 frames answered" in out and "1 not: the first frame has no predecessor" in out
    assert re.search(r"vy (is|are) worse than zero velocity", out)
    assert "wx is worse than zero velocity" in out
