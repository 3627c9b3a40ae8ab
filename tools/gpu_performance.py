"""Measure how fast everything is on a GPU: `python tools/gpu_performance.py --json gpu.json`.

Needs torch with CUDA, and neither an installed package nor a network: the tree on PYTHONPATH is
enough. What fails prints why, and the rest goes on; the figures are written after each part.

    python tools/gpu_performance.py --table gpu.json --write docs/PERFORMANCE.md

puts the tables of figures that were measured before into the page.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.cli.run import run
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.core.visual_imu import network_view
from blur_imu_ros.evaluation.benchmark import (
    EXPOSURE_TIME,
    STAGES,
    WHOLE,
    Contender,
    benchmark,
    machine,
    rendered_frames,
)
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.network import gpu_backend
from blur_imu_ros.network.architectures.published import HEIGHT, WIDTH, PublishedNetwork
from blur_imu_ros.network.blur_network import BlurNetwork, load_network, model_path
from blur_imu_ros.network.gpu_backend import Gpu, GpuBackend
from blur_imu_ros.network.model_card import SIGNED_FLOW, ModelCard, file_hash
from blur_imu_ros.network.torch_backend import TorchBackend
from blur_imu_ros.network.torch_weights import read_network
from markdown import heading, write_part

BEGIN, END = "<!-- on a GPU -->\n", "<!-- end of what is on a GPU -->\n"
OURS = (DEFAULT_MODEL,)
PUBLISHED = "published, random weights"
IMAGE, LARGE_IMAGE = (640, 480), (1092, 819)
FRAMES = 120
"""Of the recording that `run` measures."""
PLAIN, ONE_BY_ONE, GRAPH = "plain torch", "one by one", "graph"
"""How kernels start: as torch does by itself, with its defaults; in our backend without graphs; as
one graph."""


class InPlaceOfGpu(Gpu):
    """The CPU, to try out this program where there is no GPU."""

    def __init__(self, tf32: bool = False) -> None:
        """Take no notice of `tf32`."""
        self.device, self.name, self._tf32 = torch.device("cpu"), "no GPU, only tried out", tf32

    def pinned(self, shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Return plain memory."""
        return torch.empty(shape, dtype=dtype)

    def wait(self) -> None:
        """Return at once."""

    def recorded(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return the work as it is."""
        return work


@dataclass
class Figures:
    """All that was measured, and the file that holds it."""

    path: Path | None
    end: float
    """Of `time.monotonic`; no part begins behind it."""
    only: str = ""
    """What the names of parts hold that are measured."""
    content: dict[str, Any] = field(default_factory=lambda: {"failed": [], "left out": []})

    def part(self, name: str, measure: Callable[[], Any]) -> Any:
        """Measure a part and keep what it gives under its name; None where there is nothing."""
        if self.only not in name and name != "machine":
            return None
        if time.monotonic() > self.end:
            print(f"{name}: left out, no time is left", flush=True)
            self.content["left out"].append(name)
            self._keep()
            return None
        begun = time.monotonic()
        try:
            self.content[name] = measure()
        except Exception:
            traceback.print_exc()
            self.content["failed"].append(name)
        print(f"{name}: {time.monotonic() - begun:.1f} s", flush=True)
        self._keep()
        return self.content.get(name)

    def _keep(self) -> None:
        if self.path is not None:
            self.path.write_text(json.dumps(self.content, indent=1) + "\n")


def main() -> None:
    """Measure, or show what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: try out")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each entry of a table")
    parser.add_argument("--limit", type=float, default=55.0, help="seconds; no part begins later")
    parser.add_argument("--only", default="", help="parts whose names hold this, as `compact`")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    parser.add_argument("--table", type=Path, help="figures of before, shown and not measured")
    parser.add_argument("--write", type=Path, help="document whose tables are replaced")
    options = parser.parse_args()
    if options.table is not None:
        content = json.loads(options.table.read_text())
    else:
        if options.device == "cpu":
            gpu_backend.Gpu = InPlaceOfGpu  # type: ignore[misc]
        figures = Figures(options.json, time.monotonic() + options.limit, options.only)
        measure_all(figures, options.device, options.seconds)
        content = figures.content
    write_part(options.write, BEGIN, END, lambda: tables(content))


