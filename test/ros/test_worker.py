"""The worker never dies in silence, never works twice, and never lets a queue grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from blur_imu_ros.ros.worker import NewestWorker


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not met():
        assert time.monotonic() < end, "it did not happen in 5 s"
        time.sleep(0.002)


class Log:
    """What the worker did, and what went wrong; items may be errors to raise or events to await."""

    def __init__(self, tell: Callable[[BaseException], None] | None = None) -> None:
        self.done: list[object] = []
        self.failed: list[BaseException] = []
        self.worker = NewestWorker[object](self.work, tell or self.failed.append)
        self.worker.start()

    def work(self, item: object) -> None:
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, threading.Event):
            item.wait(5)
        self.done.append(item)


def test_errors_of_any_kind_are_told_and_the_work_goes_on():
    log = Log()
    for error in (ValueError("odd"), MemoryError(), SystemExit(3), KeyboardInterrupt()):
        log.worker.put(error)
        until(lambda expected=error: log.failed[-1:] == [expected])
    log.worker.put("next")
    until(lambda: log.done == ["next"])
    log.worker.stop()


def test_the_work_goes_on_where_nobody_can_be_told():
    def deaf(error: BaseException) -> None:
        raise RuntimeError("no log any more")

    log = Log(deaf)
    log.worker.put(ValueError("odd"))
    log.worker.put("next")
    until(lambda: log.done == ["next"] or log.worker.dropped == 1)
    log.worker.put("last")
    until(lambda: log.done[-1:] == ["last"])
    log.worker.stop()


def test_only_the_newest_waits_and_the_others_are_counted():
    log, gate = Log(), threading.Event()
    log.worker.put(gate)
    until(lambda: log.worker._newest._thing is None)
    for number in range(5):
        log.worker.put(number)
    gate.set()
    until(lambda: log.done == [gate, 4])
    assert log.worker.dropped == 4
    log.worker.stop()


def test_a_thread_that_hung_while_it_was_stopped_does_not_work_beside_the_next():
    log, gate = Log(), threading.Event()
    hung = log.worker._thread
    log.worker.put(gate)
    until(lambda: log.worker._newest._thing is None)
    log.worker.stop(timeout=0.01)
    log.worker.start()
    gate.set()
    assert hung is not None
    hung.join(5)
    assert not hung.is_alive()
    log.worker.put("next")
    until(lambda: log.done == [gate, "next"])
    log.worker.stop()


def test_what_waits_when_it_is_stopped_is_dropped():
    log, gate = Log(), threading.Event()
    log.worker.put(gate)
    until(lambda: log.worker._newest._thing is None)
    log.worker.put("late")
    threading.Timer(0.05, gate.set).start()
    log.worker.stop()
    assert log.done == [gate]
