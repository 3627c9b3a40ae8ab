"""The table of samples that the published training code reads.

    blurred,flow,depth,fx,fy,cx,cy,bRa_qx,bRa_qy,bRa_qz,bRa_qw,bta_x,bta_y,bta_z

Paths are relative to the table: an image, the flow (height, width, 2) in pixels and the depth
(height, width) in metres, both `.npy`. The pose takes points from the camera's axes when the
shutter opens (a) to those when it closes (b).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blur_imu_ros.core.arrays import Float64
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.motion_field import motion_field
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.csv_tables import CsvTable
from blur_imu_training.rendering.samples import STRIDE, BlurredSample
from blur_imu_training.scene.exposure_motion import ExposureMotion, Shutter
from blur_imu_training.scene.sharp_images import refuse_empty

FILES = ("blurred", "flow", "depth")
NUMBERS = (
    "fx", "fy", "cx", "cy", "bRa_qx", "bRa_qy", "bRa_qz", "bRa_qw", "bta_x", "bta_y", "bta_z",
)  # fmt: skip


def pose_of(motion: ExposureMotion) -> tuple[Float64, Float64]:
    """Return bRa as a quaternion (x, y, z, w) and bta (3,) of a motion with constant velocity.

    theta is the turn of the body from a to b; t the way from a to b in the axes halfway.
    """
    closing = Rotation.from_rotvec(motion.rotation / 2).inv()
    return Rotation.from_rotvec(-motion.rotation).as_quat(), -closing.apply(motion.translation)


def motion_of(quaternion: Float64, bta: Float64) -> ExposureMotion:
    """Return the motion whose pose is (bRa, bta)."""
    rotation = -Rotation.from_quat(quaternion).as_rotvec()
    translation = -Rotation.from_rotvec(rotation / 2).apply(bta)
    return ExposureMotion(rotation, translation, np.zeros(3), np.zeros(3))


def write_published(table: Path, samples: Iterable[BlurredSample]) -> int:
    """Write samples beside `table` and list them in it; return how many.

    RecordingError if something cannot be written; rows before it are kept.
    """
    count = 0
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*FILES, *NUMBERS])
            for sample in samples:
                names = _write_files(table.parent, f"{count:06d}", sample)
                camera = sample.camera
                quaternion, bta = pose_of(sample.motion)
                numbers = [camera.fx, camera.fy, camera.cx, camera.cy, *quaternion, *bta]
                writer.writerow([*names, *(f"{x:.9g}" for x in numbers)])
                file.flush()
                count += 1
    except OSError as error:
        raise RecordingError(
            f"{table}: cannot be written: {error.strerror}; earlier rows are kept"
        ) from error
    return count


def _write_files(folder: Path, stem: str, sample: BlurredSample) -> list[str]:
    names = [f"{stem}_blurred.png", f"{stem}_flow.npy", f"{stem}_depth.npy"]
    camera = sample.camera
    size = (camera.width, camera.height)
    inverse = cv2.resize(sample.inverse_depth, size, interpolation=cv2.INTER_NEAREST)
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    motion = sample.motion
    flow = motion_field(camera, u, v, inverse, motion.rotation, motion.translation)
    if not cv2.imwrite(str(folder / names[0]), sample.image):
        raise RecordingError(f"{folder / names[0]}: cannot be written")
    np.save(folder / names[1], flow.astype(np.float32))
    np.save(folder / names[2], (1 / inverse).astype(np.float32))
    return names


class PublishedSamples:
    """The samples of a table, read one by one.

    Attributes:
        skipped: images that are unpaired or damaged, as the table names them.
    """

    def __init__(self, table: Path) -> None:
        """List the usable rows; RecordingError if columns are missing or no row is usable."""
        self._folder = table.parent
        content = CsvTable(table)
        self._numbers = np.stack([content.column(name) for name in NUMBERS], axis=1)
        self._names = _file_names(content)
        self.skipped: list[str] = []
        self._rows: list[int] = []
        for row, names in enumerate(self._names):
            if self._read(row) is None:
                self.skipped.append(names[0])
            else:
                self._rows.append(row)
        refuse_empty(self._rows, table)

    def __len__(self) -> int:
        """Return the number of usable rows."""
        return len(self._rows)

    def __getitem__(self, index: int) -> BlurredSample:
        """Return usable row `index`; its exposure time is not known and set to 10 ms."""
        row = self._rows[index]
        sample = self._read(row)
        if sample is None:
            raise RecordingError(f"{self._folder / self._names[row][0]}: has become damaged")
        return sample

    def _read(self, row: int) -> BlurredSample | None:
        blurred, flow_name, depth_name = self._names[row]
        image = cv2.imread(str(self._folder / blurred), cv2.IMREAD_COLOR)
        flow = _read_array(self._folder / flow_name)
        depth = _read_array(self._folder / depth_name)
        if image is None or flow is None or depth is None:
            return None
        height, width = image.shape[:2]
        if flow.shape != (height, width, 2) or depth.shape != (height, width) or depth.min() <= 0:
            return None
        fx, fy, cx, cy = self._numbers[row, :4]
        cells = (width // STRIDE, height // STRIDE)
        whole = (slice(cells[1] * STRIDE), slice(cells[0] * STRIDE))
        field = cv2.resize(flow[whole], cells, interpolation=cv2.INTER_AREA)
        inverse = cv2.resize(1 / depth[whole], cells, interpolation=cv2.INTER_AREA)
        return BlurredSample(
            np.asarray(image, np.uint8),
            Camera(width, height, float(fx), float(fy), float(cx), float(cy)),
            motion_of(self._numbers[row, 4:8], self._numbers[row, 8:11]),
            Shutter(0.01),
            np.asarray(field, np.float32),
            np.asarray(inverse, np.float32),
            depth_is_real=True,
        )


def _file_names(table: CsvTable) -> list[tuple[str, ...]]:
    """Return the three files of each row."""
    missing = set(FILES) - set(table.names)
    if missing:
        raise RecordingError(f"{table.path}: lacks a column {', '.join(sorted(missing))}")
    return list(zip(*(table.text(name) for name in FILES), strict=True))


def _read_array(path: Path) -> NDArray[np.float32] | None:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    usable = isinstance(array, np.ndarray) and array.dtype.kind == "f" and np.isfinite(array).all()
    return array.astype(np.float32) if usable else None
