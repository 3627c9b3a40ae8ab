"""From a torch network to an ONNX file that gives the same numbers, and its card."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.blur_network import OnnxBackend
from blur_imu_ros.network.model_card import ModelCard, file_hash

OPSET = 17
LARGEST_DIFFERENCE = 1e-3
"""Between ONNX Runtime and torch, over the largest value of the output or 1."""


class _PlainTuple(nn.Module):
    """Gives a plain tuple, as ONNX wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.network(image))


def write_model(
    network: nn.Module, card: ModelCard, output: Path, any_batch: bool = False
) -> ModelCard:
    """Write a network as `output` (ONNX), its card, and its weights for the torch backend.

    Nothing is left at `output` unless ONNX Runtime gives what torch gives.

    Args:
        network: in evaluation mode, on the CPU.
        card: what is known already; hash, opset and parity are filled in.
        output: path ending in .onnx.
        any_batch: whether several images may be given at once.

    Raises:
        ModelError: the path, or ONNX Runtime and torch disagree.
    """
    if output.suffix != ".onnx":
        raise ModelError(f"{output}: models are written as .onnx; choose that ending")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial.onnx")
    image = torch.randn(1, 3, card.height, card.width, generator=torch.Generator().manual_seed(0))
    try:
        _export(network, image, card, partial, any_batch)
        difference = largest_difference(network, image, card.outputs, partial)
        if difference > LARGEST_DIFFERENCE:
            raise ModelError(f"{output}: ONNX Runtime differs from torch by {difference:.2g}")
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, output.with_suffix(".safetensors"))
    card = replace(
        card,
        sha256=file_hash(output),
        weights_sha256=file_hash(output.with_suffix(".safetensors")),
        training={**card.training, "opset": OPSET, "any_batch": any_batch},
        metrics={**card.metrics, "parity_with_torch": difference},
    )
    card.save(output.with_suffix(".json"))
    return card


def _export(
    network: nn.Module, image: torch.Tensor, card: ModelCard, path: Path, any_batch: bool
) -> None:
    with warnings.catch_warnings():
        # The exporter that is to replace this one gives the same numbers at the same speed, but
        # takes three times as long, needs ONNX Runtime 1.18 and writes source paths into the file.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            _PlainTuple(network).eval(),
            (image,),
            str(path),
            input_names=["image"],
            output_names=list(card.outputs),
            opset_version=OPSET,
            dynamo=False,
            dynamic_axes=_open_axes(card, any_batch),
        )


def _open_axes(card: ModelCard, any_batch: bool) -> dict[str, dict[int, str]]:
    """Return the names of the axes that may have another length in use than here."""
    batch = {0: "batch"} if any_batch else {}
    sides = {2: "height", 3: "width"} if card.smaller_view or card.any_size else {}
    cells = {axis: f"{name}_cells" for axis, name in sides.items()}
    return {"image": batch | sides} | {name: batch | cells for name in card.outputs}


def largest_difference(
    network: nn.Module, image: torch.Tensor, outputs: tuple[str, ...], path: Path
) -> float:
    """Return how far ONNX Runtime is from torch, over the largest value of each output or 1."""
    with torch.inference_mode():
        expected = [value.numpy() for value in network(image)]
    found = OnnxBackend(path, outputs).run(image.numpy())
    return max(
        float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))
        for a, b in zip(found, expected, strict=True)
    )
