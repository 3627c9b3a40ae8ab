"""Several processes, as on several GPUs, train one network; here they share the CPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from blur_imu_training.training.checkpoint import STATE, load_run

TESTS = Path(__file__).resolve().parents[1]


def launched(folder: Path, steps: int) -> tuple[dict[str, float], dict[str, float]]:
    """Train with two processes until so many steps are made; return what each tells of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = [
        # What `accelerate launch` calls for GPUs; it does not do so for CPUs.
        *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
        *(
            "--master_port",
            str(port),
            str(TESTS / "helpers" / "several_processes.py"),
            str(folder),
            str(steps),
        ),
    ]
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    settings = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        launch, env={**os.environ, **settings}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))
    return one, two


def test_two_processes_train_one_network_on_samples_of_their_own(tmp_path: Path) -> None:
    one, two = launched(tmp_path, 4)
    assert one["processes"] == two["processes"] == 2
    assert one["steps"] == two["steps"] and one["samples"] == 4 * one["steps"]
    assert one["weights"] == two["weights"]
    assert one["first_image"] != two["first_image"]
    assert load_run(tmp_path)[1]["samples"] == one["samples"]
    assert [path.name for path in tmp_path.glob("*.safetensors")] == [STATE]
    later, beside = launched(tmp_path, 8)
    assert later["steps"] == beside["steps"] == 2 * one["steps"]
    assert later["weights"] == beside["weights"] != one["weights"]
