"""From a model in 32-bit numbers to one in 16-bit floats (for GPUs) or 8-bit integers (for
CPUs)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.errors import ModelError
from blur_imu_ros.network.blur_network import BlurNetwork, load_network
from blur_imu_ros.network.model_card import DIRECTED, INTERFACE, ModelCard, file_hash

View = tuple[NDArray[np.uint8], Camera]
"""An image of the network's size, BGR, and its pinhole."""

LARGEST_DIFFERENCE = 0.1
"""Of the field from that of the model it was made of, over its size: more is refused."""
_RANGE = 99.99
"""Per cent of the values of a layer that its 8 bits hold; a few large ones would take them all."""
EXPOSURE_TIME = 0.01
"""Seconds, of the views; differences are relative, so that any would do."""


class Precision(str, Enum):
    """Numbers that a model calculates with."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


@dataclass(frozen=True)
class Parity:
    """How far a model is from the one it was made of, on views it was not calibrated on.

    Attributes:
        views: how many.
        field: root mean square difference of q over its root mean square.
        log_inverse_depth: root mean square difference.
        log_sigma: the same of the logarithm of the standard deviation of q.
        velocity: median difference of the solved angular velocity over its length.
    """

    views: int
    field: float
    log_inverse_depth: float
    log_sigma: float
    velocity: float

    def __str__(self) -> str:
        """Return one line for a person."""
        return (
            f"differs from fp32 on {self.views} views by {self.field:.2%} of the field, "
            f"{self.log_inverse_depth:.3f} of log depth, {self.log_sigma:.3f} of log sigma; "
            f"angular velocity by {self.velocity:.2%} (median)"
        )


def write_reduced(
    source: Path,
    output: Path,
    precision: Precision,
    views: Sequence[View],
    name: str | None = None,
    terms: Sequence[str] = (),
) -> ModelCard:
    """Write the model `source` with other numbers as `output`, its card beside it.

    Nothing is left at `output` unless it reads nearly the same fields.

    Args:
        source: an .onnx file in fp32, its card beside it.
        output: path ending in .onnx, another one.
        precision: fp16 or int8.
        views: what the network sees of blurred images; the first half calibrates the ranges of
            int8, the second half is measured on.
        name: of the new model; by default that of its file.
        terms: what the views are made of, for the card.

    Raises:
        ModelError: a path, a model of another kind, or the difference is too large.
    """
    _check(source, output, precision, views)
    original = load_network(source, "onnx")
    used, unseen = views[: len(views) // 2], views[len(views) // 2 :]
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as folder:
        partial = Path(folder) / output.name
        if precision is Precision.fp16:
            _write_fp16(source, partial)
        else:
            _write_int8(source, partial, [original.prepared(image) for image, _ in used])
        training = {
            "made_from": original.card.sha256,
            "precision": precision.value,
            "views": list(terms),
        }
        card = replace(
            original.card,
            name=name or output.stem,
            sha256=file_hash(partial),
            weights_sha256="",
            training={**original.card.training, **training},
        )
        card.save(partial.with_suffix(".json"))
        parity = measured_parity(original, load_network(partial, "onnx"), unseen)
        if not parity.field <= LARGEST_DIFFERENCE:
            raise ModelError(f"{output}: {precision.value} {parity}; the model stays as it is")
        card = replace(card, metrics={**card.metrics, "parity_with_fp32": asdict(parity)})
        partial.replace(output)
    card.save(output.with_suffix(".json"))
    return card


def parity_of(card: ModelCard) -> Parity:
    """Return what the card of a reduced model says of its parity."""
    return Parity(**card.metrics["parity_with_fp32"])


def measured_parity(original: BlurNetwork, other: BlurNetwork, views: Sequence[View]) -> Parity:
    """Return how far two networks are from each other on some views."""
    fields = [(original.predict(*view), other.predict(*view)) for view in views]

    def rms(values: list[NDArray[Any]]) -> float:
        return float(np.sqrt(np.mean(np.square(values))))

    return Parity(
        views=len(fields),
        field=rms([b.q - a.q for a, b in fields]) / max(rms([a.q for a, _ in fields]), 1e-9),
        log_inverse_depth=rms([np.log(b.inverse_depth / a.inverse_depth) for a, b in fields]),
        log_sigma=rms([np.log(b.sigma / a.sigma) for a, b in fields]),
        velocity=float(np.median([_turn_difference(a, b) for a, b in fields])),
    )


def _turn_difference(a: BlurField, b: BlurField) -> float:
    solver = VelocitySolver()
    one, other = (solver.solve(field, EXPOSURE_TIME, 0.0).angular_velocity for field in (a, b))
    apart = min(float(np.linalg.norm(other - sign * one)) for sign in (1, -1))
    return apart / max(float(np.linalg.norm(one)), 1e-9)


def _check(source: Path, output: Path, precision: Precision, views: Sequence[View]) -> None:
    if output.suffix != ".onnx":
        raise ModelError(f"{output}: models are written as .onnx; choose that ending")
    if output.resolve() == source.resolve():
        raise ModelError(f"{output}: is the model itself; choose another place")
    card = ModelCard.load(source.with_suffix(".json"))
    if card.interface not in (INTERFACE, DIRECTED) or "precision" in card.training:
        raise ModelError(f"{source}: only our own networks in fp32 are given other numbers")
    if precision is Precision.fp32:
        raise ModelError(f"{source}: holds 32-bit numbers already; choose fp16 or int8")
    if len(views) < 2:
        raise ModelError(f"{source}: needs at least two views to compare")


def _write_fp16(source: Path, output: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), output)


def _write_int8(source: Path, output: Path, inputs: list[NDArray[np.float32]]) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Inputs(CalibrationDataReader):  # type: ignore[misc]
        """Hands the inputs over one by one."""

        def __init__(self) -> None:
            self._rest = iter(inputs)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._rest, None)
            return None if image is None else {"image": image}

    prepared = output.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(output),
        Inputs(),
        per_channel=True,
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": _RANGE},
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Add", "Relu"],
        nodes_to_quantize=list(_learned_layers(onnx.load(prepared))),
    )
    onnx.save(_with_a_fourth_channel(onnx.load(output)), output)


def _with_a_fourth_channel(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in 8 bits whose first layer reads one channel more, of zeros.

    ONNX Runtime copies pixels of four bytes in half the time that it takes for three. Whatever
    else reads the image gets it as it is, not rounded.
    """
    graph = model.graph
    rounded = next(node for node in graph.node if node.name == "image_QuantizeLinear")
    back = next(node for node in graph.node if rounded.output[0] in node.input)
    first = next(n for n in graph.node if n.op_type == "Conv" and back.output[0] in n.input)
    for node in graph.node:
        if node is not first:
            node.input[:] = ["image" if name == back.output[0] else name for name in node.input]
    restored = next(node for node in graph.node if node.output[0] == first.input[1])
    weights = next(w for w in graph.initializer if w.name == restored.input[0])
    wider = np.pad(numpy_helper.to_array(weights), ((0, 0), (0, 1), (0, 0), (0, 0)))
    weights.CopyFrom(numpy_helper.from_array(wider, weights.name))
    behind = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 1, 0, 0]), "one_channel_behind")
    graph.initializer.append(behind)
    pad = helper.make_node("Pad", [rounded.output[0], behind.name], ["image_of_four_channels"])
    graph.node.insert(list(graph.node).index(rounded) + 1, pad)
    back.input[0] = pad.output[0]
    return model


def _learned_layers(model: onnx.ModelProto) -> Iterator[str]:
    """Yield the names of the nodes that bear 8 bits."""
    nodes = [n for n in model.graph.node if n.op_type in ("Conv", "Add", "Relu")]
    last = [n.name for n in nodes if n.op_type == "Conv"][-1]
    # The structure tensor squares and divides; the last layer gives what is read.
    yield from (n.name for n in nodes if "/structure/" not in n.name and n.name != last)
