"""Results never take the place of what they are made from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import (
    RECORD_SUFFIX,
    moved_aside,
    refuse_overwriting,
    with_ending,
    write_text,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text("t,wx,wy,wz\n")
    return path


def test_other_places_and_those_that_are_not_asked_for_are_free(log: Path) -> None:
    refuse_overwriting([log.with_name("out.csv"), None], [log, None])


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_input_is_known_by_any_of_its_names(log: Path, link) -> None:
    output = log.parent / "." / "log.csv"
    if link is not None:
        output = log.with_name("other.csv")
        link(log, output)
    with pytest.raises(RecordingError, match="would overwrite the input"):
        refuse_overwriting([None, output], [None, log])


def test_two_results_do_not_share_a_place(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="two results"):
        refuse_overwriting([tmp_path / "a.json", tmp_path / "." / "a.json"], [])


def test_the_files_of_a_folder_that_is_read_are_inputs_but_for_results(log: Path) -> None:
    refuse_overwriting([log.with_name("new.csv")], [log.parent])
    with pytest.raises(RecordingError, match=r"log\.csv: would overwrite the input"):
        refuse_overwriting([log], [log.parent])
    log.with_name(log.name + RECORD_SUFFIX).write_text("{}")
    refuse_overwriting([log], [log.parent])


def test_what_is_in_the_way_is_renamed_with_its_record(log: Path) -> None:
    log.with_name("log.csv" + RECORD_SUFFIX).write_text("{}")
    assert moved_aside(log).name == "log.1.csv"
    assert log.with_name("log.1.csv" + RECORD_SUFFIX).is_file() and not log.exists()
    log.write_text("again")
    assert moved_aside(log).name == "log.2.csv"
    assert log.with_name("log.1.csv").read_text() == "t,wx,wy,wz\n"


def test_an_ending_is_completed_kept_or_refused() -> None:
    assert with_ending(Path("a/b"), (".png", ".svg")) == Path("a/b.png")
    assert with_ending(Path("a/b.svg"), (".png", ".svg")) == Path("a/b.svg")
    with pytest.raises(RecordingError, match=r"b.doc: choose one of the endings .png, .svg"):
        with_ending(Path("a/b.doc"), (".png", ".svg"))


def test_places_of_many_recordings_are_compared_in_no_time(tmp_path: Path) -> None:
    """Each with each would be a hundred million looks at the disk."""
    inputs = [tmp_path / "in" / f"{k}" for k in range(10_000)]
    outputs = [tmp_path / "out" / f"{k}.csv" for k in range(10_000)]
    refuse_overwriting(outputs, inputs)
    with pytest.raises(RecordingError, match="two results"):
        refuse_overwriting([*outputs, outputs[7]], inputs)
    with pytest.raises(RecordingError, match="would overwrite"):
        refuse_overwriting([*outputs, inputs[7]], inputs)


@pytest.mark.parametrize("folder", [".", "/", ".."])
def test_a_folder_without_a_name_is_no_place_for_a_result(folder: str) -> None:
    with pytest.raises(RecordingError, match=r"is a folder; name the file"):
        refuse_overwriting([Path(folder)], [])
    with pytest.raises(RecordingError, match=r"is a folder; name the file"):
        with_ending(Path(folder), [".json"])


def test_a_text_is_written_where_a_link_leads_and_into_a_device(log: Path) -> None:
    link = log.with_name("link.txt")
    link.symlink_to(log)
    write_text(link, "new")
    assert link.is_symlink() and log.read_text() == "new"
    write_text(Path(os.devnull), "gone")
    assert not Path(os.devnull).is_file()
