"""Velocity from a bag, without ROS: python examples/bag.py drive.mcap 0.010 [topic]

The bag holds the images and their camera_info. The result lies in body axes (x forward, y left,
z up; REP-103), as the ROS node publishes it.
"""

from __future__ import annotations

import sys

from blur_imu_ros import FrameSettings, VisualImu, load_network, open_recording
from blur_imu_ros.choices import Axes
from blur_imu_ros.core.axes import express


def main(path: str, exposure_time: str, topic: str | None = None) -> None:
    """Print yaw rate and forward speed, where they are known."""
    recording = open_recording(path, FrameSettings(exposure_time=float(exposure_time), topic=topic))
    for measurement in VisualImu(load_network()).track(recording):
        estimate = express(measurement.estimate, Axes.BODY)
        if estimate.valid:
            yaw, forward = estimate.angular_velocity[2], estimate.linear_velocity[0]
            print(
                f"{estimate.t:.3f} s: yaw {yaw:+.2f} rad/s (left is +), forward {forward:+.2f} m/s"
            )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
