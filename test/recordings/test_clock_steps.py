"""A clock that is set while the camera runs: what can be measured is, and no stamp is made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_recordings import write_bag

from helpers.command_line import FRAME_RATE, CommandLine, rows_of, turning_images, write_folder

COUNT = 8
HOUR = 3600.0


def stamps(steps: dict[int, float]) -> np.ndarray:
    """Stamps of `COUNT` images from a clock that is set by so many seconds before some of them."""
    set_by = np.array([steps.get(k, 0.0) for k in range(COUNT)])
    return 1e4 + np.arange(COUNT) / FRAME_RATE + np.cumsum(set_by)


@pytest.mark.parametrize("step", [0.7, 5.0, HOUR])
def test_a_recording_goes_on_after_a_step_forwards_with_the_sign_found_anew(
    blur_imu: CommandLine, camera: Path, tmp_path: Path, step: float
) -> None:
    folder = write_folder(tmp_path / "images", turning_images(COUNT))
    times = stamps({4: step})
    (tmp_path / "t.csv").write_text("t\n" + "".join(f"{t:.6f}\n" for t in times))
    command = [
        "run",
        folder,
        "--camera",
        camera,
        "--exposure",
        0.01,
        "--stamps",
        tmp_path / "t.csv",
    ]
    ended = blur_imu(*command, "--direction", "previous", "-o", tmp_path / "est.csv")
    rows = rows_of(tmp_path / "est.csv")
    assert ended.status == 0 and all(row["valid"] == "1" for row in rows)
    np.testing.assert_allclose([float(row["t"]) for row in rows], times, atol=1e-5)
    sure = [float(row["direction_probability"]) for row in rows]
    assert sure[0] == sure[4] == 0.5, "nothing before them that they could be compared with"
    assert all(p > 0.6 for k, p in enumerate(sure) if k not in (0, 4))


def test_a_recording_whose_clock_stays_behind_keeps_the_rows_before(
    blur_imu: CommandLine, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / "bag", "mcap", late=frozenset(range(5, 12)))
    ended = blur_imu("run", bag, "--exposure", 0.01, "-o", tmp_path / "est.csv")
    assert "is not later than that of an image before" in ended.refusal
    assert "give timestamps (--stamps)" in ended.refusal
    assert len(rows_of(tmp_path / "est.csv")) == 5


def test_a_recording_with_the_same_stamp_twice_loses_the_second_image_and_says_so(
    blur_imu: CommandLine, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / "bag", "mcap", repeated=frozenset({3, 7}))
    ended = blur_imu("run", bag, "--exposure", 0.01, "-o", tmp_path / "est.csv")
    told = " ".join((ended.out + ended.err).split())
    assert ended.status == 0 and "2 of 12 images are left out (/cam/image_raw:3, ...)" in told
    rows = rows_of(tmp_path / "est.csv")
    assert [row["frame"].split(":")[1] for row in rows] == [
        str(k) for k in range(12) if k not in (3, 7)
    ]
    assert np.all(np.diff([float(row["t"]) for row in rows]) > 0)


@pytest.mark.parametrize("step", [-HOUR, -5.0, 0.7, 5.0, HOUR])
def test_a_node_follows_the_clock_and_goes_on(bench: Any, step: float) -> None:
    from helpers.ros_bench import Oracle, messages, numbers, started

    one = started(bench, Oracle((0, -2, 0)))
    one.stamp = 1e4
    sent: list[float] = []
    for set_by in (0.0, 0.0, step, 0.0, 0.0):
        one.stamp += set_by
        sent.append(one.stamp)
        one.send()
        assert one.answered(len(sent))
    assert one.until(lambda: len(one.heard["imu"]) == len(sent))
    heard = [messages.seconds(imu.header.stamp) for imu in one.heard["imu"]]
    # Each at its mid-exposure, and none refused.
    np.testing.assert_allclose(np.subtract(heard, sent), heard[0] - sent[0], atol=1e-6)
    assert np.isfinite(numbers(one)).all()
    assert one.session.times.late == 0


def test_a_node_whose_clock_is_set_back_and_forth_is_silent_for_no_more_than_a_second(
    bench: Any,
) -> None:
    from helpers.ros_bench import Oracle, messages, started

    one = started(bench, Oracle((0, -2, 0)))
    one.stamp = 1e4
    for count, set_by in enumerate((0.0, HOUR, -HOUR, 0.9, -0.9), start=1):
        one.stamp += set_by
        one.send()
        assert one.answered(count)
    # The last one may be out of order only: it is refused until the second is over.
    assert one.until(lambda: len(one.heard["imu"]) == 4) and one.session.times.late == 1
    one.stamp += 1.0
    one.send()
    assert one.until(lambda: len(one.heard["imu"]) == 5)
    stamps_heard = [messages.seconds(imu.header.stamp) for imu in one.heard["imu"]]
    assert np.all(np.diff(stamps_heard[2:]) > 0)


def test_a_node_that_hears_the_same_stamp_twice_answers_once_and_says_why(bench: Any) -> None:
    from helpers.ros_bench import Oracle, messages, started

    one = started(bench, Oracle((0, -2, 0)))
    for count in range(1, 4):
        one.send()
        assert one.answered(count)
    one.stamp -= 1 / FRAME_RATE
    one.send()
    assert one.answered(4)
    assert one.session.times.late == 1
    assert one.until(
        lambda: any("has the stamp of the one before" in s.message for s in one.statuses())
    )
    one.send()
    assert one.until(lambda: len(one.heard["imu"]) == 4)
    assert np.all(np.diff([messages.seconds(imu.header.stamp) for imu in one.heard["imu"]]) > 0)
