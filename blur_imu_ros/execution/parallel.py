"""The same work on many things, by several threads, with the results in order."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from blur_imu_ros.errors import BlurImuError

A = TypeVar("A")
B = TypeVar("B")

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux shows a container how many microseconds of processor time it has in each period."""

AHEAD = 2
"""How many things each thread is given before the first of them is waited for."""


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

    Items are fetched in the caller's thread while earlier ones are worked on: what decodes images,
    runs a network or multiplies matrices lets other threads of Python go on.

    Args:
        work: may be called by several threads at once.
        items: where they end in an error, what was made of those before it comes first.
        jobs: threads that work; one works right here.
    """
    if jobs == 1:
        for item in items:
            yield item, work(item)
        return
    with ThreadPoolExecutor(jobs, "in_order", keep_to_one_core) as pool:
        try:
            submitted = ((item, pool.submit(work, item)) for item in items)
            for item, future in _fetched_ahead(submitted, AHEAD * jobs):
                yield item, future.result()
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


def keep_to_one_core() -> None:
    """Let each call of OpenCV use one thread, where several calls run at once."""
    import cv2

    cv2.setNumThreads(1)
