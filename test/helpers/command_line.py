"""The command line as a user meets it, and recordings of a known motion for it."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest

from blur_imu_ros import cli
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from helpers.synthetic_fields import CAMERA, field_of, seen_after, texture

RATE = np.array([0.4, 3.0, -1.0])
"""rad/s, optical axes, of every recording here."""
FRAME_RATE = 30.0
MODEL = Path(__file__).resolve().parents[2] / "models" / "compact.onnx"

needs_model = pytest.mark.skipif(
    not MODEL.is_file(), reason="models/compact.onnx is not there; export or fetch it"
)


class Oracle:
    """A network that reads the same turn from every image; from a black one it reads nothing."""

    name = "oracle"
    input_size = (CAMERA.width, CAMERA.height)

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        sigma = 0.3 if image.any() else 1e3
        return field_of(RATE, np.zeros(3), camera=camera, sigma=sigma)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line by which bad input is refused, beside what is assumed of folders."""
        assert self.status == 1, self
        lines = [x for x in self.err.strip().splitlines() if "no timestamps are known" not in x]
        assert len(lines) == 1 and lines[0].startswith("blur-imu: "), self.err
        return lines[0]


class CommandLine:
    """`blur-imu` in this process, with the oracle for its model."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: object) -> Outcome:
        self._capture.readouterr()
        status = 0
        with patch.object(sys, "argv", ["blur-imu", *map(str, arguments)]):
            try:
                cli.main()
            except SystemExit as end:
                status = int(end.code or 0)
        return Outcome(status, *self._capture.readouterr())


def turning_images(count: int) -> list[np.ndarray]:
    """Images (height, width, 3) of a far-away texture from a camera that turns at `RATE`."""
    return [_turned_image(k) for k in range(count)]


@cache
def _turned_image(index: int) -> np.ndarray:
    return seen_after(RATE * index / FRAME_RATE, _scene())


@cache
def _scene() -> np.ndarray:
    return texture()


def write_folder(path: Path, images: list[np.ndarray]) -> Path:
    """Write images as a folder of PNG files."""
    path.mkdir(parents=True)
    for index, image in enumerate(images):
        cv2.imwrite(str(path / f"frame_{index}.png"), image)
    return path


def write_camera(path: Path, **changes: object) -> Path:
    """Write the calibration of the images as flat YAML; changes to None leave a key out."""
    values: dict[str, object] = {
        "image_width": CAMERA.width, "image_height": CAMERA.height,
        "fx": CAMERA.fx, "fy": CAMERA.fy, "cx": CAMERA.cx, "cy": CAMERA.cy,
    } | changes  # fmt: skip
    path.write_text("".join(f"{k}: {v}\n" for k, v in values.items() if v is not None))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV, by column."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
