"""A headless Chromium for tests, spoken to over a pipe: it needs no package of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0
"""Seconds for any answer."""
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")


def chromium() -> str | None:
    """The browser's executable, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page: what it asks of the network and complains of is kept."""

    def __init__(self, executable: str, width: int = 1100, height: int = 900) -> None:
        (ours, self._out), (self._in, theirs) = os.pipe(), os.pipe()
        size = f"--window-size={width},{height}"
        # The browser reads commands from file 3 and answers on file 4.
        wired = f'exec "$0" "$@" 3<&{ours} 4>&{theirs}'
        self._process = subprocess.Popen(
            ["bash", "-c", wired, executable, *_FLAGS, size, "about:blank"],
            pass_fds=(ours, theirs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours)
        os.close(theirs)
        os.set_blocking(self._in, False)
        self._number, self._read, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        targets = self._ask("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is laid out; what was kept of another page is forgotten."""
        self.events.clear()
        self._ask("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + PATIENCE
        while not any(e["method"] == "Page.loadEventFired" for e in self.events):
            assert time.monotonic() < end, "the page does not load"
            self.evaluate("0")
        self.settle()

    def settle(self) -> None:
        """Wait until two more frames are drawn."""
        self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def evaluate(self, script: str) -> Any:
        """The value of a script, awaited."""
        answer = self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def centre_of(self, selector: str) -> tuple[float, float]:
        """The middle of an element, which is scrolled into view; pixels."""
        return tuple(
            self.evaluate(
                f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView();"
                "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / "
                "2];"
                "})()"
            )
        )

    def mouse(self, kind: str, x: float, y: float, clicks: int = 1) -> None:
        """Send `mouseMoved`, `mousePressed` or `mouseReleased`."""
        pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": clicks}
        self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)
        self.settle()

    def click(self, x: float, y: float, clicks: int = 1) -> None:
        """Click once or several times."""
        for count in range(1, clicks + 1):
            self.mouse("mousePressed", x, y, count)
            self.mouse("mouseReleased", x, y, count)

    def screenshot(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def requests(self) -> list[str]:
        """What was fetched, without what lies in the page itself."""
        sent = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        urls = [one["request"]["url"] for one in sent]
        return [url for url in urls if not url.startswith("data:")]

    @property
    def complaints(self) -> list[str]:
        """Uncaught errors, and what the console and the browser report."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [json.dumps(e["params"]) for e in self.events if e["method"] in kinds]

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._read:
            assert self._process.poll() is None, "the browser has ended"
            assert time.monotonic() < end, "the browser does not answer"
            try:
                self._read += os.read(self._in, 1 << 20)
            except BlockingIOError:
                time.sleep(0.01)
        message, self._read = self._read.split(b"\0", 1)
        return json.loads(message)

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        self._process.wait(PATIENCE)
