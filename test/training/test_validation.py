"""Held-out blur has the velocity that it says, and the report tells what was put in."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core import measurement
from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.motion_field import double_angle, motion_field
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.network.blur_network import model_path
from blur_imu_ros.network.model_card import DIRECTED, ModelCard
from blur_imu_ros.network.torch_weights import read_network
from blur_imu_training.commands import validate
from blur_imu_training.data import held_out
from blur_imu_training.data.held_out import EXPOSURE_TIME, HeldOutFrame, held_out_frames
from blur_imu_training.training import selection
from blur_imu_training.validation import validate as validation

CAMERA = Camera(640, 448, 500.0, 500.0, 319.5, 223.5)
STRIDE = 8


class Oracle:
    """Knows the ground truth of frames by their index, and stretches its lengths."""

    def __init__(self, frames: list[HeldOutFrame], stretch: float, width: int = 320) -> None:
        self._frames, self._stretch = iter(frames), stretch
        self.input_size = (width, width * 7 // 10)

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        held_out = next(self._frames)
        u, v = cell_centres(self.input_size[1] // STRIDE, self.input_size[0] // STRIDE, STRIDE)
        rho = np.full(u.shape, held_out.inverse_depth[0, 0])
        tau = self._stretch * EXPOSURE_TIME
        motion = motion_field(
            camera, u, v, rho, held_out.angular_velocity * tau, held_out.linear_velocity * tau
        )
        full = np.full(u.shape, 0.3)
        return BlurField(double_angle(motion), full, rho, full, camera, STRIDE)


def frames(count: int = 6) -> list[HeldOutFrame]:
    """Frames before a wall 2 m away; what they show does not matter to the oracle."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        omega, v = rng.standard_normal(3) * 3, rng.standard_normal(3) * 0.5
        frame = Frame(np.zeros((448, 640, 3), np.uint8), float(index), EXPOSURE_TIME, CAMERA)
        made.append(HeldOutFrame(frame, omega, v, np.full((448, 640), 0.5, np.float32)))
    return made


def slower(one: HeldOutFrame) -> HeldOutFrame:
    """The frame of a camera that moves at a quarter of the speed."""
    return replace(
        one, angular_velocity=one.angular_velocity / 4, linear_velocity=one.linear_velocity / 4
    )


@pytest.mark.parametrize("stretch", [0.8, 1.0, 1.25])
def test_the_length_ratio_is_the_stretch_of_the_lengths(stretch: float) -> None:
    made = frames()
    result = validation.report(validation.measure(VisualImu(Oracle(made, stretch)), made))
    ratios = [one.length_ratio for one in result.bins if one.cells >= validation.FEWEST_CELLS]
    assert len(ratios) >= 3
    assert ratios == pytest.approx([stretch] * len(ratios), rel=1e-3)
    assert result.rotation_error == pytest.approx(abs(stretch - 1), abs=0.05)
    assert result.translation_slope == pytest.approx(stretch, abs=0.05)
    assert result.frames == 6
    assert validation.length_correction(result) == pytest.approx((1 / stretch, 0), abs=2e-3)


@pytest.mark.parametrize("stretch", [0.8, 1.25])
def test_calibrated_turns_come_out_at_their_length(stretch: float) -> None:
    """Where a robust fit leans towards zero, lengths that are right leave turns too short."""
    made = frames(6)
    lean = 0.9

    def measured(card: ModelCard) -> validation.HeldOutErrors:
        scale = stretch * card.length_scale
        errors = validation.measure(VisualImu(Oracle(made, scale)), made)
        short = errors.error - (1 - lean) * (errors.truth + errors.error)
        return replace(errors, error=short)

    card = ModelCard("o", DIRECTED, 320, 224, 8, (0, 0, 0), (1, 1, 1), 250.0, "", length_scale=7.0)
    set_right = validation.calibrated(card, measured)
    assert set_right.length_scale == pytest.approx(1 / (stretch * lean), rel=0.02)
    assert validation.turn_ratio(measured(set_right)) == pytest.approx(1, abs=0.02)


