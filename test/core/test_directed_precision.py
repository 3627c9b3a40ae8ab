"""A precision that depends on the direction: what it is, and what the solver makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import double_angle
from blur_imu_ros.core.velocity import SolverConfig, VelocitySolver
from blur_imu_ros.network.field_readers import READERS
from blur_imu_ros.network.model_card import DIRECTED, INTERFACE, ModelCard
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of, random_inverse_depth

TURN, SHIFT = np.array([2.0, -3.0, 4.0]), np.array([0.3, -0.2, 0.4])
CARD = ModelCard("small", INTERFACE, 320, 224, 8, (0, 0, 0), (1, 1, 1), 250.0, "")


def solved(field: BlurField) -> NDArray[np.float64]:
    velocity = VelocitySolver().solve(field, EXPOSURE, 0.0).velocity
    return velocity * np.copysign(1.0, velocity[:3] @ TURN)


def noisy_along(seed: int, along: float, across: float, told: bool) -> BlurField:
    """A field with other errors along the smear than across it, and whether it tells so."""
    rng = np.random.default_rng(seed)
    exact = field_of(TURN, SHIFT, random_inverse_depth(rng))
    unit = exact.motion / exact.blur_length[..., None]
    normal = np.stack([-unit[..., 1], unit[..., 0]], axis=-1)
    size = exact.q.shape[:2]
    error = along * rng.standard_normal((*size, 1)) * unit
    error += across * rng.standard_normal((*size, 1)) * normal
    motion = exact.motion + error
    field = replace(exact, q=double_angle(motion), sigma=np.full(size, np.sqrt(along * across)))
    if not told:
        return field
    return replace(field, anisotropy=np.log(along / across) * double_angle(unit))


def test_directions_that_are_known_better_make_the_velocity_better_and_surer() -> None:
    truth = np.concatenate([TURN, SHIFT])
    errors = {
        told: [solved(noisy_along(seed, 8.0, 0.4, told)) - truth for seed in range(8)]
        for told in (True, False)
    }
    rms = {told: np.sqrt(np.mean(np.square(e), axis=0)) for told, e in errors.items()}
    assert np.linalg.norm(rms[True][:3]) < 0.7 * np.linalg.norm(rms[False][:3])
    sure, unsure = (
        VelocitySolver().solve(noisy_along(0, 4.0, 0.5, told), EXPOSURE, 0.0)
        for told in (True, False)
    )
    assert np.all(np.diag(sure.covariance) < np.diag(unsure.covariance))


def test_a_round_precision_with_a_direction_is_the_round_one() -> None:
    field = noisy_along(1, 1.0, 1.0, told=False)
    directed = replace(field, anisotropy=np.zeros((*field.q.shape[:2], 2)))
    one, other = (VelocitySolver().solve(f, EXPOSURE, 0.0) for f in (field, directed))
    np.testing.assert_allclose(other.velocity, one.velocity, rtol=1e-9)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-9)
    assert other.blur_px == pytest.approx(one.blur_px, rel=1e-12)
    assert other.residual_px == pytest.approx(one.residual_px, rel=1e-6)


def test_an_image_on_its_side_gives_the_velocity_on_its_side() -> None:
    """A quarter turn of the camera about its axis: x to y, y to -x."""
    field = noisy_along(2, 3.0, 0.5, told=True)
    assert field.anisotropy is not None
    turned = replace(
        field,
        q=-np.rot90(field.q, -1),
        anisotropy=-np.rot90(field.anisotropy, -1),
        sigma=np.rot90(field.sigma, -1),
        inverse_depth=np.rot90(field.inverse_depth, -1),
        sigma_log_depth=np.rot90(field.sigma_log_depth, -1),
        camera=Camera(
            CAMERA.height, CAMERA.width, CAMERA.fy, CAMERA.fx, 223 - CAMERA.cy, CAMERA.cx
        ),
    )
    quarter = np.kron(np.eye(2), [[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    config = SolverConfig(correlation_length=0.3, start_cells=5000, steps=100, tolerance=1e-9)
    one, other = (VelocitySolver(config).solve(f, EXPOSURE, 0.0) for f in (field, turned))
    expected = quarter @ one.velocity
    expected *= np.copysign(1.0, expected @ other.velocity)
    np.testing.assert_allclose(other.velocity, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        other.covariance, quarter @ one.covariance @ quarter.T, rtol=1e-4, atol=1e-6
    )


def test_a_motion_and_its_opposite_have_one_precision() -> None:
    field = replace(noisy_along(3, 3.0, 0.5, told=True), signed_motion=None)
    forth, back = (
        VelocitySolver().solve(replace(field, signed_motion=s * field.motion), EXPOSURE, 0.0)
        for s in (1, -1)
    )
    np.testing.assert_allclose(back.velocity, -forth.velocity, rtol=1e-9)
    np.testing.assert_allclose(back.covariance, forth.covariance, rtol=1e-9)


def test_deviations_are_those_of_the_covariance_that_is_told() -> None:
    field = replace(
        noisy_along(4, 1.0, 1.0, told=False), anisotropy=np.full((28, 40, 2), (0.6, -0.9))
    )
    variances = field.sigma[0, 0] ** 2 * np.linalg.eigvalsh(expm([[0.6, -0.9], [-0.9, -0.6]]))
    long, short = field.principal_sigmas
    np.testing.assert_allclose([short[0, 0] ** 2, long[0, 0] ** 2], variances)


def test_a_field_that_is_sure_across_the_smear_alone_is_not_valid() -> None:
    """A uniform image would be sure of nothing, and the card's ratio makes a third of that."""
    unsure = noisy_along(5, 1.0, 1.0, told=False)
    length = np.maximum(unsure.blur_length, 1)
    direction = unsure.q / np.maximum(unsure.blur_length, 1e-9)[..., None]
    field = replace(unsure, sigma=length * 0.4, anisotropy=np.log(25) * direction)
    assert not VelocitySolver().solve(field, EXPOSURE, 0.0).valid


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_a_precision_that_cannot_be_is_refused(value: float) -> None:
    field = noisy_along(6, 3.0, 0.5, told=True)
    assert field.anisotropy is not None
    broken = field.anisotropy.copy()
    broken[3, 4, 1] = value
    estimate = VelocitySolver().solve(replace(field, anisotropy=broken), EXPOSURE, 0.0)
    assert not estimate.valid and np.isfinite(estimate.covariance).all()


