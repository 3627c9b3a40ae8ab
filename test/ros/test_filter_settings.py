"""The shipped settings of robot_localization, on a reference of its velocity states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.axes import express, six_from_optical
from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.camera_files import load_camera
from blur_imu_ros.recordings.csv_tables import read_series
from blur_imu_ros.results.ros_fields import silence
from helpers.command_line import needs_model
from helpers.velocity_filter import ANGULAR, LINEAR, VelocityFilter, settings_of

CONFIG = Path(__file__).resolve().parents[2] / "config"
DRIVES = (CONFIG / "ekf.yaml",)
CARRIED = (*DRIVES, CONFIG / "ekf_carried.yaml")
MOTIONS = pytest.mark.parametrize("files", [DRIVES, CARRIED], ids=["drives", "carried"])
RATE = 30.0

Array = NDArray[Any]


def fused(files: tuple[Path, ...], truth: Array, sigma: Array, seed: int = 0) -> Any:
    """Return the filter, its output and its input, (n, 6) angular first; `sigma` is honest."""
    noise = np.random.default_rng(seed).normal(size=truth.shape)
    measured = truth + sigma * noise
    one = VelocityFilter(settings_of(*files))
    out = []
    for k, row in enumerate(measured):
        one.imu(k / RATE, row[:3], np.diag(sigma[:3] ** 2))
        one.twist(k / RATE, row[3:], np.diag(sigma[3:] ** 2))
        out.append([*one.state[ANGULAR], *one.state[LINEAR]])
    return one, np.array(out), measured


def shaken(seconds: float, peaks: Array, hertz: Array) -> Array:
    """(n, 6) velocities of sinusoids, one of its own for each axis."""
    t = np.arange(0, seconds, 1 / RATE)[:, None]
    return np.asarray(peaks * np.sin(2 * np.pi * hertz * t + np.arange(6)))


@MOTIONS
def test_a_step_is_followed_within_two_frames(files: tuple[Path, ...]) -> None:
    truth = np.zeros((90, 6))
    truth[60:, :3] = 1.0
    # Without the draws of its noise: what is left of the step is the filter's own.
    one = VelocityFilter(settings_of(*files))
    for k, row in enumerate(truth[:62]):
        one.imu(k / RATE, row[:3], np.eye(3) * 0.3**2)
        one.twist(k / RATE, row[3:], np.eye(3) * 0.2**2)
    np.testing.assert_allclose(one.state[ANGULAR], 1.0, atol=0.1)
    assert one.rejected == 0


def test_a_fast_hand_is_fused_within_the_raw_error_and_nothing_is_rejected() -> None:
    truth = shaken(20.0, np.array([5, 2, 6, 1.6, 1.8, 1.4]), np.array([2.2, 2.8, 2.1, 2, 1.8, 2.3]))
    sigma = np.array([1.0, 0.5, 1.0, 0.6, 0.6, 0.6])
    one, out, measured = fused(CARRIED, truth, sigma)
    settled = slice(2, None)
    error = np.sqrt(np.mean((out - truth)[settled] ** 2, axis=0))
    raw = np.sqrt(np.mean((measured - truth)[settled] ** 2, axis=0))
    assert (error <= raw).all(), f"fused {error}, raw {raw}"
    assert one.rejected == 0


def test_the_filters_own_process_noise_would_ignore_the_camera() -> None:
    truth = shaken(10.0, np.array([5, 2, 6, 1.6, 1.8, 1.4]), np.full(6, 2.0))
    without = settings_of(*CARRIED)
    for name in ("process_noise_covariance", "initial_estimate_covariance"):
        del without[name]
    one, out = VelocityFilter(without), []
    for k, row in enumerate(truth):
        one.imu(k / RATE, row[:3], np.eye(3))
        out.append(one.state[ANGULAR])
    error = np.sqrt(np.mean((np.array(out) - truth[:, :3]) ** 2))
    assert error > 0.9 * np.sqrt(np.mean(truth[:, :3] ** 2)), "what the settings cure"
    assert one.rejected > 0


def test_a_robot_that_drives_is_smoothed() -> None:
    t = np.arange(0, 20, 1 / RATE)
    truth = np.zeros((len(t), 6))
    truth[:, 2], truth[:, 3] = 0.6 * np.sin(0.7 * t), 0.5 + 0.2 * np.sin(0.3 * t)
    one, out, measured = fused(DRIVES, truth, np.array([0.3, 0.3, 0.3, 0.3, 0.3, 0.3]))
    error = np.sqrt(np.mean((out - truth) ** 2, axis=0))
    raw = np.sqrt(np.mean((measured - truth) ** 2, axis=0))
    assert (error < raw).all() and one.rejected == 0


@MOTIONS
def test_an_outlier_is_left_out_once(files: tuple[Path, ...]) -> None:
    truth = np.zeros((60, 6))
    one, out, _ = fused(files, truth, np.full(6, 0.2))
    before = one.rejected
    one.imu(60 / RATE, np.array([200.0, 0, 0]), np.eye(3) * 0.2**2)
    assert one.rejected == before + 1 and np.abs(one.state[ANGULAR]).max() < 1


@MOTIONS
def test_a_gap_gives_no_velocity_of_its_own(files: tuple[Path, ...]) -> None:
    one, out, _ = fused(files, np.full((60, 6), 0.5), np.full(6, 0.1))
    one.predict(60 / RATE + 1.0)
    np.testing.assert_allclose(one.state[LINEAR], out[-1][3:], atol=0.1)


@dataclass(frozen=True)
class Published:
    """What the node would publish of a recording, and the ground truth (n, 6), NaN where
    unknown."""

    estimates: list[VelocityEstimate]
    truth: Array


def published(folder: Path, exposure_time: float) -> Published:
    truth = read_series(folder / "truth.csv")
    # Its angular velocity is in the axes of a phone's gyroscope.
    optical = truth.velocity.copy()
    optical[:, :3] = -truth.velocity[:, [1, 0, 2]]
    camera = load_camera(folder / "camera.yaml")
    settings = FrameSettings(camera=camera, exposure_time=exposure_time, stamps=truth.t)
    imu = VisualImu(load_network("compact"), direction=DirectionConfig(mode="previous"))
    tracked = imu.track(open_recording(folder / "frames", settings))
    found = [express(measurement.estimate, Axes.BODY) for measurement in tracked]
    told = [silence(estimate, "previous") is None for estimate in found]
    turned = six_from_optical(Axes.BODY)[:3, :3].T
    # Apart, since a walk has no truth of v.
    true = np.hstack([optical[:, :3] @ turned, optical[:, 3:] @ turned])
    return Published([one for one, on in zip(found, told, strict=True) if on], true[told])


@dataclass(frozen=True)
class Outcome:
    """Errors before and after the filter, (n, 6), its sigma (n, 6), and what it rejected."""

    raw: Array
    fused: Array
    sigma: Array
    rejected: int

    @property
    def ratios(self) -> Array:
        """(6,) RMSE of the fused velocity over that of the published one."""
        return np.asarray(np.sqrt(np.mean(self.fused**2, axis=0) / np.mean(self.raw**2, axis=0)))


def filtered(recording: Published, files: tuple[Path, ...]) -> Outcome:
    one, fused, sigma = VelocityFilter(settings_of(*files)), [], []
    for estimate in recording.estimates:
        covariance = estimate.covariance_with_sign
        one.imu(estimate.t, estimate.angular_velocity, covariance[:3, :3])
        one.twist(estimate.t, estimate.linear_velocity, covariance[3:, 3:])
        fused.append([*one.state[ANGULAR], *one.state[LINEAR]])
        variances = np.diag(one.covariance)
        sigma.append(np.sqrt([*variances[ANGULAR], *variances[LINEAR]]))
    raw = np.array([estimate.velocity for estimate in recording.estimates]) - recording.truth
    return Outcome(raw, np.array(fused) - recording.truth, np.array(sigma), one.rejected)


@pytest.fixture(scope="module")
def hand(shared_data: Path) -> Published:
    return published(shared_data / "dining", 0.01)


@pytest.fixture(scope="module")
def walk(shared_data: Path) -> Published:
    return published(shared_data / "walk", 0.02)


@needs_model
def test_a_real_hand_is_fused_within_the_raw_error_and_nothing_is_rejected(
    hand: Published,
) -> None:
    found = filtered(hand, CARRIED)
    assert len(found.raw) > 150 and found.rejected == 0
    # What is published is a filter's output, of a better model of motion: no axis may lose.
    assert (found.ratios < 1).all(), f"fused over published {found.ratios}"
    for velocity in (slice(0, 3), slice(3, 6)):
        before, after = (np.linalg.norm(e[:, velocity]) for e in (found.raw, found.fused))
        assert after < before


@needs_model
@MOTIONS
def test_a_real_walk_is_fused_within_the_raw_error_and_nothing_is_rejected(
    walk: Published, files: tuple[Path, ...]
) -> None:
    found = filtered(walk, files)
    assert len(found.raw) > 200 and found.rejected == 0
    assert (found.ratios[:3] < 1.01).all(), f"fused over published {found.ratios}"


@needs_model
def test_the_filter_is_no_surer_than_what_it_was_given(hand: Published, walk: Published) -> None:
    # Errors of successive outputs hang together: who averaged them again would believe too much.
    for recording, files in ((hand, CARRIED), (walk, DRIVES)):
        found = filtered(recording, files)
        published_sigma = np.array([one.sigma for one in recording.estimates])
        assert (np.median(found.sigma[:, :3] / published_sigma[:, :3], axis=0) > 0.9).all()
