"""Measure how fast everything is: `python tools/performance.py`, on a machine that does nothing
else.

Prints the tables of docs/PERFORMANCE.md as Markdown, or with `--write` puts them there. All times
of one table come from one run in which the contenders take turns.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.cli.benchmark import PUBLISHED, BenchmarkOptions, contenders_of
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.core.visual_imu import network_view
from blur_imu_ros.evaluation.benchmark import (
    EXPOSURE_TIME,
    SIZES,
    WHOLE,
    Contender,
    benchmark,
    machine,
    rendered_frames,
)
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.network.blur_network import OnnxBackend, load_network, model_path
from blur_imu_ros.network.model_card import ModelCard
from blur_imu_ros.network.precision import SUFFIX
from blur_imu_ros.network.torch_weights import read_network
from blur_imu_training.export.onnx_writer import write_model
from markdown import heading, row, write_part

BEGIN, END = "<!-- measured -->\n", "<!-- end of what is measured -->\n"
ROOT = Path(__file__).resolve().parents[1]
MATRIX = 1536
"""Side of the matrices whose product shows what the machine can do."""
FRAMES, LARGE_IMAGE, REPEATS = 181, (1092, 819), 3
"""Of the recordings that `run` measures, and how often it does."""
QUANTILES = [50, 95, 99]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", help="name or path, the first is compared with")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each entry of a table")
    parser.add_argument("--write", type=Path, help="document whose measured part is replaced")
    options = parser.parse_args()
    models = options.model or [DEFAULT_MODEL]
    write_part(options.write, BEGIN, END, lambda: report(models, options.seconds))


def report(models: list[str], seconds: float) -> None:
    """Print all tables."""
    print(", ".join(f"{name} {value}" for name, value in machine().items()) + ".")
    floor(models, seconds)
    stages(models, seconds)
    solver(models[0], seconds)
    against_published(models, seconds)
    threads(models, seconds)
    batches(models[0], seconds)
    weight()
    starts(models)
    node(models)


def floor(models: list[str], seconds: float) -> None:
    """Print how near the networks are to what the machine can calculate."""
    a = np.random.default_rng(0).random((MATRIX, MATRIX), np.float32)
    best = min(durations([lambda: a @ a], seconds)[0])
    peak = MATRIX**3 / best / 1e9
    # Of networks alike, the work is in proportion to the view.
    for_a_pixel = multiply_adds(model_path(models[0])) / 1e9 / pixels(models[0])
    work = {name: for_a_pixel * pixels(name) for name in models}
    sizes = ", ".join(f"{one:.2f} G in {shown(name)}" for name, one in work.items())
    print(f"\n### The floor\n\nMultiply-adds: {sizes}.")
    print(f"The best product of two {MATRIX}x{MATRIX} float32 matrices made {peak:.0f} G/s.\n")
    heading(
        "network, all threads", ["best [ms]", "median [ms]", "G multiply-adds/s", "of fp32 peak"]
    )
    for name, taken in zip(
        models, durations([network_run(m) for m in models], seconds), strict=True
    ):
        rate = work[name] / min(taken)
        row(shown(name), [1e3 * min(taken), 1e3 * float(np.median(taken)), rate, rate / peak])


def pixels(model: str) -> int:
    """Return the number of pixels of a model's view."""
    card = ModelCard.load(model_path(model).with_suffix(".json"))
    return card.width * card.height


def stages(models: list[str], seconds: float) -> None:
    """Print what each stage takes at several sizes."""
    contenders = [Contender(shown(name), load_network(name, "onnx")) for name in models]
    print("\n### Stages and image sizes\n")
    print("Milliseconds, median / 95 % / 99 %; cores: processor seconds a second.\n")
    results = [result for size in SIZES for result in benchmark(contenders, size, seconds)]
    heading("model, image", [*results[0].stages, "frames/s", "cores", "peak MB"])
    for one in results:
        timings = [f"{t.median:.2f} / {t.p95:.2f} / {t.p99:.2f}" for t in one.stages.values()]
        last = list(one.stages.values())[-1]
        figures = [f"{last.frames_per_second:.0f}", f"{one.cores:.2f}", f"{one.peak_memory_mb:.0f}"]
        cells = " | ".join([*timings, *figures])
        print(f"| {one.contender}, {one.width}x{one.height} | {cells} |")


