"""Recordings as people have them: photos, phone videos, stamps in file names, a single image."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import FrameError, RecordingError
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.facade import recordings_in
from blur_imu_ros.recordings.photos import read_photo_facts
from helpers.command_line import CommandLine, Oracle, rows_of, turning_images, write_camera

CAMERA = Camera(64, 48, 60, 60, 31.5, 23.5)
SETTINGS = FrameSettings(0.01, CAMERA)


@pytest.fixture
def blur_imu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr("blur_imu_ros.cli.run.load_network", lambda *_: Oracle())
    return CommandLine(capsys)


def write_photo(path: Path, size: tuple[int, int] = (64, 48), **tags: object) -> Path:
    """A grey photo of `size` (width, height) with EXIF tags."""
    exif = Image.Exif()
    orientation = tags.pop("Orientation", None)
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[k]: v for k, v in tags.items()})
    path.parent.mkdir(exist_ok=True)
    image = Image.new("RGB", size, (90, 90, 90))
    if path.suffix == ".tif":  # Pillow writes EXIF to a TIFF as one of its own tags only.
        image.save(path, tiffinfo={**exif, ExifTags.IFD.Exif: exif.get_ifd(ExifTags.IFD.Exif)})
    else:
        image.save(path, exif=exif)
    return path


def write_named(folder: Path, names: Sequence[str]) -> Path:
    """Images of these names, each as bright as its place in the list."""
    folder.mkdir()
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((48, 64, 3), 10 * index, np.uint8))
    return folder


@pytest.mark.parametrize(
    ("names", "stamps"),
    [
        (["1700000000123456789.png", "1700000000156790123.png"], [1.7e9 + 0.123456789, 1.7e9 + 0.156790123]),
        (["12.345.png", "12.5.png", "101.25.png"], [12.345, 12.5, 101.25]),
    ],
    ids=["nanoseconds", "seconds"],
)  # fmt: skip
def test_stamps_in_file_names_are_used_and_told(
    tmp_path: Path, names: list[str], stamps: list[float]
) -> None:
    recording = open_recording(write_named(tmp_path / "images", names), SETTINGS)
    frames = list(recording)
    assert [frame.name for frame in frames] == names
    np.testing.assert_allclose([frame.t for frame in frames], stamps, atol=3e-7, rtol=0)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [10 * k for k in range(len(names))]
    assert len(recording.notes) == 1 and names[0] in recording.notes[0]


@pytest.mark.parametrize(
    "names",
    [
        ["0.png", "1.png"],
        ["000120.png", "000121.png"],
        ["20240101123000.png", "20240101123001.png"],
        ["12.5.png", "frame.png"],
        ["12.5.png", "12.50.png"],
        ["12.345.png"],
    ],
)
def test_other_names_are_no_stamps(tmp_path: Path, names: list[str]) -> None:
    recording = open_recording(write_named(tmp_path / "images", names), SETTINGS)
    np.testing.assert_allclose([f.t for f in recording], np.arange(len(names)) / 30)
    assert ["30 images per second are assumed" in x for x in recording.notes] == [True] * (
        len(names) > 1
    )


def test_videos_beside_photos_are_told(tmp_path: Path) -> None:
    folder = write_named(tmp_path / "DCIM", ["1.5.png", "2.5.png"])
    assert len(open_recording(folder, SETTINGS).notes) == 1
    for name in ("b.MOV", "a.mp4"):
        (folder / name).write_bytes(b"")
    recording = open_recording(folder, SETTINGS)
    assert len(recording) == 2 and "(a.mp4, ...) are not" in recording.notes[0]


def test_stamps_that_are_given_go_before_those_in_names(tmp_path: Path) -> None:
    folder = write_named(tmp_path / "images", ["12.5.png", "13.5.png"])
    recording = open_recording(folder, FrameSettings(0.01, CAMERA, np.array([1.0, 2.0])))
    assert [frame.t for frame in recording] == [1.0, 2.0] and recording.notes == []


def test_photos_tell_their_own_exposure_times(tmp_path: Path) -> None:
    for index, exposure in enumerate((0.02, 0.005)):
        write_photo(tmp_path / "photos" / f"{index}.jpg", ExposureTime=exposure)
    recording = open_recording(tmp_path / "photos", FrameSettings(camera=CAMERA))
    assert [frame.exposure_time for frame in recording] == pytest.approx([0.02, 0.005])
    assert len(recording.notes) == 2 and "EXIF (first: 20 ms)" in recording.notes[1]
    given = open_recording(tmp_path / "photos", SETTINGS)
    assert {frame.exposure_time for frame in given} == {0.01} and len(given.notes) == 2
    assert "given, 10 ms, is taken, although EXIF says 20 ms" in given.notes[1]
    near = open_recording(tmp_path / "photos", FrameSettings(0.0195, CAMERA))
    assert len(near.notes) == 1


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_photo_gives_an_approximate_camera_of_the_image_as_it_is_shown(
    tmp_path: Path, orientation: int, ending: str
) -> None:
    photo = write_photo(
        tmp_path / "p" / f"a.{ending}",
        (640, 480),
        ExposureTime=0.01,
        FocalLengthIn35mmFilm=26,
        Orientation=orientation,
    )
    recording = open_recording(photo, FrameSettings())
    camera = next(iter(recording)).camera
    size = (640, 480) if orientation == 1 else (480, 640)
    assert (camera.width, camera.height) == size == read_photo_facts(photo).size
    # 26 mm on a film with a diagonal of 43.27 mm; the image's is 800 pixels.
    assert camera.fx == camera.fy == pytest.approx(26 / 43.2666 * 800, rel=1e-4)
    assert (camera.cx, camera.cy) == ((size[0] - 1) / 2, (size[1] - 1) / 2)
    assert "taken from EXIF (first: 481 px, 26 mm" in recording.notes[1]


@pytest.mark.parametrize("view", [None, (320, 224)], ids=["whole", "reduced"])
def test_each_photo_has_the_lens_and_the_shape_that_it_tells(
    tmp_path: Path, view: tuple[int, int] | None
) -> None:
    """Main and telephoto camera of a phone, held either way; and one without EXIF."""
    folder, tags = tmp_path / "photos", {"ExposureTime": 0.01}
    write_photo(folder / "a.jpg", (1280, 960), FocalLengthIn35mmFilm=26, **tags)
    write_photo(folder / "b.jpg", (1280, 960), FocalLengthIn35mmFilm=77, **tags)
    write_photo(folder / "c.jpg", (1280, 960), FocalLengthIn35mmFilm=26, Orientation=6, **tags)
    write_photo(folder / "d.jpg", (1280, 960), **tags)
    recording = open_recording(folder, FrameSettings(view=view))
    frames = list(recording)
    assert [frame.whole is not None for frame in frames] == [view is not None] * 4
    cameras = [frame.full_size.camera for frame in frames]
    focals = [film / 43.2666 * 1600 for film in (26, 77, 26, 26)]
    np.testing.assert_allclose([camera.fx for camera in cameras], focals, rtol=1e-4)
    upright = [camera.height > camera.width for camera in cameras]
    assert upright == [False, False, True, False]
    given = open_recording(folder, FrameSettings(view=view, camera=cameras[1]))
    assert {frame.camera for frame in given} == {next(iter(given)).camera}


def test_a_first_photo_whose_pixels_are_damaged_costs_itself_alone(tmp_path: Path) -> None:
    folder, tags = tmp_path / "photos", {"ExposureTime": 0.01, "FocalLengthIn35mmFilm": 26}
    first, *_ = [write_photo(folder / f"{name}.jpg", (640, 480), **tags) for name in "abc"]
    first.write_bytes(first.read_bytes()[:-600])
    recording = open_recording(folder, FrameSettings())
    assert [frame.name for frame in recording] == ["b.jpg", "c.jpg"]
    assert "1 of 3 images are left out as they cannot be read: a.jpg" in recording.notes[-1]
    with pytest.raises(RecordingError, match=r"a\.jpg: cannot be read"):
        list(open_recording(folder, FrameSettings(strict=True)))


@pytest.mark.parametrize("tags", [{}, {"ExposureTime": 0.0}, {"FocalLengthIn35mmFilm": 26}])
def test_photos_that_do_not_tell_the_exposure_time_ask_for_it(
    tmp_path: Path, tags: dict[str, object]
) -> None:
    photo = write_photo(tmp_path / "p" / "a.jpg", **tags)
    with pytest.raises(RecordingError, match="the exposure time is not known"):
        open_recording(photo, FrameSettings(camera=CAMERA))


def test_a_photo_that_tells_nothing_asks_for_all_of_it_at_once(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "p" / "a.jpg")
    with pytest.raises(RecordingError, match="exposure time is not known.*camera is not known"):
        open_recording(photo, FrameSettings())


def test_a_rate_is_assumed_only_where_it_matters(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_photo(tmp_path / "p" / f"{name}.jpg")
    assert "images per second are assumed" in open_recording(tmp_path / "p", SETTINGS).notes[0]
    assert not open_recording(tmp_path / "p", replace(SETTINGS, timed=False)).notes


def test_photos_that_do_not_tell_the_focal_length_ask_for_a_camera(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "p" / "a.jpg", ExposureTime=0.01, FocalLengthIn35mmFilm=0)
    with pytest.raises(RecordingError, match="the camera is not known"):
        open_recording(photo, FrameSettings())


def test_a_photo_exposed_for_seconds_is_refused(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "p" / "a.jpg", ExposureTime=4.0)
    with pytest.raises(FrameError, match="longer than 1 s"):
        open_recording(photo, FrameSettings(camera=CAMERA))


def test_one_image_leaves_the_sign_open_and_says_so(blur_imu: CommandLine, tmp_path: Path) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "est.csv"
    cv2.imwrite(str(photo), turning_images(1)[0])
    camera = write_camera(tmp_path / "camera.yaml")
    ended = blur_imu("run", photo, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert ended.status == 0
    assert "does not tell the sign" in ended.err and len(ended.err.splitlines()) == 1
    assert [row["direction_probability"] for row in rows_of(out)] == ["0.500000"]


def test_what_was_assumed_is_told_on_stderr(blur_imu: CommandLine, tmp_path: Path) -> None:
    folder = write_named(tmp_path / "images", ["12.5.png", "13.5.png"])
    camera = write_camera(tmp_path / "camera.yaml", image_width=64, image_height=48)
    out = tmp_path / "est.csv"
    ended = blur_imu("run", folder, "-o", out, "--camera", camera, "--exposure", 0.01)
    assert (
        ended.err.splitlines()[0]
        == "blur-imu: timestamps are taken from the file names (12.5.png, ...)"
    )


# --- phone videos: the boxes of an mp4 are changed as a phone would write them -----------------


def write_video(path: Path) -> bytearray:
    """Six frames at 30 Hz, each brighter than the one before."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (64, 48))
    for index in range(6):
        writer.write(np.full((48, 64, 3), 30 * index, np.uint8))
    writer.release()
    return bytearray(path.read_bytes())


