"""The one declaration of the node's parameters."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from blur_imu_ros.axes import Axes
from blur_imu_ros.errors import BlurImuError, RosSetupError
from blur_imu_ros.frame import check_exposure_time
from blur_imu_ros.recordings.settings import StampReference
from blur_imu_ros.ros_outputs import MINIMUM_DIRECTION_PROBABILITY


@dataclass(frozen=True)
class _Parameter:
    """Default, meaning, and what values it may have."""

    default: bool | int | float | str
    text: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    def descriptor(self) -> ParameterDescriptor:
        """Return what `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(description=self.text, read_only=False)
        if self.choices:
            descriptor.additional_constraints = "one of: " + ", ".join(self.choices)
        if self.least is not None and self.most is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=self.least, to_value=self.most)
                ]
            else:
                descriptor.integer_range = [
                    IntegerRange(from_value=int(self.least), to_value=int(self.most))
                ]
        return descriptor


PARAMETERS: dict[str, _Parameter] = {
    "autostart": _Parameter(True, "Configure and activate without being asked."),
    "model": _Parameter("compact", "Name of a shipped model, or path of an .onnx with its card."),
    "backend": _Parameter("auto", "What runs the model.", ("auto", "onnx", "torch")),
    "device": _Parameter("cpu", "Where it runs.", ("cpu", "cuda", "tensorrt")),
    "threads": _Parameter(0, "CPU threads of the model; 0 chooses.", least=0, most=64),
    "image_transport": _Parameter("raw", "Kind of image topic.", ("raw", "compressed")),
    "exposure_time": _Parameter(0.0, "Exposure time in seconds; 0 is not known: no output."),
    "stamp_reference": _Parameter(
        "start", "Moment of the exposure that image stamps mean.", ("start", "middle", "end")
    ),
    "direction": _Parameter(
        "previous",
        "What decides the sign: both neighbours (one frame late), the one before, nothing.",
        ("adjacent", "previous", "none"),
    ),
    "minimum_direction_probability": _Parameter(
        MINIMUM_DIRECTION_PROBABILITY,
        "Imu and twist stay silent while the sign is less sure.",
        least=0.5,
        most=1.0,
    ),
    "axes": _Parameter(
        "body", "Output axes: x forward, y left, z up; or the camera's.", ("body", "optical")
    ),
    "frame_id": _Parameter("", "Frame of the output; empty derives it from the image's."),
    "diagnostics_period": _Parameter(1.0, "Seconds between diagnostics.", least=0.1, most=60.0),
}


@dataclass(frozen=True)
class Settings:
    """The parameters, checked and typed; `exposure_time` is None while unknown."""

    autostart: bool
    model: str
    backend: str
    device: str
    threads: int | None
    image_transport: str
    exposure_time: float | None
    stamp_reference: StampReference
    direction: Any
    minimum_direction_probability: float
    axes: Axes
    frame_id: str
    diagnostics_period: float


def declare(node: Node) -> None:
    """Declare every parameter on the node."""
    for name, parameter in PARAMETERS.items():
        node.declare_parameter(name, parameter.default, parameter.descriptor())


def read(node: Node) -> Settings:
    """Return the node's parameters; RosSetupError names the one that is wrong, and the cure."""
    values = {name: node.get_parameter(name).value for name in PARAMETERS}
    return checked(values)


def checked(values: dict[str, Any]) -> Settings:
    """Return the settings of parameter values; RosSetupError names the one that is wrong."""
    for name, parameter in PARAMETERS.items():
        if parameter.choices and values[name] not in parameter.choices:
            raise RosSetupError(
                f"parameter {name} is '{values[name]}'; use {', '.join(parameter.choices)}"
            )
    values = {field.name: values[field.name] for field in fields(Settings)}
    values["threads"] = values["threads"] or None
    values["exposure_time"] = _exposure_time(values["exposure_time"])
    values["stamp_reference"] = StampReference(values["stamp_reference"])
    values["axes"] = Axes(values["axes"])
    return Settings(**values)


def _exposure_time(value: float) -> float | None:
    if value == 0:
        return None
    try:
        return check_exposure_time(value)
    except BlurImuError as error:
        raise RosSetupError(f"parameter exposure_time: {error}") from error
