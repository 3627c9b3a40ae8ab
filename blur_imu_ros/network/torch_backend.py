"""The networks in torch, with weights from `<name>.safetensors` beside the ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.model_card import INTERFACE, SIGNED_FLOW


class TorchBackend:
    """Runs the torch definition; meant for GPUs and for checking the exported model."""

    def __init__(
        self, path: Path, interface: str, device: str = "cpu", threads: int | None = None
    ) -> None:
        """Load the weights; ModelError names what is missing."""
        try:
            import torch
            from safetensors.torch import load_file
        except ImportError as error:
            raise ModelError(
                "backend torch needs torch and safetensors; install them, or use backend onnx"
            ) from error
        from blur_imu_ros.network.architectures.compact import CompactNetwork
        from blur_imu_ros.network.architectures.published import PublishedNetwork

        networks = {INTERFACE: CompactNetwork, SIGNED_FLOW: PublishedNetwork}
        if device not in ("cpu", "cuda"):
            raise ModelError(f"device '{device}' is none of backend torch; use cpu or cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("device 'cuda': torch finds no GPU that it can use; use device cpu")
        weights = path.with_suffix(".safetensors")
        if not weights.is_file():
            raise ModelError(f"{weights}: the torch backend needs these weights; use backend onnx")
        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._made_of = (path, interface, device, threads)
        self._device = torch.device(device)
        self._network = networks[interface]()
        try:
            self._network.load_state_dict(load_file(weights))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{weights}: {str(error).splitlines()[-1].strip()}") from error
        self._network.eval().to(self._device)

    @property
    def runs_on(self) -> str:
        """See `blur_network.Backend`."""
        return f"torch, {self._device}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process load the weights for itself."""
        return TorchBackend, self._made_of

    def run(self, image: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        """See `blur_network.Backend`."""
        with self._torch.inference_mode():
            outputs = self._network(self._torch.from_numpy(image).to(self._device))
        return tuple(output.cpu().numpy() for output in outputs)
