"""Errors that name the wrong input and the cure."""

from __future__ import annotations

from typing import TypeVar

_N = TypeVar("_N", bound="Note")


class BlurImuError(Exception):
    """Base of all errors about input; the text is one line for the user.

    Attributes:
        cures: names of the settings that solve it, such as `exposure`; the command line shows
            their options.
    """

    def __init__(self, text: str, *, cures: tuple[str, ...] = ()) -> None:
        """Keep the text and its cures."""
        super().__init__(text)
        self.cures = cures


class Note(str):
    """A remark for the user, one line; `cures` as for errors."""

    cures: tuple[str, ...]

    def __new__(cls: type[_N], text: str, *, cures: tuple[str, ...] = ()) -> _N:
        """Return the text with its cures."""
        note = super().__new__(cls, text)
        note.cures = cures
        return note


class Loss(Note):
    """A remark on what was left out of what was read."""


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
    """A recipe, data set or run that cannot be used for training."""


def install_hint(extra: str) -> str:
    """Return how to install an extra: from the checkout, as the package is on no index."""
    return f"in the checkout of blur_imu_ros: pip install '.[{extra}]'"
