"""Path-traced rooms: the geometry of their rays, of their truth, and what is left out of
training."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import RecordingError, TrainingError
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_ros.simulation.room_renderer import Pose
from blur_imu_training.data import traced_rooms, traced_sequences, true_blur
from blur_imu_training.data.held_out import true_blur_frames
from blur_imu_training.data.sample_folder import claim, settings_of
from blur_imu_training.data.traced_rooms import Rooms, TracedRoom
from blur_imu_training.data.traced_sequences import SequenceChoice, render_sequence
from blur_imu_training.data.traced_views import render_views
from blur_imu_training.data.true_blur import exposure, median_blur
from blur_imu_training.path_tracing import path_tracer
from blur_imu_training.path_tracing.rays import (
    OPENCV_FROM_MITSUBA,
    exposure_rays,
    looking,
    pixel_rays,
    pose_of_mitsuba,
)
from blur_imu_training.path_tracing.scene_file import read_scene_file
from blur_imu_training.path_tracing.viewpoints import View, free_places, pinhole, random_view
from blur_imu_training.path_tracing.ways import ROBOT_SPEED, hand_shake, robot_drive
from blur_imu_training.scene.exposure_motion import ExposureMotion
from blur_imu_training.scene.path_traced_rooms import FARTHEST, PathTracedRooms
from blur_imu_training.scene.room_units import KNOWN, SCALE_FILE, metres_per_unit, scales

CAMERA = pinhole(64, 48, 50.0)
AHEAD = Pose(Rotation.identity(), np.zeros(3))
LOW, HIGH = np.array([-2.0, 0.0, -2.5]), np.array([2.5, 2.4, 3.0])


class Box:
    """An empty room whose walls are painted in stripes; y is up."""

    missing: list[str] = []

    def __init__(self, scale: float = 1.0) -> None:
        self.start = looking(np.array([0.0, 1.2, 0.0]) * scale, 0.3, 0.0)
        self.scale = scale

    def distances(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            to_walls = (np.where(directions > 0, HIGH, LOW) * self.scale - origins) / directions
        return np.abs(to_walls).min(axis=1)

    def depth(self, camera, pose):
        origins, directions, lengths = pixel_rays(camera, pose)
        z = self.distances(origins, directions) / lengths
        return z.reshape(camera.height, camera.width).astype(np.float32)

    def texture(self, camera, pose, samples, seed):
        return self._painted(*pixel_rays(camera, pose)[:2]).reshape(camera.height, camera.width)

    def light(self, camera, poses, samples, seed):
        origins, directions = exposure_rays(camera, poses, samples, np.random.default_rng(seed))
        seen = self._painted(origins, directions).reshape(camera.height, camera.width, samples)
        return np.repeat(seen.mean(axis=-1)[..., None], 3, axis=-1).astype(np.float32)

    def _painted(self, origins, directions):
        points = origins + directions * self.distances(origins, directions)[:, None]
        return 0.2 + 0.6 * (np.sin(7 * points).sum(axis=1) > 0)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TracedRoom:
    """A room that needs no path tracer."""
    for name in ("box", "other"):
        (tmp_path / "scenes" / name).mkdir(parents=True)
        (tmp_path / "scenes" / name / "scene.xml").write_text("<scene/>")
    monkeypatch.setattr(traced_rooms, "PathTracer", lambda scene, unit: Box(unit))
    return TracedRoom(tmp_path / "scenes" / "box" / "scene.xml")


# --- axes and signs
# --------------------------------------------------------------------------------


def test_a_camera_of_mitsuba_has_x_to_the_left_and_y_up() -> None:
    """Looking along world z with y up: our x points to world -x, our y downwards."""
    pose = pose_of_mitsuba(np.eye(4))
    np.testing.assert_allclose(pose.rotation.as_matrix(), OPENCV_FROM_MITSUBA, atol=1e-12)


def test_a_scaled_and_mirrored_camera_gives_a_rotation() -> None:
    to_world = np.diag([-3.0, 3.0, 3.0, 1.0])
    to_world[:3, 3] = 1, 2, 3
    pose = pose_of_mitsuba(to_world)
    assert np.linalg.det(pose.rotation.as_matrix()) == pytest.approx(1)
    np.testing.assert_allclose(pose.position, [1, 2, 3])


def test_looking_keeps_the_horizon_and_rolls_clockwise() -> None:
    pose = looking(np.zeros(3), 0.7, 0.2)
    x, y, z = pose.rotation.as_matrix().T
    assert x[1] == pytest.approx(0) and y[1] < 0 and z[1] == pytest.approx(np.sin(0.2))
    rolled = looking(np.zeros(3), 0.7, 0.2, 0.1).rotation.as_matrix()[:, 0]
    assert rolled[1] < 0, "its right side goes down"


def test_yaw_to_the_left_brings_what_was_left_to_the_middle() -> None:
    """Left is -x; turning about y (down) by a negative angle looks there."""
    motion = ExposureMotion(np.array([0, -0.4, 0]), np.zeros(3), np.zeros(3), np.zeros(3))
    last = exposure(AHEAD, motion)[-1].rotation.apply([0, 0, 1])
    assert last[0] < -0.15 and last[2] > 0.9
    up = looking(np.zeros(3), 0.0, 0.0)
    turned = (up.rotation * Rotation.from_rotvec([0, -0.4, 0])).apply([0, 0, 1])
    assert np.cross(up.rotation.apply([0, 0, 1]), turned)[1] > 0, (
        "left is +y (up) by the right hand"
    )


def test_depth_is_along_the_optical_axis() -> None:
    """A wall seen straight on is as far at the side of the image as in its middle; the floor is
    nearer."""
    depth = Box().depth(pinhole(64, 48, 20.0), looking(np.array([0.0, 1.2, 0.0]), 0.0, 0.0))
    np.testing.assert_allclose(depth[20:28, 20:44], HIGH[0], rtol=1e-5)
    assert depth[47, 32] == pytest.approx(1.2 * 20 / 23.5)


def test_points_move_as_the_motion_field_says() -> None:
    """What a pixel saw in the middle is found again at the end where F/2 leads."""
    room, start = Box(), looking(np.array([0.3, 1.1, 0.2]), 0.4, -0.1, 0.05)
    motion = ExposureMotion(
        np.array([0.01, -0.02, 0.015]), np.array([0.02, 0.01, 0.03]), np.zeros(3), np.zeros(3)
    )
    origins, directions, lengths = pixel_rays(CAMERA, start)
    z = room.distances(origins, directions) / lengths
    points = origins + directions * (z * lengths)[:, None]
    after = exposure(start, motion)[-1]
    seen = after.rotation.inv().apply(points - after.position)
    u = seen[:, 0] / seen[:, 2] * CAMERA.fx + CAMERA.cx
    v = seen[:, 1] / seen[:, 2] * CAMERA.fy + CAMERA.cy
    rows, columns = np.mgrid[: CAMERA.height, : CAMERA.width].reshape(2, -1).astype(float)
    field = motion_field(CAMERA, columns, rows, 1 / z, motion.rotation, motion.translation)
    half = (true_blur.POSES - 1) / true_blur.POSES / 2
    np.testing.assert_allclose(u - columns, field[:, 0] * half, atol=0.04)
    np.testing.assert_allclose(v - rows, field[:, 1] * half, atol=0.04)


def test_rays_of_an_exposure_cover_their_pixels_and_all_of_the_time() -> None:
    poses = [Pose(Rotation.identity(), np.array([k, 0.0, 0.0])) for k in range(8)]
    origins, directions = exposure_rays(CAMERA, poses, 16, np.random.default_rng(0))
    at = origins[:, 0].reshape(-1, 16)
    assert (np.sort(at, axis=1) == np.repeat(np.arange(8), 2)).all()
    u = (directions[:, 0] / directions[:, 2] * CAMERA.fx + CAMERA.cx).reshape(48, 64, 16)
    assert np.abs(u - np.arange(64)[None, :, None]).max() <= 0.5 + 1e-4
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-5)


# --- where cameras stand and how they move
# ------------------------------------------------------------


def test_places_are_inside_and_views_are_worth_seeing() -> None:
    rng = np.random.default_rng(1)
    places = free_places(Box(), rng)
    assert len(places) > 50
    assert (places > LOW).all() and (places < HIGH).all()
    view = random_view(Box(), places, (64, 48), rng)
    near, far = np.percentile(view.depth, [5, 95])
    assert near > 0.25 and far > 1.25 * near


def test_a_hand_starts_where_it_is_put_and_moves_as_its_velocity_says() -> None:
    start = looking(np.array([0.3, 1.1, 0.2]), 0.4, -0.1)
    way = hand_shake(start, seed=3, rate=6.0)
    np.testing.assert_allclose(way.pose(0.0).position, start.position, atol=1e-12)
    np.testing.assert_allclose(
        (way.pose(0.0).rotation * start.rotation.inv()).magnitude(), 0, atol=1e-9
    )
    assert_velocity(way, 0.37)


def test_a_robot_drives_forward() -> None:
    start = looking(np.array([0.3, 1.1, 0.2]), 0.4, 0.0)
    way = robot_drive(start, seed=3, duration=1.5)
    assert_velocity(way, 0.731)
    gone = way.pose(1.0).position - start.position
    assert 0.9 * ROBOT_SPEED < np.linalg.norm(gone) <= ROBOT_SPEED
    assert way.velocity(0.5)[5] == ROBOT_SPEED


def assert_velocity(way, t: float, step: float = 1e-4) -> None:
    before, now, after = (way.pose(t + k * step) for k in (-1, 0, 1))
    turn = (before.rotation.inv() * after.rotation).as_rotvec() / (2 * step)
    shift = now.rotation.inv().apply(after.position - before.position) / (2 * step)
    np.testing.assert_allclose(np.concatenate([turn, shift]), way.velocity(t), atol=2e-2)


@pytest.mark.parametrize("kind", [true_blur.hand, true_blur.robot, true_blur.free])
def test_motion_has_the_blur_that_is_wanted(kind) -> None:
    pose = looking(np.array([0.3, 1.1, 0.2]), 0.4, -0.1)
    view = View(CAMERA, pose, Box().depth(CAMERA, pose))
    for seed in range(5):
        motion = kind(view, 12.0, np.random.default_rng(seed))
        calmer = true_blur.CALMER if kind is true_blur.robot else 1
        assert median_blur(view, motion) == pytest.approx(12 * calmer, rel=0.01)
        speed = np.linalg.norm(motion.translation) / true_blur.EXPOSURE_TIME
        assert kind is true_blur.hand or speed < 6


# --- sets on disk
# ------------------------------------------------------------------------------------


def test_views_are_completed_not_made_again(box: TracedRoom, tmp_path: Path) -> None:
    rooms, folder = Rooms.of(tmp_path / "scenes"), tmp_path / "views"
    assert list(render_views(rooms, folder, 2, (64, 48), 5)) == [1, 2]
    table = folder / "box" / "views.csv"
    first = (folder / "box" / "rgb" / "05_0000.jpg").read_bytes()
    table.write_text(table.read_text() + "05_0001,33.2,3")  # a kill cut this line off
    assert list(render_views(rooms, folder, 4, (64, 48), 5)) == [1, 2, 3, 4]
    assert (folder / "box" / "rgb" / "05_0000.jpg").read_bytes() == first
    views = PathTracedRooms(folder)
    assert len(views) == 4
    seen = views.draw(0, np.random.default_rng(0))
    assert seen.image.shape == (48, 64, 3) and seen.depth_is_real
    assert seen.focal == pytest.approx(CsvTable(table).column("fx")[0], rel=1e-6)
    depth = cv2.imread(str(folder / "box" / "depth" / "05_0000.png"), cv2.IMREAD_UNCHANGED)
    assert (depth > 0).all() and depth.max() < 1000 * FARTHEST
    np.testing.assert_allclose(1 / seen.inverse_depth, depth / 1000, rtol=1e-5)


def test_a_scene_is_as_large_as_its_folder_says_or_is_known(tmp_path: Path) -> None:
    assert metres_per_unit(tmp_path / "cellar") == 1
    assert metres_per_unit(tmp_path / "dining-room") == KNOWN["dining-room"] != 1
    (tmp_path / "dining-room").mkdir()
    said = tmp_path / "dining-room" / SCALE_FILE
    said.write_text("0.0254\n")
    assert metres_per_unit(tmp_path / "dining-room") == 0.0254
    for wrong in ("an inch", "0", "-1", "nan", "inf"):
        said.write_text(wrong)
        with pytest.raises(RecordingError, match=SCALE_FILE):
            metres_per_unit(tmp_path / "dining-room")


@pytest.mark.parametrize("unit, is_warned", [(1.0, False), (0.3, True), (10.0, True)])
def test_a_ceiling_that_cannot_be_is_told(
    box: TracedRoom, unit: float, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    TracedRoom(box.scene, unit).check_height()
    told = [record.getMessage() for record in caplog.records]
    assert bool(told) is is_warned
    assert (
        not is_warned or f"its ceiling is {2.4 * unit:.3g} m" in told[0] and SCALE_FILE in told[0]
    )


def test_views_are_in_metres_whatever_the_unit_of_the_scene(
    box: TracedRoom, tmp_path: Path
) -> None:
    (box.scene.with_name(SCALE_FILE)).write_text("1.5")
    rooms, folder = Rooms.of(tmp_path / "scenes", ["box"]), tmp_path / "views"
    list(render_views(rooms, folder, 1, (64, 48), 5))
    assert settings_of(folder / "box")["metres_per_unit"] == 1.5
    depth = cv2.imread(str(folder / "box" / "depth" / "05_0000.png"), cv2.IMREAD_UNCHANGED)
    seen = PathTracedRooms(folder).draw(0, np.random.default_rng(0))
    np.testing.assert_allclose(1 / seen.inverse_depth, depth / 1000, rtol=1e-5)
    table = CsvTable(folder / "box" / "views.csv")
    pose = Pose(
        Rotation.from_matrix(
            [[table.column(f"pose_{i}{j}")[0] for j in range(3)] for i in range(3)]
        ),
        np.array([table.column(f"pose_{i}3")[0] for i in range(3)]),
    )
    camera = pinhole(64, 48, table.column("fx")[0])
    np.testing.assert_allclose(Box(1.5).depth(camera, pose), depth / 1000, atol=1e-3)
    with pytest.raises(TrainingError, match="of other settings"):
        list(render_views(Rooms.of(tmp_path / "scenes", ["box"], unit=1.0), folder, 2, (64, 48), 5))


def test_views_from_before_scenes_had_a_scale_are_corrected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A view of 8 units, and of what 16 bits do not hold."""
    for room in ("dining-room", "cellar"):
        for kind in ("rgb", "depth"):
            (tmp_path / room / kind).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / room / "rgb" / "a.jpg"), np.zeros((2, 2, 3), np.uint8))
        depth = np.array([[8000, 8000], [8000, 0]], np.uint16)
        cv2.imwrite(str(tmp_path / room / "depth" / "a.png"), depth)
        (tmp_path / room / "views.csv").write_text("name,fx\na,50\n")

    def inverse_depths() -> dict[str, np.ndarray]:
        views = PathTracedRooms(tmp_path)
        one, other = (views.draw(k, np.random.default_rng(0)).inverse_depth for k in (0, 1))
        return {"cellar": one.ravel(), "dining-room": other.ravel()}

    found = inverse_depths()
    np.testing.assert_allclose(1 / found["cellar"], [8, 8, 8, FARTHEST], rtol=1e-6)
    unit = KNOWN["dining-room"]
    expected = [8 * unit] * 3 + [65.536 * unit]
    np.testing.assert_allclose(1 / found["dining-room"], expected, rtol=1e-6)
    told = " ".join(record.getMessage() for record in caplog.records)
    assert "dining-room" in told and "0.32 m" in told and "cellar" not in told
    (tmp_path / "dining-room" / SCALE_FILE).write_text("0.5")
    assert 1 / inverse_depths()["dining-room"][0] == pytest.approx(4)
    claim(tmp_path / "dining-room", {"renderer": 1, "metres_per_unit": 0.32})
    assert 1 / inverse_depths()["dining-room"][0] == pytest.approx(8), "it is in metres"


