"""From the network's view of an image to a blur field, by ONNX Runtime or torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.core.arrays import Array
from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import ModelError
from blur_imu_ros.execution.memory import give_back_memory
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.execution.resources import resource_names, resource_path
from blur_imu_ros.network.field_readers import READERS
from blur_imu_ros.network.model_card import ModelCard
from blur_imu_ros.network.model_file import read_model
from blur_imu_ros.network.precision import FLOAT16, try_out, with_8_bits
from blur_imu_ros.network.torch_weights import NEEDS_TORCH
from blur_imu_ros.network.two_scales import has_long_blur, with_long_blur
from blur_imu_ros.network.view_sizes import in_shape_of, smaller

Loader: TypeAlias = Callable[[str, str, str, "int | None"], "BlurNetwork"]
"""Gives the network by model, backend, device and threads, as `load_network` does."""


class Backend(Protocol):
    """Runs a model."""

    @property
    def runs_on(self) -> str:
        """What runs it and where, for a person."""

    def run(self, image: NDArray[np.float32]) -> tuple[Array, ...]:
        """Return the outputs for a normalised image (1, 3, height, width), in the card's order."""


@runtime_checkable
class TakesBytes(Protocol):
    """A backend that normalises images itself: on a GPU that is faster, and bytes are sooner
    there."""

    def run_bytes(self, image: NDArray[np.uint8]) -> tuple[Array, ...]:
        """Return the outputs for a view (height, width, 3) BGR or (height, width) grey."""


def _session(path: Path, content: bytes, device: str, threads: int | None) -> Any:
    """Return ONNX Runtime's session of a model; ModelError where it cannot run on the device."""
    import onnxruntime

    providers = _providers(device)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or min(4, usual_jobs())
    options.log_severity_level = 3
    # Threads that wait in a loop take twice the processor time, also from whoever else needs it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime raises types of its own without a common base.
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {_first_line(error)}") from error
    if session.get_providers()[0] != providers[0]:
        raise ModelError(
            f"device '{device}': ONNX Runtime's {providers[0]} is installed but does not start; "
            "check the driver and the CUDA libraries, or use device cpu"
        )
    return session


class OnnxBackend:
    """ONNX Runtime; on the CPU unless another device is asked for."""

    def __init__(
        self,
        path: Path,
        outputs: tuple[str, ...],
        device: str = "cpu",
        threads: int | None = None,
        sha256: str | None = None,
    ) -> None:
        """Load the model, which has the hash `sha256` if one is given; ModelError names what is
        wrong."""
        self._made_of = (path, outputs, device, threads, sha256)
        self._session = _session(path, read_model(path, sha256), device, threads)
        self._outputs = list(outputs)
        names = [output.name for output in self._session.get_outputs()]
        missing = [name for name in outputs if name not in names]
        if missing or [i.name for i in self._session.get_inputs()] != ["image"]:
            raise ModelError(
                f"{path}: is not a blur network: expected input 'image' and outputs "
                f"{', '.join(outputs)}, found outputs {', '.join(names)}"
            )
        self.one_size = all(
            isinstance(side, int) for side in self._session.get_inputs()[0].shape[2:]
        )
        """Whether it takes images of one size only."""

    @property
    def runs_on(self) -> str:
        """See `Backend`."""
        return f"ONNX Runtime, {self._session.get_providers()[0]}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process load the model for itself."""
        return OnnxBackend, self._made_of

    def run(self, image: NDArray[np.float32]) -> tuple[Array, ...]:
        """See `Backend`."""
        return tuple(self._session.run(self._outputs, {"image": image}))


