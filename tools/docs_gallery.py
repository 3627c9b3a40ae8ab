"""Draws docs/GALLERY.md, good and bad frames of our own renderer: `python
tools/docs_gallery.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from blur_imu_ros import VisualImu, load_network
from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.core.arrays import Array, Image
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.simulation.room_renderer import (
    Pose,
    blurred_image,
    constant_velocity,
    furnished_room,
)
from blur_imu_ros.viz.overlay import draw_overlay
from markdown import write_part

DOCS = Path(__file__).resolve().parents[1] / "docs"
CAMERA = Camera(640, 480, 480.0, 480.0, 319.5, 239.5)
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 70]


@dataclass(frozen=True)
class Case:
    """A frame: its name, what it shows, how the camera moves and what happens to the image.

    Attributes:
        name: of the picture's file.
        caption: a sentence for a person.
        angular, linear: rad/s and m/s, optical axes.
        exposure_time: seconds.
        change: what is done to the image.
        view: where the camera looks: a turn about the vertical axis (degrees) and a place (m).
    """

    name: str
    caption: str
    angular: tuple[float, float, float]
    linear: tuple[float, float, float] = (0.0, 0.0, 0.0)
    exposure_time: float = 0.012
    change: Callable[[Image], Image] = lambda image: image
    view: tuple[float, tuple[float, float, float]] = (0.0, (0.0, 0.0, 0.0))


def _dark(image: Image) -> Image:
    return np.asarray(image * 0.03, np.uint8)


def _overexposed(image: Image) -> Image:
    return np.asarray(np.clip(image.astype(np.float32) * 6, 0, 255), np.uint8)


def _defocused(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 12), np.uint8)


def _blank(image: Image) -> Image:
    """Leave a spot of the image and a wall without texture around it."""
    wall = np.full_like(image, 150)
    wall[180:300, 260:380] = image[180:300, 260:380]
    noise = np.random.default_rng(0).normal(0, 1.5, image.shape)
    return np.asarray(np.clip(wall + noise, 0, 255), np.uint8)


GOOD = (
    Case("yaw", "Yaw: all segments are alike, whatever the distance.", (0.0, 3.0, 0.0)),
    Case("roll", "Roll: the segments form circles about the centre.", (0.3, 0.0, 6.0)),
    Case("shake", "All three rotations at once, as in a hand.", (2.0, -2.5, 2.5), (0.2, 0.1, 0.0)),
    Case(
        "wrist",
        "Rotation about a wrist 30 cm behind the camera: rotation and sideways motion together.",
        (-1.0, 3.0, 0.5),
        (0.9, 0.3, 0.0),
    ),
    Case(
        "near",
        "Sideways past a table: near things move farther than distant ones. Only this parallax "
        "distinguishes it from yaw.",
        (0.0, 0.3, 0.0),
        (2.0, 0.0, 0.0),
        exposure_time=0.03,
        view=(15.0, (0.0, 0.2, 0.6)),
    ),
)
BAD = (
    Case(
        "long",
        "Exposure too long: blur longer than any in training is read less exactly.",
        (1.0, 6.5, 1.0),
        exposure_time=0.04,
    ),
    Case("sharp", "No blur: the motion can hardly be told from rest.", (0.5, 3.0, 0.5), exposure_time=5e-4),
    Case("dark", "Nearly dark: noise hides the blur.", (2.0, -2.5, 2.5), change=_dark),
    Case(
        "overexposed", "Overexposed: lights and walls have lost their edges.", (2.0, -2.5, 2.5),
        change=_overexposed,
    ),
    Case("defocused", "Out of focus: blur in all directions hides that of the motion.", (2.0, -2.5, 2.5),
         change=_defocused),
    Case("blank", "One textured spot on a blank wall: six unknowns from one direction.", (2.0, -2.5, 2.5),
         change=_blank),
)  # fmt: skip


def main() -> None:
    """Draw the pictures and write what was found into the page."""
    imu = VisualImu(load_network(DEFAULT_MODEL, "onnx"))
    page = DOCS / "GALLERY.md"
    for kind, cases in (("good", GOOD), ("bad", BAD)):
        begin, end = f"<!-- {kind} frames -->\n", f"<!-- end of the {kind} frames -->\n"
        write_part(page, begin, end, lambda cases=cases: print_cases(imu, cases))  # type: ignore[misc]
    print(page)


def print_cases(imu: VisualImu, cases: Iterable[Case]) -> None:
    """Draw the picture of each case and print what was found."""
    print('<div class="gallery" markdown>\n')
    for case in cases:
        true = np.array([*case.angular, *case.linear])
        estimate_of = _measured(imu, case, true)
        print(
            f"![{case.caption}](pictures/gallery/{case.name}.jpg)\n**{case.caption}** "
            f"{_found(estimate_of, true)}\n"
        )
    print("</div>")


def _measured(imu: VisualImu, case: Case, true: Array) -> Measurement:
    angle, place = case.view
    start = Pose(Rotation.from_euler("y", angle, degrees=True), np.array(place))
    trajectory = constant_velocity(true[:3], true[3:], start)
    image = case.change(
        blurred_image(furnished_room(), CAMERA, trajectory, 0.0, case.exposure_time, seed=1)
    )
    measurement = imu.measure(Frame(image, 0.0, case.exposure_time, CAMERA, case.name))
    # The sign of one image is open: it is shown as in the ground truth.
    if measurement.estimate.angular_velocity @ true[:3] < 0:
        measurement = measurement.directed(0.0)
    picture = draw_overlay(image, measurement.field, measurement.directed(1.0).estimate)
    path = DOCS / "pictures" / "gallery" / f"{case.name}.jpg"
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), picture, JPEG)
    return measurement


def _found(measurement: Measurement, true: Array) -> str:
    estimate = measurement.estimate
    if not estimate.valid:
        return f"Rejected: {'; '.join(estimate.reasons)}."
    error = np.abs(estimate.velocity - true)
    sigma = estimate.sigma
    return (
        f"Blur {estimate.blur_px:.1f} px. Error of angular velocity "
        f"{np.linalg.norm(error[:3]):.2f} rad/s "
        f"of {np.linalg.norm(true[:3]):.1f} (sigma {np.linalg.norm(sigma[:3]):.2f}), of linear "
        f"{np.linalg.norm(error[3:]):.2f} m/s of {np.linalg.norm(true[3:]):.1f} "
        f"(sigma {np.linalg.norm(sigma[3:]):.2f})."
    )


if __name__ == "__main__":
    main()
