"""The node's executable explains itself where there is no ROS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHOUT_ROS = (
    "import sys; sys.modules['rclpy'] = None; from blur_imu_ros.ros.entry import main; main()"
)


def test_without_ros_one_line_tells_how_to_get_it() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROS], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "ROS 2 was not found (rclpy" in done.stderr and "pip install '.[ros]'" in done.stderr
    assert "setup.bash" in done.stderr and "blur-imu run" in done.stderr


def test_ctrl_c_while_modules_are_imported_ends_in_silence(tmp_path: Path) -> None:
    slow = tmp_path / "rclpy" / "__init__.py"
    slow.parent.mkdir()
    slow.write_text("import time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    process = subprocess.Popen(
        [sys.executable, "-c", "from blur_imu_ros.ros.entry import main; main()"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "importing\n"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=15)[1] == "" and process.returncode == 0
