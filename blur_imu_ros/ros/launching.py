"""What the launch files share: arguments that are declared in a table and read as what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

Arguments = Mapping[str, tuple[str | None, str]]
"""Default (None: it must be given) and meaning of each argument."""


def declarations(arguments: Arguments) -> list[Any]:
    """Return the actions that declare the arguments."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]


def shared_file(*parts: str) -> str:
    """Return the path of a file that is installed with the package."""
    return str(Path(get_package_share_directory("blur_imu_ros"), *parts))


def camera_node(**arguments: str) -> Any:
    """Return the action that includes blur_imu.launch.py; its other arguments are its own."""
    source = PythonLaunchDescriptionSource(shared_file("launch", "blur_imu.launch.py"))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


class Given:
    """The values of arguments while a launch runs; RuntimeError names one that is wrong."""

    def __init__(self, context: Any) -> None:
        """Read from a launch context."""
        self._context = context

    def text(self, name: str) -> str:
        """Return an argument as it was given."""
        return str(LaunchConfiguration(name).perform(self._context))

    def flag(self, name: str) -> bool:
        """Return a true or false."""
        given = self.text(name).lower()
        if given not in ("true", "false"):
            raise RuntimeError(f"argument {name}:={given} is neither true nor false")
        return given == "true"

    def seconds(self, name: str) -> float:
        """Return a number of seconds."""
        given = self.text(name)
        try:
            return float(given)
        except ValueError as error:
            raise RuntimeError(f"argument {name}:={given} is not a number of seconds") from error
