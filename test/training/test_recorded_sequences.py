"""RGB-D recordings and published tables, on tiny ones in exactly their layout."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import RecordingError
from blur_imu_training.data.published_csv import (
    PublishedSamples,
    motion_of,
    pose_of,
    write_published,
)
from blur_imu_training.data.sample_sets import open_samples
from blur_imu_training.data.scannetpp import averaged_scannetpp, scannetpp
from blur_imu_training.data.stray_scanner import real_samples, stray_scanner
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.scene.exposure_motion import ExposureMotion
from blur_imu_training.scene.sharp_images import ProceduralPictures, WeightedMixture

WIDTH, HEIGHT, FOCAL = 96, 72, 80.0
K: list[list[float]] = [[FOCAL, 0, 47.5], [0, FOCAL, 35.5], [0, 0, 1]]
YAW_A_FRAME, STEP_A_FRAME = 0.004, 0.002
"""rad, and metres to the right."""


def pose_at(index: int) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec([0, YAW_A_FRAME * index, 0]).as_matrix()
    pose[:3, 3] = [STEP_A_FRAME * index, 0, 0]
    return pose


def write_depth(path: Path, millimetres: int = 2000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((18, 24), millimetres, np.uint16))


def picture(index: int) -> np.ndarray:
    coarse = np.random.default_rng(index).integers(0, 256, (9, 12, 3), np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


# --- ScanNet++ --------------------------------------------------------------------------------


def write_scene(root: Path, scene: str, poses: list[np.ndarray]) -> Path:
    iphone = root / "data" / scene / "iphone"
    (iphone / "rgb").mkdir(parents=True)
    entries = {}
    for index, pose in enumerate(poses):
        name = f"frame_{index:06d}"
        cv2.imwrite(str(iphone / "rgb" / f"{name}.jpg"), picture(index))
        write_depth(iphone / "depth" / f"{name}.png")
        entries[name] = {"aligned_pose": pose.tolist(), "intrinsic": K, "timestamp": index / 60}
    (iphone / "pose_intrinsic_imu.json").write_text(json.dumps(entries))
    (root / "splits").mkdir(exist_ok=True)
    (root / "splits" / "nvs_sem_val.txt").write_text("held_out\n")
    return iphone


STEADY = [pose_at(i) for i in range(31)]


def test_scannetpp_gives_a_keyframe_every_ten_frames(tmp_path: Path) -> None:
    write_scene(tmp_path, "scene", STEADY)
    pictures = scannetpp(tmp_path)
    assert [k.frame.name[-2:] for k in pictures.keyframes] == ["05", "15", "25"]
    drawn = pictures.draw(0, np.random.default_rng(0))
    assert drawn.image.shape == (HEIGHT, WIDTH, 3) and drawn.depth_is_real
    assert drawn.focal == FOCAL
    np.testing.assert_allclose(drawn.inverse_depth, 0.5)
    sample = SampleStream(WeightedMixture([(pictures, 1.0)]), 48, 32, 10.0, seed=0)[0]
    assert sample.image.shape == (32, 48, 3)


def test_the_motion_of_a_keyframe_is_that_of_the_poses_around_it(tmp_path: Path) -> None:
    write_scene(tmp_path, "scene", STEADY)
    motion = scannetpp(tmp_path).keyframes[1].motion
    np.testing.assert_allclose(motion.rotation, [0, 10 * YAW_A_FRAME, 0], atol=1e-9)
    turned = Rotation.from_rotvec(motion.at(0.5)[0])
    np.testing.assert_allclose(turned.as_rotvec(), [0, 5 * YAW_A_FRAME, 0], atol=1e-9)
    to_keyframe = STEADY[15][:3, :3].T
    expected = to_keyframe @ (STEADY[20][:3, 3] - STEADY[15][:3, 3])
    np.testing.assert_allclose(motion.at(0.5)[1], expected, atol=1e-5)


def test_the_recorded_motion_blurs_the_picture_mirrored_where_it_is(tmp_path: Path) -> None:
    write_scene(tmp_path, "scene", STEADY)
    stream = SampleStream(WeightedMixture([(scannetpp(tmp_path), 1.0)]), 48, 32, 40.0, seed=0)
    shots = [stream.shot(index) for index in range(12)]
    turn, shift = 10 * YAW_A_FRAME, 10 * STEP_A_FRAME
    sides = {float(np.sign(shot.motion.rotation[1])) for shot in shots}
    assert sides == {-1.0, 1.0}
    for shot in shots:
        side = np.sign(shot.motion.rotation[1])
        np.testing.assert_allclose(shot.motion.rotation, [0, side * turn, 0], atol=1e-9)
        np.testing.assert_allclose(shot.motion.translation[0], side * shift, rtol=0.01)


def test_recorded_motion_is_slowed_to_the_longest_blur(tmp_path: Path) -> None:
    write_scene(tmp_path, "scene", STEADY)
    stream = SampleStream(WeightedMixture([(scannetpp(tmp_path), 1.0)]), 48, 32, 2.0, seed=0)
    samples = [stream[index] for index in range(8)]
    assert all(0.9 < np.hypot(*s.field.T).mean() < 2.2 for s in samples)


def trail_in(image: np.ndarray) -> float:
    """Return the length of an even trail from the spread of its light along the rows."""
    light = ((image.astype(float) / 255) ** 2.2).sum(axis=(0, 2))
    u = np.arange(len(light))
    middle = (u * light).sum() / light.sum()
    return float(np.sqrt(12 * ((u - middle) ** 2 * light).sum() / light.sum()))


def draw_mark(path: Path, pose: np.ndarray) -> None:
    """Draw what a camera at `pose` sees of a small mark 2 m ahead of the sixth frame's camera."""
    mark = STEADY[5][:3, 3] + STEADY[5][:3, :3] @ [0, 0, 2.0]
    x, y, z = pose[:3, :3].T @ (mark - pose[:3, 3])
    u, v = FOCAL * x / z + K[0][2], FOCAL * y / z + K[1][2]
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    light = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 8)
    grey = np.asarray(light ** (1 / 2.2) * 255, np.uint8)
    cv2.imwrite(str(path), np.repeat(grey[..., None], 3, axis=2))


