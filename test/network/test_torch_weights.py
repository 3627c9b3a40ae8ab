"""The torch backend runs the weights that the card vouches for, and no others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="backend torch needs torch: pip install .[train]")

from safetensors.torch import load_file, save_file  # noqa: E402

from blur_imu_ros.errors import ModelError  # noqa: E402
from blur_imu_ros.network.blur_network import load_network, model_path  # noqa: E402
from helpers.command_line import needs_model  # noqa: E402

pytestmark = needs_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    shipped = model_path("compact")
    for ending in (".onnx", ".json", ".safetensors"):
        shutil.copy(shipped.with_suffix(ending), tmp_path)
    return tmp_path / shipped.name


def test_its_own_weights_read_as_the_onnx_file_does(model: Path) -> None:
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 320)).astype(np.float32)
    ours, onnx = (load_network(model, name).backend.run(image) for name in ("torch", "onnx"))
    for a, b in zip(ours, onnx, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_weights_that_were_changed_are_refused(model: Path) -> None:
    weights = model.with_suffix(".safetensors")
    tensors = load_file(weights)
    tensors["head.2.weight"] = tensors["head.2.weight"] * 3
    save_file(tensors, weights)
    with pytest.raises(ModelError, match=r"compact\.safetensors: differs from the hash in its"):
        load_network(model, "torch")
    load_network(model, "onnx")


def test_weights_of_which_the_card_tells_no_hash_are_refused(model: Path) -> None:
    card = model.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"weights_sha256": ""}))
    with pytest.raises(ModelError, match="has no hash of these weights; export"):
        load_network(model, "torch")
