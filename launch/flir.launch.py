"""FLIR (spinnaker_camera_driver), which publishes the exposure of each image on its topic meta."""

from __future__ import annotations

from blur_imu_ros.ros.launching import camera_of
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return blur_imu.launch.py for this camera; its arguments are taken, too."""
    return LaunchDescription(camera_of("flir"))
