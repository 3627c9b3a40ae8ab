"""From a training run to a model that the runtime loads."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open

from blur_imu_ros.errors import ModelError
from blur_imu_ros.model_card import INTERFACE, ModelCard
from blur_imu_ros.networks.compact import MEAN, STD, STRIDE, CompactNetwork
from blur_imu_training.onnx_writer import write_model

WIDTH, HEIGHT = 320, 224

DATA = [
    "NYU Depth v2 (Silberman et al. 2012), research use",
    "Houses dataset (Ahmed & Moustafa 2016), cite the paper",
    "procedural dead leaves, ours",
]


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


def export_run(
    run: Path, output: Path, name: str, focal_reference: float = 250.0, any_batch: bool = False
) -> str:
    """Write `output` (ONNX), its card and its weights; ModelError if ONNX Runtime and torch disagree.

    Returns one line with the largest difference, for a person.
    """
    network, progress = load_run(run)
    card = ModelCard(
        name=name,
        interface=INTERFACE,
        width=WIDTH,
        height=HEIGHT,
        stride=STRIDE,
        mean=MEAN,
        std=STD,
        focal_reference=focal_reference,
        sha256="",
        training={"data": DATA, **progress},
    )
    card = write_model(network, card, output, any_batch)
    return describe(output, card)


def describe(output: Path, card: ModelCard) -> str:
    """Return one line about a model that was written, for a person."""
    size = output.stat().st_size / 1e6
    return f"{output}: {size:.1f} MB, differs from torch by {card.metrics['parity_with_torch']:.1g}"
