"""What was freed goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from pathlib import Path
from blur_imu_ros.execution.memory import give_back_memory
def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1e3
kept = []
freed = [bytearray(4000) for _ in range(20_000)]
kept.append(bytearray(4000))  # lies behind, so that the heap cannot shrink by itself
del freed
before = resident()
give_back_memory()
print(before - resident())
"""


def test_memory_that_is_free_goes_back() -> None:
    if platform.libc_ver()[0] != "glibc" or not Path("/proc/self/status").is_file():
        pytest.skip("the C library keeps its memory, or the system does not tell what is held")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 40
