"""Calibration of a camera against a gyroscope: exposure time, time offset, extrinsic rotation and
linear scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blur_imu_ros.choices import Axes
from blur_imu_ros.core.axes import from_optical
from blur_imu_ros.core.frame import LONGEST_EXPOSURE
from blur_imu_ros.core.series import VelocitySeries
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.evaluation.alignment import (
    FEWEST_ROWS,
    Alignment,
    align,
    each_image_alone,
    expected_error,
    fitted_ratio,
    in_camera,
    with_linear,
)
from blur_imu_ros.evaluation.metrics import in_axes, match, plain

LARGEST_ROTATION_STD = np.radians(3.0)
LARGEST_OFFSET_STD = 0.005
"""Seconds."""
OBSERVABLE_BIAS_STD = 0.03
"""rad/s; a bias less certain than this, which is more than common ones are, is left out."""
LENGTH_STD = 0.1
"""Of lengths that a model reads on scenes that it does not know, all in the same direction: its
held-out ratios are 0.90 to 1.10. The exposure time takes it up."""
_ROUNDS = 20
LARGEST_SCALE_STD = 0.05
LEAST_SPEED = 0.05
"""m/s, root mean square. Slower motion says nothing about the scale of linear velocity."""


@dataclass(frozen=True)
class Calibration:
    """What was found, with standard deviations.

    Attributes:
        alignment: rotation, clocks, bias and exposure scale.
        assumed_exposure: seconds that the estimates were made with, or None.
        linear_scale: factor that makes the linear velocity right once the exposure time is, or None
            where the ground truth has no linear velocity, or too little of it.
        linear_scale_std: of that.
        linear_note: in which axes the linear velocity of the ground truth agrees, in words.
    """

    alignment: Alignment
    assumed_exposure: float | None
    linear_scale: float | None = None
    linear_scale_std: float | None = None
    linear_note: str = ""

    @property
    def tells_bias(self) -> bool:
        """Whether the gyroscope's bias is known well enough to be of use."""
        return bool(self.alignment.bias_std.max() <= OBSERVABLE_BIAS_STD)

    def on_top_of(self, linear_scale: float) -> Calibration:
        """Return the calibration of the camera itself, where the linear velocities of the estimate
        had been multiplied by `linear_scale` already."""
        if linear_scale == 1:
            return self
        if self.linear_scale is None:
            return replace(self, linear_scale=linear_scale)
        std = None if self.linear_scale_std is None else self.linear_scale_std * linear_scale
        return replace(self, linear_scale=self.linear_scale * linear_scale, linear_scale_std=std)

    def values(self) -> dict[str, Any]:
        """Return what was found by the names that `run` and the node know."""
        found = self.alignment
        return self._exposure(found.exposure_scale) | self._known(
            {
                "time_offset": found.time_offset,
                "camera_imu_rotation": found.rotation,
                "gyro_bias": found.bias if self.tells_bias else None,
                "linear_scale": self.linear_scale,
            }
        )

    def standard_deviations(self) -> dict[str, Any]:
        """Return standard deviations by the same names; of the rotation, rad about camera axes."""
        found = self.alignment
        lengths = LENGTH_STD * found.exposure_scale
        exposure = float(np.hypot(found.exposure_scale_std, lengths))
        return self._exposure(exposure) | self._known(
            {
                "time_offset": found.time_offset_std,
                "camera_imu_rotation": found.rotation_std,
                "gyro_bias": found.bias_std if self.tells_bias else None,
                "linear_scale": self.linear_scale_std,
            }
        )

    def _exposure(self, scale: float) -> dict[str, Any]:
        if self.assumed_exposure is None:
            return {"exposure_scale": plain(scale)}
        return {"exposure_time": plain(self.assumed_exposure * scale)}

    def _known(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: plain(value) for name, value in values.items() if value is not None}


def calibrate(
    estimate: VelocitySeries,
    truth: VelocitySeries,
    exposure_time: float | None = None,
    truth_axes: Axes | None = None,
    near: float | None = None,
) -> Calibration:
    """Return what estimates and a gyroscope's series say about each other.

    Args:
        estimate: in optical axes.
        truth: angular velocities of the gyroscope on its own clock, maybe linear ones too.
        exposure_time: that the estimates were made with, seconds.
        truth_axes: of the ground truth as far as known, for series whose linear velocity is in
            other axes than the angular; None takes both to be in the same, unknown axes.
        near: time offset (s) as far as it is known; see `align`.

    Raises:
        RecordingError: the data do not decide it; the message says why.
    """
    known = truth if truth_axes is None else in_axes(truth, truth_axes, Axes.OPTICAL)
    found = _fixed_point(estimate, known, exposure_time, near)
    _check_certainty(found)
    true_exposure = None if exposure_time is None else exposure_time * found.exposure_scale
    if truth_axes is None:
        turned, note = with_linear(estimate, known, found, true_exposure)
    else:
        turned, note = in_camera(known, found), ""
    scale, std = _linear_scale(each_image_alone(estimate), turned, found, true_exposure)
    if truth_axes is not None:
        found = _from_axes(found, truth_axes)
    return Calibration(found, exposure_time, scale, std, note if scale is not None else "")


