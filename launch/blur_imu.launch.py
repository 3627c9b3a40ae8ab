"""Velocity from a camera: `ros2 launch blur_imu_ros blur_imu.launch.py image:=/camera/image_raw`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchDescription

ARGUMENTS = {
    "image": ("/camera/image_raw", "Image topic; image/compressed follows it."),
    "camera_info": ("/camera/camera_info", "Calibration topic of the camera."),
    "exposure": ("/camera/metadata", "Exposure topic, where exposure_source is one."),
    "exposure_source": ("", "fixed, or the kind of the exposure topic; docs/ROS.md lists them."),
    "exposure_unit": ("", "Unit of the exposure topic: auto, s, ms, us or 100us."),
    "exposure_time": ("", "Exposure time in seconds, where it is fixed."),
    "params_file": ("", "YAML of parameters; empty uses the package's config/blur_imu.yaml."),
    "namespace": ("", "Namespace of the node."),
    "use_sim_time": ("false", "Follow /clock: true or false."),
    "respawn": ("false", "Start the node again if it dies: true or false."),
    "rviz": ("false", "Show the smear and the depth that the node sees in RViz: true or false."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the node with its topics."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=value, description=text)
                for name, (value, text) in ARGUMENTS.items()
            ),
            # Fast DDS' default transport loses most images between processes.
            SetEnvironmentVariable("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA"),
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: Any) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    share = Path(get_package_share_directory("blur_imu_ros"))
    use_sim_time = given["use_sim_time"].lower() == "true"
    camera = LifecycleNode(
        package="blur_imu_ros",
        executable="blur_imu_node",
        name="blur_imu",
        namespace=given["namespace"],
        output="screen",
        respawn=given["respawn"].lower() == "true",
        respawn_delay=2.0,
        parameters=[
            given["params_file"] or str(share / "config" / "blur_imu.yaml"),
            {"use_sim_time": use_sim_time} | _parameters(given),
        ],
        remappings=[
            ("image", given["image"]),
            ("image/compressed", given["image"] + "/compressed"),
            ("camera_info", given["camera_info"]),
            ("exposure", given["exposure"]),
        ],
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(share / "rviz" / "blur_imu.rviz")],
        parameters=[{"use_sim_time": use_sim_time}],
    )
    return [camera, rviz] if given["rviz"].lower() == "true" else [camera]


def _parameters(given: dict[str, str]) -> dict[str, Any]:
    """Return what overrides the file: only arguments that were given, or the file would be mute."""
    parameters: dict[str, Any] = {}
    for name in ("exposure_source", "exposure_unit"):
        if given[name]:
            parameters[name] = given[name]
    if given["exposure_time"]:
        try:
            parameters["exposure_time"] = float(given["exposure_time"])
        except ValueError as error:
            raise RuntimeError(
                f"argument exposure_time:={given['exposure_time']} is not a number of seconds"
            ) from error
    return parameters
