"""`blur-imu run` on a camera of the network: it records until it is told to end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from blur_imu_ros.recordings import live
from blur_imu_ros.recordings.live import CameraClock, address_of
from blur_imu_ros.recordings.live_camera import without_password
from helpers.command_line import CommandLine, rows_of, turning_images, write_camera

COUNT = 6
RATE = 20.0


class Camera(BaseHTTPRequestHandler):
    """Sends images as MJPEG over HTTP, as network cameras do, for ever or so many."""

    images = COUNT

    def do_GET(self) -> None:
        pictures = [cv2.imencode(".jpg", image)[1].tobytes() for image in turning_images(COUNT)]
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for index in range(self.images):
                data = pictures[index % COUNT]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
                time.sleep(1 / RATE)
        except OSError:  # Nobody looks any more.
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def command(server: ThreadingHTTPServer, tmp_path: Path, *more: object) -> list[object]:
    address = f"http://user:secret@127.0.0.1:{server.server_port}/cam.mjpg"
    camera = write_camera(tmp_path / "camera.yaml")
    out = tmp_path / "est.csv"
    return ["run", address, "-o", out, "--camera", camera, "--exposure", 0.01, *more]


def test_a_camera_that_ends_is_a_recording(
    blur_imu: CommandLine, server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    begin = time.time()
    ended = blur_imu(*command(server, tmp_path))
    assert ended.status == 0 and "delivers no image any more" in ended.err, ended.err
    rows = rows_of(tmp_path / "est.csv")
    assert 1 <= len(rows) <= COUNT and "secret" not in ended.out + ended.err
    times = np.array([float(row["t"]) for row in rows])
    assert begin - 60 < times[0] and times[-1] < time.time() and (np.diff(times) > 0).all()
    assert "secret" not in (tmp_path / "est.csv.run.json").read_text()
    # Another time it is another recording.
    assert blur_imu(*command(server, tmp_path)).status == 0
    assert (tmp_path / "est.1.csv").is_file()
    assert "cannot be resumed" in blur_imu(*command(server, tmp_path, "--resume")).refusal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order_when_it_is_told_to(
    blur_imu: CommandLine,
    server: ThreadingHTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    monkeypatch.setattr(Camera, "images", 10_000)
    out, plot = tmp_path / "est.csv", tmp_path / "plot.png"

    def stop() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if out.is_file() and len(out.read_text().splitlines()) > 3:
                break
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop, daemon=True).start()
    before = signal.getsignal(number)
    ended = blur_imu(*command(server, tmp_path, "--plot", plot))
    assert ended.status == 0 and plot.is_file() and "any more" not in ended.err, ended.err
    assert f"{len(rows_of(out))} rows" in ended.out and len(rows_of(out)) >= 3
    assert signal.getsignal(number) == before


def test_a_camera_that_is_not_there_is_named(blur_imu: CommandLine, tmp_path: Path) -> None:
    camera = write_camera(tmp_path / "camera.yaml")
    for address in ("http://user:secret@127.0.0.1:9/x.mjpg", "/dev/video997"):
        refusal = blur_imu(
            "run", address, "-o", tmp_path / "o.csv", "--camera", camera, "--exposure", 0.01
        ).refusal
        assert "cannot be opened as a camera" in refusal and "secret" not in refusal
    assert "camera 0: " in blur_imu("run", "camera:0", "-o", tmp_path / "o.csv").refusal


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("rtsp://10.0.0.5:554/stream", "rtsp://10.0.0.5:554/stream"),
        ("RTSP://u:p@cam/a/b?x=1", "rtsp://u:p@cam/a/b?x=1"), ("http://cam/x.mjpg", "http://cam/x.mjpg"),
        ("/dev/video2", "/dev/video2"), ("camera:1", 1), ("video.mp4", None), ("images", None),
        ("/dev/videos", None), ("camera", None),
    ],
)  # fmt: skip
def test_addresses_are_known_by_their_form(source: str, address: str | int | None) -> None:
    assert address_of(Path(source)) == address


def test_passwords_are_not_shown() -> None:
    assert without_password("rtsp://me:word@cam:554/x@y") == "rtsp://cam:554/x@y"


def test_the_times_of_a_camera_are_put_on_the_clock_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(live.time, "time", lambda: now)
    clock, found = CameraClock(), []
    late = [0.0, 0.02, 0.0, 0.4, 0.0]  # by which images arrive late
    told = 5 + np.arange(5) / 30
    for k, t in enumerate(told):
        now = 1000 + t + late[k]
        found.append(clock.stamp(t))
    np.testing.assert_allclose(found, 1000 + told)
    for now in (2000.0, 2000.1):
        assert clock.stamp(0.0) == now  # A camera that tells no time.