def test_views_in_metres_are_not_added_to_older_ones(box: TracedRoom, tmp_path: Path) -> None:
    rooms, folder = Rooms.of(tmp_path / "scenes", ["box"]), tmp_path / "views"
    list(render_views(rooms, folder, 1, (64, 48), 5))
    (folder / "box" / "set.json").unlink()
    scaled = Rooms.of(tmp_path / "scenes", ["box"], unit=1.5)
    with pytest.raises(TrainingError, match="in units of the scene, of 1.5 m"):
        list(render_views(scaled, folder, 2, (64, 48), 5))
    assert list(render_views(rooms, folder, 2, (64, 48), 5)) == [1, 2], "these were in metres"


def test_blurred_views_from_before_scenes_had_a_scale_are_refused(
    box: TracedRoom, tmp_path: Path
) -> None:
    rooms, folder = Rooms.of(tmp_path / "scenes", ["box"]), tmp_path / "blurred"
    list(true_blur.render_true_blur(rooms, folder, 1, (64, 48), 5))
    settings = settings_of(folder)
    assert "metres_per_unit" not in settings, "sets of rooms in metres go on as they were"
    (folder / "set.json").write_text(json.dumps(settings | {"rooms": ["staircase2"]}))
    with pytest.raises(RecordingError, match="staircase2 was rendered by an older version"):
        next(true_blur_frames(folder))
    (folder / "set.json").unlink()
    claim(folder, settings | {"rooms": ["staircase2"]} | scales({"staircase2": 0.48}))
    assert next(true_blur_frames(folder)).frame.exposure_time == true_blur.EXPOSURE_TIME


