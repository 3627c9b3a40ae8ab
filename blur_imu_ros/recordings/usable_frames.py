"""Which images of a recording are taken: one that is damaged or out of order costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from blur_imu_ros.core.frame import Frame
from blur_imu_ros.errors import BlurImuError, FrameError, Note, RecordingError

MOST_LATE = 10
"""Images in succession that may be left out for their stamps; more, and it is the clock."""
MOST_UNREAD = 10
"""Images from the first on that may be left out as unreadable; more, and it is their kind."""
JUMP = 10
"""A stamp counts as wrong where it goes forward so many times farther than that behind it."""


@dataclass(frozen=True)
class Item:
    """An image of a recording that has not been read yet.

    Attributes:
        name: for a person.
        frame: reads it; raises FrameError where that costs this image alone.
    """

    name: str
    frame: Callable[[], Frame]


def usable_frames(
    source: Path, items: Iterable[Item], notes: list[str], count: int, strict: bool = False
) -> Iterator[Frame]:
    """Yield the frames of items that can be read, in order of time; at the end, note the others.

    Args:
        source: of the items, for messages.
        items: in order.
        notes: of the recording.
        count: how many items there are; 0 where it is not known.
        strict: stop at the first item that cannot be used, instead.

    Raises:
        RecordingError: none of the images can be read, or the stamps of too many are out of order.
    """
    left_out = _LeftOut(source, count, strict)
    try:
        yield from _in_order(_read(items, left_out), left_out)
        if left_out.unread and not left_out.any_read:
            raise left_out.unread[0][1]
    finally:
        notes += left_out.notes()


@dataclass
class _LeftOut:
    """Counts images that are left out."""

    source: Path
    count: int
    strict: bool
    any_read: bool = False
    unread: list[tuple[str, RecordingError]] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    run: int = 0

    def cannot_be_read(self, name: str, error: BlurImuError) -> None:
        """Count an image; raise where this must be said at once."""
        named = error if name in str(error) else f"{name}: {error}"
        refusal = RecordingError(f"{self.source} {named}", cures=error.cures)
        if self.strict:
            raise refusal from error
        self.unread.append((name, refusal))
        if not self.any_read and len(self.unread) >= MOST_UNREAD:
            raise self.unread[0][1] from error

    def is_late(self, frame: Frame, before: float) -> None:
        """Count an image; raise where so many are late that it is no stray one."""
        self.late.append(frame.name)
        self.run += 1
        most = min(MOST_LATE, self.count // 2) if self.count else MOST_LATE
        if self.strict or self.run > most:
            raise RecordingError(
                f"{self.source} {frame.name}: its stamp, {frame.t:.6f} s, is not later than that "
                f"of an image before, {before:.6f} s"
                + (f", and so were those of the last {self.run}" if self.run > 1 else "")
                + "; give timestamps",
                cures=("stamps",),
            )

    def notes(self) -> list[str]:
        """Return what a person should know, a line for each kind."""
        notes = []
        if self.unread:
            why = str(self.unread[0][1]).removeprefix(f"{self.source} ")
            notes.append(f"{self._counted(len(self.unread))} as they cannot be read: {why}")
        if self.late:
            names = f"{self.late[0]}{', ...' * (len(self.late) > 1)}"
            notes.append(
                Note(
                    f"{self._counted(len(self.late))} ({names}): their timestamps are not later "
                    "than that of the image before; a file of timestamps gives others",
                    cures=("stamps",),
                )
            )
        return notes

    def _counted(self, number: int) -> str:
        of = f" of {self.count}" if self.count else ""
        return f"{number}{of} images are left out"


def _read(items: Iterable[Item], left_out: _LeftOut) -> Iterator[Frame]:
    for item in items:
        try:
            frame = item.frame()
        except FrameError as error:
            left_out.cannot_be_read(item.name, error)
            continue
        left_out.any_read = True
        yield frame


def _in_order(frames: Iterator[Frame], left_out: _LeftOut) -> Iterator[Frame]:
    """Yield the frames whose stamps rise, each once that behind it is known."""
    before, held = -np.inf, None
    try:
        for frame in frames:
            if held is None or frame.t > held.t:
                if held is not None:
                    yield held
                    before, left_out.run = held.t, 0
                held = frame
            elif before < frame.t and held.t - before > JUMP * (frame.t - before):
                left_out.is_late(held, before)
                held = frame
            else:
                left_out.is_late(frame, held.t)
    except BlurImuError:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held
