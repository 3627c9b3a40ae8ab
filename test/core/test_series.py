"""Velocities over time, as arrays and as a table."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from blur_imu_ros.core.series import VelocitySeries


def test_a_series_becomes_a_table_with_the_columns_of_the_csv(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    velocity = np.arange(12.0).reshape(2, 6)
    series = VelocitySeries(
        np.array([0.0, 0.1]), velocity, 2 * velocity, np.array([True, False]), frames=("a", "b")
    )
    table = series.to_dataframe()
    assert list(table)[:3] == ["frame", "t", "wx"] and list(table)[-1] == "valid"
    np.testing.assert_array_equal(table["vz"], [5, 11])
    np.testing.assert_array_equal(table["s_wy"], [2, 14])


def test_without_pandas_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    series = VelocitySeries(np.zeros(1), np.zeros((1, 6)), None, np.ones(1, bool))
    with pytest.raises(ImportError, match="pandas"):
        series.to_dataframe()
