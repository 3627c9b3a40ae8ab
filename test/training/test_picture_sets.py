"""Panoramas and rooms: pictures to blur whose geometry is exact."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import RecordingError, TrainingError
from blur_imu_ros.simulation.room_renderer import Pose, furnished_room
from blur_imu_training.data.picture_sets import PICTURE_SETS, load_pictures
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.scene.panoramas import FIELD_OF_VIEW, PanoramaFolder, perspective_view
from blur_imu_training.scene.path_traced_rooms import PathTracedRooms
from blur_imu_training.scene.room_pictures import NEAREST, RoomPictures
from blur_imu_training.scene.sharp_images import WeightedMixture

SIZE = (65, 49)
FOCAL = 30.0


def panorama_with_mark(azimuth: float, elevation: float) -> np.ndarray:
    """A dark panorama with a bright mark, degrees right and down of straight ahead."""
    panorama = np.zeros((256, 512, 3), np.uint8)
    column = round((azimuth / 360 + 0.5) * 512 - 0.5)
    row = round((elevation / 180 + 0.5) * 256 - 0.5)
    panorama[row - 1 : row + 2, column - 1 : column + 2] = 255
    return panorama


def brightest(view: np.ndarray) -> tuple[float, float]:
    """Return (x, y) of the centroid of what is bright, pixels from the middle."""
    weight = view[..., 0].astype(float)
    y, x = np.mgrid[: view.shape[0], : view.shape[1]]
    total = weight.sum()
    return (
        (x * weight).sum() / total - (view.shape[1] - 1) / 2,
        (y * weight).sum() / total - (view.shape[0] - 1) / 2,
    )


def test_a_mark_to_the_right_and_below_is_seen_there() -> None:
    view = perspective_view(panorama_with_mark(20, 0), Rotation.identity(), FOCAL, SIZE)
    assert brightest(view) == pytest.approx((30 * np.tan(np.radians(20)), 0), abs=0.5)
    view = perspective_view(panorama_with_mark(0, 15), Rotation.identity(), FOCAL, SIZE)
    assert brightest(view) == pytest.approx((0, 30 * np.tan(np.radians(15))), abs=0.5)


def test_turning_towards_a_mark_brings_it_to_the_middle() -> None:
    yaw_right_pitch_down = Rotation.from_euler("YX", [40, -15], degrees=True)
    view = perspective_view(panorama_with_mark(40, 15), yaw_right_pitch_down, FOCAL, SIZE)
    assert brightest(view) == pytest.approx((0, 0), abs=0.5)


def test_the_seam_behind_is_not_seen() -> None:
    panorama = np.full((256, 512, 3), 200, np.uint8)
    behind = Rotation.from_euler("Y", 180, degrees=True)
    assert (perspective_view(panorama, behind, FOCAL, SIZE) == 200).all()


def test_panoramas_are_drawn_at_their_own_sharpness(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "sky.png"), panorama_with_mark(0, 0))
    cv2.imwrite(str(tmp_path / "no_panorama.png"), np.zeros((100, 100, 3), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    panoramas = PanoramaFolder(tmp_path)
    assert len(panoramas) == 1 and panoramas.skipped == ["broken.jpg", "no_panorama.png"]
    picture = panoramas.draw(0, np.random.default_rng(0))
    assert picture.focal == pytest.approx(512 / (2 * np.pi)) and not picture.depth_is_real
    field_of_view = np.degrees(2 * np.arctan(picture.image.shape[1] / 2 / picture.focal))
    assert FIELD_OF_VIEW[0] - 1 < field_of_view < FIELD_OF_VIEW[1] + 1


def test_a_folder_without_panoramas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no usable pictures"):
        PanoramaFolder(tmp_path)


def test_rooms_have_exact_depth_everywhere_and_are_always_the_same() -> None:
    first = RoomPictures().draw(7, np.random.default_rng(0))
    again = RoomPictures().draw(7, np.random.default_rng(1))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.depth_is_real and first.image.std() > 10
    assert 0 < first.inverse_depth.min() and first.inverse_depth.max() < 1 / NEAREST
    other = RoomPictures().draw(8, np.random.default_rng(0))
    assert not np.array_equal(first.image, other.image)


def test_a_stretched_room_is_as_much_deeper() -> None:
    room = furnished_room(0)
    camera = Camera(80, 60, 60, 60, 39.5, 29.5)
    straight = Pose(Rotation.identity(), np.zeros(3))
    plain, deeper = (
        scene.inverse_depth(camera, straight)[22, 40]
        for scene in (room, room.stretched(np.array([1, 1, 1.5])))
    )
    assert deeper == pytest.approx(plain / 1.5)


def test_samples_of_rooms_carry_depth_to_learn_from() -> None:
    sample = SampleStream(WeightedMixture([(RoomPictures(), 1.0)]), 96, 64, 20.0, seed=0)[0]
    assert sample.depth_is_real and np.isfinite(sample.tensors(250.0)["log_inverse_depth"]).all()


def write_seven_scenes(folder: Path, frames: int) -> None:
    folder.mkdir(parents=True)
    for index in range(frames):
        cv2.imwrite(
            str(folder / f"frame-{index:06d}.color.png"), np.full((48, 64, 3), index, np.uint8)
        )
        cv2.imwrite(
            str(folder / f"frame-{index:06d}.depth.png"), np.full((48, 64), 2000, np.uint16)
        )


def test_7_scenes_gives_every_tenth_frame_with_its_depth(tmp_path: Path) -> None:
    write_seven_scenes(tmp_path / "7scenes" / "chess" / "seq-01", 21)
    (tmp_path / "7scenes" / "chess" / "seq-01" / "frame-000010.depth.png").write_bytes(b"none")
    pictures = PICTURE_SETS["7scenes"](tmp_path)
    assert len(pictures) == 2
    assert pictures.skipped == ["chess/seq-01/frame-000010.color.png"]
    last = pictures.draw(1, np.random.default_rng(0))
    assert (last.image == 20).all() and last.depth_is_real
    np.testing.assert_allclose(last.inverse_depth, 0.5)


@pytest.mark.parametrize("held_out", ["redkitchen", "7scenes_redkitchen"])
def test_the_scene_that_validates_is_not_trained_on(tmp_path: Path, held_out: str) -> None:
    write_seven_scenes(tmp_path / "7scenes" / "chess" / "seq-01", 1)
    write_seven_scenes(tmp_path / "7scenes" / held_out / "seq-01", 1)
    with pytest.raises(TrainingError, match=f"{held_out}: is the scene that validation reads"):
        load_pictures({"7scenes": 1.0}, tmp_path)


def test_the_scene_that_validates_is_known_behind_another_name(tmp_path: Path) -> None:
    write_seven_scenes(tmp_path / "7scenes_redkitchen", 1)
    (tmp_path / "7scenes").mkdir()
    (tmp_path / "7scenes" / "kitchen").symlink_to(tmp_path / "7scenes_redkitchen")
    with pytest.raises(TrainingError, match="kitchen: is the scene that validation reads"):
        load_pictures({"7scenes": 1.0}, tmp_path)


def test_what_is_left_out_is_listed_for_the_user(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "hdri_cc0_ldr").mkdir()
    cv2.imwrite(str(tmp_path / "hdri_cc0_ldr" / "sky.png"), panorama_with_mark(0, 0))
    (tmp_path / "hdri_cc0_ldr" / "broken.jpg").write_bytes(b"no image")
    load_pictures({"panoramas": 1.0}, tmp_path)
    assert "panoramas: 1 left out: broken.jpg" in caplog.text


def test_an_unknown_set_is_refused_and_the_known_ones_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="'nyu' is not known; use nyuv2, .* scannetpp"):
        load_pictures({"nyu": 1.0}, tmp_path)


def traced_room(folder: Path, views: str, size: tuple[int, int] = (40, 60)) -> Path:
    """Write a path-traced room of one view, `a`, whose left half is 2 m away and whose right is
    sky."""
    for name in ("rgb", "depth"):
        (folder / "room" / name).mkdir(parents=True)
    cv2.imwrite(str(folder / "room" / "rgb" / "a.jpg"), np.full((40, 60, 3), 90, np.uint8))
    depth = np.zeros(size, np.uint16)
    depth[:, :30] = 2000
    cv2.imwrite(str(folder / "room" / "depth" / "a.png"), depth)
    (folder / "room" / "views.csv").write_text(views)
    return folder


def test_path_traced_rooms_give_their_depth_and_focal_length(tmp_path: Path) -> None:
    rooms = PathTracedRooms(traced_room(tmp_path, "a,55.5,55.5,30,20\nlost,55.5\n"))
    assert len(rooms) == 1 and rooms.skipped == ["room/lost"]
    view = rooms.draw(0, np.random.default_rng(0))
    assert view.focal == 55.5 and view.depth_is_real
    np.testing.assert_allclose(view.inverse_depth[:, :30], 0.5)
    np.testing.assert_allclose(view.inverse_depth[:, 30:], 1 / 30)


def test_a_path_traced_view_whose_depth_has_another_size_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no usable pictures"):
        PathTracedRooms(traced_room(tmp_path, "a,55.5\n", size=(20, 60)))


@pytest.mark.parametrize("row", ["a", "a,far", "a,0", "a,nan"])
def test_a_row_that_is_no_view_is_named(tmp_path: Path, row: str) -> None:
    with pytest.raises(RecordingError, match=r"views\.csv: line 1"):
        PathTracedRooms(traced_room(tmp_path, row + "\n"))
