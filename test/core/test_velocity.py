"""The velocity solver: exact where the field is, honest where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.motion_field import double_angle, motion_field
from blur_imu_ros.core.velocity import (
    SolverConfig,
    VelocityPrior,
    VelocitySolver,
    _canonical_motions,
    _condition,
)
from blur_imu_ros.errors import FrameError
from helpers.published_solver import solve_published
from helpers.synthetic_fields import (
    CAMERA,
    COLUMNS,
    EXPOSURE,
    ROWS,
    field_of,
    random_inverse_depth,
    random_truth,
)

LOOSE = SolverConfig(angular_std=1e3, linear_std=1e3)
"""A prior too weak to be seen, for laws that hold exactly."""


def solve(field: BlurField, config: SolverConfig | None = None, **options) -> VelocityEstimate:
    return VelocitySolver(config).solve(field, EXPOSURE, 0.0, **options)


def velocity(estimate: VelocityEstimate) -> np.ndarray:
    return np.concatenate([estimate.angular_velocity, estimate.linear_velocity])


def up_to_sign(estimate: VelocityEstimate, truth: np.ndarray) -> np.ndarray:
    found = velocity(estimate)
    return found if found @ truth >= 0 else -found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_recovers_any_motion_exactly_up_to_sign(seed):
    truth = random_truth(seed)
    estimate = solve(truth.field, LOOSE)
    assert up_to_sign(estimate, truth.velocity) == pytest.approx(truth.velocity, rel=1e-3, abs=1e-3)
    assert estimate.valid
    assert estimate.rank == 6
    assert estimate.residual_px < 0.01
    assert estimate.direction_probability == 0.5


def test_survives_noise_and_fifteen_per_cent_of_senseless_cells():
    errors = []
    for seed in range(100):
        truth = random_truth(seed, noise=0.4, outliers=0.15)
        found = up_to_sign(solve(truth.field), truth.velocity)
        errors.append(np.linalg.norm((found - truth.velocity)[:3]) / np.linalg.norm(truth.angular))
    assert np.median(errors) < 0.02
    assert np.quantile(errors, 0.95) < 0.1


def test_the_sign_of_the_field_makes_no_difference():
    angular, linear = np.array([1.0, -2.0, 3.0]), np.array([0.3, 0.1, -0.5])
    one, other = (solve(field_of(s * angular, s * linear)) for s in (1, -1))
    assert np.array_equal(velocity(one), velocity(other))


def test_a_signed_field_keeps_its_sign():
    angular, linear = np.array([1.0, -2.0, 3.0]), np.array([0.3, 0.1, -0.5])
    for sign in (1, -1):
        field = field_of(sign * angular, sign * linear, signed=True)
        expected = sign * np.concatenate([angular, linear])
        assert velocity(solve(field, LOOSE)) == pytest.approx(expected, abs=1e-3)


def test_a_mirrored_image_mirrors_the_velocity():
    truth = random_truth(3, noise=0.2)
    f = truth.field
    q = f.q[:, ::-1] * (1, -1)
    camera = replace(CAMERA, cx=CAMERA.width - 1 - CAMERA.cx)
    mirrored = replace(f, q=q, inverse_depth=f.inverse_depth[:, ::-1], camera=camera)
    expected = velocity(solve(f)) * (1, -1, -1, -1, 1, 1)
    assert up_to_sign(solve(mirrored), expected) == pytest.approx(expected, rel=0.01, abs=0.01)


def test_a_scene_twice_as_far_doubles_the_linear_velocity_only():
    truth = random_truth(4)
    far = replace(truth.field, inverse_depth=truth.field.inverse_depth / 2)
    expected = truth.velocity * (1, 1, 1, 2, 2, 2)
    assert up_to_sign(solve(far, LOOSE), expected) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_an_enlarged_view_gives_the_same_velocity():
    truth = random_truth(5)
    camera = CAMERA.resized(2 * CAMERA.width, 2 * CAMERA.height)
    large = replace(truth.field, q=2 * truth.field.q, camera=camera, stride=16)
    found = up_to_sign(solve(large, LOOSE), truth.velocity)
    assert found == pytest.approx(truth.velocity, rel=1e-3, abs=1e-3)


def test_half_the_exposure_doubles_the_velocity():
    truth = random_truth(6)
    estimate = VelocitySolver(LOOSE).solve(truth.field, EXPOSURE / 2, 7.0)
    assert up_to_sign(estimate, truth.velocity) == pytest.approx(2 * truth.velocity, rel=1e-3)
    assert (estimate.t, estimate.exposure_time) == (7.0, EXPOSURE / 2)


def test_covariance_tells_the_size_of_the_error():
    """The normalised squared error of six unknowns with independent cell errors is six."""
    config = SolverConfig(
        angular_std=1e3, linear_std=1e3, correlation_length=0, length_std=0, noise_floor_px=0.01
    )
    squared = []
    for seed in range(150):
        truth = random_truth(seed, noise=0.2)
        field = replace(truth.field, sigma_log_depth=np.zeros((ROWS, COLUMNS)))
        estimate = solve(field, config)
        error = up_to_sign(estimate, truth.velocity) - truth.velocity
        squared.append(error @ np.linalg.solve(estimate.covariance, error))
    assert 3 < np.mean(squared) < 9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 3), st.floats(0, 0.5))
def test_covariance_is_always_finite_and_positive_definite(seed, noise, outliers):
    estimate = solve(random_truth(seed, noise, outliers).field)
    assert np.isfinite(velocity(estimate)).all()
    assert np.array_equal(estimate.covariance, estimate.covariance.T)
    assert np.linalg.eigvalsh(estimate.covariance)[0] > 0
    assert np.isfinite([estimate.residual_px, estimate.blur_px, estimate.condition]).all()


def test_lengths_read_too_long_are_part_of_the_covariance():
    """However many cells agree, the length of the blur as a whole is not known better than this."""
    estimate = solve(field_of((0, 10, 0), (0, 0, 0)), SolverConfig(length_std=0.1))
    assert estimate.sigma[1] >= 1.0


def test_errors_that_all_cells_share_are_not_averaged_away():
    """One cell's error, 2.5 px of 250 px/rad in 10 ms, is the error of the whole turn: 1 rad/s."""
    field = field_of((0.0, 5.0, 0.0), (0, 0, 0), np.full((ROWS, COLUMNS), 1e-4), sigma=2.5)
    solver = VelocitySolver(SolverConfig(length_std=0.05))
    alone, shared = (
        solver.solve(replace(field, shared_errors=s), EXPOSURE, 0.0) for s in (False, True)
    )
    assert np.array_equal(velocity(shared), velocity(alone))
    assert shared.valid
    assert 0.9 < shared.sigma[1] < 1.2 < 5 * alone.sigma[1]


