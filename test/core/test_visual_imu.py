"""The whole chain behind a network that knows the ground truth."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import FrameError, SettingsError
from blur_imu_ros.recordings.camera_files import load_camera
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of, seen_after, texture

GYRO_FROM_CAMERA = np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1]], dtype=float)
RATE = np.array([0.4, 3.0, -1.0])
STEP = 1 / 30


class Oracle:
    """Returns the true field of the next velocity (angular, linear); None stands for a bad
    frame."""

    input_size = (CAMERA.width, CAMERA.height)

    def __init__(
        self, velocities: list[np.ndarray | None], sigma: float = 0.3, signed: bool = False
    ) -> None:
        self._velocities = iter(velocities)
        self._sigma, self._signed = sigma, signed
        self.seen: list[tuple[np.ndarray, Camera]] = []

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        self.seen.append((image, camera))
        velocity = next(self._velocities)
        if velocity is None:
            raise FrameError("this image is unusable")
        return field_of(
            velocity[:3], velocity[3:], camera=camera, sigma=self._sigma, signed=self._signed
        )


def turning(count: int) -> list[Frame]:
    """Frames of a camera that turns at RATE."""
    scene = texture()
    return [
        Frame(seen_after(RATE * k * STEP, scene), k * STEP, EXPOSURE, CAMERA, f"{k}")
        for k in range(count)
    ]


TRUE = np.concatenate([RATE, np.zeros(3)])


def test_measure_leaves_the_sign_open():
    measurement = VisualImu(Oracle([TRUE])).measure(turning(1)[0])
    found = measurement.estimate.angular_velocity
    assert np.abs(found) == pytest.approx(np.abs(RATE), rel=0.01, abs=0.02)
    assert measurement.estimate.direction_probability == 0.5
    assert measurement.estimate.valid


@pytest.mark.parametrize("mode", ["adjacent", "previous"])
def test_track_gives_one_measurement_a_frame_in_order_with_the_right_sign(mode):
    frames = turning(6)
    imu = VisualImu(Oracle([TRUE] * 6), direction=DirectionConfig(mode=mode))
    found = list(imu.track(frames))
    assert [m.frame for m in found] == frames
    assert [m.estimate.t for m in found] == [f.t for f in frames]
    certain = found if mode == "adjacent" else found[1:]
    for measurement in certain:
        assert measurement.estimate.angular_velocity == pytest.approx(RATE, rel=0.02, abs=0.06)
        assert measurement.estimate.direction_probability > 0.99


def test_the_sign_that_a_network_guesses_is_not_believed():
    guesses = [sign * TRUE for sign in (1, -1, -1, 1, -1, 1)]
    found = list(VisualImu(Oracle(guesses, signed=True)).track(turning(6)))
    for measurement in found:
        assert measurement.estimate.angular_velocity == pytest.approx(RATE, rel=0.02, abs=0.06)
        assert measurement.estimate.direction_probability > 0.99


def test_track_without_direction_gives_each_frame_at_once():
    imu = VisualImu(Oracle([TRUE] * 2), direction=DirectionConfig(mode="none"))
    tracker = imu.tracker()
    for frame in turning(2):
        (measurement,) = tracker.push(imu.measure(frame))
        assert measurement.frame is frame
        assert measurement.estimate.direction_probability == 0.5
    assert tracker.flush() == []


@pytest.mark.parametrize("error", [FrameError("a damaged image"), OSError("the cable was pulled")])
def test_what_was_seen_before_an_error_comes_first(error):
    def frames():
        yield from turning(3)
        raise error

    given = []
    with pytest.raises(type(error)):
        for measurement in VisualImu(Oracle([TRUE] * 3)).track(frames()):
            given.append(measurement.frame.name)
    assert given == ["0", "1", "2"]


def test_push_and_flush_give_what_track_gives():
    imu = VisualImu(Oracle([TRUE] * 4))
    tracker = imu.tracker()
    pushed = [tracker.push(imu.measure(frame)) for frame in turning(4)]
    assert [len(p) for p in pushed] == [0, 1, 1, 1]
    assert [len(tracker.flush()), len(tracker.flush())] == [1, 0]


@pytest.mark.parametrize("mode", ["adjacent", "previous", "none"])
def test_an_unusable_frame_keeps_its_row_and_does_not_end_the_track(mode):
    frames = turning(5)
    oracle = Oracle([TRUE, TRUE, None, TRUE, TRUE])
    found = list(VisualImu(oracle, direction=DirectionConfig(mode=mode)).track(frames))
    assert [m.frame for m in found] == frames
    assert [m.estimate.valid for m in found] == [True, True, False, True, True]
    bad = found[2]
    assert bad.estimate.reasons == ("this image is unusable",)
    assert bad.field is None
    assert np.isfinite(bad.estimate.sigma).all()
    assert bad.estimate.direction_probability == 0.5


def test_an_estimate_that_is_not_valid_gives_no_evidence_of_direction():
    frames = turning(3)
    found = list(VisualImu(Oracle([TRUE] * 3, sigma=1e3), registration=None).track(frames))
    assert [m.estimate.valid for m in found] == [False] * 3
    assert [m.estimate.direction_probability for m in found] == [0.5] * 3


def test_the_network_sees_its_own_size_in_colour_with_the_camera_of_that_view():
    camera = Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
    oracle = Oracle([TRUE] * 2)
    imu = VisualImu(oracle)
    grey = np.random.default_rng(0).integers(0, 255, (480, 640), np.uint8)
    colour = np.dstack([grey, grey // 2, grey // 4])
    measured = [imu.measure(Frame(image, 0.0, EXPOSURE, camera)) for image in (grey, colour)]
    for (image, view), measurement in zip(oracle.seen, measured, strict=True):
        assert image.shape == (224, 320, 3)
        assert (view.width, view.height) == (320, 224)
        assert view.fx == pytest.approx(250.0)
        assert measurement.view is image
    assert np.array_equal(oracle.seen[0][0][..., 0], oracle.seen[0][0][..., 2])


def dining(folder: Path) -> tuple[list[Frame], np.ndarray]:
    """The real frames, and (n, 6) their velocities in camera axes."""
    with (folder / "truth.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    camera = load_camera(folder / "camera.yaml")
    frames = [
        Frame(cv2.imread(str(folder / f"frames/{k:06d}.jpg")), row["t"], EXPOSURE, camera, str(k))
        for k, row in enumerate(rows)
    ]
    gyro = np.array([[row[k] for k in ("wx", "wy", "wz")] for row in rows])
    linear = np.array([[row[k] for k in ("vx", "vy", "vz")] for row in rows])
    return frames, np.hstack([gyro @ GYRO_FROM_CAMERA, linear])


def share_of_right_signs(found: list[Measurement], truth: np.ndarray) -> float:
    """Among the frames that turn faster than 2 rad/s."""
    angular = np.array([m.estimate.angular_velocity for m in found])
    fast = np.linalg.norm(truth[:, :3], axis=1) > 2
    return float(np.mean(np.sum(angular * truth[:, :3], axis=1)[fast] > 0))


@pytest.mark.parametrize(
    ("mode", "length", "least"),
    [("adjacent", 1.0, 0.99), ("previous", 1.0, 0.98), ("adjacent", 1.3, 0.98)],
    ids=["adjacent", "previous", "blur read too long"],
)
def test_signs_on_real_frames(shared_data, mode, length, least):
    frames, truth = dining(shared_data / "dining")
    imu = VisualImu(Oracle(list(length * truth)), direction=DirectionConfig(mode=mode))
    assert share_of_right_signs(list(imu.track(frames)), truth) >= least


def test_a_camera_in_a_hand_is_measured_with_its_lever_arm():
    """The linear velocity that follows from the turn is known better, and the prior is causal."""
    arm = np.array([0.0, 0.0, 0.3])
    turns = np.random.default_rng(0).standard_normal((20, 3)) * 2
    velocities = [np.concatenate([omega, np.cross(omega, arm)]) for omega in turns]
    frames = turning(20)  # Sharp ones: what is told of their blur, only the field tells.
    alone = {"registration": None, "autocorrelation": None}
    free = list(VisualImu(Oracle(list(velocities)), **alone).track(frames))
    imu = VisualImu(Oracle(list(velocities)), pivot=PivotConfig(), **alone)
    held = list(imu.track(frames))
    assert [m.frame.name for m in held] == [f.name for f in frames]
    late = slice(10, None)
    assert all(h.estimate.sigma[3] < f.estimate.sigma[3] for h, f in zip(held, free, strict=True))
    sign = [
        np.sign(m.estimate.angular_velocity @ omega) for m, omega in zip(held, turns, strict=True)
    ]
    errors = [
        s * m.estimate.linear_velocity - v[3:]
        for s, m, v in zip(sign[late], held[late], velocities[late], strict=True)
    ]
    assert np.abs(errors).max() < 0.15


@pytest.mark.parametrize("given", [None, 5, np.zeros((224, 320, 3), np.uint8)])
def test_what_is_no_frame_is_refused_in_words(given):
    with pytest.raises(FrameError, match="is not a frame; give Frame"):
        list(VisualImu(Oracle([])).track([given]))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(SettingsError, match="linear_scale"):
        VisualImu(Oracle([]), linear_scale=scale)


def test_a_scale_of_another_type_is_refused():
    with pytest.raises(SettingsError, match="linear_scale '2'"):
        VisualImu(Oracle([]), linear_scale="2")


@pytest.mark.parametrize("network", [None, "compact"])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(SettingsError, match="give what load_network returns"):
        VisualImu(network)


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("registration", False, "RegistrationConfig"),
        ("registration", True, "RegistrationConfig"),
        ("direction", "previous", "DirectionConfig"),
        ("pivot", True, "PivotConfig"),
        ("motion", {}, "MotionFilterConfig"),
        ("solver", 1, "VelocitySolver"),
    ],
)
def test_settings_of_another_kind_are_refused_not_ignored(name, value, cure):
    with pytest.raises(SettingsError, match=f"{name} is .*; give {cure}"):
        VisualImu(Oracle([]), **{name: value})


@pytest.mark.parametrize("focal", [4.2, 0.75, 1e6])
def test_a_focal_length_that_is_not_in_pixels_is_not_believed(focal):
    camera = Camera(CAMERA.width, CAMERA.height, focal, focal, CAMERA.cx, CAMERA.cy)
    frame = Frame(np.zeros((camera.height, camera.width), np.uint8), 0.0, EXPOSURE, camera)
    estimate = VisualImu(Oracle([TRUE])).measure(frame).estimate
    assert not estimate.valid and "pixels" in estimate.reasons[0]


@pytest.mark.parametrize(
    ("width", "height", "valid"), [(2, 2, False), (64, 31, False), (32, 32, True)]
)
def test_an_image_of_a_few_pixels_is_not_measured(width, height, valid):
    camera = Camera(width, height, 50.0, 50.0, (width - 1) / 2, (height - 1) / 2)
    frame = Frame(np.zeros((height, width), np.uint8), 0.0, EXPOSURE, camera)
    estimate = VisualImu(Oracle([TRUE])).measure(frame).estimate
    assert estimate.valid is valid
    assert valid or "is too small to be measured" in estimate.reasons[0]
