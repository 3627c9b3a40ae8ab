"""USB cameras (usb_cam): switch auto-exposure off and give exposure_time (100 of V4L2 is 0.01)."""

from __future__ import annotations

from blur_imu_ros.ros.launching import camera_of
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return blur_imu.launch.py for this camera; its arguments are taken, too."""
    return LaunchDescription(camera_of("usb_cam"))
