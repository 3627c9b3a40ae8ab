"""From a training run to a model that the runtime loads."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from safetensors import safe_open

from blur_imu_ros.errors import ModelError
from blur_imu_ros.model_card import INTERFACE, ModelCard
from blur_imu_ros.networks.compact import MEAN, STD, STRIDE, CompactNetwork
from blur_imu_training.blurred_samples import SampleStream
from blur_imu_training.onnx_writer import write_model
from blur_imu_training.reduced_precision import Precision, View, parity_of, write_reduced
from blur_imu_training.trainer import TrainingConfig, load_pictures

WIDTH, HEIGHT = 320, 224

TERMS = {
    "nyuv2": "NYU Depth v2, pairs 0-1249 (Silberman et al. 2012): research use",
    "photos": "Houses dataset (Ahmed & Moustafa 2016): cite the paper",
    "panoramas": "panoramas of Poly Haven: CC0",
    "procedural": "dead leaves made from nothing: ours",
    "rooms": "rooms made from nothing: ours",
}
"""What each set of pictures of a recipe is, and what its owners ask for."""


def load_run(run: Path) -> tuple[CompactNetwork, dict[str, Any]]:
    """Return the averaged network of a run in evaluation mode; its recipe, and how far it got."""
    state = run / "state.safetensors"
    if not state.is_file():
        raise ModelError(f"{state}: there is no training run here")
    network = CompactNetwork()
    with safe_open(state, "pt") as file:
        facts = {name: json.loads(text) for name, text in file.metadata().items()}
        weights = {
            name.removeprefix("average."): file.get_tensor(name)
            for name in file.keys()
            if name.startswith("average.")
        }
    network.load_state_dict(weights)
    return network.eval(), {**facts["progress"], "recipe": facts["recipe"]}


def export_run(
    run: Path, output: Path, name: str, focal_reference: float = 250.0, any_batch: bool = False
) -> str:
    """Write `output` (ONNX), its card and its weights; ModelError if ONNX Runtime and torch disagree.

    Returns one line with the largest difference, for a person.
    """
    network, facts = load_run(run)
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
        training={"data": [TERMS.get(n, n) for n in facts["recipe"]["pictures"]], **facts},
    )
    card = write_model(network, card, output, any_batch)
    return describe(output, card)


def export_reduced(
    source: Path, output: Path, name: str, precision: Precision, views: list[View]
) -> str:
    """Write a run, or a model in fp32, as `output` with other numbers; return its parity in words.

    Args:
        source: folder of a run, or .onnx file with its card beside it.
        output: path ending in .onnx.
        name: of the new model.
        precision: fp16 or int8.
        views: what the network sees; see `write_reduced`.

    Raises:
        ModelError: what cannot be read or written, or differs too much.
    """
    if source.suffix == ".onnx":
        card = write_reduced(source, output, precision, views, name)
        return f"{output}: {output.stat().st_size / 1e6:.1f} MB, {parity_of(card)}"
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original.onnx"
        export_run(source, original, name)
        return export_reduced(original, output, name, precision, views)


def sample_views(recipe: Path, data: Path | None, count: int) -> list[View]:
    """Return views of samples as a recipe makes them for training; `data` None makes pictures."""
    config = TrainingConfig.load(recipe)
    stage = config.stages[-1]
    pictures = load_pictures(config.pictures, data)
    stream = SampleStream(pictures, WIDTH, HEIGHT, stage.longest, config.seed)
    return [(sample.image, sample.camera) for sample in map(stream.__getitem__, range(count))]


def describe(output: Path, card: ModelCard) -> str:
    """Return one line about a model that was written, for a person."""
    size = output.stat().st_size / 1e6
    return f"{output}: {size:.1f} MB, differs from torch by {card.metrics['parity_with_torch']:.1g}"
