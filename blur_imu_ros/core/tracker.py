"""What neighbouring frames add: measurements of single frames in, measurements with a sign out."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

from blur_imu_ros.core.direction import DirectionConfig, DirectionFilter, Sighting
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.pivot import PivotConfig, PivotFilter, PivotState
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.errors import BlurImuError, RecordingError


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
    """Takes single measurements in order of time and gives each back once its sign is decided."""

    def __init__(
        self,
        solver: VelocitySolver | None = None,
        direction: DirectionConfig | None = None,
        pivot: PivotConfig | None = None,
    ) -> None:
        """Start without a past.

        Args:
            solver: solves a frame's blur field again with the pivot prior; the one that measures.
            direction: how the sign is decided.
            pivot: how the camera is held, where it is in a hand.
        """
        self._solver = solver or VelocitySolver()
        self._direction = DirectionFilter(direction)
        self._pivot = None if pivot is None else PivotFilter(pivot)
        self._pivot_before = None if self._pivot is None else self._pivot.state
        self._waiting: deque[Measurement] = deque()
        self._taken = 0
        self._last: tuple[str, float] | None = None

    @property
    def pivot(self) -> PivotFilter | None:
        """What follows the lever arm; None without the pivot prior."""
        return self._pivot

    def push(self, single: Measurement) -> list[Measurement]:
        """Take the next frame, measured alone; return the measurements decided by it, oldest first."""
        measurement = self._about_pivot(single)
        self._taken += 1
        self._last = (measurement.frame.name, measurement.frame.t)
        self._waiting.append(measurement)
        return self._decide(self._direction.push(self._sight(measurement)))

    def flush(self) -> list[Measurement]:
        """Return the measurements that still wait, and forget the past but for the lever arm."""
        self._last = None
        return self._decide(self._direction.flush())

    def follow(self, singles: Iterable[Measurement]) -> Generator[Measurement, None, None]:
        """Yield one measurement for each of `singles`, in their order.

        Where they end in an error, what was measured before it comes first.
        """
        try:
            for single in singles:
                yield from self.push(single)
        except BlurImuError:
            yield from self.flush()
            raise
        yield from self.flush()

    @property
    def state(self) -> TrackerState | None:
        """What `resume` takes; None where there is no past."""
        if self._last is None:
            return None
        decided = self._taken - len(self._waiting)
        posterior = self._direction.posterior
        return TrackerState(self._taken, decided, self._last, posterior, self._pivot_before)

    def resume(self, last: Measurement, state: TrackerState) -> None:
        """Go on where another tracker was; RecordingError if `last` is not the frame that it took."""
        frame, (name, t) = last.frame, state.last
        if (frame.name, frame.t) != (name, t):
            raise RecordingError(
                f"{frame.name} at {frame.t:.6f} s: when the run was stopped, frame {state.taken} was "
                f"{name} at {t:.6f} s; the recording has changed, so measure it anew"
            )
        if self._pivot is not None and state.pivot is not None:
            self._pivot.resume(state.pivot)
        measurement = self._about_pivot(last)
        self._direction.resume(self._sight(measurement), state.posterior)
        self._taken, self._last = state.taken, state.last
        if state.decided < state.taken:
            self._waiting.append(measurement)

    def _about_pivot(self, single: Measurement) -> Measurement:
        """Return the measurement with what the frames before told of the lever arm."""
        pivot = self._pivot
        if pivot is None:
            return single
        self._pivot_before = pivot.state
        prior = pivot.prior(single.estimate)
        pivot.update(single.estimate, self._solver.weak_prior)
        if prior is None or single.field is None or not single.estimate.valid:
            return single
        frame = single.frame
        held = self._solver.solve(single.field, frame.exposure_time, frame.t, prior)
        return replace(single, estimate=held)

    def _sight(self, measurement: Measurement) -> Sighting | None:
        view, field, estimate = measurement.view, measurement.field, measurement.estimate
        if view is None or field is None or not estimate.valid:
            return None
        return self._direction.sight(view, field, estimate)

    def _decide(self, probabilities: list[float]) -> list[Measurement]:
        return [self._waiting.popleft().directed(probability) for probability in probabilities]
