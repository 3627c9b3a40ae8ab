"""Sets of blurred samples on disk: `images/NNNNNN.png`, `truth/NNNNNN.npz`, and `index.csv`."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import BlurImuError, RecordingError, TrainingError
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_training.rendering.samples import BlurredSample
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter

INDEX = "index.csv"
SETTINGS = "set.json"
COLUMNS = (
    "sample", "width", "height", "fx", "fy", "cx", "cy", "exposure_time", "readout_time",
    "theta_x", "theta_y", "theta_z", "t_x", "t_y", "t_z", "blur_px", "depth_is_real",
)  # fmt: skip
TRUTHS = {"field", "inverse_depth", "rotation", "translation", "camera", "shutter", "depth_is_real"}


def image_path(folder: Path, index: int) -> Path:
    """Return where the picture of a sample lies."""
    return folder / "images" / f"{index:06d}.png"


def truth_path(folder: Path, index: int) -> Path:
    """Return where the ground truth of a sample lies: arrays with the names in `TRUTHS`."""
    return folder / "truth" / f"{index:06d}.npz"


def claim(folder: Path, settings: dict[str, Any]) -> None:
    """Note the settings of a set in a new folder; refuse a folder of other ones.

    Raises:
        TrainingError: the folder holds another set.
        RecordingError: it cannot be read or written.
    """
    settings = dict(json.loads(json.dumps(settings)))
    path = folder / SETTINGS
    try:
        if path.exists():
            begun = settings_of(folder)
            if begun.get("renderer") != settings["renderer"]:
                raise TrainingError(
                    f"{folder}: holds a set of another version's renderer, which would not go with "
                    "what is rendered now; take another folder, or complete it with that version"
                )
            if begun != settings:
                raise TrainingError(
                    f"{folder}: holds a set of other settings ({SETTINGS}); take another folder"
                )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings, indent=1))
    except (OSError, ValueError, TypeError) as error:
        raise RecordingError(f"{path}: cannot be used: {error}") from error


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the settings of a set, none if it has none; RecordingError if they are damaged."""
    path = folder / SETTINGS
    try:
        return dict(json.loads(path.read_text())) if path.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise RecordingError(f"{path}: cannot be used: {error}") from error


def write_sample(folder: Path, index: int, sample: BlurredSample) -> None:
    """Write picture and truth, the ground truth last: where it is, the sample is complete."""
    camera, shutter = sample.camera, sample.shutter
    ok, png = cv2.imencode(".png", sample.image)
    assert ok
    truth = io.BytesIO()
    np.savez(
        truth,
        field=sample.field,
        inverse_depth=sample.inverse_depth,
        rotation=sample.motion.rotation,
        translation=sample.motion.translation,
        camera=np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        shutter=np.array([shutter.exposure_time, shutter.readout_time]),
        depth_is_real=np.array(sample.depth_is_real),
    )
    _write_whole(image_path(folder, index), png.tobytes())
    _write_whole(truth_path(folder, index), truth.getvalue())


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is either complete or not there; RecordingError where the disk is full."""
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise RecordingError(
            f"{path}: cannot be written: {error.strerror}; samples before it are kept"
        ) from error


def write_index(folder: Path, count: int) -> None:
    """Write the table of the first `count` samples of a complete set."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    for index in range(count):
        sample = read_sample(folder, index)
        camera, shutter, motion = sample.camera, sample.shutter, sample.motion
        numbers = [
            *(camera.fx, camera.fy, camera.cx, camera.cy),
            *(shutter.exposure_time, shutter.readout_time),
            *(*motion.rotation, *motion.translation),
            float(np.hypot(sample.field[..., 0], sample.field[..., 1]).mean()),
        ]
        size = (camera.width, camera.height)
        row = [f"{index:06d}", *size, *(f"{x:.9g}" for x in numbers), int(sample.depth_is_real)]
        writer.writerow(row)
    _write_whole(folder / INDEX, table.getvalue().encode())


def read_sample(folder: Path, index: int) -> BlurredSample:
    """Read a sample; RecordingError names what is missing or damaged.

    How the velocity changed within the exposure is not kept: the motion is its mean.
    """
    path, truth = image_path(folder, index), truth_path(folder, index)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise RecordingError(f"{path}: is missing or damaged")
    try:
        with np.load(truth, allow_pickle=False) as file:
            arrays = {name: file[name] for name in TRUTHS}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{truth}: is missing or damaged: {error}") from error
    height, width = image.shape[:2]
    fx, fy, cx, cy = (float(x) for x in arrays["camera"])
    return BlurredSample(
        np.asarray(image, np.uint8),
        Camera(width, height, fx, fy, cx, cy),
        ExposureMotion(arrays["rotation"], arrays["translation"], np.zeros(3), np.zeros(3)),
        Shutter(*(float(x) for x in arrays["shutter"])),
        arrays["field"],
        arrays["inverse_depth"],
        bool(arrays["depth_is_real"]),
    )


class SampleFolder:
    """A written set, read back sample by sample.

    Attributes:
        skipped: names of samples that are unpaired or damaged.
    """

    def __init__(self, folder: Path) -> None:
        """List the usable samples; RecordingError if there is none."""
        self._folder = folder
        self._indices: list[int] = []
        self.skipped: list[str] = []
        for number in CsvTable(folder / INDEX).column("sample"):
            try:
                read_sample(folder, int(number))
            except BlurImuError:
                self.skipped.append(f"{int(number):06d}")
            else:
                self._indices.append(int(number))
        if not self._indices:
            raise RecordingError(f"{folder}: holds no usable samples; was it written to its end?")

    def __len__(self) -> int:
        """Return the number of usable samples."""
        return len(self._indices)

    def __getitem__(self, index: int) -> BlurredSample:
        """Return usable sample `index`; beyond the last one the set begins again."""
        return read_sample(self._folder, self._indices[index % len(self._indices)])
