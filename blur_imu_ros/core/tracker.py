"""What neighbouring frames add: measurements of single frames in, fused and with a sign out."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

from blur_imu_ros.choices import Direction
from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.autocorrelation import AutocorrelationConfig, fused
from blur_imu_ros.core.direction import DirectionConfig, DirectionFilter, Observation
from blur_imu_ros.core.links import Links, LinksState, Node
from blur_imu_ros.core.look import look_of, looks_alike
from blur_imu_ros.core.measurement import Measurement, measured
from blur_imu_ros.core.motion_process import MotionFilterConfig
from blur_imu_ros.core.motion_step import Hold
from blur_imu_ros.core.pivot import PivotConfig, PivotFilter, PivotState
from blur_imu_ros.core.registration import RegistrationConfig
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.errors import RecordingError


@dataclass(frozen=True)
class TrackerState:
    """Where a tracker is; with the frame that it took last, enough to go on exactly.

    Attributes:
        taken, decided: how many frames it took, and how many measurements it gave back.
        last: name and time (s) of the frame that it took last.
        posterior: of the direction filter, after that frame.
        pivot: of the pivot filter, before that frame; None without one.
        links: of registration and motion filter, after that frame; None without them.
        look: some pixels of that frame's view; empty where they are not known.
    """

    taken: int
    decided: int
    last: tuple[str, float]
    posterior: tuple[float, float]
    pivot: PivotState | None
    links: LinksState | None = None
    look: tuple[int, ...] = ()


class Tracker:
    """Takes measurements of single frames in order of time, and returns them once final."""

    def __init__(
        self,
        solver: VelocitySolver | None = None,
        direction: DirectionConfig | None = None,
        pivot: PivotConfig | None = None,
        registration: RegistrationConfig | None = None,
        motion: MotionFilterConfig | None = None,
        autocorrelation: AutocorrelationConfig | None = None,
    ) -> None:
        """Start without a past.

        Args:
            solver: solves a frame's blur field again with the pivot prior; the one that measures.
            direction: how the sign is decided.
            pivot: how the camera is held, where it is in a hand.
            registration: how neighbours are registered; None leaves each frame's velocity its own.
            motion: how registration and blur are fused.
            autocorrelation: how the motion of a whole image is found, where a part of it turns out
                to show the camera itself; as it was measured.
        """
        self._autocorrelation = autocorrelation
        self._solver = solver or VelocitySolver()
        self._direction = DirectionFilter(direction)
        self._pivot = None if pivot is None else PivotFilter(pivot)
        self._pivot_before = None if self._pivot is None else self._pivot.state
        mode = self._direction.config.mode
        self._lag = mode in (Direction.ADJACENT, Direction.SMOOTH)
        self._links: Links | None = None
        if registration is not None and mode is not Direction.NONE:
            self._links = Links(
                registration,
                motion or MotionFilterConfig(),
                self._solver.weak_prior,
                lag=self._lag,
                smooth=mode is Direction.SMOOTH,
            )
        self._waiting: deque[Node] = deque()
        self._observed: Node | None = None
        self._taken = 0
        self._last: tuple[str, float] | None = None
        self._last_view: Image | None = None

    @property
    def pivot(self) -> PivotFilter | None:
        """What follows the lever arm; None without the pivot prior."""
        return self._pivot

    def push(self, single: Measurement) -> list[Measurement]:
        """Take the next frame, measured alone; return the measurements that become final, oldest
        first."""
        node = self._node(single)
        self._taken += 1
        self._last, self._last_view = (single.frame.name, single.frame.t), single.view
        self._waiting.append(node)
        first = None if self._links is None else self._links.link(node)
        if first is None:
            self._decide(node)
        if self._links is not None:
            self._links.fuse(node, first, self._hold(node))
        if first is not None:
            self._follow(node)
        return self._release()

    def flush(self) -> list[Measurement]:
        """Return the remaining measurements, and reset everything but the lever arm."""
        self._last = self._observed = None
        self._direction.flush()
        settled = self._release(everything=True)
        if self._links is not None:
            self._links.forget()
        return settled

    def follow(self, singles: Iterable[Measurement]) -> Generator[Measurement, None, None]:
        """Yield one measurement for each of `singles`, in their order.

        Where they end in an error, what was measured before it comes first.
        """
        try:
            for single in singles:
                yield from self.push(single)
        except Exception:  # Of a driver or a reader of the caller's, too.
            yield from self.flush()
            raise
        yield from self.flush()

    @property
    def state(self) -> TrackerState | None:
        """What `resume` takes; None where there is no past, or more of it than one frame holds."""
        links = None if self._links is None else self._links.state
        if self._last is None or (links is None) != (self._links is None):
            return None
        decided = self._taken - len(self._waiting)
        return TrackerState(
            self._taken,
            decided,
            self._last,
            self._direction.posterior,
            self._pivot_before,
            links,
            look_of(self._last_view),
        )

    def resume(self, last: Measurement, state: TrackerState) -> None:
        """Go on where another tracker was; RecordingError if `last` is not the frame that it
        took."""
        frame, (name, t) = last.frame, state.last
        if (frame.name, frame.t) != (name, t):
            raise RecordingError(
                f"{frame.name} at {frame.t:.6f} s: when the run was stopped, frame {state.taken} "
                f"was {name} at {t:.6f} s; the recording has changed, so start anew"
            )
        if not looks_alike(look_of(last.view), state.look):
            raise RecordingError(
                f"{frame.name}: is another image than when the run was stopped; the recording has "
                "changed, so start anew"
            )
        if self._pivot is not None and state.pivot is not None:
            self._pivot.resume(state.pivot)
        node = self._node(last)
        observation = self._observe(node.measurement)
        self._direction.resume(observation, state.posterior)
        if observation is not None:
            self._observed, node.probability = node, state.posterior[0]
        if self._links is not None and state.links is not None:
            self._links.resume(node, state.links)
        self._taken, self._last, self._last_view = state.taken, state.last, last.view
        if state.decided < state.taken:
            self._waiting.append(node)

    def _node(self, single: Measurement) -> Node:
        if self._links is None:
            return Node(self._about_pivot(single))
        single = self._of_the_scene(single, self._links)
        return self._links.node(single, self._about_pivot(single))

    def _of_the_scene(self, single: Measurement, links: Links) -> Measurement:
        """Return the measurement without what the camera's own body shows."""
        shown, field, view = links.shown(single), single.field, single.view
        if shown is None or field is None or view is None:
            return single
        field = replace(field, shown=shown)
        return measured(single.frame, view, field, self._solver, self._autocorrelation)

    def _about_pivot(self, single: Measurement) -> Measurement:
        """Return the measurement with what the frames before said about the lever arm."""
        pivot = self._pivot
        if pivot is None:
            return single
        self._pivot_before = pivot.state
        prior = pivot.prior(single.estimate)
        pivot.update(single.estimate, self._solver.weak_prior)
        if prior is None or single.field is None or not single.estimate.valid:
            return single
        frame, near = single.frame, single.estimate.velocity
        held = self._solver.solve(single.field, frame.exposure_time, frame.t, prior, near)
        return replace(single, estimate=fused(held, single.whole))

    def _hold(self, node: Node) -> Hold | None:
        """Return how the camera is held, where that is known."""
        pivot, registration = self._pivot, node.registration
        if pivot is None or registration is None or not pivot.trusted:
            return None
        return Hold(pivot.held[0], pivot.constraint_noise(registration.velocity[:3]))

    def _decide(self, node: Node) -> None:
        """Find the sign of a frame that is not linked, and that of the one before by it too."""
        direction, observation = self._direction, self._observe(node.measurement)
        if node.repeated and self._observed is not None:
            alike = self._observed.measurement.estimate.agrees(node.measurement.estimate)
            node.probability = direction.posterior[0 if alike else 1]
            return
        direction.push(observation, bridged=self._links is not None)
        if direction.revised is not None and self._observed is not None:
            self._observed.probability = direction.revised
        if observation is not None and direction.config.mode is not Direction.NONE:
            self._observed, node.probability = node, direction.posterior[0]

    def _follow(self, node: Node) -> None:
        """Tell the direction filter the sign that the links of a frame decided."""
        observation = self._observe(node.measurement)
        if observation is not None:
            self._direction.follow(observation, node.probability)
            self._observed = node

    def _observe(self, measurement: Measurement) -> Observation | None:
        view, field, estimate = measurement.view, measurement.field, measurement.estimate
        if view is None or field is None or not estimate.valid:
            return None
        return self._direction.observe(view, field, estimate)

    def _release(self, everything: bool = False) -> list[Measurement]:
        """Take the frames that nothing to come changes off those that wait."""
        if self._links is not None:
            return self._links.release(self._waiting, everything)
        count = len(self._waiting) - (1 if self._lag and not everything else 0)
        return [self._waiting.popleft().result for _ in range(count)]
