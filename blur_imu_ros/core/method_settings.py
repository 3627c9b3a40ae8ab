"""Every constant of the method that a user may change, gathered in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.velocity import SolverConfig


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """The settings of each stage of the method, in the order in which a frame walks through it.

    Attributes:
        solver: from the blur field of one image to its velocity.
        direction: the sign of the motion.
        pivot: the prior for cameras held in a hand; not used where no such prior is asked for.
    """

    solver: SolverConfig = field(default_factory=SolverConfig)
    direction: DirectionConfig = field(default_factory=DirectionConfig)
    pivot: PivotConfig = field(default_factory=PivotConfig)
