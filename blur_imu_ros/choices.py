"""Which of the shipped models is taken where none is named."""

from __future__ import annotations

FOR_CAMERAS = "compact"
"""Keeps up with a camera on any computer: the node, the demo, the library."""

FOR_RECORDINGS = "large"
"""The most accurate, where nobody waits for the next frame: `run` and `compare`."""