def test_a_network_that_reads_no_turns_is_not_scaled_by_them() -> None:
    made = frames(6)

    def measured(_: ModelCard) -> validation.HeldOutErrors:
        errors = validation.measure(VisualImu(Oracle(made, 1.0)), made)
        return replace(errors, error=-errors.truth)

    card = ModelCard("o", DIRECTED, 320, 224, 8, (0, 0, 0), (1, 1, 1), 250.0, "")
    assert validation.calibrated(card, measured).length_scale == pytest.approx(1, abs=0.01)


def test_frames_can_be_chosen_by_their_blur() -> None:
    made = [*frames(6), *map(slower, frames(6))]
    errors = validation.measure(VisualImu(Oracle(made, 1.0)), made)
    least = float(np.median(errors.blur))
    chosen = errors.of_frames(errors.blur > least)
    assert len(chosen.truth) == 6 and chosen.blur.min() > least
    with pytest.raises(RecordingError, match="no held-out frame"):
        errors.of_frames(errors.blur > 1e6)


class Streaky(Oracle):
    """Errs along the smear, and `ratio` times as far across it."""

    def __init__(self, frames: list[HeldOutFrame], ratio: float) -> None:
        super().__init__(frames, 1.0)
        self._ratio, self._rng = ratio, np.random.default_rng(1)

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        field = super().predict(image, camera)
        unit = field.motion / field.blur_length[..., None]
        across = np.stack([-unit[..., 1], unit[..., 0]], axis=-1)
        size = (*field.q.shape[:2], 1)
        errors = self._rng.standard_normal(size) * unit
        errors += self._ratio * self._rng.standard_normal(size) * across
        return replace(field, q=double_angle(field.motion + 0.4 * errors))


@pytest.mark.parametrize("ratio", [0.25, 0.6, 1.5])
def test_how_much_surer_motion_is_across_its_smear_is_found(ratio: float) -> None:
    made = frames()
    errors = validation.measure(VisualImu(Streaky(made, ratio)), made)
    assert validation.across_ratio(errors) == pytest.approx(min(ratio, 1), rel=0.07)


@pytest.mark.parametrize("slope", [-0.4, 0.0, 0.7])
def test_ground_that_is_nearer_than_the_model_says_is_found(
    slope: float,
) -> None:
    """A wall for the oracle, a floor that comes nearer downwards in truth."""
    below = (np.arange(448)[:, None] - CAMERA.cy) / CAMERA.fy
    made = [
        replace(one, inverse_depth=(one.inverse_depth * np.exp(slope * below)).astype(np.float32))
        for one in frames(3)
    ]
    result = validation.report(validation.measure(VisualImu(Oracle(made, 1.0)), made))
    assert result.depth_slope == pytest.approx(slope, abs=0.02)


def test_the_same_smears_are_told_alike_whatever_the_size_of_the_view() -> None:
    made = [*frames(6), *map(slower, frames(6))]
    small, large = (validation.measure(VisualImu(Oracle(made, 1.0, w)), made) for w in (320, 640))
    for one, two in zip(validation.report(small).bins, validation.report(large).bins, strict=True):
        assert (two.frames, two.cells) == (one.frames, pytest.approx(4 * one.cells, rel=0.1, abs=9))


def test_lengths_of_a_large_view_read_as_a_power_of_the_truth_are_set_right_by_the_card() -> None:
    """The card's power is of lengths in pixels of the model's own view."""
    made = [*frames(6), *map(slower, frames(6))]
    errors = validation.measure(VisualImu(Oracle(made, 1.0, 640)), made)
    own = 2 * errors.true_length
    read = 1.2 * own * (own / 10) ** -0.1
    result = validation.report(replace(errors, length=read / 2))
    scale, exponent = validation.length_correction(result, power_law=True)
    np.testing.assert_allclose(read * scale * (read / 10) ** exponent / own, 1, atol=0.03)


