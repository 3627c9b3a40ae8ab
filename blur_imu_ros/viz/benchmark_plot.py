"""How time grows with the size of the image, and shrinks with threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blur_imu_ros.evaluation.benchmark import WHOLE, Result


def plot_benchmark(path: Path, by_size: list[Result], by_threads: dict[int, list[Result]]) -> None:
    """Write a picture of the median times.

    Args:
        path: of the picture, .png, .svg or .pdf.
        by_size: every contender at every size.
        by_threads: the contenders at one size, by the number of threads of the network.

    Raises:
        RecordingError: it cannot be written.
    """
    from matplotlib.figure import Figure

    from blur_imu_ros.viz.plots import save_figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    sizes, threads = figure.subplots(1, 2)
    for name in dict.fromkeys(r.contender for r in by_size):
        own = sorted((r for r in by_size if r.contender == name), key=lambda r: r.width * r.height)
        pixels = [r.width * r.height / 1e6 for r in own]
        for stage, style in ((WHOLE, "-"), ("network", ":")):
            times = [r.stages[stage].median for r in own]
            sizes.plot(pixels, times, style, marker="o", label=f"{name}, {stage}")
    _label(sizes, "image [megapixels]", "with the image")
    for name in dict.fromkeys(r.contender for results in by_threads.values() for r in results):
        counts = sorted(by_threads)
        own = [r for count in counts for r in by_threads[count] if r.contender == name]
        for stage, style in ((WHOLE, "-"), ("network", ":")):
            times = [r.stages[stage].median for r in own]
            threads.plot(counts, times, style, marker="o", label=f"{name}, {stage}")
    threads.set_xticks(sorted(by_threads))
    _label(threads, "threads of the network", "with threads")
    save_figure(figure, path, dpi=120)


def _label(axes: Any, below: str, title: str) -> None:
    axes.set(xlabel=below, ylabel="median [ms a frame]", title=title, ylim=(0, None))
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