def test_neighbouring_cells_do_not_count_as_independent():
    field = random_truth(7, noise=0.5).field
    alone, correlated = (
        solve(field, SolverConfig(correlation_length=cells * 8 / field.camera.width, length_std=0))
        for cells in (1, 5)
    )
    assert correlated.sigma[:3] == pytest.approx(5 * alone.sigma[:3], rel=0.1)


def test_finer_cells_of_the_same_view_make_nothing_surer():
    """Twice the pixels a side: four times the cells, twice the smear and twice its error."""
    config = SolverConfig(length_std=0, noise_floor_px=1e-6)
    coarse = random_truth(7).field
    coarse = replace(coarse, sigma=np.full_like(coarse.sigma, 2.0))
    c = coarse.camera
    fine = BlurField(
        q=grown(2 * coarse.q),
        sigma=grown(2 * coarse.sigma),
        inverse_depth=grown(coarse.inverse_depth),
        sigma_log_depth=grown(coarse.sigma_log_depth),
        camera=Camera(
            2 * c.width, 2 * c.height, 2 * c.fx, 2 * c.fy, 2 * c.cx + 0.5, 2 * c.cy + 0.5
        ),
        stride=coarse.stride,
    )
    few, many = solve(coarse, config), solve(fine, config)
    assert many.sigma[:3] == pytest.approx(few.sigma[:3], rel=0.15)


