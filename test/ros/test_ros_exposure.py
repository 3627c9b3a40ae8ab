"""What topics tell of the exposure: units, stamps, age, and nonsense; needs no ROS."""

from __future__ import annotations

import importlib.util
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from blur_imu_ros.errors import FrameError, RosSetupError
from blur_imu_ros.ros import exposure_sources
from blur_imu_ros.ros.exposure_sources import (
    KINDS,
    FixedExposure,
    TopicExposure,
    message_type,
    unit_of,
)


def source(name: str, unit: str = "auto", **options: float) -> TopicExposure:
    limits = {"tolerance": 0.05, "timeout": 5.0} | options
    return TopicExposure(name, "/exposure", unit_of(name, unit), **limits)


def stamped(t: float = 10.0, **fields: Any) -> Any:
    sec, nanosec = divmod(round(t * 1e9), 10**9)
    stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), **fields)


def metadata(value: Any, t: float = 10.0) -> Any:
    return stamped(t, json_data=json.dumps({"frame_number": 7, "actual_exposure": value}))


def diagnostics(t: float = 10.0, **values: str) -> Any:
    pairs = [SimpleNamespace(key=key, value=value) for key, value in values.items()]
    return stamped(t, status=[SimpleNamespace(values=[]), SimpleNamespace(values=pairs)])


@pytest.mark.parametrize(
    ("name", "unit", "message"),
    [
        ("metadata_json", "us", metadata(8000)),
        ("metadata_json", "100us", metadata(80)),
        ("diagnostics", "auto", diagnostics(AeState="2", ExposureTime="8000")),
        ("float64", "ms", SimpleNamespace(data=8.0)),
        ("float64", "s", SimpleNamespace(data=0.008)),
        ("flir", "auto", stamped(exposure_time=8000)),
        ("time_reference", "auto", stamped(time_ref=SimpleNamespace(sec=0, nanosec=8_000_000))),
    ],
)
def test_eight_milliseconds_are_read_from_every_driver(name: str, unit: str, message: Any) -> None:
    one = source(name, unit)
    one.take(message)
    assert one.exposure_time(10.0) == pytest.approx(0.008)
    assert one.facts()["exposure time [ms]"] == "8.000"


@pytest.mark.parametrize("name", ["metadata_json", "float64"])
def test_a_unit_in_doubt_is_asked_for(name: str) -> None:
    with pytest.raises(RosSetupError, match="set exposure_unit to one of s, ms, us, 100us"):
        unit_of(name, "auto")


def test_each_image_gets_the_exposure_of_its_stamp() -> None:
    one = source("metadata_json", "us")
    for index, value in enumerate((1000, 2000, 3000)):
        one.take(metadata(value, 10.0 + index / 30))
    assert one.exposure_time(10.0) == pytest.approx(0.001)
    assert one.exposure_time(10.0 + 1 / 30) == pytest.approx(0.002)
    assert one.exposure_time(10.0 + 2 / 30 + 0.01) == pytest.approx(0.003)


def test_an_exposure_that_comes_just_after_its_image_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exposure_sources, "PATIENCE", 10.0)
    one = source("metadata_json", "us")
    one.take(metadata(1000, 10.0))
    threading.Timer(0.002, one.take, [metadata(9000, 10.033)]).start()
    assert one.exposure_time(10.033) == pytest.approx(0.009)


def test_an_exposure_of_another_time_is_not_used() -> None:
    one = source("metadata_json", "us", tolerance=0.05)
    one.take(metadata(1000, 10.0))
    with pytest.raises(FrameError, match="no message stamped within exposure_tolerance"):
        one.exposure_time(10.2)


def test_an_exposure_grows_old() -> None:
    one = source("float64", "s", timeout=0.0)
    with pytest.raises(FrameError, match="/exposure has sent no exposure yet"):
        one.exposure_time(10.0)
    one.take(SimpleNamespace(data=0.01))
    with pytest.raises(FrameError, match="/exposure has stopped"):
        one.exposure_time(10.0)


@pytest.mark.parametrize(
    ("name", "message", "said"),
    [
        ("metadata_json", stamped(json_data="{broken"), "not JSON"),
        ("metadata_json", stamped(json_data="[1, 2]"), "no actual_exposure"),
        ("metadata_json", stamped(json_data='{"gain": 3}'), "no actual_exposure"),
        ("metadata_json", stamped(json_data="[" * 100_000), "not JSON"),
        ("metadata_json", metadata(10**400), "is not a number"),
        ("metadata_json", metadata("bright"), "'bright' is not a number"),
        ("metadata_json", metadata(0), "must be a positive number"),
        ("metadata_json", metadata(8e6), "longer than 1 s"),
        ("diagnostics", diagnostics(ExposureTime=""), "is not a number"),
        ("float64", SimpleNamespace(data=float("nan")), "must be a positive number"),
    ],
)
def test_nonsense_is_refused_and_told(name: str, message: Any, said: str) -> None:
    one = source(name, "us")
    one.take(message)
    with pytest.raises(FrameError, match=said):
        one.exposure_time(10.0)


def test_diagnostics_of_other_nodes_are_passed_over() -> None:
    one = source("diagnostics")
    one.take(diagnostics(Temperature="40"))
    with pytest.raises(FrameError, match="has sent no exposure yet$"):
        one.exposure_time(10.0)


def test_a_fixed_exposure_is_unknown_until_it_is_set() -> None:
    with pytest.raises(FrameError, match="set exposure_time"):
        FixedExposure(None).exposure_time(1.0)
    assert FixedExposure(0.01).exposure_time(1.0) == 0.01


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_message_that_is_not_installed_is_named_with_its_package(name: str) -> None:
    package = KINDS[name].package
    if importlib.util.find_spec(package):
        assert message_type(name).__name__ == KINDS[name].message
        return
    with pytest.raises(RosSetupError, match=package.replace("_", "-")):
        message_type(name)
