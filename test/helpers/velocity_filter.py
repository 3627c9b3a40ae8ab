"""The velocity states of robot_localization's ekf_node, as a reference for its configuration.

Angular velocity is constant but for its process noise, linear velocity follows an acceleration:
x' = F x, P' = F P F' + Q dt, and an input is left out whose Mahalanobis distance reaches its
threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

Array = NDArray[Any]

LINEAR, ANGULAR, ACCELERATION = slice(0, 3), slice(3, 6), slice(6, 9)
VELOCITIES = slice(6, 15)
"""Of the 15 states of robot_localization: linear, angular velocity, linear acceleration."""


def settings_of(*paths: Path) -> dict[str, Any]:
    """Return the parameters of YAML files, later ones over earlier ones, as ROS reads them."""
    found: dict[str, Any] = {}
    for path in paths:
        found |= yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    return found


@dataclass
class VelocityFilter:
    """Fuses angular velocity from imu0 and linear from twist0, by the parameters of a YAML file.

    Attributes:
        settings: as `settings_of` returns them.
        state: (9,) linear velocity, angular velocity, linear acceleration.
        covariance: (9, 9) of it.
        rejected: inputs that were left out by their threshold.
    """

    settings: dict[str, Any]
    state: Array = field(default_factory=lambda: np.zeros(9))
    covariance: Array = field(default_factory=lambda: np.eye(9) * 1e-9)
    rejected: int = 0
    _t: float | None = None

    def __post_init__(self) -> None:
        """Take what the file tells, else the filter's own defaults."""
        ours = np.diag([0.025, 0.025, 0.04, 0.01, 0.01, 0.02, 0.01, 0.01, 0.015])
        self._noise = self._matrix("process_noise_covariance", ours)
        self.covariance = self._matrix("initial_estimate_covariance", self.covariance)

    def _matrix(self, name: str, default: Array) -> Array:
        given = np.array(self.settings.get(name, []), dtype=float)
        if not given.size:
            return default
        full = np.diag(given) if given.size == 15 else given.reshape(15, 15)
        return np.asarray(full[VELOCITIES, VELOCITIES])

    def predict(self, t: float) -> None:
        """Go on to the time `t`, seconds."""
        dt = 0.0 if self._t is None else t - self._t
        step = np.eye(9)
        step[LINEAR, ACCELERATION] = np.eye(3) * dt
        self.state = step @ self.state
        self.covariance = step @ self.covariance @ step.T + self._noise * dt
        self._t = t

    def imu(self, t: float, angular: Array, covariance: Array) -> None:
        """Fuse an angular velocity (3,) with its covariance (3, 3)."""
        threshold = self.settings.get("imu0_twist_rejection_threshold", np.inf)
        self._correct(t, ANGULAR, angular, covariance, threshold)

    def twist(self, t: float, linear: Array, covariance: Array) -> None:
        """Fuse a linear velocity (3,) with its covariance (3, 3)."""
        threshold = self.settings.get("twist0_rejection_threshold", np.inf)
        self._correct(t, LINEAR, linear, covariance, threshold)

    def _correct(
        self, t: float, axes: slice, value: Array, covariance: Array, threshold: float
    ) -> None:
        if self._t is None:
            self.state[axes], self.covariance[axes, axes] = value, covariance
            self._t = t
            return
        self.predict(t)
        inverse = np.linalg.inv(self.covariance[axes, axes] + covariance)
        innovation = value - self.state[axes]
        if innovation @ inverse @ innovation >= threshold**2:
            self.rejected += 1
            return
        gain = self.covariance[:, axes] @ inverse
        self.state = self.state + gain @ innovation
        self.covariance = self.covariance - gain @ self.covariance[axes]
        self.covariance = (self.covariance + self.covariance.T) / 2
