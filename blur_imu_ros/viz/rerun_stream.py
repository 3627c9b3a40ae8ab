"""Measurements for the Rerun viewer: image, motion blur, depth and velocities; it needs extra
`viewer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.series import VELOCITIES
from blur_imu_ros.errors import BlurImuError, RecordingError, install_hint
from blur_imu_ros.execution.files import make_folder_of
from blur_imu_ros.viz.overlay import colours_of, sparse_cells

SPAWN = "spawn"
"""In place of a file: open the viewer."""
SUFFIX = ".rrd"


class RerunStream:
    """Sends measurements to a .rrd file or to the viewer; the null object where none is wanted."""

    def __init__(self, target: str | None, name: str = "") -> None:
        """Open a file, or the viewer for `spawn`; BlurImuError where Rerun is not installed."""
        self._rerun: Any = None
        if target is None:
            return
        check_target(target)
        rerun = _rerun()
        self._stream = rerun.RecordingStream(f"blur-imu {name}")
        try:
            if target == SPAWN:
                rerun.spawn(connect=False)
                self._stream.connect_grpc()
            else:
                make_folder_of(Path(target))
                self._stream.save(target)
        except (RuntimeError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RecordingError(f"Rerun at {target} cannot be opened: {reason}") from error
        self._rerun = rerun

    def write(self, measurement: Measurement) -> None:
        """Send one frame."""
        if self._rerun is None:
            return
        rerun, stream, estimate = self._rerun, self._stream, measurement.estimate
        stream.set_time("time", duration=estimate.t)
        if measurement.view is not None and measurement.field is not None:
            self._write_pictures(measurement.view, measurement.field)
        for index, name in enumerate(VELOCITIES):
            kind = "angular, rad/s" if index < 3 else "linear, m/s"
            value = estimate.velocity[index] if estimate.valid else np.nan
            stream.log([kind, name], rerun.Scalars(value))
        # Lists of parts: these names are not paths.
        stream.log(["quality", "blur, px"], rerun.Scalars(estimate.blur_px))
        probability = rerun.Scalars(estimate.direction_probability)
        stream.log(["quality", "direction probability"], probability)
        if not estimate.valid:
            stream.log("log", rerun.TextLog("; ".join(estimate.reasons), level="WARN"))

    def _write_pictures(self, view: NDArray[np.uint8], field: BlurField) -> None:
        """Send what the network saw and what it read, in pixels of its view."""
        rerun, stream = self._rerun, self._stream
        rgb = cv2.cvtColor(view, cv2.COLOR_BGR2RGB)
        stream.log("camera/image", rerun.Image(rgb).compress(jpeg_quality=80))
        segments, colours = _segments(field)
        stream.log("camera/image/blur", rerun.LineStrips2D(segments, colors=colours))
        depth = 1 / np.maximum(cv2.resize(field.inverse_depth, view.shape[1::-1]), 1e-3)
        stream.log("depth", rerun.DepthImage(depth.astype(np.float32), meter=1.0))

    def close(self) -> None:
        """Complete the file."""
        if self._rerun is not None:
            self._stream.flush()
            self._stream.disconnect()


def check_target(target: str) -> None:
    """Refuse what is neither a file of Rerun's nor `spawn`."""
    if target != SPAWN and not target.endswith(SUFFIX):
        raise RecordingError(f"{target}: give a file ending in {SUFFIX} for Rerun, or {SPAWN}")


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise BlurImuError(
            f"Rerun is not installed ({install_hint('viewer')}); or go without it",
            cures=("rerun",),
        ) from error
    return rerun


def _segments(field: BlurField) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return the motion blur (n, 2, 2) of a sparse grid of cells, pixels, and their colours (n, 3)
    RGB."""
    inner = sparse_cells(field)
    centres = np.stack([c[inner].ravel() for c in field.pixel_grid()], axis=1)
    half = field.motion[inner].reshape(-1, 2) / 2
    colours = colours_of(2 * np.hypot(half[:, 0], half[:, 1]))[:, ::-1]
    return np.stack([centres - half, centres + half], axis=1), colours
