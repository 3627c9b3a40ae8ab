"""The model that is shipped, on real frames, and on frames that hold nothing to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blur_imu_ros.choices import DEFAULT_MODEL, Axes, Direction
from blur_imu_ros.cli.run import run
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.core.autocorrelation import AutocorrelationConfig
from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.evaluation.metrics import Evaluation, evaluate, in_axes, match
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings.camera_files import load_camera
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.simulation.room_renderer import blurred_image, constant_velocity, furnished_room
from helpers.command_line import needs_model

pytestmark = needs_model

CAMERA = Camera(640, 480, 480.0, 480.0, 319.5, 239.5)


@dataclass(frozen=True)
class RealRun:
    """What a user finds who runs a model on the real sequence."""

    result: Evaluation
    valid: NDArray[np.bool_]


@pytest.fixture(
    scope="module",
    params=[
        ("compact", "adjacent"),
        ("compact", "previous"),
        ("compact-int8", "previous"),
    ],
    ids="-".join,
)
def real(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> RealRun:
    folder, (model, direction) = shared_data / "dining", request.param
    output = tmp_path_factory.mktemp(direction) / "estimate.csv"
    return on_real_frames(folder, model, direction, output)


def on_real_frames(folder: Path, model: str, direction: Direction, output: Path) -> RealRun:
    run(
        RunOptions(
            source=folder / "frames",
            output=output,
            camera=folder / "camera.yaml",
            exposure=0.01,
            stamps=folder / "truth.csv",
            direction=Direction(direction),
            model=model,
        )  # fmt: skip
    )
    estimate = in_axes(read_velocities(output), Axes.OPTICAL, Axes.GYRO)
    truth = read_velocities(folder / "truth.csv")
    return RealRun(evaluate(match(estimate, truth)), estimate.valid)


def test_every_real_frame_has_its_row_and_can_be_read(real: RealRun) -> None:
    assert len(real.valid) == 175 and real.valid.all()


def test_the_turn_of_real_frames_is_measured_on_every_axis(real: RealRun) -> None:
    """At most half the error of saying zero, frames that were refused counted as they stand."""
    assert np.all(real.result.rmse_all_rows[:3] < 0.5 * real.result.zero_rmse[:3])
    assert np.all(real.result.correlation[:3] > 0.9)


def test_the_linear_velocity_of_real_frames_is_better_than_none(real: RealRun) -> None:
    assert np.all(real.result.rmse_all_rows[3:] < real.result.zero_rmse[3:])


def test_the_sign_is_right_on_real_frames(real: RealRun) -> None:
    assert real.result.clear_rows > 100
    assert real.result.right_signs >= 0.99


def test_lengths_of_real_blur_are_not_stretched(real: RealRun) -> None:
    """The exposure that fits best is near the true one."""
    assert 0.9 < real.result.exposure_scale < 1.15


def test_the_default_model_errs_less_than_the_published_estimate_on_every_axis(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "dining"
    ours = on_real_frames(folder, DEFAULT_MODEL, "adjacent", tmp_path / "estimate.csv")
    curve, truth = (read_velocities(folder / f"{name}.csv") for name in ("published", "truth"))
    assert np.all(ours.result.rmse_all_rows < evaluate(match(curve, truth)).rmse)


def test_each_image_alone_errs_less_by_both_ends_of_its_blur(shared_data: Path) -> None:
    """Real frames of a hand, one in three; the ground truth gives the sign that none shows."""
    folder = shared_data / "dining"
    table, camera = CsvTable(folder / "truth.csv"), load_camera(folder / "camera.yaml")
    truth = np.stack([table.column(name) for name in ("wx", "wy", "wz")], axis=1)[::3]
    errors = {}
    for how in (None, AutocorrelationConfig()):
        imu = VisualImu(load_network(), autocorrelation=how)
        found = []
        for number, true in zip(range(0, 3 * len(truth), 3), truth, strict=True):
            image = cv2.imread(str(folder / f"frames/{number:06d}.jpg"))
            estimate = imu.measure(Frame(image, 0.0, 0.01, camera)).estimate
            omega = GYRO_FROM_OPTICAL @ estimate.angular_velocity
            found.append(np.copysign(1, omega @ true) * omega - true)
        errors[how is None] = np.sqrt(np.mean(np.square(found), axis=0))
    with_both_ends, by_the_network = errors[False], errors[True]
    # 0.48, 0.36, 0.54 and 0.86, 0.41, 0.69 rad/s over all frames.
    assert with_both_ends[0] < 0.75 * by_the_network[0]
    assert np.all(with_both_ends < 1.05 * by_the_network)


def frame(image: np.ndarray) -> Frame:
    return Frame(np.ascontiguousarray(image), 0.0, 0.01, CAMERA)


def sharp_room() -> np.ndarray:
    still = constant_velocity(np.zeros(3), np.zeros(3))
    return blurred_image(furnished_room(), CAMERA, still, 0.0, 0.01)


def nothing(name: str) -> np.ndarray:
    size = (CAMERA.height, CAMERA.width, 3)
    if name == "noise":
        return np.clip(np.random.default_rng(0).normal(128, 5, size), 0, 255).astype(np.uint8)
    if name == "out of focus":
        return np.asarray(cv2.GaussianBlur(sharp_room(), (0, 0), 25), np.uint8)
    if name == "orange":
        return np.full(size, (40, 120, 200), np.uint8)
    return np.full(size, {"black": 0, "dark": 20, "grey": 128, "white": 255}[name], np.uint8)


@pytest.mark.parametrize("model", ["compact", "compact-int8"])
@pytest.mark.parametrize(
    "name", ["black", "dark", "grey", "white", "orange", "noise", "out of focus"]
)
def test_a_frame_that_holds_nothing_is_not_valid_and_says_why(name: str, model: str) -> None:
    estimate = VisualImu(load_network(model)).measure(frame(nothing(name))).estimate
    assert not estimate.valid and estimate.reasons
    assert np.isfinite(estimate.covariance).all()


def test_a_still_camera_is_told_from_a_moving_one() -> None:
    imu = VisualImu(load_network())
    still = imu.measure(frame(sharp_room())).estimate
    omega = np.array([0.0, 5.0, 0.0])
    moving = constant_velocity(omega, np.zeros(3))
    image = blurred_image(furnished_room(), CAMERA, moving, 0.0, 0.01)
    turning = imu.measure(frame(image)).estimate
    assert still.blur_px < 2 < turning.blur_px
    assert np.linalg.norm(still.angular_velocity) < 1.0
    assert abs(turning.angular_velocity[1]) == pytest.approx(5.0, rel=0.4)


def test_a_longer_lens_sees_the_same_turn_as_longer_blur() -> None:
    """Both cameras see one turn; the blur is of the view's pixels, the velocity is the turn's."""
    imu = VisualImu(load_network())
    omega = np.array([0.0, 4.0, 0.0])
    moving = constant_velocity(omega, np.zeros(3))
    found = []
    for focal in (350.0, 600.0):
        camera = Camera(640, 480, focal, focal, 319.5, 239.5)
        image = blurred_image(furnished_room(), camera, moving, 0.0, 0.01)
        estimate = imu.measure(Frame(image, 0.0, 0.01, camera)).estimate
        motion = motion_field(
            camera, np.array(319.5), np.array(239.5), np.array(0.0), omega * 0.01, np.zeros(3)
        )
        found.append((abs(estimate.angular_velocity[1]), float(np.hypot(*motion))))
    assert found[1][1] > 1.5 * found[0][1]
    assert found[0][0] == pytest.approx(4.0, rel=0.4)
    assert found[1][0] == pytest.approx(4.0, rel=0.4)


def test_the_real_camera_is_read(shared_data: Path) -> None:
    assert load_camera(shared_data / "dining" / "camera.yaml").width == 688
