"""The shipped views show what the node publishes: Foxglove's layout and RViz's configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")

from blur_imu_ros.ros import messages
from helpers.ros_bench import Oracle

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = json.loads((ROOT / "config" / "foxglove_layout.json").read_text())
RVIZ = yaml.safe_load((ROOT / "rviz" / "blur_imu.rviz").read_text())


@pytest.fixture
def published(bench: Any) -> dict[str, Any]:
    """An empty message of each topic that the node publishes."""
    if messages.BlurMotion is None:
        pytest.skip("the message BlurMotion is not built")
    one = bench(Oracle())
    assert str(one.node.trigger_configure()).endswith("SUCCESS")
    return {publisher.topic_name: publisher.msg_type() for publisher in one.node.publishers}


def texts(content: Any) -> Iterator[str]:
    """Every text in a tree of JSON, keys included."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from texts(value)


def test_every_number_in_foxglove_is_a_field_of_a_topic_of_ours(published: dict[str, Any]) -> None:
    paths = [text for text in texts(LAYOUT["configById"]) if text.startswith("/")]
    assert len(paths) >= 10
    for path in paths:
        if path == "/blur_imu":  # The hardware that diagnostics tell of: the node.
            continue
        topic, *fields = path.split(".")
        value = published[topic]
        for field in fields:
            value = getattr(value, field)
        assert not fields or isinstance(value, float), path


def test_foxglove_shows_every_panel_that_is_configured() -> None:
    shown = [text for text in texts(LAYOUT["layout"]) if "!" in text]
    assert sorted(shown) == sorted(LAYOUT["configById"])


def test_rviz_shows_topics_of_ours_of_the_right_kind(published: dict[str, Any]) -> None:
    displays = RVIZ["Visualization Manager"]["Displays"]
    shown = {d["Topic"]["Value"]: d["Class"].split("/")[1] for d in displays if "Topic" in d}
    assert len(shown) == 2
    for topic, kind in shown.items():
        assert type(published[topic]).__name__ == kind