def test_averaged_frames_are_smeared_as_long_as_their_label_says(tmp_path: Path) -> None:
    iphone = write_scene(tmp_path, "scene", [pose_at(2 * i) for i in range(11)])
    for index in range(11):
        draw_mark(iphone / "rgb" / f"frame_{index:06d}.jpg", pose_at(2 * (index - 5) + 5))
    sample = averaged_scannetpp(tmp_path, WIDTH, HEIGHT, 0.02)[0]
    assert not sample.is_recorded and sample.depth_is_real
    still = tmp_path / "still.png"
    draw_mark(still, STEADY[5])
    own = trail_in(np.asarray(cv2.imread(str(still))))
    smeared = np.sqrt(trail_in(sample.image) ** 2 - own**2)
    labelled = float(np.hypot(*sample.field[4, 5]))
    assert labelled > 7
    np.testing.assert_allclose(smeared, labelled, rtol=0.05)


def test_what_is_not_blurred_is_not_averaged_either(tmp_path: Path) -> None:
    jumping = [pose.copy() for pose in STEADY]
    for pose in jumping[17:]:
        pose[:3, 3] += [0.2, 0, 0]
    write_scene(tmp_path, "jumping", jumping)
    write_scene(tmp_path, "held_out", STEADY)
    frames = averaged_scannetpp(tmp_path, 64, 48, 0.02)
    assert len(frames) == 2
    assert frames.skipped == ["jumping/frame_000015: pose jumps"]


def test_an_averaged_frame_that_is_damaged_is_named(tmp_path: Path) -> None:
    iphone = write_scene(tmp_path, "scene", STEADY)
    (iphone / "rgb" / "frame_000017.jpg").write_bytes(b"no image")
    frames = open_samples(tmp_path, 64, 48, 0.02)
    assert frames[0].image.shape == (48, 64, 3)
    with pytest.raises(RecordingError, match="scene/frame_000017: damaged"):
        frames[1]


