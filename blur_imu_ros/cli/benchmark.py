"""`blur-imu benchmark`: how long each stage takes, as a table and JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.cli.terminal import say, show
from blur_imu_ros.core.visual_imu import Network
from blur_imu_ros.errors import FrameError, ModelError, install_hint
from blur_imu_ros.evaluation.benchmark import (
    SIZES,
    WHOLE,
    Contender,
    Result,
    benchmark,
    machine,
    ratios,
)
from blur_imu_ros.evaluation.benchmark_history import Earlier
from blur_imu_ros.execution.files import refuse_overwriting, write_json
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.execution.resources import resource_path
from blur_imu_ros.network.blur_network import load_network

PUBLISHED = "published"
"""The network of Image as an IMU (Chen & Clark, ICCV 2025), whose weights are not ours to ship."""

UNTRAINED = "blur_imu_ros.untrained_models"
"""Entry points of functions that write a network without its weights to a path."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """What `blur-imu benchmark` was asked for; see its help."""

    models: tuple[str, ...] = (DEFAULT_MODEL,)
    backends: tuple[str, ...] = ("onnx",)
    device: str = "cpu"
    threads: int | None = None
    against: str | None = None
    sizes: tuple[tuple[int, int], ...] = SIZES
    seconds: float = 2.0
    json: Path | None = None
    plot: Path | None = None

    @property
    def earlier(self) -> Path | None:
        """The figures to compare with, where they are those of an earlier benchmark."""
        given = self.against
        return Path(given) if given is not None and given.endswith(".json") else None


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) of a text such as 640x480; FrameError if it is none."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    if found is None:
        raise FrameError(f"image size '{text}' is not understood; give for example 640x480")
    return int(found[1]), int(found[2])


def run_benchmark(
    options: BenchmarkOptions, contenders: list[Contender] | None = None
) -> list[Result]:
    """Time, print a table, write what was asked for, and return the figures.

    Raises:
        BlurImuError: a model, size or output that cannot be used.
    """
    models = [Path(model) for model in (*options.models, options.against) if model]
    refuse_overwriting(
        [options.json, options.plot],
        [*models, *(m.parent / f"{m.stem}.json" for m in models)],
    )
    progress = Console(stderr=True)
    earlier = Earlier.load(options.earlier) if options.earlier else None
    if contenders is None:
        with progress.status("Loading"):
            contenders = contenders_of(options)
    results: list[Result] = []
    for width, height in options.sizes:
        with progress.status(f"Timing {width}x{height}"):
            results += benchmark(contenders, (width, height), options.seconds)
    show(_table(results))
    for result, stage, ratio in ratios(results):
        size = f"{result.width}x{result.height}"
        say(f"{size} {stage}: {result.contender} takes {ratio:.2f} x as long")
    say(f"peak memory {results[-1].peak_memory_mb:.0f} MB, {machine()['processor']}")
    if earlier is not None:
        _tell_changes(earlier, results)
    if options.plot is not None:
        from blur_imu_ros.viz.benchmark_plot import plot_benchmark

        with progress.status("Timing numbers of threads"):
            plot_benchmark(options.plot, results, _by_threads(options))
    if options.json is not None:
        _write(options.json, results)
    return results


def contenders_of(options: BenchmarkOptions) -> list[Contender]:
    """Return who is timed, the one that others are compared with first.

    Raises:
        ModelError: a model that cannot be used.
    """

    def load(model: str, backend: str) -> Network:
        return load_network(model, backend, options.device, options.threads)

    several = len(options.backends) > 1

    def on_all_backends(model: str, name: str) -> list[Contender]:
        return [
            Contender(f"{name} ({backend})" if several else name, load(model, backend))
            for backend in options.backends
        ]

    found = [one for model in options.models for one in on_all_backends(model, _shown(model))]
    if options.against == PUBLISHED and resource_path("models", f"{PUBLISHED}.onnx") is None:
        with TemporaryDirectory() as folder:
            untrained = _untrained(Path(folder))
            found += on_all_backends(untrained, f"{PUBLISHED}, random weights")
    elif options.against is not None and options.earlier is None:
        found += on_all_backends(options.against, _shown(options.against))
    return found


def _untrained(folder: Path) -> str:
    """Write the published network without the authors' weights: they do not change its speed."""
    try:
        (entry,) = entry_points(group=UNTRAINED, name=PUBLISHED)
        write_untrained = entry.load()
    except (ImportError, ValueError) as error:
        raise ModelError(
            f"--against {PUBLISHED}: the network is written by torch, which is not installed "
            f"({install_hint('train')}); or give the path of a model that import-checkpoint made"
        ) from error
    path = folder / f"{PUBLISHED}.onnx"
    write_untrained(path)
    return str(path)


def _by_threads(options: BenchmarkOptions) -> dict[int, list[Result]]:
    """Return the contenders at the first size, by the number of threads of their networks."""
    found = {}
    for threads in range(1, usual_jobs() + 1):
        some = contenders_of(replace(options, threads=threads, against=None))
        found[threads] = benchmark(some, options.sizes[0], options.seconds)
    return found


def _tell_changes(earlier: Earlier, results: list[Result]) -> None:
    """Print what takes longer than in an earlier benchmark."""
    changes = sorted(earlier.changes(results), key=lambda change: -change.ratio)
    if not changes:
        say("nothing to compare: no model and size is in both benchmarks")
        return
    if earlier.processor != machine()["processor"]:
        say(f"note: the earlier results are from another processor, {earlier.processor}")
    slower = [change for change in changes if change.is_slower]
    for change in slower:
        say(
            f"slower: {change.contender}, {change.width}x{change.height}, {change.stage}: "
            f"{change.before:.2f} -> {change.now:.2f} ms ({change.ratio:.2f} x)"
        )
    say(f"{len(slower)} of {len(changes)} stages are slower than before")
    alone = earlier.not_in_both(results)
    if alone:
        say(
            f"not compared, as only one of the two benchmarks has them: {', '.join(alone)}; "
            f"{WHOLE} holds them"
        )


def _shown(model: str) -> str:
    """Return the name of a model, or that of its file: a table has no room for a path."""
    return Path(model).stem if model.endswith(".onnx") else model


def _table(results: list[Result]) -> Table:
    table = Table(title="milliseconds a frame")
    for heading in ("model", "image", "stage", "median", "p95", "p99", "frames/s", "cores"):
        left = heading in ("model", "stage")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading == "stage")
    for result in results:
        size = f"{result.width}x{result.height}"
        for stage, timing in result.stages.items():
            last = stage == list(result.stages)[-1]
            table.add_row(
                result.contender,
                size,
                stage,
                *(f"{x:.2f}" for x in (timing.median, timing.p95, timing.p99)),
                f"{timing.frames_per_second:.0f}",
                f"{result.cores:.2f}" if last else "",
                end_section=last,
            )
    return table


def _write(path: Path, results: list[Result]) -> None:
    content: dict[str, Any] = {
        "machine": machine(),
        "results": [result.as_json() for result in results],
        "ratios": [
            {
                "contender": result.contender,
                "to": results[0].contender,
                "width": result.width,
                "height": result.height,
                "stage": stage,
                "ratio": ratio,
            }
            for result, stage, ratio in ratios(results)
        ],
    }
    write_json(path, content)
