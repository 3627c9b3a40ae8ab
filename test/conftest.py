"""Fixtures that several test files use."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.command_line import CommandLine, Oracle, write_camera

# colcon installs the runtime alone.
if importlib.util.find_spec("blur_imu_training") is None:
    collect_ignore = [
        str(path.relative_to(Path(__file__).parent))
        for path in Path(__file__).parent.rglob("test_*.py")
        if "blur_imu_training" in path.read_text()
    ]

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recordings that are not ours to ship."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the recordings that are not shipped with the project are not here")
    return SHARED_DATA


@pytest.fixture(scope="module")
def ros() -> Iterator[None]:
    """ROS 2 in a domain of its own."""
    rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")
    os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100 + 1)
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def bench(ros: None) -> Iterator[Callable[..., Any]]:
    """Our node with a given network and parameters, and a peer that plays the camera."""
    from helpers.ros_bench import Bench

    made: list[Bench] = []

    def make(network: Any, **values: Any) -> Bench:
        made.append(Bench(network, **values))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def blur_imu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line, `run` with an oracle for its network."""
    monkeypatch.setattr("blur_imu_ros.cli.run.load_network", lambda *_: Oracle())
    return CommandLine(capsys)


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """The YAML of the oracle's camera."""
    return write_camera(tmp_path / "camera.yaml")
