"""Fixtures that several test files use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recordings that are not ours to ship."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the recordings that are not shipped with the project are not here")
    return SHARED_DATA
