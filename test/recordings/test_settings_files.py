"""Settings of the method come from one YAML, or are refused in one line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blur_imu_ros.core.method_settings import MethodSettings
from blur_imu_ros.errors import SettingsError
from blur_imu_ros.recordings.settings_files import load_settings, settings_yaml

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "settings.yaml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file_holds_every_setting_at_its_default() -> None:
    assert SHIPPED.read_text() == settings_yaml(), "write it anew: see CONTRIBUTING.md"
    assert load_settings(SHIPPED) == MethodSettings()


def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    found = load_settings(written(tmp_path, "solver: {length_std: 0.1}\n"))
    assert found.solver.length_std == 0.1
    assert found.pivot == MethodSettings().pivot
    assert load_settings(written(tmp_path, "")) == MethodSettings()


def test_lists_may_be_negative_where_a_default_is_and_longer_where_they_may_be(tmp_path: Path):
    text = "pivot: {start: [-0.1, 0.1, -0.2]}\nsolver: {survivors: [9, 5, 2, 1]}\n"
    found = load_settings(written(tmp_path, text))
    assert found.pivot.start == (-0.1, 0.1, -0.2)
    assert found.solver.survivors == (9, 5, 2, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("solver: {lenght_std: 0.1}", "did you mean length_std?"),
        ("slover: {}", "did you mean solver?"),
        ("solver: {length_std: .nan}", "solver.length_std is nan; give a number like 0.2"),
        ("solver: {length_std: -1}", "above zero"),
        ("motion: {vibrations: [0.0, -0.1]}", "not negative"),
        ("solver: {length_std: wide}", "'wide'; give a number"),
        ("solver: {length_std: true}", "True; give a value like 0.2"),
        ("solver: {steps: 2.5}", "a whole number like 8"),
        ("solver: {survivors: 8}", "a list like [8, 3, 1]"),
        ("pivot: {start: [0.1, 0.2]}", "give 3 values like [0.0, -0.15, 0.25]"),
        ("motion: {knocks: [[1.0]]}", "give 2 values like [1.0, 0.85]"),
        ("pivot: {start_std: [0.1, 0.0, 0.1]}", "above zero"),
        ("solver: {start_cells: 0}", "above zero"),
        ("solver: {survivors: [8, 0]}", "above zero"),
        ("registration: {spacing: [3]}", "[3] for 2 levels; give one for each level"),
        ("solver: 3", "section solver holds 3"),
        ("[1, 2]", "the file holds [1, 2]"),
        ("solver: {", "is not YAML"),
        ("direction: {mode: none}", "has no setting 'mode'"),
        ("autocorrelation: {scales: [2.0, 0.5]}", "[2.0, 0.5]; give the smaller one first"),
        ("autocorrelation: {scales: [1.0, 1.0]}", "[1.0, 1.0]; give the smaller one first"),
        ("autocorrelation: {blur: 1.0e+12}", "a number up to 120"),
        ("autocorrelation: {starts: 100000}", "a number up to 1100"),
        ("autocorrelation: {noise: 1.0e+300}", "a number up to 200"),
        ("autocorrelation: {scales: [0.5, 1.0e+9]}", "a number up to 200"),
        ("solver: {length_std: 1.0e+9}", "a number up to 100"),
        ("motion: {accelerations: [0.1, 1.0e+6]}", "a number up to 30000"),
        ("pivot: {start: [0.0, -1.0e+9, 0.25]}", "a number from -100 to 100"),
    ],
)
def test_what_cannot_be_a_setting_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and told in message and "\n" not in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        load_settings(tmp_path / "none.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x),
    )
)
def test_whatever_yaml_holds_gives_settings_or_one_line(tmp_path_factory, content) -> None:
    path = written(tmp_path_factory.mktemp("any"), yaml.safe_dump({"solver": {"steps": content}}))
    try:
        assert isinstance(load_settings(path).solver.steps, int)
    except SettingsError as error:
        assert str(path) in str(error)


def test_every_stage_explains_each_of_its_settings() -> None:
    for stage in fields(MethodSettings()):
        assert f"\n{stage.name}:\n" in settings_yaml()
