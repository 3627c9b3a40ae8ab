"""The whole method: one blurred image in, one velocity out."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionConfig, DirectionFilter, Sighting
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.core.pivot import PivotConfig, PivotFilter, PivotState
from blur_imu_ros.core.velocity import VelocityPrior, VelocitySolver
from blur_imu_ros.errors import BlurImuError, CameraError, FrameError, RecordingError
from blur_imu_ros.execution.parallel import in_order


class Network(Protocol):
    """Reads the blur of an image: `blur_network.BlurNetwork`, or anything that does the same."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the image it takes, pixels."""

    def predict(self, image: Image, camera: Camera) -> BlurField:
        """Return the blur field of a BGR image (height, width, 3) seen by `camera`."""


@dataclass(frozen=True)
class Measurement:
    """A velocity, and what it was measured from.

    Attributes:
        frame: the image as the camera gave it.
        estimate: the velocity at its mid-exposure.
        view: (height, width, 3) BGR, what the network saw; None where the frame was unusable.
        field: what the network read; None where the frame was unusable.
    """

    frame: Frame
    estimate: VelocityEstimate
    view: Image | None = None
    field: BlurField | None = None

    def directed(self, probability: float) -> Measurement:
        """Return the likelier of the two motions, given the probability that this is the one."""
        estimate = replace(self.estimate, direction_probability=probability)
        return replace(self, estimate=estimate.reversed() if probability < 0.5 else estimate)


class VisualImu:
    """Measures the velocity of a camera from its blurred images."""

    def __init__(
        self,
        network: Network,
        solver: VelocitySolver | None = None,
        direction: DirectionConfig | None = None,
        pivot: PivotConfig | None = None,
        linear_scale: float = 1.0,
    ) -> None:
        """Measure with `network`; the solver and the choice of direction have good defaults.

        `pivot` is for cameras held in a hand or fixed to something that turns: their linear velocity
        follows from the turn. Without it nothing is assumed. `linear_scale` is how much farther away
        things are than the network takes them to be, and so how much faster the camera is.
        """
        self.network = network
        self.solver = solver or VelocitySolver()
        self.direction = direction or DirectionConfig()
        self.pivot = pivot
        self.linear_scale = linear_scale

    def measure(self, frame: Frame, prior: VelocityPrior | None = None) -> Measurement:
        """Return the velocity from one image alone; its sign is open.

        A camera or image that cannot be used gives an estimate that is not valid and says why.
        """
        try:
            view = _network_view(frame.camera, *self.network.input_size)
            image = _as_colour(view.apply(frame.image))
            field = self.network.predict(image, view.camera)
            field = replace(field, inverse_depth=field.inverse_depth / self.linear_scale)
        except (CameraError, FrameError) as error:
            return Measurement(
                frame, self.solver.unsolved(frame.exposure_time, frame.t, str(error))
            )
        estimate = self.solver.solve(field, frame.exposure_time, frame.t, prior)
        return Measurement(frame, estimate, image, field)

    def _reading(self, frame: Frame) -> tuple[VelocityEstimate, Image | None, BlurField | None]:
        """Return a measurement without the frame, which is where it came from."""
        measurement = self.measure(frame)
        return measurement.estimate, measurement.view, measurement.field

    def solved_again(self, measurement: Measurement, prior: VelocityPrior) -> Measurement:
        """Return the measurement of the same blur field with a prior, its sign open again."""
        frame, field = measurement.frame, measurement.field
        assert field is not None
        return replace(
            measurement, estimate=self.solver.solve(field, frame.exposure_time, frame.t, prior)
        )

    def track(
        self, frames: Iterable[Frame], tracker: Tracker | None = None, jobs: int = 1
    ) -> Generator[Measurement, None, None]:
        """Yield one measurement a frame, in input order, with its direction decided.

        Where `frames` end in an error, what was measured before it comes first.

        Args:
            frames: in order of time.
            tracker: with a past, where `frames` go on; without, they begin.
            jobs: processes that read and solve frames; the results are the same for any number.
        """
        tracker = tracker or Tracker(self)
        try:
            for frame, (estimate, view, field) in in_order(self._reading, frames, jobs):
                yield from tracker.take(Measurement(frame, estimate, view, field))
        except BlurImuError:
            yield from tracker.flush()
            raise
        yield from tracker.flush()


