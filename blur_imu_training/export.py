"""From a training run to a model that the runtime loads."""

from __future__ import annotations

from pathlib import Path

from blur_imu_ros.model_card import ModelCard
from blur_imu_training.checkpoint import load_run
from blur_imu_training.learners import LEARNERS
from blur_imu_training.onnx_writer import write_model
from blur_imu_training.recipe import NetworkChoice

TERMS = {
    "nyuv2": "NYU Depth v2, pairs 0-1249 (Silberman et al. 2012): research use",
    "photos": "Houses dataset (Ahmed & Moustafa 2016): cite the paper",
    "panoramas": "panoramas of Poly Haven: CC0",
    "procedural": "dead leaves made from nothing: ours",
    "rooms": "rooms made from nothing: ours",
}
"""What each set of pictures of a recipe is, and what its owners ask for."""


def export_run(
    run: Path, output: Path, name: str, any_batch: bool = False, best: bool = False
) -> str:
    """Write `output` (ONNX), its card and its weights; ModelError if ONNX Runtime and torch disagree.

    The weights are the moving average of the run, or those that did `best` on held-out frames.
    Returns one line with the largest difference, for a person.
    """
    network, facts = load_run(run, best)
    recipe = facts["recipe"]
    learner = LEARNERS[NetworkChoice.of(recipe.get("network", {})).kind]
    data = [TERMS.get(n, n) for n in (*recipe["pictures"], *recipe.get("samples", ()))]
    card = learner.card(name, recipe["focal_reference"], {"data": data, **facts})
    card = write_model(network, card, output, any_batch)
    return describe(output, card)


def describe(output: Path, card: ModelCard) -> str:
    """Return one line about a model that was written, for a person."""
    size = output.stat().st_size / 1e6
    return f"{output}: {size:.1f} MB, differs from torch by {card.metrics['parity_with_torch']:.1g}"
