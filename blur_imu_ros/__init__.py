"""A camera that is also an IMU: velocity from the blur of a single image.

from blur_imu_ros import VisualImu, load_camera, load_network, open_recording
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blur_imu_ros.core.camera import Camera as Camera
    from blur_imu_ros.core.estimate import VelocityEstimate as VelocityEstimate
    from blur_imu_ros.core.frame import Frame as Frame
    from blur_imu_ros.core.measurement import Measurement as Measurement
    from blur_imu_ros.core.visual_imu import VisualImu as VisualImu
    from blur_imu_ros.network.blur_network import load_network as load_network
    from blur_imu_ros.recordings import FrameSettings as FrameSettings
    from blur_imu_ros.recordings import open_recording as open_recording
    from blur_imu_ros.recordings.camera_files import load_camera as load_camera

__version__ = "0.1.0"

_ROOMS = {
    "Camera": "core.camera",
    "Frame": "core.frame",
    "FrameSettings": "recordings",
    "Measurement": "core.measurement",
    "VelocityEstimate": "core.estimate",
    "VisualImu": "core.visual_imu",
    "load_camera": "recordings.camera_files",
    "load_network": "network.blur_network",
    "open_recording": "recordings",
}
"""Where the names of the public API live; imported when they are asked for."""

__all__ = sorted(_ROOMS)


def __getattr__(name: str) -> Any:
    """Return a name of the public API, imported now."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """Return what can be asked for."""
    return sorted({*globals(), *_ROOMS})