def solver(model: str, seconds: float) -> None:
    """Print what a solve takes alone: in the chain it finds caches that the network has filled."""
    network, frame = load_network(model, "onnx"), rendered_frames(SIZES[0])[0].frame(0)
    view = network_view(network, frame.camera)
    field = network.predict(view.apply(frame.image), view.camera)
    solve = VelocitySolver().solve
    (taken,) = durations([lambda: solve(field, frame.exposure_time, frame.t)], seconds)
    print(f"\nThe solver alone, again and again: median {1e3 * np.median(taken):.2f} ms.")


def against_published(models: list[str], seconds: float) -> None:
    """Print how many times as long the network of the paper takes, in turns with ours in one
    run."""
    print("\n### Beside the published network\n")
    if not has_torch():
        return
    ours = contenders_of(BenchmarkOptions(models=tuple(models)))
    published = contenders_of(
        BenchmarkOptions(models=(), backends=("onnx", "torch"), against=PUBLISHED)
    )
    print(
        f"How many times as long it takes as ours in ONNX Runtime, {SIZES[0][0]}x{SIZES[0][1]}, "
        "all in turns.\n"
    )
    columns = [f"{one.name}: {stage}" for one in published for stage in ("network", WHOLE)]
    heading("beside", columns)
    results = benchmark([*ours, *published], SIZES[0], seconds)
    for one in results[: len(ours)]:
        times = [
            other.stages[stage].median / one.stages[stage].median
            for other in results[len(ours) :]
            for stage in ("network", WHOLE)
        ]
        row(one.contender, times, digits=1)


def has_torch() -> bool:
    """Return whether torch is here, and print that this part is left out if it is not."""
    if importlib.util.find_spec("torch") is None:
        print("Not measured: torch is not installed here.")
        return False
    return True


def threads(models: list[str], seconds: float) -> None:
    """Print the network's time by threads."""
    counts = sorted({1, usual_jobs()})
    runs = [network_run(name, count) for name in models for count in counts]
    taken = iter(durations(runs, seconds))
    print("\n### Threads of the network, median ms\n")
    heading("model", [f"{count}" for count in counts])
    for name in models:
        row(shown(name), [1e3 * float(np.median(next(taken))) for _ in counts])


def batches(model: str, seconds: float) -> None:
    """Print the time of an image in a batch."""
    print("\n### Batches, median ms an image\n")
    if not has_torch():
        return
    counts = (1, 2, 4, 8)
    card = ModelCard.load(model_path(model).with_suffix(".json"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.onnx"
        backend = OnnxBackend(path, write_any_batch(model_path(model), card, path))
        shape = (3, card.height, card.width)
        images = [np.zeros((count, *shape), np.float32) for count in counts]
        taken = durations([bound(backend.run, image) for image in images], seconds)
    heading("model", [f"{count}" for count in counts])
    row(shown(model), [1e3 * float(np.median(t)) / n for t, n in zip(taken, counts, strict=True)])


def write_any_batch(model: Path, card: ModelCard, output: Path) -> tuple[str, ...]:
    """Write the model for any number of images; return its outputs' names."""
    network = read_network(model, card.interface, card.weights_sha256)
    return write_model(network, card, output, any_batch=True).outputs


def weight() -> None:
    """Print what is installed, and what a user waits for before anything is measured."""
    print("\n### Weight\n")

    def python(*code: str) -> float:
        return min(child([sys.executable, *code]) for _ in range(REPEATS))

    bare = python("-c", "pass")
    names = "VisualImu, load_network, open_recording"
    imported = python("-c", f"from blur_imu_ros import {names}") - bare
    shown_help = python("-m", "blur_imu_ros.cli", "--help")
    print(
        f"`from blur_imu_ros import {names}`: {imported:.2f} s. `blur-imu --help`: "
        f"{shown_help:.2f} s."
    )
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--no-deps", "--wheel-dir", folder]
        built = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], capture_output=True
        )
        for wheel in Path(folder).glob("*.whl"):
            print(f"The wheel with all models that run: {wheel.stat().st_size / 1e6:.1f} MB.")
        if built.returncode:
            print("The wheel was not built here.")


