"""The overlay shows smear and numbers on any image, whatever the estimate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.viz import overlay
from blur_imu_ros.viz.overlay import draw_overlay, without_lens
from helpers.synthetic_fields import field_of

ESTIMATE = VelocityEstimate(
    0.0, 0.01, np.array([-12.34, 5.0, 1.0]), np.array([-10.5, 2.0, 3.0]), 99 * np.eye(6),
    22.3, 1.0, 6, 2.0, 0.93,
)  # fmt: skip
WIDTHS = [64, 320, 688, 1920]


def grey(width: int) -> np.ndarray:
    return np.full((width * 7 // 10, width), 128, np.uint8)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """What is written: text, and where it begins and ends, pixels."""
    written: list[tuple[str, int, int]] = []

    def note(image: object, text: str, place: tuple[int, int], font: int, size: float, *_: object):
        wide = overlay.cv2.getTextSize(text, font, size, 1)[0][0]
        written.append((text, place[0], place[0] + wide))

    monkeypatch.setattr(overlay.cv2, "putText", note)
    return written


def test_a_lens_is_taken_off_the_picture_as_it_is_off_the_networks_view() -> None:
    fisheye = Camera(320, 240, 150.0, 150.0, 159.5, 119.5, "equidistant")
    # A lamp 45 degrees to the right.
    image = np.zeros((240, 320, 3), np.uint8)
    image[110:130, round(159.5 + 150 * np.pi / 4) - 4 :][:, :9] = 255
    shown = without_lens(Frame(image, 0.0, 0.01, fisheye))
    assert shown.shape == image.shape
    assert np.mean(np.nonzero(shown[..., 0])[1]) == pytest.approx(159.5 + 150, abs=2)
    straight = Frame(image, 0.0, 0.01, fisheye.undistorted())
    assert without_lens(straight) is straight.image


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("valid", [True, False])
def test_nothing_is_written_over_the_border_or_over_each_other(
    texts: list[tuple[str, int, int]], width: int, valid: bool
) -> None:
    refused = ESTIMATE.rejected("blur could be read in only 4 cells").rejected("a word " * 20)
    draw_overlay(grey(width), None, ESTIMATE if valid else refused)
    assert len(texts) == (14 if valid else 3)
    assert all(0 <= begin and end <= width for _, begin, end in texts)
    columns = sorted({begin for _, begin, _ in texts})
    for (_, _, end), (_, begin, _) in zip(texts, texts[1:], strict=False):
        assert end <= begin or begin == columns[0]


def test_velocities_have_their_units_and_the_doubt(texts: list[tuple[str, int, int]]) -> None:
    draw_overlay(grey(640), None, ESTIMATE)
    found = [text for text, _, _ in texts]
    assert found[:4] == ["w [rad/s]", "x -12.34 +- 9.95", "y +5.00 +- 9.95", "z +1.00 +- 9.95"]
    assert found[4:6] == ["v [m/s]", "x -10.50 +- 9.95"]
    assert found[8:12] == [
        *("blur 22.3 px", "sign right: 93%", "+- is 1 sigma", "x right, y down, z forward")
    ]


@pytest.mark.parametrize(("axes", "meaning"), overlay.SHORT.items())
def test_the_axes_are_those_of_the_numbers(
    texts: list[tuple[str, int, int]], axes: Axes, meaning: str
) -> None:
    draw_overlay(grey(640), None, ESTIMATE, axes)
    assert meaning in [text for text, _, _ in texts]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_colours_of_the_blur_are_told(texts: list[tuple[str, int, int]], width: int) -> None:
    draw_overlay(grey(width), field_of(np.array([0, 5.0, 0]), np.zeros(3)), ESTIMATE)
    legend = texts[:5]
    assert [text for text, _, _ in legend] == ["motion blur [px of view]", "0", "10", "20", "40+"]
    assert all(0 <= begin and end <= width for _, begin, end in legend)
    assert width < 320 or [b for _, b, _ in legend[1:]] == sorted(b for _, b, _ in legend[1:])


def test_what_is_not_valid_says_why_instead_of_numbers(texts: list[tuple[str, int, int]]) -> None:
    draw_overlay(grey(640), None, ESTIMATE.rejected("too dark").rejected("no texture"))
    assert [text for text, _, _ in texts] == ["not valid", "too dark", "no texture"]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_image_keeps_its_size_and_is_not_drawn_on(width: int) -> None:
    image = np.dstack([grey(width)] * 3)
    before = image.copy()
    drawn = draw_overlay(image, field_of(np.array([0, 5.0, 0]), np.zeros(3)), ESTIMATE)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    assert (drawn != image).any()


def coloured_extent(field: BlurField) -> tuple[int, int]:
    """How far the drawn pixels of the one certain cell in the middle reach across and down."""
    sigma = np.full(field.sigma.shape, 1e6)
    every = round(field.q.shape[1] / overlay.LINES_ACROSS)
    row, column = 14 - 14 % every + every // 2, 20 - 20 % every + every // 2
    sigma[row, column] = 0.1
    q = np.where(sigma[..., None] < 1, field.q, 0)
    drawn = draw_overlay(grey(320)[:224], replace(field, q=q, sigma=sigma), None)
    spread = np.ptp(drawn.astype(int), axis=2)
    y, x = np.nonzero(spread > 100)
    return int(np.ptp(x)), int(np.ptp(y))


def test_the_smear_is_drawn_along_its_direction_in_its_length() -> None:
    # A yaw of 8 rad/s for 10 ms moves the middle of the image by 20 pixels across.
    across, down = coloured_extent(field_of(np.array([0, 8.0, 0]), np.zeros(3)))
    assert across == pytest.approx(20, abs=3) and down <= 3
    across, down = coloured_extent(field_of(np.array([8.0, 0, 0]), np.zeros(3)))
    assert down == pytest.approx(20, abs=3) and across <= 3


def test_what_neighbours_changed_is_told(texts: list[tuple[str, int, int]]) -> None:
    fused = replace(ESTIMATE, single=ESTIMATE.velocity + 1, registration_quality=0.97)
    draw_overlay(grey(640), None, fused)
    assert "agreement with previous frame: 0.97" in [text for text, _, _ in texts]
    texts.clear()
    draw_overlay(grey(640), None, replace(fused, registration_quality=0.0))
    assert "not registered to previous frame" in [text for text, _, _ in texts]


def test_whether_both_ends_of_the_blur_agree_is_told(texts: list[tuple[str, int, int]]) -> None:
    draw_overlay(grey(640), None, replace(ESTIMATE, autocorrelation=0.41))
    assert "agreement of both ends of the blur: 0.41" in [text for text, _, _ in texts]
    texts.clear()
    draw_overlay(grey(640), None, ESTIMATE)
    assert "agreement of both ends of the blur: not found" in [text for text, _, _ in texts]
