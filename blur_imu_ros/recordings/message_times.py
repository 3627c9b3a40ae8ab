"""Times in messages of ROS 1 and 2, and of Foxglove, as seconds."""

from __future__ import annotations

from typing import Any


def seconds(time: Any) -> float:
    """Return a time or duration, which has sec and nanosec, in seconds."""
    return float(time.sec) + 1e-9 * float(time.nanosec)


def stamp_of(message: Any) -> float:
    """Return a message's stamp, seconds: that of its header, or Foxglove's."""
    return seconds(message.timestamp if hasattr(message, "timestamp") else message.header.stamp)
