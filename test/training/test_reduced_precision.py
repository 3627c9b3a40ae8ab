"""A model in fewer bits reads nearly the same fields, says how nearly, or is not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="export needs torch: pip install .[train]")

import onnx
from onnx import numpy_helper

from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.blur_network import load_network, model_path
from blur_imu_ros.network.model_card import ModelCard
from blur_imu_training.commands import DEFAULT_RECIPE, PrecisionChoice, export
from blur_imu_training.export import reduced_precision
from blur_imu_training.export.export import sample_views
from blur_imu_training.export.reduced_precision import (
    Precision,
    View,
    parity_of,
    write_reduced,
)


@pytest.fixture(scope="module")
def original() -> Path:
    """The shipped model: how well numbers bear to be rounded is learned, too."""
    return model_path("compact")


@pytest.fixture(scope="module")
def views() -> list[View]:
    return sample_views(DEFAULT_RECIPE, None, 8).seen


@pytest.mark.parametrize(("precision", "most"), [(Precision.int8, 0.1), (Precision.fp16, 2e-3)])
def test_fewer_bits_read_nearly_the_same(
    original: Path, views: list[View], tmp_path: Path, precision: Precision, most: float
) -> None:
    output = tmp_path / "other.onnx"
    card = write_reduced(original, output, precision, views)
    one, other = (
        np.array([load_network(path, "onnx").predict(*view).q for view in views])
        for path in (original, output)
    )
    apart = np.sqrt(np.mean((one - other) ** 2) / np.mean(one**2))
    assert 0 < apart < 2 * most
    assert 0 < parity_of(card).field < most
    assert output.stat().st_size < 0.75 * original.stat().st_size
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["other.json", "other.onnx"]


def test_only_the_first_layer_reads_the_image_in_8_bits_four_bytes_a_pixel(
    original: Path, views: list[View], tmp_path: Path
) -> None:
    write_reduced(original, tmp_path / "other.onnx", Precision.int8, views)
    graph = onnx.load(tmp_path / "other.onnx").graph
    padded = next(node for node in graph.node if node.op_type == "Pad")
    restored = next(node for node in graph.node if node.input[0] == padded.output[0])
    (first,) = [node for node in graph.node if restored.output[0] in node.input]
    weights = next(w for w in graph.initializer if w.dims[1:] == [4, 3, 3])
    others = {node.op_type for node in graph.node if "image" in node.input}
    assert first.op_type == "Conv"
    assert not numpy_helper.to_array(weights)[:, 3].any()
    assert others == {"QuantizeLinear", "Slice"}


def test_the_card_tells_numbers_origin_and_parity(
    original: Path, views: list[View], tmp_path: Path
) -> None:
    write_reduced(original, tmp_path / "other.onnx", Precision.fp16, views)
    before, card = (ModelCard.load(p) for p in (original.with_suffix(".json"), tmp_path / "other.json"))  # fmt: skip
    assert card.name == "other"
    assert card.training["precision"] == "fp16"
    assert card.training["made_from"] == before.sha256
    assert card.metrics["parity_with_fp32"]["views"] == 4
    assert card.metrics["parity_with_torch"] == before.metrics["parity_with_torch"]


def test_a_model_that_reads_something_else_is_not_written(
    original: Path, views: list[View], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduced_precision, "LARGEST_DIFFERENCE", 1e-9)
    with pytest.raises(ModelError, match=r"fp16 differs from fp32 on 4 views by \d"):
        write_reduced(original, tmp_path / "other.onnx", Precision.fp16, views)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_reduced_is_refused_in_words(
    original: Path, views: list[View], tmp_path: Path
) -> None:
    def reason(source: Path, output: Path, precision: Precision, seen: list[View]) -> str:
        with pytest.raises(ModelError) as error:
            write_reduced(source, output, precision, seen)
        return str(error.value)

    half = tmp_path / "half.onnx"
    write_reduced(original, half, Precision.fp16, views)
    other = tmp_path / "other.onnx"
    assert "choose that ending" in reason(original, tmp_path / "x.bin", Precision.int8, views)
    assert "choose another place" in reason(original, original, Precision.int8, views)
    assert "only our own networks in fp32" in reason(half, other, Precision.int8, views)
    assert "choose fp16 or int8" in reason(original, other, Precision.fp32, views)
    assert "at least two views" in reason(original, other, Precision.int8, views[:1])


def test_the_command_reduces_a_model_and_says_how_far_it_is_from_it(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "small-fp16.onnx"
    export(original, output, precision=PrecisionChoice.fp16, views=2)
    assert "MB, differs from fp32 on 1 views by" in capsys.readouterr().out
    assert load_network(output).name == "small-fp16"
    assert ModelCard.load(output.with_suffix(".json")).training["views"] == [
        "dead leaves: ours", "procedural rooms: ours",
    ]  # fmt: skip