def grown(values: np.ndarray) -> np.ndarray:
    """Show each cell as four."""
    return values.repeat(2, axis=0).repeat(2, axis=1)


def test_uncertain_depth_makes_the_linear_velocity_uncertain():
    truth = random_truth(8, noise=0.2)
    sure, unsure = (
        solve(
            replace(truth.field, sigma_log_depth=np.full((ROWS, COLUMNS), sigma)),
            SolverConfig(length_std=0),
        )
        for sigma in (0.05, 0.5)
    )
    assert np.linalg.norm(unsure.sigma[3:]) > 3 * np.linalg.norm(sure.sigma[3:])


def test_a_doubtful_depth_blurs_the_parallax_by_that_share_of_it():
    """Half of its variance along each axis: the smear may be longer or shorter, but not turn."""
    linear, doubt = np.array([1.0, -0.5, 2.0]), 0.3
    field = field_of(np.zeros(3), linear, random_inverse_depth(np.random.default_rng(0)))
    parallax = np.linalg.norm(field.motion, axis=-1)
    doubtful = solve(replace(field, sigma_log_depth=np.full_like(field.sigma, doubt)), LOOSE)
    noisier = np.sqrt(field.sigma**2 + doubt**2 / 2 * parallax**2)
    sure = np.zeros_like(field.sigma)
    expected = solve(replace(field, sigma=noisier, sigma_log_depth=sure), LOOSE).covariance
    shared = np.zeros((6, 6))
    shared[3:, 3:] = doubt**2 * np.outer(doubtful.linear_velocity, doubtful.linear_velocity)
    np.testing.assert_allclose(doubtful.covariance - shared, expected, rtol=1e-3, atol=1e-6)


def test_an_image_of_nothing_but_the_camera_itself_is_not_valid():
    field = replace(field_of([0, 3.0, 0], [0, 0, 0]), shown=np.zeros((ROWS, COLUMNS), bool))
    estimate = VelocitySolver().solve(field, EXPOSURE, 0.0)
    assert not estimate.valid and "own body" in estimate.reasons[0]


def test_translation_that_cannot_be_seen_shrinks_to_the_prior():
    rng = np.random.default_rng(0)
    field = field_of(
        (2, -3, 4),
        (0, 0, 0),
        np.full((ROWS, COLUMNS), 1e-4),
        error=0.5 * rng.standard_normal((ROWS, COLUMNS, 2)),
    )
    estimate = solve(field)
    assert np.abs(estimate.linear_velocity).max() < 0.1
    assert estimate.sigma[3:] == pytest.approx(SolverConfig().linear_std, rel=0.01)
    assert estimate.rank == 3
    assert estimate.valid


def test_an_informative_prior_wins_where_the_image_is_silent_under_either_sign():
    angular, linear = np.array([2.0, -3.0, 4.0]), np.array([0.5, -0.2, 0.1])
    field = field_of(angular, linear, np.full((ROWS, COLUMNS), 1e-4))
    information = np.diag([0, 0, 0, 1e4, 1e4, 1e4]) + np.diag([1.0] * 3 + [0] * 3)
    for sign in (1, -1):
        prior = VelocityPrior(sign * np.concatenate([angular, linear]), information)
        estimate = solve(field, prior=prior)
        expected = sign * np.concatenate([angular, linear])
        assert velocity(estimate) == pytest.approx(expected, rel=0.02, abs=0.01)


