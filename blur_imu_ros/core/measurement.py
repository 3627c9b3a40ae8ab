"""What was measured of one frame, and what it was measured from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.autocorrelation import (
    AutocorrelationConfig,
    WholeMotion,
    fused,
    whole_motion,
)
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.registration import Registration
from blur_imu_ros.core.velocity import VelocityPrior, VelocitySolver


@dataclass(frozen=True)
class Measurement:
    """A velocity, and the data behind it.

    Attributes:
        frame: the image as the camera gave it.
        estimate: the velocity at its mid-exposure.
        registration: of this frame and the previous one, or None.
        view: (height, width, 3) BGR, input of the network; None if the frame was unusable.
        field: output of the network; None if the frame was unusable.
        whole: what the autocorrelation of the view tells of its motion, or None.
    """

    frame: Frame
    estimate: VelocityEstimate
    view: Image | None = None
    field: BlurField | None = None
    registration: Registration | None = None
    whole: WholeMotion | None = None

    def directed(self, probability: float) -> Measurement:
        """Return the likelier of the two motions, given the probability that this is the one."""
        estimate = replace(self.estimate, direction_probability=probability)
        return replace(self, estimate=estimate.reversed() if probability < 0.5 else estimate)

    def with_whole(self, config: AutocorrelationConfig) -> Measurement:
        """Return it with the motion of the whole view fused; `estimate` is that of the field."""
        if self.view is None or self.field is None:
            return self
        pixel = self.field.camera.focal / self.frame.camera.focal
        whole = whole_motion(self.view, self.field, self.estimate, config, pixel)
        return replace(self, estimate=fused(self.estimate, whole), whole=whole)


def measured(
    frame: Frame,
    view: Image,
    field: BlurField,
    solver: VelocitySolver,
    autocorrelation: AutocorrelationConfig | None,
    prior: VelocityPrior | None = None,
) -> Measurement:
    """Return what one image tells: its blur field solved, and the motion of the whole.

    Args:
        frame: the image as the camera gave it.
        view: (height, width, 3) BGR, input of the network.
        field: output of the network.
        solver: solves the field.
        autocorrelation: how the motion of the whole is found; None leaves it to the field.
        prior: what is known beforehand.
    """
    estimate = solver.solve(field, frame.exposure_time, frame.t, prior)
    alone = Measurement(frame, estimate, view, field)
    return alone if autocorrelation is None else alone.with_whole(autocorrelation)
