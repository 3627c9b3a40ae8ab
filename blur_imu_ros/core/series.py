"""Velocities over time, as plain arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.errors import RecordingError

VELOCITIES = ("wx", "wy", "wz", "vx", "vy", "vz")
UNITS = ("rad/s", "rad/s", "rad/s", "m/s", "m/s", "m/s")


@dataclass(frozen=True)
class VelocitySeries:
    """Velocities over time, of an estimate or of the ground truth.

    Attributes:
        t: (n,) seconds, strictly increasing.
        velocity: (n, 6) angular (rad/s), then linear (m/s); NaN columns if unknown.
        sigma: (n, 6) standard deviations, or None.
        valid: (n,) whether a row may be used.
        blur_px: (n,) length of the motion blur, pixels of the network's view, or None.
        frames: the n names of the frames, or none.
        latency: (n,) seconds from timestamp to recording of each message of a bag, or None.
        axes: those named in the file, or None.
        single: (n, 6) velocities from each image alone, if neighbouring frames were fused, or None.
        notes: what was assumed or left out (`Loss`) when reading, one line each.
    """

    t: Array
    velocity: Array
    sigma: Array | None
    valid: Array
    blur_px: Array | None = None
    frames: tuple[str, ...] = ()
    latency: Array | None = None
    axes: Axes | None = None
    notes: tuple[str, ...] = ()
    single: Array | None = None

    def to_dataframe(self) -> Any:
        """Return a pandas DataFrame with one row per time and the columns of the CSV of `run`.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        columns: dict[str, Any] = {"frame": list(self.frames)} if self.frames else {}
        columns["t"] = self.t
        columns |= dict(zip(VELOCITIES, self.velocity.T, strict=True))
        if self.sigma is not None:
            columns |= {f"s_{name}": s for name, s in zip(VELOCITIES, self.sigma.T, strict=True)}
        if self.blur_px is not None:
            columns["blur_px"] = self.blur_px
        return pandas.DataFrame(columns | {"valid": self.valid})


def series_of(estimates: Iterable[VelocityEstimate]) -> VelocitySeries:
    """Return estimates in order of time as a series; RecordingError if there are none."""
    listed = list(estimates)
    if not listed:
        raise RecordingError("the recording is too short: no velocity came out of it")
    return VelocitySeries(
        np.array([e.t for e in listed]),
        np.stack([e.velocity for e in listed]),
        np.stack([e.sigma for e in listed]),
        np.array([e.valid for e in listed]),
        np.array([e.blur_px for e in listed]),
        single=_singles(listed),
    )


def _singles(estimates: list[VelocityEstimate]) -> Array | None:
    """Return (n, 6) velocities of each image alone; None where no neighbour changed anything."""
    if all(e.single is None for e in estimates):
        return None
    return np.stack([e.velocity if e.single is None else e.single for e in estimates])
