"""Registration of two views, on rendered pairs whose motion is known."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.blur_field import BlurField, cell_centres
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.depth_errors import lost_to_any_depth
from blur_imu_ros.core.motion_field import double_angle, motion_field
from blur_imu_ros.core.registration import (
    DepthTold,
    Registrar,
    Registration,
    RegistrationConfig,
    View,
    shared_covariance,
)
from blur_imu_ros.core.registration_level import _vector_of, evidence_of
from blur_imu_ros.core.registration_view import corrected, without_bands
from blur_imu_ros.simulation.room_renderer import (
    Pose,
    Scene,
    Trajectory,
    blurred_image,
    constant_velocity,
    furnished_room,
    hand_held,
)
from helpers.synthetic_fields import CAMERA, EXPOSURE, texture

STEP = 1 / 30
STRIDE = 8
REST = np.zeros((1, 6))
REGISTRAR = Registrar()


@lru_cache(maxsize=2)
def room(seed: int = 0) -> Scene:
    return furnished_room(seed)


def field_at(
    pose: Pose, camera: Camera = CAMERA, scale: float = 1.0, moved: np.ndarray = REST[0]
) -> BlurField:
    """What a network would read there of an exposure that moved so (6,); depth times `scale`."""
    rows, columns = camera.height // STRIDE, camera.width // STRIDE
    near = cv2.resize(
        room().inverse_depth(camera, pose), (columns, rows), interpolation=cv2.INTER_AREA
    )
    ones = np.ones((rows, columns))
    u, v = cell_centres(rows, columns, STRIDE)
    q = double_angle(motion_field(camera, u, v, near, moved[:3], moved[3:]))
    return BlurField(q, ones, near / scale, 0.3 * ones, camera, STRIDE)


def seen(
    trajectory: Trajectory, t: float, exposure: float = EXPOSURE, scale: float = 1.0, seed: int = 0
) -> View:
    image = blurred_image(room(), CAMERA, trajectory, t, exposure, seed=seed)
    moved = trajectory.velocity(t) * exposure
    return REGISTRAR.view(image, field_at(trajectory.pose(t), scale=scale, moved=moved), t)


def two(velocity: np.ndarray, **how: float) -> tuple[View, View]:
    """Two views of a camera that moves at a constant velocity."""
    trajectory = constant_velocity(velocity[:3], velocity[3:], t0=STEP / 2)
    return seen(trajectory, 0.0, **how), seen(trajectory, STEP, seed=1, **how)


def turned_between(rotation: np.ndarray, before: np.ndarray, after: np.ndarray) -> Trajectory:
    """Two exposures at 0 and `STEP` with a velocity each, and a rotation between them."""
    at = {0.0: (np.zeros(3), before), STEP: (rotation, after)}

    def pose(t: float) -> Pose:
        middle = min(at, key=lambda m: abs(t - m))
        place, rate = at[middle]
        turned = Rotation.from_rotvec(place) * Rotation.from_rotvec(rate * (t - middle))
        return Pose(turned, np.zeros(3))

    def velocity(t: float) -> np.ndarray:
        return np.concatenate([at[min(at, key=lambda m: abs(t - m))][1], np.zeros(3)])

    return Trajectory(pose, velocity)


def as_expected(found: Registration, true: np.ndarray, sigmas: float = 3.5) -> None:
    """The velocity is valid, and no farther from the ground truth than its covariance says."""
    assert found.valid, found.reasons
    error = found.velocity - true
    assert np.sqrt(error @ np.linalg.solve(found.covariance, error) / 6) < sigmas
    assert np.linalg.eigvalsh(found.covariance).min() > 0


@pytest.mark.parametrize("smear", [0, 15, 30, 60])
@pytest.mark.parametrize("seed", range(2))
def test_blur_in_another_direction_in_each_frame_does_not_bias_the_rotation(smear, seed):
    rng = np.random.default_rng(seed)
    rate = smear / CAMERA.fx / EXPOSURE
    angles = rng.uniform(0, np.pi, 2)
    before, after = (rate * np.array([np.cos(a), np.sin(a), 0.3]) for a in angles)
    rotation = rng.uniform(-0.1, 0.1, 3)
    trajectory = turned_between(rotation, before, after)
    views = seen(trajectory, 0.0), seen(trajectory, STEP, seed=1)
    true = np.concatenate([rotation / STEP, np.zeros(3)])
    starts = true * rng.uniform(0.7, 1.3, 6) * np.array([[1], [-1]])
    found = REGISTRAR.register(*views, starts)
    assert found.velocity[:3] == pytest.approx(true[:3], abs=0.06 + 0.008 * smear)
    as_expected(found, true)


def test_translation_follows_from_depth():
    true = np.array([0.3, -0.5, 0.2, 0.4, -0.3, 0.6])
    found = REGISTRAR.register(*two(true), REST)
    as_expected(found, true)
    assert found.velocity[:3] == pytest.approx(true[:3], abs=0.03)
    assert found.velocity[3:] == pytest.approx(true[3:], abs=0.1)


def test_depth_of_another_scale_is_a_velocity_of_another_scale_and_the_covariance_knows():
    true = np.array([0.3, -0.5, 0.2, 0.4, -0.3, 0.6])
    found = REGISTRAR.register(*two(true, scale=0.7), REST)
    as_expected(found, true)
    assert found.velocity[3:] == pytest.approx(0.7 * true[3:], abs=0.08)
    assert found.velocity[:3] == pytest.approx(true[:3], abs=0.03)
    assert np.linalg.eigvalsh(found.covariance - found.shared_covariance).min() > 0


def test_fast_rotation_needs_the_start_that_blur_gives():
    true = np.array([1.0, 9.0, -3.0, 0, 0, 0])
    views = two(true)
    from_blur = REGISTRAR.register(*views, 0.8 * true[None])
    as_expected(from_blur, true)
    from_rest = Registrar(RegistrationConfig(search_above=1.0)).register(*views, REST)
    assert np.linalg.norm(from_rest.velocity - true) > 1


@pytest.mark.parametrize("true", [[1.0, 9.0, -3.0], [-8.0, 2.0, 4.0]])
def test_where_no_start_leads_to_the_other_image_all_directions_are_searched(true):
    wrong = np.array([[2.0, -4.0, 1.0, 0, 0, 0], [-2.0, 4.0, -1.0, 0, 0, 0]])
    found = REGISTRAR.register(*two(np.array([*true, 0.2, 0.0, 0.1])), wrong)
    as_expected(found, np.array([*true, 0.2, 0.0, 0.1]))


def test_a_corner_that_is_alike_by_chance_is_no_better_than_the_whole_view():
    """Evidence grows with what is compared."""
    settings = RegistrationConfig()
    corner, whole = evidence_of(np.array([0.97, 0.95]), np.array([0.15, 0.7]), settings)
    assert whole > corner + 3


def test_with_the_true_depth_a_shaken_camera_has_its_velocity():
    trajectory = hand_held(1, turn=0.4, sway=0.05, lever_arm=(-0.2, -0.1, 0.27))
    errors = []
    for k in range(8):
        t0, t1 = 0.1 * k, 0.1 * k + STEP
        views = seen(trajectory, t0), seen(trajectory, t1, seed=1)
        true = trajectory.velocity((t0 + t1) / 2)
        errors.append(REGISTRAR.register(*views, 0.8 * true[None]).velocity - true)
    angular, linear = np.split(np.sqrt(np.mean(np.square(errors), axis=0)), 2)
    assert angular.max() < 0.08
    assert linear.max() < 0.15


def test_the_right_one_of_the_signed_starts_is_found():
    true = np.array([-2.0, 5.0, 3.0, 0.2, 0, 0.1])
    starts = np.array([0.8, -0.8, 0.1, -0.1])[:, None] * true
    found = REGISTRAR.register(*two(true), starts)
    as_expected(found, true)
    assert found.ambiguity < 0.05


def test_a_still_camera_is_at_rest_and_sure_of_it():
    found = REGISTRAR.register(*two(np.zeros(6)), np.array([[0.5, 0.3, 0, 0, 0, 0.1]]))
    as_expected(found, np.zeros(6))
    assert np.abs(found.velocity[:3]).max() < 0.02
    assert np.sqrt(np.diag(found.covariance))[:3].max() < 0.06


def test_the_middle_of_the_interval_has_the_axes():
    true = np.array([0, 6.0, 0, 0, 0, 1.0])
    found = REGISTRAR.register(*two(true), true[None])
    trajectory = constant_velocity(true[:3], true[3:], t0=STEP / 2)
    way = trajectory.pose(STEP).position - trajectory.pose(0).position
    middle = trajectory.pose(STEP / 2).rotation
    assert middle.inv().apply(way) / STEP == pytest.approx(true[3:], abs=0.01)
    assert found.velocity[3:] == pytest.approx(true[3:], abs=0.1)


def altered(view: View, image: np.ndarray) -> View:
    return REGISTRAR.view(image, field_at(Pose(Rotation.identity(), np.zeros(3))), view.t)


def images(velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    trajectory = constant_velocity(velocity[:3], velocity[3:], t0=STEP / 2)
    return tuple(
        blurred_image(room(), CAMERA, trajectory, t, EXPOSURE, seed=k)
        for k, t in enumerate((0.0, STEP))
    )


def registered(
    before: np.ndarray, after: np.ndarray, starts: np.ndarray = REST, dt: float = STEP
) -> Registration:
    field = field_at(Pose(Rotation.identity(), np.zeros(3)))
    return REGISTRAR.register(
        REGISTRAR.view(before, field, 0.0), REGISTRAR.view(after, field, dt), starts
    )


MOTION = np.array([0.5, -1.5, 0.8, 0.1, 0, 0.2])


def test_exposure_may_change():
    before, after = images(MOTION)
    found = registered(before, cv2.convertScaleAbs(after, alpha=0.6, beta=15), MOTION[None])
    as_expected(found, MOTION)


@pytest.mark.parametrize("strength", [0.03, 0.1, 0.3])
@pytest.mark.parametrize("period", [25, 60, 110, 220])
def test_bands_of_mains_light_are_not_the_scene(strength, period):
    """A rolling shutter sees them; from image to image they wander, whatever the camera does."""
    v = np.arange(224)[:, None, None]
    bands = (1 + strength * np.sin(2 * np.pi * v / period + phase) for phase in (0.3, 2.4))
    lit = [
        np.clip(image * band, 0, 255).astype(np.uint8)
        for image, band in zip(images(MOTION), bands, strict=True)
    ]
    found = registered(*lit, np.array([0.8 * MOTION, -0.8 * MOTION]))
    as_expected(found, MOTION)
    assert found.velocity[:3] == pytest.approx(MOTION[:3], abs=0.15)


def test_details_have_no_bands_of_mains_light_either():
    rows = 128 + 40 * np.sin(np.arange(224) / 9)
    image = np.tile(rows[:, None, None], (1, 320, 3)).astype(np.uint8)
    view = without_bands(REGISTRAR.view(image, None, 0.0, CAMERA), REGISTRAR.settings)
    assert np.ptp(view.levels[0]) < 1e-3
    assert np.ptp(view.detail) < 1e-3 and np.ptp(view.detail_gradients) < 1e-3


def test_a_moving_thing_is_an_outlier():
    before, after = images(MOTION)
    thing = cv2.resize(before[60:140, 40:120], (110, 130))
    before[80:210, 150:260], after[80:210, 120:230] = thing, thing
    as_expected(registered(before, after, MOTION[None]), MOTION)


def test_a_dashboard_that_stands_still_is_an_outlier():
    before, after = images(MOTION)
    for image in (before, after):
        image[160:] = cv2.resize(images(np.zeros(6))[0], (320, 64))
    as_expected(registered(before, after, MOTION[None]), MOTION)


def test_half_a_black_frame_is_an_outlier():
    before, after = images(MOTION)
    after[:, :160] = 0
    found = registered(before, after, MOTION[None])
    error = found.velocity - MOTION
    assert not found.valid or error @ np.linalg.solve(found.covariance, error) / 6 < 9


def test_of_a_half_black_frame_the_other_half_is_registered():
    before, after = images(MOTION)
    before[:, 160:] = 0
    as_expected(registered(before, after, MOTION[None]), MOTION)


def test_a_reflection_that_stays_where_it_is_does_not_hold_back_the_scene():
    """A lamp in a polished floor is smooth, and as far away as the lamp."""
    before, after = images(MOTION)
    v, u = np.mgrid[-1:1:224j, -1:1:320j]
    lamp = 90 * np.exp(-(u * u + v * v) / 0.3)[..., None]
    shone = [np.clip(0.5 * image + lamp, 0, 255).astype(np.uint8) for image in (before, after)]
    found = registered(*shone, MOTION[None])
    as_expected(found, MOTION)
    assert found.velocity[:3] == pytest.approx(MOTION[:3], abs=0.1)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_uniform_image_says_nothing(grey):
    rng = np.random.default_rng(0)
    flat = [np.clip(grey + rng.normal(0, 2, (224, 320)), 0, 255).astype(np.uint8) for _ in range(2)]
    assert not registered(*flat).valid


def test_a_vignette_on_a_bare_wall_does_not_stand_for_rest():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:224j, -1:1:320j]
    bare = 150 - 60 * (x * x + y * y) / 2
    before, after = (
        np.clip(bare + rng.normal(0, 2, bare.shape), 0, 255).astype(np.uint8) for _ in range(2)
    )
    found = registered(before, after)
    assert not found.valid or np.sqrt(np.diag(found.covariance))[:3].min() > 0.5


def test_a_cut_to_another_scene_is_no_motion():
    before, _ = images(MOTION)
    for turn in (1.5, 3.0, -1.5):
        elsewhere = constant_velocity(
            np.zeros(3), np.zeros(3), Pose(Rotation.from_rotvec([0, turn, 0]), np.zeros(3))
        )
        after = blurred_image(room(), CAMERA, elsewhere, 0.0, EXPOSURE)
        found = registered(before, after, np.array([[0, 2.0, 0, 0, 0, 0], [0, -2.0, 0, 0, 0, 0]]))
        assert not found.valid, turn


def test_a_repeated_frame_of_a_moving_camera_is_not_rest():
    before, _ = images(MOTION)
    found = registered(before, before, np.array([MOTION, -MOTION]))
    assert not found.valid
    assert np.sqrt(np.diag(found.covariance))[1] > 1
    still = registered(before, before)
    assert still.valid and np.all(still.velocity == 0)


def test_time_has_to_go_on():
    before, after = images(MOTION)
    for dt in (0.0, -0.1, 10.0):
        found = registered(before, after, dt=dt)
        assert not found.valid and f"{dt:.3g} s" in found.reasons[0]
        assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_the_second_camera_may_be_another():
    before, after = images(MOTION)
    wide = CAMERA.resized(240, 168)
    field = field_at(Pose(Rotation.identity(), np.zeros(3)))
    small = REGISTRAR.view(
        cv2.resize(after, (240, 168), interpolation=cv2.INTER_AREA), None, STEP, wide
    )
    found = REGISTRAR.register(REGISTRAR.view(before, field, 0.0), small, MOTION[None])
    as_expected(found, MOTION)


def test_of_a_camera_that_may_have_moved_unsure_depth_says_less():
    """However small the translation that was found."""
    sigmas = {}
    for unsure in (0.02, 0.5):
        for lever in (0.0, 0.2):
            registrar = Registrar(RegistrationConfig(still_std=lever, lever=lever))
            views = two(np.array([0.3, 1.0, 0.2, 0, 0, 0]))
            views = (replace(v, sigma_log_depth=0 * v.sigma_log_depth + unsure) for v in views)
            found = registrar.register(*views, REST)
            sigmas[unsure, lever] = np.sqrt(np.diag(found.covariance))[3:].max()
    assert sigmas[0.5, 0.2] > 1.3 * sigmas[0.5, 0.0]
    assert sigmas[0.02, 0.2] < 1.2 * sigmas[0.02, 0.0]


def test_before_a_wall_with_a_relief_that_is_not_there_little_is_claimed():
    """Through a long lens a turn and a sideways motion look the same, but for depth."""
    camera = Camera(320, 224, 700.0, 700.0, 159.5, 111.5)
    wall, rng = texture(0), np.random.default_rng(0)
    depth, true = 2.0, np.array([0.3, 0.8, 0.0, 0.8, -0.2, 0.0])
    shift = np.array([true[1] - true[3] / depth, -true[0] - true[4] / depth]) * 700 * STEP
    before = wall[400:624, 400:720]
    after = cv2.warpAffine(
        wall, np.float32([[1, 0, -400 - shift[0]], [0, 1, -400 - shift[1]]]), (320, 224)
    )
    relief = cv2.resize(rng.normal(-0.7, 0.3, (4, 5)), (40, 28), interpolation=cv2.INTER_CUBIC)
    ones = np.ones((28, 40))
    field = BlurField(np.zeros((28, 40, 2)), ones, np.exp(relief), 0.5 * ones, camera, STRIDE)
    views = (REGISTRAR.view(i, field, t) for i, t in ((before, 0.0), (after, STEP)))
    views = tuple(views)
    found = REGISTRAR.register(*views, REST)
    sigma = np.sqrt(np.diag(found.covariance))
    assert abs(found.covariance[1, 3]) > 0.7 * sigma[1] * sigma[3]
    believed = RegistrationConfig(still_std=0.0, lever=0.0, depth_inner_std=0.0)
    sure = Registrar(believed).register(*views, REST)
    assert np.all(sigma[[0, 1, 3, 4]] > 2 * np.sqrt(np.diag(sure.covariance))[[0, 1, 3, 4]])


def test_without_a_field_depth_is_unknown_and_rotation_is_not():
    before, after = images(MOTION)
    views = (REGISTRAR.view(i, None, t, CAMERA) for i, t in ((before, 0.0), (after, STEP)))
    found = REGISTRAR.register(*views, MOTION[None])
    as_expected(found, MOTION)
    assert found.velocity[:3] == pytest.approx(MOTION[:3], abs=0.1)


def test_stripes_are_ambiguous():
    u = np.arange(320)
    stripes = np.repeat((128 + 80 * np.sin(2 * np.pi * u / 40))[None], 224, axis=0)
    before = np.clip(stripes, 0, 255).astype(np.uint8)
    after = np.roll(before, 20, axis=1)
    rate = 20 / CAMERA.fx / STEP
    found = registered(before, after, np.array([[0, rate, 0, 0, 0, 0], [0, -rate, 0, 0, 0, 0]]))
    assert found.ambiguity > 0.3 and np.sqrt(found.covariance[1, 1]) > rate


@pytest.mark.parametrize("broken", [np.nan, np.inf, -1e30, 1e30])
def test_impossible_depth_and_starts_are_survived(broken):
    before, after = images(MOTION)
    field = field_at(Pose(Rotation.identity(), np.zeros(3)))
    field.inverse_depth[3:6] = broken
    views = (REGISTRAR.view(i, field, t) for i, t in ((before, 0.0), (after, STEP)))
    found = REGISTRAR.register(*views, np.array([MOTION, np.full(6, broken)]))
    assert np.isfinite(found.velocity).all() and np.isfinite(found.covariance).all()
    assert found.velocity[:3] == pytest.approx(MOTION[:3], abs=0.3)


def test_the_result_does_not_depend_on_the_order_of_starts():
    views = two(MOTION)
    starts = np.array([MOTION, -MOTION, 0.1 * MOTION, 1.1 * MOTION])
    one, other = (REGISTRAR.register(*views, some) for some in (starts, starts[::-1]))
    assert one.velocity == pytest.approx(other.velocity, abs=5e-3)


def test_settings_reach_the_method():
    short = Registrar(RegistrationConfig(longest_gap=0.01))
    assert not short.register(*two(MOTION), REST).valid


def test_parallax_corrects_depth_for_the_next_pair():
    """Depth that is wrong by a slope over the image; a scale is beyond any parallax."""
    true = np.array([0.2, 0.3, 0.0, 0.6, -0.4, 0.2])
    trajectory = constant_velocity(true[:3], true[3:])
    tilt = np.exp(np.linspace(-0.5, 0.5, CAMERA.width // STRIDE))

    def read(k: int) -> View:
        image = blurred_image(room(), CAMERA, trajectory, k * STEP, EXPOSURE, seed=k)
        field = field_at(trajectory.pose(k * STEP))
        field.inverse_depth[:] = field.inverse_depth * tilt
        return REGISTRAR.view(image, field, k * STEP)

    views = [read(k) for k in range(6)]
    forgetful = [
        REGISTRAR.register(a, b, true[None]) for a, b in zip(views, views[1:], strict=False)
    ]
    last = views[0]
    for view in views[1:]:
        found = REGISTRAR.register(last, view, true[None])
        last = REGISTRAR.corrected(view, found)
    as_expected(found, true)
    assert np.linalg.norm(found.velocity - true) < 0.85 * np.linalg.norm(
        forgetful[-1].velocity - true
    )
    assert found.depth.correction[:, 0].mean() > 0 > found.depth.correction[:, -1].mean()


@pytest.mark.parametrize("started_at", ["truth", "wrong"])
def test_corrections_of_depth_that_a_wrong_motion_made_do_not_confirm_it(started_at):
    """Near and far have changed places, and with them the sideways velocity its sign."""
    true = np.array([0.1, -0.2, 0.05, 0.7, -0.5, 0.1])
    first, second = two(true)
    logs = np.log(cv2.resize(first.inverse_depth, (8, 6), interpolation=cv2.INTER_AREA))
    told = DepthTold(-2 * (logs - logs.mean()), 0.02 * np.eye(logs.size))
    turned_over = corrected(first, told)
    wrong = REGISTRAR.register(replace(turned_over, read=None), second, true[None])
    assert np.linalg.norm(wrong.velocity[3:] - true[3:]) > 0.5
    start = true if started_at == "truth" else wrong.velocity
    as_expected(REGISTRAR.register(turned_over, second, start[None]), true)


def test_no_motion_is_farther_away_than_it_would_be_were_depth_known():
    first, second = two(np.array([0.3, -0.5, 0.2, 0.4, -0.3, 0.6]))
    level, detailed = REGISTRAR._finest(first, second)
    prior = REGISTRAR._prior(STEP, REST[0])
    refined = detailed.refined(REST, 3, prior)
    found = REGISTRAR._found(detailed, refined, level.fitting(refined), prior, STEP)
    rng = np.random.default_rng(0)
    for apart in rng.normal(size=(50, 6)) * [0.01, 0.01, 0.01, 0.1, 0.1, 0.1]:
        distance2 = apart @ np.linalg.solve(found.covariance, apart)
        assert detailed.farthest(apart, refined, prior) > 0.999 * distance2


def test_corrections_of_depth_are_forgotten_at_a_cut():
    first, second = two(MOTION)
    found = REGISTRAR.register(first, second, MOTION[None])
    known = REGISTRAR.corrected(second, found)
    assert np.abs(known.inverse_depth - second.inverse_depth).max() > 0
    elsewhere = REGISTRAR.view(np.zeros((224, 320), np.uint8), None, 2 * STEP, CAMERA)
    assert REGISTRAR.corrected(elsewhere, REGISTRAR.register(known, elsewhere, REST)) is elsewhere


def any_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    kind = rng.integers(4)
    if kind == 0:
        image = rng.uniform(0, 255, (height, width))
    elif kind == 1:
        image = np.full((height, width), rng.uniform(0, 255))
    elif kind == 2:
        image = cv2.resize(rng.uniform(0, 255, rng.integers(2, 30, 2)), (width, height))
    else:
        image = np.indices((height, width)).sum(axis=0) // rng.integers(1, 20) % 2 * 255
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_shown_the_numbers_are_numbers(seed):
    rng = np.random.default_rng(seed)
    for _ in range(25):
        dt, views = rng.choice([1e-4, 0.03, 0.5]), []
        for t in (0.0, dt):
            width, height = int(rng.choice([320, 640, 17])), int(rng.choice([224, 48, 13]))
            focal = rng.uniform(0.2, 3) * width
            camera = Camera(width, height, focal, focal, width / 2, height / 2)
            shape = max(1, height // STRIDE), max(1, width // STRIDE)
            near, sigma = 10 ** rng.uniform(-6, 2, (2, *shape))
            q = rng.normal(0, 30, (*shape, 2))
            field = BlurField(q, np.ones(shape), near, sigma, camera, STRIDE)
            views.append(REGISTRAR.view(any_image(rng, height, width), field, t))
        starts = rng.normal(0, 10.0 ** rng.integers(-2, 4), (rng.integers(7), 6))
        first, second = views
        for _ in range(2):
            found = REGISTRAR.register(first, second, starts)
            assert np.isfinite(found.velocity).all()
            assert np.linalg.eigvalsh(found.covariance).min() > 0
            assert 0 <= found.quality <= 1 and 0 <= found.ambiguity <= 1
            first = REGISTRAR.corrected(first, found)


def test_errors_that_pairs_share_grow_with_the_linear_velocity_alone():
    settings = RegistrationConfig(depth_scale_std=0.5, linear_share=0.1)
    shared = shared_covariance(np.array([9, 9, 9, 2.0, 0, 0]), settings, 0.0)
    assert np.all(shared[:3] == 0)
    assert np.diag(shared)[3:] == pytest.approx([1.0 + 0.04, 0.04, 0.04])


def test_an_upright_image_is_compared_at_the_size_of_a_wide_one() -> None:
    camera = Camera(352, 480, 400.0, 400.0, 175.5, 239.5)
    view = Registrar().view(np.zeros((480, 352), np.uint8), None, 0.0, camera)
    assert view.levels[0].shape == (160, 117)


def test_sideways_motion_that_depth_gets_wrong_is_made_up_for_by_a_turn() -> None:
    settings, nearness = RegistrationConfig(), 0.5
    shared = shared_covariance(np.array([0, 0, 0, 2.0, 0, 0]), settings, nearness)
    pattern = 2 * settings.linear_share
    # The middle of the image stays: 1/m times the shift, against the turn.
    assert shared[1, 1] == pytest.approx((nearness * pattern) ** 2)
    assert shared[1, 3] == pytest.approx(-nearness * pattern**2)
    assert shared[0, 4] == pytest.approx(nearness * pattern**2) and shared[2, 2] == 0
    still = motion_field(
        CAMERA, np.array([CAMERA.cx]), np.array([CAMERA.cy]), np.array([nearness]),
        np.array([1.0, -1.0, 0]) * nearness, np.array([1.0, 1.0, 0]),
    )  # fmt: skip
    np.testing.assert_allclose(still, 0, atol=1e-9)
    ahead = shared_covariance(np.array([0, 0, 0, 0, 0, 2.0]), settings, nearness)
    assert not ahead[:3].any() and np.linalg.eigvalsh(shared).min() > -1e-12


@pytest.mark.parametrize("size", [0.0, 1e-200, 1e-9, 1e-3, 1.0, 3.1])
def test_a_rotation_has_the_vector_that_it_was_made_of(size):
    vector = size * np.array([0.36, -0.48, 0.8])
    rotation = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(_vector_of(rotation.tolist()), vector, rtol=1e-6, atol=1e-15)


def test_depth_is_eliminated_axis_by_axis_as_it_is_at_once():
    rng = np.random.default_rng(0)
    slopes, axes, half = rng.normal(size=(6, 50)), rng.normal(size=(3, 3)), rng.normal(size=(5, 9))
    block, before = np.eye(5)[np.arange(50) % 5], half @ half.T + np.eye(5)
    sums = (slopes[3:, None] * slopes) @ block
    along = [sum(axes[k, i] * sums[k] for k in range(3)) for i in range(3)]
    whole = np.block(
        [
            [np.diag(axes[:, i] @ along[j][3:]) + (i == j) * before for j in range(3)]
            for i in range(3)
        ]
    )
    columns = np.hstack(along)
    found = lost_to_any_depth(sums, axes, before)
    np.testing.assert_allclose(found, columns @ np.linalg.solve(whole, columns.T), rtol=1e-9)
