"""A place for the newest thing only: what comes while the last one is worked on replaces it."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Newest(Generic[Thing]):
    """Holds one thing between two threads.

    Attributes:
        dropped: how many things were replaced before somebody took them.
        ended: whether nothing more will come.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.dropped, self.ended = 0, False
        self._thing: Thing | None = None
        self._changed = threading.Condition()

    def put(self, thing: Thing) -> None:
        """Replace what is there."""
        with self._changed:
            self.dropped += self._thing is not None
            self._thing = thing
            self._changed.notify()

    def end(self) -> None:
        """Tell that nothing more comes."""
        with self._changed:
            self.ended = True
            self._changed.notify()

    def take(self, patience: float | None = None) -> Thing | None:
        """Return what is there, or comes within `patience` seconds, if it is given; None where
        nothing does, or nothing more will."""
        with self._changed:
            self._changed.wait_for(lambda: self._thing is not None or self.ended, patience)
            thing, self._thing = self._thing, None
            return thing
