"""A model in 8 bits is taken where it is faster on this machine and reads the same."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.core.blur_field import BlurField
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.network import blur_network
from blur_imu_ros.network.blur_network import load_network
from blur_imu_ros.network.precision import Trial, try_out, with_8_bits
from helpers.command_line import MODEL, needs_model
from helpers.synthetic_fields import CAMERA, field_of

INT8 = MODEL.with_name("compact-int8.onnx")


@dataclass
class Busy:
    """A network that takes its time, and whose field is scaled."""

    seconds: float
    scale: float = 1.0
    input_size = (CAMERA.width, CAMERA.height)

    def predict(self, image: np.ndarray, camera: Camera) -> BlurField:
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pass
        field = field_of(np.array([0.0, 2.0, 0.0]), np.zeros(3), camera=camera)
        return replace(field, q=field.q * self.scale)


@pytest.mark.parametrize(
    ("reduced", "pays"),
    [
        (Busy(0.002), True),
        (Busy(0.02), False),  # no faster: a processor without the instructions
        (Busy(0.002, scale=1.5), False),  # sums that overflow
    ],
)
def test_8_bits_pay_where_they_are_faster_and_alike(reduced: Busy, pays: bool) -> None:
    trial = try_out(Busy(0.02), reduced)
    assert trial.pays is pays, trial
    assert trial.difference == pytest.approx(reduced.scale - 1, abs=1e-6)


@pytest.mark.parametrize("pays", [True, False])
@needs_model
def test_auto_takes_what_pays_and_says_so(monkeypatch: pytest.MonkeyPatch, pays: bool) -> None:
    trial = Trial(gain=2.4 if pays else 1.0, difference=0.02)
    monkeypatch.setattr(blur_network, "try_out", lambda *_: trial)
    network = load_network(MODEL)
    assert network.name == ("compact-int8" if pays else "compact")
    assert ("2.4 times as fast here as compact" in network.note) is pays


@needs_model
def test_what_is_asked_for_by_backend_or_name_is_taken_as_it_is() -> None:
    assert load_network(MODEL, "onnx").name == "compact"
    assert load_network(INT8).name == "compact-int8"
    assert with_8_bits(INT8) is None


@needs_model
def test_a_model_alone_is_taken_as_it_is(tmp_path: Path) -> None:
    for suffix in (".onnx", ".json"):
        shutil.copy(MODEL.with_suffix(suffix), tmp_path)
    network = load_network(tmp_path / MODEL.name)
    assert network.name == json.loads(MODEL.with_suffix(".json").read_text())["name"]
    assert network.note == ""
