"""What is beneath the overlay video shows depth as perspective does, and the last seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.visual_imu import VisualImu
from blur_imu_ros.viz import overlay_panel
from blur_imu_ros.viz.overlay_panel import AXES, SECONDS, OverlayPanel, depth_in_colours
from helpers.synthetic_fields import CAMERA, EXPOSURE, field_of

IMAGE = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)


class Turn:
    """A network that sees a turn about y."""

    input_size = (CAMERA.width, CAMERA.height)

    def predict(self, image, camera):
        return field_of(np.array([0.0, 2.0, 0.0]), np.zeros(3), camera=camera)


def measured(t: float) -> Measurement:
    return VisualImu(Turn()).measure(Frame(IMAGE, t, EXPOSURE, CAMERA, "0"))


def shown(panel: OverlayPanel, measurement: Measurement) -> np.ndarray:
    """The panel of a measurement."""
    return panel.draw(measurement.estimate, measurement.field)


def drawn(picture: np.ndarray, axis: str) -> np.ndarray:
    """Columns of a picture in which the curve of an axis is drawn, its name aside."""
    beneath = picture[picture.shape[0] // 5 :]
    return np.flatnonzero((np.abs(beneath.astype(int) - AXES[axis]) < 40).all(axis=2).any(axis=0))


def test_the_panel_is_as_wide_as_the_image_and_even_for_the_codec():
    for width, height in ((688, 516), (320, 224), (1920, 1440), (64, 48)):
        panel = OverlayPanel(width, height)
        picture = shown(panel, measured(1.0))
        assert picture.shape == (panel.height, width, 3) and panel.height % 2 == 0


def test_colours_of_depth_are_linear_in_its_inverse():
    depth = np.array([[1.0, 2.0, 4.0, np.inf]])
    same = depth_in_colours(np.array([[1.0, 0.5, 0.25, 0.0]]), 1.0)
    np.testing.assert_array_equal(depth_in_colours(1 / depth, 1.0), same)
    assert same.sum(axis=2)[0].tolist() == sorted(same.sum(axis=2)[0], reverse=True)


def test_curves_grow_with_the_seconds_and_forget_what_is_older():
    panel = OverlayPanel(640, 480)
    first = drawn(shown(panel, measured(10.0)), "y")
    for t in np.arange(10.1, 11.5, 0.1):
        later = shown(panel, measured(float(t)))
    assert len(drawn(later, "y")) > len(first)
    jumped = shown(panel, measured(11.5 + 2 * SECONDS))
    assert len(drawn(jumped, "y")) <= len(first)


def test_a_frame_that_is_not_valid_breaks_the_curve_and_has_no_depth():
    panel = OverlayPanel(640, 480)
    shown(panel, measured(1.0))
    refused = measured(1.1).estimate.rejected("too dark")
    blank = panel.draw(refused, None)
    assert len(drawn(blank, "y")) <= 2
    again = shown(panel, measured(0.0))  # a recording that begins anew
    assert len(drawn(again, "y"))


def test_whole_seconds_since_the_start_are_numbered(monkeypatch):
    written: list[tuple[str, int]] = []
    panel = OverlayPanel(640, 480)
    for t in (1000.2, 1001.0, 1002.4):
        written.clear()
        with monkeypatch.context() as patch:
            patch.setattr(
                overlay_panel.cv2,
                "putText",
                lambda _, text, place, *__: written.append((text, place[0])),
            )
            shown(panel, measured(t))
    seconds = [(text, x) for text, x in written if text.endswith(" s")]
    assert [text for text, _ in seconds] == 2 * ["0 s", "1 s", "2 s"]
    places = [x for _, x in seconds[:3]]
    assert places == sorted(places)
    assert {"w [rad/s]", "v [m/s]"} <= {text for text, _ in written}


def test_what_each_image_told_alone_is_drawn_beside():
    one = measured(1.0).estimate
    alone, fused = OverlayPanel(640, 480), OverlayPanel(640, 480)
    for t in (1.0, 1.5):
        plain = alone.draw(replace(one, t=t), None)
        both = fused.draw(replace(one, t=t, single=0.5 * one.velocity), None)
    assert (plain != both).any() and set(drawn(plain, "y")) <= set(drawn(both, "y"))