def test_a_known_pivot_ties_the_linear_velocity_to_the_angular():
    """v = omega x r enters as a prior of zero mean and singular information."""
    r = np.array([-0.2, 0.0, 0.3])
    angular = np.array([1.0, 4.0, -2.0])
    linear = np.cross(angular, r)
    rng = np.random.default_rng(1)
    error = 0.8 * rng.standard_normal((ROWS, COLUMNS, 2))
    field = field_of(angular, linear, random_inverse_depth(rng), sigma=0.8, error=error)
    cross = np.array([[0, -r[2], r[1]], [r[2], 0, -r[0]], [-r[1], r[0], 0]])
    tie = np.hstack([cross, np.eye(3)])
    prior = VelocityPrior(np.zeros(6), tie.T @ tie / 0.01**2)
    truth = np.concatenate([angular, linear])
    free, tied = (up_to_sign(solve(field, prior=p), truth)[3:] for p in (None, prior))
    assert np.linalg.norm(tied - linear) < np.linalg.norm(free - linear)
    assert tied == pytest.approx(linear, abs=0.05)


@pytest.mark.parametrize("seed", range(12))
def test_a_prior_of_either_sign_gives_the_same_motion(seed):
    truth = random_truth(seed, noise=0.3)
    information = np.diag([1e2] * 3 + [1e3] * 3)
    plus, minus = (
        velocity(solve(truth.field, prior=VelocityPrior(sign * 0.7 * truth.velocity, information)))
        for sign in (1, -1)
    )
    assert minus == pytest.approx(-plus, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("guess", [1, -1])
def test_a_prior_decides_the_sign_that_a_signed_field_only_guesses(guess):
    angular, linear = np.array([1.0, -2.0, 3.0]), np.array([0.3, 0.1, -0.5])
    expected = np.concatenate([angular, linear])
    field = field_of(guess * angular, guess * linear, signed=True)
    prior = VelocityPrior(expected, np.diag([1e2] * 3 + [1e3] * 3))
    assert velocity(solve(field, prior=prior)) == pytest.approx(expected, rel=0.02, abs=0.02)


def test_cells_of_uncertain_depth_count_less_for_the_translation():
    rng = np.random.default_rng(0)
    linear = np.array([1.0, -0.5, 2.0])
    rho = random_inverse_depth(rng)
    field = field_of((0, 0, 0), linear, rho)
    bad = rng.uniform(size=rho.shape) < 0.5
    field = replace(
        field, inverse_depth=np.where(bad, rho * np.exp(rng.standard_normal(rho.shape)), rho)
    )
    errors = []
    for sigma in (np.full(rho.shape, 0.05), np.where(bad, 1.0, 0.05)):
        estimate = solve(replace(field, sigma_log_depth=sigma))
        found = up_to_sign(estimate, np.concatenate([np.zeros(3), linear]))[3:]
        errors.append(np.linalg.norm(found - linear))
    assert errors[1] < 0.5 * errors[0]


def test_confident_cells_outvote_the_others():
    truth = random_truth(9)
    rng = np.random.default_rng(0)
    bad = rng.uniform(size=(ROWS, COLUMNS)) < 0.6
    q, sigma = truth.field.q.copy(), np.full((ROWS, COLUMNS), 0.1)
    q[bad] = double_angle(10 * rng.standard_normal((int(bad.sum()), 2)))
    sigma[bad] = 10.0
    found = up_to_sign(solve(replace(truth.field, q=q, sigma=sigma)), truth.velocity)
    assert found[:3] == pytest.approx(truth.angular, rel=0.02, abs=0.02)


def test_a_still_camera_is_measured_as_still():
    estimate = solve(field_of((0, 0, 0), (0, 0, 0)))
    assert np.abs(velocity(estimate)).max() < 1e-9
    assert estimate.valid
    assert estimate.blur_px == 0


@pytest.mark.parametrize(
    "part", ["q", "sigma", "inverse_depth", "sigma_log_depth", "signed_motion"]
)
def test_a_field_that_is_not_numbers_is_refused(part):
    field = field_of((1, 2, 3), (0, 0, 0), signed=True)
    values = getattr(field, part).copy()
    values[3, 4] = np.nan
    estimate = solve(replace(field, **{part: values}))
    assert not estimate.valid
    assert "cannot be" in estimate.reasons[0]
    assert np.array_equal(estimate.angular_velocity, np.zeros(3))
    assert np.array_equal(estimate.linear_velocity, np.zeros(3))
    assert np.linalg.eigvalsh(estimate.covariance)[0] > 0


def test_a_field_without_confident_cells_is_refused():
    estimate = solve(field_of((0.1, 0.2, 0.3), (0, 0, 0), sigma=20.0))
    assert not estimate.valid
    assert "0 of 1120 cells" in estimate.reasons[0]
    assert np.isfinite(velocity(estimate)).all()


def test_honest_sigmas_change_the_covariance_and_not_which_cells_are_read():
    """A card may say that a network's sigmas are too small; what it can read stays the same."""
    field = field_of((0.1, 0.2, 0.3), (0, 0, 0), sigma=2.0)
    honest = replace(field, sigma=4 * field.sigma, sigma_scale=4.0)
    assert not solve(replace(honest, sigma_scale=1.0)).valid
    own, scaled = solve(field), solve(honest)
    assert own.valid and scaled.valid
    assert (scaled.sigma > own.sigma).all()
    unread = replace(honest, sigma=40 * field.sigma)
    assert not solve(unread).valid


def test_too_few_cells_to_determine_the_motion_are_refused():
    field = field_of((1, 2, 3), (0, 0, 0))
    sigma = np.full((ROWS, COLUMNS), 1e4)
    sigma[14, 20] = 0.1
    estimate = solve(replace(field, sigma=sigma), SolverConfig(fewest_share=0))
    assert not estimate.valid
    assert estimate.rank < 3
    assert "of 6 directions" in estimate.reasons[0]


def test_rank_and_condition_tell_what_the_scene_lets_see():
    rng = np.random.default_rng(2)
    rich = solve(field_of((1, 2, 3), (0.5, 0, 0), random_inverse_depth(rng)))
    flat = solve(field_of((1, 2, 3), (0.5, 0, 0)))
    assert rich.rank == 6
    assert flat.condition > 2 * rich.condition


@pytest.mark.parametrize("exposure", [0.0, -0.01, float("nan"), 10.0])
def test_an_impossible_exposure_time_is_refused(exposure):
    with pytest.raises(FrameError, match="exposure time"):
        VelocitySolver().solve(field_of((1, 0, 0), (0, 0, 0)), exposure, 0.0)


def test_small_grids_are_solved_too():
    field = field_of((1, -2, 3), (0, 0, 0), signed=True)
    cells = {
        name: getattr(field, name)[:6, :7]
        for name in ("q", "sigma", "inverse_depth", "sigma_log_depth", "signed_motion")
    }
    estimate = solve(replace(field, **cells), LOOSE)
    assert estimate.angular_velocity == pytest.approx((1, -2, 3), abs=0.02)


def published_case() -> tuple[np.ndarray, np.ndarray, Camera]:
    """The deterministic case of the published solver, by its own formulas."""
    f, width, height = 250.8, 320, 224
    v, u = np.mgrid[:height, :width].astype(float)
    x, y = u - 160, v - 112
    d = 1.5 + 0.5 * np.sin(u / 60) + 0.4 * np.cos(v / 40)
    a, t = (0.03, -0.05, 0.08), (0.01, -0.02, 0.015)
    flow_x = (t[2] * x - t[0] * f) / d - a[1] * f + a[2] * y + a[0] * x * y / f - a[1] * x * x / f
    flow_y = (t[2] * y - t[1] * f) / d + a[0] * f - a[2] * x - a[1] * x * y / f + a[0] * y * y / f
    return np.stack([flow_x, flow_y]), d, Camera(width, height, f, f, 160, 112)


def test_published_solver_recovers_its_own_formulas():
    flow, depth, camera = published_case()
    expected = (0.03, -0.05, 0.08, 0.01, -0.02, 0.015)
    assert solve_published(flow, depth, camera) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("case", "noise"), [("exact", 0.0), ("noisy", 0.5)])
