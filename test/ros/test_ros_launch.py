"""Launch files, run with a small imitation of ROS's launch: it is on no package index."""

from __future__ import annotations

import glob
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted(ROOT.glob("launch/*.launch.py"))


class Recorded:
    """An action or description: remembers what it was made of."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args, self.options = args, options
        self.name = args[0] if args and isinstance(args[0], str) else ""


class LaunchConfiguration(Recorded):
    """A value that is known when the launch runs."""

    def perform(self, context: dict[str, str]) -> str:
        return context[self.name]


def kind(name: str, base: type = Recorded) -> type:
    return type(name, (base,), {})


@pytest.fixture(autouse=True)
def launch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules = {
        "launch": ["LaunchDescription"],
        "launch.actions": [
            "DeclareLaunchArgument", "ExecuteProcess", "IncludeLaunchDescription",
            "OpaqueFunction", "SetEnvironmentVariable", "Shutdown", "TimerAction",
        ],
        "launch.launch_description_sources": ["PythonLaunchDescriptionSource"],
        "launch_ros": [],
        "launch_ros.actions": ["LifecycleNode", "Node"],
    }  # fmt: skip
    for name, kinds in modules.items():
        module = ModuleType(name)
        for each in kinds:
            setattr(module, each, kind(each))
        monkeypatch.setitem(sys.modules, name, module)
    substitutions = SimpleNamespace(LaunchConfiguration=LaunchConfiguration)
    monkeypatch.setitem(sys.modules, "launch.substitutions", substitutions)
    monkeypatch.setitem(sys.modules, "ament_index_python", ModuleType("ament_index_python"))
    packages = SimpleNamespace(get_package_share_directory=lambda package: str(ROOT))
    monkeypatch.setitem(sys.modules, "ament_index_python.packages", packages)
    # What the launch files share is imported anew, with the imitation.
    monkeypatch.delitem(sys.modules, "blur_imu_ros.ros.launching", raising=False)
    yield
    sys.modules.pop("blur_imu_ros.ros.launching", None)


def actions(path: Path) -> list[Any]:
    spec = importlib.util.spec_from_file_location("launch_file", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.generate_launch_description().args[0])


def of_kind(found: list[Any], name: str) -> list[Any]:
    return [action for action in found if type(action).__name__ == name]


def defaults(path: Path) -> dict[str, str]:
    declared = of_kind(actions(path), "DeclareLaunchArgument")
    return {argument.name: argument.options["default_value"] for argument in declared}


def all_defaults(path: Path) -> dict[str, str]:
    """The defaults of a launch file and of those that it includes, as `--show-args` lists them."""
    found: dict[str, str] = {}
    for include in of_kind(actions(path), "IncludeLaunchDescription"):
        found |= all_defaults(Path(include.args[0].name))
        found |= dict(include.options.get("launch_arguments", []))
    return found | defaults(path)


def run(name: str, **given: str) -> list[Any]:
    """Return what a launch file starts by itself, with `given` arguments."""
    path = ROOT / "launch" / name
    context = all_defaults(path) | given
    started: list[Any] = []
    for function in of_kind(actions(path), "OpaqueFunction"):
        started += function.options["function"](context)
    return started


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_is_described_once(path: Path) -> None:
    declared = of_kind(actions(path), "DeclareLaunchArgument")
    names = [argument.name for argument in declared]
    assert names and len(set(names)) == len(names)
    assert all(argument.options["description"].endswith(".") for argument in declared)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_included_launch_files_are_there_and_know_their_arguments(path: Path) -> None:
    for include in of_kind(actions(path), "IncludeLaunchDescription"):
        other = Path(include.args[0].name)
        assert other in LAUNCH_FILES
        assert not set(defaults(path)) & set(defaults(other)), "an argument is said once"
        assert set(dict(include.options.get("launch_arguments", []))) <= set(defaults(other))


def test_the_node_gets_its_topics_and_the_shipped_parameters() -> None:
    (node,) = run("blur_imu.launch.py", image="/front/image_raw")
    assert node.options["executable"] == "blur_imu_node"
    assert (ROOT / "scripts" / "blur_imu_node").is_file()
    assert dict(node.options["remappings"]) == {
        "image": "/front/image_raw",
        "image/compressed": "/front/image_raw/compressed",
        "camera_info": "/camera/camera_info",
        "exposure": "/camera/metadata",
    }
    params_file, given = node.options["parameters"]
    assert Path(params_file) == ROOT / "config" / "blur_imu.yaml"
    # What is not given must not overrule the file.
    assert given == {"use_sim_time": False} and node.options["respawn"] is False


def test_arguments_that_are_given_overrule_the_file() -> None:
    (node,) = run(
        "blur_imu.launch.py", exposure_time="0.01", exposure_source="fixed",
        params_file="/mine.yaml", respawn="true", use_sim_time="true",
    )  # fmt: skip
    params_file, given = node.options["parameters"]
    assert params_file == "/mine.yaml" and node.options["respawn"] is True
    assert given == {"use_sim_time": True, "exposure_time": 0.01, "exposure_source": "fixed"}
    with pytest.raises(RuntimeError, match="exposure_time:=long is not a number"):
        run("blur_imu.launch.py", exposure_time="long")


@pytest.mark.parametrize("name", ["use_sim_time", "respawn", "rviz"])
def test_a_flag_that_is_neither_true_nor_false_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"argument {name}:=yes is neither true nor false"):
        run("blur_imu.launch.py", **{name: "yes"})


def test_a_bag_is_played_with_its_clock() -> None:
    (timer,) = run("replay.launch.py", bag="/data/walk.mcap", loop="true", rate="0.5")
    (player,) = timer.options["actions"]
    assert player.options["cmd"] == [
        "ros2", "bag", "play", "/data/walk.mcap", "--clock", "--rate", "0.5", "--loop",
    ]  # fmt: skip
    assert timer.options["period"] == 5.0
    assert defaults(ROOT / "launch" / "replay.launch.py")["bag"] is None, "a bag must be given"


def test_the_angular_velocity_of_a_bag_is_plotted_where_asked() -> None:
    _, plot = run("replay.launch.py", bag="/data/walk.mcap", plot="true", namespace="front")
    assert plot.options["arguments"] == ["/front/imu_visual/data_raw/angular_velocity/x:y:z"]
    with pytest.raises(RuntimeError, match="delay:=soon is not a number"):
        run("replay.launch.py", bag="/data/walk.mcap", delay="soon")


def test_rviz_opens_the_shipped_view_on_the_same_clock() -> None:
    _, rviz = run("blur_imu.launch.py", rviz="true", use_sim_time="true")
    assert rviz.options["package"] == "rviz2" and rviz.options["arguments"][0] == "-d"
    assert Path(rviz.options["arguments"][1]) == ROOT / "rviz" / "blur_imu.rviz"
    assert rviz.options["parameters"] == [{"use_sim_time": True}]


def test_the_transport_that_loses_no_images_is_set() -> None:
    (transport,) = of_kind(
        actions(ROOT / "launch" / "blur_imu.launch.py"), "SetEnvironmentVariable"
    )
    assert transport.args == ("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")


def test_fusion_starts_the_filter_and_places_the_camera_where_asked() -> None:
    (ekf,) = run("fusion.launch.py")
    assert (ekf.options["package"], ekf.options["executable"]) == ("robot_localization", "ekf_node")
    assert Path(ekf.options["parameters"][0]) == ROOT / "config" / "ekf.yaml"
    (ekf,) = run("fusion.launch.py", namespace="robot", use_sim_time="true")
    assert ekf.options["namespace"] == "robot"
    assert ekf.options["parameters"][1] == {"use_sim_time": True}
    _, place = run("fusion.launch.py", camera_frame="camera_frame", camera_xyz="0.1 0 0.2")
    assert place.options["arguments"][:6] == ["--x", "0.1", "--y", "0", "--z", "0.2"]
    assert place.options["arguments"][-1] == "camera_frame"
    with pytest.raises(RuntimeError, match="three numbers each"):
        run("fusion.launch.py", camera_frame="camera_frame", camera_xyz="0.1")


def test_the_filter_fuses_each_velocity_once_and_in_its_own_time() -> None:
    ekf = yaml.safe_load((ROOT / "config" / "ekf.yaml").read_text())["/**"]["ros__parameters"]
    assert ekf["smooth_lagged_data"] is True and ekf["history_length"] >= 0.5
    assert (ekf["imu0"], ekf["twist0"]) == ("imu_visual/data_raw", "twist")
    assert [i for i, on in enumerate(ekf["imu0_config"]) if on] == [9, 10, 11]
    assert [i for i, on in enumerate(ekf["twist0_config"]) if on] == [6, 7, 8]
    assert len(ekf["imu0_config"]) == len(ekf["twist0_config"]) == 15
    assert ekf["imu0_twist_rejection_threshold"] > 0 and ekf["twist0_rejection_threshold"] > 0


def test_everything_that_is_launched_is_installed_by_pip_and_by_colcon() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("this Python reads no TOML")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    data = project["tool"]["setuptools"]["data-files"]
    for folder in ("launch", "config", "rviz"):
        files = [path for path in ROOT.glob(f"{folder}/*") if path.is_file()]
        patterns = data[f"share/blur_imu_ros/{folder}"]
        found = {Path(f) for p in patterns for f in glob.glob(p, root_dir=ROOT)}
        assert found == {path.relative_to(ROOT) for path in files}
    assert "install(DIRECTORY config launch models rviz" in (ROOT / "CMakeLists.txt").read_text()
