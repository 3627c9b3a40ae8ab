"""Laws of the solver: symmetries, signs, and answers that are finite whatever it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.velocity import SolverConfig, VelocitySolver
from helpers.synthetic_fields import CAMERA, COLUMNS, EXPOSURE, ROWS, STRIDE, Truth, random_truth

law = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 100_000)
LOOSE = SolverConfig(angular_std=1e3, linear_std=1e3)


def solve(field: BlurField, config: SolverConfig = LOOSE) -> VelocityEstimate:
    return VelocitySolver(config).solve(field, EXPOSURE, 0.0)


def velocity(estimate: VelocityEstimate) -> np.ndarray:
    return np.concatenate([estimate.angular_velocity, estimate.linear_velocity])


def assert_same_motion(estimate: VelocityEstimate, expected: np.ndarray) -> None:
    found = velocity(estimate)
    found = found if found @ expected >= 0 else -found
    assert found == pytest.approx(expected, rel=2e-3, abs=2e-3)


def changed(truth: Truth, camera: Camera, move, q_signs=(1, 1)) -> BlurField:
    """The field of `truth` with its grids moved by `move` and the signs of q changed."""
    field = truth.field
    return replace(
        field,
        q=move(field.q) * q_signs,
        sigma=move(field.sigma),
        inverse_depth=move(field.inverse_depth),
        sigma_log_depth=move(field.sigma_log_depth),
        camera=camera,
    )


@law
@given(seeds)
def test_left_and_right_exchanged(seed):
    truth = random_truth(seed)
    camera = replace(CAMERA, cx=CAMERA.width - 1 - CAMERA.cx)
    field = changed(truth, camera, lambda grid: grid[:, ::-1], (1, -1))
    assert_same_motion(solve(field), truth.velocity * (1, -1, -1, -1, 1, 1))


@law
@given(seeds)
def test_up_and_down_exchanged(seed):
    truth = random_truth(seed)
    camera = replace(CAMERA, cy=CAMERA.height - 1 - CAMERA.cy)
    field = changed(truth, camera, lambda grid: grid[::-1], (1, -1))
    assert_same_motion(solve(field), truth.velocity * (-1, 1, -1, 1, -1, 1))


@law
@given(seeds)
def test_the_image_turned_by_a_quarter(seed):
    truth = random_truth(seed)
    camera = Camera(
        CAMERA.height, CAMERA.width, CAMERA.fy, CAMERA.fx, CAMERA.height - 1 - CAMERA.cy, CAMERA.cx
    )
    # A quarter turn of the image is half a turn of the doubled angle.
    field = changed(truth, camera, lambda grid: np.rot90(grid, -1), (-1, -1))
    quarter = np.kron(np.eye(2), np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))
    assert_same_motion(solve(field), quarter @ truth.velocity)


@law
@given(seeds, st.floats(0.2, 5.0))
def test_depth_scales_the_linear_velocity_and_nothing_else(seed, k):
    truth = random_truth(seed)
    field = replace(truth.field, inverse_depth=truth.field.inverse_depth / k)
    assert_same_motion(solve(field), truth.velocity * (1, 1, 1, k, k, k))


@law
@given(seeds, st.floats(0.3, 3.0))
def test_smear_and_exposure_twice_as_long_are_the_same_velocity(seed, k):
    truth = random_truth(seed)
    field = replace(truth.field, q=k * truth.field.q)
    estimate = VelocitySolver(LOOSE).solve(field, k * EXPOSURE, 0.0)
    assert_same_motion(estimate, truth.velocity)


@law
@given(seeds)
def test_the_sign_of_a_signed_field_is_the_sign_of_the_velocity(seed):
    truth = random_truth(seed, noise=0.3)
    motion = truth.field.motion
    one, other = (
        velocity(solve(replace(truth.field, signed_motion=sign * motion))) for sign in (1, -1)
    )
    assert other == pytest.approx(-one, rel=1e-6, abs=1e-9)


@law
@given(seeds, st.floats(0.0, 2.0))
def test_the_same_field_gives_the_same_answer(seed, noise):
    field = random_truth(seed, noise, 0.2).field
    assert np.array_equal(velocity(solve(field)), velocity(solve(field)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seeds,
    st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 30.0, 1e4]),
    st.sampled_from([1e-9, 0.3, 1e4]),
    st.sampled_from([0.0, 1e-6, 0.5, 1e3]),
    st.sampled_from([0.0, 0.1, 10.0]),
    st.booleans(),
)
def test_whatever_the_network_says_the_covariance_is_finite_and_positive(
    seed, length, sigma, inverse_depth, sigma_log_depth, signed
):
    rng = np.random.default_rng(seed)
    shape = (ROWS, COLUMNS)
    q = length * rng.standard_normal((*shape, 2))
    field = BlurField(
        q=q,
        sigma=sigma * rng.uniform(0.5, 1.5, shape),
        inverse_depth=inverse_depth * rng.uniform(0.5, 1.5, shape),
        sigma_log_depth=sigma_log_depth * rng.uniform(0.5, 1.5, shape),
        camera=CAMERA,
        stride=STRIDE,
        signed_motion=q if signed else None,
    )
    estimate = VelocitySolver().solve(field, EXPOSURE, 0.0)
    assert np.isfinite(velocity(estimate)).all()
    assert np.isfinite([estimate.blur_px, estimate.residual_px, estimate.condition]).all()
    assert np.isfinite(estimate.covariance).all()
    np.testing.assert_array_equal(estimate.covariance, estimate.covariance.T)
    scale = np.sqrt(np.diag(estimate.covariance))
    assert (scale > 0).all()
    assert np.linalg.eigvalsh(estimate.covariance / np.outer(scale, scale)).min() > -1e-9