def _providers(device: str) -> list[str]:
    import onnxruntime

    wanted = {
        "cpu": ["CPUExecutionProvider"],
        "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
        "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
    }
    if device not in wanted:
        raise ModelError(f"device '{device}' is not known; use {', '.join(wanted)}")
    first = wanted[device][0]
    available = onnxruntime.get_available_providers()
    if first not in available:
        raise ModelError(
            f"device '{device}' needs ONNX Runtime's {first}, which is not installed; use device "
            "cpu, or install onnxruntime-gpu"
        )
    return [provider for provider in wanted[device] if provider in available]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class BlurNetwork:
    """A model with its card: takes the network's view, gives the blur field."""

    def __init__(self, backend: Backend, card: ModelCard) -> None:
        """Take what runs the model, and its card."""
        self.card = card
        self.name = card.name
        self.input_size = (card.width, card.height)
        self.backend = backend
        self.note = ""
        """Why this variant of a model was chosen, for a person; empty where none was."""
        # What each byte becomes in the normalised image, in RGB: (3, 256).
        gain = (1 / (255 * np.array(card.std))).astype(np.float32)[:, None]
        offset = (-np.array(card.mean) / card.std).astype(np.float32)[:, None]
        self._normalised = np.arange(256, dtype=np.float32) * gain + offset

    @property
    def runs_on(self) -> str:
        """What runs the model and where, as it is and not as it was asked for."""
        return self.backend.runs_on

    def view_size(self, camera: Camera) -> tuple[int, int]:
        """Return width and height of the view of a camera, pixels.

        It has the shape of the camera's image if the model takes images of any size.
        """
        return in_shape_of(camera, self.input_size) if self.card.any_size else self.input_size

    def predict(self, image: NDArray[np.uint8], camera: Camera) -> BlurField:
        """Return the blur field of a view.

        Args:
            image: (height, width, 3) BGR or (height, width) grey, uint8, of `input_size` or
                `view_size`.
            camera: pinhole of the view.
        """
        field = self._read(image, camera)
        if self.card.smaller_view is None or not has_long_blur(field):
            return field
        size = smaller((camera.width, camera.height), self.input_size, self.card.smaller_view)
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return with_long_blur(field, self._read(small, camera.resized(*size)))

    def _read(self, image: NDArray[np.uint8], camera: Camera) -> BlurField:
        return READERS[self.card.interface](self._outputs(image), self.card, camera)

    def _outputs(self, image: NDArray[np.uint8]) -> tuple[Array, ...]:
        if isinstance(self.backend, TakesBytes):
            return self.backend.run_bytes(image)
        return self.backend.run(self.prepared(image))

    def prepared(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the model's input (1, 3, height, width)."""
        channels = [image] * 3 if image.ndim == 2 else cv2.split(image)[::-1]
        planes = np.empty((1, 3, *image.shape[:2]), np.float32)
        for channel, table, plane in zip(channels, self._normalised, planes[0], strict=True):
            cv2.LUT(channel, table, plane)
        return planes

    def warm_up(self) -> None:
        """Run once, so that the first real frame does not wait for memory and kernels."""
        for width, height in filter(None, (self.input_size, self.card.smaller_view)):
            self._outputs(np.zeros((height, width, 3), np.uint8))


def model_path(name_or_path: str | Path) -> Path:
    """Return the ONNX file of a shipped model's name or of a path; ModelError if there is none."""
    path = Path(name_or_path)
    if path.suffix == ".onnx":
        if not os.path.isfile(path):
            raise ModelError(f"{path}: there is no such model file")
        return path
    found = resource_path("models", f"{name_or_path}.onnx")
    if found is None:
        raise ModelError(
            f"model '{name_or_path}' is not there; there are {', '.join(shipped_models())}; or "
            "give the path of an .onnx file with its .json card beside it"
        )
    return found


def view_size(name_or_path: str | Path) -> tuple[int, int]:
    """Return width and height of a model's view by its card, pixels; ModelError if there is
    none."""
    card = ModelCard.load(model_path(name_or_path).with_suffix(".json"))
    return card.width, card.height


def shipped_models() -> list[str]:
    """Return the names of the models that are here."""
    return resource_names("models", ".onnx")


def load_network(
    name_or_path: str | Path = DEFAULT_MODEL,
    backend: str = "auto",
    device: str = "cpu",
    threads: int | None = None,
) -> BlurNetwork:
    """Return a network by the name of a shipped model or the path of an ONNX file.

    Args:
        name_or_path: name of a shipped model, or path of an .onnx file with its card beside it.
        backend: `onnx` runs ONNX Runtime, `torch` the same weights in torch; `auto` runs ONNX
            Runtime, on the CPU with the 8-bit variant if that is faster here and gives the same
            result, and on a GPU for which only torch is installed torch. torch on a GPU takes
            float16 if that is faster there and gives the same result.
        device: `cpu`, `cuda` or `tensorrt`.
        threads: CPU threads, at most one per core; by default at most four.

    Raises:
        ModelError: the file, its card, its hash or its interface is wrong.
    """
    threads = threads and min(threads, usual_jobs())
    path = model_path(name_or_path)
    card = ModelCard.load(path.with_suffix(".json"))
    if (backend, device) == ("auto", "cuda") and _only_torch_reaches_it(path):
        backend = "torch"
    if backend in ("auto", "onnx"):
        return _by_onnx_runtime(path, card, backend, device, threads)
    if backend == "torch":
        read_model(path, card.sha256)
        return _by_torch(path, card, device, threads)
    raise ModelError(f"backend '{backend}' is not known; use auto, onnx or torch")


def _by_onnx_runtime(
    path: Path, card: ModelCard, backend: str, device: str, threads: int | None
) -> BlurNetwork:
    """Return a network in ONNX Runtime; with backend auto on the CPU in 8 bits where that pays."""
    runs = OnnxBackend(path, card.outputs, device, threads, card.sha256)
    if runs.one_size and (card.smaller_view or card.any_size):
        named = "a smaller_view" if card.smaller_view else "any_size"
        raise ModelError(
            f"{path}: takes images of one size only, but its card names {named}; export the "
            "model again, or take that out of the card"
        )
    network = BlurNetwork(runs, card)
    if (backend, device) != ("auto", "cpu"):
        return network
    chosen = _in_8_bits(network, path, threads)
    del network, runs
    give_back_memory()  # What one of the two took is not needed again.
    return chosen


def _only_torch_reaches_it(path: Path) -> bool:
    """Return whether a GPU is here that ONNX Runtime was not built for, and torch was."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return False
    if not path.with_suffix(".safetensors").is_file():
        return False
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def _by_torch(path: Path, card: ModelCard, device: str, threads: int | None) -> BlurNetwork:
    """Return a network in torch, on a GPU in 16 bits where that pays."""
    if device not in ("cpu", "cuda"):
        raise ModelError(f"device '{device}' is not available with backend torch; use cpu or cuda")
    if device == "cpu":
        from blur_imu_ros.network.torch_backend import TorchBackend

        return BlurNetwork(TorchBackend(path, card.interface, threads, card.weights_sha256), card)
    try:
        from blur_imu_ros.network.gpu_backend import GpuBackend
    except ImportError as error:
        raise ModelError(NEEDS_TORCH) from error

    def in_bits_of(precision: str) -> BlurNetwork:
        weights = (card.interface, card.mean, card.std, card.weights_sha256)
        return BlurNetwork(GpuBackend(path, *weights, precision), card)

    full = in_bits_of("float32")
    full.warm_up()  # What the GPU cannot do at all is no matter of 16 bits.
    try:
        half = in_bits_of("float16")
        # Its work is waited for, so that time on the wall counts; a run takes a millisecond.
        trial = try_out(full, half, FLOAT16, time.perf_counter, runs=20)
    except ModelError as error:
        full.note = f"runs on {full.runs_on}; float16 fails here: {error}"
        return full
    chosen = half if trial.pays else full
    chosen.note = (
        f"runs on {chosen.runs_on}; float16 is {trial.gain:.1f} times as fast here as float32, and "
        f"its field differs by {trial.difference:.2%}"
    )
    return chosen


def _in_8_bits(full: BlurNetwork, path: Path, threads: int | None) -> BlurNetwork:
    """Return the variant in 8 bits of a network where there is one and it pays here, or itself."""
    beside = with_8_bits(path)
    if beside is None:
        return full
    reduced = load_network(beside, "onnx", "cpu", threads)
    trial = try_out(full, reduced)
    if not trial.pays:
        return full
    reduced.note = (
        f"using {reduced.name}, {trial.gain:.1f} times as fast here as {full.name}; its field "
        f"differs by {trial.difference:.1%}"
    )
    return reduced
