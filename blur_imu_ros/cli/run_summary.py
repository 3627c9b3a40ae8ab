"""What a person should know of the rows that `blur-imu run` wrote."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.exposure_evidence import ExposureEvidence
from blur_imu_ros.core.lens import doubts
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.pivot import PivotFilter
from blur_imu_ros.results.ros_fields import MINIMUM_DIRECTION_PROBABILITY

LEAST_BLUR = 2.0
"""Pixels of the network's view, below which motion blur looks like softness."""


class RunSummary:
    """Counts rows that may not be used, whose sign is open, or that hold little motion blur.

    Attributes:
        pivot: what followed the lever arm; None without the pivot prior.
    """

    def __init__(self) -> None:
        """Start without rows."""
        self.pivot: PivotFilter | None = None
        self._rows = 0
        self._blur: list[float] = []
        self._refused: list[str] = []
        self._open = 0
        self._alone: list[str] = []
        self._exposure = ExposureEvidence()
        self._camera: Camera | None = None

    def add(self, measurement: Measurement) -> None:
        """Count a row."""
        estimate = measurement.estimate
        self._rows += 1
        self._camera = self._camera or measurement.frame.full_size.camera
        self._exposure.add(measurement)
        pair = measurement.registration
        if pair is not None and not pair.valid and estimate.single is None:
            self._alone.append(f"{measurement.frame.name}: {'; '.join(pair.reasons)}")
        if not estimate.valid:
            self._refused.append(f"{measurement.frame.name}: {'; '.join(estimate.reasons)}")
            return
        if estimate.single is None:  # Otherwise neighbours measure what blur does not.
            self._blur.append(estimate.blur_px)
        # At rest there is no sign to be sure of, whatever small blur is read.
        moves = estimate.is_moving and estimate.blur_px >= LEAST_BLUR
        if moves and estimate.direction_probability < MINIMUM_DIRECTION_PROBABILITY:
            self._open += 1

    def notes(self, signs: bool) -> Iterator[str]:
        """Yield the notes, a line each; of signs only where they were to be decided."""
        if self._camera is not None:
            yield from doubts(self._camera)
        suspected = list(self._exposure.doubts())
        yield from suspected
        if self._refused:
            cause = "dark, uniform, overexposed and defocused images show no motion blur"
            yield (
                f"{len(self._refused)} of {self._rows} rows are not valid; the first is "
                f"{self._refused[0]} ({'see the exposure time above' if suspected else cause})"
            )
        if self._alone:
            yield (
                f"{len(self._alone)} of {self._rows} rows were measured from their image alone, "
                f"because it could not be registered to a neighbour; the first is {self._alone[0]}"
            )
        if signs and self._rows > 1 and self._open:
            yield (
                f"the sign of {self._open} of {self._rows} rows has a probability below "
                f"{MINIMUM_DIRECTION_PROBABILITY:g} (direction_probability): leave them out, or "
                "record at a higher frame rate"
            )
        if self._blur and np.median(self._blur) < LEAST_BLUR:
            yield (
                f"in half of the frames the motion blur is shorter than {LEAST_BLUR:g} px of the "
                "network's view: this is little to measure; move faster or expose longer"
            )
        if self.pivot is not None:
            yield from _of_the_lever_arm(self.pivot)


def _of_the_lever_arm(pivot: PivotFilter) -> Iterator[str]:
    if not pivot.trusted:
        yield (
            "the camera did not turn about a point as a hand-held one does, so the pivot prior was "
            "dropped; --motion-prior none goes without it from the start"
        )
    elif pivot.found:
        std = " ".join(f"{x:.2f}" for x in np.sqrt(np.diag(pivot.covariance)))
        yield (
            f"final estimate of the lever arm: {pivot} m (right, down, forward; +- {std}); if the "
            f"camera is held the same way again, give --lever-arm {pivot}"
        )
