"""What a velocity from blur has to beat: other ways to the same six numbers, behind one
interface."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import LONGEST_EXPOSURE, Frame
from blur_imu_ros.core.motion_field import double_angle
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.core.registration import Registrar, RegistrationConfig, View
from blur_imu_ros.core.series import VelocitySeries, series_of
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.core.visual_imu import Network, VisualImu, as_colour, network_view
from blur_imu_ros.errors import CameraError, FrameError, RecordingError
from blur_imu_ros.evaluation.metrics import truth_at
from blur_imu_ros.recordings.trajectories import PoseSeries


class Method(Protocol):
    """A way to measure the velocity of a camera."""

    @property
    def name(self) -> str:
        """What a table calls it."""

    def series(self, frames: Iterable[Frame]) -> VelocitySeries:
        """Return velocities in optical axes; frames at which it fails have no valid row."""


@dataclass(frozen=True)
class FromBlur:
    """Ours: one blurred image, one velocity."""

    imu: VisualImu
    name: str = "from blur"

    def series(self, frames: Iterable[Frame]) -> VelocitySeries:
        """See `Method`."""
        return series_of(m.estimate for m in self.imu.track(frames))


@dataclass(frozen=True)
class ZeroVelocity:
    """A camera that is always said to rest."""

    name: str = "zero velocity"

    def series(self, frames: Iterable[Frame]) -> VelocitySeries:
        """See `Method`."""
        t = np.array([frame.t for frame in frames])
        return VelocitySeries(t, np.zeros((len(t), 6)), None, np.ones(len(t), bool))


@dataclass(frozen=True)
class Recorded:
    """Velocities that were measured before, or elsewhere."""

    name: str
    recorded: VelocitySeries

    def series(self, frames: Iterable[Frame]) -> VelocitySeries:
        """See `Method`; the frames are not looked at."""
        return self.recorded


@dataclass(frozen=True)
class OpticalFlow:
    """Flow from each frame to the next (OpenCV's DIS), solved as our blur fields are.

    The velocity is the mean between two frames, and stamped midway between them, so there is one
    fewer than frames. Its direction is that of the flow. Where flow there and back disagree, it is
    believed less.

    Attributes:
        network: whose inverse depth is used; without, the scene is `depth` metres away
            everywhere, and only the angular velocity means much.
        depth: metres.
        width: of the images compared, pixels.
        largest_disagreement: pixels between flow there and back that make a cell believable.
        smallest_share: of such cells, below which the pair has failed.
    """

    network: Network | None = None
    depth: float = 2.0
    width: int = 320
    largest_disagreement: float = 1.5
    smallest_share: float = 0.2
    name: str = "optical flow"

    def series(self, frames: Iterable[Frame]) -> VelocitySeries:
        """See `Method`."""
        return series_of(self._between(first, second) for first, second in pairwise(frames))

    def _between(self, first: Frame, second: Frame) -> VelocityEstimate:
        solver, dt = VelocitySolver(), second.t - first.t
        t = first.t + dt / 2
        if not 0 < dt <= LONGEST_EXPOSURE:
            step = first.exposure_time
            return solver.invalid_estimate(step, second.t, f"{dt:.3f} s between the frames")
        try:
            field, share = self._field(first, second)
        except (CameraError, FrameError) as error:
            return solver.invalid_estimate(dt, t, str(error))
        estimate = solver.solve(field, dt, t)
        if share < self.smallest_share:
            return estimate.rejected(
                f"forward and backward flow agree in {share:.0%} of the image only"
            )
        return estimate

    def _field(self, first: Frame, second: Frame) -> tuple[BlurField, float]:
        """Return the flow as a field with its sign, and the share of it that can be believed."""
        view = self._view(first.camera)
        before, after = (_grey(view.apply(frame.image)) for frame in (first, second))
        there, back = _flow(before, after), _flow(after, before)
        disagreement = np.linalg.norm(there + _looked_up(back, there), axis=-1)
        cells = (view.width // _STRIDE, view.height // _STRIDE)
        motion = cv2.resize(there, cells, interpolation=cv2.INTER_AREA).astype(float)
        error = cv2.resize(disagreement, cells, interpolation=cv2.INTER_AREA).astype(float)
        field = BlurField(
            q=double_angle(motion),
            sigma=np.hypot(0.3, error),
            inverse_depth=self._inverse_depth(first, cells),
            sigma_log_depth=np.full(error.shape, 0.5),
            camera=view.camera,
            stride=_STRIDE,
            signed_motion=motion,
        )
        return field, float(np.mean(error < self.largest_disagreement))

    def _view(self, camera: Camera) -> NetworkView:
        if self.network is not None:
            return network_view(self.network, camera)
        height = round(self.width * camera.height / camera.width / _STRIDE) * _STRIDE
        return NetworkView(camera, self.width, max(_STRIDE, height))

    def _inverse_depth(self, frame: Frame, cells: tuple[int, int]) -> Array:
        if self.network is None:
            return np.full(cells[::-1], 1 / self.depth)
        view = self._view(frame.camera)
        field = self.network.predict(as_colour(view.apply(frame.image)), view.camera)
        return np.asarray(cv2.resize(field.inverse_depth, cells), float)


@dataclass(frozen=True)
class RegistrationFromRest:
    """Each frame registered on one before it, from rest: what neighbouring frames measure without
    blur.

    The velocity is the mean between the two, and stamped midway.

    Attributes:
        network: whose depth is used; without, depth is a guess.
        every: how many frames the two lie apart; 2 shows what half the frame rate would give.
        width: of the view without a network, pixels.
    """

    network: Network | None = None
    every: int = 1
    width: int = 320

    @property
    def name(self) -> str:
        """What a table calls it."""
        rate = {1: "", 2: ", half rate"}.get(self.every, f", 1/{self.every} of the rate")
        return f"registration from rest{rate}"

    def series(self, frames: Iterable[Frame]) -> VelocitySeries:
        """See `Method`."""
        registrar = Registrar(RegistrationConfig(search_above=1.0))
        views, rows = deque[View](maxlen=self.every + 1), []
        for frame in frames:
            view = self._view(registrar, frame)
            if view is None:
                views.clear()
                continue
            views.append(view)
            if len(views) > self.every and views[-1].t > views[0].t:
                rows.append(registrar.register(views[0], views[-1], np.zeros((0, 6))))
        if not rows:
            raise RecordingError("registration: no two frames follow each other")
        return VelocitySeries(
            np.array([(row.t0 + row.t1) / 2 for row in rows]),
            np.stack([row.velocity for row in rows]),
            np.sqrt([np.diag(row.covariance) for row in rows]),
            np.array([row.valid for row in rows]),
        )

    def _view(self, registrar: Registrar, frame: Frame) -> View | None:
        """Return what registration needs; None where the camera or the image cannot be used."""
        height = max(8, round(self.width * frame.camera.height / frame.camera.width))
        try:
            if self.network is None:
                seen = NetworkView(frame.camera, self.width, height)
            else:
                seen = network_view(self.network, frame.camera)
            image = seen.apply(frame.image)
            field = None
            if self.network is not None:
                field = self.network.predict(as_colour(image), seen.camera)
        except (CameraError, FrameError):
            return None
        # The field gives depth alone: this is what blur has to beat.
        return replace(registrar.view(image, field, frame.t, seen.camera), blur=None)


_STRIDE = 8
"""Pixels; the side of the cells in which flow is averaged."""


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


def _flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Array:
    """Return the motion (h, w, 2) of the pixels of `before`, pixels."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(finder.calc(before, after, None))  # type: ignore[call-overload]


def _looked_up(field: Array, motion: Array) -> Array:
    """Return `field` (h, w, 2) where `motion` leads."""
    v, u = np.mgrid[: motion.shape[0], : motion.shape[1]].astype(np.float32)
    maps = u + motion[..., 0], v + motion[..., 1]
    return cv2.remap(field, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def from_trajectory(name: str, poses: PoseSeries, truth: VelocitySeries) -> Recorded:
    """Return another system's trajectory as a method, its unknown scale fitted to the ground truth.

    Rotation and origin of its world do not matter to velocities in the body's axes; the scale is
    the one that makes its linear velocity agree best, which is the kindest to it.

    Args:
        name: of the system.
        poses: of the camera, optical axes to world.
        truth: velocities in optical axes.
    """
    series = poses.velocities()
    inside = series.valid & (series.t >= truth.t[0]) & (series.t <= truth.t[-1])
    seen = series.velocity[inside, 3:]
    true = truth_at(truth, series.t[inside], None)[:, 3:]
    energy = float(np.sum(seen * seen))
    product = float(np.sum(seen * true))
    # Nothing to fit it to leaves the scale as it is.
    scale = product / energy if energy > 0 and np.isfinite(product) else 1.0
    factors = np.array([1.0, 1, 1, scale, scale, scale])
    return Recorded(name, replace(series, velocity=series.velocity * factors))
