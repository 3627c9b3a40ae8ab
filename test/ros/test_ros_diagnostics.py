"""What diagnostics make of what they are told."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from blur_imu_ros.ros.diagnostics import REASONS, Health


def reported(health: Health) -> DiagnosticStatus:
    return health.report(Time(sec=1), "/blur_imu", {}).status[0]


def silences(status: DiagnosticStatus) -> dict[str, str]:
    return {p.key: p.value for p in status.values if p.key.startswith("silent: ")}


@pytest.fixture
def health() -> Health:
    one = Health()
    one.working()
    return one


def test_reasons_that_differ_in_numbers_are_one_with_the_newest_numbers(health: Health) -> None:
    for cells in (3, 17, 5):
        health.silent(f"blur could be read in only {cells} cells")
    health.silent("the exposure time is not known")
    status = reported(health)
    assert silences(status) == {
        "silent: blur could be read in only 5 cells": "3",
        "silent: the exposure time is not known": "1",
    }
    assert status.message == "no output: blur could be read in only 5 cells"


def test_a_new_reason_is_told_however_many_came_before(health: Health) -> None:
    for letter in range(3 * REASONS):
        health.silent(f"encoding '{chr(97 + letter)}' is not known")
    assert len(silences(reported(health))) == REASONS + 1
    health.silent("no camera_info has arrived yet")
    status = reported(health)
    assert status.message == "no output: no camera_info has arrived yet"
    assert len(silences(status)) == REASONS + 1 and len(health._words) == REASONS + 1


def test_silence_beside_output_is_a_warning_and_silence_alone_an_error(health: Health) -> None:
    health.silent("too dark")
    assert reported(health).level == DiagnosticStatus.ERROR
    health.silent("too dark")
    health.published(0.01, 0.004, 5.0, 1.0)
    assert reported(health).level == DiagnosticStatus.WARN
    health.published(0.01, 0.004, 5.0, 1.0)
    status = reported(health)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "publishing")


def test_the_time_that_the_node_adds_to_measuring_is_told(health: Health) -> None:
    for latency in (0.020, 0.025, 0.022):
        health.published(latency, latency - 0.003, 5.0, 1.0)
    told = {p.key: p.value for p in reported(health).values}
    assert told["latency median [ms]"] == "22.0"
    assert told["beyond measuring median [ms]"] == told["beyond measuring p99 [ms]"] == "3.0"


def test_images_that_come_and_are_not_measured_are_not_said_to_be_missing(health: Health) -> None:
    health.received()
    assert reported(health).message.startswith("images arrive, but none was measured")
    assert reported(health).message == "no images arrive"