def test_true_blur_is_read_back_as_held_out_frames(box: TracedRoom, tmp_path: Path) -> None:
    rooms, folder = Rooms.of(tmp_path / "scenes", ["box"]), tmp_path / "blurred"
    assert list(true_blur.render_true_blur(rooms, folder, 2, (64, 48), 5)) == [1, 2]
    frames = list(true_blur_frames(folder))
    assert [one.frame.exposure_time for one in frames] == [true_blur.EXPOSURE_TIME] * 2
    assert all(np.linalg.norm(one.angular_velocity) > 0 for one in frames)
    assert frames[0].inverse_depth.shape == (48, 64)
    with pytest.raises(TrainingError, match="of other settings"):
        next(true_blur.render_true_blur(rooms, folder, 3, (64, 48), 6))
    with pytest.raises(TrainingError, match="not a multiple of 8"):
        next(true_blur.render_true_blur(rooms, folder, 3, (60, 48), 5))


def test_a_sequence_tells_its_truth_in_the_axes_of_a_gyroscope(
    box: TracedRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = SequenceChoice(64, 48, 3, robot=True)
    ways = []
    free_start = traced_sequences.free_start
    monkeypatch.setattr(
        traced_sequences, "free_start", lambda *a: ways.append(free_start(*a)) or ways[-1]
    )
    folder = tmp_path / "sequence"
    assert list(render_sequence(box, folder, choice)) == [1, 2, 3]
    truth = CsvTable(folder / "truth.csv")
    velocity = ways[0].velocity(float(truth.time()[2]))
    w = [truth.column(name)[2] for name in ("wx", "wy", "wz")]
    np.testing.assert_allclose(w, GYRO_FROM_OPTICAL @ velocity[:3], atol=1e-5)
    assert truth.column("vz")[2] == pytest.approx(ROBOT_SPEED)
    assert len(list((folder / "frames").glob("*.jpg"))) == 3
    assert len(list((folder / "depth").glob("*.png"))) == 3
    assert "metres_per_unit" not in settings_of(folder)
    for room, other in ((box, SequenceChoice(64, 48, 3)), (TracedRoom(box.scene, 1.2), choice)):
        with pytest.raises(TrainingError, match="of other settings"):
            next(render_sequence(room, folder, other))


def test_rooms_to_validate_on_are_refused_for_training(tmp_path: Path) -> None:
    (tmp_path / "bathroom").mkdir()
    (tmp_path / "bathroom" / "views.csv").write_text("name,fx\n")
    with pytest.raises(TrainingError, match="validated on"):
        PathTracedRooms(tmp_path)


def test_unknown_rooms_are_named(box: TracedRoom, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="has no room cellar; it holds box, other"):
        Rooms.of(tmp_path / "scenes", ["cellar"])
    with pytest.raises(RecordingError, match="has no rooms"):
        Rooms.of(tmp_path)


# --- scene files and the path tracer
# -------------------------------------------------------------------

SCENE = """<scene version="0.5.0">
  <default name="spp" value="64"/>
  <integrator type="path"/>
  <sensor type="perspective"><film type="ldrfilm"><integer name="width" value="9"/>
    <boolean name="banner" value="false"/></film><sampler type="sobol"/></sensor>
  <shape type="obj"><string name="filename" value="models/gone.obj"/></shape>
  <bsdf type="diffuse"><texture type="bitmap" name="reflectance">
    <string name="filename" value="../../textures/there.png"/></texture></bsdf>
  <bsdf type="diffuse"><texture type="bitmap" name="reflectance">
    <string name="filename" value="textures/gone.png"/></texture></bsdf>
  <emitter type="sunsky"/>
  <float name="fooBar" value="$spp"/>
</scene>"""


def test_old_scenes_are_made_readable(tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "there.png").write_bytes(b"")
    (tmp_path / "scene.xml").write_text(SCENE)
    scene = read_scene_file(tmp_path / "scene.xml")
    assert scene.missing == ["models/gone.obj", "textures/gone.png"]
    kept = scene.root.find("bsdf/texture/string")
    assert kept is not None and kept.get("value") == str(tmp_path / "textures" / "there.png")
    plain = scene.root.findall("bsdf")[1].find("rgb")
    assert plain is not None and plain.get("name") == "reflectance"
    assert "sunsky" not in scene.xml and "sobol" not in scene.xml and "banner" not in scene.xml
    assert 'value="64"' in scene.xml
    assert scene.without(["foo_bar"]) == 1 and scene.without(["foo_bar"]) == 0


def test_a_file_that_is_no_scene_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scene.xml").write_text("no scene")
    with pytest.raises(RecordingError, match="is not a scene"):
        read_scene_file(tmp_path / "scene.xml")


def test_what_is_missing_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mitsuba", None)
    with pytest.raises(TrainingError, match=r"pip install .*\[rooms\]"):
        path_tracer.import_mitsuba()


CORNELL = """<scene version="0.6.0">
  <sensor type="perspective"><transform name="toWorld">
    <lookat origin="0, 0, -3" target="0, 0, 0" up="0, 1, 0"/></transform></sensor>
  <shape type="rectangle"><transform name="toWorld"><scale value="4"/></transform>
    <bsdf type="diffuse"><rgb name="reflectance" value="0.8, 0.1, 0.1"/></bsdf></shape>
  <shape type="rectangle"><transform name="toWorld"><scale value="0.5"/>
    <translate x="1" y="0" z="-0.5"/></transform>
    <bsdf type="twosided"><bsdf type="diffuse"><rgb name="reflectance" value="0.1, 0.1, 0.8"/></bsdf></bsdf></shape>
  <emitter type="constant"><rgb name="radiance" value="1"/></emitter>
</scene>"""


def test_the_path_tracer_sees_what_stands_left_on_the_left(tmp_path: Path) -> None:
    """A blue board at world +x before a wall; a camera that looks along +z has +x on its left."""
    pytest.importorskip("mitsuba", reason="needs the extra 'rooms'")
    pytest.importorskip("pyoidn", reason="needs the extra 'rooms'")
    (tmp_path / "scene.xml").write_text(CORNELL)
    tracer = path_tracer.PathTracer(tmp_path / "scene.xml")
    depth = tracer.depth(CAMERA, tracer.start)
    assert depth[24, 32] == pytest.approx(3.0, abs=1e-3)
    assert depth[24, 12] == pytest.approx(2.5, abs=1e-3) and depth[24, 52] == pytest.approx(
        3.0, abs=1e-3
    )
    light = tracer.light(CAMERA, [tracer.start], 8, 0)
    blue, _, red = light[24, 12]
    assert blue > 2 * red, "BGR"
    halves = path_tracer.PathTracer(tmp_path / "scene.xml", 0.5)
    np.testing.assert_allclose(halves.start.position, tracer.start.position / 2)
    np.testing.assert_allclose(halves.depth(CAMERA, halves.start), depth / 2, rtol=1e-5)
    same = halves.light(CAMERA, [halves.start], 8, 0)
    assert np.abs(same - light).mean() < 0.02 * light.mean()