def starts(models: list[str]) -> None:
    """Print the time of the first row, and the rate of `run` on a recording, start-up taken off."""
    print("\n### From the start of a process\n")
    size = f"{LARGE_IMAGE[0]}x{LARGE_IMAGE[1]}"
    print(
        f"`blur-imu run` on JPEGs of {size}, all its defaults but the model (in 8 bits where that "
        "pays); frames a second of "
        f"{FRAMES} frames without those of one, {REPEATS} times.\n"
    )
    heading("model", ["one frame [s]", f"{FRAMES} frames [s]", "frames/s, each time"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        one, many = recording(folder / "one", 1), recording(folder / "many", FRAMES)
        for name in in_32_bits(models):
            first = min(child(run_command(one, name)) for _ in range(REPEATS))
            whole = [child(run_command(many, name)) for _ in range(REPEATS)]
            rates = ", ".join(f"{(FRAMES - 1) / (t - first):.0f}" for t in whole)
            print(f"| {shown(name)} | {first:.2f} | {float(np.median(whole)):.2f} | {rates} |")


def in_32_bits(models: list[str]) -> list[str]:
    """Return the models without their variants in 8 bits, which are chosen where they pay."""
    return [name for name in models if not shown(name).endswith(SUFFIX)]


def node(models: list[str]) -> None:
    """Print what the ROS node costs, measured by a program of its own: ROS restarts its process."""
    print("\n### The node\n")
    if importlib.util.find_spec("rclpy") is None:
        print("Not measured: ROS 2 is not installed here.")
        return
    command = [sys.executable, str(Path(__file__).with_name("node_performance.py"))]
    command += ["--seconds", "12"]
    for model in in_32_bits(models):
        command += ["--model", model]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


def recording(folder: Path, count: int) -> Path:
    """Write a folder of rendered images with its camera."""
    folder.mkdir()
    frames = rendered_frames(LARGE_IMAGE)
    there_and_back = [*frames, *frames[-2:0:-1]]
    for index in range(count):
        source = there_and_back[index % len(there_and_back)]
        (folder / f"{index:05d}.jpg").write_bytes(source.jpeg.tobytes())
    c = frames[0].camera
    folder.with_suffix(".yaml").write_text(
        f"image_width: {c.width}\nimage_height: {c.height}\nfx: {c.fx}\nfy: {c.fy}\n"
        f"cx: {c.cx}\ncy: {c.cy}\nexposure_time: {EXPOSURE_TIME}\n"
    )
    return folder


def run_command(folder: Path, model: str) -> list[str]:
    """Return the command that measures a recording."""
    options = {"--camera": folder.with_suffix(".yaml"), "-o": folder.with_suffix(".csv")}
    arguments = [str(part) for option in options.items() for part in option]
    command = [sys.executable, "-m", "blur_imu_ros.cli", "run", str(folder)]
    return [*command, *arguments, "--model", model]


def child(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def durations(calls: list[Callable[[], Any]], seconds: float) -> list[list[float]]:
    """Return how long each call took, again and again in turns; the first round does not count."""
    taken: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or not taken[0]:
        for call, list_of_it in zip(calls, taken, strict=True):
            begun = time.perf_counter()
            call()
            list_of_it.append(time.perf_counter() - begun)
    return taken


def network_run(model: str, count: int | None = None) -> Callable[[], Any]:
    """Return what runs a model on one image."""
    network = load_network(model, "onnx")
    width, height = network.input_size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    image = network.prepared(np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8))
    backend = OnnxBackend(model_path(model), network.card.outputs, threads=count)
    return bound(backend.run, image)


def bound(function: Callable[[Any], Any], argument: Any) -> Callable[[], Any]:
    """Return the function with its argument."""
    return lambda: function(argument)


def multiply_adds(path: Path) -> float:
    """Return the multiplications of all convolutions of a model, for one image."""
    import onnx

    card, model = ModelCard.load(path.with_suffix(".json")), onnx.load(path)
    sides = model.graph.input[0].type.tensor_type.shape.dim[2:]
    for side, length in zip(sides, (card.height, card.width), strict=True):
        side.dim_value = length  # It may be left open.
    model = onnx.shape_inference.infer_shapes(model)
    weights = {one.name: list(one.dims) for one in model.graph.initializer}
    values = [*model.graph.value_info, *model.graph.output]
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
    return sum(convolutions(model.graph.node, weights, shapes))


def convolutions(
    nodes: Iterable[Any], weights: dict[str, list[int]], shapes: dict[str, list[int]]
) -> Iterator[float]:
    """Yield the multiplications of each convolution that has learned weights."""
    for node in nodes:
        if node.op_type == "Conv" and node.input[1] in weights:
            yield float(np.prod(weights[node.input[1]]) * np.prod(shapes[node.output[0]][2:]))


def shown(model: str) -> str:
    """Return the name of a model or of its file."""
    return Path(model).stem if model.endswith(".onnx") else model


if __name__ == "__main__":
    main()
