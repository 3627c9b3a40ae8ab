"""One model is the default of everything; a run that is gone on with keeps the one it began with."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import typer
import yaml

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.cli.application import app
from blur_imu_ros.cli.benchmark import BenchmarkOptions
from blur_imu_ros.cli.demo import run_demo
from blur_imu_ros.cli.live import LiveOptions
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.network.blur_network import load_network, shipped_models
from helpers.command_line import CommandLine, Oracle, needs_model, turning_images, write_folder

ROOT = Path(__file__).resolve().parents[2]
pytestmark = needs_model


def test_all_commands_have_the_same_default_model() -> None:
    commands = typer.main.get_command(app).commands
    options = {
        name: p for name, command in commands.items() for p in command.params if "--model" in p.opts
    }
    assert {"run", "compare", "live", "demo", "benchmark"} <= options.keys()
    given = {name: option.default for name, option in options.items() if not option.multiple}
    assert set(given.values()) == {DEFAULT_MODEL}, given
    assert BenchmarkOptions().models == (DEFAULT_MODEL,)
    for command, asked in (("demo", run_demo), ("load_network", load_network)):
        defaults = [p.default for p in inspect.signature(asked).parameters.values()]
        assert DEFAULT_MODEL in defaults, command
    for asked in (RunOptions, LiveOptions):
        assert asked.model == DEFAULT_MODEL


def test_the_node_has_the_default_model_of_the_commands() -> None:
    shipped = yaml.safe_load((ROOT / "config" / "blur_imu.yaml").read_text())
    assert shipped["/**"]["ros__parameters"]["model"] == DEFAULT_MODEL
    pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")
    from blur_imu_ros.ros.parameters import PARAMETERS

    assert PARAMETERS["model"].default == DEFAULT_MODEL


def test_the_default_model_is_shipped() -> None:
    assert DEFAULT_MODEL in shipped_models()


class Named(Oracle):
    """An oracle by the name of the model that is asked for."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name


@pytest.fixture
def begun(
    blur_imu: CommandLine, camera: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[object, ...]:
    """The command of a run that was begun with another model of the folder of models."""
    there = [*shipped_models(), "other", "other-int8"]
    monkeypatch.setattr("blur_imu_ros.cli.resuming.shipped_models", lambda: there)
    monkeypatch.setattr("blur_imu_ros.cli.run.load_network", Named)
    folder = write_folder(tmp_path / "images", turning_images(4))
    command = ("run", folder, "-o", tmp_path / "a.csv", "--camera", camera, "--exposure", 0.01)
    assert blur_imu(*command, "--model", "other-int8").status == 0
    return command


def unfinished(command: tuple[object, ...]) -> Path:
    """Leave the record of a run as one that was stopped before its first row; return it."""
    record = Path(f"{command[3]}.run.json")
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"finished": False, "rows": 0}))
    Path(str(command[3])).write_text("")
    return record


def test_a_resumed_run_keeps_the_model_it_was_begun_with_and_says_so(
    blur_imu: CommandLine, begun: tuple[object, ...]
) -> None:
    whole = Path(str(begun[3])).read_bytes()
    finished = blur_imu(*begun, "--resume")
    assert "measured before" in finished.out
    record = unfinished(begun)
    told = (
        f"a.csv: was begun with the model other-int8 and keeps it; the default is {DEFAULT_MODEL}"
    )
    for ended in (finished, blur_imu(*begun, "--resume")):
        assert ended.status == 0 and told in ended.err
    assert Path(str(begun[3])).read_bytes() == whole
    assert json.loads(record.read_text())["recipe"]["model"] == "other-int8"


class Chosen(Named):
    """An oracle that `auto` takes in 8 bits, where they are faster."""

    faster = True

    def __init__(self, name: str, backend: str, *_: object) -> None:
        in_8_bits = self.faster and backend == "auto" and not name.endswith("-int8")
        super().__init__(name + "-int8" * in_8_bits)


@pytest.mark.parametrize("named", [(), ("--model", "other")], ids=["not named", "named"])
@pytest.mark.parametrize("faster", [True, False])
def test_a_resumed_run_keeps_its_bits_whatever_is_faster_now(
    blur_imu: CommandLine, begun: tuple[object, ...], monkeypatch: pytest.MonkeyPatch,
    named: tuple[str, ...], faster: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr("blur_imu_ros.cli.run.load_network", Chosen)
    monkeypatch.setattr(Chosen, "faster", not faster)
    assert blur_imu(*begun, "--model", "other").status == 0
    record = unfinished(begun)
    begun_with = json.loads(record.read_text())["recipe"]["model"]
    assert begun_with == ("other" if faster else "other-int8")
    monkeypatch.setattr(Chosen, "faster", faster)
    ended = blur_imu(*begun, "--resume", *named)
    assert ended.status == 0, ended.err
    assert json.loads(record.read_text())["recipe"]["model"] == begun_with


def test_recordings_of_a_batch_keep_each_its_own_model(
    blur_imu: CommandLine, begun: tuple[object, ...], camera: Path, tmp_path: Path
) -> None:
    other = write_folder(tmp_path / "new", turning_images(4))
    unfinished(begun)
    (tmp_path / "a.csv").rename(tmp_path / "images.csv")
    (tmp_path / "a.csv.run.json").rename(tmp_path / "images.csv.run.json")
    several = ("run", begun[1], other, "-o", tmp_path / "{name}.csv", *begun[4:], "--jobs", 1)
    ended = blur_imu(*several, "--resume")
    assert ended.status == 0, ended.err
    assert ended.err.count("was begun with the model other-int8") == 1
    models = {
        name: json.loads((tmp_path / f"{name}.csv.run.json").read_text())["recipe"]["model"]
        for name in ("images", "new")
    }
    assert models == {"images": "other-int8", "new": DEFAULT_MODEL}


def test_a_model_that_is_named_is_not_exchanged_for_the_one_of_before(
    blur_imu: CommandLine, begun: tuple[object, ...]
) -> None:
    refusal = blur_imu(*begun, "--resume", "--model", DEFAULT_MODEL).refusal
    assert f"model was other-int8 and is now {DEFAULT_MODEL}" in refusal
    assert "give the model of before" in refusal and "--model" in refusal


def test_a_model_that_is_no_longer_there_is_not_exchanged_for_the_default(
    blur_imu: CommandLine, begun: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blur_imu_ros.cli.resuming.shipped_models", lambda: [DEFAULT_MODEL])
    refusal = blur_imu(*begun, "--resume").refusal
    assert f"model was other-int8 and is now {DEFAULT_MODEL}" in refusal
    assert "choose another output" in refusal and "without resuming" in refusal


def test_another_way_to_calculate_is_refused_as_before(
    blur_imu: CommandLine, begun: tuple[object, ...]
) -> None:
    refusal = blur_imu(*begun, "--resume", "--backend", "onnx").refusal
    assert "model was other-int8 and is now other" in refusal


def test_without_resume_the_default_measures_anew(
    blur_imu: CommandLine, begun: tuple[object, ...]
) -> None:
    ended = blur_imu(*begun)
    assert ended.status == 0 and "begun with" not in ended.err
    record = json.loads(Path(f"{begun[3]}.run.json").read_text())
    assert record["recipe"]["model"] == DEFAULT_MODEL
