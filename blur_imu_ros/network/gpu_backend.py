"""The networks on a GPU, one image at a time.

What costs there is neither arithmetic nor memory but that a hundred small kernels are started one
by one, and that the processor prepares and carries what the GPU could. So the bytes of the view
go up as they are and are normalised there, batch normalisations are part of their convolutions, a
CUDA graph of each size of view starts all kernels at once, and the outputs come back as one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from blur_imu_ros.core.arrays import Array
from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.torch_weights import read_network

SIZES_KEPT = 4
"""Sizes of views whose graphs are kept: full and smaller view of two cameras."""
WARM_UPS = 3
"""Runs before a graph is recorded: libraries choose their kernels and take their memory."""


class Gpu:
    """What is used of CUDA, in one place, so that all else runs without a GPU too."""

    def __init__(self, tf32: bool = False) -> None:
        """Take the first GPU; ModelError where torch finds none.

        `tf32` lets float32 convolutions round their factors to 10 bits, which torch does by
        default.
        """
        if not torch.cuda.is_available():
            raise ModelError("device 'cuda': torch finds no usable GPU; use device cpu")
        self.device = torch.device("cuda")
        self.name = torch.cuda.get_device_name()
        self._tf32 = tf32

    def pinned(self, shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return memory of the computer that the GPU reads and writes by itself."""
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def wait(self) -> None:
        """Return when the GPU has done what it was given."""
        torch.cuda.current_stream().synchronize()

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Choose the fastest kernels by trial, for convolutions in the precision asked for."""
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=self._tf32):
            yield

    def recorded(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return what does `work` again, in the same memory, as one graph; RuntimeError where it
        cannot be recorded."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Calls of other threads, which use CUDA for something else, do not matter.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
        return graph.replay


class GpuBackend:
    """A network on a GPU; a view's bytes in, its outputs out. Several threads may use it."""

    def __init__(
        self,
        path: Path,
        interface: str,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        sha256: str,
        precision: str = "float32",
        graphs: bool = True,
        gpu: Gpu | None = None,
    ) -> None:
        """Load the weights, which must have the hash `sha256`; ModelError names what is wrong.

        Args:
            path: of the model; its weights are beside it.
            interface, mean, std, sha256: of its card.
            precision: of weights and features: float32, float16 or bfloat16.
            graphs: whether kernels start as one graph or one by one.
            gpu: for tests; otherwise the one that is here.
        """
        self._made_of = (path, interface, mean, std, sha256, precision, graphs)
        self._gpu = gpu or Gpu()
        self._graphs, self._without, self._precision = graphs, "", precision
        dtype: torch.dtype = getattr(torch, precision)
        network = _without_normalisations(read_network(path, interface, sha256)).to(dtype)
        with _named():
            self._network = _FromBytes(network, mean, std, dtype).eval().to(self._gpu.device)
        self._lock = Lock()
        self._sizes: dict[tuple[int, int], GpuSize] = {}

    @property
    def runs_on(self) -> str:
        """See `blur_network.Backend`."""
        started = "CUDA graphs" if self._graphs and not self._without else "no CUDA graphs"
        why = f" ({self._without})" if self._without else ""
        return f"torch, {self._gpu.name}, {self._precision}, {started}{why}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process load the weights for itself."""
        return GpuBackend, self._made_of

    def run(self, image: NDArray[np.float32]) -> tuple[Array, ...]:
        """See `blur_network.Backend`; kernels start one by one."""
        with self._lock, torch.inference_mode(), self._gpu.arithmetic(), _named():
            outputs = self._network.of_image(torch.from_numpy(image).to(self._gpu.device))
            return tuple(output.float().cpu().numpy() for output in outputs)

    def run_bytes(self, image: NDArray[np.uint8]) -> tuple[Array, ...]:
        """See `blur_network.TakesBytes`."""
        with self._lock, torch.inference_mode(), _named():
            return self.size(*image.shape[:2]).run(image)

    def size(self, height: int, width: int) -> GpuSize:
        """Return what runs views of a size, pixels; the last few are kept."""
        size = self._sizes.pop((height, width), None) or self._new_size(height, width)
        self._sizes[height, width] = size
        if len(self._sizes) > SIZES_KEPT:
            del self._sizes[next(iter(self._sizes))]  # the one that was not used for longest
        return size

    def _new_size(self, height: int, width: int) -> GpuSize:
        size = GpuSize(self._gpu, self._network, (height, width, 3))
        if self._graphs and not self._without:
            try:
                size.record()
            except RuntimeError as error:
                self._without = f"not recorded: {str(error).splitlines()[0]}"
        return size


