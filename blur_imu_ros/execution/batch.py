"""Many tasks that know nothing of each other: one by one, in several processes, or on a Ray
cluster.

However they are done, each gives the same result, and a failure of one leaves the others alone.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from blur_imu_ros.errors import BlurImuError, install_hint
from blur_imu_ros.execution.parallel import keep_to_one_core

TASKS_OF_A_PROCESS = 100
"""A process that lives for ever keeps what a library forgets; one a task takes a second each."""
MOST_ON_RAY = 1000
"""Tasks that a cluster knows of at a time."""


@dataclass(frozen=True)
class Task:
    """A piece of work; `work` can be pickled, and returns a line for a person."""

    name: str
    work: Callable[[], str]


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        name: of the task.
        output: what the work returned; empty where it failed.
        failure: why it failed; empty where it did not.
        notes: what it said meanwhile, line by line.
        seconds: that it took.
    """

    name: str
    output: str = ""
    failure: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def attempt(task: Task) -> Outcome:
    """Do a task; what goes wrong becomes its outcome."""
    begun, said = time.monotonic(), io.StringIO()
    with redirect_stderr(said):
        try:
            outcome = Outcome(task.name, output=task.work())
        except BlurImuError as error:
            outcome = Outcome(task.name, failure=" ".join(str(error).splitlines()))
        except Exception as error:  # A bug that one recording meets must not end the others.
            outcome = Outcome(task.name, failure=f"{type(error).__name__}: {error}")
    notes = tuple(said.getvalue().splitlines())
    return replace(outcome, notes=notes, seconds=time.monotonic() - begun)


def one_by_one(tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
    """Do the tasks in this process."""
    for task in tasks:
        yield attempt(task)


def in_processes(tasks: Sequence[Task], jobs: int) -> Generator[Outcome, None, None]:
    """Do `jobs` tasks at a time, each job in a process of its own; yield them as they end.

    A process that dies costs the task it was at, and after `TASKS_OF_A_PROCESS` it makes room for a
    fresh one.
    """
    waiting = deque(tasks)
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                worker = _Worker()
                workers[worker.pipe] = worker
                worker.give(waiting.popleft())
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                worker = workers[pipe]
                outcome = worker.outcome()
                if waiting and worker.can_go_on:
                    worker.give(waiting.popleft())
                else:
                    workers.pop(pipe).end()
                yield outcome
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.process.join()


class _Worker:
    """A process that does one task after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: Any = context.Process(target=_attempt_and_send, args=(theirs,))
        self.process.start()
        theirs.close()
        self._task, self._given, self._lives = Task("", str), 0, True

    @property
    def can_go_on(self) -> bool:
        return self._lives and self._given < TASKS_OF_A_PROCESS

    def give(self, task: Task) -> None:
        self._task, self._given = task, self._given + 1
        with suppress(BrokenPipeError):  # It died meanwhile, which its outcome shows.
            self.pipe.send(task)

    def outcome(self) -> Outcome:
        try:
            outcome: Outcome = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._lives = False
            self.process.join()
            killed = f"its process was killed (exit code {self.process.exitcode}); out of memory?"
            return Outcome(self._task.name, failure=killed)
        return outcome

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self.pipe.send(None)
        self.process.join()
        self.pipe.close()


def _attempt_and_send(pipe: Connection) -> None:
    """Do tasks in a process that ends in order, its files completed, on request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The main process sends it on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=end_with_parent, daemon=True).start()
    keep_to_one_core()
    while (task := pipe.recv()) is not None:
        pipe.send(attempt(task))


def on_ray(tasks: Sequence[Task], address: str, jobs: int) -> Generator[Outcome, None, None]:
    """Do the tasks on a Ray cluster, a core for each; yield them as they end.

    Args:
        tasks: the files that they name are under the same paths on all machines.
        address: of the cluster, HOST:PORT or ray://HOST:PORT; `auto` finds the one of this machine,
            `local` starts one.
        jobs: cores of a local one.

    Raises:
        BlurImuError: Ray is not installed, or does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise BlurImuError(f"Ray is not installed ({install_hint('ray')})") from error
    _check_address(address)
    ours: dict[str, Any] = {"num_cpus": jobs, "include_dashboard": False}
    try:
        ray.init(address, log_to_driver=False, **ours if address == "local" else {})
    except Exception as error:  # Ray raises types of many libraries for an address.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BlurImuError(f"Ray does not answer at '{address}': {reason}") from error
    remote = ray.remote(num_cpus=1)(_attempt_on_one_core)
    waiting, running = deque(tasks), dict[Any, Task]()
    try:
        while waiting or running:
            while waiting and len(running) < MOST_ON_RAY:
                task = waiting.popleft()
                running[remote.remote(task)] = task
            (reference, *_), _ = ray.wait(list(running), num_returns=1)
            task = running.pop(reference)
            try:
                yield ray.get(reference)
            except ray.exceptions.RayError as error:
                yield Outcome(task.name, failure=f"Ray: {str(error).splitlines()[-1]}")
    finally:
        for reference in running:
            ray.cancel(reference)
        ray.shutdown()


def _check_address(address: str) -> None:
    """Refuse an address at which nobody listens: Ray would try for minutes."""
    if address in ("local", "auto"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise BlurImuError(
            f"Ray does not answer at '{address}': {error}; give HOST:PORT of its head, auto or "
            "local"
        ) from error


def _attempt_on_one_core(task: Task) -> Outcome:
    keep_to_one_core()
    return attempt(task)


def end_with_parent() -> None:
    """End this process, once the one that started it has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
