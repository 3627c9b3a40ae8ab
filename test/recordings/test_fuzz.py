"""Whatever comes in is used or refused by an error of ours: no crash, no hang, nothing not finite.

`FUZZ_CASES` says how many cases all tests have together; each case is made from its number alone.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from blur_imu_ros.choices import Axes, Direction
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import COEFFICIENTS, Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.errors import BlurImuError
from blur_imu_ros.network.blur_network import model_path
from blur_imu_ros.network.model_card import ModelCard
from blur_imu_ros.network.model_file import read_model
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.camera_files import load_camera, load_exposure_time
from blur_imu_ros.recordings.camera_info import CameraInfo
from blur_imu_ros.recordings.csv_tables import read_series
from blur_imu_ros.recordings.file_names import stamps_of_names
from blur_imu_ros.recordings.image_messages import (
    KNOWN_ENCODINGS,
    decode_compressed,
    decode_image,
)
from blur_imu_ros.recordings.timestamp_files import read_timestamps
from blur_imu_ros.recordings.trajectories import read_poses
from blur_imu_ros.recordings.velocities import read_velocities
from blur_imu_ros.results.bag_writer import BagWriter
from blur_imu_ros.results.ros_fields import imu_fields, motion_fields, twist_fields
from helpers.calibrations import BROWN_FILES, FISHEYE_FILES, WIDE_FILES
from helpers.gyroscope_logs import LOGS
from helpers.mutations import CASES, damaged, numbered, wild, wild_float
from helpers.synthetic_fields import random_truth

pytestmark = pytest.mark.timeout(60 + CASES / 20)

ENCODINGS = [*KNOWN_ENCODINGS, "", "bgr7", "32FC1", "jpeg", "BGR8"]
CAMERA = Camera(64, 48, 50, 50, 31.5, 23.5)
VELOCITIES = ("wx", "wy", "wz", "vx", "vy", "vz")


@contextmanager
def only_our_errors(case: object) -> Iterator[None]:
    """Let errors of ours pass, and name the case of any other."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except BlurImuError as error:
        assert str(error)
    except Exception as error:
        raise AssertionError(f"case {case}: {error!r}") from error


def same_file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# --- messages -------------------------------------------------------------------------------------


def test_image_messages() -> None:
    for index, rng in enumerate(numbered(0.2, 1)):
        height, width = int(rng.integers(1, 24)), int(rng.integers(1, 24))
        step = width * int(rng.integers(1, 9)) + int(rng.integers(0, 5))
        size = max(0, step * height * int(rng.integers(1, 3)) + int(rng.integers(-6, 7)))
        encoding = ENCODINGS[int(rng.integers(len(ENCODINGS)))]
        data = rng.bytes(min(size, 20_000))
        shape = wild(rng, height, 0.15), wild(rng, width, 0.15)
        with only_our_errors(index):
            image = decode_image(*shape, encoding, wild(rng, step), bool(rng.integers(2)), data)
            assert image.shape[:2] == shape and image.dtype == np.uint8
            assert image.shape[2:] in ((), (3,))


def test_compressed_images() -> None:
    picture = random_picture(48, 64)
    valid = [cv2.imencode(suffix, picture)[1].tobytes() for suffix in (".jpg", ".png")]
    valid.append(valid[0][:-2])
    formats = ["", "jpeg", "bayer_rggb8; jpeg compressed ", "h264", "16UC1; compressedDepth"]
    for index, rng in enumerate(numbered(0.06, 2)):
        with only_our_errors(index):
            said = formats[int(rng.integers(len(formats)))]
            image = decode_compressed(damaged(rng, valid[index % 3], texts=False), said)
            assert image.shape[2:] in ((), (3,)) and image.dtype == np.uint8


def test_camera_info() -> None:
    names = [*COEFFICIENTS, "", "fisheye", "none", "radtan", "double_sphere"]
    for index, rng in enumerate(numbered(0.2, 3)):
        k = [wild_float(rng, x, 0.05) for x in (50.0, 0, 32, 0, 50, 24, 0, 0, 1)]
        count = wild(rng, int(rng.choice([0, 4, 5, 8, 12, 14])), 0.1) % 20
        info = CameraInfo(
            width=wild(rng, 64, 0.1),
            height=wild(rng, 48, 0.1),
            k=k[: wild(rng, 9, 0.05) % 10],
            d=[wild_float(rng, 0.01, 0.1) for _ in range(count)],
            distortion_model=names[int(rng.integers(len(names)))],
            binning_x=wild(rng, 0, 0.1),
            binning_y=wild(rng, 0, 0.1),
            roi=(wild(rng, 0, 0.1), wild(rng, 0, 0.1), wild(rng, 0, 0.1), wild(rng, 0, 0.1)),
        )
        with only_our_errors((index, info)):
            camera = info.camera()
            view = NetworkView(camera, 32, 24)
            numbers = [view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy]
            assert np.isfinite(numbers).all()
            if camera.width * camera.height <= 64 * 48:
                image = np.zeros((camera.height, camera.width, 3), np.uint8)
                assert view.apply(image).shape == (24, 32, 3)


