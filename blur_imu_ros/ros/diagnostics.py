"""What the node reports once a second: counts, latency, and the reason of every silence."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

WINDOW = 300
"""Latencies remembered."""

REASONS = 12
"""Different reasons of silence that are counted separately; damaged messages can invent endless
ones."""

OTHER = "other reasons"


class Health:
    """Counts what happens; safe to call from any thread."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = threading.Lock()
        self._latency: deque[float] = deque(maxlen=WINDOW)
        self._beyond: deque[float] = deque(maxlen=WINDOW)
        self._silences: Counter[str] = Counter()
        self._recent: Counter[str] = Counter()
        self._words: dict[str, str] = {OTHER: OTHER}
        self._received = self._published = 0
        self._received_recently = self._published_recently = 0
        self._since = time.monotonic()
        self._facts: dict[str, str] = {}
        self._resting: tuple[bytes, str] | None = (DiagnosticStatus.WARN, "not configured")
        self._mismatch = self._no_images = self._caution = self._stuck = ""

    def working(self) -> None:
        """The node is active."""
        self._resting = None

    def resting(self, reason: str, failed: bool = False) -> None:
        """The node is not active; nothing else need be judged."""
        level = DiagnosticStatus.ERROR if failed else DiagnosticStatus.WARN
        self._resting = (level, reason)

    def mismatch(self, text: str) -> None:
        """A publisher's QoS does not fit our subscription: nothing can come from it."""
        self._mismatch = text

    def missing_images(self, text: str) -> None:
        """What explains it if no images come; empty if nothing does."""
        self._no_images = text

    def stuck(self, text: str) -> None:
        """What holds up everything; empty if nothing does."""
        self._stuck = text

    def caution(self, text: str) -> None:
        """What may be wrong although estimates are published; empty if nothing is."""
        self._caution = text

    def received(self) -> None:
        """Count an image."""
        with self._lock:
            self._received += 1
            self._received_recently += 1
            self._mismatch = ""

    def published(
        self, latency: float, measuring: float, blur_px: float, probability: float
    ) -> None:
        """Count an estimate published `latency` seconds after its image came.

        Args:
            latency: seconds.
            measuring: seconds that the chain took for the image that decided it; all else is ours.
            blur_px: median length of the blur, pixels.
            probability: that its sign is right.
        """
        with self._lock:
            self._published += 1
            self._published_recently += 1
            self._latency.append(latency)
            self._beyond.append(latency - measuring)
            self._facts["blur length [px]"] = f"{blur_px:.1f}"
            self._facts["direction probability"] = f"{probability:.3f}"

    def silent(self, reason: str) -> None:
        """Count an image from which nothing was published, and why.

        Reasons that differ in their numbers only are one, shown with the newest numbers.
        """
        kind = re.sub(r"\d+", "0", reason)
        with self._lock:
            self._words[kind] = reason
            for counter in (self._silences, self._recent):
                known = kind in counter or len(counter) < REASONS
                counter[kind if known else OTHER] += 1

    def fact(self, name: str, value: str) -> None:
        """Remember something worth showing."""
        with self._lock:
            self._facts[name] = value

    def report(self, stamp: Any, node: str, facts: dict[str, str]) -> DiagnosticArray:
        """Return the message with `facts` added, and begin a new period; `node` is its full
        name."""
        with self._lock:
            status = DiagnosticStatus(name=f"{node.strip('/')}: velocity from blur")
            status.hardware_id = node
            status.level, status.message = self._judgement()
            values = {
                **self._facts,
                **facts,
                "images received": str(self._received),
                "estimates published": str(self._published),
                **self._rates(),
                **self._latencies(),
                **{f"silent: {self._words[kind]}": str(n) for kind, n in self._silences.items()},
            }
            self._recent.clear()
            self._words = {kind: self._words[kind] for kind in (*self._silences, OTHER)}
            self._received_recently = self._published_recently = 0
            self._since = time.monotonic()
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = stamp
        return array

    def _judgement(self) -> tuple[bytes, str]:
        if self._resting is not None:
            return self._resting
        if self._stuck:
            return DiagnosticStatus.ERROR, self._stuck
        if self._recent:
            reason = self._words[self._recent.most_common(1)[0][0]]
            level = DiagnosticStatus.WARN if self._published_recently else DiagnosticStatus.ERROR
            return level, f"no output: {reason}"
        if self._published_recently and self._caution:
            return DiagnosticStatus.WARN, f"publishing, but {self._caution}"
        if self._published_recently:
            return DiagnosticStatus.OK, "publishing"
        if self._mismatch and not self._received_recently:
            return DiagnosticStatus.ERROR, self._mismatch
        if self._received_recently:
            return (
                DiagnosticStatus.WARN,
                "images arrive, but none was measured since the last report",
            )
        what = "no images arrive" if self._received else "no image has arrived yet"
        return DiagnosticStatus.WARN, f"{what}: {self._no_images}" if self._no_images else what

    def _rates(self) -> dict[str, str]:
        period = max(time.monotonic() - self._since, 1e-3)
        return {
            "image rate [Hz]": f"{self._received_recently / period:.1f}",
            "output rate [Hz]": f"{self._published_recently / period:.1f}",
        }

    def _latencies(self) -> dict[str, str]:
        if not self._latency:
            return {}
        names = ("median", "p95", "p99")
        return {
            f"{what} {name} [ms]": f"{value:.1f}"
            for what, seconds in (("latency", self._latency), ("beyond measuring", self._beyond))
            for name, value in zip(names, 1e3 * np.percentile(seconds, [50, 95, 99]), strict=True)
        }
