"""What the node tells of itself once a second: counts, latency, and the reason of every silence."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

WINDOW = 300
"""Latencies remembered."""


class Health:
    """Counts what happens; safe to call from any thread."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = threading.Lock()
        self._latency: deque[float] = deque(maxlen=WINDOW)
        self._silences: Counter[str] = Counter()
        self._recent: Counter[str] = Counter()
        self._received = self._published = self._published_recently = 0
        self._facts: dict[str, str] = {}

    def received(self) -> None:
        """Count an image."""
        with self._lock:
            self._received += 1

    def published(self, latency: float, blur_px: float, probability: float) -> None:
        """Count an estimate published `latency` seconds after its image came."""
        with self._lock:
            self._published += 1
            self._published_recently += 1
            self._latency.append(latency)
            self._facts["blur length [px]"] = f"{blur_px:.1f}"
            self._facts["direction probability"] = f"{probability:.3f}"

    def silent(self, reason: str) -> None:
        """Count an image from which nothing was published, and why."""
        with self._lock:
            self._silences[reason] += 1
            self._recent[reason] += 1

    def fact(self, name: str, value: str) -> None:
        """Remember something worth showing."""
        with self._lock:
            self._facts[name] = value

    def report(self, stamp: Any, hardware_id: str, dropped: int) -> DiagnosticArray:
        """Return the message, and begin a new period."""
        with self._lock:
            status = DiagnosticStatus(name="blur_imu: velocity from blur", hardware_id=hardware_id)
            status.level, status.message = self._judgement()
            values = {
                **self._facts,
                "images received": str(self._received),
                "images dropped for newer ones": str(dropped),
                "estimates published": str(self._published),
                **self._latencies(),
                **{f"silent: {reason}": str(n) for reason, n in self._silences.items()},
            }
            self._recent.clear()
            self._published_recently = 0
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = stamp
        return array

    def _judgement(self) -> tuple[bytes, str]:
        if self._recent:
            reason = self._recent.most_common(1)[0][0]
            level = DiagnosticStatus.WARN if self._published_recently else DiagnosticStatus.ERROR
            return level, f"no output: {reason}"
        if self._published_recently:
            return DiagnosticStatus.OK, "publishing"
        if self._received == 0:
            return DiagnosticStatus.WARN, "no image has come yet; is the topic right?"
        return DiagnosticStatus.WARN, "no images are coming"

    def _latencies(self) -> dict[str, str]:
        if not self._latency:
            return {}
        median, late = np.percentile(self._latency, [50, 95]) * 1e3
        return {"latency median [ms]": f"{median:.1f}", "latency p95 [ms]": f"{late:.1f}"}
