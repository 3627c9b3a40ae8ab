"""SIGINT and SIGTERM as an exception, so that what is being written is completed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Somebody asked us to stop; like KeyboardInterrupt, which the command line library eats."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` at SIGINT and SIGTERM, so that what is being written is completed."""

    def stop(number: int, frame: object) -> None:
        raise Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
