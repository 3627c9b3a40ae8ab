"""What SECURITY.md promises: the policy fits the node, and no code comes out of data."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "config" / "sros2_policy.xml"


def allowed(kind: str, action: str) -> set[str]:
    """Return the full names that the policy allows, as the node `/blur_imu` would resolve them."""
    (profile,) = ElementTree.parse(POLICY).iter("profile")
    assert (profile.get("ns"), profile.get("node")) == ("/", "blur_imu")
    names = [
        entry.text or ""
        for group in profile.iter(f"{kind}s")
        if group.get(action) == "ALLOW"
        for entry in group.iter(kind)
    ]
    assert len(names) == len(set(names))
    return {name.replace("~", "/blur_imu") if name[0] in "~/" else f"/{name}" for name in names}


Ask = Callable[[str, str], list[tuple[str, list[str]]]]


def told(ask: Ask, namespace: str, wanted: set[str]) -> set[str]:
    """Return the names in the ROS graph, which hears of a node's own a while later."""
    end = time.monotonic() + 30
    while True:
        answer = {name.replace(f"{namespace}/", "/", 1) for name, _ in ask("blur_imu", namespace)}
        if answer == wanted or time.monotonic() > end:
            return answer
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("values", "images"),
    [
        ({"merge_accelerometer": True, "odometry": "pose"}, "image"),
        (
            {"image_transport": "compressed", "exposure_source": "float64", "exposure_unit": "s"},
            "image/compressed",
        ),
    ],
    ids=("raw", "compressed"),
)
def test_the_policy_names_the_topics_and_services_of_the_node_and_no_others(bench, values, images):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed: pip install .[ros]")
    from helpers.ros_bench import Oracle

    # Its namespace is its own: the graph remembers other nodes of this name for seconds.
    namespace = f"/policy_{images.replace('/', '_')}"
    node = bench(Oracle(), namespace=namespace, **values).node
    assert str(node.trigger_configure()).endswith("SUCCESS")
    # The clock is listened to with use_sim_time only, exposure times where they are messages.
    told_of = {"merge_accelerometer": "/accelerometer", "exposure_source": "/exposure"}
    heard = {f"/{images}", "/camera_info", *(told_of[name] for name in values if name in told_of)}
    assert told(node.get_subscriber_names_and_types_by_node, namespace, heard) == heard
    assert heard < allowed("topic", "subscribe")
    assert allowed("topic", "subscribe") == {
        "/image", "/image/compressed", "/camera_info", "/exposure", "/accelerometer", "/clock",
        "/tf", "/tf_static",
    }  # fmt: skip
    on_demand = {"/tf_static"}
    if "odometry" not in values:
        on_demand |= {"/imu/data", "/odom_visual"}
    said = allowed("topic", "publish") - on_demand
    assert told(node.get_publisher_names_and_types_by_node, namespace, said) == said
    served = allowed("service", "reply")
    assert told(node.get_service_names_and_types_by_node, namespace, served) == served


def test_the_policy_covers_tf_and_the_reset_of_a_filter(bench):
    pytest.importorskip("tf2_ros", reason="tf2_ros is not installed")
    from helpers.ros_bench import Oracle

    values = {"publish_body_frame": True, "filter_reset_service": "reset"}
    node = bench(Oracle(), namespace="/policy_tf", **values).node
    assert str(node.trigger_configure()).endswith("SUCCESS")
    assert str(node.trigger_activate()).endswith("SUCCESS")
    heard = {"/image", "/camera_info", "/tf", "/tf_static"}
    assert told(node.get_subscriber_names_and_types_by_node, "/policy_tf", heard) == heard
    assert heard < allowed("topic", "subscribe")
    said = allowed("topic", "publish") - {"/imu/data", "/odom_visual"}
    assert told(node.get_publisher_names_and_types_by_node, "/policy_tf", said) == said
    asked = allowed("service", "request")
    assert told(node.get_client_names_and_types_by_node, "/policy_tf", asked) == asked == {"/reset"}


def sources() -> list[Path]:
    return [
        p for name in ("blur_imu_ros", "blur_imu_training") for p in (ROOT / name).rglob("*.py")
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\bpickle\.loads?\(",
        r"\bnp\.load\((?!.*allow_pickle=False)",
        r"\btorch\.load\((?!.*weights_only=True)",
        r"\byaml\.(?:load|full_load|unsafe_load)\(",
        r"(?<![.\w])(?:eval|exec)\(",
        r"shell=True|os\.system",
        r"extractall|\.extract\(",
    ],
)
def test_nothing_runs_or_unpacks_what_comes_from_outside(pattern: str):
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources()
        for line in path.read_text().splitlines()
        if re.search(pattern, line)
    ]
    assert not found


def test_the_bill_of_materials_lists_what_the_runtime_needs(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import sbom

    bill = sbom.bill_of_materials()
    names = {one["name"].lower().replace("_", "-") for one in bill["components"]}
    assert {"numpy", "opencv-python-headless", "onnxruntime", "rosbags", "typer"} <= names
    assert "torch" not in names and "pytest" not in names
    assert all(
        re.fullmatch(r"pkg:pypi/[\w.-]+@[\w.+-]+", one["purl"]) for one in bill["components"]
    )
    assert bill["metadata"]["component"]["name"].replace("-", "_") == "blur_imu_ros"


WEAK = {"name": "numpy", "version": "1.0", "vulns": [{"id": "PYSEC-0000-1"}]}
SOUND = {"name": "scipy", "version": "1.0", "vulns": []}
NOT_FOUND = {"name": "rosbags", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ([SOUND, NOT_FOUND], 0, "0 known weaknesses in 1 packages\nNothing is known of rosbags"),
        ([SOUND, WEAK], 1, "numpy 1.0: PYSEC-0000-1\n1 known weaknesses in 2 packages"),
        ([NOT_FOUND], 0, "cannot be reached: known weaknesses were not asked for"),
        (None, 0, "cannot be reached: known weaknesses were not asked for"),
    ],
    ids=["sound", "weak", "nothing found", "no answer"],
)
def test_an_audit_fails_for_what_is_known_and_does_not_call_silence_sound(
    monkeypatch, capsys, answers, status, said
):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import audit

    output = "" if answers is None else json.dumps({"dependencies": answers})
    done = subprocess.CompletedProcess([], status, output, "")
    monkeypatch.setattr(audit.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)
    assert audit.main() == status
    assert said in capsys.readouterr().out
