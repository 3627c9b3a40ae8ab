"""From a training run to a model that the runtime loads: ONNX, card, parity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from blur_imu_ros.blur_network import OUTPUTS, OnnxBackend
from blur_imu_ros.errors import ModelError
from blur_imu_ros.model_card import INTERFACE, ModelCard, file_hash
from blur_imu_ros.networks.compact import MEAN, STD, STRIDE, CompactNetwork

WIDTH, HEIGHT = 320, 224
OPSET = 17
LARGEST_DIFFERENCE = 1e-3
"""Between ONNX Runtime and torch, in the units of the outputs (pixels, logarithms)."""

DATA = [
    "NYU Depth v2 (Silberman et al. 2012), research use",
    "Houses dataset (Ahmed & Moustafa 2016), cite the paper",
    "procedural dead leaves, ours",
]


class _Averaged(torch.nn.Module):
    """Gives a plain tuple, as ONNX wants it."""

    def __init__(self, network: CompactNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.network(image))


def load_run(run: Path) -> tuple[CompactNetwork, dict[str, float]]:
    """Return the averaged network of a run in evaluation mode, and how far the run got."""
    state = run / "state.safetensors"
    if not state.is_file():
        raise ModelError(f"{state}: there is no training run here")
    network = CompactNetwork()
    with safe_open(state, "pt") as file:
        progress = json.loads(file.metadata()["progress"])
        weights = {
            name.removeprefix("average."): file.get_tensor(name)
            for name in file.keys()
            if name.startswith("average.")
        }
    network.load_state_dict(weights)
    return network.eval(), progress


def export_run(run: Path, output: Path, name: str, focal_reference: float = 250.0) -> str:
    """Write `output` (ONNX) and its card; ModelError if ONNX Runtime and torch disagree.

    Returns one line with the largest difference, for a person.
    """
    network, progress = load_run(run)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial.onnx")
    image = torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(
        _Averaged(network).eval(), (image,), str(partial), input_names=["image"],
        output_names=list(OUTPUTS), opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    difference = _difference(network, partial, image)
    if difference > LARGEST_DIFFERENCE:
        partial.unlink()
        raise ModelError(f"{output}: ONNX Runtime differs from torch by {difference:.2g}")
    partial.replace(output)
    ModelCard(
        name=name,
        interface=INTERFACE,
        width=WIDTH,
        height=HEIGHT,
        stride=STRIDE,
        mean=MEAN,
        std=STD,
        focal_reference=focal_reference,
        sha256=file_hash(output),
        training={"data": DATA, **progress, "opset": OPSET},
        metrics={"parity_with_torch": difference},
    ).save(output.with_suffix(".json"))
    return f"{output}: {output.stat().st_size / 1e6:.1f} MB, differs from torch by {difference:.1g}"


def _difference(network: CompactNetwork, path: Path, image: torch.Tensor) -> float:
    with torch.inference_mode():
        expected = network(image)
    found = OnnxBackend(path, "cpu", None).run(image.numpy())
    return max(float(np.abs(a - b.numpy()).max()) for a, b in zip(found, expected, strict=True))
