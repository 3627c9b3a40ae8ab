"""From a public checkpoint of the published network to a model that the runtime loads."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.architectures.published import PublishedNetwork
from blur_imu_ros.network.model_card import ModelCard, file_hash
from blur_imu_training.export.export import describe
from blur_imu_training.export.onnx_writer import write_model
from blur_imu_training.training.tasks import TASKS

CONTAINERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "model.", "_orig_mod.")

FOCAL_REFERENCE = 250.8
"""Pixels, of a 320 x 224 view: the phone whose depth the published weights learned."""


def import_checkpoint(source: Path, output: Path) -> str:
    """Write the published network with the weights of `source` as `output`, its card beside it.

    Args:
        source: .pth or .pt of a state dict, alone or in one of `CONTAINERS`, or .safetensors.
        output: path ending in .onnx.

    Returns:
        One line for a person.

    Raises:
        ModelError: what is wrong with the file; nothing in it is ever executed.
    """
    with torch.device("meta"):  # weights come from the file, so none are made up first
        network = PublishedNetwork()
    layout = network.state_dict()
    weights = _without_prefix(_load(source))
    _check(weights, layout, source)
    network.load_state_dict(
        {name: value.to(layout[name].dtype) for name, value in weights.items()}, assign=True
    )
    weights_from = {"name": source.name, "sha256": file_hash(source)}
    card = write_model(network.eval(), _card(output.stem, weights_from), output)
    return describe(output, card)


def write_untrained(output: Path) -> None:
    """Write the published network with random weights: as fast as with its own, of no other use.

    Args:
        output: path ending in .onnx.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PublishedNetwork()
    write_model(network.eval(), _card(output.stem, {"name": "none: random weights"}), output)


def _card(name: str, weights_from: dict[str, str]) -> ModelCard:
    training = {
        "method": "Image as an IMU (Chen & Clark, ICCV 2025)",
        "checkpoint": weights_from,
        "flow_sigma": "from the published error of pitch and yaw at 10 ms",
        "log_depth_sigma": "assumed; no figure is published",
    }
    return TASKS["published"].card(name, FOCAL_REFERENCE, training)


def _load(source: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by their names, without running any code of it."""
    if not source.is_file():
        raise ModelError(f"{source}: there is no such checkpoint")
    try:
        if source.suffix == ".safetensors":
            return load_file(source)
        with warnings.catch_warnings():  # one line about a bad file is enough
            warnings.simplefilter("ignore")
            content = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{source}: is not a file of plain tensors: it is damaged, or executes code when "
            "loaded, which is refused; save only its state dict"
        ) from error
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            f"{source}: cannot be read as a checkpoint: {_first_line(error)}"
        ) from error
    return _tensors(content, source)


def _tensors(content: Any, source: Path) -> dict[str, Tensor]:
    """Return the state dict that lies in `content`, however deep in the usual containers."""
    while isinstance(content, Mapping):
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return dict(content)
        inner = [content[name] for name in CONTAINERS if name in content]
        if not inner:
            raise ModelError(
                f"{source}: holds no state dict; looked for {', '.join(CONTAINERS)}, found "
                f"{', '.join(str(key) for key in list(content)[:5]) or 'nothing'}"
            )
        content = inner[0]
    raise ModelError(f"{source}: holds a {type(content).__name__}, not a state dict")


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights without what wrappers put before every name."""
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _check(weights: dict[str, Tensor], expected: dict[str, Tensor], source: Path) -> None:
    """Name the first tensor that is missing, of another shape or not a number, or one too many."""
    for name, value in expected.items():
        if name not in weights:
            raise ModelError(f"{source}: is not the published network: lacks {name}")
        found = weights[name]
        if found.shape != value.shape:
            raise ModelError(
                f"{source}: is not the published network: {name} is {tuple(found.shape)}, expected "
                f"{tuple(value.shape)}"
            )
        if not bool(torch.isfinite(found).all()):
            raise ModelError(f"{source}: {name} holds values that are not numbers")
    for name in weights:
        if name not in expected:
            raise ModelError(f"{source}: is not the published network: {name} is unexpected")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
