"""Velocity from one blurred photo: python examples/one_image.py photo.jpg 0.010 1433

The arguments are the photo, its exposure time in seconds, and its focal length in pixels. One image
does not tell the sign: the opposite motion leaves the same blur.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

from blur_imu_ros import Camera, Frame, VisualImu, load_network


def main(path: str, exposure_time: str, focal_length: str) -> None:
    """Print the two motions that leave this blur, with their standard deviations."""
    image = cv2.imread(path)
    if image is None:
        sys.exit(f"{path}: is not an image that OpenCV reads")
    height, width = image.shape[:2]
    focal = float(focal_length)
    camera = Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    frame = Frame(
        np.asarray(image, np.uint8),
        t=0.0,
        exposure_time=float(exposure_time),
        camera=camera,
        name=path,
    )
    estimate = VisualImu(load_network()).measure(frame).estimate
    if not estimate.valid:
        sys.exit(f"{path}: {'; '.join(estimate.reasons)}")
    axes = ("x (right)", "y (down)", "z (forward)")
    for axis, rate, sigma in zip(axes, estimate.angular_velocity, estimate.sigma[:3], strict=True):
        print(f"+/- angular velocity about {axis}: {rate:6.2f} rad/s, sigma {sigma:.2f}")
    for axis, speed, sigma in zip(axes, estimate.linear_velocity, estimate.sigma[3:], strict=True):
        print(f"+/- linear velocity along {axis}: {speed:6.2f} m/s, sigma {sigma:.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