def test_lengths_read_as_a_power_of_the_truth_are_set_right_by_the_card() -> None:
    made = [*frames(6), *map(slower, frames(6))]
    errors = validation.measure(VisualImu(Oracle(made, 1.0)), made)
    read = 1.2 * errors.true_length * (errors.true_length / 10) ** -0.1
    result = validation.report(replace(errors, length=read))
    scale, exponent = validation.length_correction(result, power_law=True)
    set_right = read * scale * (read / 10) ** exponent
    assert (scale, exponent) == pytest.approx((1 / 1.2 ** (1 / 0.9), 0.1 / 0.9), rel=0.05)
    np.testing.assert_allclose(set_right / errors.true_length, 1, atol=0.03)


def test_a_network_that_reads_all_blur_alike_is_given_a_scale_and_no_exponent() -> None:
    made = [*frames(6), *map(slower, frames(6))]
    errors = validation.measure(VisualImu(Oracle(made, 1.0)), made)
    result = validation.report(replace(errors, length=np.full_like(errors.length, 9.0)))
    scale, exponent = validation.length_correction(result, power_law=True)
    assert exponent == 0
    assert 0.2 < scale < 5


def test_an_exact_network_has_small_errors_that_it_knows() -> None:
    made = frames()
    result = validation.report(validation.measure(VisualImu(Oracle(made, 1.0)), made))
    assert result.rotation_error < 0.03
    assert np.all(result.nees < 1)
    assert np.all(result.coverage[1] == 1)


def test_a_model_is_run_once_for_each_image_however_often_it_is_asked() -> None:
    runs: list[float] = []

    class Counting:
        runs_on = "a counter"

        def run(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
            runs.append(float(image.sum()))
            return (image + 1,)

    backend = validation.Remembered(Counting())
    images = [np.full((1, 3, 4, 4), value, np.float32) for value in (0.1, 0.2)]
    for _ in range(2):
        for image in images:
            np.testing.assert_array_equal(backend.run(image)[0], image + 1)
    assert len(runs) == 2


def test_the_card_tells_whose_pictures_lengths_were_calibrated_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("compact.onnx", "compact.json"):
        shutil.copy(model_path("compact").with_name(name), tmp_path / name)
    for name in (held_out.SEVEN_SCENES, held_out.NYU):
        (tmp_path / name).mkdir()
    seen = [*frames(2), *map(slower, frames(2))]
    noise = np.random.default_rng(0).integers(0, 255, (448, 640, 3), np.uint8)
    made = [replace(one, frame=replace(one.frame, image=noise)) for one in seen]
    monkeypatch.setattr(held_out, "held_out_frames", lambda *_: made)
    validate(str(tmp_path / "compact.onnx"), tmp_path, frames=4, calibrate=True, power_law=False)
    card = ModelCard.load(tmp_path / "compact.json")
    assert card.metrics["held_out"]["frames"] == 4
    assert all(term in card.training["calibration"] for term in held_out.TERMS)


def test_only_the_network_is_validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_at(*_: object) -> None:
        raise AssertionError("the autocorrelation of an image took part")

    monkeypatch.setattr(measurement, "whole_motion", looked_at)
    monkeypatch.setattr(held_out, "held_out_frames", lambda *_: frames(2))
    validate("compact", tmp_path, frames=2)
    card = ModelCard.load(model_path("compact").with_suffix(".json"))
    network = read_network(model_path("compact"), card.interface, card.weights_sha256).eval()
    assert selection.read(network, card, frames(2)).valid.shape == (2,)


def test_no_frames_are_refused() -> None:
    with pytest.raises(RecordingError, match="no frames"):
        validation.measure(VisualImu(Oracle([], 1.0)), [])


def test_held_out_frames_are_the_same_every_time_and_blurred(shared_data: Path) -> None:
    first, again = (list(held_out_frames(shared_data / "train", 2)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.frame.image, b.frame.image)
        assert np.array_equal(a.angular_velocity, b.angular_velocity)
        assert np.isfinite(a.inverse_depth).all() and a.inverse_depth.min() > 0
