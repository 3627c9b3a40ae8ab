"""Velocity from a bag: `ros2 launch blur_imu_ros replay.launch.py bag:=/path/to/bag`.

The arguments of blur_imu.launch.py are taken, too. Needs ros2bag.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

ARGUMENTS = {
    "bag": (None, "Bag to play: a folder of rosbag2, or an .mcap file."),
    "rate": ("1.0", "Speed of the player."),
    "loop": ("false", "Play again and again: true or false."),
    "delay": ("5.0", "Seconds before the player starts, for the node to load its model."),
}


def generate_launch_description() -> LaunchDescription:
    """Return the node on the bag's clock, and the player."""
    share = Path(get_package_share_directory("blur_imu_ros"))
    node = PythonLaunchDescriptionSource(str(share / "launch" / "blur_imu.launch.py"))
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=value, description=text)
                for name, (value, text) in ARGUMENTS.items()
            ),
            IncludeLaunchDescription(node, launch_arguments={"use_sim_time": "true"}.items()),
            OpaqueFunction(function=_player),
        ]
    )


def _player(context: Any) -> list[TimerAction]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    command = ["ros2", "bag", "play", given["bag"], "--clock", "--rate", given["rate"]]
    if given["loop"].lower() == "true":
        command.append("--loop")
    play = ExecuteProcess(cmd=command, output="screen", on_exit=Shutdown(reason="the bag is over"))
    return [TimerAction(period=float(given["delay"]), actions=[play])]