@dataclass(frozen=True)
class TrackerState:
    """Where a tracker is; with the frame that it took last, enough to go on exactly.

    Attributes:
        taken, decided: how many frames it took, and how many measurements it gave back.
        last: name and time (s) of the frame that it took last.
        posterior: of the direction filter, after that frame.
        pivot: of the pivot filter, before that frame; None without one.
    """

    taken: int
    decided: int
    last: tuple[str, float]
    posterior: tuple[float, float]
    pivot: PivotState | None


class Tracker:
    """Takes frames one by one and gives measurements back as soon as their direction is decided."""

    def __init__(self, imu: VisualImu) -> None:
        """Start without a past; `imu` may serve several trackers."""
        self._imu = imu
        self._filter = DirectionFilter(imu.direction)
        self._pivot = None if imu.pivot is None else PivotFilter(imu.pivot)
        self._pivot_before = None if self._pivot is None else self._pivot.state
        self._waiting: deque[Measurement] = deque()
        self._taken = 0
        self._last: tuple[str, float] | None = None

    @property
    def pivot(self) -> PivotFilter | None:
        """What follows the lever arm; None without the pivot prior."""
        return self._pivot

    def push(self, frame: Frame, prior: VelocityPrior | None = None) -> list[Measurement]:
        """Measure `frame` and return the measurements decided by it, oldest first."""
        measurement = self._imu.measure(frame, prior)
        return self.take(measurement) if prior is None else self._follow(measurement)

    def take(self, free: Measurement) -> list[Measurement]:
        """Take a frame that was measured on its own; return the measurements decided by it."""
        return self._follow(self._about_pivot(free))

    def flush(self) -> list[Measurement]:
        """Return the measurements that still wait, and forget the past."""
        self._last = None
        return self._decide(self._filter.flush())

    @property
    def state(self) -> TrackerState | None:
        """What `resume` takes; None where there is no past."""
        if self._last is None:
            return None
        decided = self._taken - len(self._waiting)
        posterior = self._filter.posterior
        return TrackerState(self._taken, decided, self._last, posterior, self._pivot_before)

    def resume(self, last: Frame, state: TrackerState) -> None:
        """Go on where another tracker was; RecordingError if `last` is not the frame that it took."""
        name, t = state.last
        if (last.name, last.t) != (name, t):
            raise RecordingError(
                f"{last.name} at {last.t:.6f} s: when the run was stopped, frame {state.taken} was "
                f"{name} at {t:.6f} s; the recording has changed, so measure it anew"
            )
        if self._pivot is not None and state.pivot is not None:
            self._pivot.resume(state.pivot)
        measurement = self._about_pivot(self._imu.measure(last))
        self._filter.resume(self._sight(measurement), state.posterior)
        self._taken, self._last = state.taken, state.last
        if state.decided < state.taken:
            self._waiting.append(measurement)

    def _follow(self, measurement: Measurement) -> list[Measurement]:
        self._taken += 1
        self._last = (measurement.frame.name, measurement.frame.t)
        self._waiting.append(measurement)
        return self._decide(self._filter.push(self._sight(measurement)))

    def _about_pivot(self, free: Measurement) -> Measurement:
        """Return the measurement with what the frames before told of the lever arm."""
        pivot = self._pivot
        if pivot is None:
            return free
        self._pivot_before = pivot.state
        prior = pivot.prior(free.estimate)
        pivot.update(free.estimate, self._imu.solver.weak_prior)
        if prior is None or not free.estimate.valid:
            return free
        return self._imu.solved_again(free, prior)

    def _sight(self, measurement: Measurement) -> Sighting | None:
        view, field, estimate = measurement.view, measurement.field, measurement.estimate
        if view is None or field is None or not estimate.valid:
            return None
        return self._filter.sight(view, field, estimate)

    def _decide(self, probabilities: list[float]) -> list[Measurement]:
        return [self._waiting.popleft().directed(probability) for probability in probabilities]


@lru_cache(maxsize=8)
def _network_view(camera: Camera, width: int, height: int) -> NetworkView:
    return NetworkView(camera, width, height)


def _as_colour(image: Image) -> Image:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
