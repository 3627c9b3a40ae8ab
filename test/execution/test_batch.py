"""Many recordings at once: the results of one by one, failures told, and restarted where it
ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from blur_imu_ros.cli.batch import _absolute
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution import batch
from blur_imu_ros.execution.batch import Task, in_processes, one_by_one
from blur_imu_ros.recordings.facade import recordings_in
from blur_imu_ros.results.run_record import exposure_of
from helpers.command_line import (
    CommandLine,
    needs_model,
    rows_of,
    turning_images,
    write_camera,
    write_folder,
)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Three recordings, of which the second is damaged."""
    folder = tmp_path / "recordings"
    for name in ("walk_2", "walk_10", "deeper/ride"):
        write_folder(folder / name, turning_images(3))
    (folder / "walk_10" / "frame_1.png").write_bytes(b"damaged")
    return folder


def test_recordings_are_found_at_any_depth_in_natural_order(
    recordings: Path, tmp_path: Path
) -> None:
    (recordings / "notes.md").write_text("no recording")
    (recordings / "clip.mp4").touch()
    names = ["clip.mp4", "deeper/ride", "walk_2", "walk_10"]
    assert recordings_in(recordings) == [recordings / name for name in names]
    assert recordings_in(recordings / "walk_2") == [recordings / "walk_2"]
    assert recordings_in(tmp_path / "nowhere") == [tmp_path / "nowhere"]
    listed = tmp_path / "list.txt"
    listed.write_text("# two of them\n\nrecordings/walk_2\nrecordings/deeper\n")
    assert recordings_in(listed) == [recordings / "walk_2", recordings / "deeper" / "ride"]
    listed.write_text("# none\n")
    with pytest.raises(RecordingError, match=r"list\.txt: lists no recordings"):
        recordings_in(listed)


def test_links_that_lead_back_are_not_followed(recordings: Path) -> None:
    found = recordings_in(recordings)
    for name in ("again", "deeper/once_more"):
        (recordings / name).symlink_to(recordings)
    (recordings / "elsewhere").symlink_to(recordings / "walk_2")
    assert set(recordings_in(recordings)) == {*found, recordings / "elsewhere"}


def test_one_failure_is_listed_and_the_others_are_measured_and_left_alone_afterwards(
    blur_imu: CommandLine, recordings: Path, camera: Path, tmp_path: Path
) -> None:
    command = ("run", recordings, "-o", tmp_path / "out" / "{name}.csv", "--camera", camera,
               "--exposure", 0.01, "--resume", "--strict", "--jobs", 1)  # fmt: skip
    ended = blur_imu(*command)
    assert "1 of 3 recordings failed" in ended.refusal
    assert "failed" in ended.out and "damaged" in ended.out
    assert len(rows_of(tmp_path / "out" / "walk_2.csv")) == 3
    assert len(rows_of(tmp_path / "out" / "walk_10.csv")) == 1
    shutil.copy(recordings / "walk_2" / "frame_1.png", recordings / "walk_10" / "frame_1.png")
    again = blur_imu(*command)
    assert again.status == 0 and again.out.count("measured before") == 2
    first, mended = (tmp_path / "out" / f"walk_{k}.csv" for k in (2, 10))
    assert mended.read_bytes() == first.read_bytes()


