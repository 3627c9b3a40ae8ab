"""Motion while the shutter is open: recorded by a gyroscope, within what cameras do, row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import RecordingError
from blur_imu_training.rendering.numpy_renderer import (
    SharpView,
    inverse_depth_seen,
    mean_over_exposure,
)
from blur_imu_training.scene.exposure_motion import (
    EXPOSURE_TIMES,
    FASTEST_SHIFT,
    FASTEST_TURN,
    LONGEST_SKEW,
    ExposureMotion,
    RecordedMotion,
    Shutter,
    random_motion,
    random_shutter,
)
from blur_imu_training.scene.recorded_rotations import RecordedTurns

WIDTH, HEIGHT = 160, 128
CAMERA = Camera(WIDTH, HEIGHT, 150, 150, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
ZERO = np.zeros(3)


def wavering_log(seconds: float = 2.0) -> RecordedTurns:
    t = np.arange(0, seconds, 0.005)
    omega = np.stack([2 + np.sin(60 * t), 0.5 * np.cos(40 * t), 0.3 * np.sin(90 * t)], axis=1)
    return RecordedTurns([(t, omega)])


def grid() -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.meshgrid(np.arange(0.0, WIDTH, 16), np.arange(0.0, HEIGHT, 16)))  # type: ignore[return-value]


# --- recorded motion --------------------------------------------------------------------------


def test_a_constant_recording_is_a_constant_turn() -> None:
    omega = np.array([0.1, -0.3, 0.2])
    motion = RecordedMotion.from_rates(np.tile(omega, (7, 1)), np.zeros((7, 3)))
    for s in (-0.5, -0.13, 0.0, 0.4, 0.5):
        np.testing.assert_allclose(motion.at(s)[0], omega * s, atol=1e-12)
    np.testing.assert_allclose(motion.rotation, omega)


def test_turns_follow_each_other_in_the_axes_of_the_body() -> None:
    quarter = np.pi / 2
    rates = np.array([[2 * quarter, 0, 0], [0, 2 * quarter, 0]])
    motion = RecordedMotion.from_rates(rates, np.zeros((2, 3)))
    opened, closed = (Rotation.from_rotvec(motion.at(s)[0]) for s in (-0.5, 0.5))
    expected = Rotation.from_rotvec([quarter, 0, 0]) * Rotation.from_rotvec([0, quarter, 0])
    np.testing.assert_allclose((opened.inv() * closed).as_matrix(), expected.as_matrix(), atol=1e-9)


def test_a_recorded_drive_around_a_bend_ends_where_the_arc_ends() -> None:
    """Forward along z while yawing by 0.5 rad: an arc of length 1 and radius 2."""
    n = 40
    motion = RecordedMotion.from_rates(np.tile([0, 0.5, 0], (n, 1)), np.tile([0, 0, 1.0], (n, 1)))
    place = motion.at(0.5)[1]
    np.testing.assert_allclose(place, [2 * (1 - np.cos(0.25)), 0, 2 * np.sin(0.25)], atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_a_piece_of_a_log_keeps_the_mean_motion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean = ExposureMotion(rng.normal(0, 0.1, 3), rng.normal(0, 0.02, 3), ZERO, ZERO)
    motion = wavering_log().follow(mean, Shutter(0.02, 0.01), rng)
    assert isinstance(motion, RecordedMotion)
    np.testing.assert_allclose(motion.rotation, mean.rotation, atol=1e-12)
    np.testing.assert_allclose(motion.translation, mean.translation, atol=1e-12)
    assert np.ptp(motion.angular_rates, axis=0).max() > 0
    turned = Rotation.from_rotvec(motion.at(-0.5)[0]).inv() * Rotation.from_rotvec(
        motion.at(0.5)[0]
    )
    np.testing.assert_allclose(turned.as_rotvec(), mean.rotation, atol=0.01)


def test_no_piece_goes_across_a_gap_in_the_log() -> None:
    t = np.concatenate([np.arange(0, 0.03, 0.005), np.arange(1.0, 1.03, 0.005)])
    turns = RecordedTurns([(t, np.ones((len(t), 3)) + t[:, None])])
    mean = ExposureMotion(np.array([0.1, 0, 0]), ZERO, ZERO, ZERO)
    assert turns.follow(mean, Shutter(0.04), np.random.default_rng(0)) is mean


@pytest.mark.parametrize(
    ("content", "reason"),
    [("1 2 3\n4 5 6\n", "expected rows"), ("a b c d\n", "not a gyroscope log"), ("2 0 0 0\n1 0 0 0\n", "does not increase")],
)  # fmt: skip
def test_a_damaged_log_is_refused_by_name(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "log.txt").write_text(content)
    with pytest.raises(RecordingError, match=rf"log\.txt.*{reason}"):
        RecordedTurns.from_folder(tmp_path)


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no gyroscope logs"):
        RecordedTurns.from_folder(tmp_path)


def test_real_logs_can_be_followed(shared_data: Path) -> None:
    turns = RecordedTurns.from_folder(shared_data / "train" / "gyro_traces")
    rng = np.random.default_rng(0)
    mean = ExposureMotion(np.array([0.0, 0.1, 0.02]), ZERO, ZERO, ZERO)
    followed = [turns.follow(mean, Shutter(0.02), rng) for _ in range(20)]
    assert sum(isinstance(motion, RecordedMotion) for motion in followed) > 15


# --- ranges -----------------------------------------------------------------------------------


def test_motions_cover_what_cameras_do_and_no_more() -> None:
    u, v = grid()
    blur, turn, shift, times = [], [], [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        inverse = np.full(u.shape, rng.choice([0.01, 0.3, 1.5]), np.float32)
        motion = random_motion(CAMERA, u, v, inverse, 60.0, rng)
        field = motion_field(CAMERA, u, v, inverse, motion.rotation, motion.translation)
        lengths = np.hypot(field[..., 0], field[..., 1])
        shutter = random_shutter(motion, float(lengths.max()), rng)
        blur.append(lengths.mean())
        turn.append(np.linalg.norm(motion.rotation) / shutter.exposure_time)
        shift.append(np.linalg.norm(motion.translation) / shutter.exposure_time)
        times.append(shutter.exposure_time)
        assert shutter.skew * lengths.max() <= 2 * max(LONGEST_SKEW, shutter.skew) + 1e-6
    assert 12 < max(turn) <= FASTEST_TURN * (1 + 1e-6)
    assert 5 < max(shift) <= FASTEST_SHIFT * (1 + 1e-6)
    assert EXPOSURE_TIMES[0] <= min(times) < 0.002 and 0.038 < max(times) <= EXPOSURE_TIMES[1]
    assert min(blur) < 0.3 and 50 < max(blur) <= 60 + 1e-6


def test_before_far_scenes_rotation_makes_the_blur() -> None:
    u, v = grid()
    inverse = np.full(u.shape, 0.01, np.float32)
    for seed in range(40):
        motion = random_motion(CAMERA, u, v, inverse, 30.0, np.random.default_rng(seed))
        turned = motion_field(CAMERA, u, v, inverse, motion.rotation, ZERO)
        both = motion_field(CAMERA, u, v, inverse, motion.rotation, motion.translation)
        np.testing.assert_allclose(turned, both, atol=0.5)


# --- rolling shutter --------------------------------------------------------------------------


def still_picture(radiance: np.ndarray) -> SharpView:
    return SharpView(radiance, np.full((HEIGHT, WIDTH), 0.5, np.float32), CAMERA)


def centroid_of_row(picture: np.ndarray, row: int) -> float:
    return float((picture[row, :, 0] * np.arange(WIDTH)).sum() / picture[row, :, 0].sum())


def test_a_rolling_shutter_leans_an_upright_line_under_yaw() -> None:
    """Yawing right by f theta px an exposure moves the line left, later rows more."""
    line = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    line[:, WIDTH // 2] = 1
    motion = ExposureMotion(np.array([0, 0.05, 0]), ZERO, ZERO, ZERO)
    picture = mean_over_exposure(still_picture(line), motion, CAMERA, 0, 0, 0.5, skew=2.0)
    top, bottom = centroid_of_row(picture, 10), centroid_of_row(picture, 117)
    leaned = -150 * 0.05 * 2.0 * (117 - 10) / (HEIGHT - 1)
    assert bottom - top == pytest.approx(leaned, abs=0.3)
    assert centroid_of_row(picture, HEIGHT // 2) == pytest.approx(WIDTH // 2, abs=0.3)
    lit = (picture[10, :, 0] > 0.02).sum()
    assert lit == pytest.approx(150 * 0.05, abs=2), (
        "each row smears as far as with a global shutter"
    )


def test_without_skew_a_rolling_shutter_is_a_global_one() -> None:
    rng = np.random.default_rng(0)
    view = still_picture(rng.random((HEIGHT, WIDTH, 3), dtype=np.float32))
    motion = ExposureMotion(np.array([0.02, 0.05, 0.1]), np.array([0.02, 0, 0.05]), ZERO, ZERO)
    whole = mean_over_exposure(view, motion, CAMERA, 0, 0, 1.0)
    by_rows = mean_over_exposure(view, motion, CAMERA, 0, 0, 1.0, skew=1e-9)
    np.testing.assert_allclose(whole, by_rows, atol=1e-3)


def test_rows_read_later_see_what_the_camera_has_come_nearer_to() -> None:
    view = still_picture(np.zeros((HEIGHT, WIDTH, 3), np.float32))
    forward = ExposureMotion(ZERO, np.array([0, 0, 0.2]), ZERO, ZERO)
    seen = inverse_depth_seen(view, forward, CAMERA, 0, 0, skew=1.0)
    assert 1 / seen[0].mean() == pytest.approx(2.1, abs=0.01)
    assert 1 / seen[-1].mean() == pytest.approx(1.9, abs=0.01)
