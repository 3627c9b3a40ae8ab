"""What a GPU calculates in one program is what tensors give, as Triton's interpreter tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
pytest.importorskip("triton", reason="comes with torch for GPUs")

TEST = Path(__file__).resolve().parents[1]

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from blur_imu_training.rendering import torch_renderer as renderer
from blur_imu_training.rendering.samples import SampleStream
from helpers.small_training import few_pictures

stream = SampleStream(few_pictures(), 32, 24, 6.0, seed=5)
shots = [stream.shot(index) for index in range(6)]
assert any(shot.shutter.skew for shot in shots)
for exposures in renderer.exposures_of(shots):
    fused = renderer.mean_light_fused(exposures)
    expected = renderer.mean_light_by_tensors(exposures)
    print(float((fused - expected).abs().mean() / expected.mean()))
"""


def test_one_program_exposes_as_tensors_do() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(TEST)],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    if "only 0-dimensional arrays" in done.stderr:
        pytest.skip("Triton's interpreter does not know this version of numpy")
    assert done.returncode == 0, done.stderr
    apart = [float(line) for line in done.stdout.split()]
    assert apart and max(apart) < 2e-3
