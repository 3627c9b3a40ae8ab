"""Timestamps as data sets and cameras write them, in files and in the names of images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.file_names import stamps_of_names
from blur_imu_ros.recordings.rising_times import rising
from blur_imu_ros.recordings.timestamp_files import read_timestamps
from helpers.command_line import CommandLine, rows_of, write_camera

CAMERA = Camera(64, 48, 60, 60, 31.5, 23.5)
TIMES = 1.05 + np.array([0, 1, 2, 4, 5]) / 30
EPOCH = 1_700_000_000


def lines(pattern: str, times: np.ndarray = TIMES, unit: float = 1e9) -> str:
    whole = [round(t * unit) for t in times]
    return "".join(
        f"{pattern.format(k, n=n, t=t)}\n"
        for k, (n, t) in enumerate(zip(whole, times, strict=True))
    )


KINDS = {
    "ours": "frame,t\n" + lines("{},{t:.6f}"),
    "EuRoC": "#timestamp [ns],filename\n" + lines("{n},{:03}.png"),
    "TUM": "# color images\n# timestamp filename\n" + lines("{t:.6f} rgb/{:03}.png"),
    "TUM monoVO": lines("{:05} {t:.6f} 3.2"),
    "rpicam": "# timecode format v2\n" + lines("{n}", unit=1e3),
    "s": lines("{t:.9e}"),
    "ms": lines("{n}", unit=1e3),
    "us": lines("{n}", unit=1e6),
    "ns": lines("{n}"),
    "named unit": "index;time_us;x\n" + lines("{};{n};7", unit=1e6),
    "named in brackets": "Time (ms)\tx\n" + lines("{n}\t7", unit=1e3),
    "messages": "%time,header.seq,header.stamp.secs,header.stamp.nsecs\n"
    + "".join(f"7,{k},{int(t)},{round(t % 1 * 1e9)}\n" for k, t in enumerate(TIMES)),
    "sec and nanosec": "sec nanosec\n" + "".join(f"{int(t)} {round(t % 1 * 1e9)}\n" for t in TIMES),
    "decimal commas": "t;x\n" + lines("{t:.6f};1,5").replace(".", ","),
    "decimal commas and tabs": "x\tt\n" + lines("1,5\t{t:.6f}").replace(".", ","),
    "decimal commas alone": "t\n" + lines("{t:.6f}").replace(".", ","),
    "Windows": "\ufefft\r\n" + lines("{t:.6f}").replace("\n", "\r\n"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_stamps_are_read_as_they_are_found(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "stamps.txt"
    path.write_bytes(KINDS[kind].encode())
    found = read_timestamps(path)
    np.testing.assert_allclose(
        found.times,
        TIMES,
        atol=6e-4 if "ms" in kind or kind == "rpicam" or "brackets" in kind else 2e-6,
    )
    named = kind in ("EuRoC", "TUM")
    assert found.names == (tuple(f"{k:03}.png" for k in range(5)) if named else ())
    assert bool(found.note) == (kind in ("ms", "us", "ns"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_stamps_are_read_in_the_encodings_of_spreadsheets_and_shells(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "stamps.csv"
    path.write_bytes(("t;Größe\n" + lines("{t:.6f};1")).encode(encoding))
    np.testing.assert_allclose(read_timestamps(path).times, TIMES, atol=2e-6)


def test_dates_of_kitti_are_seconds_since_1970(tmp_path: Path) -> None:
    path = tmp_path / "timestamps.txt"
    path.write_text("1970-01-02 00:00:01.500000000\n1970-01-02 00:00:01.533333333\n")
    np.testing.assert_allclose(read_timestamps(path).times, [86401.5, 86401.533333333])


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e6, 1e9])
def test_the_size_of_stamps_since_1970_tells_their_unit(tmp_path: Path, unit: float) -> None:
    path = tmp_path / "stamps.txt"
    path.write_text("".join(f"{round((EPOCH + 5 * k) * unit)}\n" for k in range(4)))
    np.testing.assert_allclose(read_timestamps(path).times, EPOCH + 5.0 * np.arange(4))


def test_a_column_t_is_in_seconds_whatever_its_steps_but_told(tmp_path: Path) -> None:
    path = tmp_path / "stamps.csv"
    path.write_text("t\n33\n66\n99\n")
    found = read_timestamps(path)
    assert found.times is not None and list(found.times) == [33, 66, 99]
    assert "33 s apart" in found.note and "t_ms" in found.note


@pytest.mark.parametrize(
    ("wrong", "lost"), [("0.5", 10), ("0.0", 10), ("nan", 10), ("", 10), ("99", 10), ("x", 10)]
)
def test_one_wrong_stamp_of_many_costs_its_image_alone(
    tmp_path: Path, wrong: str, lost: int
) -> None:
    path = tmp_path / "stamps.csv"
    cells = [f"{k / 10}" for k in range(20)]
    cells[lost] = wrong
    path.write_text("t,x\n" + "".join(f"{cell},1\n" for cell in cells))
    times = read_timestamps(path).times
    assert times is not None and list(np.flatnonzero(np.isnan(times))) == [lost]


def test_two_swapped_stamps_cost_one_image(tmp_path: Path) -> None:
    assert list(rising([0, 1, 3, 2, 4])) in ([1, 1, 0, 1, 1], [1, 1, 1, 0, 1])
    assert list(rising([1, 1, 2, np.nan, np.inf, 3])) == [1, 0, 1, 0, 0, 1]
    assert list(rising([])) == []


def write_images(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((48, 64, 3), 10 * index, np.uint8))
    return folder


def test_stamps_of_named_files_are_those_of_the_images_of_that_name(tmp_path: Path) -> None:
    """A folder that holds part of a sequence beside the list of the whole one."""
    folder = write_images(tmp_path / "images", ["004.png", "001.png", "new.png", "003.png"])
    path = tmp_path / "data.csv"
    path.write_text(KINDS["EuRoC"].replace(".png", ".jpg"))
    found = read_timestamps(path)
    settings = FrameSettings(0.01, CAMERA, found.times, stamp_names=found.names)
    recording = open_recording(folder, settings)
    frames = list(recording)
    assert [frame.name for frame in frames] == ["001.png", "003.png", "004.png"]
    np.testing.assert_allclose([frame.t for frame in frames], TIMES[[1, 3, 4]])
    assert "new.png: has no usable timestamp" in recording.notes[-1]


def test_stamps_of_other_names_are_taken_in_order(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", ["a.png", "b.png"])
    settings = FrameSettings(0.01, CAMERA, TIMES[:2], stamp_names=("x.png", "y.png"))
    assert [frame.t for frame in open_recording(folder, settings)] == list(TIMES[:2])
    longer = write_images(tmp_path / "longer", ["a.png", "b.png", "c.png"])
    with pytest.raises(RecordingError, match="more than 2 frames"):
        open_recording(longer, settings)


@pytest.mark.parametrize("kind", ["TUM", "ns"])
def test_run_takes_them(blur_imu: CommandLine, tmp_path: Path, kind: str) -> None:
    folder = write_images(tmp_path / "images", [f"{k:03}.png" for k in range(5)])
    camera = write_camera(tmp_path / "camera.yaml", image_width=64, image_height=48)
    stamps, out = tmp_path / "stamps.txt", tmp_path / "out.csv"
    stamps.write_text(KINDS[kind])
    ended = blur_imu(
        "run", folder, "-o", out, "--camera", camera, "--exposure", 0.01, "--stamps", stamps
    )
    assert ended.status == 0, ended.err
    np.testing.assert_allclose([float(row["t"]) for row in rows_of(out)], TIMES, atol=2e-6)
    assert ("stamps.txt are read as ns, judging by their steps" in ended.err) == (kind == "ns")


@pytest.mark.parametrize(
    ("names", "stamps"),
    [
        (["1700000000123", "1700000000156"], [EPOCH + 0.123, EPOCH + 0.156]),
        (["1700000000123456", "1700000000156789"], [EPOCH + 0.123456, EPOCH + 0.156789]),
        (["left_1700000000123456789_x", "left_1700000000156456789_x"],
         [EPOCH + 0.123456789, EPOCH + 0.156456789]),
        (["cam0-1305031102.175304", "cam0-1305031102.211214"], [1305031102.175304, 1305031102.211214]),
        (["0001_1700000000123", "0002_1700000000156"], [EPOCH + 0.123, EPOCH + 0.156]),
        (["frame_328551511918592", "frame_328551545251925"], [328551.511918592, 328551.545251925]),
        (["12.5", "12.75"], [12.5, 12.75]),
        (["img_1.2", "img_1.3"], None),
        (["000000000010", "000000000020"], None),
        (["20240101123000123", "20240101123000156"], None),
        (["left_1700000000123", "right_1700000000156"], None),
        (["IMG_0001", "IMG_0002"], None),
    ],
)  # fmt: skip
def test_stamps_are_known_in_names_of_images(names: list[str], stamps: list[float] | None) -> None:
    found = stamps_of_names([Path(f"{name}.png") for name in names])
    if stamps is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, stamps, atol=1e-6, rtol=0)
