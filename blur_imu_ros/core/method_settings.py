"""Every constant of the method that a user may change, gathered in one place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from blur_imu_ros.choices import Direction
from blur_imu_ros.core.autocorrelation import AutocorrelationConfig
from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.motion_process import MotionFilterConfig
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.registration import RegistrationConfig
from blur_imu_ros.core.velocity import SolverConfig, VelocitySolver
from blur_imu_ros.core.visual_imu import Network, VisualImu


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """The settings of each stage of the method, in the order of processing.

    Attributes:
        solver: the velocity from the blur field of one image.
        autocorrelation: the motion on which all edges of one image agree.
        direction: the sign of the motion.
        registration: the registration of neighbouring frames, unless switched off.
        motion: the fusion of blur and registration over frames.
        pivot: the prior for hand-held cameras, if it is used.
    """

    solver: SolverConfig = field(default_factory=SolverConfig)
    autocorrelation: AutocorrelationConfig = field(default_factory=AutocorrelationConfig)
    direction: DirectionConfig = field(default_factory=DirectionConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    motion: MotionFilterConfig = field(default_factory=MotionFilterConfig)
    pivot: PivotConfig = field(default_factory=PivotConfig)

    def visual_imu(
        self,
        network: Network,
        direction: Direction,
        pivot: PivotConfig | None,
        linear_scale: float,
        registration: bool,
    ) -> VisualImu:
        """Return what measures by these settings, `pivot` being the prior if one is used.

        `registration` says whether neighbouring frames are registered; for the others see
        `VisualImu`.
        """
        return VisualImu(
            network,
            solver=VelocitySolver(self.solver),
            direction=replace(self.direction, mode=direction),
            pivot=pivot,
            linear_scale=linear_scale,
            registration=self.registration if registration else None,
            motion=self.motion,
            autocorrelation=self.autocorrelation,
        )
