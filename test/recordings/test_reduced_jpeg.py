"""JPEGs that are decoded smaller: at the right place, only where that loses nothing, alike
everywhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.recordings import FrameSettings, open_recording
from blur_imu_ros.recordings.reduced_jpeg import reduced, reduced_message
from blur_imu_ros.viz.overlay import without_lens

VIEW = (64, 48)
ORIENTATION = 0x0112


def camera_of(width: int, height: int) -> Camera:
    return Camera(width, height, 0.8 * width, 0.8 * width, 0.45 * width, 0.55 * height)


def ramp(width: int, height: int, along: int) -> np.ndarray:
    """An image as bright as where it is, in 64ths of a side."""
    place = np.indices((height, width))[along]
    grey = np.round(32 + 192 * place / (height, width)[along]).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def jpeg(image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 98, *options])[1].tobytes()


@pytest.mark.parametrize(
    ("size", "factor"), [((128, 96), 2), ((261, 197), 4), ((273, 205), 4), ((1001, 777), 8), ((137, 99), 2)]
)  # fmt: skip
@pytest.mark.parametrize("along", [0, 1])
def test_a_pixel_of_the_smaller_image_lies_where_its_camera_says(
    size: tuple[int, int], factor: int, along: int
) -> None:
    """(u + 0.5) / factor - 0.5, at odd sides as well: a tenth of a pixel would be a tilted lens."""
    camera = camera_of(*size)
    found = reduced(jpeg(ramp(*size, along)), camera, VIEW)
    assert found is not None
    image, smaller = found
    assert image.shape[1::-1] == (smaller.width, smaller.height)
    assert (smaller.width, smaller.height) == tuple(-(-side // factor) for side in size)
    rays = smaller.normalised(*np.meshgrid(np.arange(smaller.width), np.arange(smaller.height)))
    place = rays[0] * camera.fx + camera.cx if along else rays[1] * camera.fy + camera.cy
    wanted = 32 + 192 * place / (size[1], size[0])[along]
    inside = (slice(1, -1), slice(1, -1))
    assert (
        abs((image[..., 1] - wanted)[inside].mean())
        < 0.1 * factor * 192 / (size[1], size[0])[along] + 0.1
    )


@pytest.mark.parametrize("size", [(127, 95), (128, 95), (64, 48)])
def test_an_image_that_would_not_fill_the_view_stays_whole(size: tuple[int, int]) -> None:
    assert reduced(jpeg(ramp(*size, 0)), camera_of(*size), VIEW) is None


def test_what_is_no_jpeg_of_the_cameras_size_stays_whole() -> None:
    image, camera = ramp(256, 192, 0), camera_of(256, 192)
    assert reduced(cv2.imencode(".png", image)[1].tobytes(), camera, VIEW) is None
    assert reduced(jpeg(ramp(255, 192, 0)), camera, VIEW) is None, "not even one column less"
    assert reduced(jpeg(image)[:-400], camera, VIEW) is None, "one that is cut off"
    assert reduced(b"\xff\xd8", camera, VIEW) is None
    assert reduced(b"", camera, VIEW) is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(256, 192), (257, 193)])
def test_an_orientation_tag_turns_the_smaller_image_as_the_whole_one(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    file = tmp_path / "turned.jpg"
    picture = ramp(*size, 0) // 2 + ramp(*size, 1) // 4
    Image.fromarray(picture).save(file, exif=tags.tobytes(), quality=98)
    whole = cv2.imread(str(file))
    assert whole is not None
    found = reduced(file.read_bytes(), camera_of(*whole.shape[1::-1]), VIEW)
    if size[0] % 2:
        assert found is None, "its border may lie at the other side"
        return
    assert found is not None
    mean = cv2.resize(whole, found[0].shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(found[0].astype(int) - mean).max() <= 3


def test_a_message_is_decoded_as_its_file() -> None:
    data, camera = jpeg(ramp(256, 192, 1)), camera_of(256, 192)
    compressed = SimpleNamespace(data=data, format="rgb8; jpeg compressed bgr8")
    found, wanted = reduced_message(compressed, camera, VIEW), reduced(data, camera, VIEW)
    assert found is not None and wanted is not None
    assert np.array_equal(found[0], wanted[0]) and found[1] == wanted[1]
    assert reduced_message(compressed, camera, None) is None
    compressed.format = "bayer_rggb8; jpeg compressed bayer_rggb8"
    assert reduced_message(compressed, camera, VIEW) is None, "half of a mosaic is none"
    assert reduced_message(SimpleNamespace(encoding="bgr8"), camera, VIEW) is None


def frames_of(folder: Path, camera: Camera, view: tuple[int, int] | None) -> list[Frame]:
    settings = FrameSettings(exposure_time=0.01, camera=camera, view=view)
    return list(open_recording(folder, settings))


def test_a_folder_gives_small_frames_that_know_the_whole_ones(tmp_path: Path) -> None:
    camera = camera_of(256, 192)
    for k in range(2):
        (tmp_path / f"{k}.jpg").write_bytes(jpeg(ramp(256, 192, k)))
    (tmp_path / "2.png").write_bytes(cv2.imencode(".png", ramp(256, 192, 0))[1].tobytes())
    *small, png = frames_of(tmp_path, camera, VIEW)
    whole = frames_of(tmp_path, camera, None)
    assert png.image.shape == (192, 256, 3) and png.full_size is png
    for one, other in zip(small, whole, strict=False):
        assert one.image.shape == (48, 64, 3) and other.image.shape == (192, 256, 3)
        assert np.array_equal(one.full_size.image, other.image)
        assert np.array_equal(without_lens(one), other.image), "a person sees all pixels"
        assert (one.t, one.name, one.exposure_time) == (other.t, other.name, other.exposure_time)


def test_a_damaged_image_is_told_as_ever(tmp_path: Path) -> None:
    camera = camera_of(256, 192)
    for k in range(4):
        data = jpeg(ramp(256, 192, 0))
        (tmp_path / f"{k}.jpg").write_bytes(data[:500] if k == 1 else data)
    settings = FrameSettings(exposure_time=0.01, camera=camera, view=VIEW)
    recording = open_recording(tmp_path, settings)
    assert [frame.name for frame in recording] == ["0.jpg", "2.jpg", "3.jpg"]
    assert any("1.jpg" in note and "damaged" in note for note in recording.notes)