def test_results_that_would_share_a_place_are_refused_before_the_work(
    blur_imu: CommandLine, recordings: Path, camera: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "all.csv"
    refusal = blur_imu("run", recordings, "-o", out, "--camera", camera).refusal
    assert "all.csv" in refusal and "{name}" in refusal
    named = ("-o", tmp_path / "{name}.csv", "--plot", tmp_path / "plot.png")
    assert "into --plot" in blur_imu("run", recordings, *named, "--camera", camera).refusal
    assert not out.parent.exists()


def test_each_recording_may_have_its_own_camera(
    blur_imu: CommandLine, recordings: Path, tmp_path: Path
) -> None:
    for name in ("walk_2", "ride"):
        write_camera(tmp_path / f"{name}.yaml", exposure_time=0.01)
    ended = blur_imu(
        "run", recordings / "walk_2", recordings / "deeper", "-o", recordings / "{name}.csv",
        "--camera", tmp_path / "{name}.yaml", "--jobs", 1,
    )  # fmt: skip
    assert ended.status == 0 and "2 recordings measured" in ended.out
    alone = blur_imu("run", recordings / "walk_2", "-o", "{folder}/a.csv", "--camera",
                     tmp_path / "walk_2.yaml")  # fmt: skip
    assert alone.status == 0
    assert (recordings / "a.csv").read_bytes() == (recordings / "walk_2.csv").read_bytes()


def test_each_recording_may_have_its_own_calibration_and_settings(
    blur_imu: CommandLine, recordings: Path, camera: Path, tmp_path: Path
) -> None:
    for name, exposure in (("walk_2", 0.01), ("ride", 0.02)):
        (tmp_path / f"{name}.yaml").write_text(f"exposure_time: {exposure}\n")
        (tmp_path / f"{name}.settings").write_text("pivot: {constraint_noise: 0.3}\n")
    ended = blur_imu(
        "run", recordings / "walk_2", recordings / "deeper", "-o", tmp_path / "{name}.csv",
        "--camera", camera, "--jobs", 1, "--calibration", tmp_path / "{name}.yaml",
        "--settings", tmp_path / "{name}.settings",
    )  # fmt: skip
    assert ended.status == 0 and "2 recordings measured" in ended.out
    noted = [exposure_of(tmp_path / f"{name}.csv") for name in ("walk_2", "ride")]
    assert noted == [0.01, 0.02]


def test_workers_elsewhere_get_no_path_that_depends_on_the_folder() -> None:
    options = RunOptions(
        source=Path("walk"), output=Path("o.csv"), camera=Path("c.yaml"), stamps=Path("s.csv"),
        calibration=Path("k.yaml"), settings=Path("m.yaml"), overlay=Path("o.mp4"),
        plot=Path("o.png"), model="mine.onnx", rerun="o.rrd",
    )  # fmt: skip
    given = {k: v for k, v in vars(_absolute(options)).items() if isinstance(v, Path)}
    assert len(given) == 8 and all(path.is_absolute() for path in given.values())
    absolute = _absolute(options)
    assert Path(absolute.model).is_absolute() and Path(str(absolute.rerun)).is_absolute()
    named = _absolute(replace(options, model="compact", rerun="spawn"))
    assert (named.model, named.rerun) == ("compact", "spawn")


def test_a_bug_or_a_killed_process_is_a_failure_of_its_task_only() -> None:
    tasks = [
        Task("good", partial(str, 7)),
        Task("bug", partial(int, "x")),
        Task("killed", partial(os._exit, 3)),
    ]
    assert [o.failure.split(":")[0] for o in one_by_one(tasks[:2])] == ["", "ValueError"]
    ended = {outcome.name: outcome for outcome in in_processes(tasks, 2)}
    assert ended["good"].output == "7" and not ended["good"].failure
    assert "ValueError" in ended["bug"].failure
    assert "killed (exit code 3)" in ended["killed"].failure


def test_processes_go_on_to_the_next_task_and_make_room_for_fresh_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "TASKS_OF_A_PROCESS", 3)
    tasks = [Task(f"{k}", partial(eval, "str(__import__('os').getpid())")) for k in range(8)]
    tasks[4] = Task("4", partial(os._exit, 3))
    ended = {outcome.name: outcome for outcome in in_processes(tasks, 1)}
    assert ended.keys() == {task.name for task in tasks}
    assert [name for name, outcome in ended.items() if outcome.failure] == ["4"]
    by_process = [ended[f"{k}"].output for k in (0, 1, 2, 3, 5, 6, 7)]
    assert len(set(by_process)) == 3 and by_process == sorted(by_process, key=by_process.index)
    assert by_process[0] == by_process[2] != by_process[3], "a fresh one after three"
    assert by_process[4] == by_process[6] != by_process[3], "and one for that which died"


