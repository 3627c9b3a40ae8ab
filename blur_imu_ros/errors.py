"""Errors that tell a user which input is wrong and how to cure it."""

from __future__ import annotations


class BlurImuError(Exception):
    """Base of every error raised for outside input; its text is one line for a person."""


class CameraError(BlurImuError):
    """A camera calibration that cannot be used."""


class FrameError(BlurImuError):
    """An image, stamp or exposure time that cannot be used."""


class ModelError(BlurImuError):
    """A model file or card that is missing, damaged or of another interface."""


class RecordingError(BlurImuError):
    """A recording (folder, video, bag, CSV) that cannot be read or written."""


class RosSetupError(BlurImuError):
    """A ROS parameter, message or installation that cannot be used."""


class SettingsError(BlurImuError):
    """A file of settings that cannot be used."""


class TrainingError(BlurImuError):
    """A recipe, data set or run that cannot be trained with."""


def install_hint(extra: str) -> str:
    """Return how to get what is optional: the package is on no index, so from its checkout."""
    return f"in the checkout of blur_imu_ros: pip install '.[{extra}]'"
