"""`blur-imu run` on many recordings: a result for each, and a table of those that failed."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from blur_imu_ros.cli.run import load_once, run
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.cli.terminal import show
from blur_imu_ros.errors import BlurImuError, RecordingError
from blur_imu_ros.execution.batch import Outcome, Task, in_processes, on_ray, one_by_one
from blur_imu_ros.execution.files import ENCODING, UNKNOWN, make_folder_of, refuse_overwriting
from blur_imu_ros.execution.progress import progress
from blur_imu_ros.recordings.facade import recordings_in

NAME, FOLDER = "{name}", "{folder}"
"""What stands in a path for the recording's name, and for the folder in which it lies."""

FAILURES_SUFFIX = ".failed.txt"

RESULTS = ("output", "overlay", "plot")
PLACES = ("camera", "stamps", "calibration", "settings", *RESULTS)


def run_each(
    sources: Sequence[Path],
    options: RunOptions,
    ray: str | None = None,
    summary: Path | None = None,
) -> str:
    """Measure one recording or many; return a line for a person.

    Args:
        sources: recordings, folders of recordings, or lists (.txt).
        options: for each of them; `{name}` and `{folder}` in paths are filled in.
        ray: address of a Ray cluster, or `local`.
        summary: CSV with a row for each recording, written as they end; those that failed are
            listed beside it, as `run` takes them.

    Raises:
        BlurImuError: what is wrong with the input, or how many recordings failed.
    """
    recordings = list(dict.fromkeys(p for source in sources for p in recordings_in(source)))
    each = [_filled(options, recording) for recording in recordings]
    if len(each) == 1 and ray is None and summary is None:
        return run(each[0])
    _check_places(each, summary)
    if ray is not None:
        each = [_absolute(one) for one in each]
    # One core for each recording; several processes for one would only get in each other's way.
    jobs = min(options.jobs, len(each))
    threads = 1 if jobs > 1 or ray is not None else None
    tasks = [
        Task(str(one.source), partial(_run, replace(one, jobs=1, threads=threads))) for one in each
    ]
    with closing(_done(tasks, jobs, ray)) as done, _summary(summary) as note:
        outcomes = [note(outcome) for outcome in _shown(done, len(tasks))]
    failed = [outcome for outcome in outcomes if outcome.failure]
    if failed:
        _print(failed)
        raise BlurImuError(
            f"{len(failed)} of {len(tasks)} recordings failed; correct them and give --resume, "
            "which keeps the finished ones"
        )
    return f"{len(tasks)} recordings measured"


def _run(options: RunOptions) -> str:
    """Measure a recording with the network of the one before, where that is the same."""
    return run(options, load=load_once)


def _filled(options: RunOptions, recording: Path) -> RunOptions:
    """Return the options of one recording."""
    name = recording.resolve().name if recording.is_dir() else recording.stem

    def place(path: Path | None) -> Path | None:
        if path is None:
            return None
        text = str(path).replace(NAME, name)
        return Path(text.replace(FOLDER, str(recording.parent)))

    filled: dict[str, Any] = {key: place(getattr(options, key)) for key in PLACES}
    if options.rerun is not None:
        filled["rerun"] = str(place(Path(options.rerun)))
    return replace(options, source=recording, **filled)


def _absolute(options: RunOptions) -> RunOptions:
    """Return the options with absolute paths: workers elsewhere start in another folder."""
    paths: dict[str, Any] = {key: getattr(options, key) for key in ("source", *PLACES)}
    found: dict[str, Any] = {key: path and path.absolute() for key, path in paths.items()}
    for key, ending in (("model", ".onnx"), ("rerun", ".rrd")):  # Otherwise they are names.
        if (text := getattr(options, key)) and text.endswith(ending):
            found[key] = str(Path(text).absolute())
    return replace(options, **found)


def _check_places(each: Sequence[RunOptions], summary: Path | None) -> None:
    """Refuse places that two recordings would share, or that are another's input."""
    outputs = {getattr(one, option) for one in each for option in RESULTS}
    refuse_overwriting([*outputs, summary], [one.source for one in each])
    for option in RESULTS:
        taken: dict[Path, Path] = {}
        for one in each:
            path = getattr(one, option)
            if path is None:
                continue
            other = taken.setdefault(path.resolve(), one.source)
            if other != one.source:
                raise RecordingError(
                    f"{path}: {other} and {one.source} would both be written there; use {NAME} or "
                    f"{FOLDER} into --{option}, for example results/{NAME}{path.suffix}"
                )


def _done(tasks: Sequence[Task], jobs: int, ray: str | None) -> Generator[Outcome, None, None]:
    if ray is not None:
        return on_ray(tasks, ray, jobs)
    return one_by_one(tasks) if jobs == 1 else in_processes(tasks, jobs)


def _shown(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """Yield the outcomes, printing what is done and what was noted."""
    for outcome in progress(outcomes, "recordings", total):
        for note in outcome.notes:
            print(f"{note} ({outcome.name})", file=sys.stderr)
        if outcome.output:
            print(outcome.output, flush=True)
        yield outcome


@contextmanager
def _summary(path: Path | None) -> Iterator[Callable[[Outcome], Outcome]]:
    """Give what notes an outcome in the summary and hands it on."""
    if path is None:
        yield lambda outcome: outcome
        return
    make_folder_of(path)
    try:
        file = path.open("w", newline="", encoding=ENCODING, errors=UNKNOWN)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error
    with file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("recording", "seconds", "result", "failure"))
        failures = path.with_suffix(FAILURES_SUFFIX)
        failures.unlink(missing_ok=True)

        def note(outcome: Outcome) -> Outcome:
            rows.writerow((outcome.name, f"{outcome.seconds:.1f}", outcome.output, outcome.failure))
            file.flush()
            if outcome.failure:
                with failures.open("a", encoding=ENCODING, errors=UNKNOWN) as listed:
                    listed.write(f"# {outcome.failure}\n{Path(outcome.name).absolute()}\n")
            return outcome

        yield note


def _print(failed: Sequence[Outcome]) -> None:
    table = Table(title="failed")
    for heading in ("recording", "reason", "seconds"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for outcome in failed:
        table.add_row(outcome.name, outcome.failure, f"{outcome.seconds:.1f}")
    show(table)
