"""Errors that tell a user which input is wrong and how to cure it."""

from __future__ import annotations

from typing import TypeVar

_N = TypeVar("_N", bound="Note")


class BlurImuError(Exception):
    """Base of every error raised for outside input; its text is one line for a person.

    Attributes:
        cures: names of the settings that mend it, as `exposure`; the command line shows their
            options.
    """

    def __init__(self, text: str, *, cures: tuple[str, ...] = ()) -> None:
        """Keep the text and its cures."""
        super().__init__(text)
        self.cures = cures


class Note(str):
    """What a person should know, one line; `cures` as those of an error."""

    cures: tuple[str, ...]

    def __new__(cls: type[_N], text: str, *, cures: tuple[str, ...] = ()) -> _N:
        """Return the text with its cures."""
        note = super().__new__(cls, text)
        note.cures = cures
        return note


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
