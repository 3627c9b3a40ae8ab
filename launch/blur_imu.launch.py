"""Velocity from a camera: `ros2 launch blur_imu_ros blur_imu.launch.py image:=/camera/image_raw`."""

from __future__ import annotations

from typing import Any

from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import LifecycleNode, Node

from blur_imu_ros.ros.launching import Given, declarations, shared_file
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
    # Fast DDS' default transport loses most images between processes.
    transport = SetEnvironmentVariable("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    return LaunchDescription([*declarations(ARGUMENTS), transport, OpaqueFunction(function=_nodes)])


def _nodes(context: Any) -> list[Node]:
    given = Given(context)
    use_sim_time = given.flag("use_sim_time")
    camera = LifecycleNode(
        package="blur_imu_ros",
        executable="blur_imu_node",
        name="blur_imu",
        namespace=given.text("namespace"),
        output="screen",
        respawn=given.flag("respawn"),
        respawn_delay=2.0,
        parameters=[
            given.text("params_file") or shared_file("config", "blur_imu.yaml"),
            {"use_sim_time": use_sim_time} | _parameters(given),
        ],
        remappings=[
            ("image", given.text("image")),
            ("image/compressed", given.text("image") + "/compressed"),
            ("camera_info", given.text("camera_info")),
            ("exposure", given.text("exposure")),
        ],
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", shared_file("rviz", "blur_imu.rviz")],
        parameters=[{"use_sim_time": use_sim_time}],
    )
    return [camera, rviz] if given.flag("rviz") else [camera]


def _parameters(given: Given) -> dict[str, Any]:
    """Return what overrides the file: only arguments that were given, or the file would be mute."""
    names = ("exposure_source", "exposure_unit")
    parameters: dict[str, Any] = {name: given.text(name) for name in names if given.text(name)}
    if given.text("exposure_time"):
        parameters["exposure_time"] = given.seconds("exposure_time")
    return parameters
