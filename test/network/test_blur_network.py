"""Models are loaded by name or path, and refused with the reason where they are not right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from blur_imu_ros.core.camera import Camera
from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.blur_network import BlurNetwork, load_network
from blur_imu_ros.network.model_card import INTERFACE, SIGNED_FLOW, ModelCard, file_hash

onnx = pytest.importorskip("onnx", reason="test models are made with onnx: pip install .[train]")

WIDTH, HEIGHT, STRIDE = 64, 32, 8
CAMERA = Camera(WIDTH, HEIGHT, 100, 100, 31.5, 15.5)


def write_model(path: Path, outputs: tuple[str, ...], cell: int = 8) -> None:
    """A network of one average pooling: each output is the mean of the first channels."""
    from onnx import TensorProto, helper

    side = [cell, cell]
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=side, strides=side)
    ]
    infos = []
    channels = {"q": 2, "log_inverse_depth": 1, "log_sigma": 2, "flow": 2}
    constants = [
        helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ]
    for name in outputs:
        count = channels.get(name, 1)
        constants.append(helper.make_tensor(f"end_{name}", TensorProto.INT64, [1], [count]))
        nodes.append(helper.make_node("Slice", ["pooled", "zero", f"end_{name}", "axis"], [name]))
        infos.append(
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, [1, count, HEIGHT // cell, WIDTH // cell]
            )
        )
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    graph = helper.make_graph(nodes, "test", [image], infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def write_card(path: Path) -> ModelCard:
    card = ModelCard(
        name="test",
        interface=INTERFACE,
        width=WIDTH,
        height=HEIGHT,
        stride=STRIDE,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.5, 1.0),
        focal_reference=200.0,
        sha256=file_hash(path),
        length_scale=1.5,
        sigma_scale=2.0,
    )
    card.save(path.with_suffix(".json"))
    return card


def change_card(model: Path, **changes: Any) -> None:
    path = model.with_suffix(".json")
    replace(ModelCard.load(path), **changes).save(path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "test.onnx"
    write_model(path, ("q", "log_inverse_depth", "log_sigma"))
    write_card(path)
    return path


def test_the_card_tells_how_to_prepare_an_image_and_read_the_outputs(model: Path) -> None:
    network = load_network(model)
    blue, green, red = 255, 102, 51
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = (blue, green, red)
    field = network.predict(image, CAMERA)
    first, second = (0.2 - 0.5) / 0.25, (0.4 - 0.5) / 0.5
    np.testing.assert_allclose(field.q[..., 0], 1.5 * first, atol=1e-5)
    np.testing.assert_allclose(field.q[..., 1], 1.5 * second, atol=1e-5)
    np.testing.assert_allclose(field.inverse_depth, np.exp(first) * 200 / 100, rtol=1e-5)
    np.testing.assert_allclose(field.sigma, 1.5 * 2 * np.exp(first), rtol=1e-5)
    np.testing.assert_allclose(field.sigma_log_depth, np.exp(second), rtol=1e-5)
    assert network.input_size == (WIDTH, HEIGHT) and field.stride == STRIDE
    assert field.sigma_scale == 2


def test_grey_images_are_taken_as_they_are(model: Path) -> None:
    network = load_network(model)
    grey = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    colour = np.repeat(grey[..., None], 3, -1)
    np.testing.assert_array_equal(
        network.predict(grey, CAMERA).q, network.predict(colour, CAMERA).q
    )


def test_warm_up_runs(model: Path) -> None:
    load_network(model, threads=1).warm_up()


@pytest.mark.parametrize(
    ("name", "said"),
    [("missing.onnx", "no such model"), ("no-such-name", "is not there")],
)
def test_a_missing_model_is_named(tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / name if name.endswith(".onnx") else name
    with pytest.raises(ModelError, match=said):
        load_network(path)


def test_a_missing_card_is_named(model: Path) -> None:
    model.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"test\.json.*card"):
        load_network(model)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"mean": 1, "std": 2}', "null"])
def test_a_broken_card_is_named(model: Path, text: str) -> None:
    model.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match=r"test\.json"):
        load_network(model)


def test_another_interface_is_refused(model: Path) -> None:
    change_card(model, interface="blur_field/9")
    with pytest.raises(ModelError, match="blur_field/9"):
        load_network(model)


def test_a_changed_file_is_refused(model: Path) -> None:
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(ModelError, match="hash"):
        load_network(model)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    write_card(path)
    with pytest.raises(ModelError, match="is not an ONNX file"):
        load_network(path)


def test_other_outputs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    write_model(path, ("q",))
    write_card(path)
    with pytest.raises(ModelError, match="is not a blur network"):
        load_network(path)


def test_unknown_backends_and_devices_are_named(model: Path) -> None:
    with pytest.raises(ModelError, match="abacus"):
        load_network(model, backend="abacus")
    with pytest.raises(ModelError, match="gpuu"):
        load_network(model, device="gpuu")


def test_a_device_that_is_not_there_says_what_to_install(model: Path) -> None:
    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("TensorRT is installed here")
    with pytest.raises(ModelError, match="onnxruntime-gpu"):
        load_network(model, device="tensorrt")


def test_a_network_can_be_given_any_backend() -> None:
    class Constant:
        runs_on = "nothing"

        def run(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            cells = (1, 1, 4, 8)
            return np.ones((1, 2, 4, 8)), np.zeros(cells), np.zeros((1, 2, 4, 8))

    card = ModelCard("c", INTERFACE, WIDTH, HEIGHT, 8, (0, 0, 0), (1, 1, 1), 100.0, "")
    field = BlurNetwork(Constant(), card).predict(np.zeros((HEIGHT, WIDTH, 3), np.uint8), CAMERA)
    np.testing.assert_allclose(field.inverse_depth, 1.0)


CPU, CUDA, TENSORRT = (f"{n}ExecutionProvider" for n in ("CPU", "CUDA", "Tensorrt"))


@pytest.mark.parametrize(
    ("device", "installed", "chosen"),
    [
        ("cpu", [TENSORRT, CUDA, CPU], [CPU]),
        ("cuda", [CUDA, CPU], [CUDA, CPU]),
        ("tensorrt", [TENSORRT, CUDA, CPU], [TENSORRT, CUDA, CPU]),
        ("tensorrt", [TENSORRT, CPU], [TENSORRT, CPU]),
    ],
)
def test_a_device_asks_for_its_provider_first(monkeypatch, model, device, installed, chosen):
    asked: list[list[str]] = []
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, content: bytes, options: object, providers: list[str]) -> None:
            asked.append(providers)
            self._real = real(content, options, providers=[CPU])
            self.get_inputs, self.get_outputs = self._real.get_inputs, self._real.get_outputs

        def get_providers(self) -> list[str]:
            return asked[-1]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: installed)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    assert load_network(model, device=device).runs_on == f"ONNX Runtime, {chosen[0]}"
    assert asked == [chosen]


def test_a_gpu_that_does_not_start_is_named_and_not_replaced_in_silence(monkeypatch, model):
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    # Without a driver ONNX Runtime goes on with the CPU.
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, providers: real(*a, providers=[CPU])
    )
    with pytest.raises(ModelError, match="CUDAExecutionProvider is installed but does not start"):
        load_network(model, device="cuda")


@pytest.mark.parametrize(
    ("device", "told"),
    [("tensorrt", "not available with backend torch"), ("cuda", "finds no usable GPU")],
)
def test_torch_names_a_device_that_it_cannot_use(monkeypatch, model, device, told):
    torch = pytest.importorskip("torch", reason="backend torch needs torch: pip install .[train]")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=told):
        load_network(model, "torch", device)


@pytest.fixture
def signed_model(tmp_path: Path) -> Path:
    """Says flow = (red, green) and depth = red of each pixel."""
    path = tmp_path / "signed.onnx"
    write_model(path, ("flow", "depth"), cell=1)
    card = replace(write_card(path), interface=SIGNED_FLOW, flow_sigma=2.5, log_depth_sigma=0.3)
    replace(card, mean=(0, 0, 0), std=(1 / 255, -1 / 255, 1)).save(path.with_suffix(".json"))
    return path


def test_signed_flow_is_averaged_over_cells_and_keeps_its_sign(signed_model: Path) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 1] = 10 + np.arange(WIDTH)
    image[..., 2] = 4
    field = load_network(signed_model).predict(image, CAMERA)
    assert field.signed_motion is not None
    np.testing.assert_allclose(field.signed_motion[..., 0], 1.5 * 4, rtol=1e-5)
    # Green is counted downwards here, so that there is a sign to lose.
    downwards = -1.5 * (13.5 + 8 * np.arange(8))
    np.testing.assert_allclose(field.signed_motion[2, :, 1], downwards, rtol=1e-5)
    np.testing.assert_allclose(field.blur_length, np.hypot(*np.moveaxis(field.motion, -1, 0)))
    np.testing.assert_allclose(field.inverse_depth, 1 / 4 * 200 / 100, rtol=1e-5)
    assert np.all(field.sigma == 2.5) and np.all(field.sigma_log_depth == 0.3)
    assert field.shared_errors and field.stride == STRIDE


def test_a_depth_of_zero_is_refused_by_the_solver_in_words(signed_model: Path) -> None:
    from blur_imu_ros.core.velocity import VelocitySolver

    field = load_network(signed_model).predict(np.zeros((HEIGHT, WIDTH, 3), np.uint8), CAMERA)
    estimate = VelocitySolver().solve(field, 0.01, 0.0)
    assert not estimate.valid and "values that cannot be" in estimate.reasons[0]


def test_flow_of_another_size_than_the_card_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "coarse.onnx"
    write_model(path, ("flow", "depth"), cell=2)
    card = replace(write_card(path), interface=SIGNED_FLOW, flow_sigma=2.5, log_depth_sigma=0.3)
    card.save(path.with_suffix(".json"))
    with pytest.raises(ModelError, match="but its card says 64x32"):
        load_network(path).predict(np.zeros((HEIGHT, WIDTH, 3), np.uint8), CAMERA)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"interface": ["signed_flow/1"]}, "not a model card"),
        ({"flow_sigma": float("nan")}, "flow_sigma"),
        ({"log_depth_sigma": "wide"}, "log_depth_sigma"),
        ({"flow_sigma": 0}, "flow_sigma"),
        ({"log_depth_sigma": 0}, "log_depth"),
        ({"stride": 7}, "7"),
    ],
)
def test_a_signed_card_that_lacks_its_figures_is_refused(
    signed_model: Path, change: dict[str, float], said: str
) -> None:
    change_card(signed_model, **change)
    with pytest.raises(ModelError, match=said):
        load_network(signed_model)


@pytest.mark.parametrize("name", ["length_scale", "sigma_scale"])
def test_a_card_that_would_turn_lengths_into_nothing_is_refused(model: Path, name: str) -> None:
    change_card(model, **{name: 0.0})
    with pytest.raises(ModelError, match=name):
        load_network(model)


def test_a_card_shortens_short_blur_and_lengthens_long_blur(model: Path) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    plain = load_network(model).predict(image, CAMERA)
    change_card(model, length_exponent=0.2)
    bent = load_network(model).predict(image, CAMERA)
    # The corrections of the two cards differ by the power of the length that the model gave.
    raw = np.clip(plain.blur_length / 1.5, 1, 100)
    np.testing.assert_allclose(bent.blur_length / plain.blur_length, (raw / 10) ** 0.2)
    np.testing.assert_allclose(bent.sigma / plain.sigma, (raw / 10) ** 0.2)


def test_a_card_brings_nearer_what_is_below_and_takes_farther_what_is_above(model: Path) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    plain = load_network(model).predict(image, CAMERA)
    change_card(model, depth_slope=0.5)
    sloping = load_network(model).predict(image, CAMERA)
    ratio = sloping.inverse_depth / plain.inverse_depth
    rows = np.arange(ratio.shape[0]) * plain.stride + (plain.stride - 1) / 2
    below = np.clip((rows - CAMERA.cy) / CAMERA.fy, -0.6, 0.6)
    np.testing.assert_allclose(ratio, np.exp(0.5 * below)[:, None] * np.ones(ratio.shape))
    assert np.all(ratio[-1] > 1) and np.all(ratio[0] < 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("length_exponent", value) for value in (1.0, -3.0, float("nan"))),
        *(("depth_slope", value) for value in (4.0, -30.0, float("nan"))),
    ],
)
def test_a_card_that_corrects_beyond_reason_is_refused(
    model: Path, name: str, value: float
) -> None:
    change_card(model, **{name: value})
    with pytest.raises(ModelError, match=name):
        load_network(model)
