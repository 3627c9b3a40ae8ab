"""A camera that is also an IMU: velocity from the blur of a single image."""

__version__ = "0.1.0"
