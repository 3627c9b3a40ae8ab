"""Bad input ends a command with exit 1 and one line that names the thing and the cure."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.network.blur_network import load_network
from helpers.command_line import (
    MODEL,
    CommandLine,
    needs_model,
    rows_of,
    turning_images,
    write_camera,
    write_folder,
)

STORE = get_typestore(Stores.ROS2_JAZZY)
COUNT = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images", turning_images(COUNT))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "est.csv"


@pytest.fixture
def refused(blur_imu: CommandLine, folder: Path, camera: Path, out: Path) -> Callable[..., str]:
    """Run with good arguments but for those given, and return the refusal."""

    def run(source: Path | None = None, **changes: object) -> str:
        options = {"camera": camera, "exposure": 0.01, "output": out} | changes
        given = [(f"--{k.replace('_', '-')}", v) for k, v in options.items() if v is not None]
        words = [x for pair in given for x in pair if x is not True]
        return blur_imu("run", source or folder, *words).refusal

    return run


def test_a_missing_or_empty_folder(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "nowhere: there is no such" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "empty: holds no images" in refused(tmp_path / "empty")


def test_an_unreadable_image_in_the_middle_is_left_out_and_told(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path
) -> None:
    (folder / "frame_4.png").write_bytes(b"\x89PNG damaged")
    ended = blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert ended.status == 0 and ended.out.strip() == f"{out}: {COUNT - 1} rows"
    assert [row["frame"] for row in rows_of(out)] == [f"frame_{k}.png" for k in (0, 1, 2, 3, 5)]
    assert "1 of 6 images are left out" in ended.err and "frame_4.png" in ended.err


def test_an_unreadable_image_stops_a_strict_run_and_the_rows_before_are_kept(
    refused: Callable[..., str], folder: Path, out: Path
) -> None:
    (folder / "frame_4.png").write_bytes(b"\x89PNG damaged")
    assert "frame_4.png" in refused(strict=True)
    assert [row["frame"] for row in rows_of(out)] == [f"frame_{k}.png" for k in range(4)]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_gives_no_number(
    refused: Callable[..., str], folder: Path, out: Path, suffix: str
) -> None:
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 16)).save(thumbnail, "JPEG")
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = thumbnail.getvalue()
    path = folder / f"frame_4{suffix}"
    whole = Image.fromarray(cv2.imread(str(folder / "frame_4.png")))
    (folder / "frame_4.png").unlink()
    whole.save(path, exif=exif)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert path.name in refused(strict=True)
    assert len(rows_of(out)) == 4


def test_what_is_hidden_and_odd_names_do_no_harm(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path
) -> None:
    (folder / "._frame_0.png").write_bytes(b"left by another system")
    (folder / "frame_5.png").rename(folder / "²1.png")
    ended = blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert ended.status == 0 and len(rows_of(out)) == COUNT


def test_names_in_the_letters_of_another_system_are_written_as_numbers(
    blur_imu: CommandLine, folder: Path, camera: Path, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    for image in sorted(folder.iterdir()):
        image.rename(folder / f"{odd}_{image.name}")
    source, out = folder.rename(tmp_path / odd), tmp_path / f"{odd}.csv"
    summary, page = tmp_path / "summary.csv", tmp_path / "report.html"
    command = ("run", source, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert blur_imu(*command, "--summary", summary).status == 0
    assert rows_of(out)[0]["frame"].startswith("caf\\udce9_frame_")
    assert blur_imu(*command, "--resume").status == 0
    assert "caf\\udce9" in summary.read_text(encoding="utf-8")
    assert blur_imu("evaluate", out, out, "--html", page).status == 0 and page.is_file()


def test_an_image_of_another_size_is_named_and_the_rows_before_are_kept(
    refused: Callable[..., str], folder: Path, out: Path
) -> None:
    cv2.imwrite(str(folder / "frame_3.png"), np.full((100, 100, 3), 9, np.uint8))
    refusal = refused(strict=True)
    assert "frame_3.png" in refusal and "100x100" in refusal and "320x224" in refusal
    assert len(rows_of(out)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fx: [1, 2\nfy", "is not YAML"),
        ("\x00\x01", "is not YAML"),
        ("just words", "holds no camera"),
        ("", "holds no camera"),
        ("image_width: 320\nimage_height: 224\nfx: 1", "lacks fy"),
        ("image_width: 320\nimage_height: 224\nfx: 0\nfy: 0\ncx: 1\ncy: 1", "Calibrate it"),
        ("image_width: wide\nimage_height: 224\nfx: 9\nfy: 9\ncx: 1\ncy: 1", "wide"),
        (
            "image_width: 320\nimage_height: 224\nfx: .nan\nfy: 9\ncx: 1\ncy: 1",
            "not a finite number",
        ),
        ("image_width: 320\nimage_height: 224\ncamera_matrix: 7", "camera_matrix"),
        ("image_width: 320\nimage_height: 224\ncamera_matrix: {data: [1, 2]}", "camera_matrix"),
        ("image_width: 320\nimage_height: 224\ncamera_matrix: {rows: 3}", "camera_matrix"),
        ("image_width: .inf\nimage_height: 224\nfx: 9\nfy: 9\ncx: 1\ncy: 1", "infinity"),
    ],
)
def test_a_corrupt_camera_file(
    refused: Callable[..., str], tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    refusal = refused(camera=path)
    assert "bad.yaml" in refusal and said in refusal


def test_a_camera_that_is_missing_or_of_another_size(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "none.yaml: cannot be read" in refused(camera=tmp_path / "none.yaml")
    assert "--camera" in refused(camera=None)
    other = write_camera(tmp_path / "other.yaml", image_width=640)
    assert "320x224 but the camera calibration is for 640x224" in refused(camera=other)


@pytest.mark.parametrize(
    ("exposure", "said"),
    [
        (None, "--exposure"),
        (0, "positive"),
        ("-0.01", "positive"),
        ("nan", "--exposure: nan is not a finite number"),
        (10, "milliseconds?"),
    ],
)
def test_an_exposure_time_that_cannot_be(
    refused: Callable[..., str], exposure: object, said: str
) -> None:
    assert said in refused(exposure=exposure)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t\n0\n1\n1\n2\n3\n4\n", "does not increase at row 2"),
        ("t\n0\n1\n2\n", "has more than 3 frames"),
        ("wx,wy\n0,1\n0,2\n", "lacks a column t"),
        ("t\n", "holds no rows"),
        ("t\n0\nsoon\n2\n3\n4\n5\n", "not a number"),
    ],
)
def test_stamps_that_cannot_be(
    refused: Callable[..., str], tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "stamps.csv"
    path.write_text(text)
    assert said in refused(stamps=path)
    assert "stamps.csv: cannot be read" in refused(stamps=tmp_path / "no" / "stamps.csv")


def test_an_output_of_unknown_kind_or_in_a_place_that_cannot_be_written(
    refused: Callable[..., str], tmp_path: Path, folder: Path
) -> None:
    assert "est.txt: choose one of the endings .csv, .mcap" in refused(output=tmp_path / "est.txt")
    (tmp_path / "file").write_text("")
    (tmp_path / "taken.csv").mkdir()
    (tmp_path / "taken.mcap").mkdir()
    for name in ("file/est.csv", "file/est.mcap", "taken.csv", "taken.mcap"):
        assert f"{name}: cannot be written" in refused(output=tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("name", ["est.csv", "est.mcap"])
def test_a_folder_without_permission(
    refused: Callable[..., str], tmp_path: Path, name: str
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "cannot be written: Permission denied" in refused(output=locked / name)


def test_pictures_that_cannot_be_written_are_refused_before_the_work(
    refused: Callable[..., str], tmp_path: Path, out: Path
) -> None:
    assert "plot.jpeg2: " in refused(plot=tmp_path / "plot.jpeg2")
    assert "overlay.txt: " in refused(overlay=tmp_path / "overlay.txt")
    assert not out.exists()
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(plot=tmp_path / "file" / "plot.png")
    assert "cannot be written" in refused(overlay=tmp_path / "file" / "overlay.mp4")


def test_an_output_never_becomes_an_input(
    refused: Callable[..., str], tmp_path: Path, folder: Path, blur_imu: CommandLine
) -> None:
    stamps = tmp_path / "stamps.csv"
    stamps.write_text("t\n0\n1\n2\n3\n4\n5\n")
    assert "overwrite the input" in refused(stamps=stamps, output=stamps)
    assert "part of the input" in refused(plot=folder / "plot.png")
    bag = write_bag(tmp_path / "bag", storage=StoragePlugin.MCAP)
    recorded = (bag / "bag.mcap").read_bytes()
    assert "overwrite the input" in refused(bag, output=bag / "bag.mcap")
    assert "overwrite the input" in refused(bag / "bag.mcap", output=bag / "bag.mcap")
    assert (bag / "bag.mcap").read_bytes() == recorded
    video = write_video(tmp_path / "video.mp4")
    recorded = video.read_bytes()
    assert "overwrite the input" in refused(video, overlay=video)
    assert video.read_bytes() == recorded


def test_a_table_may_lie_in_the_folder_of_the_images(
    blur_imu: CommandLine, folder: Path, camera: Path
) -> None:
    for _ in range(2):
        ended = blur_imu(
            "run", folder, "-o", folder / "est.csv", "--camera", camera, "--exposure", 0.01
        )
        assert ended.status == 0


def test_a_bag_without_images_on_its_topic(refused: Callable[..., str], tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/cam/image", "sensor_msgs/msg/Image", typestore=STORE)
    assert "bag: holds no images" in refused(tmp_path / "bag")


def test_decoders_add_nothing_to_the_one_line(tmp_path: Path, camera: Path) -> None:
    video = write_video(tmp_path / "video.mp4")
    video.write_bytes(video.read_bytes()[:1000])
    command = ["run", video, "-o", tmp_path / "est.csv", "--camera", camera, "--exposure", 0.01]
    ended = subprocess.run(
        [sys.executable, "-m", "blur_imu_ros.cli", *map(str, command)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == f"blur-imu: {video}: cannot be opened as a video; is it damaged?\n"


def write_video(path: Path) -> Path:
    code = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), code, 30.0, (320, 224))
    for image in turning_images(COUNT):
        writer.write(image)
    writer.release()
    return path


def test_a_video_that_is_cut_off_gives_what_it_holds(
    blur_imu: CommandLine, refused: Callable[..., str], camera: Path, tmp_path: Path, out: Path
) -> None:
    video = write_video(tmp_path / "video.avi")
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    command = ["run", video, "-o", out, "--camera", camera, "--exposure", 0.01]
    ended = blur_imu(*command)
    rows = len(rows_of(out))
    assert ended.status == 0 and 0 < rows < COUNT
    assert f"gave {rows} of the {COUNT} frames that it claims to hold" in ended.err
    assert "measured before" in blur_imu(*command, "--resume").out
    assert "video.avi: gave" in refused(video, strict=True)
    assert len(rows_of(out)) == rows
    (tmp_path / "not.mp4").write_bytes(b"\x00" * 1000)
    assert "not.mp4: cannot be opened as a video" in refused(tmp_path / "not.mp4")


def write_bag(
    path: Path,
    encoding: str = "bgr8",
    focal: float = 250.0,
    storage: StoragePlugin = StoragePlugin.SQLITE3,
    stamps: Sequence[int] = range(10, 10 + COUNT),
) -> Path:
    """A bag of images whose fourth has another encoding."""
    types = STORE.types
    with Writer(path, version=9, storage_plugin=storage) as writer:
        images = writer.add_connection("/cam/image", "sensor_msgs/msg/Image", typestore=STORE)
        infos = writer.add_connection(
            "/cam/camera_info", "sensor_msgs/msg/CameraInfo", typestore=STORE
        )
        for index, image in enumerate(turning_images(COUNT)):
            stamp = types["builtin_interfaces/msg/Time"](stamps[index], 0)
            header = types["std_msgs/msg/Header"](stamp, "cam")
            k = np.array([focal, 0, 161, 0, focal, 109, 0, 0, 1.0])
            roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            info = types["sensor_msgs/msg/CameraInfo"](
                header, 224, 320, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(), np.zeros(12),
                0, 0, roi,
            )  # fmt: skip
            name = encoding if index == 3 else "bgr8"
            message = types["sensor_msgs/msg/Image"](header, 224, 320, name, 0, 960, image.ravel())
            time = (10 + index) * 10**9
            writer.write(infos, time, STORE.serialize_cdr(info, "sensor_msgs/msg/CameraInfo"))
            writer.write(images, time, STORE.serialize_cdr(message, "sensor_msgs/msg/Image"))
    return path


def test_an_encoding_that_is_not_known_keeps_the_rows_before(
    refused: Callable[..., str], tmp_path: Path, out: Path
) -> None:
    refusal = refused(write_bag(tmp_path / "bag", "bgr12_packed"), camera=None, strict=True)
    assert "/cam/image:3" in refusal and "'bgr12_packed' is not known" in refusal
    assert len(rows_of(out)) == 3


@pytest.mark.parametrize("stamps", [[10] * COUNT, [10, 9, 8, 7, 6, 5]])
def test_a_bag_whose_stamps_do_not_increase(
    refused: Callable[..., str], tmp_path: Path, out: Path, stamps: list[int]
) -> None:
    bag = write_bag(tmp_path / "bag", stamps=stamps)
    assert "/cam/image:4: its stamp" in refused(bag) and len(rows_of(out)) == 1


def test_a_bag_of_an_uncalibrated_camera(refused: Callable[..., str], tmp_path: Path) -> None:
    refusal = refused(write_bag(tmp_path / "bag", focal=0.0), camera=None)
    assert "/cam/camera_info" in refusal and "calibrate it" in refusal


def test_a_topic_that_is_not_there(refused: Callable[..., str], tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag")
    assert "image topics are: /cam/image" in refused(bag, topic="/left/image")


def test_a_truncated_bag(
    blur_imu: CommandLine, refused: Callable[..., str], camera: Path, tmp_path: Path, out: Path
) -> None:
    bag = write_bag(tmp_path / "bag")
    storage = next(bag.glob("*.db3"))
    storage.write_bytes(storage.read_bytes()[: storage.stat().st_size * 2 // 3])
    ended = blur_imu("run", bag, "-o", out, "--camera", camera, "--exposure", 0.01)
    rows = len(rows_of(out))
    assert ended.status == 0 and 0 < rows < COUNT and f"{bag}: is damaged after" in ended.err
    assert f"{bag}: is damaged after" in refused(bag, strict=True) and len(rows_of(out)) == rows
    (tmp_path / "empty.mcap").write_bytes(b"")
    assert "empty.mcap: cannot be read as a bag" in refused(tmp_path / "empty.mcap")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blur_imu: CommandLine) -> Path:
    """A copy of the shipped model, which the command really loads."""
    monkeypatch.setattr("blur_imu_ros.cli.run.load_network", load_network)
    for suffix in (".onnx", ".json"):
        shutil.copy(MODEL.with_suffix(suffix), tmp_path / f"model{suffix}")
    return tmp_path / "model.onnx"


@needs_model
def test_a_model_that_is_not_there(refused: Callable[..., str], model: Path) -> None:
    for name in ("huge", "large"):  # The second was shipped once.
        told = f"model '{name}' is not there; there are compact, compact-int8; or give the path"
        assert told in refused(model=name)
    assert "none.onnx: there is no such model file" in refused(model=model.with_name("none.onnx"))
    assert "backend 'tpu' is not known" in refused(model=model, backend="tpu")
    assert "device 'abacus' is not known" in refused(model=model, device="abacus")


@needs_model
def test_a_model_that_is_not_what_its_card_says(refused: Callable[..., str], model: Path) -> None:
    card_path = model.with_suffix(".json")
    card = json.loads(card_path.read_text())
    model.write_bytes(model.read_bytes() + b"\0")
    assert "differs from the hash in its card" in refused(model=model)
    model.write_bytes(b"no model")
    digest = hashlib.sha256(b"no model").hexdigest()
    card_path.write_text(json.dumps(card | {"sha256": digest}))
    assert "is not an ONNX file, or damaged" in refused(model=model)
    card_path.write_text(json.dumps(card | {"interface": "other/9"}))
    assert "interface 'other/9' is not known" in refused(model=model)
    for text in ("{", "[]", '{"name": "x"}', "\x80"):
        card_path.write_text(text, encoding="latin-1")
        assert "model.json: is not a model card" in refused(model=model)
    card_path.unlink()
    assert "model.json: the model's card cannot be read" in refused(model=model)


def test_evaluate_names_what_it_cannot_compare(blur_imu: CommandLine, tmp_path: Path) -> None:
    good, late, bad = (tmp_path / f"{name}.csv" for name in ("good", "late", "bad"))
    good.write_text("t,wx,wy,wz\n" + "".join(f"{k / 10},1,2,3\n" for k in range(9)))
    late.write_text("t,wx,wy,wz\n" + "".join(f"{k / 10 + 1000},1,2,3\n" for k in range(9)))
    bad.write_bytes(b"\x00\xff\xfe")
    assert "clocks" in blur_imu("evaluate", good, late).refusal
    assert "bad.csv" in blur_imu("evaluate", good, bad).refusal
    assert "none.csv: cannot be read" in blur_imu("evaluate", tmp_path / "none.csv", good).refusal
    assert "none.mcap" in blur_imu("evaluate", tmp_path / "none.mcap", good).refusal
    assert "milliseconds?" in blur_imu("evaluate", good, good, "--exposure", 10).refusal
    (tmp_path / "file").write_text("")
    for option in ("--json", "--plot"):
        refusal = blur_imu("evaluate", good, good, option, tmp_path / "file" / "x").refusal
        assert "cannot be written" in refusal


def test_demo_needs_a_place_to_write(blur_imu: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refusal = blur_imu("demo", "--ros", "off", "--output", tmp_path / "file" / "demo").refusal
    assert "cannot be written" in refusal


@pytest.mark.parametrize("text", ["20ms", "1/0", "1/", "fast"])
def test_an_exposure_time_that_is_none_is_refused_with_an_example(blur_imu, folder, text: str):
    done = blur_imu("run", folder, "-o", folder / "est.csv", "--exposure", text)
    assert done.status == 2
    assert f"{text!r} is no time; give seconds: 0.02 or 1/50" in done.err


def test_an_exposure_time_may_be_written_as_cameras_show_it(blur_imu, folder, camera, tmp_path):
    for name, text in (("seconds", "0.01"), ("fraction", "1/100"), ("camera", "1/100s")):
        done = blur_imu(
            "run", folder, "-o", tmp_path / f"{name}.csv", "--camera", camera, "--exposure", text
        )
        assert done.status == 0
    rows = [(tmp_path / f"{name}.csv").read_text() for name in ("seconds", "fraction", "camera")]
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--exposure", "nan", "--exposure: nan is not a finite number"),
        ("--exposure", "inf", "--exposure: inf is not a finite number"),
        ("--exposure", "1e-9", "shorter than a microsecond"),
        ("--lever-arm", "0 nan 0", "--lever-arm: nan is not a finite number"),
        ("--lever-arm", "0 1e9 0", "give three numbers in metres, each below 10"),
        ("--lever-arm", "0 0 30", "give three numbers in metres"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_one_line(
    blur_imu: CommandLine, folder: Path, camera: Path, out: Path, option: str, value: str, said: str
) -> None:
    exposure = () if option == "--exposure" else ("--exposure", 0.01)
    command = ("run", folder, "-o", out, "--camera", camera, *exposure, option, *value.split())
    assert said in blur_imu(*command).refusal and not out.exists()


@pytest.mark.parametrize(
    "command",
    [("evaluate", "a", "b", "--exposure", "nan"),
     ("compare", "a", "b", "--exposure", "-inf"), ("calibrate", "a", "b", "-o", "c", "--exposure", "nan")],
)  # fmt: skip
def test_every_command_refuses_them(blur_imu: CommandLine, command: tuple[str, ...]) -> None:
    assert "is not a finite number" in blur_imu(*command).refusal


@needs_model
def test_a_model_has_no_more_threads_than_the_machine_has_cores() -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    network = load_network(MODEL, "onnx", threads=9999)
    network.warm_up()
    assert len(list(Path("/proc/self/task").iterdir())) - before <= usual_jobs()


LONG = 5000 * "x"


@pytest.mark.parametrize(
    "command",
    [
        ("run", "", "-o", "x.csv"),
        ("run", "images", "-o", ""),
        ("run", "images", "-o", "x.csv", "--camera="),
        ("evaluate", "", ""),
    ],
)
def test_an_empty_word_is_no_path(blur_imu: CommandLine, command: tuple[str, ...]) -> None:
    """As a shell writes a variable that is not set: it would be the working folder."""
    assert "empty" in blur_imu(*command).refusal


@pytest.mark.parametrize(
    "command",
    [
        ("run", LONG, "-o", "x.csv"),
        ("run", ".", "-o", f"{LONG}.csv"),
        ("evaluate", LONG, LONG),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(
    blur_imu: CommandLine, command: tuple[str, ...]
) -> None:
    refusal = blur_imu(*command).refusal
    assert "xxx" in refusal and len(refusal) < 1000


def test_a_topic_of_what_is_no_bag_is_told(
    blur_imu: CommandLine, folder: Path, camera: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "est.csv", "--camera", camera, "--exposure", 0.01)
    assert "is no bag, so it has no topic /x" in blur_imu("run", folder, *out, "--topic", "/x").err
    assert "topic" not in blur_imu("run", folder, *out).err