def _fixed_point(
    estimate: VelocitySeries, truth: VelocitySeries, exposure_time: float | None, near: float | None
) -> Alignment:
    """Return the alignment to the ground truth's mean over the exposure time that comes out of
    it."""
    found = align(estimate, truth, exposure_time, near)
    if exposure_time is None:
        return found
    tried = exposure_time
    for _ in range(_ROUNDS):
        wanted = min(exposure_time * found.exposure_scale, LONGEST_EXPOSURE)
        if abs(wanted - tried) < 1e-3 * tried:
            break
        tried = wanted
        found = align(estimate, truth, tried, near)
    return found


def angular_rmse(
    estimate: VelocitySeries, truth: VelocitySeries, found: Calibration
) -> tuple[float, float]:
    """Return the RMSE of omega (rad/s) of each image alone, and with the exposure time found.

    Args:
        estimate: in optical axes, as it was calibrated.
        truth: in the axes that it came in.
        found: what came of them.
    """
    aligned = found.alignment
    alone = each_image_alone(estimate)
    used = match(alone, in_camera(truth, aligned), found.assumed_exposure).used()
    true = used.truth[:, :3] - aligned.rotation @ aligned.bias
    measured, mended = (
        float(np.sqrt(np.mean((used.estimate[:, :3] / scale - true) ** 2)))
        for scale in (1.0, aligned.exposure_scale)
    )
    return measured, mended


def _check_certainty(found: Alignment) -> None:
    """Refuse what is too uncertain to be of use."""
    tilt = float(found.rotation_std.max())
    limits = (
        ("the rotation", tilt, LARGEST_ROTATION_STD, f"{np.degrees(tilt):.1f} degrees"),
        (
            "the time offset",
            found.time_offset_std,
            LARGEST_OFFSET_STD,
            f"{found.time_offset_std * 1e3:.1f} ms",
        ),
        (
            "the exposure time",
            found.exposure_scale_std / found.exposure_scale,
            LARGEST_SCALE_STD,
            f"{found.exposure_scale_std / found.exposure_scale:.1%}",
        ),
    )
    for what, std, limit, text in limits:
        if not std <= limit:
            raise RecordingError(
                f"{what} cannot be determined from {found.rows} frames (standard deviation "
                f"{text}): record longer, and shake the camera about all axes; did run use the "
                "right exposure time?"
            )


def _from_axes(found: Alignment, axes: Axes) -> Alignment:
    """Return what was found against a ground truth in optical axes, for the axes that it came
    in."""
    matrix = from_optical(axes)[0]
    return replace(
        found,
        rotation=found.rotation @ matrix.T,
        bias=matrix @ found.bias,
        bias_std=np.abs(matrix) @ found.bias_std,
    )


def _linear_scale(
    estimate: VelocitySeries, truth: VelocitySeries, found: Alignment, exposure_time: float | None
) -> tuple[float | None, float | None]:
    """Return the factor on the linear velocity and its standard deviation, where they can be found.

    The ground truth is in the camera's axes and on its clock.
    """
    used = match(estimate, truth, exposure_time).used()
    used = used.rows(np.isfinite(used.truth[:, 3:] + used.estimate[:, 3:]).all(axis=1))
    seen, true = used.estimate[:, 3:], used.truth[:, 3:]
    if len(true) < FEWEST_ROWS or np.sqrt(np.mean(np.sum(true**2, axis=1))) < LEAST_SPEED:
        return None, None
    # The noise is in the estimate, so it is the one that is explained: v = ratio * truth.
    spread = expected_error(used.sigma, slice(3, 6), len(used.t))
    ratio, ratio_std = fitted_ratio(used.t, seen, true, spread)
    if ratio < 2 * ratio_std:
        return None, None
    scale = found.exposure_scale / ratio
    shares = np.hypot(ratio_std / ratio, found.exposure_scale_std / found.exposure_scale)
    return scale, float(scale * shares)
