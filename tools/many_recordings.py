"""Measure a thousand recordings, one of them bad: `python tools/many_recordings.py`.

Renders some frames of the demo's room, makes recordings of eight frames each of them (the same
files under many names), and lets `blur-imu run` measure them all: stopped on the way and started
once more, then with the bad one mended, then by Ray where that is installed. Checks what comes out,
and prints the table of docs/PERFORMANCE.md. Takes some minutes: part of `make nightly`.
"""

from __future__ import annotations

import argparse
import csv
import filecmp
import importlib.util
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.simulation.room_renderer import blurred_image, furnished_room, hand_held
from markdown import heading, row, write_part

BEGIN, END = "<!-- many recordings -->\n", "<!-- end of many recordings -->\n"
FRAMES = 8
"""Of each recording."""
RENDERED = 24
"""Different frames; recording k begins at the k-th of them."""
CAMERA = Camera(320, 240, 240.0, 240.0, 159.5, 119.5)
EXPOSURE_TIME, FRAME_RATE = 0.015, 30.0
STOPPED_AFTER = 0.3
"""Share of the recordings after which the first run is stopped."""
LOOKED_AT_EVERY = 0.5
"""Seconds, the memory of the processes."""
MOST_GROWTH = 1.25
"""Times as much memory in the last third of a run as in its first, which is more than chance."""


@dataclass
class Ran:
    """What a run took.

    Attributes:
        status: its exit code.
        output: what it printed.
        seconds: on the clock.
        processor: seconds of it and its processes; NaN where it does not wait for them.
        memory: resident memory of the largest of its processes, MB, from its first
            result on.
    """

    status: int
    output: str
    seconds: float
    processor: float
    memory: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Memory in the last third over that in the first, each at its largest."""
        third = max(1, len(self.memory) // 3)
        return max(self.memory[-third:]) / max(self.memory[:third])


def main() -> None:
    """Measure, check and print; exit with 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="recordings")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or path")
    parser.add_argument("--jobs", type=int, default=usual_jobs(), help="at a time")
    parser.add_argument("--write", type=Path, help="document whose measured part is replaced")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_recordings(folder, options.count)
        work = Work(folder, options.count, options.model, options.jobs)
        write_part(options.write, BEGIN, END, work.report)


