"""What the launch files share: arguments, what is known of cameras, the filter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from blur_imu_ros.recordings.camera_info import info_topics
from blur_imu_ros.ros.parameters import PARAMETERS

Arguments = Mapping[str, tuple[str | None, str]]
"""Default (None: it must be given) and meaning of each argument."""

COMPRESSED = "/compressed"
"""How image_transport ends the names of topics of compressed images."""

TRANSPORT_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
TRANSPORTS = {"default": "", "large_data": "LARGE_DATA", "udp": "UDPv4"}

TRANSPORT: Arguments = {
    "transport": (
        "default",
        "Transport of Fast DDS for what is launched: default, large_data or udp. All processes and "
        "machines that talk to each other need the same; default leaves the environment as it is.",
    ),
}

NODE_PARAMETERS: Arguments = {
    name: ("", f"Parameter of the node: {parameter.text}") for name, parameter in PARAMETERS.items()
}
"""Every parameter of the node; empty leaves it to the parameter file."""

FILTER: Arguments = {
    "motion": (
        "drives",
        "What the filter must follow: drives (a robot) or carried (a hand, a leg).",
    ),
    "ekf_file": ("", "YAML of robot_localization instead of those of the package."),
    "camera_frame": (
        "",
        "Body frame of the camera (x forward), to publish its place on the robot; empty where a "
        "robot description does.",
    ),
    "camera_xyz": ("0 0 0", "Place of camera_frame in base_frame, metres."),
    "camera_rpy": ("0 0 0", "Roll, pitch, yaw of camera_frame in base_frame, radians."),
    # The node calls it when a bag begins anew.
    "filter_reset_service": ("reset", NODE_PARAMETERS["filter_reset_service"][1]),
}
"""Arguments of the filter; base_frame is a parameter of the node and holds for both."""

MOTIONS = {"drives": ["ekf.yaml"], "carried": ["ekf.yaml", "ekf_carried.yaml"]}


@dataclass(frozen=True)
class Driver:
    """What is known of a camera's driver: its topics, and parameters of the node.

    Attributes:
        topics: by name, image, camera_info and exposure; without exposure, a generic one.
        parameters: of the node, in their types.
    """

    topics: Mapping[str, str]
    parameters: Mapping[str, Any]


DRIVERS = {
    "any": Driver(
        {
            "image": "/camera/image_raw",
            "camera_info": "/camera/camera_info",
            "exposure": "/camera/metadata",
        },
        {},
    ),
    # The left infrared stream: a global shutter, and metadata that follow auto-exposure. The stamp
    # is of the first data on the wire, which come when the exposure is over.
    "realsense": Driver(
        {
            "image": "/camera/camera/infra1/image_rect_raw",
            "camera_info": "/camera/camera/infra1/camera_info",
            "exposure": "/camera/camera/infra1/metadata",
        },
        {
            "rectified": True,
            "exposure_source": "metadata_json",
            "exposure_unit": "us",
            "stamp_reference": "end",
        },
    ),
    # The left mono camera; its exposure is not a message.
    "oak": Driver(
        {"image": "/oak/left/image_raw", "camera_info": "/oak/left/camera_info"},
        {"stamp_reference": "end"},
    ),
    # Stamps are of the start of the exposure of the first row.
    "libcamera": Driver(
        {
            "image": "/camera/image_raw",
            "camera_info": "/camera/camera_info",
            "exposure": "/diagnostics",
        },
        {"exposure_source": "diagnostics", "stamp_reference": "start"},
    ),
    # Stamps are of the arrival of an image, whose exposure is over.
    "flir": Driver(
        {
            "image": "/flir_camera/image_raw",
            "camera_info": "/flir_camera/camera_info",
            "exposure": "/flir_camera/meta",
        },
        {"exposure_source": "flir", "stamp_reference": "end"},
    ),
    # V4L2 stamps the first data of an image, which come when the exposure is over.
    "usb_cam": Driver(
        {"image": "/image_raw", "camera_info": "/camera_info"}, {"stamp_reference": "end"}
    ),
}
"""By the name that argument camera takes."""

CAMERA: Arguments = {
    "camera": (
        "any",
        "Driver whose topics, exposure and timestamps are taken where they are not given: "
        + ", ".join(DRIVERS)
        + ".",
    ),
    "image": (
        "",
        "Image topic; image/compressed follows it, and a name that ends so asks for it. Empty "
        "takes that of camera.",
    ),
    "camera_info": (
        "",
        "Calibration topic of the camera. Empty takes the one beside image where that is given, "
        "else that of camera.",
    ),
    "exposure": ("", "Exposure topic, where exposure_source is one. Empty takes that of camera."),
}


def declarations(*tables: Arguments) -> list[Any]:
    """Return the actions that declare the arguments; of two of one name the first holds."""
    found: dict[str, tuple[str | None, str]] = {}
    for table in tables:
        found = {**table, **found}
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in found.items()
    ]


def shared_file(*parts: str) -> str:
    """Return the path of a file that is installed with the package."""
    return str(Path(get_package_share_directory("blur_imu_ros"), *parts))


def camera_node(**arguments: str) -> Any:
    """Return the action that includes blur_imu.launch.py; its other arguments are its own."""
    source = PythonLaunchDescriptionSource(shared_file("launch", "blur_imu.launch.py"))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def camera_of(driver: str) -> list[Any]:
    """Return the actions of blur_imu.launch.py with another default of the argument camera."""
    # Declared first, so it holds; the command line holds over it.
    return [*declarations({"camera": (driver, CAMERA["camera"][1])}), camera_node()]


class Given:
    """The values of arguments while a launch runs; RuntimeError names one that is wrong."""

    def __init__(self, context: Any) -> None:
        """Read from a launch context."""
        self._context = context

    def text(self, name: str) -> str:
        """Return an argument as it was given."""
        return str(LaunchConfiguration(name).perform(self._context))

    def flag(self, name: str) -> bool:
        """Return a true or false."""
        given = self.text(name).lower()
        if given not in ("true", "false"):
            raise RuntimeError(f"argument {name}:={given} is neither true nor false")
        return given == "true"

    def seconds(self, name: str) -> float:
        """Return a number of seconds."""
        given = self.text(name)
        try:
            return float(given)
        except ValueError as error:
            raise RuntimeError(f"argument {name}:={given} is not a number of seconds") from error

    def one_of(self, name: str, choices: Mapping[str, Any]) -> Any:
        """Return what a word stands for."""
        given = self.text(name)
        if given not in choices:
            raise RuntimeError(f"argument {name}:={given} is not one of {', '.join(choices)}")
        return choices[given]

    @property
    def driver(self) -> Driver:
        """What is known of the camera's driver."""
        driver: Driver = self.one_of("camera", DRIVERS)
        return driver

    def topic(self, name: str) -> str:
        """Return the topic of image, camera_info or exposure."""
        given, image = self.text(name), self.text("image").removesuffix(COMPRESSED)
        if name == "image" and image:
            return image
        if name == "camera_info" and image and not given:
            return info_topics(image)[0]
        return given or {**DRIVERS["any"].topics, **self.driver.topics}[name]

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the node that were given, in their types."""
        found = {}
        for name in NODE_PARAMETERS:
            if self.text(name):
                found[name] = self._typed(name)
        if self.text("image").endswith(COMPRESSED):
            found.setdefault("image_transport", "compressed")
        return found

    def _typed(self, name: str) -> Any:
        default, given = PARAMETERS[name].default, self.text(name)
        if isinstance(default, bool):
            return self.flag(name)
        if isinstance(default, str):
            # As it is: `on` and 1.0 may be names.
            return ParameterValue(given, value_type=str)
        kind = {int: "a whole number", float: "a number", list: "a list of numbers"}[type(default)]
        try:
            if isinstance(default, list):
                return [float(x) for x in yaml.safe_load(given)]
            return type(default)(given)
        except (TypeError, ValueError, yaml.YAMLError) as error:
            raise RuntimeError(f"argument {name}:={given} is not {kind}") from error


def transport_of(context: Any) -> list[Any]:
    """Return the action that sets the transport, where one is asked for."""
    wanted = Given(context).one_of("transport", TRANSPORTS)
    if not wanted:
        return []
    before = os.environ.get(TRANSPORT_VARIABLE, "")
    message = f"{TRANSPORT_VARIABLE}={wanted}: whoever talks to these nodes needs it, too"
    if before not in ("", wanted):
        message += f"; the environment says {before}"
    return [LogInfo(msg=message), SetEnvironmentVariable(TRANSPORT_VARIABLE, wanted)]


def transport_actions() -> list[Any]:
    """Return what declares and sets the transport."""
    return [*declarations(TRANSPORT), OpaqueFunction(function=transport_of)]


def installed(package: str) -> None:
    """Raise RuntimeError if a package of ROS is not installed."""
    try:
        get_package_share_directory(package)
    except LookupError as error:
        name = package.replace("_", "-")
        raise RuntimeError(
            f"{package} is not installed: sudo apt install ros-$ROS_DISTRO-{name}"
        ) from error


def check_filter(context: Any) -> list[Any]:
    """Raise RuntimeError if the filter cannot start; before the node does, or that would be left
    running."""
    given = Given(context)
    given.one_of("motion", MOTIONS)
    installed("robot_localization")
    if given.text("camera_frame"):
        _place_values(given)
        installed("tf2_ros")
    return []


def filter_nodes(context: Any) -> list[Node]:
    """Return the filter of robot_localization, and the camera's place where it is given."""
    given = Given(context)
    shipped = given.one_of("motion", MOTIONS)
    own = given.text("ekf_file")
    base_frame = given.text("base_frame")
    frames = {"base_link_frame": ParameterValue(base_frame, value_type=str)} if base_frame else {}
    ekf = Node(
        package="robot_localization",
        executable="ekf_node",
        name="ekf_filter_node",
        namespace=given.text("namespace"),
        output="screen",
        parameters=[
            *([own] if own else [shared_file("config", name) for name in shipped]),
            {"use_sim_time": given.flag("use_sim_time"), **frames},
        ],
    )
    return [ekf, *([_place(given)] if given.text("camera_frame") else [])]


def _place_values(given: Given) -> list[str]:
    """Return x, y, z, roll, pitch, yaw as they were given."""
    values = [*given.text("camera_xyz").split(), *given.text("camera_rpy").split()]
    if len(values) != 6:
        raise RuntimeError("camera_xyz and camera_rpy take three numbers each, as '0.1 0 0.2'")
    return values


def _place(given: Given) -> Node:
    values = _place_values(given)
    names = ("--x", "--y", "--z", "--roll", "--pitch", "--yaw")
    arguments = [part for pair in zip(names, values, strict=True) for part in pair]
    base_frame = given.text("base_frame") or str(PARAMETERS["base_frame"].default)
    frames = ["--frame-id", base_frame, "--child-frame-id", given.text("camera_frame")]
    return Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        arguments=[*arguments, *frames],
    )