class GpuSize:
    """Views of one size: where their bytes go in and outputs come out, and what runs between."""

    def __init__(self, gpu: Gpu, network: nn.Module, shape: tuple[int, int, int]) -> None:
        """Take the memory for views of `shape` (height, width, 3), and calculate once."""
        self._gpu, self._network = gpu, network
        self._sent = gpu.pinned(shape, torch.uint8)
        self._there = torch.zeros(shape, dtype=torch.uint8, device=gpu.device)
        self._calculate()
        self._received = gpu.pinned(self._outputs.shape, torch.float32)
        self._replay: Callable[[], None] | None = None

    def record(self) -> None:
        """Start as one graph from now on; RuntimeError where it cannot be recorded."""
        self._replay = self._gpu.recorded(self._calculate)

    def start(self) -> None:
        """Give the GPU what it has to calculate for the view that was sent; do not wait."""
        (self._replay or self._calculate)()

    def _calculate(self) -> None:
        """Leave the outputs, one behind the other, in the memory of the GPU."""
        with self._gpu.arithmetic():
            outputs = self._network(self._there)
        self._shapes = [tuple(output.shape) for output in outputs]
        self._outputs = torch.cat([output.float().flatten() for output in outputs])

    def run(self, image: NDArray[np.uint8]) -> tuple[Array, ...]:
        """Return the outputs for a view (height, width, 3) BGR or (height, width) grey."""
        np.copyto(self._sent.numpy(), image if image.ndim == 3 else image[..., None])
        self._there.copy_(self._sent, non_blocking=True)
        self.start()
        self._received.copy_(self._outputs, non_blocking=True)
        self._gpu.wait()
        values, outputs = self._received.numpy().copy(), []  # The next image overwrites it.
        for shape in self._shapes:
            outputs.append(values[: prod(shape)].reshape(shape))
            values = values[prod(shape) :]
        return tuple(outputs)


class _FromBytes(nn.Module):
    """A network behind the normalisation of its input."""

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        # Channels of a pixel stay side by side: as the bytes come, and as tensor cores read them.
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._dtype = dtype
        self._gain: Tensor
        self._offset: Tensor
        by_channel = (1, 3, 1, 1)
        self.register_buffer("_gain", 1 / (255 * torch.tensor(std).reshape(by_channel)))
        self.register_buffer("_offset", -torch.tensor(mean).reshape(by_channel) * 255 * self._gain)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for a view (height, width, 3), BGR bytes."""
        rgb = pixels.permute(2, 0, 1)[None].flip(1)
        return self.of_image(torch.addcmul(self._offset, rgb.float(), self._gain))

    def of_image(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for a normalised image (1, 3, height, width)."""
        image = image.to(self._dtype, memory_format=torch.channels_last)
        outputs: tuple[Tensor, ...] = self._network(image)
        return outputs


def _without_normalisations(network: nn.Module) -> nn.Module:
    """Let each convolution do what the batch normalisation right behind it does; return the
    network."""
    for chain in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        names = list(chain._modules)
        for name, following in zip(names, names[1:], strict=False):
            first, second = chain._modules[name], chain._modules[following]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                chain._modules[name] = fuse_conv_bn_eval(first, second)
                chain._modules[following] = nn.Identity()
    return network


@contextmanager
def _named() -> Iterator[None]:
    """Say of what CUDA raises that it is the GPU's."""
    try:
        yield
    except RuntimeError as error:
        raise ModelError(
            f"device 'cuda': {str(error).splitlines()[0]}; use device cpu, or free memory of the "
            "GPU if it is that"
        ) from error
