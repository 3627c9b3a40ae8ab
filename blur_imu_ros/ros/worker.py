"""A thread that works on the newest message only."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from blur_imu_ros.execution.newest import Newest

T = TypeVar("T")

logger = logging.getLogger(__name__)


class NewestWorker(Generic[T]):
    """Calls `work` in its own thread with the newest item put; older ones are dropped and counted.

    Latency cannot grow in a queue. An exception of `work` is handed to `failed`, and the thread
    goes on: it never dies in silence.
    """

    def __init__(self, work: Callable[[T], None], failed: Callable[[BaseException], None]) -> None:
        """Take what to do, and what to call when that raises."""
        self._work, self._failed = work, failed
        self._newest, self._dropped = Newest[T](), 0
        self._thread: threading.Thread | None = None
        self._begun: float | None = None

    @property
    def dropped(self) -> int:
        """How many items were dropped for newer ones."""
        return self._dropped + self._newest.dropped

    @property
    def busy_seconds(self) -> float:
        """How long the item at hand has been worked on; 0 while there is none."""
        begun = self._begun
        return 0.0 if begun is None else time.monotonic() - begun

    def start(self) -> None:
        """Start the thread; nothing happens if it runs."""
        if self._thread is None:
            if self._newest.ended:
                # Another one: a thread that hung while it was stopped ends when it comes back.
                self._dropped, self._newest = self.dropped, Newest()
            self._thread = threading.Thread(
                target=self._run, args=(self._newest,), name="blur_imu_worker", daemon=True
            )
            self._thread.start()

    def put(self, item: T) -> None:
        """Hand over an item; one that still waits is dropped."""
        self._newest.put(item)

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread after the item at hand; one that waits is dropped."""
        thread, self._thread = self._thread, None
        self._newest.end()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self, newest: Newest[T]) -> None:
        while (item := newest.take()) is not None and not newest.ended:
            self._begun = time.monotonic()
            try:
                self._work(item)
            except BaseException as error:  # Whatever it is, the next image may be fine.
                self._tell(error)
            finally:
                self._begun = None

    def _tell(self, error: BaseException) -> None:
        try:
            self._failed(error)
        except BaseException:  # A failing handler must not end the work.
            logger.exception("%s: and the handler of errors failed too", error)
