"""Velocity from a bag: `ros2 launch blur_imu_ros replay.launch.py bag:=/path/to/bag`.

The arguments of blur_imu.launch.py are taken, too. Needs ros2bag, and rqt_plot for plot.
"""

from __future__ import annotations

from typing import Any

from launch.actions import ExecuteProcess, OpaqueFunction, Shutdown, TimerAction
from launch_ros.actions import Node

from blur_imu_ros.ros.launching import Given, camera_node, declarations
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
    node = camera_node(use_sim_time="true")
    return LaunchDescription([*declarations(ARGUMENTS), node, OpaqueFunction(function=_player)])


def _player(context: Any) -> list[Any]:
    given = Given(context)
    command = ["ros2", "bag", "play", given.text("bag"), "--clock", "--rate", given.text("rate")]
    if given.flag("loop"):
        command.append("--loop")
    play = ExecuteProcess(cmd=command, output="screen", on_exit=Shutdown(reason="the bag is over"))
    player = TimerAction(period=given.seconds("delay"), actions=[play])
    return [player, _plot(given)] if given.flag("plot") else [player]


def _plot(given: Given) -> Node:
    namespace = given.text("namespace").strip("/")
    topic = f"/{namespace}/{PLOTTED}" if namespace else f"/{PLOTTED}"
    return Node(package="rqt_plot", executable="rqt_plot", arguments=[topic])
