"""Ended outright at any moment, again and again: what was written is whole, and the work goes on.

`KILLS` says how often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from blur_imu_ros.results.csv_files import columns_of
from helpers.command_line import needs_model, rows_of, turning_images, write_camera, write_folder

KILLS = int(os.environ.get("KILLS", "3"))
COUNT = 60
SLOW_RUN = """
import sys, time
sys.path.insert(0, {tests!r})
from helpers.command_line import Oracle
from blur_imu_ros import cli
from blur_imu_ros.cli import run

class SlowOracle(Oracle):
    def predict(self, image, camera):
        time.sleep(0.02)
        return super().predict(image, camera)

run.load_network = lambda *_: SlowOracle()
cli.main()
"""

pytestmark = pytest.mark.timeout(120 + 30 * KILLS)


@pytest.fixture(scope="module", autouse=True)
def over_udp() -> Iterator[None]:
    """A process killed amid a write can leave Fast DDS's shared memory so that its peers hear no
    more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
        yield


def run_command(tmp_path: Path, out: str) -> list[str]:
    code = SLOW_RUN.format(tests=str(Path(__file__).parents[1]))
    options = ["--camera", str(tmp_path / "camera.yaml"), "--exposure", "0.01"]
    if out.endswith(".csv"):
        options.append("--resume")
    else:
        options.append("--force")  # A bag is written anew, over what was there.
    asked = ["run", str(tmp_path / "images"), "-o", str(tmp_path / out)]
    return [sys.executable, "-c", code, *asked, *options]


@pytest.fixture
def usual(tmp_path: Path) -> float:
    """Seconds that an undisturbed run takes, which wrote whole.csv."""
    write_folder(tmp_path / "images", turning_images(4) * (COUNT // 4))
    write_camera(tmp_path / "camera.yaml")
    begun = time.monotonic()
    subprocess.run(run_command(tmp_path, "whole.csv"), check=True, capture_output=True)
    return time.monotonic() - begun


def killed(command: list[str], after: float) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    process.kill()
    process.wait()


def test_a_run_killed_at_random_moments_ends_where_an_undisturbed_one_does(
    tmp_path: Path, usual: float
) -> None:
    out, moments = tmp_path / "est.csv", random.Random(1)
    for _ in range(KILLS):
        killed(run_command(tmp_path, out.name), moments.uniform(0.3, 0.9) * usual)
        if out.is_file():
            lines = out.read_text().split("\n")[1:]
            assert all(
                line.count(",") + 1 == len(columns_of(neighbours=True)) for line in lines[:-1]
            )
    subprocess.run(run_command(tmp_path, out.name), check=True, capture_output=True)
    assert len(rows_of(out)) == COUNT
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_bag_that_is_not_finished_does_not_replace_the_one_before(
    tmp_path: Path, usual: float
) -> None:
    before, moments = b"an earlier result", random.Random(3)
    bag = tmp_path / "est.mcap"
    bag.write_bytes(before)
    for _ in range(KILLS):
        killed(run_command(tmp_path, bag.name), moments.uniform(0.3, 0.8) * usual)
        assert bag.read_bytes() == before
    subprocess.run(run_command(tmp_path, bag.name), check=True, capture_output=True)
    with AnyReader([bag]) as reader:
        assert {c.topic: c.msgcount for c in reader.connections}["/motion"] == COUNT
    assert not list(tmp_path.glob(".*"))


def node_process(*arguments: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    return subprocess.Popen(
        [sys.executable, "-m", "blur_imu_ros.ros.node", "--ros-args", *arguments],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@needs_model
def test_a_node_killed_at_random_moments_goes_on_when_it_is_started_again(
    bench: Any, tmp_path: Path
) -> None:
    from blur_imu_ros.ros import messages
    from helpers.ros_bench import HEIGHT, TAU, WIDTH, Oracle

    if messages.BlurMotion is None:
        pytest.skip("the message BlurMotion is not built")
    image, moments = np.zeros((HEIGHT, WIDTH), np.uint8), random.Random(2)
    one = bench(Oracle(), namespace="/respawned")
    parameters = (f"exposure_time:={TAU}", "image_reliability:=reliable", "threads:=1")
    given = [part for parameter in parameters for part in ("-p", parameter)]

    def play(enough: Any, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not enough() and time.monotonic() < end:
            one.calibrate()
            one.send(image)
        return bool(enough())

    for last in [False] * KILLS + [True]:
        process = node_process("-r", "__ns:=/respawned", *given)
        try:
            count = len(one.heard["motion"])
            # Some die while they start, some amid images; the last one must come to work.
            patience = 30.0 if last else moments.uniform(0.2, 5.0)
            answered = play(lambda count=count: len(one.heard["motion"]) > count + 2, patience)
            assert answered or not last
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM if last else signal.SIGKILL)
            assert process.wait(timeout=15) == (0 if last else -signal.SIGKILL)
    assert process.stderr is not None and "rror" not in process.stderr.read()
    stamps = [messages.seconds(m.header.stamp) for m in one.heard["motion"]]
    assert np.all(np.diff(stamps) > 0)