# --- files ----------------------------------------------------------------------------------------


def random_picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def csv_of_velocities() -> bytes:
    names = ["t", *VELOCITIES, *(f"s_{n}" for n in VELOCITIES), "blur_px", "valid"]
    rows = [[0.1 * k, *np.linspace(-1, 1, 6), *[0.1] * 6, 5.0, 1] for k in range(6)]
    lines = [names, *[[f"{x:.6g}" for x in row] for row in rows]]
    return "\n".join(",".join(line) for line in lines).encode()


def test_csv_files(tmp_path: Path) -> None:
    valid = csv_of_velocities()
    for index, rng in enumerate(numbered(0.11, 4)):
        path = same_file(tmp_path, "some.csv", damaged(rng, valid))
        with only_our_errors(index):
            times = read_timestamps(path).times
            assert times is not None and not np.isinf(times).any()
        with only_our_errors(index):
            series = read_series(path)
            assert np.isfinite(series.t).all() and series.velocity.shape == (len(series.t), 6)


def test_files_of_time_stamps(tmp_path: Path) -> None:
    """Those of EuRoC, TUM, KITTI, rpicam, and bare numbers."""
    numbers = [1_700_000_000_000_000_000 + 33_000_000 * k for k in range(12)]
    valid = [
        "#timestamp [ns],filename\n" + "\n".join(f"{n},{n}.png" for n in numbers),
        "# color images\n# timestamp filename\n"
        + "\n".join(f"{n / 1e9} rgb/{n}.png" for n in numbers),
        "\n".join(f"2011-09-26 13:02:{k:02}.5{n}" for k, n in enumerate(numbers)),
        "# timecode format v2\n" + "\n".join(f"{33.3 * k:.3f}" for k in range(12)),
        "\n".join(map(str, numbers)),
    ]
    for index, rng in enumerate(numbered(0.05, 12)):
        path = same_file(tmp_path, "some.txt", damaged(rng, valid[index % 5].encode()))
        with only_our_errors(index):
            found = read_timestamps(path)
            assert found.times is not None and not np.isinf(found.times).any()
            assert len(found.names) in (0, len(found.times))


def test_names_of_images() -> None:
    valid = "1700000000123456789_left-0001.5"
    for index, rng in enumerate(numbered(0.02, 13)):
        names = [damaged(rng, valid.encode()).decode(errors="replace") for _ in range(3)]
        with only_our_errors(index):
            found = stamps_of_names([Path(name.replace("/", "_") or "x") for name in names])
            assert found is None or np.isfinite(found).all()


def test_trajectories(tmp_path: Path) -> None:
    valid = "\n".join(f"{k / 10} {k} 0 0 0 0 0 1" for k in range(8)).encode()
    for index, rng in enumerate(numbered(0.04, 5)):
        path = same_file(tmp_path, "some.tum", damaged(rng, valid))
        with only_our_errors(index):
            series = read_poses(path).velocities()
            assert np.isfinite(series.velocity).all()


def test_gyroscope_logs(tmp_path: Path) -> None:
    valid = [text.encode() for text in LOGS.values()]
    for index, rng in enumerate(numbered(0.1, 15)):
        path = same_file(tmp_path, "log.csv", damaged(rng, valid[index % len(valid)]))
        with only_our_errors(index):
            series = read_velocities(path)
            assert np.all(np.diff(series.t) > 0) and series.velocity.shape == (len(series.t), 6)


