"""The card beside a model: what goes in, what comes out, and how well it was measured to work."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blur_imu_ros.errors import ModelError

INTERFACE = "blur_field/1"
"""Inputs and outputs that this version understands: see `ModelCard`."""


@dataclass(frozen=True)
class ModelCard:
    """Description of `<name>.onnx`, stored as `<name>.json`.

    Attributes:
        name: of the model.
        interface: inputs and outputs; `blur_field/1` takes `image` (1, 3, height, width), RGB scaled
            to 0..1, minus `mean`, over `std`, and gives `q` (double-angle field, pixels),
            `log_inverse_depth` (of 1/m at `focal_reference`) and `log_sigma` (of q in pixels and of
            log depth).
        width, height: of the input, pixels.
        stride: side of an output cell, pixels.
        mean, std: of the input's channels.
        focal_reference: pixels; inverse depth is predicted for this focal length.
        sha256: of the ONNX file.
        training: data with terms, recipe, seed, samples.
        metrics: measured figures.
        sigma_scale: factor on the predicted standard deviation of the field, from held-out frames.
    """

    name: str
    interface: str
    width: int
    height: int
    stride: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    focal_reference: float
    sha256: str
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    sigma_scale: float = 1.0

    def save(self, path: Path) -> None:
        """Write the card as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> ModelCard:
        """Read a card; ModelError names the file and what is wrong."""
        try:
            content = json.loads(path.read_text())
            content["mean"], content["std"] = tuple(content["mean"]), tuple(content["std"])
            card = cls(**content)
        except OSError as error:
            raise ModelError(
                f"{path}: the model's card cannot be read: {error.strerror}"
            ) from error
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{path}: is no model card: {error}") from error
        if card.interface != INTERFACE:
            raise ModelError(
                f"{path}: interface '{card.interface}' is not known; this version reads {INTERFACE}"
            )
        return card


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file; ModelError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read: {error.strerror}") from error
