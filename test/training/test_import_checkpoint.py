"""A checkpoint of the published network becomes a model like any other, or is refused in one
line."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="import needs torch: pip install .[train]")

from safetensors.torch import save_file  # noqa: E402

from blur_imu_ros.core.camera import Camera  # noqa: E402
from blur_imu_ros.core.frame import Frame  # noqa: E402
from blur_imu_ros.core.visual_imu import VisualImu  # noqa: E402
from blur_imu_ros.errors import ModelError  # noqa: E402
from blur_imu_ros.network.architectures.published import PublishedNetwork  # noqa: E402
from blur_imu_ros.network.blur_network import OnnxBackend, load_network  # noqa: E402
from blur_imu_ros.network.model_card import OUTPUTS, SIGNED_FLOW, ModelCard  # noqa: E402
from blur_imu_training.export import import_checkpoint as module  # noqa: E402
from blur_imu_training.export.import_checkpoint import import_checkpoint  # noqa: E402
from helpers.published_fill import empty_network, filled_state, published_input  # noqa: E402

CAMERA = Camera(640, 480, 501.6, 501.6, 330.0, 235.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Imported from a checkpoint as trainers write them, without a single warning."""
    folder = tmp_path_factory.mktemp("import")
    wrapped = {f"module.{name}": value for name, value in filled_state().items()}
    torch.save({"epoch": 20, "state_dict": wrapped}, folder / "authors.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line = import_checkpoint(folder / "authors.pth", folder / "published.onnx")
    assert "published.onnx" in line and "\n" not in line
    return folder / "published.onnx"


def test_the_model_gives_the_golden_outputs(model: Path, shared_data: Path) -> None:
    golden = np.load(shared_data.parent / "reference" / "paper_network_golden.npz")
    flow, depth = OnnxBackend(model, OUTPUTS[SIGNED_FLOW]).run(published_input())
    np.testing.assert_allclose(flow[0, :, ::4, ::4], golden["flow"], atol=1e-4)
    np.testing.assert_allclose(depth[0, 0, ::4, ::4], golden["depth"], atol=1e-4)


def test_both_backends_read_an_image_alike(model: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (224, 320, 3), dtype=np.uint8)
    view = Camera(320, 224, 250.8, 250.8, 165, 110)
    by_onnx, by_torch = (load_network(model, b).predict(image, view) for b in ("onnx", "torch"))
    np.testing.assert_allclose(by_onnx.motion, by_torch.motion, atol=1e-4)
    np.testing.assert_allclose(by_onnx.inverse_depth, by_torch.inverse_depth, rtol=1e-4)


def test_a_frame_is_measured_as_with_any_model(model: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    measurement = VisualImu(load_network(model)).measure(Frame(image, 0.0, 0.01, CAMERA))
    assert measurement.field is not None and measurement.field.signed_motion is not None
    assert measurement.field.camera.cx != (320 - 1) / 2
    assert np.isfinite(measurement.estimate.angular_velocity).all()
    assert measurement.estimate.direction_probability == 0.5


def test_the_card_tells_what_is_known_and_what_is_assumed(model: Path) -> None:
    card = ModelCard.load(model.with_suffix(".json"))
    assert card.interface == SIGNED_FLOW and card.name == "published"
    assert card.training["checkpoint"]["name"] == "authors.pth"
    assert card.training["opset"] == 17 and "assumed" in card.training["log_depth_sigma"]
    assert card.metrics["parity_with_torch"] < 1e-4
    assert (card.flow_sigma, card.focal_reference) == (2.7, 250.8)


def cheap_state() -> dict[str, Any]:
    """Every tensor of the layout, each of one number only."""
    layout = empty_network().state_dict()
    return {n: torch.zeros((), dtype=v.dtype).expand(v.shape) for n, v in layout.items()}


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.__delitem__(name)


def with_tensor(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("ll_enc.conv2.conv.bias"), r"lacks ll_enc\.conv2\.conv\.bias"),
        (
            with_tensor("backbone.norm1.weight", torch.zeros(32)),
            r"backbone\.norm1\.weight is \(32,\), expected \(64,\)",
        ),
        (with_tensor("pose_head.weight", torch.zeros(1)), r"pose_head\.weight is unexpected"),
        (
            with_tensor("backbone.norm1.weight", torch.full((64,), torch.nan)),
            r"backbone\.norm1\.weight holds values that are not numbers",
        ),
    ],
    ids=["missing", "shape", "too many", "not a number"],
)
def test_another_layout_is_refused_naming_the_tensor(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    state = cheap_state()
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"other\.pth: .*" + said):
        import_checkpoint(tmp_path / "other.pth", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


class Payload:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('the pickle was run')",)


def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}, "hook": Payload()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Payload()))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(ModelError, match="refused") as refusal:
            import_checkpoint(tmp_path / name, tmp_path / "out.onnx")
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x02}q\x00."])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"file{ending}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"file\.") as refusal:
        import_checkpoint(path, tmp_path / "out.onnx")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [{}, {"optimizer": {}, "epoch": 3}, [1, 2], torch.zeros(1)])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="state dict"):
        import_checkpoint(tmp_path / "other.pt", tmp_path / "out.onnx")


def test_a_missing_file_and_another_ending_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pth: there is no such"):
        import_checkpoint(tmp_path / "none.pth", tmp_path / "out.onnx")
    torch.save(cheap_state(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"out\.pt: .*\.onnx"):
        import_checkpoint(tmp_path / "a.pth", tmp_path / "out.pt")


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    save_file({"module.a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"lacks backbone\.patch_embed1"):
        import_checkpoint(tmp_path / "a.safetensors", tmp_path / "out.onnx")


def test_without_weights_the_network_is_the_same_every_time_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[PublishedNetwork, ModelCard]] = []
    monkeypatch.setattr(module, "write_model", lambda *given: written.append(given[:2]))
    before = torch.random.get_rng_state()
    for _ in range(2):
        module.write_untrained(tmp_path / "published.onnx")
    assert torch.equal(torch.random.get_rng_state(), before)
    (first, card), (second, _) = written
    assert card.training["checkpoint"] == {"name": "none: random weights"}
    assert not first.training
    for name, value in second.state_dict().items():
        assert torch.equal(first.state_dict()[name], value), name