def test_camera_files(tmp_path: Path) -> None:
    numbers = {
        "image_width": 64, "image_height": 48, "exposure_time": 0.01,
        "distortion_model": "plumb_bob", "distortion_coefficients": {"data": [0.1, 0, 0, 0, 0]},
    }  # fmt: skip
    flat = numbers | {"fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0}
    matrix = {"data": [50.0, 0, 32, 0, 50, 24, 0, 0, 1]}
    valid = [yaml.safe_dump(one) for one in (flat, numbers | {"camera_matrix": matrix})]
    valid += [
        *BROWN_FILES.values(),
        *FISHEYE_FILES.values(),
        *(text for text, _ in WIDE_FILES.values()),
    ]
    for index, rng in enumerate(numbered(0.1, 6)):
        text = valid[index % len(valid)].encode()
        path = same_file(tmp_path, "camera.yaml", damaged(rng, text))
        with only_our_errors(index):
            camera = load_camera(path)
            assert np.isfinite(camera.matrix).all()
        with only_our_errors(index):
            load_exposure_time(path)


def test_model_cards(tmp_path: Path) -> None:
    card = ModelCard.load(model_path("compact").with_suffix(".json"))
    valid = json.dumps(asdict(replace(card, training={}, metrics={}))).encode()
    for index, rng in enumerate(numbered(0.06, 7)):
        path = same_file(tmp_path, "model.json", damaged(rng, valid))
        with only_our_errors(index):
            found = ModelCard.load(path)
            assert 0 < found.width < 10_000 and 0 < found.height < 10_000


def test_model_files(tmp_path: Path) -> None:
    valid = model_path("compact").read_bytes()
    # What tells of operators lies before the weights and behind them.
    valid = valid[:3000] + valid[-3000:]
    for index, rng in enumerate(numbered(0.06, 8)):
        path = same_file(tmp_path, "model.onnx", damaged(rng, valid, texts=False))
        with only_our_errors(index):
            read_model(path)


def bag_of(kind: str, folder: Path) -> Path:
    """Write a bag of two images and a calibration."""
    store = get_typestore(Stores.ROS1_NOETIC if kind == "ros1" else Stores.ROS2_JAZZY)
    types = store.types
    path = folder / ("some.bag" if kind == "ros1" else "bag")
    plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
    writer = Writer1(path) if kind == "ros1" else Writer(path, version=9, storage_plugin=plugin)
    picture = np.frombuffer(random_picture(12, 16).tobytes(), np.uint8)
    with writer:
        sequence = (0,) if kind == "ros1" else ()
        image, info = (
            writer.add_connection(topic, name, typestore=store)
            for topic, name in (
                ("/camera/image", "sensor_msgs/msg/Image"),
                ("/camera/camera_info", "sensor_msgs/msg/CameraInfo"),
            )
        )
        roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        k = np.array([14.0, 0, 8, 0, 14, 6, 0, 0, 1])
        for index in range(2):
            stamp = types["builtin_interfaces/msg/Time"](index + 1, 0)
            header = types["std_msgs/msg/Header"](*sequence, stamp, "camera")
            told = types["sensor_msgs/msg/CameraInfo"](
                header,
                12,
                16,
                "plumb_bob",
                np.zeros(5),
                k,
                np.eye(3).ravel(),
                np.zeros(12),
                0,
                0,
                roi,
            )
            seen = types["sensor_msgs/msg/Image"](header, 12, 16, "bgr8", 0, 48, picture)
            for connection, message in ((info, told), (image, seen)):
                name = connection.msgtype
                serialize = store.serialize_ros1 if kind == "ros1" else store.serialize_cdr
                writer.write(connection, (index + 1) * 10**9, serialize(message, name))
    return path if kind == "ros1" else next(path.glob(f"*.{'mcap' if kind == 'mcap' else 'db3'}"))


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "ros1"])
def test_bags(tmp_path: Path, kind: str) -> None:
    whole = bag_of(kind, tmp_path)
    settings = FrameSettings(exposure_time=0.01)
    assert len(list(open_recording(whole, settings))) == 2
    valid, folder = whole.read_bytes(), tmp_path / "damaged"
    folder.mkdir()
    for index, rng in enumerate(numbered(0.01, 9)):
        path = same_file(folder, f"{index}{whole.suffix}", damaged(rng, valid, texts=False))
        with only_our_errors(index):
            for frame in open_recording(path, settings):
                assert np.isfinite(frame.t) and frame.image.dtype == np.uint8
        with only_our_errors(index):
            read_velocities(path)
        path.unlink()


# --- the chain ------------------------------------------------------------------------------------


class Mad:
    """A network that says wild things in some cells, or everywhere."""

    input_size = (320, 224)

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.field = random_truth(int(rng.integers(1000)), noise=1.0).field

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        names = ("q", "sigma", "inverse_depth", "sigma_log_depth")
        return replace(self.field, **{n: self._spoilt(getattr(self.field, n)) for n in names})

    def _spoilt(self, values: np.ndarray) -> np.ndarray:
        share = self.rng.choice([0, 0, 0.01, 1.0])
        extreme = self.rng.choice([-1.0, 0.0, 1e-12, 1e3, 1e5, 1e6, np.inf, np.nan])
        return np.where(self.rng.random(values.shape) < share, extreme, values)


def test_wild_networks(tmp_path: Path) -> None:
    image = random_picture(48, 64)
    with BagWriter(tmp_path / "some.mcap", Axes.BODY, Direction.ADJACENT, "mad") as bag:
        for index, rng in enumerate(numbered(0.03, 10)):
            imu = VisualImu(Mad(rng))
            moved = [np.roll(image, 3 * k, axis=1) for k in range(4)]
            frames = [Frame(m, 1 + k / 30, 0.01, CAMERA, f"{k}") for k, m in enumerate(moved)]
            with only_our_errors(index):
                for measured in imu.track(frames):
                    estimate = measured.estimate
                    assert np.isfinite([*estimate.velocity, *estimate.sigma]).all()
                    assert np.linalg.eigvalsh(estimate.covariance).min() > 0
                    assert 0 <= estimate.direction_probability <= 1
                    for fields in (imu_fields, twist_fields):
                        assert all_finite(fields(estimate, "camera"))
                    assert all_finite(motion_fields(estimate, "camera", "mad"))
                    bag.write(replace(measured.frame, t=1 + index), replace(estimate, t=1 + index))


def all_finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(all_finite, value.values()))
    with suppress(TypeError, ValueError):  # names
        return bool(np.isfinite(np.asarray(value, float)).all())
    return True
