"""Links between frames: registration, and the motion filter along the chain of links.

A frame that cannot be registered on the one before it (a cut, a gap, darkness) begins a new chain,
unless the next one can be registered across it: then one bad frame costs itself only.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_reading import BlurReading
from blur_imu_ros.core.clock import Clock
from blur_imu_ros.core.estimate import CHI2_95_SIX, mean_velocities
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.motion_filter import (
    Fused,
    MotionFilter,
    MotionFilterState,
    smoothed,
)
from blur_imu_ros.core.motion_process import Gaussian, MotionFilterConfig
from blur_imu_ros.core.motion_step import Hold
from blur_imu_ros.core.registration import (
    REPEATED,
    DepthTold,
    Registrar,
    Registration,
    RegistrationConfig,
    View,
    shared_covariance,
)
from blur_imu_ros.core.still_parts import StillParts
from blur_imu_ros.core.velocity import VelocityPrior

_SUDDEN = 10.0
"""Standard deviations of a registered velocity, which none loses from one frame to the next."""
_SAME = 0.997
"""Correlation of two images of one frame; of a camera that is shaken to and fro it is less."""
_BLOCK = 32
"""Frames that are smoothed at once, with as many behind them: their future beyond says nothing."""


@dataclass(eq=False)
class Node:
    """A frame among its neighbours.

    Attributes:
        measurement: of the frame alone, with the pivot prior.
        probability: that its sign is right, as far as is known.
        view: for registration; None where the frame was unusable.
        reading: of its blur; None where that could not be read.
        registration: of the frame before on this one; None where there is none.
        fused: (6,) velocity by its neighbours; None while nothing links it to any.
        linked: the same by its past alone, worked out only if it is asked for.
        settings: tell how wrong depth is.
    """

    measurement: Measurement
    probability: float = 0.5
    view: View | None = None
    reading: BlurReading | None = None
    registration: Registration | None = None
    fused: Gaussian | None = None
    linked: Fused | None = None
    settings: RegistrationConfig = field(default_factory=RegistrationConfig)

    @property
    def t(self) -> float:
        """Middle of the exposure, seconds."""
        return self.measurement.estimate.t

    @cached_property
    def blurred(self) -> bool:
        """Whether its image alone shows motion."""
        return self.measurement.estimate.is_moving

    @property
    def repeated(self) -> bool:
        """Whether the image is that of the frame before."""
        return self.registration is not None and REPEATED in self.registration.reasons

    @property
    def result(self) -> Measurement:
        """The measurement with its sign, and with what its neighbours tell."""
        single, registration = self.measurement.estimate, self.registration
        quality = registration.quality if registration is not None and registration.valid else 0.0
        fused = self.linked.now if self.fused is None and self.linked else self.fused
        if fused is None:
            directed = self.measurement.directed(self.probability)
            single = replace(directed.estimate, registration_quality=quality)
            return replace(directed, estimate=single, registration=registration)
        mean, covariance = fused.mean, fused.covariance
        nearness = 0.0 if self.view is None else self.view.nearness
        shared = shared_covariance(mean, self.settings, nearness)
        estimate = replace(
            single,
            angular_velocity=mean[:3],
            linear_velocity=mean[3:],
            covariance=covariance + shared,
            direction_probability=_sign_probability(fused),
            shared_covariance=shared,
            valid=True,
            reasons=(),
            single=single.velocity if self.probability >= 0.5 else -single.velocity,
            registration_quality=quality,
        )
        return replace(self.measurement, estimate=estimate, registration=registration)


@dataclass(frozen=True)
class LinksState:
    """What `Links.resume` takes, as plain numbers.

    Attributes:
        motion: of the motion filter.
        velocity: (6,) that was registered last; None where the last frame could not be.
        registration: of the last frame; None where it is the first.
        linked: whether the last frame is linked to the one before.
        intervals: between frames, seconds.
        still: counts of `StillParts`.
    """

    motion: MotionFilterState
    velocity: list[float] | None
    registration: dict[str, Any] | None
    linked: bool
    intervals: list[float]
    still: list[list[int]]


class Links:
    """Links each frame to one before it, and fuses what blur and registration tell."""

    def __init__(
        self,
        registration: RegistrationConfig,
        motion: MotionFilterConfig,
        assumed: VelocityPrior,
        lag: bool,
        smooth: bool = False,
    ) -> None:
        """Begin without a past.

        Args:
            registration, motion: how frames are registered and fused.
            assumed: the weak prior that each frame's own estimate holds.
            lag: whether a frame also gets what the next one tells of it.
            smooth: whether it gets what all of the recording tells of it.
        """
        self._registrar, self._config = Registrar(registration), motion
        self._motion, self._assumed, self._clock = MotionFilter(motion), assumed, Clock()
        self._still = StillParts()
        self._lag, self._smooth = lag, smooth
        self._chain: list[Fused] = []
        self._members: list[Node] = []
        self.forget()

    def forget(self) -> None:
        """Forget the frames, not what was learnt of the camera."""
        self._close()
        self._still.forget()
        self._last: Node | None = None
        self._head: Node | None = None
        self._velocity: Array | None = None
        self._ahead = False

    def node(self, alone: Measurement, held: Measurement) -> Node:
        """Return a frame that is not linked yet.

        Args:
            alone: what its image tells, without any prior.
            held: the same with the pivot prior.
        """
        field = alone.field
        if alone.view is None or field is None:
            return Node(held)
        view = self._registrar.view(alone.view, field, held.estimate.t)
        reading = None
        if alone.estimate.valid:
            reading = BlurReading.of(
                alone.estimate, self._assumed, field.camera.focal, view.nearness, self._config
            )
            if held is not alone and not reading.agrees(held.estimate.velocity):
                # Each solve has a sign of its own, and what is known of it is told of `held`.
                reading = replace(reading, velocity=-reading.velocity)
        return Node(held, view=view, reading=reading, settings=self._registrar.settings)

    def shown(self, single: Measurement) -> Array | None:
        """Return which cells of a frame's blur field show the scene, not the camera's own body;
        None if all do."""
        return None if single.field is None else self._still.shown(single.field.sigma.shape)

    def link(self, node: Node) -> Node | None:
        """Register `node` on a frame before it; return that frame, None where none fits."""
        shown = None if node.view is None else self._still.take(node.view)
        for first in dict.fromkeys((self._last, self._head)):
            if first is None or first.view is None or node.view is None:
                continue
            if shown is not first.view.shown:
                first.view = replace(first.view, shown=shown)
            starts = self._starts(first.measurement, node.measurement)
            found = self._registrar.register(first.view, node.view, starts)
            if found.only_ambiguous and first is self._head:
                found = self._resolved(found, first)
            if self._repeats(found, first, node):
                found = found.rejected(REPEATED)
            if REPEATED in found.reasons:
                node.registration = found
                return None
            if node.registration is None or found.valid:
                node.registration = found
            if found.valid:
                node.view = self._registrar.corrected(node.view, found)
                return first
        return None

    def _repeats(self, found: Registration, first: Node, node: Node) -> bool:
        """Whether a pair at rest is one image coded twice: the camera moved, and both are
        blurred."""
        if not found.valid:
            return False
        if not (first.blurred and node.blurred):
            return False
        size = np.linalg.inv(found.covariance)
        rests = found.velocity @ size @ found.velocity < CHI2_95_SIX
        if self._velocity is not None:
            moved = bool(self._velocity @ size @ self._velocity > _SUDDEN**2)
        else:  # Once only: a camera out of focus looks blurred at rest as well.
            moved = found.quality > _SAME and not self._ahead
        return bool(rests and moved)

    def _resolved(self, found: Registration, first: Node) -> Registration:
        """Return a pair of two likely motions, valid if the past leaves one of them."""
        doubt = self._motion.doubt(found, first.reading)
        if doubt > self._registrar.settings.largest_ambiguity:
            return found
        # It keeps its own ambiguity: the filter will judge it by the same past.
        return replace(found, valid=True, reasons=())

    def _starts(self, first: Measurement, second: Measurement) -> Array:
        """(k, 6) mean velocities that two frames and the past may mean."""
        means = mean_velocities(first.estimate.velocity, second.estimate.velocity)
        return means if self._velocity is None else np.vstack([means, self._velocity])

    def fuse(self, node: Node, first: Node | None, hold: Hold | None) -> None:
        """Take `node` into the chain behind `first`, the frame that `link` found for it."""
        self._ahead = node.repeated
        if self._ahead:
            return  # The image was taken when it came first, so the next one is registered on that.
        self._last = node
        if first is None:
            self._velocity = None
            return
        assert node.registration is not None
        begun = first is not self._head
        if begun:
            self._close()
            self._motion.restart(hold)
            self._members = [first]
        self._clock.take(node.t - first.t)
        fused = self._motion.push(
            node.registration,
            first.reading,
            node.reading,
            hold,
            self._clock.jitter,
            first.probability if begun else 0.5,
        )
        self._velocity = node.registration.velocity
        node.linked = fused
        if node.reading is not None:
            node.probability = fused.posterior.probability
        if self._lag:
            first.fused = fused.before
            if first.reading is not None:
                first.probability = fused.last.probability
        if self._smooth:
            self._chain.append(fused)
            self._members.append(node)
        self._head = node

    def release(self, waiting: deque[Node], everything: bool = False) -> list[Measurement]:
        """Take those frames off `waiting`, oldest first, that no later frame changes.

        Args:
            waiting: frames in order of time; the last one is the newest.
            everything: whether no frame follows.
        """
        if everything:
            self._close()
            count = len(waiting)
        elif not self._smooth:
            count = len(waiting) - 1 if self._lag else len(waiting)
        elif len(waiting) < 2 * _BLOCK:
            count = 0
        else:
            self._smooth_chain()
            count = _BLOCK
        released = [waiting.popleft() for _ in range(count)]
        while self._chain and self._members[0] in released:
            del self._members[0], self._chain[0]
        return [node.result for node in released]

    def _close(self) -> None:
        """End a chain: smooth what is left of it."""
        self._smooth_chain()
        self._chain, self._members = [], []

    def _smooth_chain(self) -> None:
        if self._chain:
            for member, found in zip(self._members, smoothed(self._chain), strict=True):
                member.fused, probability = found
                if member.reading is not None:
                    member.probability = probability

    @property
    def state(self) -> LinksState | None:
        """What `resume` takes; None where one frame is not enough to go on."""
        last, head = self._last, self._head
        if self._smooth or self._ahead or last is None or head not in (None, last):
            return None
        if self._still.shown((1, 1)) is not None:
            return None  # The last frame was read without what was known to stand still before it.
        velocity = None if self._velocity is None else self._velocity.tolist()
        registration = last.registration
        plain = None if registration is None else _plain(registration)
        intervals = list(self._clock.intervals)
        still = self._still.counts.tolist()
        return LinksState(self._motion.state, velocity, plain, head is last, intervals, still)

    def resume(self, last: Node, state: LinksState) -> None:
        """Go on behind the frame `last`, whose probability is known."""
        self._motion.resume(state.motion)
        self._last, self._head = last, last if state.linked else None
        self._velocity = None if state.velocity is None else np.array(state.velocity)
        if state.registration is not None:
            assert last.view is not None
            last.registration = _registration(state.registration)
            last.view = self._registrar.corrected(last.view, last.registration)
        self._clock.intervals.extend(state.intervals)
        if last.view is not None and state.still:
            self._still.resume(last.view, np.array(state.still))
        if state.linked:
            assert last.registration is not None
            last.fused = self._motion.current(last.registration, last.reading, self._clock.jitter)


def _sign_probability(velocity: Gaussian) -> float:
    """Return how sure the sign of a velocity (6,) is: as sure as that it is not zero."""
    distance2 = float(velocity.mean @ np.linalg.solve(velocity.covariance, velocity.mean))
    return 0.5 + 0.5 * math.erf(math.sqrt(max(distance2 - 6, 0.0) / 2))


_ARRAYS = ("velocity", "covariance", "shared_covariance")


def _plain(registration: Registration) -> dict[str, Any]:
    """Return a registration as plain numbers."""
    content, depth = dict(vars(registration)), registration.depth
    if depth is not None:
        content["depth"] = {name: array.tolist() for name, array in vars(depth).items()}
    return content | {name: content[name].tolist() for name in _ARRAYS}


def _registration(content: dict[str, Any]) -> Registration:
    """Return what `_plain` was made of."""
    depth = content["depth"]
    if depth is not None:
        depth = DepthTold(**{name: np.array(rows) for name, rows in depth.items()})
    arrays = {name: np.array(content[name]) for name in _ARRAYS}
    rest = {"depth": depth, "reasons": tuple(content["reasons"])}
    return Registration(**content | arrays | rest)