def write_recordings(folder: Path, count: int) -> None:
    """Write recordings and their camera; the middle one holds nothing that can be read."""
    room, trajectory = furnished_room(), hand_held()
    pictures = []
    for index in range(RENDERED):
        t = 1 + index / FRAME_RATE
        image = blurred_image(room, CAMERA, trajectory, t, EXPOSURE_TIME, seed=index)
        pictures.append(folder / f"{index}.jpg")
        cv2.imwrite(str(pictures[-1]), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    for number in range(count):
        recording = folder / "recordings" / f"{number:05d}"
        recording.mkdir(parents=True)
        for k in range(FRAMES):
            place = recording / f"{k}.jpg"
            if number == count // 2:
                place.write_bytes(b"no image")
            else:
                os.link(pictures[(number + k) % RENDERED], place)
    c = CAMERA
    (folder / "camera.yaml").write_text(
        f"image_width: {c.width}\nimage_height: {c.height}\nfx: {c.fx}\nfy: {c.fy}\n"
        f"cx: {c.cx}\ncy: {c.cy}\nexposure_time: {EXPOSURE_TIME}\n"
    )


class Work:
    """The runs, and what must be true of them."""

    def __init__(self, folder: Path, count: int, model: str, jobs: int) -> None:
        self._folder, self._count, self._model, self._jobs = folder, count, model, jobs
        self._bad = f"{count // 2:05d}"

    def report(self) -> None:
        """Run everything, check it, and print the table."""
        print(
            f"{self._count} recordings of {FRAMES} images of {CAMERA.width}x{CAMERA.height}, one "
            "of "
            f"them unreadable; `{Path(self._model).stem}`, {self._jobs} at a time. Memory: of the "
            "largest process, in the first third of the run and in the last.\n"
        )
        heading(
            "run",
            ["measured", "seconds", "recordings/s", "processor s", "MB at first", "MB at last"],
        )
        stopped = self._run("out", stop_after=round(STOPPED_AFTER * self._count))
        done = len(self._results("out"))
        check(stopped.status != 0 and 0 < done < self._count - 1, "the first run is stopped midway")
        self._row("stopped on the way", stopped, done)
        rest = self._run("out")
        check(rest.status == 1, "a failure is shown by the exit code")
        check(len(self._results("out")) == self._count - 1, "all others are measured")
        check(
            rest.output.count("measured before") >= done - self._jobs,
            "what was there is left alone",
        )
        failures = [name for name, why in self._summary("out") if why]
        check(failures == [self._bad], "the summary names the bad one alone")
        listed = (self._folder / "out.failed.txt").read_text()
        check(f"recordings/{self._bad}" in listed, "and so does the list of failures")
        check(rest.growth < MOST_GROWTH, f"memory does not grow ({rest.growth:.2f} times)")
        self._row("started once more", rest, self._count - 1 - done)
        self._mend()
        mended = self._run("out")
        check(mended.status == 0, "with the bad one mended nothing fails")
        check(mended.output.count("measured before") == self._count - 1, "one is measured")
        self._row("the bad one mended, once more", mended, 1)
        if importlib.util.find_spec("ray") is not None:
            self._ray()

    def _ray(self) -> None:
        on_ray = self._run("ray", "--ray", "local")
        check(on_ray.status == 0, "Ray measures all")
        _, other, wrong = filecmp.cmpfiles(
            self._folder / "out", self._folder / "ray", self._results("ray"), shallow=False
        )
        check(not other and not wrong, "to the same bytes")
        self._row("all of them by Ray", on_ray, self._count)

    def _run(self, out: str, *more: str, stop_after: int | None = None) -> Ran:
        command = [
            *(sys.executable, "-m", "blur_imu_ros.cli", "run", "recordings"),
            *("-o", f"{out}/{{name}}.csv", "--camera", "camera.yaml", "--resume"),
            *("--summary", f"{out}.csv", "--model", self._model, "--jobs", f"{self._jobs}", *more),
        ]
        log = self._folder / "output.txt"
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        memory: list[float] = []
        present, warm = len(self._results(out)), False
        with log.open("w") as log_file:
            process = subprocess.Popen(
                command, cwd=self._folder, stdout=log_file, stderr=subprocess.STDOUT
            )
            while process.poll() is None:
                time.sleep(LOOKED_AT_EVERY)
                held = max(map(resident_mb, family(process.pid)), default=0.0)
                if not held:  # It has just ended.
                    continue
                if not warm and len(self._results(out)) > present:
                    memory.clear()  # Growth is that of a process that has loaded its model.
                    warm = True
                memory.append(held)
                if stop_after is not None and len(self._results(out)) >= stop_after:
                    process.send_signal(signal.SIGTERM)
                    stop_after = None
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Ran(process.returncode, log.read_text(), time.monotonic() - begun, spent, memory)

    def _mend(self) -> None:
        for k in range(FRAMES):
            place = self._folder / "recordings" / self._bad / f"{k}.jpg"
            place.unlink()
            os.link(self._folder / f"{k}.jpg", place)

    def _results(self, out: str) -> list[str]:
        """Return the names of the results that are finished."""
        return [path.name for path in sorted((self._folder / out).glob("*.csv")) if finished(path)]

    def _summary(self, out: str) -> Iterator[tuple[str, str]]:
        with (self._folder / f"{out}.csv").open() as file:
            for one in csv.DictReader(file):
                yield Path(one["recording"]).name, one["failure"]

    def _row(self, name: str, ran: Ran, measured: int) -> None:
        third = max(1, len(ran.memory) // 3)
        ends = max(ran.memory[:third]), max(ran.memory[-third:])
        rate = measured / ran.seconds
        row(name, [measured, ran.seconds, rate, ran.processor, *ends], digits=1)


def finished(result: Path) -> bool:
    """Whether a run measured the whole recording of a result."""
    try:
        return '"finished": true' in result.with_name(result.name + ".run.json").read_text()
    except OSError:
        return False


def check(fact: bool, what: str) -> None:
    """Exit, saying what is not as it should be."""
    if not fact:
        raise SystemExit(f"not as it should be: {what}")


def family(process: int) -> Iterator[int]:
    """Yield a process and those that it started (Linux)."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def resident_mb(process: int) -> float:
    """Return the memory that a process holds (Linux); 0 where it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1e3
    except (OSError, IndexError):
        return 0.0


if __name__ == "__main__":
    main()
