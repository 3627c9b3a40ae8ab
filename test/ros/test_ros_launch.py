"""Launch files, run with a small imitation of ROS's launch: it is on no package index."""

from __future__ import annotations

import glob
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

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
            "LogInfo", "OpaqueFunction", "SetEnvironmentVariable", "Shutdown",
        ],
        "launch.launch_description_sources": ["PythonLaunchDescriptionSource"],
        "launch_ros": [],
        "launch_ros.actions": ["LifecycleNode", "Node"],
        "launch_ros.parameter_descriptions": ["ParameterValue"],
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


def written(value: Any) -> Any:
    """Return a parameter's value without what keeps YAML from reading it as another type."""
    return value.args[0] if type(value).__name__ == "ParameterValue" else value


def given_to(node: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the files (and what is known of the camera) of a node, and what overrules them."""
    *files, given = node.options["parameters"]
    return files, {name: written(value) for name, value in given.items()}


def all_defaults(path: Path) -> dict[str, str]:
    """The defaults of a launch file and of those that it includes, as `--show-args` lists them."""
    found: dict[str, str] = {}
    for include in of_kind(actions(path), "IncludeLaunchDescription"):
        # What was declared before holds.
        found = all_defaults(Path(include.args[0].name)) | found
        found |= dict(include.options.get("launch_arguments", []))
    return found | defaults(path)


def run(name: str, **given: str) -> list[Any]:
    """Return what a launch file starts by itself, with `given` arguments."""
    path = ROOT / "launch" / name
    context = all_defaults(path) | given
    started: list[Any] = []
    for function in of_kind(actions(path), "OpaqueFunction"):
        started += function.options["function"](context)
    for include in of_kind(actions(path), "IncludeLaunchDescription"):
        if name not in ("fusion.launch.py", "replay.launch.py"):
            started += run(Path(include.args[0].name).name, **context)
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
        said_again = set(defaults(path)) & set(defaults(other))
        other_defaults = {"camera", "filter_reset_service"}
        assert said_again <= other_defaults, "an argument is said once"
        assert set(dict(include.options.get("launch_arguments", []))) <= set(defaults(other))


def test_the_node_gets_its_topics_and_the_shipped_parameters() -> None:
    (node,) = run("blur_imu.launch.py", image="/front/image_raw")
    assert node.options["executable"] == "blur_imu_node"
    assert (ROOT / "scripts" / "blur_imu_node").is_file()
    assert dict(node.options["remappings"]) == {
        "image": "/front/image_raw",
        "image/compressed": "/front/image_raw/compressed",
        "camera_info": "/front/camera_info",
        "exposure": "/camera/metadata",
    }
    files, given = given_to(node)
    assert files == [str(ROOT / "config" / "blur_imu.yaml")]
    # What is not given must not overrule the file.
    assert given == {"use_sim_time": False} and node.options["respawn"] is False


def test_the_calibration_is_looked_for_beside_the_image() -> None:
    def calibration(**given: str) -> str:
        (node,) = run("blur_imu.launch.py", **given)
        return dict(node.options["remappings"])["camera_info"]

    assert calibration() == "/camera/camera_info"
    assert calibration(camera="oak") == "/oak/left/camera_info"
    assert calibration(camera="oak", image="/oak/right/image_raw") == "/oak/right/camera_info"
    assert calibration(image="image_raw") == "camera_info"
    assert calibration(image="/image_raw") == "/camera_info"
    assert calibration(image="/a/b/image_rect", camera_info="/mine") == "/mine"


def test_the_name_of_a_compressed_topic_asks_for_compressed_images() -> None:
    (node,) = run("blur_imu.launch.py", image="/front/image_raw/compressed")
    remapped = dict(node.options["remappings"])
    assert remapped["image"] == "/front/image_raw"
    assert remapped["image/compressed"] == "/front/image_raw/compressed"
    assert remapped["camera_info"] == "/front/camera_info"
    assert given_to(node)[1]["image_transport"] == "compressed"
    (node,) = run("cameras.launch.py", cameras="left", image="/oak/{camera}/image_raw/compressed")
    remapped = dict(node.options["remappings"])
    assert remapped["/left/image"] == "/oak/left/image_raw"
    assert remapped["/left/image/compressed"] == "/oak/left/image_raw/compressed"
    assert remapped["/left/camera_info"] == "/oak/left/camera_info"
    assert given_to(node)[1]["image_transport"] == "compressed"


def test_arguments_that_are_given_overrule_the_file() -> None:
    (node,) = run(
        "blur_imu.launch.py", exposure_time="0.01", exposure_source="fixed", threads="2",
        rectified="true", lever_arm="[0, 0, 0.3]", frame_id="1.0",
        params_file="/mine.yaml", respawn="true", use_sim_time="true",
    )  # fmt: skip
    files, given = given_to(node)
    assert files == ["/mine.yaml"] and node.options["respawn"] is True
    assert given == {
        "use_sim_time": True, "exposure_time": 0.01, "exposure_source": "fixed", "threads": 2,
        "rectified": True, "lever_arm": [0.0, 0.0, 0.3], "frame_id": "1.0",
    }  # fmt: skip
    assert type(given["threads"]) is int and type(given["exposure_time"]) is float


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("exposure_time", "long", "exposure_time:=long is not a number"),
        ("threads", "2.5", "threads:=2.5 is not a whole number"),
        ("lever_arm", "0.3", "lever_arm:=0.3 is not a list of numbers"),
        ("rectified", "yes", "rectified:=yes is neither true nor false"),
        ("camera", "kodak", "camera:=kodak is not one of any, realsense"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(RuntimeError, match=re.escape(said)):
        run("blur_imu.launch.py", **{name: value})


def test_every_parameter_of_the_node_is_an_argument() -> None:
    from blur_imu_ros.ros.parameters import PARAMETERS

    assert set(PARAMETERS) <= set(defaults(ROOT / "launch" / "blur_imu.launch.py"))


CAMERAS = ["realsense", "oak", "libcamera", "flir", "usb_cam"]


@pytest.mark.parametrize("camera", CAMERAS)
def test_what_is_known_of_a_camera_is_a_valid_setting_of_the_node(camera: str) -> None:
    from blur_imu_ros.ros.parameters import PARAMETERS

    (node,) = run(f"{camera}.launch.py")
    (file, known), given = given_to(node)
    assert given == {"use_sim_time": False}
    for name, value in known.items():
        PARAMETERS[name].check(name, value)
    # A message that is not installed here is on the robot.
    reports = known.get("exposure_source", "fixed") != "fixed"
    assert reports == (dict(node.options["remappings"])["exposure"] != "/camera/metadata")
    assert "stamp_reference" in known
    # A user's file knows better, and an argument best.
    (node,) = run(f"{camera}.launch.py", params_file="/mine.yaml", image="/mine", rectified="false")
    files, given = given_to(node)
    assert files == [known, "/mine.yaml"] and given["rectified"] is False
    assert dict(node.options["remappings"])["image"] == "/mine"


def test_several_cameras_run_in_one_process() -> None:
    (process,) = run(
        "cameras.launch.py",
        cameras="left right",
        image="/oak/{camera}/image_raw",
        model="compact-int8",
    )
    assert process.options["arguments"] == ["--cameras", "left", "right"]
    assert "name" not in process.options, "it would be that of every node"
    topics = dict(process.options["remappings"])
    assert topics["/left/image"] == "/oak/left/image_raw"
    assert topics["/right/image/compressed"] == "/oak/right/image_raw/compressed"
    assert topics["/right/camera_info"] == "/oak/right/camera_info" and len(topics) == 8
    assert given_to(process)[1] == {"use_sim_time": False, "model": "compact-int8"}
    with pytest.raises(RuntimeError, match="names no camera"):
        run("cameras.launch.py", cameras=" ")


def test_every_camera_has_a_launch_file() -> None:
    from blur_imu_ros.ros.launching import DRIVERS

    assert sorted(DRIVERS) == sorted(["any", *CAMERAS])


@pytest.mark.parametrize("name", ["use_sim_time", "respawn", "rviz"])
def test_a_flag_that_is_neither_true_nor_false_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"argument {name}:=yes is neither true nor false"):
        run("blur_imu.launch.py", **{name: "yes"})


@pytest.fixture
def bag(tmp_path: Path) -> str:
    path = tmp_path / "walk.mcap"
    path.touch()
    return str(path)


def test_the_end_of_the_bag_ends_the_launch_unless_ctrl_c_has_done_so() -> None:
    (play,) = of_kind(run("replay.launch.py", bag=str(ROOT)), "ExecuteProcess")
    after = play.options["on_exit"]
    (ended,) = after(None, SimpleNamespace(is_shutdown=False))
    assert type(ended).__name__ == "Shutdown"
    # A second shutdown makes launch_ros fail: the node would be left to itself.
    assert after(None, SimpleNamespace(is_shutdown=True)) == []


def test_a_bag_that_is_not_there_is_named_before_anything_starts() -> None:
    with pytest.raises(RuntimeError, match="argument bag:=/no/such.mcap does not exist"):
        run("replay.launch.py", bag="/no/such.mcap")


def test_a_bag_is_played_with_its_clock_and_heard_from_its_first_message(bag: str) -> None:
    (player,) = run("replay.launch.py", bag=bag, loop="true", rate="0.5")
    # The player is there at once and waits: who is found before the first image misses none.
    assert player.options["cmd"] == [
        "ros2", "bag", "play", bag, "--clock", "--rate", "0.5", "--delay", "8.0",
        "--loop",
    ]  # fmt: skip
    assert defaults(ROOT / "launch" / "replay.launch.py")["bag"] is None, "a bag must be given"


def test_a_bag_is_played_to_the_filter_where_asked(bag: str) -> None:
    ekf, player = run("replay.launch.py", bag=bag, fusion="true", motion="carried")
    assert ekf.options["executable"] == "ekf_node"
    assert given_to(ekf)[1] == {"use_sim_time": True}


def test_the_angular_velocity_of_a_bag_is_plotted_where_asked(bag: str) -> None:
    _, plot = run("replay.launch.py", bag=bag, plot="true", namespace="front")
    assert plot.options["arguments"] == ["/front/imu_visual/data_raw/angular_velocity/x:y:z"]
    with pytest.raises(RuntimeError, match="delay:=soon is not a number"):
        run("replay.launch.py", bag=bag, delay="soon")


def test_rviz_opens_the_shipped_view_on_the_same_clock() -> None:
    _, rviz = run("blur_imu.launch.py", rviz="true", use_sim_time="true")
    assert rviz.options["package"] == "rviz2" and rviz.options["arguments"][0] == "-d"
    assert Path(rviz.options["arguments"][1]) == ROOT / "rviz" / "blur_imu.rviz"
    assert rviz.options["parameters"] == [{"use_sim_time": True}]


def transports(**given: str) -> list[Any]:
    return of_kind(run("blur_imu.launch.py", **given), "SetEnvironmentVariable")


def test_no_transport_is_set_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not of_kind(actions(ROOT / "launch" / "blur_imu.launch.py"), "SetEnvironmentVariable")
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    assert not transports() and not transports(transport="default"), "the user's own is kept"
    (one,) = transports(transport="large_data")
    assert one.args == ("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    (told,) = of_kind(run("blur_imu.launch.py", transport="large_data"), "LogInfo")
    assert "the environment says UDPv4" in told.options["msg"]
    (one,) = transports(transport="udp")
    assert one.args == ("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    with pytest.raises(RuntimeError, match="transport:=fast is not one of default, large_data"):
        transports(transport="fast")


@pytest.mark.parametrize(
    ("name", "service"),
    [("fusion.launch.py", "reset"), ("replay.launch.py", "reset"), ("blur_imu.launch.py", "")],
)
def test_the_filter_of_a_launch_is_reset_with_a_bag(name: str, service: str) -> None:
    assert all_defaults(ROOT / "launch" / name)["filter_reset_service"] == service


def test_fusion_starts_the_filter_and_places_the_camera_where_asked() -> None:
    (ekf,) = run("fusion.launch.py")
    assert (ekf.options["package"], ekf.options["executable"]) == ("robot_localization", "ekf_node")
    assert given_to(ekf) == ([str(ROOT / "config" / "ekf.yaml")], {"use_sim_time": False})
    (ekf,) = run("fusion.launch.py", namespace="robot", use_sim_time="true", motion="carried")
    assert ekf.options["namespace"] == "robot"
    files, given = given_to(ekf)
    assert files == [str(ROOT / "config" / f"{name}.yaml") for name in ("ekf", "ekf_carried")]
    assert given == {"use_sim_time": True}
    (ekf,) = run("fusion.launch.py", ekf_file="/mine.yaml", motion="carried")
    assert given_to(ekf)[0] == ["/mine.yaml"]
    _, place = run("fusion.launch.py", camera_frame="camera_frame", camera_xyz="0.1 0 0.2")
    assert place.options["arguments"][:6] == ["--x", "0.1", "--y", "0", "--z", "0.2"]
    assert place.options["arguments"][-3:] == ["base_link", "--child-frame-id", "camera_frame"]
    with pytest.raises(RuntimeError, match="three numbers each"):
        run("fusion.launch.py", camera_frame="camera_frame", camera_xyz="0.1")
    with pytest.raises(RuntimeError, match="motion:=flies is not one of drives, carried"):
        run("fusion.launch.py", motion="flies")


@pytest.mark.parametrize(
    ("name", "given", "package"),
    [
        ("fusion.launch.py", {}, "robot_localization"),
        ("fusion.launch.py", {"camera_frame": "camera_frame"}, "tf2_ros"),
        ("replay.launch.py", {}, "ros2bag"),
        ("replay.launch.py", {"plot": "true"}, "rqt_plot"),
        ("replay.launch.py", {"fusion": "true"}, "robot_localization"),
    ],
)
def test_a_package_that_is_missing_is_named_before_the_node_starts(
    name: str, given: dict[str, str], package: str, bag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [type(action).__name__ for action in actions(ROOT / "launch" / name)]
    assert kinds.index("OpaqueFunction") < kinds.index("IncludeLaunchDescription")

    def share(asked: str) -> str:
        if asked == package:
            raise LookupError(asked)
        return str(ROOT)

    # As it was imported when the launch file was read.
    monkeypatch.setattr("blur_imu_ros.ros.launching.get_package_share_directory", share)
    said = f"{package} is not installed: sudo apt install ros-$ROS_DISTRO-"
    with pytest.raises(RuntimeError, match=re.escape(said)):
        run(name, **given, **({"bag": bag} if name == "replay.launch.py" else {}))


def test_the_robots_frame_reaches_node_filter_and_the_cameras_place() -> None:
    given = {"base_frame": "base_footprint", "camera_frame": "camera_frame"}
    (node,) = run("blur_imu.launch.py", **given)
    ekf, place = run("fusion.launch.py", **given)
    assert given_to(node)[1]["base_frame"] == "base_footprint"
    assert given_to(ekf)[1]["base_link_frame"] == "base_footprint"
    arguments = place.options["arguments"]
    assert arguments[arguments.index("--frame-id") + 1] == "base_footprint"


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
    assert "install(DIRECTORY config launch rviz" in (ROOT / "CMakeLists.txt").read_text()
