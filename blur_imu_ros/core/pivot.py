"""The pivot prior: what moves in a hand turns about a wrist or elbow, so v = omega x r.

r, the lever arm, points from the pivot to the camera, in the camera's axes. It is estimated online
and causally by a Kalman filter on v - omega x r = 0, or given. Turned round, the same equation
gives the solver the linear velocity to expect of the turn that it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.velocity import VelocityPrior
from blur_imu_ros.errors import SettingsError

LONGEST_GIVEN = 10.0
"""Metres on each axis. More is read as a unit error."""


@dataclass(frozen=True, kw_only=True)
class PivotConfig:
    """How a camera is held.

    Attributes:
        lever_arm: (3,) metres, from the pivot to the camera in OpenCV axes; None estimates it.
        given_std: standard deviation of each axis of a given lever arm, metres.
        start, start_std: what an unknown one is before the first frame, and the standard deviation
            of each axis: wrist and elbow are below and behind the camera, on either side; metres.
        random_walk: how the lever arm wanders as the grip changes, metres per square root of a
            second.
        constraint_noise: velocity of the pivot itself while the camera does not turn, m/s on each
            axis: who holds it may walk.
        constraint_noise_per_rate: how that grows with the angular velocity, m/s for each rad/s; 0.1
            on two real hands.
        length, length_std: what is usual from a wrist or elbow to a camera in a hand, metres, and
            the standard deviation of its logarithm.
        scale_std: error of the length that is found, of its logarithm: that of all depths.
        longest: a lever arm estimated as longer than this is not a lever arm, metres.
        largest_nis: running mean of the normalised squared innovation above which the motion is not
            one about a pivot, and the prior is withheld; 1 is expected.
        memory: share of that mean which each frame replaces.
    """

    lever_arm: tuple[float, float, float] | None = None
    given_std: float = 0.03
    start: tuple[float, float, float] = (0.0, -0.15, 0.25)
    start_std: tuple[float, float, float] = (0.2, 0.1, 0.1)
    random_walk: float = 0.02
    constraint_noise: float = 0.25
    constraint_noise_per_rate: float = 0.1
    length: float = 0.37
    length_std: float = 0.35
    scale_std: float = 0.4
    longest: float = 1.0
    largest_nis: float = 3.0
    memory: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a lever arm that nobody holds."""
        arm = self.lever_arm
        if arm is not None and not (len(arm) == 3 and all(abs(x) < LONGEST_GIVEN for x in arm)):
            raise SettingsError(
                f"lever arm {arm}: give three numbers in metres, each below {LONGEST_GIVEN:g}"
            )


@dataclass(frozen=True)
class PivotState:
    """What a `PivotFilter` has learnt; its attributes, as plain numbers."""

    t: float | None
    lever_arm: list[float]
    covariance: list[list[float]]
    nis: float


@dataclass(frozen=True)
class _Evidence:
    """What an image alone says about a velocity x: exp(-x' information x / 2 + information_vector'
    x).

    Attributes:
        information: (6, 6), positive semidefinite.
        information_vector: (6,) information times the velocity that the image alone asks for.
        squared: information_vector' information^-1 information_vector, over the directions that the
            image determines.
    """

    information: Array
    information_vector: Array
    squared: float

    @classmethod
    def of(cls, estimate: VelocityEstimate, assumed: VelocityPrior) -> _Evidence:
        """Take the prior that was assumed out of an estimate.

        What all frames share is left out: it grows with the velocity found, so frames in which that
        came out small would count most, and draw the lever arm to zero.
        """
        total = np.linalg.inv(estimate.covariance - estimate.shared_covariance)
        information_vector = total @ estimate.velocity - assumed.information @ assumed.mean
        values, vectors = np.linalg.eigh(total - assumed.information)
        known = values > 1e-3 * np.trace(assumed.information) / 6
        values, vectors = values[known], vectors[:, known]
        along = vectors.T @ information_vector
        return cls((vectors * values) @ vectors.T, vectors @ along, float(along**2 @ (1 / values)))


