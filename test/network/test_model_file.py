"""Model files are refused for what they could do, before a runtime sees them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="making models needs onnx: pip install .[train]")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from blur_imu_ros.errors import ModelError  # noqa: E402
from blur_imu_ros.network import model_file  # noqa: E402
from blur_imu_ros.network.blur_network import load_network, model_path  # noqa: E402
from blur_imu_ros.network.model_card import ModelCard, file_hash  # noqa: E402
from blur_imu_ros.network.model_file import read_model  # noqa: E402


def model(*nodes, initializers=()) -> bytes:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])
    graph = helper.make_graph(list(nodes), "g", [image], [image], list(initializers))
    return helper.make_model(graph).SerializeToString()


def reason(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        read_model(path)
    assert str(path) in str(error.value)
    return str(error.value)


def external(name: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "weights")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=name)
    return tensor


def test_the_shipped_models_are_within_the_limits():
    for path in model_path("compact").parent.glob("*.onnx"):
        assert read_model(path) == path.read_bytes()


def test_weights_in_other_files_are_refused(tmp_path: Path):
    initializer = model(initializers=[external("../../etc/passwd")])
    assert "other files" in reason(tmp_path, initializer)
    constant = helper.make_node("Constant", [], ["y"], value=external("weights.bin"))
    assert "other files" in reason(tmp_path, model(constant))


def test_operators_that_may_run_without_end_are_refused(tmp_path: Path):
    body = helper.make_graph([], "body", [], [])
    loop = helper.make_node("Loop", ["n", "go"], ["y"], body=body)
    assert "Loop may never end" in reason(tmp_path, model(loop))


def test_operators_within_graphs_of_operators_are_found(tmp_path: Path):
    inner = helper.make_graph([helper.make_node("Scan", [], ["y"])], "inner", [], [])
    outer = helper.make_node("Relu", ["image"], ["y"], body=inner)
    assert "Scan may never end" in reason(tmp_path, model(outer))


def test_operators_of_others_are_refused(tmp_path: Path):
    custom = helper.make_node("Shell", ["image"], ["y"], domain="com.example")
    assert "domain 'com.example'" in reason(tmp_path, model(custom))


def test_graphs_without_bottom_are_refused(tmp_path: Path):
    graph = helper.make_graph([], "bottom", [], [])
    for _ in range(20):
        graph = helper.make_graph(
            [helper.make_node("Relu", ["image"], ["y"], body=graph)], "g", [], []
        )
    assert "graphs within graphs" in reason(tmp_path, helper.make_model(graph).SerializeToString())


def test_a_file_larger_than_any_model_is_refused_unread(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(model_file, "LARGEST_FILE", 10)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    path = tmp_path / "large.onnx"
    path.write_text("x" * 11)
    with pytest.raises(ModelError, match="more than any model"):
        read_model(path)


@pytest.mark.parametrize("content", [b"not a model", b"\x3a\xff", b"\x80" * 20, b"\x3b"])
def test_what_is_no_model_is_said_to_be_none(tmp_path: Path, content: bytes):
    assert "is not an ONNX file" in reason(tmp_path, content)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    for suffix in (".onnx", ".json"):
        shutil.copy(model_path("compact").with_suffix(suffix), tmp_path / f"copy{suffix}")
    return tmp_path / "copy.onnx"


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_one_changed_bit_is_refused_by_the_hash(shipped: Path, backend: str):
    content = bytearray(shipped.read_bytes())
    content[len(content) // 2] ^= 1
    shipped.write_bytes(content)
    with pytest.raises(ModelError, match="differs from the hash in its card"):
        load_network(shipped, backend)


def test_half_a_model_with_the_right_hash_is_refused_in_words(shipped: Path):
    shipped.write_bytes(shipped.read_bytes()[: 1 << 20])
    card = shipped.with_suffix(".json")
    replace(ModelCard.load(card), sha256=file_hash(shipped)).save(card)
    with pytest.raises(ModelError, match=r"copy\.onnx: is not an ONNX file, or damaged"):
        load_network(shipped)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 10**9}, "at most 4096"),
        ({"stride": 0}, "whole pixels"),
        ({"height": 224.0}, "whole pixels"),
        ({"sha256": None}, "must be texts"),
        ({"std": [0.2, 0.2]}, "three numbers"),
        ({"std": [0.2, 0.2, 0.0]}, "std must not be 0"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean holds what is not a finite number"),
        ({"length_scale": {}}, "length_scale holds what is not"),
        ({"sigma_scale": -1.0}, "sigma_scale must be positive"),
    ],
)
def test_cards_that_cannot_be_are_refused(shipped: Path, changes: dict[str, object], told: str):
    path = shipped.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelError, match=told):
        load_network(shipped)