def outputs(rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
    """Return what a network gives: q, log_inverse_depth, log_sigma, anisotropy."""
    return tuple(rng.standard_normal((1, n, 28, 40)).astype(np.float32) for n in (2, 1, 2, 2))


def test_a_card_without_a_ratio_reads_round_precisions() -> None:
    values = outputs(np.random.default_rng(0))
    assert READERS[INTERFACE](values[:3], CARD, CAMERA).anisotropy is None


def test_a_ratio_in_the_card_leaves_the_deviation_along_the_smear() -> None:
    q, *others, _ = outputs(np.random.default_rng(1))
    values = (q * 30, *others)
    round_ = READERS[INTERFACE](values, CARD, CAMERA)
    field = READERS[INTERFACE](values, replace(CARD, across_ratio=0.4), CAMERA)
    along, across = field.principal_sigmas
    np.testing.assert_allclose(along, round_.sigma)
    long = field.blur_length > 60
    assert long.any() and np.all(np.abs(across / along - 0.4)[long] < 0.03)
    assert field.anisotropy is not None
    assert np.all(np.sum(field.anisotropy * field.q, axis=-1) >= 0)


def test_a_network_that_tells_directions_is_read_as_it_tells_them() -> None:
    values = outputs(np.random.default_rng(2))
    card = replace(CARD, interface=DIRECTED, across_ratio=0.4)
    field = READERS[DIRECTED](values, card, CAMERA)
    assert field.anisotropy is not None
    np.testing.assert_array_equal(field.anisotropy, np.moveaxis(values[3][0], 0, -1))
    np.testing.assert_allclose(field.sigma, np.exp(values[2][0, 0].astype(float)))
