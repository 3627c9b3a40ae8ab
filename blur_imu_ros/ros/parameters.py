"""The one declaration of the node's parameters."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from blur_imu_ros.choices import (
    BACKENDS,
    DEFAULT_MODEL,
    DEVICES,
    MESSAGE_AXES,
    NODE_DIRECTIONS,
    Axes,
    Direction,
    MotionPrior,
    StampReference,
)
from blur_imu_ros.core.frame import check_exposure_time
from blur_imu_ros.core.method_settings import MethodSettings
from blur_imu_ros.core.pivot import PivotConfig
from blur_imu_ros.errors import BlurImuError, CameraError, RosSetupError, SettingsError
from blur_imu_ros.recordings.calibration_files import KnownCalibration, read_calibration
from blur_imu_ros.recordings.settings_files import load_settings
from blur_imu_ros.results.ros_fields import MINIMUM_DIRECTION_PROBABILITY
from blur_imu_ros.ros.exposure_sources import KINDS, UNITS, message_type, unit_of

LARGEST_OFFSET = 10.0
"""Seconds."""

ALIKE = 0.8
"""Of the letters of two names, above which one is taken for a slip of the pen."""

FILES = ("model", "calibration", "settings_file")
"""Parameters that are, or may be, paths."""

FRAMES = ("frame_id", "base_frame", "odom_frame")
"""Parameters that are names of frames."""


@dataclass(frozen=True)
class _Parameter:
    """Default, meaning, what values it may have, and whether it may change while the node works."""

    default: bool | int | float | str | list[float]
    text: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    live: bool = False

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

    def check(self, name: str, value: Any) -> None:
        """Raise RosSetupError naming the parameter if `value` may not be its value."""
        if self.choices and value not in self.choices:
            raise RosSetupError(f"parameter {name} is '{value}'; use {', '.join(self.choices)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise RosSetupError(f"parameter {name} is {value}: give a finite number")
        if self.least is not None and self.most is not None:
            if not self.least <= value <= self.most:
                raise RosSetupError(
                    f"parameter {name} is {value}; use {self.least:g} to {self.most:g}"
                )
        if name == "exposure_time":
            _exposure_time(value)
        if name in FRAMES:
            _frame(name, value)

    @property
    def allowed(self) -> str:
        """What values it may have, for a person."""
        if self.choices:
            return ", ".join(f"`{choice}`" for choice in self.choices)
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return ""


PARAMETERS: dict[str, _Parameter] = {
    "autostart": _Parameter(True, "Configure and activate at start."),
    "model": _Parameter(
        DEFAULT_MODEL, "Name of a shipped model, or path of an .onnx with its card."
    ),
    "backend": _Parameter("auto", "Runtime of the model.", BACKENDS),
    "device": _Parameter("cpu", "Device that runs the model.", DEVICES),
    "threads": _Parameter(0, "CPU threads of the model; 0: automatic.", least=0, most=64),
    "image_transport": _Parameter("raw", "Kind of image topic.", ("raw", "compressed")),
    "rectified": _Parameter(
        False,
        "Images are rectified (image_rect): use P of camera_info as their calibration, without "
        "distortion.",
    ),
    "image_reliability": _Parameter(
        "auto",
        "Reliability requested from the image publisher; auto: reliable if every publisher is.",
        ("auto", "best_effort", "reliable"),
    ),
    "image_depth": _Parameter(
        5,
        "Queue depth of the image subscription; only the newest image is measured.",
        least=1,
        most=100,
    ),
    "exposure_source": _Parameter(
        "fixed",
        "Source of the exposure time: the parameter exposure_time, or messages on topic exposure.",
        ("fixed", *KINDS),
    ),
    "exposure_time": _Parameter(
        0.0, "Fixed exposure time in seconds; 0: unknown, so nothing is published.", live=True
    ),
    "exposure_unit": _Parameter(
        "auto", "Unit of topic exposure; auto: the one that the driver defines.", ("auto", *UNITS)
    ),
    "exposure_tolerance": _Parameter(
        0.1,
        "Largest difference between the timestamps of an image and its exposure, seconds.",
        least=0.0,
        most=10.0,
    ),
    "exposure_timeout": _Parameter(
        2.0, "Seconds after which a received exposure is discarded.", least=0.05, most=3600.0
    ),
    "stamp_reference": _Parameter(
        "start",
        "Moment of the exposure that image timestamps refer to.",
        tuple(reference.value for reference in StampReference),
    ),
    "time_offset": _Parameter(
        0.0,
        "Seconds added to the timestamps of images.",
        least=-LARGEST_OFFSET,
        most=LARGEST_OFFSET,
        live=True,
    ),
    "calibration": _Parameter(
        "",
        "File written by blur-imu calibrate: its exposure_time and time_offset are used where "
        "those parameters are 0; its linear_scale multiplies depth, and so linear velocity.",
    ),
    "readout_time": _Parameter(
        0.0,
        "Seconds from the first to the last row of a rolling shutter whose timestamps refer to the "
        "first row; 0: global shutter.",
        least=0.0,
        most=0.2,
        live=True,
    ),
    "maximum_rate": _Parameter(
        0.0,
        "Images per second to measure at most; others are skipped and counted. 0: all.",
        least=0.0,
        most=1000.0,
        live=True,
    ),
    "settings_file": _Parameter(
        "", "YAML with settings of the method, as in config/settings.yaml; empty: defaults."
    ),
    "direction": _Parameter(
        Direction.PREVIOUS.value,
        "Frames that decide the sign: both neighbours (one frame late), previous ones, or none.",
        tuple(direction.value for direction in NODE_DIRECTIONS),
    ),
    "registration": _Parameter(
        True,
        "Register each image to the previous one and fuse both velocities; otherwise each image is "
        "measured alone, and its neighbours only decide the sign.",
    ),
    "motion_prior": _Parameter(
        "none",
        "pivot: the camera is hand-held or turns about a point, so v = omega x lever arm, "
        "approximately.",
        tuple(prior.value for prior in MotionPrior),
    ),
    "lever_arm": _Parameter(
        [0.0, 0.0, 0.0],
        "From the pivot to the camera in optical axes (right, down, forward), metres; zeros: "
        "estimated while running.",
    ),
    "minimum_direction_probability": _Parameter(
        MINIMUM_DIRECTION_PROBABILITY,
        "No Imu and twist below this probability of the sign.",
        least=0.5,
        most=1.0,
        live=True,
    ),
    "maximum_residual": _Parameter(
        0.0,
        "No Imu and twist above this residual of the blur, pixels of the network's view; 0: no "
        "limit, as the covariance accounts for it.",
        least=0.0,
        most=100.0,
        live=True,
    ),
    "publish_linear": _Parameter(
        True,
        "Publish twist. Otherwise only angular velocity is published, for robots with better wheel "
        "odometry.",
    ),
    "odometry": _Parameter(
        "none",
        "Publish odom_visual: orientation since the start (with the position marked unknown), or "
        "the whole pose. Both drift.",
        ("none", "orientation", "pose"),
    ),
    "odom_frame": _Parameter("odom", "Frame of the pose of odom_visual."),
    "merge_accelerometer": _Parameter(
        False,
        "Publish imu/data: the angular velocity, and the acceleration from topic accelerometer at "
        "that time.",
    ),
    "output_stamp": _Parameter(
        "middle",
        "Timestamp of the outputs: the middle of the exposure, or that of the image, for "
        "synchronisation by exact time.",
        ("middle", "image"),
    ),
    "axes": _Parameter(
        Axes.BODY.value,
        "Output axes: x forward, y left, z up; or the camera's.",
        tuple(axes.value for axes in MESSAGE_AXES),
    ),
    "frame_id": _Parameter(
        "", "Frame of the output; empty: derived from that of the image.", live=True
    ),
    "base_frame": _Parameter(
        "base_link",
        "Frame of the robot, from which TF must lead to that of the output; checked at the start "
        "if tf2 is installed. Empty: no check.",
    ),
    "publish_body_frame": _Parameter(
        False,
        "Publish the camera's body frame on /tf_static, as a child of the image frame; for drivers "
        "that publish only the optical frame. Needs axes body.",
    ),
    "filter_reset_service": _Parameter(
        "",
        "Service (std_srvs/Empty) to call when simulated time, as of a bag, steps back: reset of "
        "robot_localization, which otherwise ignores all messages until the old time is reached "
        "again. Empty: none.",
    ),
    "diagnostics_period": _Parameter(1.0, "Seconds between diagnostics.", least=0.1, most=60.0),
}


@dataclass(frozen=True)
class Settings:
    """The parameters, checked and typed; `exposure_time` is None while unknown, `maximum_residual`
    infinite where it is not limited.
    """

    model: str
    backend: str
    device: str
    threads: int | None
    image_transport: str
    rectified: bool
    image_reliability: str
    image_depth: int
    exposure_source: str
    exposure_time: float | None
    exposure_unit: str
    exposure_tolerance: float
    exposure_timeout: float
    stamp_reference: StampReference
    time_offset: float
    calibration: KnownCalibration
    linear_scale: float
    readout_time: float
    maximum_rate: float
    method: MethodSettings
    direction: Direction
    registration: bool
    pivot: PivotConfig | None
    minimum_direction_probability: float
    maximum_residual: float
    publish_linear: bool
    odometry: str
    odom_frame: str
    merge_accelerometer: bool
    output_stamp: str
    axes: Axes
    frame_id: str
    base_frame: str
    publish_body_frame: bool
    filter_reset_service: str
    diagnostics_period: float

    @property
    def shift(self) -> float:
        """Seconds from the stamp of an image to the same moment of its middle row."""
        return self.time_offset + self.readout_time / 2


def declare(node: Node) -> dict[str, str]:
    """Declare every parameter on the node; return the complaint of each start value refused."""
    complaints = {}
    for name, parameter in PARAMETERS.items():
        descriptor = parameter.descriptor()
        try:
            node.declare_parameter(name, parameter.default, descriptor)
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            node.declare_parameter(name, parameter.default, descriptor, ignore_override=True)
            complaints[name] = f"parameter {name}: {error}"
            if (
                isinstance(error, InvalidParameterTypeException)
                and type(parameter.default) is float
            ):
                complaints[name] += " (give a number with a point: 1.0, not 1)"
    return complaints


def misspelt(node: Node) -> Iterator[str]:
    """Yield which start values nearly name a parameter: ROS passes over names that it does not
    know. Others may be meant for other nodes, as in a file for all."""
    for name in getattr(node, "_parameter_overrides", {}):
        near = get_close_matches(name, PARAMETERS, 1, ALIKE)
        if near and name not in PARAMETERS:
            yield f"there is no parameter {name}, so it is passed over: is {near[0]} meant?"


def read(node: Node, before: Settings | None = None) -> Settings:
    """Return the node's parameters; RosSetupError names the one that is wrong, and the cure.

    `before` are those that held so far: a node that works reads its files once.
    """
    return checked({name: node.get_parameter(name).value for name in PARAMETERS}, before)


def checked(values: dict[str, Any], before: Settings | None = None) -> Settings:
    """Return the settings of parameter values; RosSetupError names the one that is wrong."""
    for name, parameter in PARAMETERS.items():
        parameter.check(name, values[name])
    # No shell has seen what stands in a parameter file.
    values = values | {name: os.path.expanduser(values[name]) for name in FILES}
    method = _method(values["settings_file"]) if before is None else before.method
    calibration = None if before is None else before.calibration
    pivot = _pivot(values["motion_prior"], values["lever_arm"], method.pivot)
    values = values | {"pivot": pivot, "method": method} | _calibrated(values, calibration)
    values = {field.name: values[field.name] for field in fields(Settings)}
    values["threads"] = values["threads"] or None
    values["exposure_time"] = _exposure_time(values["exposure_time"])
    values["maximum_residual"] = values["maximum_residual"] or math.inf
    if values["exposure_source"] in KINDS:
        message_type(values["exposure_source"])
        values["exposure_unit"] = unit_of(values["exposure_source"], values["exposure_unit"])
    values["stamp_reference"] = StampReference(values["stamp_reference"])
    values["axes"] = Axes(values["axes"])
    values["direction"] = Direction(values["direction"])
    if values["publish_body_frame"] and values["axes"] is not Axes.BODY:
        raise RosSetupError("parameter publish_body_frame is for axes: body; unset one of them")
    return Settings(**values)


def check_changes(node: Node, changes: Iterable[Parameter[Any]], configured: bool) -> None:
    """Raise RosSetupError if a change has a wrong value, or must wait until the node is cleaned up.

    Values that hold already may be set again: `ros2 param load` sets all. Parameters that are not
    ours (use_sim_time) are left to their owners.
    """
    for change in changes:
        parameter = PARAMETERS.get(change.name)
        if parameter is None:
            continue
        parameter.check(change.name, change.value)
        if configured and not parameter.live and not _holds(node, change):
            raise RosSetupError(
                f"parameter {change.name} cannot change while the node is configured: deactivate "
                "and clean up first"
            )


def _holds(node: Node, change: Parameter[Any]) -> bool:
    """Return whether a parameter has the value of a change already."""
    known, new = node.get_parameter(change.name).value, change.value
    if isinstance(new, str):
        return bool(known == new)
    return np.array_equal(np.atleast_1d(known), np.atleast_1d(new))


def _calibrated(values: dict[str, Any], known: KnownCalibration | None) -> dict[str, Any]:
    """Return the values that a calibration sets, or leaves as they are."""
    if known is None:
        known = _calibration_at(values["calibration"])
    reference = StampReference(values["stamp_reference"])
    offset = values["time_offset"] or known.offset_for(reference)
    if offset is None:
        moment = "" if known.stamp_reference is None else known.stamp_reference.value
        raise RosSetupError(
            f"parameter calibration: {values['calibration']}: its time_offset is for timestamps of "
            f"the {moment} of the exposure; set stamp_reference: {moment}"
        )
    if offset and not values["time_offset"] and known.stamp_reference is not None:
        # `run` knows no rolling shutter: what was found leads to the middle row already.
        offset -= values["readout_time"] / 2
    if abs(offset) > LARGEST_OFFSET:
        raise RosSetupError(
            f"parameter calibration: {values['calibration']}: time_offset is {offset:g} s, of a "
            "gyroscope with another clock than the camera; remove that line"
        )
    return {
        "calibration": known,
        "exposure_time": values["exposure_time"] or known.exposure_time or 0.0,
        "time_offset": offset,
        "linear_scale": known.linear_scale,
    }


def _calibration_at(path: str) -> KnownCalibration:
    try:
        return read_calibration(Path(path)) if path else KnownCalibration()
    except CameraError as error:
        raise RosSetupError(f"parameter calibration: {error}") from error


def _method(path: str) -> MethodSettings:
    try:
        return load_settings(path) if path else MethodSettings()
    except SettingsError as error:
        raise RosSetupError(f"parameter settings_file: {error}") from error


def _pivot(
    motion_prior: str, lever_arm: Iterable[float], settings: PivotConfig
) -> PivotConfig | None:
    arm: Any = tuple(float(x) for x in lever_arm)
    try:
        held = replace(settings, lever_arm=None if arm == (0.0, 0.0, 0.0) else arm)
    except SettingsError as error:
        raise RosSetupError(f"parameter lever_arm: {error}") from error
    return None if motion_prior == MotionPrior.NONE.value else held


def _frame(name: str, value: str) -> None:
    """Raise RosSetupError if tf2 would not take a name, or no message could carry it."""
    if value.startswith("/") or not value.isprintable() or any(x.isspace() for x in value):
        raise RosSetupError(
            f"parameter {name} is {value!r}: give the name of a frame, as camera_frame, without "
            "a slash before it and without spaces"
        )


def _exposure_time(value: float) -> float | None:
    if value == 0:
        return None
    try:
        return check_exposure_time(value)
    except BlurImuError as error:
        raise RosSetupError(f"parameter exposure_time: {error}") from error


def markdown_table() -> str:
    """Return the parameters as the table in docs/ROS.md."""
    rows = ["| parameter | default | values | live | meaning |", "|---|---|---|---|---|"]
    for name, p in PARAMETERS.items():
        default = f"`{str(p.default).lower() if isinstance(p.default, bool) else p.default}`"
        live = "yes" if p.live else ""
        rows.append(
            f"| `{name}` | {default if default != '``' else 'empty'} | {p.allowed} | {live} | "
            f"{p.text} |"
        )
    return "\n".join(rows) + "\n"
