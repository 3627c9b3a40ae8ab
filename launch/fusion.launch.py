"""Camera and extended Kalman filter: `ros2 launch blur_imu_ros fusion.launch.py exposure_time:=0.01`.

The arguments of blur_imu.launch.py are taken, too. Needs robot_localization, and tf2_ros for
camera_frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

ARGUMENTS = {
    "ekf_file": ("", "YAML of robot_localization; empty uses the package's config/ekf.yaml."),
    "base_frame": ("base_link", "Frame of the robot, for camera_frame."),
    "camera_frame": (
        "",
        "Body frame of the camera (x forward), to publish its place on the robot; empty where a "
        "robot description does.",
    ),
    "camera_xyz": ("0 0 0", "Place of camera_frame in base_frame, metres."),
    "camera_rpy": ("0 0 0", "Roll, pitch, yaw of camera_frame in base_frame, radians."),
}
SHARED = ("namespace", "use_sim_time")
"""Arguments of blur_imu.launch.py that hold for the filter, too."""


def generate_launch_description() -> LaunchDescription:
    """Return the node, the filter, and the place of the camera where it is given."""
    share = Path(get_package_share_directory("blur_imu_ros"))
    node = PythonLaunchDescriptionSource(str(share / "launch" / "blur_imu.launch.py"))
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=value, description=text)
                for name, (value, text) in ARGUMENTS.items()
            ),
            IncludeLaunchDescription(node),
            # After it: the node's launch file declares the arguments that are shared.
            OpaqueFunction(function=_filter),
        ]
    )


def _filter(context: Any) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in (*ARGUMENTS, *SHARED)}
    share = Path(get_package_share_directory("blur_imu_ros"))
    ekf = Node(
        package="robot_localization",
        executable="ekf_node",
        name="ekf_filter_node",
        namespace=given["namespace"],
        output="screen",
        parameters=[
            given["ekf_file"] or str(share / "config" / "ekf.yaml"),
            {"use_sim_time": given["use_sim_time"].lower() == "true"},
        ],
    )
    return [ekf, *([_place(given)] if given["camera_frame"] else [])]


def _place(given: dict[str, str]) -> Node:
    values = [*given["camera_xyz"].split(), *given["camera_rpy"].split()]
    if len(values) != 6:
        raise RuntimeError("camera_xyz and camera_rpy take three numbers each, as '0.1 0 0.2'")
    names = ("--x", "--y", "--z", "--roll", "--pitch", "--yaw")
    arguments = [part for pair in zip(names, values, strict=True) for part in pair]
    frames = ["--frame-id", given["base_frame"], "--child-frame-id", given["camera_frame"]]
    return Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        arguments=[*arguments, *frames],
    )
