"""What `import blur_imu_ros` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import blur_imu_ros
from blur_imu_ros.errors import BlurImuError


@pytest.mark.parametrize("name", blur_imu_ros.__all__)
def test_every_name_of_the_api_is_there(name: str) -> None:
    assert getattr(blur_imu_ros, name).__name__ == name


def test_a_name_that_is_not_offered_is_told() -> None:
    with pytest.raises(AttributeError, match="no attribute 'VisualImus'"):
        blur_imu_ros.VisualImus  # noqa: B018


@pytest.mark.parametrize("module", ["blur_imu_ros", "blur_imu_ros.choices"])
def test_the_package_and_its_choices_are_imported_without_numpy(module: str) -> None:
    code = f"import sys, {module}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("load", ["load_camera", "load_network", "open_recording"])
def test_a_name_that_no_file_can_have_is_refused(load: str) -> None:
    with pytest.raises(BlurImuError, match="xxx"):
        getattr(blur_imu_ros, load)(5000 * "x")
