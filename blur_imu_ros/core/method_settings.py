"""Every constant of the method that a user may change, gathered in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.motion_process import MotionFilterConfig
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.registration import RegistrationConfig
from blur_imu_ros.core.velocity import SolverConfig


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """The settings of each stage of the method, in the order in which a frame walks through it.

    Attributes:
        solver: from the blur field of one image to its velocity.
        direction: the sign of the motion.
        registration: of neighbouring frames on each other; not used where it is switched off.
        motion: the fusion of blur and registration over frames.
        pivot: the prior for cameras held in a hand; not used where no such prior is asked for.
    """

    solver: SolverConfig = field(default_factory=SolverConfig)
    direction: DirectionConfig = field(default_factory=DirectionConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    motion: MotionFilterConfig = field(default_factory=MotionFilterConfig)
    pivot: PivotConfig = field(default_factory=PivotConfig)
