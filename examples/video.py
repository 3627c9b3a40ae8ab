"""Velocity in every frame of a video: python examples/video.py walk.mp4 camera.yaml 0.010

A folder of images works as well. The exposure time is in seconds.
"""

from __future__ import annotations

import sys

from blur_imu_ros import FrameSettings, VisualImu, load_camera, load_network, open_recording


def main(path: str, camera: str, exposure_time: str) -> None:
    """Print time and angular velocity of every frame that can be used."""
    settings = FrameSettings(exposure_time=float(exposure_time), camera=load_camera(camera))
    recording = open_recording(path, settings)
    print("t [s]      wx     wy     wz [rad/s], camera axes (x right, y down, z forward)")
    for measurement in VisualImu(load_network()).track(recording):
        estimate = measurement.estimate
        if estimate.valid:
            wx, wy, wz = estimate.angular_velocity
            print(f"{estimate.t:7.3f} {wx:6.2f} {wy:6.2f} {wz:6.2f}")
        else:
            print(f"{estimate.t:7.3f} {'; '.join(estimate.reasons)}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
