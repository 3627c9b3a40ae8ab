"""Several cameras in one process: `ros2 launch blur_imu_ros cameras.launch.py cameras:='left
right'`.

The node of each camera has the camera's name for its namespace; parameters of one of them go into
params_file under its name, as `/left/blur_imu:`.
"""

from __future__ import annotations

from typing import Any

from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from blur_imu_ros.recordings.camera_info import info_topics
from blur_imu_ros.ros.launching import (
    COMPRESSED,
    NODE_PARAMETERS,
    Given,
    declarations,
    shared_file,
    transport_actions,
)
from launch import LaunchDescription

ARGUMENTS = {
    "cameras": ("left right", "Names of the cameras, which are the namespaces of their nodes."),
    "image": ("/{camera}/image_raw", "Image topic, with {camera} for the name."),
    "camera_info": (
        "",
        "Calibration topic, with {camera} for the name; empty takes the one beside image.",
    ),
    "exposure": ("/{camera}/metadata", "Exposure topic, with {camera} for the name."),
    "params_file": ("", "YAML of parameters; empty uses the package's config/blur_imu.yaml."),
    "use_sim_time": ("false", "Follow /clock: true or false."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the process."""
    declared = declarations(ARGUMENTS, NODE_PARAMETERS)
    return LaunchDescription([*declared, *transport_actions(), OpaqueFunction(function=_process)])


def _process(context: Any) -> list[Node]:
    given = Given(context)
    cameras = given.text("cameras").split()
    if not cameras:
        raise RuntimeError("argument cameras:= names no camera")
    return [
        Node(
            package="blur_imu_ros",
            executable="blur_imu_node",
            output="screen",
            arguments=["--cameras", *cameras],
            parameters=[
                given.text("params_file") or shared_file("config", "blur_imu.yaml"),
                {"use_sim_time": given.flag("use_sim_time")} | given.parameters(),
            ],
            remappings=[pair for camera in cameras for pair in _topics(given, camera)],
        )
    ]


def _topics(given: Given, camera: str) -> list[tuple[str, str]]:
    topics = {name: given.text(name) for name in ("image", "camera_info", "exposure")}
    topics["image"] = topics["image"].removesuffix(COMPRESSED)
    topics["image/compressed"] = topics["image"] + COMPRESSED
    topics["camera_info"] = topics["camera_info"] or info_topics(topics["image"])[0]
    return [
        (f"/{camera}/{name}", topic.replace("{camera}", camera)) for name, topic in topics.items()
    ]
