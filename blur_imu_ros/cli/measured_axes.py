"""In which axes a file of velocities is."""

from __future__ import annotations

from pathlib import Path

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.results.run_record import axes_of


def measured_axes(
    path: Path, series: VelocitySeries, given: Axes | None, option: str = "--axes"
) -> Axes:
    """Return the axes that a file or the record beside it states, else those given, else optical.

    Raises:
        RecordingError: they contradict each other.
    """
    recorded = axes_of(path)
    stated = {
        f"its column axes says {series.axes.value}" if series.axes else "": series.axes,
        f"its .run.json says {recorded.value}" if recorded else "": recorded,
        f"{option} says {given.value}" if given else "": given,
    }
    known = {what: axes for what, axes in stated.items() if axes is not None}
    if len(set(known.values())) > 1:
        raise RecordingError(
            f"{path}: its axes are ambiguous: {', '.join(known)}; leave out {option}, or correct it"
        )
    return next(iter(known.values()), Axes.OPTICAL)
