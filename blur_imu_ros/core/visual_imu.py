"""The whole method: one blurred image in, one velocity out; more of them, a better one."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import lru_cache
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import numpy as np

from blur_imu_ros.core.arrays import Image
from blur_imu_ros.core.autocorrelation import AutocorrelationConfig
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera, check_focal
from blur_imu_ros.core.direction import DirectionConfig
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.lens import SMALLEST_SIDE
from blur_imu_ros.core.measurement import Measurement, measured
from blur_imu_ros.core.motion_process import MotionFilterConfig
from blur_imu_ros.core.network_view import NetworkView
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.core.registration import RegistrationConfig
from blur_imu_ros.core.tracker import Tracker
from blur_imu_ros.core.velocity import VelocityPrior, VelocitySolver
from blur_imu_ros.errors import CameraError, FrameError, SettingsError

_REGISTRATION, _AUTOCORRELATION = RegistrationConfig(), AutocorrelationConfig()


class Network(Protocol):
    """Reads the blur of an image: `blur_network.BlurNetwork`, or anything that does the same."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(width, height) of the image it takes, pixels."""

    def predict(self, image: Image, camera: Camera) -> BlurField:
        """Return the blur field of a BGR image (height, width, 3) seen by `camera`."""


@runtime_checkable
class AnyShape(Protocol):
    """A network that takes views of any shape."""

    def view_size(self, camera: Camera) -> tuple[int, int]:
        """Return (width, height) of the view that shows most of a camera's image, pixels."""


class VisualImu:
    """Measures the velocity of a camera from its blurred images."""

    def __init__(
        self,
        network: Network,
        solver: VelocitySolver | None = None,
        direction: DirectionConfig | None = None,
        pivot: PivotConfig | None = None,
        linear_scale: float = 1.0,
        registration: RegistrationConfig | None = _REGISTRATION,
        motion: MotionFilterConfig | None = None,
        autocorrelation: AutocorrelationConfig | None = _AUTOCORRELATION,
    ) -> None:
        """Measure with `network`; all other arguments have defaults.

        `pivot` is for cameras that are hand-held or turn about a point: it ties their linear to
        their angular velocity. Without it nothing is assumed. `linear_scale` is the ratio of true
        to predicted depth, and multiplies what images tell of linear velocity. `track` registers
        neighbouring frames and fuses them as set by `motion`, unless `registration` is None. The
        motion of a whole image is found as set by `autocorrelation`; with None, what the network
        read is all that an image tells.

        Raises:
            SettingsError: `linear_scale` is not a positive number, or another argument is of
                another kind.
        """
        number = isinstance(linear_scale, Real) and np.isfinite(float(linear_scale))
        if not number or linear_scale <= 0:
            raise SettingsError(f"linear_scale {linear_scale!r}: must be a positive number")
        if not callable(getattr(network, "predict", None)):
            raise SettingsError(f"network is {network!r}; give what load_network returns")
        _check_kind("solver", solver, VelocitySolver)
        _check_kind("direction", direction, DirectionConfig)
        _check_kind("pivot", pivot, PivotConfig)
        _check_kind("registration", registration, RegistrationConfig)
        _check_kind("motion", motion, MotionFilterConfig)
        _check_kind("autocorrelation", autocorrelation, AutocorrelationConfig)
        self.network = network
        self.solver = solver or VelocitySolver()
        self.direction = direction or DirectionConfig()
        self.pivot = pivot
        self.linear_scale = linear_scale
        self.registration, self.motion = registration, motion
        self.autocorrelation = autocorrelation

    def measure(self, frame: Frame, prior: VelocityPrior | None = None) -> Measurement:
        """Return the velocity from one image alone; its sign is undecided.

        An unusable camera or image gives an estimate that is not valid, with the reasons.

        Raises:
            FrameError: `frame` is not a Frame.
        """
        if not isinstance(frame, Frame):
            raise FrameError(
                f"a {type(frame).__name__} is not a frame; give Frame(image, t, exposure_time, "
                "camera)"
            )
        try:
            view = network_view(self.network, frame.camera)
            image = as_colour(view.apply(frame.image))
            field = self.network.predict(image, view.camera)
            field = replace(field, inverse_depth=field.inverse_depth / self.linear_scale)
        except (CameraError, FrameError) as error:
            return Measurement(
                frame, self.solver.invalid_estimate(frame.exposure_time, frame.t, str(error))
            )
        return measured(frame, image, field, self.solver, self.autocorrelation, prior)

    def tracker(self) -> Tracker:
        """Return a new tracker, which fuses measurements with their neighbours and decides
        signs."""
        return Tracker(
            self.solver,
            self.direction,
            self.pivot,
            self.registration,
            self.motion,
            self.autocorrelation,
        )

    def track(self, frames: Iterable[Frame]) -> Generator[Measurement, None, None]:
        """Yield one measurement per frame, in input order, with its sign decided.

        If `frames` ends in an error, the measurements before it are yielded first.

        Args:
            frames: in order of time.
        """
        return self.tracker().follow(map(self.measure, frames))


def _check_kind(name: str, value: Any, kind: type) -> None:
    """Raise SettingsError for an argument of another kind: a word, or True and False."""
    if value is not None and not isinstance(value, kind):
        raise SettingsError(f"{name} is {value!r}; give {kind.__name__}(...), or None")


def network_view(network: Network, camera: Camera) -> NetworkView:
    """Return the view that a network takes of a camera; CameraError where there is none."""
    size = network.view_size(camera) if isinstance(network, AnyShape) else network.input_size
    return _network_view(camera, *size)


@lru_cache(maxsize=8)
def _network_view(camera: Camera, width: int, height: int) -> NetworkView:
    check_focal(camera)
    if min(camera.width, camera.height) < SMALLEST_SIDE:
        raise CameraError(
            f"an image of {camera.width}x{camera.height} pixels is too small to be measured; give "
            f"one of {SMALLEST_SIDE} or more a side"
        )
    return NetworkView(camera, width, height)


def as_colour(image: Image) -> Image:
    """Return an image in colour, (height, width, 3), which a network takes."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