def test_validation_scenes_are_left_out(tmp_path: Path) -> None:
    write_scene(tmp_path, "held_out", STEADY)
    with pytest.raises(RecordingError, match="no usable"):
        scannetpp(tmp_path)
    (tmp_path / "splits" / "nvs_sem_val.txt").unlink()
    with pytest.raises(RecordingError, match="must not be trained on"):
        scannetpp(tmp_path)


def test_pose_jumps_and_fast_motion_are_left_out_and_listed(tmp_path: Path) -> None:
    jumping = [pose.copy() for pose in STEADY]
    for pose in jumping[17:]:
        pose[:3, 3] += [0.2, 0, 0]
    write_scene(tmp_path, "jumping", jumping)
    fast = [pose_at(10 * i) for i in range(31)]
    write_scene(tmp_path, "turning", fast)
    write_scene(tmp_path, "steady", STEADY)
    pictures = scannetpp(tmp_path)
    assert [k.frame.name for k in pictures.keyframes] == [
        "jumping/frame_000005", "jumping/frame_000025",
        *(f"steady/frame_0000{n}" for n in ("05", "15", "25")),
    ]  # fmt: skip
    assert pictures.skipped[0] == "jumping/frame_000015: pose jumps"
    assert [line.split(":")[0][-2:] for line in pictures.skipped[1:]] == ["05", "15", "25"]
    assert all("px of motion" in line for line in pictures.skipped[1:])


def test_unpaired_and_damaged_frames_are_listed_and_skipped(tmp_path: Path) -> None:
    iphone = write_scene(tmp_path, "scene", [pose_at(i) for i in range(34)])
    (iphone / "depth" / "frame_000002.png").unlink()
    (iphone / "rgb" / "frame_000016.jpg").write_bytes(b"no image")
    (iphone / "depth" / "frame_000026.png").write_bytes(b"no depth")
    pictures = scannetpp(tmp_path)
    names = [k.frame.name for k in pictures.keyframes]
    assert names == ["scene/frame_000006", "scene/frame_000016"]
    assert pictures.skipped == ["scene/frame_000002: unpaired", "scene/frame_000026: no depth"]
    first, other = (pictures.draw(i, np.random.default_rng(0)).image for i in (0, 1))
    np.testing.assert_array_equal(first, other)
    assert pictures.skipped[-1] == "scene/frame_000016: damaged"


@pytest.mark.parametrize("content", ["no json", "[1, 2]", "7"])
def test_a_damaged_table_of_poses_is_named(tmp_path: Path, content: str) -> None:
    iphone = write_scene(tmp_path, "scene", STEADY)
    (iphone / "pose_intrinsic_imu.json").write_text(content)
    with pytest.raises(RecordingError, match=r"pose_intrinsic_imu\.json: is not a table"):
        scannetpp(tmp_path)


# --- StrayScanner -----------------------------------------------------------------------------