@needs_model
def test_processes_give_the_same_bytes_as_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_folder(tmp_path / "in" / name, turning_images(2))
    camera = write_camera(tmp_path / "camera.yaml", exposure_time=0.01)
    command = [sys.executable, "-m", "blur_imu_ros.cli", "run", "in", "--camera", str(camera)]
    for extra in (["-o", "one/{name}.csv"], ["-o", "two/{name}.csv", "--jobs", "2"]):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        subprocess.run([*command, *extra], cwd=tmp_path, env=environment, check=True, timeout=120)
    for name in ("a", "b"):
        one, two = (tmp_path / folder / f"{name}.csv" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_tasks_that_are_stopped_end_in_order(tmp_path: Path) -> None:
    code = (
        "import sys, time; from functools import partial; from pathlib import Path\n"
        "from blur_imu_ros.execution.batch import Task, in_processes\n"
        "from blur_imu_ros.cli.signals import Stopped, stoppable\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        with stoppable():\n"
        "            print(list(in_processes([Task('long', partial(time.sleep, 60))], 1)))\n"
        "    except Stopped: print('stopped')\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment
    )
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=40)[0].strip() == "stopped"
    assert time.monotonic() - begun < 40


def test_without_ray_the_extra_is_named(
    blur_imu: CommandLine, recordings: Path, camera: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    command = (
        "run",
        recordings,
        "-o",
        recordings / "{name}.csv",
        "--camera",
        camera,
        "--exposure",
        0.01,
    )
    assert "pip install '.[ray]'" in blur_imu(*command, "--ray", "local").refusal


def test_an_address_at_which_no_ray_is_ends_at_once(
    blur_imu: CommandLine, recordings: Path, camera: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install .[ray]")
    command = (
        "run",
        recordings,
        "-o",
        recordings / "{name}.csv",
        "--camera",
        camera,
        "--exposure",
        0.01,
    )
    for address in ("127.0.0.1:1", "nonsense"):
        assert f"does not answer at '{address}'" in blur_imu(*command, "--ray", address).refusal


@needs_model
def test_ray_gives_the_same_bytes_and_lists_what_fails(recordings: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install .[ray]")
    camera = write_camera(tmp_path / "camera.yaml", exposure_time=0.01)
    command = [
        sys.executable,
        "-m",
        "blur_imu_ros.cli",
        "run",
        recordings.name,
        "--camera",
        str(camera),
        "--strict",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for extra in (["-o", "one/{name}.csv"], ["-o", "ray/{name}.csv", "--ray", "local"]):
        ended = subprocess.run(
            [*command, *extra], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=240,
        )  # fmt: skip
        assert ended.returncode == 1, ended.stderr
        assert ended.stderr.strip().splitlines()[-1].startswith("blur-imu: 1 of 3 recordings")
    for one in sorted((tmp_path / "one").glob("*.csv")):
        assert one.read_bytes() == (tmp_path / "ray" / one.name).read_bytes()


def test_the_summary_tells_what_became_of_each_recording(
    blur_imu: CommandLine, recordings: Path, camera: Path, tmp_path: Path
) -> None:
    summary = tmp_path / "out" / "summary.csv"
    ended = blur_imu(
        "run", recordings, "-o", tmp_path / "out" / "{name}.csv", "--camera", camera, "--exposure",
        0.01, "--strict", "--jobs", 1, "--summary", summary,
    )  # fmt: skip
    assert ended.status == 1
    rows = {Path(row["recording"]).name: row for row in rows_of(summary)}
    assert rows.keys() == {"walk_2", "walk_10", "ride"}
    assert "damaged" in rows["walk_10"]["failure"] and rows["walk_10"]["result"] == ""
    assert rows["walk_2"]["failure"] == "" and "3 rows" in rows["walk_2"]["result"]
    assert all(float(row["seconds"]) >= 0 for row in rows.values())
    failures = summary.with_name("summary.failed.txt")
    assert recordings_in(failures) == [recordings / "walk_10"]
    assert "damaged" in failures.read_text().splitlines()[0]
    (recordings / "walk_10" / "frame_1.png").unlink()
    ended = blur_imu(
        "run", failures, "-o", tmp_path / "out" / "{name}.csv", "--camera", camera, "--exposure",
        0.01, "--strict", "--jobs", 1, "--summary", summary,
    )  # fmt: skip
    assert ended.status == 0 and not failures.exists()
    inside = recordings / "walk_2" / "frame_0.png"
    command = ("run", recordings, "-o", tmp_path / "{name}.csv", "--camera", camera)
    assert "would overwrite" in blur_imu(*command, "--summary", inside).refusal
