"""The command line `blur-imu`: the application, and one file a command."""

from __future__ import annotations


def main() -> None:
    """Run the command line: exit 0 when done, 1 on bad input with one line, 2 on wrong usage."""
    from blur_imu_ros.cli.entry import main as run

    run()
