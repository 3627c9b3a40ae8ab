"""The networks in torch, with weights from `<name>.safetensors` beside the ONNX file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.model_card import DIRECTED, INTERFACE, SIGNED_FLOW


def _read(weights: Path, sha256: str) -> bytes:
    """Return the bytes of a file of weights that has this hash; ModelError says what is wrong."""
    if not weights.is_file():
        raise ModelError(
            f"{weights}: the torch backend needs these weights, which are in models/ of the source "
            "tree and not installed; give the path of a model there, or use backend onnx"
        )
    if not sha256:
        raise ModelError(
            f"{weights}: the model's card has no hash of these weights; export the model again"
        )
    content = weights.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(f"{weights}: differs from the hash in its card; download both again")
    return content


class TorchBackend:
    """Runs the torch definition; meant for GPUs and for checking the exported model."""

    def __init__(
        self,
        path: Path,
        interface: str,
        device: str = "cpu",
        threads: int | None = None,
        sha256: str = "",
    ) -> None:
        """Load the weights, which must have the hash `sha256`; ModelError names what is wrong."""
        try:
            import torch
            from safetensors.torch import load
        except ImportError as error:
            raise ModelError(
                "backend torch needs torch and safetensors; install them, or use backend onnx"
            ) from error
        from blur_imu_ros.network.architectures.compact import CompactNetwork
        from blur_imu_ros.network.architectures.published import PublishedNetwork

        networks: dict[str, Callable[[], torch.nn.Module]] = {
            INTERFACE: CompactNetwork,
            DIRECTED: partial(CompactNetwork, directed=True),
            SIGNED_FLOW: PublishedNetwork,
        }
        if device not in ("cpu", "cuda"):
            raise ModelError(
                f"device '{device}' is not available with backend torch; use cpu or cuda"
            )
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError("device 'cuda': torch finds no usable GPU; use device cpu")
        weights = path.with_suffix(".safetensors")
        content = _read(weights, sha256)
        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._made_of = (path, interface, device, threads, sha256)
        self._device = torch.device(device)
        self._network = networks[interface]()
        try:
            self._network.load_state_dict(load(content))
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