def write_stray(folder: Path, frames: int = 31, rate: float = 60.0) -> Path:
    folder.mkdir(parents=True)
    video = cv2.VideoWriter(
        str(folder / "rgb.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), rate, (WIDTH, HEIGHT)
    )
    lines = ["timestamp, frame, x, y, z, qx, qy, qz, qw"]
    for index in range(frames):
        video.write(picture(0))
        write_depth(folder / "depth" / f"{index:06d}.png")
        pose = pose_at(index)
        numbers = [*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        lines.append(f"{100 + index / rate}, {index:06d}, " + ", ".join(str(x) for x in numbers))
    video.release()
    (folder / "odometry.csv").write_text("\n".join(lines) + "\n")
    omega = GYRO_FROM_OPTICAL @ [0, YAW_A_FRAME * rate, 0]
    times = np.arange(99.95, 100.05 + frames / rate, 0.01)
    rows = [f"{t}, 0, 0, 9.8, " + ", ".join(str(x) for x in omega) for t in times]
    header = "timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z"
    (folder / "imu.csv").write_text("\n".join([header, *rows]) + "\n")
    np.savetxt(folder / "camera_matrix.csv", K, delimiter=", ")
    return folder


def test_stray_scanner_recordings_give_keyframes(tmp_path: Path) -> None:
    write_stray(tmp_path / "one")
    pictures = stray_scanner(tmp_path)
    assert [k.frame.name for k in pictures.keyframes] == [
        f"one/0000{n}" for n in ("05", "15", "25")
    ]
    assert pictures.draw(1, np.random.default_rng(0)).image.shape == (HEIGHT, WIDTH, 3)
    assert len(stray_scanner(tmp_path / "one")) == 3


def test_recordings_of_a_folder_are_averaged(tmp_path: Path) -> None:
    write_stray(tmp_path / "one")
    frames = open_samples(tmp_path, 64, 48, 0.02)
    assert len(frames) == 3
    np.testing.assert_allclose(frames[1].motion.rotation, [0, 10 * YAW_A_FRAME, 0], atol=1e-9)
    assert frames[1].shutter.exposure_time == 0.02
    one = open_samples(tmp_path / "one", 64, 48, 0.02)
    assert len(one) == 31 and one[0].is_recorded


def test_real_frames_carry_what_gyroscope_and_odometry_measured(tmp_path: Path) -> None:
    recording = write_stray(tmp_path / "one")
    samples = list(real_samples(recording, exposure_time=0.02, width=64, height=48))
    assert len(samples) == 31
    sample = samples[0]
    np.testing.assert_allclose(sample.motion.rotation, [0, YAW_A_FRAME * 60 * 0.02, 0], atol=1e-9)
    np.testing.assert_allclose(
        sample.motion.translation, [STEP_A_FRAME * 60 * 0.02, 0, 0], atol=1e-9
    )
    np.testing.assert_allclose(sample.inverse_depth, 0.5, rtol=1e-5)
    f = FOCAL * 64 / WIDTH
    middle = sample.field[2:4, 3:5].mean(axis=(0, 1))
    expected = -f * (YAW_A_FRAME + 0.5 * STEP_A_FRAME) * 60 * 0.02
    np.testing.assert_allclose(middle, [expected, 0], atol=0.01)


def test_real_frames_without_depth_or_beside_a_jump_are_left_out(tmp_path: Path) -> None:
    recording = write_stray(tmp_path / "one")
    (recording / "depth" / "000003.png").unlink()
    lines = (recording / "odometry.csv").read_text().splitlines()
    parts = lines[21].split(", ")
    lines[21] = ", ".join([*parts[:2], str(float(parts[2]) + 0.3), *parts[3:]])
    (recording / "odometry.csv").write_text("\n".join(lines) + "\n")
    kept = list(real_samples(recording, exposure_time=0.02, width=64, height=48))
    assert 24 <= len(kept) <= 28
    speeds = [np.linalg.norm(sample.motion.translation) / 0.02 for sample in kept]
    assert max(speeds) < 0.2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rgb.mp4", "no video", "cannot be opened"),
        ("camera_matrix.csv", "1,2\n", "3x3"),
        ("odometry.csv", "timestamp, x\n1, 2\n", "lacks a column y"),
        ("imu.csv", "timestamp, a_x\n1, 2\n", "names neither a gyroscope"),
    ],
)
def test_damaged_parts_of_a_recording_are_named(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    recording = write_stray(tmp_path / "one", frames=11)
    (recording / name).write_text(content)
    with pytest.raises(RecordingError, match=rf"{name}: .*{reason}"):
        list(real_samples(recording, exposure_time=0.02))


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no usable"):
        stray_scanner(tmp_path)


# --- the published table ----------------------------------------------------------------------


def test_the_published_pose_takes_points_from_shutter_open_to_close() -> None:
    """P_b = bRa P_a + bta, for a body that yaws by 0.2 rad and drives 0.1 m ahead of its mean
    axes."""
    motion = ExposureMotion(np.array([0, 0.2, 0]), np.array([0, 0, 0.1]), np.zeros(3), np.zeros(3))
    quaternion, bta = pose_of(motion)
    opened, closed = Rotation.from_rotvec([0, -0.1, 0]), Rotation.from_rotvec([0, 0.1, 0])
    point = np.array([0.3, -0.2, 2.0])
    at_a = opened.inv().apply(point - [0, 0, -0.05])
    at_b = closed.inv().apply(point - [0, 0, 0.05])
    np.testing.assert_allclose(Rotation.from_quat(quaternion).apply(at_a) + bta, at_b, atol=1e-12)
    again = motion_of(quaternion, bta)
    np.testing.assert_allclose(again.rotation, motion.rotation, atol=1e-12)
    np.testing.assert_allclose(again.translation, motion.translation, atol=1e-12)


def published(tmp_path: Path, count: int = 3) -> Path:
    stream = SampleStream(WeightedMixture([(ProceduralPictures(), 1.0)]), 64, 48, 12.0, seed=3)
    table = tmp_path / "train.csv"
    assert write_published(table, (stream[i] for i in range(count))) == count
    return table


def test_published_tables_are_written_and_read_back(tmp_path: Path) -> None:
    table = published(tmp_path)
    header = "blurred,flow,depth,fx,fy,cx,cy,bRa_qx,bRa_qy,bRa_qz,bRa_qw,bta_x,bta_y,bta_z"
    assert table.read_text().splitlines()[0] == header
    samples = PublishedSamples(table)
    stream = SampleStream(WeightedMixture([(ProceduralPictures(), 1.0)]), 64, 48, 12.0, seed=3)
    assert len(samples) == 3
    for index in range(3):
        before, after = stream[index], samples[index]
        np.testing.assert_array_equal(before.image, after.image)
        np.testing.assert_allclose(after.motion.rotation, before.motion.rotation, atol=1e-8)
        np.testing.assert_allclose(after.motion.translation, before.motion.translation, atol=1e-8)
        np.testing.assert_allclose(after.inverse_depth, before.inverse_depth, rtol=1e-5)
        np.testing.assert_allclose(after.field, before.field, atol=0.2)


def test_the_published_flow_is_the_motion_field_of_every_pixel(tmp_path: Path) -> None:
    table = published(tmp_path, count=1)
    sample = PublishedSamples(table)[0]
    flow = np.load(tmp_path / "000000_flow.npy")
    depth = np.load(tmp_path / "000000_depth.npy")
    motion = sample.motion
    expected = motion_field(
        sample.camera, np.array(20.0), np.array(30.0), 1 / depth[30, 20], motion.rotation, motion.translation
    )  # fmt: skip
    np.testing.assert_allclose(flow[30, 20], expected, atol=1e-4)


def test_unusable_rows_are_listed_and_skipped(tmp_path: Path) -> None:
    table = published(tmp_path)
    (tmp_path / "000000_blurred.png").unlink()
    (tmp_path / "000002_flow.npy").write_bytes(b"no array")
    samples = PublishedSamples(table)
    assert len(samples) == 1 and samples.skipped == ["000000_blurred.png", "000002_blurred.png"]
    (tmp_path / "000001_depth.npy").unlink()
    with pytest.raises(RecordingError, match="no usable"):
        PublishedSamples(table)


def test_a_table_without_poses_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("blurred,flow,depth,fx,fy,cx,cy\na,b,c,1,1,1,1\n")
    with pytest.raises(RecordingError, match="lacks a column bRa_qx"):
        PublishedSamples(table)


def test_a_table_without_files_is_refused(tmp_path: Path) -> None:
    table = published(tmp_path, count=1)
    table.write_text(table.read_text().replace("flow,depth", "flows,depths", 1))
    with pytest.raises(RecordingError, match="lacks a column depth, flow"):
        PublishedSamples(table)
