"""The panel compares models by ratios, and turns what one image leaves open as the ground truth has
it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from blur_imu_ros.core.axes import GYRO_FROM_OPTICAL

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def panel() -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    spec = importlib.util.spec_from_file_location("panel", TOOLS / "panel.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["panel"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_set_counts_as_the_mean_of_its_figures_ratios(panel: ModuleType) -> None:
    shipped = panel.Outcome({"a": 2.0, "b": 0.5}, {})
    assert panel.Outcome({"a": 1.0, "b": 0.5}, {"told": 9.0}).ratio(shipped) == pytest.approx(0.75)
    assert shipped.ratio(shipped) == 1


class Half:
    """Reads half of a velocity, with the wrong sign."""

    def __init__(self, truth: np.ndarray) -> None:
        self._truth = iter(truth)

    def measure(self, frame):
        half = -next(self._truth) / 2
        return type("", (), {"estimate": type("", (), {"velocity": half})})


@pytest.mark.parametrize(("name", "factor", "error"), [("walk", 2.0, 0.0), ("hall", 1.0, 0.5)])
def test_the_truth_gives_the_sign_and_lengths_only_where_no_exposure_is_known(
    panel: ModuleType, tmp_path: Path, name: str, factor: float, error: float
) -> None:
    folder = tmp_path / name
    (folder / "frames").mkdir(parents=True)
    truth = np.array([[1.0, 2, 3, 0.1, 0.2, 0.3], [-2, 1, -1, 0.3, -0.2, 0.1]])
    rows = ["frame,t,wx,wy,wz,vx,vy,vz"]
    for index, one in enumerate(truth):
        cv2.imwrite(str(folder / "frames" / f"{index:06d}.jpg"), np.zeros((48, 64, 3), np.uint8))
        gyro = (*(GYRO_FROM_OPTICAL @ one[:3]), *one[3:])
        rows.append(",".join(map(str, (index, index / 30, *gyro))))
    (folder / "truth.csv").write_text("\n".join(rows) + "\n")
    (folder / "camera.yaml").write_text(
        "{image_width: 64, image_height: 48, fx: 50, fy: 50, cx: 31.5, cy: 23.5, exposure_time: "
        "0.01}"
    )
    outcome = panel.of_sequence(Half(truth), folder)
    assert outcome.extra["lengths times"] == pytest.approx(factor)
    expected = error * np.sqrt(np.mean((truth[:, :3] @ GYRO_FROM_OPTICAL.T) ** 2, axis=0))
    assert list(outcome.figures.values()) == pytest.approx(list(expected), abs=1e-6)
