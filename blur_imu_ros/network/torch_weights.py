"""The networks in torch, with weights from `<name>.safetensors` beside the ONNX file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.model_card import DIRECTED, INTERFACE, SIGNED_FLOW

if TYPE_CHECKING:
    from torch import nn

NEEDS_TORCH = "backend torch needs torch and safetensors; install them, or use backend onnx"


def read_network(path: Path, interface: str, sha256: str) -> nn.Module:
    """Return the network of a model, to run and not to train.

    Args:
        path: of the model; its weights are beside it.
        interface: of its card.
        sha256: that the weights must have.

    Raises:
        ModelError: torch is not installed, or the weights are not there or not these.
    """
    try:
        from safetensors.torch import load
    except ImportError as error:
        raise ModelError(NEEDS_TORCH) from error
    from blur_imu_ros.network.architectures.compact import CompactNetwork
    from blur_imu_ros.network.architectures.published import PublishedNetwork

    networks: dict[str, Callable[[], nn.Module]] = {
        INTERFACE: CompactNetwork,
        DIRECTED: partial(CompactNetwork, directed=True),
        SIGNED_FLOW: PublishedNetwork,
    }
    weights = path.with_suffix(".safetensors")
    content = _read(weights, sha256)
    network = networks[interface]()
    try:
        network.load_state_dict(load(content))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{weights}: {str(error).splitlines()[-1].strip()}") from error
    return network.eval()


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
