"""Velocity from a bag: `ros2 launch blur_imu_ros replay.launch.py bag:=/path/to/bag`.

The arguments of blur_imu.launch.py are taken, too, and with fusion:=true those of fusion.launch.py.
Needs ros2bag, and rqt_plot for plot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.actions import ExecuteProcess, OpaqueFunction, Shutdown
from launch_ros.actions import Node

from blur_imu_ros.ros.launching import (
    FILTER,
    Given,
    camera_node,
    check_filter,
    declarations,
    filter_nodes,
    installed,
)
from launch import LaunchDescription

ARGUMENTS = {
    "bag": (None, "Bag to play: a folder of rosbag2, or an .mcap file."),
    "rate": ("1.0", "Speed of the player."),
    "loop": ("false", "Play again and again: true or false."),
    "delay": (
        "8.0",
        "Seconds that the player waits before the first message, for the node to load its model "
        "and for both to find each other; a large model on a GPU may need more. With loop, it "
        "waits before every turn.",
    ),
    "fusion": ("false", "Start the filter of fusion.launch.py, too: true or false."),
    "plot": ("false", "Plot the angular velocity with rqt_plot: true or false."),
}
PLOTTED = "imu_visual/data_raw/angular_velocity/x:y:z"


def generate_launch_description() -> LaunchDescription:
    """Return the node on the bag's clock, and the player."""
    node = camera_node(use_sim_time="true")
    declared = declarations(ARGUMENTS, FILTER)
    check, player = OpaqueFunction(function=_check), OpaqueFunction(function=_player)
    return LaunchDescription([*declared, check, node, player])


def _check(context: Any) -> list[Any]:
    """Raise RuntimeError for what cannot be played, before the node starts: it would be left
    running."""
    given = Given(context)
    if not _bag(given).exists():
        raise RuntimeError(f"argument bag:={_bag(given)} does not exist")
    given.seconds("delay")
    given.flag("loop")
    installed("ros2bag")
    if given.flag("plot"):
        installed("rqt_plot")
    return check_filter(context) if given.flag("fusion") else []


def _bag(given: Given) -> Path:
    return Path(given.text("bag")).expanduser()


def _player(context: Any) -> list[Any]:
    given = Given(context)
    # The player's own delay: its publishers are there at once, and are found before the first
    # image.
    delay = str(given.seconds("delay"))
    command = ["ros2", "bag", "play", str(_bag(given)), "--clock", "--rate", given.text("rate")]
    command += ["--delay", delay, *(["--loop"] if given.flag("loop") else [])]
    play = ExecuteProcess(cmd=command, output="screen", on_exit=_after)
    started: list[Any] = filter_nodes(context) if given.flag("fusion") else []
    return [*started, play, *([_plot(given)] if given.flag("plot") else [])]


def _after(event: Any, context: Any) -> list[Any]:
    """Return the end of the launch when the bag is over; after Ctrl-C a second one would fail."""
    return [] if context.is_shutdown else [Shutdown(reason="the bag is over")]


def _plot(given: Given) -> Node:
    namespace = given.text("namespace").strip("/")
    topic = f"/{namespace}/{PLOTTED}" if namespace else f"/{PLOTTED}"
    return Node(package="rqt_plot", executable="rqt_plot", arguments=[topic])
