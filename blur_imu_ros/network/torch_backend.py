"""The networks in torch on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.network.torch_weights import read_network


class TorchBackend:
    """Runs the torch definition; meant for checking the exported model."""

    def __init__(
        self, path: Path, interface: str, threads: int | None = None, sha256: str = ""
    ) -> None:
        """Load the weights, which must have the hash `sha256`; ModelError names what is wrong."""
        self._network = read_network(path, interface, sha256)
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._made_of = (path, interface, threads, sha256)

    @property
    def runs_on(self) -> str:
        """See `blur_network.Backend`."""
        return "torch, cpu"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process load the weights for itself."""
        return TorchBackend, self._made_of

    def run(self, image: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        """See `blur_network.Backend`."""
        with self._torch.inference_mode():
            outputs = self._network(self._torch.from_numpy(image))
        return tuple(output.numpy() for output in outputs)
