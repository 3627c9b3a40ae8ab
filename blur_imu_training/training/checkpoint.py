"""What a training run leaves in its folder: its state, and the weights that are taken from it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from blur_imu_ros.errors import ModelError, TrainingError
from blur_imu_training.recipe import NetworkChoice
from blur_imu_training.training.tasks import build

STATE = "state.safetensors"
BEST = "best.safetensors"
TEACHER = "teacher.safetensors"

TOLD = ("recipe", "sets", "held_out", "selected_on")
"""Facts of a run that are kept beside its network, where they are known."""

Tensors = dict[str, Tensor]
Facts = dict[str, Any]


@dataclass
class Progress:
    """How far a run is: with its recipe, all that decides which samples come next.

    Attributes:
        step, samples: trained on so far.
        elapsed: seconds.
        stage: its number.
        first: number of the sample that the stage began with.
        batch: samples of one batch of the stage, over all processes.
        reuse: which of the stage's batches are kept to be used again; see `ReusedBatches.state`.
    """

    step: int = 0
    samples: int = 0
    elapsed: float = 0.0
    stage: int = 0
    first: int = 0
    batch: int = 0
    reuse: Facts = field(default_factory=dict)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
    """Write a file that is complete or stays as it was; TrainingError where that is not
    possible."""
    partial = path.with_suffix(".partial")
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        save_file(whole, partial, {name: json.dumps(fact) for name, fact in facts.items()})
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise TrainingError(
            f"{path}: cannot be written ({error}); is the disk full? The one before it is kept"
        ) from error


def read_tensors(path: Path) -> tuple[Tensors, Facts]:
    """Return the tensors and facts of a file; TrainingError if it cannot be read."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _facts(file)


def read_facts(path: Path) -> Facts:
    """Return what was written beside the tensors of a file."""
    with _opened(path) as file:
        return _facts(file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read as weights (.safetensors): {error}") from error


def _facts(file: Any) -> Facts:
    metadata = file.metadata() or {}
    return {name: json.loads(text) for name, text in metadata.items() if name != "format"}


def part(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def load_weights(network: nn.Module, weights: Tensors, path: Path) -> None:
    """Give a network weights read from `path`; TrainingError names the first that is not of it."""
    expected = network.state_dict()
    for name in [*expected, *weights]:
        ours, theirs = (list(t[name].shape) if name in t else "none" for t in (expected, weights))
        if ours != theirs:
            raise TrainingError(
                f"{path}: is of another architecture: '{name}' is {theirs} there and {ours} here; "
                "`network` of the recipe must be that of these weights (for models/compact with "
                "directed: true)"
            )
    network.load_state_dict(weights)


def read_weights(path: Path) -> Tensors:
    """Return the weights of a file, or of a run's folder: its best ones, else its average.

    TrainingError if there are none, or they cannot be read.
    """
    if not path.is_dir():
        return read_tensors(path)[0]
    if (path / BEST).is_file():
        return read_tensors(path / BEST)[0]
    if not (path / STATE).is_file():
        raise TrainingError(
            f"{path}: holds no state of a training run ({STATE}); if it has just begun, wait until "
            "it has saved one"
        )
    return part(read_tensors(path / STATE)[0], "average.")


def load_run(run: Path, best: bool = False) -> tuple[nn.Module, Facts]:
    """Return a network of a run in evaluation mode, and the facts of it: progress and `TOLD`.

    Args:
        run: folder of the run.
        best: the weights that did best on held-out frames, instead of the last moving average.

    Raises:
        ModelError: there is no run, or nothing of it was validated.
        TrainingError: a file that is damaged, or of another architecture than its recipe says.
    """
    path = run / (BEST if best else STATE)
    if not path.is_file():
        reason = "nothing was validated" if (run / STATE).is_file() else "there is no training run"
        raise ModelError(f"{path}: {reason} here")
    tensors, facts = read_tensors(path)
    network = build(NetworkChoice.of(facts["recipe"].get("network", {})))
    load_weights(network, tensors if best else part(tensors, "average."), path)
    far: Facts = {name: facts["progress"][name] for name in ("step", "samples", "elapsed")}
    return network.eval(), far | {n: facts[n] for n in TOLD if n in facts}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return the state of an optimizer as tensors with names."""
    states = optimizer.state_dict()["state"].items()
    return {f"{i}.{name}": value for i, state in states for name, value in state.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Give an optimizer the state that `optimizer_tensors` returned."""
    state: dict[int, Tensors] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def progress_of(facts: Facts, uses: int) -> Progress:
    """Return the progress that a state holds; of older ones less is known."""
    progress = facts["progress"]
    return Progress(**{"first": progress["samples"] // uses, **progress})


def facts_of(progress: Progress, recipe: Facts) -> Facts:
    """Return what is written beside the tensors of a run."""
    return {"progress": asdict(progress), "recipe": recipe}
