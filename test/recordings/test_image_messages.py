"""Image messages of every encoding, well-formed or not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.errors import CameraError, FrameError
from blur_imu_ros.recordings.camera_info import CameraInfo, named_rectified
from blur_imu_ros.recordings.image_messages import decode_compressed, decode_image

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = COLOUR[..., 0].copy()
SMOOTH = cv2.GaussianBlur(
    np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8), (0, 0), 6
)


def decode(image: np.ndarray, encoding: str, padding: int = 0, big: bool = False) -> np.ndarray:
    rows = image.reshape(image.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    height, width = image.shape[:2]
    return decode_image(height, width, encoding, padded.shape[1], big, padded.tobytes())


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "image"),
    [
        ("bgr8", COLOUR),
        ("8UC3", COLOUR),
        ("rgb8", np.ascontiguousarray(COLOUR[..., ::-1])),
        ("bgra8", np.dstack([COLOUR, GREY])),
        ("rgba8", np.dstack([COLOUR[..., ::-1], GREY])),
        ("8UC4", np.dstack([COLOUR, GREY])),
        ("RGB8", np.ascontiguousarray(COLOUR[..., ::-1])),
        (" Bgr8 ", COLOUR),
    ],
)
def test_colour_comes_out_as_bgr(encoding: str, image: np.ndarray, padding: int) -> None:
    np.testing.assert_array_equal(decode(image, encoding, padding), COLOUR)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_stays_grey(encoding: str) -> None:
    np.testing.assert_array_equal(decode(GREY, encoding, padding=3), GREY)


@pytest.mark.parametrize(("order", "big"), [("<u2", False), (">u2", True)])
def test_sixteen_bits_keep_their_high_byte(order: str, big: bool) -> None:
    deep = (GREY.astype(np.uint16) * 256 + 17).astype(order)
    np.testing.assert_array_equal(decode(deep, "mono16", big=big), GREY)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_sensors_of_fewer_bits_in_sixteen_are_as_bright_as_others(bits: int) -> None:
    deep = GREY.astype(np.uint16) << (bits - 8)
    np.testing.assert_array_equal(decode(deep, "mono16"), GREY)
    np.testing.assert_array_equal(decode(deep, "mono16", padding=5), GREY)
    colour = decode(deep, "bayer_rggb16")
    np.testing.assert_array_equal(colour, decode(GREY, "bayer_rggb8"))
    png = cv2.imencode(".png", deep)[1]
    np.testing.assert_array_equal(decode_compressed(png.tobytes())[..., 0], GREY)


@pytest.mark.parametrize(("order", "big"), [("<u2", False), (">u2", True)])
@pytest.mark.parametrize("bits", [10, 16])
@pytest.mark.parametrize("encoding", ["bgr16", "16UC3", "rgb16", "bgra16", "16UC4", "rgba16"])
def test_colours_of_sixteen_bits_keep_their_high_byte(
    encoding: str, bits: int, order: str, big: bool
) -> None:
    deep = COLOUR.astype(np.uint16) << (bits - 8)
    if encoding.startswith("rgb"):
        deep = np.ascontiguousarray(deep[..., ::-1])
    if encoding in ("bgra16", "16UC4", "rgba16"):
        deep = np.dstack([deep, np.full(GREY.shape, 65535, np.uint16)])
    np.testing.assert_array_equal(decode(deep.astype(order), encoding, big=big), COLOUR)


def test_a_compressed_image_of_floating_point_samples_is_named() -> None:
    tiff = cv2.imencode(".tiff", COLOUR.astype(np.float32))[1]
    with pytest.raises(FrameError, match="float32 samples; give 8 or 16 bits"):
        decode_compressed(tiff.tobytes())


def mosaic(image: np.ndarray, pattern: str) -> np.ndarray:
    channel = {"b": 0, "g": 1, "r": 2}
    raw = np.empty(image.shape[:2], np.uint8)
    for index, colour in enumerate(pattern):
        y, x = divmod(index, 2)
        raw[y::2, x::2] = image[y::2, x::2, channel[colour]]
    return raw


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_mosaics_give_the_colours_that_went_in(pattern: str) -> None:
    found = decode(mosaic(SMOOTH, pattern), f"bayer_{pattern}8").astype(int)
    assert np.abs(found - SMOOTH)[4:-4, 4:-4].mean() < 3


@pytest.mark.parametrize(
    ("encodings", "conversion"),
    [
        (("uyvy", "yuv422"), cv2.COLOR_BGR2YUV_UYVY),
        (("yuyv", "yuv422_yuy2"), cv2.COLOR_BGR2YUV_YUY2),
    ],
)
def test_yuv422_gives_the_colours_that_went_in(encodings: tuple[str, ...], conversion: int) -> None:
    packed = cv2.cvtColor(SMOOTH, conversion)
    for encoding in encodings:
        found = decode(packed, encoding).astype(int)
        assert found.shape == SMOOTH.shape and np.abs(found - SMOOTH).mean() < 4


def test_nv12_and_nv21_differ_in_the_order_of_chroma() -> None:
    i420 = cv2.cvtColor(SMOOTH, cv2.COLOR_BGR2YUV_I420)
    luma, chroma = i420[:48], i420[48:].reshape(2, -1)
    for encoding, order in (("nv12", (0, 1)), ("nv21", (1, 0))):
        interleaved = np.stack([chroma[order[0]], chroma[order[1]]], -1).reshape(24, 64)
        data = np.vstack([luma, interleaved]).tobytes()
        found = decode_image(48, 64, encoding, 64, False, data).astype(int)
        assert np.abs(found - SMOOTH).mean() < 4


@pytest.mark.parametrize("below", [0, 16])
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["nv12", "nv24", "i420", "yuv420p", "yv12"])
def test_planes_of_brightness_and_colour_give_the_colours_that_went_in(
    encoding: str, padding: int, below: int
) -> None:
    """Also where rows are longer than the image, and planes higher: coders want multiples of 16."""
    i420 = cv2.cvtColor(SMOOTH, cv2.COLOR_BGR2YUV_I420)
    luma, (u, v) = i420[:48], i420[48:].reshape(2, 24, 32)
    if encoding == "nv24":
        large = [cv2.resize(x, (64, 48)) for x in (u, v)]
        planes = [luma, np.stack(large, -1).reshape(48, 128)]
    elif encoding == "nv12":
        planes = [luma, np.stack([u, v], -1).reshape(24, 64)]
    else:
        planes = [luma, *((v, u) if encoding == "yv12" else (u, v))]
    wider = [
        np.pad(x, ((0, below * len(x) // 48), (0, padding * x.shape[1] // 64))) for x in planes
    ]
    data = b"".join(x.tobytes() for x in wider)
    found = decode_image(48, 64, encoding, 64 + padding, False, data).astype(int)
    assert found.shape == SMOOTH.shape and np.abs(found - SMOOTH).mean() < 4


@pytest.mark.parametrize("encoding", ["nv12", "i420"])
def test_bytes_behind_the_planes_are_no_higher_planes(encoding: str) -> None:
    """Memory comes in pages: what is left of the last one holds nothing."""
    i420 = cv2.cvtColor(SMOOTH, cv2.COLOR_BGR2YUV_I420)
    planes = i420 if encoding == "i420" else to_nv12(i420)
    for more in (1, 64, 96 * 100, 4096):
        found = decode_image(48, 64, encoding, 64, False, planes.tobytes() + bytes(more))
        assert np.abs(found.astype(int) - SMOOTH).mean() < 4


def to_nv12(i420: np.ndarray) -> np.ndarray:
    """Return planes of a 64x48 image in the other order."""
    u, v = i420[48:].reshape(2, 24, 32)
    return np.vstack([i420[:48], np.stack([u, v], -1).reshape(24, 64)])


def test_nothing_is_copied_where_the_message_holds_the_result() -> None:
    data = bytearray(COLOUR.tobytes())
    image = decode_image(6, 8, "bgr8", 24, False, data)
    data[0] = 255 - data[0]
    assert image[0, 0, 0] == data[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((6, 8, "jpeg2000", 24, False, b""), "jpeg2000"),
        ((6, 8, "bgr8", 24, False, b"123"), "header needs 144"),
        ((6, 8, "bgr8", 23, False, bytes(144)), "step"),
        ((0, 8, "bgr8", 24, False, b""), "not a possible size"),
        ((10**9, 10**9, "bgr8", 0, False, b""), "not a possible size"),
        ((5, 8, "nv12", 8, False, bytes(100)), "even"),
    ],
)
def test_malformed_messages_are_named(arguments: tuple, said: str) -> None:
    with pytest.raises(FrameError, match=said):
        decode_image(*arguments)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-1, 40),
    st.integers(-1, 40),
    st.sampled_from(["mono8", "bgr8", "rgba8", "mono16", "bayer_rggb8", "uyvy", "nv12", "x", ""]),
    st.integers(0, 200),
    st.booleans(),
    st.binary(max_size=4000),
)
def test_any_message_gives_an_image_or_a_reason(
    height: int, width: int, encoding: str, step: int, big: bool, data: bytes
) -> None:
    try:
        image = decode_image(height, width, encoding, step, big, data)
    except FrameError:
        return
    assert image.dtype == np.uint8 and image.shape[:2] == (height, width)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=500))
def test_any_bytes_are_an_image_or_named(data: bytes) -> None:
    try:
        assert decode_compressed(data).ndim == 3
    except FrameError as error:
        assert "compressed" in str(error)


def test_compressed_images() -> None:
    ok, png = cv2.imencode(".png", COLOUR)
    assert ok
    np.testing.assert_array_equal(decode_compressed(png.tobytes()), COLOUR)
    with pytest.raises(FrameError, match="damaged"):
        decode_compressed(png.tobytes()[:20])


def jpeg(image: np.ndarray = SMOOTH, *options: int) -> bytes:
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def test_fill_bytes_before_the_markers_of_a_jpeg_are_legal() -> None:
    """ITU-T T.81, B.1.1.2: any marker may be preceded by any number of fill bytes."""
    data = jpeg()
    filled = data[:2] + b"\xff\xff\xff" + data[2:-2] + b"\xff\xff" + data[-2:]
    np.testing.assert_array_equal(decode_compressed(filled), decode_compressed(data))


@pytest.mark.parametrize(
    "options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)]
)
def test_a_jpeg_that_lacks_only_its_end_is_whole(options: tuple[int, ...]) -> None:
    data = jpeg(SMOOTH, *options)
    np.testing.assert_array_equal(decode_compressed(data[:-2]), decode_compressed(data))


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)])
def test_a_jpeg_that_is_cut_off_anywhere_in_its_pixels_is_damaged(options: tuple[int, ...]) -> None:
    data = jpeg(COLOUR.repeat(8, 0).repeat(8, 1), *options)
    for size in range(len(data) // 2, len(data) - 12):
        with pytest.raises(FrameError, match="damaged"):
            decode_compressed(data[:size])


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("said", ["bayer_rggb8; {} compressed ", "BayerRG8; {}", "bayer_rggb8"])
def test_a_compressed_mosaic_gives_the_colours_that_went_in(suffix: str, said: str) -> None:
    raw = cv2.imencode(suffix, mosaic(SMOOTH, "rggb"))[1].tobytes()
    found = decode_compressed(raw, said.format(suffix[1:])).astype(int)
    assert found.shape == SMOOTH.shape and np.abs(found - SMOOTH)[4:-4, 4:-4].mean() < 5


def test_a_compressed_mosaic_of_sixteen_bits_is_as_bright_as_others() -> None:
    raw = mosaic(SMOOTH, "gbrg")
    deep = cv2.imencode(".png", raw.astype(np.uint16) * 16)[1].tobytes()
    shallow = cv2.imencode(".png", raw)[1].tobytes()
    np.testing.assert_array_equal(
        decode_compressed(deep, "bayer_gbrg16; png"), decode_compressed(shallow, "bayer_gbrg8; png")
    )


def test_what_a_driver_has_made_colour_of_a_mosaic_is_no_mosaic_any_more() -> None:
    data = jpeg()
    found = decode_compressed(data, "bayer_rggb8; jpeg compressed bgr8")
    np.testing.assert_array_equal(found, decode_compressed(data))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("h264", "'h264' is a packet of a video"),
        ("16UC1; compressedDepth png", "is a depth image; choose the topic of the colour"),
        ("jpeg", "damaged, or of no known format"),
    ],
)
def test_compressed_messages_that_are_no_images_are_named(said: str, wanted: str) -> None:
    with pytest.raises(FrameError, match=wanted):
        decode_compressed(bytes(300), said)
    png = cv2.imencode(".png", COLOUR)[1].tobytes()
    assert decode_compressed(png, said).shape == COLOUR.shape


def test_a_raw_depth_image_is_named() -> None:
    with pytest.raises(FrameError, match="a depth image"):
        decode_image(2, 2, "32FC1", 8, False, bytes(16))


@pytest.mark.parametrize(
    ("topic", "wanted"),
    [
        ("/cam/image_rect", True), ("/cam/image_rect_color/compressed", True), ("/imageRect", True),
        ("/cam/image_rectified", True), ("/left/image_undistorted", True),
        ("/zed/left/color/rect/image", True), ("/cam/image_raw", False), ("/direct/image", False),
        ("/correct_image", False), ("/unrectified/image", False),
    ],
)  # fmt: skip
def test_topics_of_rectified_images_are_known_by_their_usual_names(
    topic: str, wanted: bool
) -> None:
    assert named_rectified(topic) == wanted


K = [500.0, 0, 320, 0, 510, 240, 0, 0, 1]


def test_camera_info_is_read() -> None:
    camera = CameraInfo(640, 480, K, [0.1, 0, 0, 0, 0]).camera()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 510, 320, 240)
    assert camera.is_distorted


def test_zero_distortion_is_none() -> None:
    assert not CameraInfo(640, 480, K, [0.0] * 5).camera().is_distorted
    assert not CameraInfo(640, 480, K, [0.0] * 14, "rational_polynomial").camera().is_distorted


LENS = [0.1, -0.05, 0.001, 0.002, 0.01]


@pytest.mark.parametrize(
    ("model", "given", "known", "coefficients"),
    [
        ("plumb_bob", [*LENS, 0, 0, 0], "plumb_bob", LENS),
        ("plumb_bob", [*LENS, 0.3, 0.2, 0.1], "rational_polynomial", [*LENS, 0.3, 0.2, 0.1]),
        ("plumb_bob", LENS[:4], "plumb_bob", LENS[:4]),
        ("rational_polynomial", [*LENS, 0.3, 0.2, 0.1, *[0] * 6], "rational_polynomial",
         [*LENS, 0.3, 0.2, 0.1, *[0] * 6]),
        ("rational_polynomial", [*LENS, *[0.1] * 7], "rational_polynomial", [*LENS, *[0.1] * 7]),
        ("rational_polynomial", LENS, "plumb_bob", LENS),
        ("equidistant", [0.1, 0.2, 0.3, 0.4, 0], "equidistant", [0.1, 0.2, 0.3, 0.4]),
        ("fisheye", [0.1, 0.2, 0.3, 0.4], "equidistant", [0.1, 0.2, 0.3, 0.4]),
        ("Kannala-Brandt4", [0.1, 0.2, 0.3, 0.4], "equidistant", [0.1, 0.2, 0.3, 0.4]),
        ("radtan", LENS[:4], "plumb_bob", LENS[:4]),
        ("Plumb Bob", LENS, "plumb_bob", LENS),
        ("none", [], "plumb_bob", []),
        ("None", [0.0] * 5, "plumb_bob", []),
        ("", [], "plumb_bob", []),
        ("", LENS, "plumb_bob", LENS),
    ],
)  # fmt: skip
def test_lenses_are_understood_as_drivers_send_them(
    model: str, given: list[float], known: str, coefficients: list[float]
) -> None:
    camera = CameraInfo(640, 480, K, given, model).camera()
    assert camera.distortion_model == known and list(camera.distortion) == coefficients


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("none", LENS), ("equidistant", [0.1] * 5), ("plumb_bob", [0.1] * 6),
        ("plumb_bob", [0.1] * 3), ("inverse_brown_conrady", LENS),
    ],
)  # fmt: skip
def test_lenses_whose_meaning_is_not_certain_are_refused(model: str, given: list[float]) -> None:
    with pytest.raises(CameraError, match="distortion model"):
        CameraInfo(640, 480, K, given, model).camera()


@pytest.mark.parametrize("count", [12, 14])
def test_the_view_through_a_lens_of_more_coefficients_is_that_of_opencv(count: int) -> None:
    given = [*LENS, 0.3, 0.2, 0.1, *[0.01] * (count - 8)]
    camera = CameraInfo(64, 48, [60.0, 0, 31.5, 0, 60, 23.5, 0, 0, 1], given, "rational").camera()
    found = NetworkView(camera, 64, 48).apply(SMOOTH)
    k = camera.matrix
    wanted = cv2.undistort(SMOOTH, k, np.array(given), None, k)
    assert np.abs(found.astype(int) - wanted)[4:-4, 4:-4].mean() < 1


def test_an_equidistant_lens_without_coefficients_is_a_fisheye_all_the_same() -> None:
    assert CameraInfo(640, 480, K, [0.0] * 4, "equidistant").camera().is_distorted
    assert CameraInfo(640, 480, K, [], "equidistant").camera().is_distorted


@pytest.mark.parametrize("model", ["equidistant", "double_sphere"])
def test_a_rectified_image_has_no_lens_whatever_the_raw_one_has(model: str) -> None:
    p = [400.0, 0, 310, 0, 0, 410, 230, 0, 0, 0, 1, 0]
    info = CameraInfo(640, 480, K, [0.0] * 4, model, p=p)
    assert not info.rectified().camera().is_distorted


def test_roi_moves_the_principal_point() -> None:
    camera = CameraInfo(640, 480, K, roi=(100, 50, 320, 240)).camera()
    assert (camera.width, camera.height, camera.cx, camera.cy) == (320, 240, 220, 190)
    assert camera.fx == 500


def test_binning_shrinks_everything() -> None:
    camera = CameraInfo(640, 480, K, binning_x=2, binning_y=2).camera()
    assert (camera.width, camera.height, camera.fx) == (320, 240, 250)
    assert camera.cx == pytest.approx(159.75)


def test_a_rectified_image_has_the_calibration_p_and_no_distortion() -> None:
    p = [400.0, 0, 310, -48, 0, 410, 230, 0, 0, 0, 1, 0]
    info = CameraInfo(640, 480, K, [0.3, 0, 0, 0, 0], roi=(10, 20, 320, 240), p=p)
    camera = info.rectified().camera()
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (400, 410, 300, 210)
    assert not camera.is_distorted and info.camera().is_distorted


@pytest.mark.parametrize("p", [(), [0.0] * 12])
def test_a_rectified_image_without_p_is_refused(p: list[float]) -> None:
    with pytest.raises(CameraError, match="no calibration of rectified images"):
        CameraInfo(640, 480, K, p=p).rectified()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (CameraInfo(640, 480, [0.0] * 9), "not calibrated"),
        (CameraInfo(640, 480, [1.0]), "expected 9"),
        (CameraInfo(640, 480, [4.2, 0, 3, 0, 4.2, 2, 0, 0, 1]), "Give pixels"),
        (CameraInfo(640, 480, [float("nan")] * 9), "not a finite number"),
        (CameraInfo(0, 0, K), "size"),
        (CameraInfo(640, 480, K, [1.0], "fancy"), "fancy"),
        (CameraInfo(640, 480, K, roi=(600, 0, 100, 100)), "ROI"),
    ],
)
def test_bad_camera_info_is_named(info: CameraInfo, said: str) -> None:
    with pytest.raises(CameraError, match=said):
        info.camera()
