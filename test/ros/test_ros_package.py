"""package.xml says what the code imports, and versions and links agree; needs no ROS."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import blur_imu_ros

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
ROSDEP_KEYS = {
    "PIL": "python3-pil", "cv2": "python3-opencv", "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy", "rich": "python3-rich", "scipy": "python3-scipy",
    "tf2_ros": "tf2_ros_py", "typer": "python3-typer", "yaml": "python3-yaml",
}  # fmt: skip
FROM_PIP = {
    "av", "lz4", "mcap", "onnxruntime", "pandas", "pillow_heif", "pycolmap", "rawpy", "ray", "rerun",
    "rosbags", "safetensors", "telemetry_parser", "torch",
}  # fmt: skip
"""rosdep has none, or pip only, of which a released package may not depend; loaded when needed."""


def depended_on(*kinds: str) -> set[str]:
    return {str(element.text) for kind in kinds for element in PACKAGE.findall(kind)}


def imported(folder: str) -> set[str]:
    """Return the modules, not our own, that the code of a folder imports."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        if "msg" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"blur_imu_ros", "blur_imu_training"}


def test_everything_that_is_imported_is_a_dependency() -> None:
    needed = (imported("blur_imu_ros") | imported("launch")) - FROM_PIP
    keys = {ROSDEP_KEYS.get(name, name) for name in needed}
    assert keys <= depended_on("depend", "exec_depend")
    # What only launch files start, what is tried by name, and what builds and finds messages.
    more = {"tf2_ros", "cv_bridge", "lifecycle_msgs", "rosidl_default_runtime", "std_msgs"}
    assert depended_on("depend", "exec_depend") <= keys | more, "nothing is asked for in vain"


def test_colcon_test_runs_the_suite() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert "if(BUILD_TESTING)" in cmake and "ament_add_pytest_test(pytest test" in cmake
    assert {"ament_cmake_pytest", "python3-pytest"} <= depended_on("test_depend")


def test_the_version_is_the_same_everywhere() -> None:
    assert PACKAGE.findtext("version") == blur_imu_ros.__version__
    assert f"version: {blur_imu_ros.__version__}" in (ROOT / "CITATION.cff").read_text()


def test_the_quality_declaration_is_found_and_its_links_lead_somewhere() -> None:
    declaration = (ROOT / "QUALITY_DECLARATION.md").read_text()
    assert "QUALITY_DECLARATION.md" in (ROOT / "README.md").read_text()
    assert "QUALITY_DECLARATION.md" in (ROOT / "docs" / "ROS.md").read_text()
    for link in ("README.md", "docs/ROS.md", "docs/ACCURACY.md", "docs/TRAINING_DATA.md"):
        assert f"({link})" in declaration and (ROOT / link).is_file()


def test_a_message_that_is_built_again_leaves_a_node_that_runs_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import build_messages

    built, place = tmp_path / "built.so", tmp_path / "environment"
    place.mkdir()
    built.write_bytes(b"before")
    build_messages._copy_library(built, place)
    with (place / "built.so").open("rb") as mapped:
        built.write_bytes(b"after")
        build_messages._copy_library(built, place)
        assert mapped.read() == b"before"
    assert [one.read_bytes() for one in place.iterdir()] == [b"after"]