def measure_all(figures: Figures, device: str, seconds: float) -> None:
    """Measure, what matters most first."""
    figures.part("machine", machine_of_gpu)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours = {name: partial(shipped, name) for name in OURS}
        theirs = {PUBLISHED: partial(published, folder)}
        size = f"{IMAGE[0]}x{IMAGE[1]}"
        larger = {f"{name} at {size}": partial(at_size, name, IMAGE) for name in OURS}

        def networks(models: dict[str, partial[Model]], *precisions: str) -> None:
            for precision in precisions:
                for name, model in models.items():
                    measure = partial(network_figures, model, precision, seconds)
                    figures.part(f"network {name} {precision}", measure)

        networks(ours | theirs, "float32", "float16")
        for name in OURS:
            figures.part(f"chain {name}", partial(chain, name, 3 * seconds))
        measure_runs(figures, folder, device)
        networks(larger, "float32", "float16")
        networks(ours, "bfloat16", "TF32")


def measure_runs(figures: Figures, folder: Path, device: str) -> None:
    """Measure `run` on one recording, on the GPU and on the CPU."""
    count = FRAMES if device == "cuda" else 8
    images = folder / "images"
    for name in OURS:
        for place in ("GPU", "CPU"):
            measure = partial(frames_a_second, images, count, name, place)
            figures.part(f"run {name} {place}", measure)


def machine_of_gpu() -> dict[str, Any]:
    """Return what the figures are measured on."""
    found = {"GPU": gpu_backend.Gpu().name, "torch": torch.__version__}
    if torch.cuda.is_available():
        found["CUDA"] = str(torch.version.cuda)
        found["cuDNN"] = str(torch.backends.cudnn.version())
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        with contextlib.suppress(OSError):
            said = subprocess.run(asked, capture_output=True, text=True).stdout.split()
            found["driver"] = said[0] if said else "unknown"
    return found | machine()


@dataclass(frozen=True)
class Model:
    """A network that is timed: the file of its weights, and what it looks at."""

    name: str
    path: Path
    card: ModelCard
    view: tuple[int, int]


def shipped(name: str) -> Model:
    """Return one of our models, at its view of images of `IMAGE`."""
    path = model_path(name)
    card = ModelCard.load(path.with_suffix(".json"))
    return Model(name, path, card, (card.width, card.height))


def at_size(name: str, size: tuple[int, int]) -> Model:
    """Return one of our models that looks at more pixels."""
    return replace(shipped(name), view=size)


def published(folder: Path) -> Model:
    """Return the published network with random weights, which take as long as the authors'."""
    from safetensors.torch import save_file

    path = folder / "published.onnx"
    weights = path.with_suffix(".safetensors")
    if not weights.exists():
        torch.manual_seed(0)
        save_file(PublishedNetwork().eval().state_dict(), weights)
    ours = shipped(OURS[0]).card
    card = replace(
        ours, name=PUBLISHED, interface=SIGNED_FLOW, width=WIDTH, height=HEIGHT, any_size=False,
        smaller_view=None, flow_sigma=1.0, log_depth_sigma=1.0, weights_sha256=file_hash(weights),
    )  # fmt: skip
    return Model(PUBLISHED, path, card, (WIDTH, HEIGHT))


def network_figures(load: Callable[[], Model], precision: str, seconds: float) -> Any:
    """Return what a network takes in one precision, however its kernels start, and how it differs
    from the CPU."""
    model = load()
    gpu = gpu_backend.Gpu(tf32=precision == "TF32")
    rows = []
    for started in (PLAIN, ONE_BY_ONE, GRAPH)[precision != "float32" :]:
        backend = (
            PlainTorch(model, gpu.device)
            if started == PLAIN
            else backend_of(model, precision, started == GRAPH, gpu)
        )
        image = view_of(model, 0)
        begun = time.perf_counter()
        backend.run_bytes(image)
        ready = time.perf_counter() - begun
        taken = durations(partial(backend.run_bytes, image), seconds)
        rows.append(
            {
                "model": model.name,
                "view": f"{model.view[0]}x{model.view[1]}",
                "precision": precision,
                "started": started,
                "runs on": backend.runs_on,
                "first run [s]": ready,
                "median [ms]": 1e3 * float(np.median(taken)),
                "95 % [ms]": 1e3 * float(np.percentile(taken, 95)),
                "on the GPU [ms]": 1e3 * device_time(backend, image, seconds),
                **difference(backend, model),
            }
        )
        print(f"  {rows[-1]}", flush=True)
    return rows


