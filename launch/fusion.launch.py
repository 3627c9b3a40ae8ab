"""Camera and extended Kalman filter: `ros2 launch blur_imu_ros fusion.launch.py
exposure_time:=0.01`.

The arguments of blur_imu.launch.py are taken, too; base_frame holds for node, filter and the
camera's place. Needs robot_localization, and tf2_ros for camera_frame.
"""

from __future__ import annotations

from launch.actions import OpaqueFunction

from blur_imu_ros.ros.launching import (
    FILTER,
    camera_node,
    check_filter,
    declarations,
    filter_nodes,
)
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return the node, the filter, and the place of the camera where it is given."""
    # The filter comes after the node, whose launch file declares namespace and use_sim_time.
    check, filter_too = (OpaqueFunction(function=each) for each in (check_filter, filter_nodes))
    return LaunchDescription([*declarations(FILTER), check, camera_node(), filter_too])
