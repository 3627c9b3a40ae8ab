"""The way through a GPU, calculated by the CPU in its place; and on a GPU where there is one."""

from __future__ import annotations

import builtins
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="backend torch needs torch: pip install .[train]")

from blur_imu_ros.core.camera import Camera  # noqa: E402
from blur_imu_ros.errors import ModelError  # noqa: E402
from blur_imu_ros.network import blur_network, gpu_backend  # noqa: E402
from blur_imu_ros.network.blur_network import BlurNetwork, load_network  # noqa: E402
from blur_imu_ros.network.gpu_backend import SIZES_KEPT, GpuBackend  # noqa: E402
from blur_imu_ros.network.model_card import ModelCard  # noqa: E402
from blur_imu_ros.network.precision import FLOAT16, Trial  # noqa: E402
from helpers.command_line import MODEL, needs_model  # noqa: E402

pytestmark = needs_model
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")

CARD = MODEL.with_suffix(".json")
WIDTH, HEIGHT = 96, 64
CAMERA = Camera(WIDTH, HEIGHT, 80, 80, 47.5, 31.5)


class Stand:
    """Stands in for `Gpu`, and counts what it is asked to record."""

    device, name = torch.device("cpu"), "a GPU that is none"

    def __init__(self, refuses: str = "") -> None:
        self.recordings, self.waits, self.refuses = 0, 0, refuses

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return torch.empty(shape, dtype=dtype)

    def wait(self) -> None:
        self.waits += 1

    def arithmetic(self) -> Any:
        return torch.backends.cudnn.flags(enabled=True)

    def recorded(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recordings += 1
        if self.refuses:
            raise RuntimeError(self.refuses)
        work()
        return work


def backend(gpu: Any, **changes: Any) -> GpuBackend:
    card = ModelCard.load(CARD)
    given = (card.interface, card.mean, card.std, card.weights_sha256)
    return GpuBackend(MODEL, *given, **changes, gpu=gpu)


def picture(seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (*size, 3))
    return np.asarray(noise.cumsum(axis=1) / np.arange(1, size[1] + 1)[:, None], np.uint8)


def test_bytes_are_read_as_the_processor_reads_them() -> None:
    ours = BlurNetwork(backend(Stand()), ModelCard.load(CARD))
    theirs = load_network(MODEL, "torch")
    for image in (picture(), picture()[..., 0], picture(1)[:, ::-1]):
        a, b = (network.predict(image, CAMERA) for network in (ours, theirs))
        for name in ("q", "sigma", "inverse_depth", "sigma_log_depth"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-3, atol=1e-3)


def test_a_normalised_image_is_read_as_its_bytes_are() -> None:
    ours = BlurNetwork(backend(Stand()), ModelCard.load(CARD))
    image = picture()
    prepared = ours.backend.run(ours.prepared(image))
    for a, b in zip(prepared, ours.backend.run_bytes(image), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)
        assert a.dtype == b.dtype == np.float32


def test_what_was_returned_stays_when_the_next_image_comes() -> None:
    ours = backend(Stand())
    first = ours.run_bytes(picture())
    kept = [output.copy() for output in first]
    ours.run_bytes(picture(1))
    for output, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(output, before)


def test_each_size_is_recorded_once_and_the_last_few_are_kept() -> None:
    gpu = Stand()
    ours = backend(gpu)
    sizes = [(64, 32 * n) for n in range(1, SIZES_KEPT + 2)]
    for size in (*sizes[:-1], *sizes[:-1]):
        ours.run_bytes(picture(size=size))
    assert gpu.recordings == SIZES_KEPT
    ours.run_bytes(picture(size=sizes[0]))  # The second is the one not used for longest now.
    ours.run_bytes(picture(size=sizes[-1]))
    ours.run_bytes(picture(size=sizes[0]))
    assert gpu.recordings == SIZES_KEPT + 1
    ours.run_bytes(picture(size=sizes[1]))
    assert gpu.recordings == SIZES_KEPT + 2


def test_threads_take_turns() -> None:
    ours = backend(Stand())
    pictures = [picture(seed) for seed in range(8)]
    alone = [ours.run_bytes(image)[0] for image in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: ours.run_bytes(image)[0], pictures))
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_where_no_graph_can_be_recorded_kernels_start_one_by_one_and_it_says_so() -> None:
    gpu = Stand(refuses="operation not permitted\nwhen stream is capturing")
    ours, recorded = backend(gpu), backend(Stand())
    for size in ((HEIGHT, WIDTH), (64, 64)):
        image = picture(size=size)
        np.testing.assert_allclose(ours.run_bytes(image)[0], recorded.run_bytes(image)[0])
    assert gpu.recordings == 1
    assert "no CUDA graphs (not recorded: operation not permitted)" in ours.runs_on
    assert recorded.runs_on == "torch, a GPU that is none, float32, CUDA graphs"
    assert backend(gpu, graphs=False).runs_on.endswith("float32, no CUDA graphs")


def test_warm_up_records_the_sizes_of_the_card() -> None:
    gpu = Stand()
    network = BlurNetwork(backend(gpu), ModelCard.load(CARD))
    network.warm_up()
    network.predict(picture(size=network.input_size[::-1]), CAMERA.resized(*network.input_size))
    assert gpu.recordings == (2 if network.card.smaller_view else 1)