class PlainTorch:
    """A network as anybody runs it: planes of floats, batch normalisations of their own, torch's
    defaults."""

    def __init__(self, model: Model, device: torch.device) -> None:
        """Load the weights."""
        card = model.card
        network = read_network(model.path, card.interface, card.weights_sha256)
        self._network, self._device = network.to(device), device
        self._prepared = BlurNetwork(self, card).prepared
        self.runs_on = f"torch, {device.type}, its defaults"

    def run(self, image: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        """Return the outputs for a normalised image."""
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(image).to(self._device))
        return tuple(output.cpu().numpy() for output in outputs)

    def run_bytes(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """Return the outputs for a view."""
        return self.run(self._prepared(image))

    def starts(self, image: NDArray[np.uint8]) -> Callable[[], object]:
        """Return what gives the GPU its work for a view that is there."""
        return partial(self._network, torch.from_numpy(self._prepared(image)).to(self._device))


def backend_of(model: Model, precision: str, graphs: bool, gpu: Gpu) -> GpuBackend:
    """Return what runs a model on the GPU."""
    card = model.card
    given = (card.interface, card.mean, card.std, card.weights_sha256)
    weights = "float32" if precision == "TF32" else precision
    return GpuBackend(model.path, *given, weights, graphs, gpu)


def view_of(model: Model, index: int) -> NDArray[np.uint8]:
    """Return what a model sees of a rendered frame."""
    frame = rendered(IMAGE)[index].frame(0)
    view = network_view(_Sized(model.view), frame.camera)
    return np.ascontiguousarray(view.apply(frame.image))


def rendered(size: tuple[int, int]) -> Any:
    """Return the frames of our room, rendered once."""
    if size not in _RENDERED:
        _RENDERED[size] = rendered_frames(size)
    return _RENDERED[size]


_RENDERED: dict[tuple[int, int], Any] = {}


@dataclass(frozen=True)
class _Sized:
    """Stands for a network of which only the view matters."""

    input_size: tuple[int, int]

    def predict(self, image: Any, camera: Camera) -> Any:
        """Read nothing."""


def device_time(
    backend: GpuBackend | PlainTorch, image: NDArray[np.uint8], seconds: float
) -> float:
    """Return seconds that the GPU takes for a view that is there, run after run without a pause."""
    start: Callable[[], object]
    if isinstance(backend, PlainTorch):
        start = backend.starts(image)
    else:
        start = backend.size(*image.shape[:2]).start

    def calculated(count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                start()

    if not torch.cuda.is_available():
        return durations(partial(calculated, 1), seconds)[0]
    count = 50
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    calculated(3)
    first.record()
    calculated(count)
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) / 1e3 / count


def difference(backend: GpuBackend | PlainTorch, model: Model) -> dict[str, float]:
    """Return by how much the field, and the velocities solved from it, differ from the CPU's.

    Each is a share of the whole: mean length of the change of the field over that of the field, and
    the same of the velocities of all frames.
    """
    ours = BlurNetwork(backend, model.card)
    changes: dict[str, list[tuple[float, float]]] = {"field": [], "w": [], "v": []}
    for index in range(len(rendered(IMAGE))):
        camera = network_view(_Sized(model.view), rendered(IMAGE)[index].camera).camera
        image = view_of(model, index)
        fields = field_on_cpu(model, image, camera, index), ours.predict(image, camera)
        changes["field"].append(_change(*(f.q.reshape(-1, 2) for f in fields)))
        if model.card.interface == SIGNED_FLOW:
            continue  # Nothing can be solved from what random weights say.
        before, now = (VelocitySolver().solve(f, EXPOSURE_TIME, 0.0) for f in fields)
        # Blur does not tell the sign of the motion.
        sign = 1.0 if before.angular_velocity @ now.angular_velocity > 0 else -1.0
        for name, a, b in (
            ("w", before.angular_velocity, now.angular_velocity),
            ("v", before.linear_velocity, now.linear_velocity),
        ):
            changes[name].append(_change(a[None], sign * b[None]))
    return {
        f"difference of {name}": sum(c for c, _ in pairs) / sum(whole for _, whole in pairs)
        for name, pairs in changes.items()
        if pairs
    }


def _change(before: NDArray[Any], now: NDArray[Any]) -> tuple[float, float]:
    """Return mean lengths of the change and of what changed."""
    change = np.linalg.norm(now - before, axis=-1)
    return float(change.mean()), float(np.linalg.norm(before, axis=-1).mean())


def field_on_cpu(model: Model, image: NDArray[np.uint8], camera: Camera, index: int) -> BlurField:
    """Return what a model reads of a frame on the CPU, read once."""
    asked = (model.name, model.view, index)
    if asked not in _ON_CPU:
        card = model.card
        backend = TorchBackend(model.path, card.interface, sha256=card.weights_sha256)
        _ON_CPU[asked] = BlurNetwork(backend, card).predict(image, camera)
    return _ON_CPU[asked]


_ON_CPU: dict[Any, BlurField] = {}


def durations(call: Callable[[], Any], seconds: float) -> list[float]:
    """Return how long a call took, again and again; for a while it does not count, since the
    clock of a GPU takes its time."""
    begun = time.perf_counter()
    while time.perf_counter() < begun + seconds / 3:
        call()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 2 or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return taken


def chain(name: str, seconds: float) -> Any:
    """Return what each stage takes from an image in memory to a fused velocity."""
    on_gpu, on_cpu = load_network(name, "torch", "cuda"), load_network(name)
    print(f"  {on_gpu.note}", flush=True)
    contenders = [
        Contender(f"{network.name}, {place}", network)
        for network, place in ((on_gpu, "GPU"), (on_cpu, "CPU"))
    ]
    results = benchmark(contenders, IMAGE, seconds, in_memory=True)
    return [asdict(one) | {"note": on_gpu.note} for one in results]


def recording(folder: Path, count: int) -> Path:
    """Write a folder of rendered JPEGs with its camera, unless it is there."""
    if folder.with_suffix(".yaml").exists():
        return folder
    folder.mkdir()
    frames = rendered(LARGE_IMAGE)
    there_and_back = [*frames, *frames[-2:0:-1]]
    for index in range(count):
        jpeg = there_and_back[index % len(there_and_back)].jpeg
        (folder / f"{index:05d}.jpg").write_bytes(jpeg.tobytes())
    c = frames[0].camera
    folder.with_suffix(".yaml").write_text(
        f"image_width: {c.width}\nimage_height: {c.height}\nfx: {c.fx}\nfy: {c.fy}\n"
        f"cx: {c.cx}\ncy: {c.cy}\nexposure_time: {EXPOSURE_TIME}\n"
    )
    return folder


def frames_a_second(folder: Path, count: int, name: str, place: str) -> dict[str, Any]:
    """Return the rate of `run`, without the time in which the model is loaded."""
    images, jobs = recording(folder, count), usual_jobs()
    backend = {"GPU": ("torch", "cuda"), "CPU": ("auto", "cpu")}[place]
    network = load_network(name, *backend, threads=1)
    network.warm_up()
    rates = []
    for attempt in range(2):
        options = RunOptions(
            source=images, output=images.with_name(f"{name}-{place}-{attempt}.csv"),
            camera=images.with_suffix(".yaml"), model=name, jobs=jobs, force=True,
        )  # fmt: skip
        begun = time.perf_counter()
        run(options, network)
        rates.append(count / (time.perf_counter() - begun))
    return {
        "model": network.name,
        "runs on": network.runs_on,
        "threads": jobs,
        "images": f"{count} of {LARGE_IMAGE[0]}x{LARGE_IMAGE[1]}",
        "frames/s": rates,
    }


def tables(content: dict[str, Any]) -> None:
    """Print the tables of what was measured, as far as it was."""
    print(", ".join(f"{name} {value}" for name, value in content.get("machine", {}).items()), "\n")
    network_table([row for rows in of_kind(content, "network") for row in rows])
    chain_table([row for rows in of_kind(content, "chain") for row in rows])
    run_table(list(of_kind(content, "run")))
    for what in ("failed", "left out"):
        if content[what]:
            print(f"\n{what.capitalize()}: {', '.join(content[what])}.")


def of_kind(content: dict[str, Any], kind: str) -> Iterator[Any]:
    """Yield the parts whose names begin so."""
    return (part for name, part in content.items() if name.split()[0] == kind)


def network_table(rows: list[dict[str, Any]]) -> None:
    """Print what networks take, beside the published one in the same precision and start."""
    print(
        "The network, one view at a time, from bytes in memory to outputs in memory. On the GPU: of "
        "that, kernels without copies. Plain torch: planes of float32, torch's defaults (TF32 in "
        "convolutions); one by one and graph: the backend without and with CUDA graphs. Times as "
        "fast: as the published network in the same precision and start, and as that in plain "
        "torch. Differs: from the same weights in float32 on the CPU, field and velocities w and v "
        "solved from it.\n"
    )
    heading("model, view", [
        "precision", "kernels start", "median [ms]", "95 % [ms]", "on the GPU [ms]",
        "times as fast", "as published, plain", "field, w, v differ [%]",
    ])  # fmt: skip
    theirs = {(r["precision"], r["started"]): r["median [ms]"] for r in rows if is_published(r)}
    for r in rows:
        beside = theirs.get((r["precision"], r["started"]))
        first = theirs.get(("float32", PLAIN))
        times = [f"{one / r['median [ms]']:.1f}" if one else "" for one in (beside, first)]
        differs = [r.get(f"difference of {name}") for name in ("field", "w", "v")]
        cells = [
            r["precision"], r["started"],
            *(f"{r[name]:.3f}" for name in ("median [ms]", "95 % [ms]", "on the GPU [ms]")),
            *times, ", ".join(f"{100 * one:.2g}" for one in differs if one is not None),
        ]  # fmt: skip
        print(f"| {r['model']}, {r['view']} | " + " | ".join(cells) + " |")


def is_published(row: dict[str, Any]) -> bool:
    """Return whether a row is of the published network."""
    return bool(row["model"] == PUBLISHED)


def chain_table(rows: list[dict[str, Any]]) -> None:
    """Print what the stages take."""
    left_out = ("decode", "publish")
    stages = [name for name in (*STAGES, WHOLE) if name not in left_out]
    # Figures of before need not have all stages of today.
    stages = [name for name in stages if all(name in row["stages"] for row in rows)]
    size = f"{IMAGE[0]}x{IMAGE[1]}"
    print(
        f"\nThe whole chain on images of {size} in memory, one after the other: milliseconds, "
        "median / 95 %. Only the network is on the GPU.\n"
    )
    heading("model", [*stages, "frames/s"])
    for row in rows:
        timings = [row["stages"][name] for name in stages]
        cells = [f"{one['median']:.2f} / {one['p95']:.2f}" for one in timings]
        print(
            f"| {row['contender']} | {' | '.join(cells)} | {timings[-1]['frames_per_second']:.0f} |"
        )


def run_table(rows: list[dict[str, Any]]) -> None:
    """Print the rates of `run`."""
    print("\n`blur-imu run` on a folder of JPEGs, its start taken off; frames/s, each time.\n")
    heading("model", ["network runs on", "JPEGs", "threads", "frames/s"])
    for row in rows:
        rates = ", ".join(f"{rate:.0f}" for rate in row["frames/s"])
        print(
            f"| {row['model']} | {row['runs on']} | {row['images']} | {row['threads']} | {rates} |"
        )


if __name__ == "__main__":
    main()
