"""Many frames: angular and linear velocity from the blur of each and the registration of each pair.

Blur tells the velocity at the middle of an exposure, registration its mean between two of them. The
state is (omega, v) and its acceleration, an Ornstein-Uhlenbeck process (Singer 1970); the pose since
the frame before is carried along, so that a mean is an exact linear measurement. With a lever arm r
the process is that of (omega, u), v = omega x r + u: what is left of v is the slip of the pivot.

Two things differ from camera to camera by far more than any constant could cover: how hard the camera
is shaken, and how wrong its blur is read. Both are judged by pairs alone, on each axis: the standard
deviation of acceleration by how well each of a few predicts the next pair, and the scale of blur's
covariance by how well its reading fits the pairs before and behind it. Neither can deceive itself:
blur has no part in the state that judges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.pivot import skew
from blur_imu_ros.core.registration import Registration
from blur_imu_ros.core.velocity import VelocityPrior

_NODES, _WEIGHTS = (a / 2 for a in np.polynomial.legendre.leggauss(6))
_SLOWEST = 1e-3
"""1/s: the decay of a velocity that has none; keeps the closed forms away from 0/0."""
_POSE, _VELOCITY, _ACCELERATION = slice(0, 6), slice(6, 12), slice(12, 18)
_LASTING = slice(6, 18)
"""What is kept from frame to frame: the pose begins anew at each."""


@dataclass(frozen=True, kw_only=True)
class MotionFilterConfig:
    """How neighbouring frames are fused.

    Attributes:
        accelerations: standard deviations of angular acceleration among which each axis chooses,
            rad/s^2: from a robot that rolls to a hand that jerks.
        acceleration_time: correlation time of acceleration, seconds.
        lever: linear acceleration for each rad/s^2 of angular acceleration, metres: without a
            lever arm, what turns also moves.
        linear_acceleration: of a camera that does not turn, m/s^2.
        constraint_noise_time: correlation time of the velocity of the pivot, seconds.
        memory: share of the evidence for an acceleration, or for a scale of blur's covariance, that
            is still there one frame later.
        blur_scales: by what blur's covariance may have to be multiplied.
        lasting: frames for which errors of depth stay alike; by that the covariance of a linear
            velocity is multiplied in the end, because these errors are not averaged away.
        angular_std, linear_std: of the velocity before anything is known, rad/s and m/s.
        short_px: error of short blur, pixels of the network's view: it is read as none.
        short_until_px: length of blur at which that error has fallen to half.
        degrees: of freedom of the Student-t distribution of innovations.
    """

    accelerations: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    acceleration_time: float = 0.1
    lever: float = 0.3
    linear_acceleration: float = 2.0
    constraint_noise_time: float = 0.03
    memory: float = 0.9
    blur_scales: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0)
    lasting: float = 5.0
    angular_std: float = 10.0
    linear_std: float = 4.0
    short_px: float = 1.5
    short_until_px: float = 2.0
    degrees: float = 5.0


@dataclass(frozen=True)
class Gaussian:
    """A mean and a covariance."""

    mean: Array
    covariance: Array

    def observed(self, rows: slice, value: Array, covariance: Array, degrees: float) -> Gaussian:
        """Return the posterior of an observation of some entries, its outliers held back.

        Args:
            rows: the entries that are observed.
            value, covariance: of the observation.
            degrees: of freedom of the Student-t distribution of the three angular innovations.
        """
        innovation = value - self.mean[rows]
        across, within = self.covariance[:, rows], self.covariance[rows, rows]
        angular = innovation[:3]
        nis = float(angular @ np.linalg.solve((within + covariance)[:3, :3], angular))
        heavier = max(1.0, (degrees + nis) / (degrees + 3))
        gain = np.linalg.solve(within + heavier * covariance, across.T).T
        return Gaussian(
            self.mean + gain @ innovation, _symmetric(self.covariance - gain @ across.T)
        )

    def part(self, rows: slice) -> Gaussian:
        """Return the marginal of some entries."""
        return Gaussian(self.mean[rows], self.covariance[rows, rows])


@dataclass(frozen=True)
class BlurReading:
    """What the blur of one frame tells of its velocity, all that was assumed taken out again.

    Attributes:
        velocity: (6,) rad/s and m/s.
        covariance: (6, 6); very wide where blur tells nothing.
    """

    velocity: Array
    covariance: Array

    @classmethod
    def of(
        cls,
        estimate: VelocityEstimate,
        assumed: VelocityPrior,
        focal: float,
        inverse_depth: float,
        config: MotionFilterConfig,
    ) -> BlurReading:
        """Return the reading behind an estimate.

        What all frames share is left out: it would be taken for chance, and averaged away.

        Args:
            estimate: of the frame alone.
            assumed: the weak prior that it holds.
            focal: length of the network's view, pixels.
            inverse_depth: a usual one of the view, 1/m.
            config: tells how wrong short blur is.
        """
        total = np.linalg.inv(estimate.covariance - estimate.shared_covariance)
        size = np.sqrt(np.diag(assumed.information))
        values, vectors = np.linalg.eigh(
            (total - assumed.information) / np.outer(size, size)
        )  # in units of the prior's standard deviations
        axes = vectors.T / size
        covariance = (axes.T / np.maximum(values, 1e-2)) @ axes
        velocity = covariance @ (total @ estimate.velocity)
        short = config.short_px / (1 + (estimate.blur_px / config.short_until_px) ** 2)
        angular = short / (focal * estimate.exposure_time)
        linear = angular / max(inverse_depth, 1e-2)
        covariance = covariance + np.diag([angular**2] * 3 + [linear**2] * 3)
        return cls(velocity, _symmetric(covariance))

    def signed(self, probability: float) -> BlurReading:
        """Return the mean of both signs, and the covariance of that mixture.

        Args:
            probability: that the sign of this reading is right.
        """
        lean = 2 * probability - 1
        doubt = (1 - lean**2) * np.outer(self.velocity, self.velocity)
        return BlurReading(lean * self.velocity, self.covariance + doubt)


@dataclass(frozen=True)
class Hold:
    """How the camera is held, for one step.

    Attributes:
        lever_arm: (3,) metres, from the pivot to the camera.
        slip: (3, 3) covariance of v - omega x r, (m/s)^2.
    """

    lever_arm: Array
    slip: Array


@dataclass(frozen=True)
class MotionFilterState:
    """What a `MotionFilter` has learnt, as plain numbers; see its attributes."""

    mean: list[float]
    covariance: list[list[float]]
    judge_mean: list[list[float]]
    judge_covariance: list[list[list[float]]]
    accelerations: list[list[float]]
    blur_scales: list[list[float]]


@dataclass
class _Judge:
    """What pairs alone tell of each axis: how hard it is shaken, and how wrong blur is.

    Attributes:
        mean: (3, 2) angular velocity and acceleration of each axis.
        covariance: (3, 2, 2) of these.
        accelerations: (3, k) log-weight of each acceleration of the configuration.
        blur_scales: (3, l) log-weight of each scale of the configuration.
    """

    config: MotionFilterConfig
    mean: Array = field(init=False)
    covariance: Array = field(init=False)
    accelerations: Array = field(init=False)
    blur_scales: Array = field(init=False)

    def __post_init__(self) -> None:
        self.accelerations = np.zeros((3, len(self.config.accelerations)))
        self.blur_scales = np.zeros((3, len(self.config.blur_scales)))
        self.restart()

    def restart(self) -> None:
        """Forget the velocity, not what was learnt of camera and blur."""
        self.mean = np.zeros((3, 2))
        self.covariance = np.zeros((3, 2, 2))
        self.covariance[:, 0, 0] = self.config.angular_std**2
        self.covariance[:, 1, 1] = self.variances

    @property
    def variances(self) -> Array:
        """(3,) of the angular acceleration of each axis, (rad/s^2)^2."""
        return np.asarray(_shares(self.accelerations) @ np.square(self.config.accelerations))

    @property
    def scales(self) -> Array:
        """(3,) by what the variance of blur is to be multiplied on each axis."""
        return np.asarray(1 / (_shares(self.blur_scales) @ (1 / np.array(self.config.blur_scales))))

    def pair(self, registration: Registration, dt: float) -> tuple[Array, Array]:
        """Take the pair that ends at this frame; return (3,) mean and variance of omega before it."""
        transition, noise = _axis(dt, _SLOWEST, 1 / self.config.acceleration_time)
        rows = transition[:, 1:]
        predicted = self.mean @ rows.T
        settled = rows @ self.covariance @ rows.T
        innovation = registration.velocity[:3] * dt - predicted[:, 0]
        own = np.diag(registration.covariance)[:3] * dt**2
        shaken = np.square(self.config.accelerations) * noise[0, 0]
        expected = (settled[:, 0, 0] + own)[:, None] + shaken
        self.accelerations = self._weighed(self.accelerations, innovation, expected)
        spread = settled + self.variances[:, None, None] * noise
        total = spread[:, 0, 0] + own
        before = (self.covariance @ rows[0]) / total[:, None]
        mean = self.mean[:, 0] + before[:, 0] * innovation
        variance = self.covariance[:, 0, 0] - before[:, 0] ** 2 * total
        gain = spread[:, :, 0] / total[:, None]
        self.mean = (predicted + gain * innovation[:, None])[:, 1:]
        self.covariance = (spread - gain[:, :, None] * spread[:, None, 0, :])[:, 1:, 1:]
        return mean, variance

    def blur(self, reading: BlurReading, mean: Array, variance: Array) -> None:
        """Take the blur of a frame whose angular velocity the pairs around it tell, (3,) each."""
        own = np.diag(reading.covariance)[:3, None] * np.array(self.config.blur_scales)
        innovation = reading.velocity[:3] - mean
        self.blur_scales = self._weighed(self.blur_scales, innovation, variance[:, None] + own)

    def _weighed(self, weights: Array, innovation: Array, variance: Array) -> Array:
        """Return log-weights (3, k) after one more innovation (3,), by its variances (3, k)."""
        likelihood = -0.5 * (np.log(variance) + innovation[:, None] ** 2 / variance)
        weights = self.config.memory * weights + likelihood
        return np.asarray(weights - weights.max(axis=1, keepdims=True))


@dataclass(frozen=True)
class _Step:
    """A step from one frame to the next, as smoothing needs it.

    Attributes:
        before: (18,) of the frame before, its blur included.
        predicted: (18,) of the next frame, before anything was measured of it.
        transition: (18, 12) from one to the other, in which the pose begins anew.
    """

    before: Gaussian
    predicted: Gaussian
    transition: Array

    def back(self, after: Gaussian) -> Gaussian:
        """Return (18,) the frame before, by all that is known of the next (Rauch-Tung-Striebel)."""
        spread = self.transition @ self.before.covariance[_LASTING]
        gain = _solved(self.predicted.covariance, spread).T
        mean = self.before.mean + gain @ (after.mean - self.predicted.mean)
        change = after.covariance - self.predicted.covariance
        return Gaussian(mean, _symmetric(self.before.covariance + gain @ change @ gain.T))


class MotionFilter:
    """Fuses frames in order of time; each is linked to the one before by a registration."""

    def __init__(self, config: MotionFilterConfig | None = None) -> None:
        """Use `config`, or the defaults."""
        self.config = config or MotionFilterConfig()
        self._judge = _Judge(self.config)
        self._head = self._unknown(None)

    def _unknown(self, hold: Hold | None) -> Gaussian:
        """Return what is known of a frame before anything is measured, (18,)."""
        config = self.config
        covariance = np.zeros((18, 18))
        turning = np.diag([config.angular_std**2] * 3)
        sliding = np.eye(3) * config.linear_std**2 if hold is None else hold.slip
        covariance[_VELOCITY, _VELOCITY] = _tied(hold, turning, sliding)
        shaken, pushed = self._accelerations(hold)
        covariance[_ACCELERATION, _ACCELERATION] = _tied(hold, shaken, pushed)
        return Gaussian(np.zeros(18), covariance)

    def restart(self, hold: Hold | None = None) -> None:
        """Begin at a frame that nothing links to those before."""
        self._judge.restart()
        self._head = self._unknown(hold)

    def push(
        self,
        pair: Registration,
        before: BlurReading | None,
        now: BlurReading | None,
        hold: Hold | None = None,
        jitter: float = 0.0,
    ) -> Fused:
        """Take the next frame.

        Args:
            pair: links it to the frame that was taken before it, or began.
            before: blur of that frame, its sign by both its neighbours.
            now: blur of the next frame, its sign by the past.
            hold: how the camera is held.
            jitter: standard deviation of the frames' time stamps, seconds.
        """
        dt = pair.t1 - pair.t0
        pair = _jittered(pair, jitter)
        pair = self.resolved(pair, before)
        mean, variance = self._judge.pair(pair, dt)
        if before is not None:
            self._judge.blur(before, mean, variance)
        start = self._read(self._head, before)
        predicted, transition = self._predicted(start, dt, hold)
        own = (pair.covariance - pair.shared_covariance) * dt**2
        self._head = predicted.observed(_POSE, pair.velocity * dt, own, self.config.degrees)
        step = _Step(start, predicted, transition)
        return Fused(step, self._read(self._head, now), jitter, self.config.lasting)

    def _predicted(self, start: Gaussian, dt: float, hold: Hold | None) -> tuple[Gaussian, Array]:
        """Return (18,) the frame `dt` seconds behind `start`, and the transition (18, 12) to it."""
        transition, noise = self._dynamics(dt, hold)
        lasting = start.part(_LASTING)
        spread = transition @ lasting.covariance @ transition.T + noise
        return Gaussian(transition @ lasting.mean, _symmetric(spread)), transition

    def resolved(self, pair: Registration, before: BlurReading | None) -> Registration:
        """Return the next pair with the doubt that what is known leaves of it.

        Args:
            pair: links the next frame to the one that was taken last.
            before: blur of that frame.
        """
        if pair.ambiguity < 1e-3:
            return pair
        dt, sure = pair.t1 - pair.t0, pair.resolved(0.0)
        start = self._read(self._head, before)
        predicted = self._predicted(start, dt, None)[0].part(_POSE)
        innovation = pair.velocity[:3] - predicted.mean[:3] / dt
        expected = predicted.covariance[:3, :3] / dt**2
        right = (1 - pair.ambiguity) * _density(innovation, expected + sure.covariance[:3, :3])
        wrong = pair.ambiguity * _density(
            innovation, expected + pair.resolved(1.0).covariance[:3, :3]
        )
        return pair.resolved(wrong / (right + wrong))

    def current(self, now: BlurReading | None, jitter: float = 0.0) -> Gaussian:
        """Return (6,) the velocity of the frame taken last, with its blur."""
        return _velocity(self._read(self._head, now), jitter, self.config.lasting)

    def _read(self, state: Gaussian, reading: BlurReading | None) -> Gaussian:
        if reading is None:
            return state
        scales = self._judge.scales
        std = np.sqrt(np.append(scales, [np.exp(np.log(scales).mean())] * 3))
        own = reading.covariance * np.outer(std, std)
        return state.observed(_VELOCITY, reading.velocity, own, self.config.degrees)

    def _dynamics(self, dt: float, hold: Hold | None) -> tuple[Array, Array]:
        """Return the transition (18, 12) and the noise (18, 18) of a step."""
        config, decay = self.config, 1 / self.config.acceleration_time
        angular, angular_noise = _axis(dt, _SLOWEST, decay)
        slowing = _SLOWEST if hold is None else 1 / config.constraint_noise_time
        linear, linear_noise = _axis(dt, slowing, decay)
        shaken, pushed = self._accelerations(hold)
        nothing, held = np.zeros((3, 3)), _held(hold)
        released = 2 * np.eye(6) - held  # the inverse of `held`
        turning = held[:, :3] @ released[:3]
        sliding = held[:, 3:] @ released[3:]
        transition = _kron(angular, turning) + _kron(linear, sliding)
        noise = _kron(angular_noise, _tied(hold, shaken, nothing))
        return transition[:, 6:], noise + _kron(linear_noise, _tied(hold, nothing, pushed))

    def _accelerations(self, hold: Hold | None) -> tuple[Array, Array]:
        """Return covariances (3, 3) of the angular acceleration and of the linear one beside it."""
        config, variances = self.config, self._judge.variances
        if hold is None:
            along = config.lever**2 * variances.mean() + config.linear_acceleration**2
            return np.diag(variances), np.eye(3) * along
        slowing = 1 / config.constraint_noise_time
        # What makes the slip's stationary variance.
        return np.diag(variances), hold.slip * slowing * (slowing + 1 / config.acceleration_time)

    @property
    def state(self) -> MotionFilterState:
        """What `resume` takes."""
        judge = self._judge
        parts = (
            *(self._head.mean, self._head.covariance, judge.mean, judge.covariance),
            *(judge.accelerations, judge.blur_scales),
        )
        return MotionFilterState(*(part.tolist() for part in parts))

    def resume(self, state: MotionFilterState) -> None:
        """Go on from what another filter of this configuration had learnt."""
        judge = self._judge
        self._head = Gaussian(np.array(state.mean), np.array(state.covariance))
        judge.mean, judge.covariance = np.array(state.judge_mean), np.array(state.judge_covariance)
        judge.accelerations = np.array(state.accelerations)
        judge.blur_scales = np.array(state.blur_scales)


@dataclass(frozen=True)
class Fused:
    """What one more frame tells.

    Attributes:
        step: from the frame before.
        current: (18,) of the frame, by the past and its own blur.
        jitter: standard deviation of the frames' time stamps, seconds.
        lasting: see the configuration.
    """

    step: _Step
    current: Gaussian
    jitter: float
    lasting: float

    @property
    def now(self) -> Gaussian:
        """(6,) velocity of the frame."""
        return self._velocity(self.current)

    @property
    def before(self) -> Gaussian:
        """(6,) velocity of the frame before it, by one frame of its future too."""
        return self._velocity(self.step.back(self.current))

    def _velocity(self, state: Gaussian) -> Gaussian:
        return _velocity(state, self.jitter, self.lasting)


def smoothed(chain: Sequence[Fused]) -> list[Gaussian]:
    """Return (6,) velocities of linked frames by all of them: one more than there are links."""
    state = chain[-1].current
    velocities = [chain[-1].now]
    for fused in reversed(chain):
        state = fused.step.back(state)
        velocities.append(_velocity(state, fused.jitter, fused.lasting))
    return velocities[::-1]


def _velocity(state: Gaussian, jitter: float, lasting: float) -> Gaussian:
    """Return (6,) the velocity of a state (18,), with what no filter sees in its covariance.

    Args:
        state: of a frame.
        jitter: standard deviation of its time stamp, seconds.
        lasting: frames for which errors of depth stay alike.
    """
    velocity, change = state.part(_VELOCITY), state.part(_ACCELERATION)
    std = np.sqrt([1.0] * 3 + [lasting] * 3)
    moved = change.covariance + np.outer(change.mean, change.mean)
    covariance = velocity.covariance * np.outer(std, std) + jitter**2 * moved
    return Gaussian(velocity.mean, covariance)


def _jittered(pair: Registration, jitter: float) -> Registration:
    """Return a pair with what wrong stamps of both frames do to its velocity."""
    if jitter == 0:
        return pair
    share2 = 2 * (jitter / (pair.t1 - pair.t0)) ** 2
    wrong = share2 * np.outer(pair.velocity, pair.velocity)
    return replace(pair, covariance=pair.covariance + wrong)


def _held(hold: Hold | None) -> Array:
    """Return the matrix (6, 6) that makes (omega, v) of (omega, u), v = omega x r + u."""
    held = np.eye(6)
    if hold is not None:
        held[3:, :3] = -skew(hold.lever_arm)
    return held


def _tied(hold: Hold | None, angular: Array, linear: Array) -> Array:
    """Return the covariance (6, 6) of (omega, v) from those of omega and u, (3, 3) each."""
    held = _held(hold)
    return np.asarray(held[:, :3] @ angular @ held[:, :3].T + held[:, 3:] @ linear @ held[:, 3:].T)


def _density(innovation: Array, covariance: Array) -> float:
    """Return that of a Gaussian, up to a constant; never zero."""
    nis = float(innovation @ np.linalg.solve(covariance, innovation))
    return float(np.exp(-min(nis, 600.0) / 2) / np.sqrt(np.linalg.det(covariance)))


def _axis(dt: float, slowing: float, decay: float) -> tuple[Array, Array]:
    """Return transition and noise, (3, 3), of pose, velocity and acceleration of one axis.

    Args:
        dt: seconds.
        slowing, decay: of velocity and of acceleration, 1/s.

    The noise is that of an acceleration of variance 1.
    """
    response = _response(dt * (_NODES + 0.5), slowing, decay)[:, :, 2]
    noise = 2 * decay * dt * (response.T * _WEIGHTS) @ response
    return _response(np.array([dt]), slowing, decay)[0], noise


def _response(s: Array, slowing: float, decay: float) -> Array:
    """(n, 3, 3) transitions of one axis over times s (n,)."""
    if abs(decay - slowing) < 1e-3 * decay:  # The closed forms are 0/0 there.
        slowing = 0.999 * decay
    slow, fast = np.exp(-slowing * s), np.exp(-decay * s)
    out = np.zeros((len(s), 3, 3))
    out[:, 0, 0], out[:, 1, 1], out[:, 2, 2] = 1, slow, fast
    out[:, 0, 1] = (1 - slow) / slowing
    out[:, 1, 2] = (slow - fast) / (decay - slowing)
    out[:, 0, 2] = (out[:, 0, 1] - (1 - fast) / decay) / (decay - slowing)
    return out


def _kron(a: Array, b: Array) -> Array:
    """Return the Kronecker product of two small matrices; much faster than numpy's."""
    product = a[:, None, :, None] * b[None, :, None, :]
    return product.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])


def _shares(log_weights: Array) -> Array:
    """(n, k) weights that sum to 1 on each of n rows."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _symmetric(matrix: Array) -> Array:
    return np.asarray((matrix + matrix.T) / 2)


def _solved(covariance: Array, right: Array) -> Array:
    """Return covariance^-1 right; its entries are of very different sizes."""
    size = 1 / np.sqrt(np.diag(covariance))
    scaled = covariance * np.outer(size, size) + 1e-12 * np.eye(len(size))
    return np.asarray(np.linalg.solve(scaled, right * size[:, None]) * size[:, None])