def test_published_solver_matches_the_golden_values(shared_data, case, noise):
    golden = np.load(shared_data.parent / "reference" / "paper_network_golden.npz")
    flow, depth, camera = published_case()
    flow = flow + noise * np.random.RandomState(3).standard_normal(flow.shape).astype(np.float32)
    pose = solve_published(flow, depth, camera)
    assert pose == pytest.approx(golden[f"solver_pose_{case}"], abs=1e-5)


@pytest.mark.parametrize(
    ("part", "value"), [("inverse_depth", 1e30), ("sigma_log_depth", 1e30), ("q", 1e30)]
)
def test_absurd_fields_are_refused_with_a_sound_covariance(part: str, value: float):
    field = random_truth(0).field
    absurd = replace(field, **{part: getattr(field, part) + value})
    estimate = VelocitySolver().solve(absurd, EXPOSURE, 0.0)
    assert not estimate.valid
    assert np.linalg.eigvalsh(estimate.covariance).min() > 0


def test_a_sample_of_the_cells_carries_the_information_of_all():
    equations = VelocitySolver()._equations(random_truth(0).field, EXPOSURE, None)
    half = equations.sample(np.arange(0, len(equations.length2), 2))
    assert len(half.length2) == len(equations.length2) / 2
    assert half.cells_per_sample == pytest.approx(equations.cells_per_sample / 2)
    np.testing.assert_array_equal(half.atb, equations.atb[:, ::2])


