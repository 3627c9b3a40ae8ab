"""Camera and extended Kalman filter: `ros2 launch blur_imu_ros fusion.launch.py exposure_time:=0.01`.

The arguments of blur_imu.launch.py are taken, too. Needs robot_localization, and tf2_ros for
camera_frame.
"""

from __future__ import annotations

from typing import Any

from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from blur_imu_ros.ros.launching import Given, camera_node, declarations, shared_file
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


def generate_launch_description() -> LaunchDescription:
    """Return the node, the filter, and the place of the camera where it is given."""
    # The filter comes after the node, whose launch file declares namespace and use_sim_time.
    return LaunchDescription(
        [*declarations(ARGUMENTS), camera_node(), OpaqueFunction(function=_filter)]
    )


def _filter(context: Any) -> list[Node]:
    given = Given(context)
    ekf = Node(
        package="robot_localization",
        executable="ekf_node",
        name="ekf_filter_node",
        namespace=given.text("namespace"),
        output="screen",
        parameters=[
            given.text("ekf_file") or shared_file("config", "ekf.yaml"),
            {"use_sim_time": given.flag("use_sim_time")},
        ],
    )
    return [ekf, *([_place(given)] if given.text("camera_frame") else [])]


def _place(given: Given) -> Node:
    values = [*given.text("camera_xyz").split(), *given.text("camera_rpy").split()]
    if len(values) != 6:
        raise RuntimeError("camera_xyz and camera_rpy take three numbers each, as '0.1 0 0.2'")
    names = ("--x", "--y", "--z", "--roll", "--pitch", "--yaw")
    arguments = [part for pair in zip(names, values, strict=True) for part in pair]
    frames = [
        "--frame-id",
        given.text("base_frame"),
        "--child-frame-id",
        given.text("camera_frame"),
    ]
    return Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        arguments=[*arguments, *frames],
    )
