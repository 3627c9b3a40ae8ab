"""Velocity from a bag: `ros2 launch blur_imu_ros replay.launch.py bag:=/path/to/bag`.

The arguments of blur_imu.launch.py are taken, too. Needs ros2bag, and rqt_plot for plot.
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
from launch_ros.actions import Node

from launch import LaunchDescription

ARGUMENTS = {
    "bag": (None, "Bag to play: a folder of rosbag2, or an .mcap file."),
    "rate": ("1.0", "Speed of the player."),
    "loop": ("false", "Play again and again: true or false."),
    "delay": ("5.0", "Seconds before the player starts, for the node to load its model."),
    "plot": ("false", "Plot the angular velocity with rqt_plot: true or false."),
}
PLOTTED = "imu_visual/data_raw/angular_velocity/x:y:z"


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


def _player(context: Any) -> list[TimerAction | Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    command = ["ros2", "bag", "play", given["bag"], "--clock", "--rate", given["rate"]]
    if given["loop"].lower() == "true":
        command.append("--loop")
    play = ExecuteProcess(cmd=command, output="screen", on_exit=Shutdown(reason="the bag is over"))
    player = TimerAction(period=_delay(given["delay"]), actions=[play])
    if given["plot"].lower() != "true":
        return [player]
    namespace = LaunchConfiguration("namespace").perform(context).strip("/")
    topic = f"/{namespace}/{PLOTTED}" if namespace else f"/{PLOTTED}"
    return [player, Node(package="rqt_plot", executable="rqt_plot", arguments=[topic])]


def _delay(given: str) -> float:
    try:
        return float(given)
    except ValueError as error:
        raise RuntimeError(f"argument delay:={given} is not a number of seconds") from error