def test_of_nothing_the_covariance_says_ten_radians_and_four_metres_a_second():
    nothing = VelocitySolver().invalid_estimate(EXPOSURE, 1.0, "no reason")
    assert nothing.sigma == pytest.approx([10, 10, 10, 4, 4, 4])
    assert np.array_equal(velocity(nothing), np.zeros(6))
    assert (nothing.blur_px, nothing.residual_px, nothing.rank) == (0, 0, 0)


def test_a_field_that_fits_perfectly_is_believed_half_its_deviations_at_best():
    field = random_truth(7).field
    limited, plain = (
        solve(field, replace(LOOSE, length_std=0, smallest_scale=scale)).sigma for scale in (0.5, 1)
    )
    assert limited[:3] == pytest.approx(plain[:3] / 2, rel=1e-3)


def test_a_cell_beyond_the_others_counts_less_the_further_it_lies():
    """At 1.5 times the median residual a cell counts half, at 3 times a fifth."""
    solver = VelocitySolver(replace(LOOSE, noise_floor_px=0))
    count = ROWS * COLUMNS
    error = np.tile([1.0, 0.0], (count, 1))
    error[:2, 0] = 1.5, 3.0
    field = replace(
        field_of(
            (0, 0, 0), (0, 0, 0), error=error.reshape(ROWS, COLUMNS, 2), sigma=2.0, signed=True
        ),
        sigma_log_depth=np.zeros((ROWS, COLUMNS)),
    )
    equations = solver._equations(field, EXPOSURE, None)
    weights = solver._fit(equations, np.zeros((1, 6))).weights[0]
    typical = 1 / (1 + 1 / 1.5**2)
    assert weights * 2.0**2 == pytest.approx([1 / 2, 1 / 5, *[typical] * (count - 2)])


def test_starts_compete_by_their_posterior():
    """Half the robust chi-squared, in independent measurements, and half that of the prior."""
    solver, truth = VelocitySolver(), random_truth(5, noise=1.0)
    mean = np.array([1.0, 0, 0, 0, 0.5, 0])
    prior = VelocityPrior(mean, np.diag([1.0, 2, 3, 4, 5, 6]))
    equations = solver._equations(truth.field, EXPOSURE, prior)
    motions = EXPOSURE * np.array([truth.velocity, -0.8 * truth.velocity])
    fit = solver._fit(equations, motions)
    smallest = np.median(fit.mahalanobis2, axis=1).min()
    robust = 1.5**2 * np.log(1 + fit.mahalanobis2 / smallest / 1.5**2).sum(axis=1)
    measured = 2 * np.log(2) / 2 * robust / (0.39 * 320 / 8) ** 2
    velocities = motions / EXPOSURE
    # Whichever sign of a motion the prior likes better, up to what all motions share.
    signed = velocities * np.sign(velocities @ prior.information @ mean)[:, None]
    weak = np.array([10.0] * 3 + [4.0] * 3)
    expected = 0.5 * np.sum((signed - mean) ** 2 * np.diag(prior.information), axis=1)
    expected += 0.5 * np.sum((signed / weak) ** 2, axis=1) + measured
    cost = solver._cost(equations, motions, fit)
    assert cost[1] - cost[0] == pytest.approx(expected[1] - expected[0], rel=2e-3)