def test_16_bits_read_within_what_is_demanded_of_them() -> None:
    image = picture(size=(224, 320))
    full, half = (backend(Stand(), precision=p).run_bytes(image)[0] for p in ("float32", "float16"))
    assert half.dtype == np.float32
    change = np.hypot(*(half - full)[0]).mean() / np.hypot(*full[0]).mean()
    assert 0 < change < FLOAT16.difference / 10


def test_another_process_loads_it_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_backend, "Gpu", Stand)
    ours = backend(None, precision="bfloat16")
    copied = pickle.loads(pickle.dumps(ours))
    assert copied.runs_on == ours.runs_on and "bfloat16" in copied.runs_on


def test_what_the_gpu_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = backend(Stand())

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    monkeypatch.setattr(ours._network, "forward", full)
    with pytest.raises(ModelError, match="device 'cuda': CUDA out of memory.*use device cpu"):
        ours.run_bytes(picture())


@pytest.mark.parametrize(
    ("trial", "chosen"),
    [
        (Trial(1.6, 0.0005, FLOAT16), "float16"),
        (Trial(1.6, 0.03, FLOAT16), "float32"),  # beyond the largest float16, or nearly
        (Trial(1.6, float("nan"), FLOAT16), "float32"),
        (Trial(1.0, 0.0005, FLOAT16), "float32"),  # an old GPU
    ],
)
def test_16_bits_are_taken_where_they_pay_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch, trial: Trial, chosen: str
) -> None:
    monkeypatch.setattr(gpu_backend, "Gpu", Stand)
    monkeypatch.setattr(blur_network, "try_out", lambda *_, **__: trial)
    network = load_network(MODEL, "torch", "cuda")
    assert network.runs_on == f"torch, a GPU that is none, {chosen}, CUDA graphs"
    assert network.runs_on in network.note and f"differs by {trial.difference:.2%}" in network.note
    assert network.name == "compact"


def test_a_gpu_that_has_no_16_bits_stays_with_32_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = GpuBackend.run_bytes

    def old(self: GpuBackend, image: np.ndarray) -> Any:
        if "float16" in self.runs_on:
            raise ModelError("device 'cuda': no kernel image is available")
        return run(self, image)

    monkeypatch.setattr(GpuBackend, "run_bytes", old)
    monkeypatch.setattr(gpu_backend, "Gpu", Stand)
    network = load_network(MODEL, "torch", "cuda")
    assert "float32" in network.runs_on
    assert "float16 fails here: device 'cuda': no kernel image is available" in network.note


@pytest.mark.parametrize(
    ("providers", "weights", "has_gpu", "told"),
    [
        (["CPUExecutionProvider"], True, True, "torch"),
        (["CPUExecutionProvider"], True, False, "onnxruntime-gpu"),
        (["CPUExecutionProvider"], False, True, "onnxruntime-gpu"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], True, True, "does not start"),
    ],
)
def test_auto_takes_torch_for_a_gpu_that_onnx_runtime_was_not_built_for(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    providers: list[str],
    weights: bool,
    has_gpu: bool,
    told: str,
) -> None:
    import onnxruntime

    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, providers: real(*a, providers=providers[-1:])
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(gpu_backend, "Gpu", Stand)
    monkeypatch.setattr(blur_network, "try_out", lambda *_, **__: Trial(1.6, 0.0, FLOAT16))
    for suffix in (".onnx", ".json", *([".safetensors"] if weights else [])):
        shutil.copy(MODEL.with_suffix(suffix), tmp_path)
    if told == "torch":
        assert load_network(tmp_path / MODEL.name, device="cuda").runs_on.startswith("torch, a GPU")
        return
    with pytest.raises(ModelError, match=told):
        load_network(tmp_path / MODEL.name, device="cuda")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_torch_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[-1] in ("gpu_backend", "torch") or name == "safetensors.torch":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match="needs torch and safetensors"):
        load_network(MODEL, "torch", device)


@on_a_gpu
def test_a_gpu_reads_what_the_processor_reads() -> None:
    theirs = load_network(MODEL, "torch")
    for precision, allowed in (("float32", 1e-4), ("float16", FLOAT16.difference / 10)):
        for graphs in (True, False):
            ours = backend(None, precision=precision, graphs=graphs)
            for seed in range(3):
                image = picture(seed, (224, 320))
                q, expected = (
                    ours.run_bytes(image)[0],
                    theirs.backend.run(theirs.prepared(image))[0],
                )
                change = np.hypot(*(q - expected)[0]).mean() / np.hypot(*expected[0]).mean()
                assert change < allowed, (precision, graphs)
            assert ("no CUDA graphs" in ours.runs_on) is not graphs


@on_a_gpu
def test_a_gpu_records_several_sizes_and_threads_share_it() -> None:
    network = load_network(MODEL, "torch", "cuda")
    pictures = [picture(seed, (224, 32 * (4 + seed % (SIZES_KEPT + 1)))) for seed in range(15)]
    assert isinstance(network.backend, GpuBackend)
    alone = [network.backend.run_bytes(image)[0] for image in pictures]
    with ThreadPoolExecutor(4) as pool:
        for a, b in zip(alone, pool.map(network.backend.run_bytes, pictures), strict=True):
            np.testing.assert_allclose(a, b[0], atol=0.05)
