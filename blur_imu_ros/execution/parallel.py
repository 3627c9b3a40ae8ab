"""The same work on many things, in several processes, with the results in order."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from blur_imu_ros.errors import BlurImuError

A = TypeVar("A")
B = TypeVar("B")

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux tells a container how many microseconds of processor time it has in each period."""

AHEAD = 2
"""How many things each process is given before the first of them is waited for."""

_work: Callable[[Any], Any] | None = None
"""What a worker process does."""


def usual_jobs() -> int:
    """Return how many cores this process may use: by its affinity, and by its container's quota."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    try:
        microseconds, period = map(float, QUOTA.read_text().split())
    except (OSError, ValueError):  # no container, or one without a limit: "max 100000"
        return cores
    return min(cores, max(1, math.ceil(microseconds / period)))


def in_order(work: Callable[[A], B], items: Iterable[A], jobs: int = 1) -> Iterator[tuple[A, B]]:
    """Yield every item with what `work` makes of it, in the order of the items.

    Args:
        work: can be pickled, for several processes; each takes a copy when it starts.
        items: where they end in an error, what was made of those before it comes first.
        jobs: processes; one works right here.

    Raises:
        BlurImuError: a process died.
    """
    if jobs == 1:
        for item in items:
            yield item, work(item)
        return
    # Forked copies of a process with threads, as ONNX Runtime's, may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start, (work,)) as pool:
        try:
            submitted = ((item, pool.submit(_do, item)) for item in items)
            for item, future in _fetched_ahead(submitted, AHEAD * jobs):
                yield item, future.result()
        except BrokenProcessPool as error:
            raise BlurImuError(
                "a process that measures was killed; take fewer --jobs, if it was for lack of memory"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetched_ahead(
    pairs: Iterator[tuple[A, Future[B]]], count: int
) -> Iterator[tuple[A, Future[B]]]:
    """Yield the pairs, having fetched `count` more; an error in fetching comes after them all."""
    waiting: deque[tuple[A, Future[B]]] = deque()
    try:
        for pair in pairs:
            waiting.append(pair)
            if len(waiting) > count:
                yield waiting.popleft()
    except BlurImuError:
        yield from waiting
        raise
    yield from waiting


def _start(work: Callable[[Any], Any]) -> None:
    """Make a worker of this process: it works on one core and ends with the main process."""
    global _work
    # The main process ends in order, and us with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    keep_to_one_core()
    _work = work


def keep_to_one_core() -> None:
    """Let OpenCV use one thread, in a process that has siblings."""
    import cv2

    cv2.setNumThreads(1)


def end_with_parent() -> None:
    """End this process, once the one that started it has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(item: Any) -> Any:
    assert _work is not None
    return _work(item)
