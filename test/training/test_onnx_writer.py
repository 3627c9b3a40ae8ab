"""What is written as a model gives what torch gives, without a warning, or is not written."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs torch: pip install .[train]")

from blur_imu_ros.core.camera import Camera  # noqa: E402
from blur_imu_ros.errors import ModelError  # noqa: E402
from blur_imu_ros.network.architectures.compact import CompactNetwork, CompactOutput  # noqa: E402
from blur_imu_ros.network.blur_network import OnnxBackend, load_network  # noqa: E402
from blur_imu_ros.network.model_card import DIRECTED, INTERFACE, ModelCard, file_hash  # noqa: E402
from blur_imu_training.export.onnx_writer import write_model  # noqa: E402
from blur_imu_training.export.reduced_precision import Precision, write_reduced  # noqa: E402

SIDE = 64
CARD = ModelCard("small", INTERFACE, SIDE, SIDE, 8, (0, 0, 0), (1, 1, 1), 250.0, "")


def small_network() -> CompactNetwork:
    torch.manual_seed(0)
    network = CompactNetwork((4, 4, 4, 4, 4), (1, 1, 1, 1), head_blocks=1)
    torch.nn.init.normal_(network.head[-1].weight)
    return network.eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_model(small_network(), CARD, path, any_batch=True)
    return path


def test_several_images_at_once_give_what_each_gives_alone(model: Path) -> None:
    images = np.random.default_rng(0).standard_normal((3, 3, SIDE, SIDE)).astype(np.float32)
    backend = OnnxBackend(model, CARD.outputs)
    together = backend.run(images)
    for index in range(3):
        for all_, one in zip(together, backend.run(images[index : index + 1]), strict=True):
            np.testing.assert_allclose(all_[index], one[0], atol=1e-5)


def test_what_is_written_equals_torch_and_says_so(model: Path) -> None:
    image = torch.randn(1, 3, SIDE, SIDE)
    with torch.inference_mode():
        expected = small_network()(image)
    for found, value in zip(
        OnnxBackend(model, CARD.outputs).run(image.numpy()), expected, strict=True
    ):
        np.testing.assert_allclose(found, value.numpy(), atol=1e-4)
    card = ModelCard.load(model.with_suffix(".json"))
    assert card.sha256 == file_hash(model)
    assert card.training == {"opset": 17, "any_batch": True}
    assert card.metrics["parity_with_torch"] < 1e-4


def test_the_file_names_no_folder_of_the_machine_it_was_made_on(model: Path) -> None:
    assert str(Path(__file__).resolve().parents[2]).encode() not in model.read_bytes()


def test_weights_for_the_torch_backend_lie_beside_it(tmp_path: Path) -> None:
    network = CompactNetwork().eval()
    write_model(network, CARD, tmp_path / "full.onnx")
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    camera = Camera(SIDE, SIDE, 60, 60, 31.5, 31.5)
    by_onnx, by_torch = (
        load_network(tmp_path / "full.onnx", b).predict(image, camera) for b in ("onnx", "torch")
    )
    np.testing.assert_allclose(by_onnx.q, by_torch.q, atol=1e-3)


def test_a_network_that_tells_directions_is_read_alike_by_both_backends(tmp_path: Path) -> None:
    network = CompactNetwork(directed=True).eval()
    card = replace(CARD, interface=DIRECTED)
    write_model(network, card, tmp_path / "directed.onnx")
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    camera = Camera(SIDE, SIDE, 60, 60, 31.5, 31.5)
    by_onnx, by_torch = (
        load_network(tmp_path / "directed.onnx", b).predict(image, camera).anisotropy
        for b in ("onnx", "torch")
    )
    assert by_onnx is not None and by_torch is not None and by_onnx.any()
    np.testing.assert_allclose(by_onnx, by_torch, atol=1e-4)
    # Fewer bits are for such networks as well.
    views = [(image, camera), (image[::-1].copy(), camera)]
    write_reduced(tmp_path / "directed.onnx", tmp_path / "half.onnx", Precision.fp16, views)
    half = load_network(tmp_path / "half.onnx", "onnx").predict(image, camera).anisotropy
    np.testing.assert_allclose(half, by_onnx, atol=0.02)
    assert not ModelCard.load(tmp_path / "half.json").weights_sha256


def test_a_model_with_a_smaller_view_takes_images_of_both_sizes(tmp_path: Path) -> None:
    card = replace(CARD, smaller_view=(32, 32))
    write_model(small_network(), card, tmp_path / "both.onnx")
    backend = load_network(tmp_path / "both.onnx", "onnx").backend
    for side in (SIDE, 32):
        image = torch.randn(1, 3, side, side)
        with torch.inference_mode():
            expected = small_network()(image)
        for found, value in zip(backend.run(image.numpy()), expected, strict=True):
            np.testing.assert_allclose(found, value.numpy(), atol=1e-4)


def test_a_smaller_view_of_a_model_of_one_size_is_refused(tmp_path: Path) -> None:
    card = write_model(small_network(), CARD, tmp_path / "one.onnx")
    for named in (replace(card, smaller_view=(32, 32)), replace(card, any_size=True)):
        named.save(tmp_path / "one.json")
        with pytest.raises(ModelError, match="one size only"):
            load_network(tmp_path / "one.onnx", "onnx")


def test_a_model_of_any_size_takes_upright_images(tmp_path: Path) -> None:
    write_model(small_network(), replace(CARD, any_size=True), tmp_path / "any.onnx")
    backend = load_network(tmp_path / "any.onnx", "onnx").backend
    assert backend.run(np.zeros((1, 3, 96, 32), np.float32))[0].shape[2:] == (12, 4)


class _Moody(torch.nn.Module):
    """Gives something else each time, so that no export can equal it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, image: torch.Tensor) -> CompactOutput:
        self.calls += 1
        cells = image[:, :1, ::8, ::8] + self.calls
        return CompactOutput(torch.cat([cells, cells], 1), cells, torch.cat([cells, cells], 1))


def test_a_model_that_differs_from_torch_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="differs from torch"):
        write_model(_Moody(), replace(CARD, name="moody"), tmp_path / "moody.onnx")
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.bin: .*\.onnx"):
        write_model(small_network(), CARD, tmp_path / "model.bin")