def boxes(data: bytes, names: Sequence[bytes], begin: int = 0) -> list[tuple[int, int]]:
    """(offset, size) of nested boxes, outermost first."""
    at = begin
    while data[at + 4 : at + 8] != names[0]:
        at += struct.unpack_from(">I", data, at)[0]
    size = struct.unpack_from(">I", data, at)[0]
    return [(at, size)] + (boxes(data, names[1:], at + 8) if len(names) > 1 else [])


def turned(path: Path) -> Path:
    """A video that is to be shown turned by 90 degrees."""
    data = write_video(path)
    header = boxes(data, [b"moov", b"trak", b"tkhd"])[-1][0]
    matrix = (0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    struct.pack_into(">9i", data, header + 48, *matrix)
    path.write_bytes(data)
    return path


def uneven(path: Path) -> Path:
    """A video whose last three frames last three times as long as the first three."""
    data = write_video(path)
    nested = boxes(data, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"])
    at, size = nested[-1]
    _, delta = struct.unpack_from(">II", data, at + 16)
    runs = (3, delta // 2, 3, 3 * delta // 2)
    longer = struct.pack(">I4sII4I", 32, b"stts", 0, 2, *runs)
    for offset, outer in nested[:-1]:
        struct.pack_into(">I", data, offset, outer + len(longer) - size)
    data[at : at + size] = longer
    path.write_bytes(data)
    return path


def test_a_turned_phone_video_is_read_as_it_is_shown(tmp_path: Path) -> None:
    upright = Camera(48, 64, 60, 60, 23.5, 31.5)
    video = turned(tmp_path / "phone.mp4")
    frames = list(open_recording(video, FrameSettings(0.01, upright)))
    assert [frame.image.shape for frame in frames] == [(64, 48, 3)] * 6
    with pytest.raises(RecordingError, match=r"48x64 .* 64x48; .*turned by its orientation tag"):
        list(open_recording(video, SETTINGS))


def test_a_phone_video_of_uneven_rate_keeps_its_own_stamps(tmp_path: Path) -> None:
    frames = list(open_recording(uneven(tmp_path / "phone.mp4"), SETTINGS))
    steps = np.diff([frame.t for frame in frames])
    np.testing.assert_allclose(steps * 60, [1, 1, 1, 3, 3], atol=0.02)
    brightness = [int(frame.image.mean()) for frame in frames]
    np.testing.assert_allclose(brightness, 30 * np.arange(6), atol=4)


def trimmed(path: Path, skipped: int = 0) -> Path:
    """A video of which an edit list shows all but the last two frames, or from one on; phones and
    `ffmpeg -ss -c copy` trim so."""
    data = write_video(path)
    nested = boxes(data, [b"moov", b"trak", b"edts", b"elst"])
    time_scale = struct.unpack_from(">I", data, boxes(data, [b"moov", b"mvhd"])[-1][0] + 20)[0]
    media = boxes(data, [b"moov", b"trak", b"mdia", b"mdhd"])[-1][0]
    media_scale = struct.unpack_from(">I", data, media + 20)[0]
    shown = 4 - skipped
    at = nested[-1][0] + 16
    struct.pack_into(">II", data, at, shown * time_scale // 30, skipped * media_scale // 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("skipped", [0, 2])
def test_a_trimmed_video_is_finished_with_the_frames_that_it_shows(
    blur_imu: CommandLine, tmp_path: Path, skipped: int
) -> None:
    video, out, plot = (
        trimmed(tmp_path / "cut.mp4", skipped),
        tmp_path / "o.csv",
        tmp_path / "o.png",
    )
    camera = write_camera(tmp_path / "camera.yaml", image_width=64, image_height=48)
    command = ("run", video, "-o", out, "--camera", camera, "--exposure", 0.01, "--plot", plot)
    ended = blur_imu(*command)
    rows = rows_of(out)
    assert ended.status == 0 and 2 <= len(rows) <= 4 and plot.is_file()
    assert f"gave {len(rows)} of the 6 frames" in ended.err
    np.testing.assert_allclose(np.diff([float(row["t"]) for row in rows]) * 30, 1, atol=0.01)
    assert "measured before" in blur_imu(*command, "--resume").out


def write_stray(folder: Path, stamped: int | None) -> Path:
    """A folder of StrayScanner: six frames, and stamps for some."""
    folder.mkdir()
    write_video(folder / "rgb.mp4")
    (folder / "camera_matrix.csv").write_text("61.5,0.0,31.5\n0.0,60.5,23.5\n0.0,0.0,1.0\n")
    for name in ("depth", "confidence"):
        write_named(folder / name, ["000000.png", "000001.png"])
    if stamped is not None:
        rows = "".join(
            f"{7000 + k / 60:.6f}, {k:06}, 0, 0, 0, 0, 0, 0, 1\n" for k in range(stamped)
        )
        (folder / "odometry.csv").write_text("timestamp, frame, x, y, z, qx, qy, qz, qw\n" + rows)
    return folder


@pytest.mark.parametrize("stamped", [None, 5, 6, 7])
def test_a_folder_of_strayscanner_tells_its_camera_and_stamps(
    tmp_path: Path, stamped: int | None
) -> None:
    folder = write_stray(tmp_path / "scan", stamped)
    assert recordings_in(folder) == [folder] and recordings_in(tmp_path) == [folder]
    recording = open_recording(folder, FrameSettings(0.01))
    frames = list(recording)
    assert recording.name == "scan" and "camera_matrix.csv" in recording.notes[0]
    assert frames[0].camera == Camera(64, 48, 61.5, 60.5, 31.5, 23.5)
    count = min(6, 6 if stamped is None else stamped)
    first, rate = (0, 30) if stamped is None else (7000, 60)
    np.testing.assert_allclose([f.t for f in frames], first + np.arange(count) / rate, atol=1e-5)
    given = FrameSettings(0.01, CAMERA, np.arange(6.0))
    assert [frame.t for frame in open_recording(folder, given)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c", "0,0,0\n0,0,0\n0,0,0"])
def test_a_camera_matrix_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    folder = write_stray(tmp_path / "scan", None)
    (folder / "camera_matrix.csv").write_text(text)
    with pytest.raises(RecordingError, match="camera_matrix.csv: is not a camera matrix"):
        open_recording(folder, FrameSettings(0.01))


def test_depth_and_confidence_beside_colours_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    for name in ("depth", "Confidence"):
        write_named(tmp_path / "scan" / name, ["0.png"])
    assert len(recordings_in(tmp_path)) == 2
    colours = write_named(tmp_path / "scan" / "rgb", ["0.png"])
    assert recordings_in(tmp_path) == [colours]


# --- photos of phones, and raw ones ---------------------------------------------------------------


def write_dng(path: Path, colour: tuple[int, int, int] = (40, 80, 120)) -> Path:
    """A raw photo of one colour (R, G, B of the sensor, 12 bits / 16), exposed for 1/80 s, as a
    TIFF with the tags of DNG 1.4."""
    width, height = 64, 48
    r, g, b = (16 * x for x in colour)
    mosaic = np.tile(np.array([[r, g], [g, b]], "<u2"), (height // 2, width // 2)).tobytes()
    identity = b"".join(struct.pack("<ii", int(k % 4 == 0), 1) for k in range(9))
    one = struct.pack("<II", 1, 1)
    exposure = struct.pack("<H", 1) + struct.pack("<HHII", 33434, 5, 1, 0) + bytes(4)
    entries: list[tuple[int, int, int, bytes]] = [
        (254, 4, 1, struct.pack("<I", 0)), (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)), (258, 3, 1, struct.pack("<H", 16)),
        (259, 3, 1, struct.pack("<H", 1)), (262, 3, 1, struct.pack("<H", 32803)),
        (271, 2, 5, b"Mine\0"), (272, 2, 5, b"Mine\0"), (273, 4, 1, b"strip"),
        (274, 3, 1, struct.pack("<H", 1)), (277, 3, 1, struct.pack("<H", 1)),
        (278, 4, 1, struct.pack("<I", height)), (279, 4, 1, struct.pack("<I", len(mosaic))),
        (33421, 3, 2, struct.pack("<HH", 2, 2)), (33422, 1, 4, bytes([0, 1, 1, 2])),
        (34665, 4, 1, b"exif"), (50706, 1, 4, bytes([1, 4, 0, 0])), (50708, 2, 5, b"Mine\0"),
        (50714, 3, 1, struct.pack("<H", 0)), (50717, 4, 1, struct.pack("<I", 4095)),
        (50721, 10, 9, identity), (50728, 5, 3, one * 3), (50778, 3, 1, struct.pack("<H", 21)),
    ]  # fmt: skip
    begin = 8 + 2 + 12 * len(entries) + 4
    exif_at = begin
    strip_at = exif_at + len(exposure) + 8
    exposure = exposure[:10] + struct.pack("<I", exif_at + len(exposure)) + exposure[14:]
    rest = exposure + struct.pack("<II", 1, 80) + mosaic
    table, more_at, more = b"", begin + len(rest), b""
    for tag, kind, count, value in entries:
        if value in (b"strip", b"exif"):
            value = struct.pack("<I", strip_at if value == b"strip" else exif_at)
        if len(value) > 4:
            table += struct.pack("<HHII", tag, kind, count, more_at + len(more))
            more += value + b"\0" * (len(value) % 2)
        else:
            table += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    path.write_bytes(head + table + bytes(4) + rest + more)
    return path


def test_a_heic_photo_is_read_as_it_is_shown(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="pip install '.[photos]'")
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.02
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32] = (200, 60, 20)
    Image.fromarray(pixels).save(tmp_path / "IMG_1.HEIC", format="HEIF", quality=95, exif=exif)
    (frame,) = open_recording(tmp_path / "IMG_1.HEIC", FrameSettings(camera=CAMERA))
    assert frame.exposure_time == pytest.approx(0.02)
    found = frame.image[:, 8:24].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(found, [20, 60, 200], atol=6)


def test_a_raw_photo_is_read(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="pip install '.[photos]'")
    photos = [write_dng(tmp_path / f"{k}.dng", (40 * k, 80, 20)) for k in (1, 2)]
    frames = list(open_recording(tmp_path, FrameSettings(camera=CAMERA)))
    assert len(frames) == len(photos) and frames[0].exposure_time == pytest.approx(1 / 80)
    red = [frame.image[8:-8, 8:-8, 2].mean() for frame in frames]
    assert frames[0].image.shape == (48, 64, 3) and red[1] > red[0] + 20


def test_a_raw_photo_beside_its_jpeg_is_not_taken_twice(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "a.DNG").write_bytes(b"raw")
    recording = open_recording(tmp_path, SETTINGS)
    assert [frame.name for frame in recording] == ["a.jpg", "b.jpg"]
    assert "1 photos exist twice" in recording.notes[0]


@pytest.mark.parametrize("suffix", [".heic", ".dng"])
@pytest.mark.parametrize("installed", [True, False])
def test_photos_that_cannot_be_read_tell_why_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, installed: bool
) -> None:
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(b"no photo")
    for name in ("pillow_heif", "rawpy"):
        if installed:
            pytest.importorskip(name)
        else:
            monkeypatch.setitem(sys.modules, name, None)
    said = "is damaged, or no" if installed else r"need the package .*\[photos\].*convert"
    with pytest.raises(RecordingError, match=rf"photo\{suffix}: cannot be read: .*{said}"):
        list(open_recording(path, SETTINGS))


@pytest.mark.parametrize(
    ("name", "said"),
    [("x.gif", "by ffmpeg"), ("x.zip", "unpack it"), ("x.docx", r"\.jpeg .*\.mp4 .*\.mcap")],
)
def test_refusals_name_the_kinds_that_are_known(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(RecordingError, match=rf"{name}: .*{said}"):
        open_recording(tmp_path / name, SETTINGS)


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("v.ts", "libx264", "mpegts"), ("v.MTS", "libx264", "mpegts"), ("v.3gp", "libx264", "3gp"),
        ("v.insv", "libx264", "mp4"), ("v.lrv", "libx264", "mp4"), ("v.h264", "libx264", "h264"),
        ("v.mjpeg", "mjpeg", "mjpeg"),
    ],
)  # fmt: skip
def test_videos_of_other_endings_are_read(tmp_path: Path, name: str, codec: str, kind: str) -> None:
    encode(tmp_path / name, codec, kind)
    recording = open_recording(tmp_path / name, SETTINGS)
    frames = list(recording)
    bare = kind in ("h264", "mjpeg")
    np.testing.assert_allclose(np.diff([f.t for f in frames]), 1 / (25 if bare else 20), atol=2e-3)
    np.testing.assert_allclose([f.image.mean() for f in frames], 30 * np.arange(1, 7), atol=6)
    assert ("holds no timestamps: 25 images per second" in "".join(recording.notes)) == bare


def encode(path: Path, codec: str, kind: str) -> None:
    """Six frames, each brighter than the one before, 20 a second."""
    av = pytest.importorskip("av", reason="pip install '.[video]'")
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=20)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(1, 7):
            picture = np.full((48, 64, 3), 30 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
