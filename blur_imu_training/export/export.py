"""From a training run to a model that the runtime loads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from blur_imu_ros.network.model_card import ModelCard
from blur_imu_training.data.picture_sets import load_pictures, shares_of
from blur_imu_training.export.onnx_writer import write_model
from blur_imu_training.export.reduced_precision import Precision, View, parity_of, write_reduced
from blur_imu_training.recipe import NetworkChoice, TrainingConfig
from blur_imu_training.rendering.samples import SampleStream
from blur_imu_training.training.checkpoint import load_run
from blur_imu_training.training.tasks import task_of

TERMS = {
    "nyuv2": "NYU Depth v2, pairs 0-1249 (Silberman et al. 2012): research use",
    "photos": "Houses dataset (Ahmed & Moustafa 2016): cite the paper",
    "panoramas": "panoramas of Poly Haven: CC0",
    "procedural": "dead leaves: ours",
    "rooms": "procedural rooms: ours",
    "traced_rooms": (
        "path-traced views of five rooms of Benedikt Bitterli's rendering resources: 'The "
        "Breakfast Room', 'The Wooden Staircase' (Wig42), 'Salle de bain' (nacimus), 'Japanese "
        "Classroom' (NovaZeeke), 'Modern Hall' (NewSee2l035): CC BY 3.0"
    ),
    "scannetpp": "ScanNet++ v2, iPhone (Yeshwanth et al. 2023): its own terms, non-commercial",
    "strayscanner": "recordings with StrayScanner: of those who made them",
}
"""What each set of pictures of a recipe is, and what its owners ask for."""


def export_run(
    run: Path, output: Path, name: str, any_batch: bool = False, best: bool = False
) -> str:
    """Write `output` (ONNX), its card and its weights; ModelError if ONNX Runtime and torch
    disagree.

    The weights are the moving average of the run, or those that did `best` on held-out frames.
    Returns one line with the largest difference, for a person.
    """
    network, facts = load_run(run, best)
    recipe = facts["recipe"]
    choice = NetworkChoice.of(recipe.get("network", {}))
    sets = facts.pop("sets", None) or [*recipe["pictures"], *recipe.get("samples", ())]
    training = {"data": terms_of(sets), **facts}
    card = task_of(choice).card(name, recipe["focal_reference"], training, choice)
    card = write_model(network, card, output, any_batch)
    return describe(output, card)


def terms_of(sets: Iterable[str]) -> list[str]:
    """Return what sets are and what their owners ask for; of others than ours, their names."""
    return [TERMS.get(name, name) for name in sets]


def export_reduced(
    source: Path,
    output: Path,
    name: str,
    precision: Precision,
    views: Views,
    best: bool = False,
) -> str:
    """Write a run, or a model in fp32, as `output` with other numbers; return its parity in words.

    Args:
        source: folder of a run, or .onnx file with its card beside it.
        output: path ending in .onnx.
        name: of the new model.
        precision: fp16 or int8.
        views: what the network sees; see `write_reduced`.
        best: of a run, the weights that did best on held-out frames.

    Raises:
        ModelError: what cannot be read or written, or differs too much.
    """
    if source.suffix == ".onnx":
        card = write_reduced(source, output, precision, views.seen, name, views.terms)
        return f"{output}: {output.stat().st_size / 1e6:.1f} MB, {parity_of(card)}"
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original.onnx"
        export_run(source, original, name, best=best)
        return export_reduced(original, output, name, precision, views)


@dataclass(frozen=True)
class Views:
    """What a network sees when it is reduced, and what that is made of."""

    seen: list[View]
    terms: list[str]


def sample_views(recipe: Path, data: Path | None, count: int) -> Views:
    """Return views of samples as a recipe makes them for training; `data` None makes pictures."""
    config = TrainingConfig.load(recipe)
    stage = config.stages[-1]
    pictures = load_pictures(config.pictures, data)
    stream = SampleStream(pictures, *config.network.size, stage.longest, config.seed)
    seen = [(sample.image, sample.camera) for sample in map(stream.__getitem__, range(count))]
    return Views(seen, terms_of(shares_of(config.pictures, data)))


def describe(output: Path, card: ModelCard) -> str:
    """Return one line about a model that was written, for a person."""
    size = output.stat().st_size / 1e6
    return f"{output}: {size:.1f} MB, differs from torch by {card.metrics['parity_with_torch']:.1g}"
