"""What was measured of one frame, and what it was measured from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.registration import Registration


@dataclass(frozen=True)
class Measurement:
    """A velocity, and the data behind it.

    Attributes:
        frame: the image as the camera gave it.
        estimate: the velocity at its mid-exposure.
        registration: of this frame and the previous one, or None.
        view: (height, width, 3) BGR, input of the network; None if the frame was unusable.
        field: output of the network; None if the frame was unusable.
    """

    frame: Frame
    estimate: VelocityEstimate
    view: Image | None = None
    field: BlurField | None = None
    registration: Registration | None = None

    def directed(self, probability: float) -> Measurement:
        """Return the likelier of the two motions, given the probability that this is the one."""
        estimate = replace(self.estimate, direction_probability=probability)
        return replace(self, estimate=estimate.reversed() if probability < 0.5 else estimate)