def test_the_starts_turn_about_axes_spread_over_the_half_sphere_and_move_in_each_direction():
    starts = _canonical_motions()
    turns, moves = starts[:13], starts[13:]
    assert not turns[:, 3:].any()
    axes = turns[:, :3] / np.linalg.norm(turns[:, :3], axis=1)[:, None]
    # Any two, or one and the opposite of another, are at least 35 degrees apart.
    apart = np.abs(axes @ axes.T) - np.eye(13)
    assert np.degrees(np.arccos(apart.max())) > 35
    assert sorted(np.count_nonzero(turns[:, :3], axis=1)) == [1] * 3 + [2] * 6 + [3] * 4
    assert np.array_equal(moves[0], [0, 0, 0, 0, 0, 1])
    for start, along in zip(moves[1:], (0, 1), strict=True):
        near, balanced, far = (flow_at_the_centre(start, depth) for depth in (1.0, 2.0, 4.0))
        assert np.flatnonzero(near).tolist() == np.flatnonzero(far).tolist() == [along]
        assert balanced == pytest.approx([0, 0])
        assert near[along] * far[along] < 0


def flow_at_the_centre(motion: np.ndarray, depth: float) -> np.ndarray:
    """Return the flow of a motion (theta, t) in the middle of the image, pixels."""
    camera = Camera(320, 224, 250.0, 250.0, 160.0, 112.0)
    middle, inverse = np.array([160.0, 112.0]), np.array(1 / depth)
    return motion_field(camera, middle[0], middle[1], inverse, motion[:3], motion[3:])


def test_the_condition_tells_how_alike_two_motions_look():
    """Whatever their units; of two that look the same but for a share, (1 + r) / (1 - r)."""
    alike = np.diag([1.0] * 6)
    alike[0, 4] = alike[4, 0] = 0.8
    units = np.diag([1e-3, 1.0, 1e3, 1.0, 1e2, 1.0])
    assert _condition(np.eye(6)) == pytest.approx(1)
    assert _condition(units @ alike @ units) == pytest.approx(np.sqrt(1.8 / 0.2))
    alike[0, 4] = alike[4, 0] = 1.0
    assert _condition(alike) == pytest.approx(1e9)


def test_a_solve_ends_when_nothing_moves(monkeypatch: pytest.MonkeyPatch):
    solver, steps = VelocitySolver(replace(LOOSE, steps=50)), []
    step = solver._step
    monkeypatch.setattr(solver, "_step", lambda *given: steps.append(1) or step(*given))
    solver.solve(random_truth(3).field, EXPOSURE, 0.0)
    assert len(steps) < 12


@pytest.mark.parametrize("seed", range(10))
def test_solved_again_near_what_is_known_it_gives_the_same(seed):
    """With the lever arm as prior a field is solved a second time, from one start in place of
    many."""
    truth, rng = random_truth(seed), np.random.default_rng(seed)
    error = rng.normal(0, 0.5, (ROWS, COLUMNS, 2))
    field = field_of(truth.velocity[:3], truth.velocity[3:], error=error, sigma=0.5)
    prior = VelocityPrior(1.1 * truth.velocity, np.diag([1.0] * 3 + [4.0] * 3))
    wanted = solve(field, prior=prior)
    found = solve(field, prior=prior, near=solve(field).velocity)
    np.testing.assert_allclose(found.velocity, wanted.velocity, atol=0.3 * wanted.sigma.min())
