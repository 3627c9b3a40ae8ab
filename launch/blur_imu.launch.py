"""Velocity from a camera: `ros2 launch blur_imu_ros blur_imu.launch.py
image:=/camera/image_raw`."""

from __future__ import annotations

from typing import Any

from launch.actions import OpaqueFunction
from launch_ros.actions import LifecycleNode, Node

from blur_imu_ros.ros.launching import (
    CAMERA,
    COMPRESSED,
    NODE_PARAMETERS,
    Given,
    declarations,
    shared_file,
    transport_actions,
)
from launch import LaunchDescription

ARGUMENTS = {
    "params_file": ("", "YAML of parameters; empty uses the package's config/blur_imu.yaml."),
    "namespace": ("", "Namespace of the node."),
    "use_sim_time": ("false", "Follow /clock: true or false."),
    "respawn": ("false", "Start the node again if it dies: true or false."),
    "rviz": ("false", "Show the motion blur and the depth that the node sees: true or false."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the node with its topics."""
    declared = declarations(CAMERA, ARGUMENTS, NODE_PARAMETERS)
    return LaunchDescription([*declared, *transport_actions(), OpaqueFunction(function=_nodes)])


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
        parameters=[*_files(given), {"use_sim_time": use_sim_time} | given.parameters()],
        remappings=[
            ("image", given.topic("image")),
            ("image/compressed", given.topic("image") + COMPRESSED),
            ("camera_info", given.topic("camera_info")),
            ("exposure", given.topic("exposure")),
        ],
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", shared_file("rviz", "blur_imu.rviz")],
        parameters=[{"use_sim_time": use_sim_time}],
    )
    return [camera, rviz] if given.flag("rviz") else [camera]


def _files(given: Given) -> list[Any]:
    """Return the parameters that arguments overrule: what is known of the camera, and the file."""
    known, own = dict(given.driver.parameters), given.text("params_file")
    # A file of the user's knows better than we do.
    files = [known, own] if own else [shared_file("config", "blur_imu.yaml"), known]
    return [each for each in files if each]