class PivotFilter:
    """Estimates the lever arm frame by frame, and gives the prior that follows from it."""

    def __init__(self, config: PivotConfig | None = None) -> None:
        """Start from the configuration's lever arm, or from not knowing any."""
        self.config = config or PivotConfig()
        self._t: float | None = None
        self._restart()

    def _restart(self) -> None:
        given = self.config.lever_arm
        std = self.config.start_std if given is None else (self.config.given_std,) * 3
        arm = self.config.start if given is None else given
        self.lever_arm: Array = np.array(arm, dtype=float)
        self.covariance: Array = np.diag(np.square(std))
        self.nis = 1.0

    @property
    def state(self) -> PivotState:
        """What `resume` takes."""
        return PivotState(self._t, self.lever_arm.tolist(), self.covariance.tolist(), self.nis)

    def resume(self, state: PivotState) -> None:
        """Go on from what another filter of this configuration had learnt."""
        self._t, self.nis = state.t, state.nis
        self.lever_arm, self.covariance = np.array(state.lever_arm), np.array(state.covariance)

    @property
    def trusted(self) -> bool:
        """Whether the motion so far was one about a pivot."""
        return self.nis <= self.config.largest_nis

    def __str__(self) -> str:
        """Return the lever arm for a person."""
        return " ".join(f"{x:.2f}" for x in self.lever_arm)

    @property
    def found(self) -> bool:
        """Whether a lever arm that was not given is known much better than at the start."""
        worst = float(np.sqrt(np.diag(self.covariance)).max())
        return self.config.lever_arm is None and worst < 0.4 * max(self.config.start_std)

    @property
    def held(self) -> tuple[Array, Array]:
        """(3,) the lever arm by what its length usually is as well, and its (3, 3) covariance.

        Depth that is wrong everywhere makes an arm of the right direction and the wrong length.
        """
        config, arm, covariance = self.config, self.lever_arm, self.covariance
        length = float(np.linalg.norm(arm))
        if config.lever_arm is not None or length < 1e-3:
            return arm, covariance
        along = arm / length
        found = float(along @ covariance @ along) / length**2 + config.scale_std**2
        share = found / (found + config.length_std**2)
        factor = (config.length / length) ** share
        return factor * arm, factor**2 * covariance

    def prior(self, estimate: VelocityEstimate) -> VelocityPrior | None:
        """Return what the lever arm says about a frame's velocity, or None while it is not trusted.

        Args:
            estimate: of the frame, without this prior; its angular velocity says how far the
                uncertainty of the lever arm reaches.
        """
        if not self.trusted:
            return None
        rows = np.hstack([skew(self.held[0]), np.eye(3)])
        noise = self.constraint_noise(estimate.angular_velocity)
        return VelocityPrior(np.zeros(6), rows.T @ np.linalg.solve(noise, rows))

    def constraint_noise(self, omega: Array) -> Array:
        """Return the (3, 3) covariance of v - omega x r, (m/s)^2, at an angular velocity (3,)."""
        across = skew(omega)
        return np.asarray(across @ self.held[1] @ across.T + self._constraint_noise(omega))

    def update(self, estimate: VelocityEstimate, assumed: VelocityPrior) -> None:
        """Learn from a frame's velocity; its sign does not matter: v and omega change it together.

        Angular velocity, lever arm and constraint noise are solved for jointly, because the image
        separates sideways motion from a turn so badly that v alone would mislead.

        Args:
            estimate: solved without the prior of this filter.
            assumed: the prior that it holds instead; taken out, or its zero would draw the lever
                arm to zero as well.
        """
        if not estimate.valid:
            return
        self._predict(estimate.t)
        evidence = _Evidence.of(estimate, assumed)
        omega = estimate.angular_velocity
        # (omega, v) from (omega, change of the lever arm, constraint noise).
        of_unknowns = np.zeros((6, 9))
        of_unknowns[:3, :3] = of_unknowns[3:, 6:] = np.eye(3)
        of_unknowns[3:, :3], of_unknowns[3:, 3:6] = -skew(self.lever_arm), skew(omega)
        information = of_unknowns.T @ evidence.information @ of_unknowns
        information[:3, :3] += assumed.information[:3, :3]
        information[3:6, 3:6] += np.linalg.inv(self.covariance)
        information[6:, 6:] += np.linalg.inv(self._constraint_noise(omega))
        covariance = np.linalg.inv(information)
        information_vector = of_unknowns.T @ evidence.information_vector
        unknowns = covariance @ information_vector
        self._update_nis((evidence.squared - float(information_vector @ unknowns)) / 3)
        if self.config.lever_arm is None:
            self.lever_arm = self.lever_arm + unknowns[3:6]
            self.covariance = covariance[3:6, 3:6]
            self._bound()

    def _bound(self) -> None:
        """Forget a lever arm that is too long to be one, and with it the trust."""
        if np.linalg.norm(self.lever_arm) > self.config.longest:
            nis = max(self.nis, 2 * self.config.largest_nis)
            self._restart()
            self.nis = nis

    def _predict(self, t: float) -> None:
        elapsed = 0.0 if self._t is None else min(max(t - self._t, 0.0), 1.0)
        self._t = t
        if self.config.lever_arm is None:
            self.covariance = self.covariance + np.eye(3) * self.config.random_walk**2 * elapsed

    def _update_nis(self, squared: float) -> None:
        # One wild frame must not end the trust for long.
        limited = min(squared, 4 * self.config.largest_nis)
        self.nis += self.config.memory * (limited - self.nis)

    def _constraint_noise(self, omega: Array) -> Array:
        std2 = self.config.constraint_noise**2 + self.config.constraint_noise_per_rate**2 * float(
            omega @ omega
        )
        return np.eye(3) * std2


def skew(a: Array) -> Array:
    """Return the (3, 3) matrix of the cross product a x."""
    x, y, z = a
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
