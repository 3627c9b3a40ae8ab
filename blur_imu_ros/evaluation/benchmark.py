"""How long each stage of the chain takes, and how many frames a second the whole of it makes.

Contenders take turns frame by frame on the same images, so that their ratio holds even on a machine
whose speed changes from one minute to the next.
"""

from __future__ import annotations

import platform
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from blur_imu_ros.choices import Axes, Direction
from blur_imu_ros.core.autocorrelation import AutocorrelationConfig
from blur_imu_ros.core.camera import Camera
from blur_imu_ros.core.direction import DirectionFilter
from blur_imu_ros.core.estimate import VelocityEstimate
from blur_imu_ros.core.frame import Frame
from blur_imu_ros.core.links import Links, Node
from blur_imu_ros.core.measurement import Measurement
from blur_imu_ros.core.motion_process import MotionFilterConfig
from blur_imu_ros.core.registration import RegistrationConfig
from blur_imu_ros.core.velocity import VelocitySolver
from blur_imu_ros.core.visual_imu import Network, VisualImu, network_view
from blur_imu_ros.errors import FrameError
from blur_imu_ros.execution.parallel import usual_jobs
from blur_imu_ros.recordings.image_messages import LARGEST_SIDE, decode_compressed
from blur_imu_ros.results.result_file import ResultWriter
from blur_imu_ros.simulation.room_renderer import blurred_image, furnished_room, hand_held

STAGES = (
    *("decode", "prepare", "network", "solve", "autocorrelation"),
    *("registration", "direction", "filter", "publish"),
)
"""From a JPEG to messages; `autocorrelation` is the motion of the whole image, `registration`,
`direction` and `filter` are what neighbouring frames add, `publish` makes, serialises and records
those that the node sends."""
WHOLE = "whole"
"""JPEG to recorded messages, as `run` does it; measured on its own, not added up."""

SIZES = ((640, 480), (1280, 720), (1920, 1080))
EXPOSURE_TIME = 0.015
FRAME_RATE = 30.0
_RENDERED_FRAMES = 4
_RENDERED_WIDTH = 320
_FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Contender:
    """A network that takes part, under the name it is shown by."""

    name: str
    network: Network


@dataclass(frozen=True)
class Timing:
    """What one stage took, milliseconds; `frames_per_second` is what it alone could sustain."""

    median: float
    p95: float
    p99: float
    frames_per_second: float


@dataclass(frozen=True)
class Result:
    """One contender at one image size.

    Attributes:
        contender: its name.
        width, height: of the camera's image, pixels.
        frames: how many were timed.
        stages: timing by the names in `STAGES`, and that of `WHOLE`.
        cores: processor seconds a second of the whole chain.
        peak_memory_mb: most memory that the process has held so far, all contenders together.
    """

    contender: str
    width: int
    height: int
    frames: int
    stages: dict[str, Timing]
    cores: float
    peak_memory_mb: float

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers by name."""
        return asdict(self)


def benchmark(
    contenders: list[Contender],
    size: tuple[int, int],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    in_memory: bool = False,
) -> list[Result]:
    """Time all contenders on images of one size, about `seconds` each, turn by turn.

    Args:
        contenders: who takes part.
        size: (width, height) of the camera's image, pixels.
        seconds: for each contender.
        clock: seconds; `time.process_time` counts nothing of what other programs take.
        in_memory: whether images come decoded and velocities are only returned: `decode` and
            `publish` do nothing then.

    Raises:
        FrameError: a size that no image has.
    """
    frames = rendered_frames(size)
    images = [_Decoded(frame) for frame in frames] if in_memory else frames
    with nullcontext(_Nowhere()) if in_memory else _bag() as results:
        stopwatches = [_Stopwatch(contender, images, results, clock) for contender in contenders]
        for stopwatch in stopwatches:
            stopwatch.round(0, keep=False)  # memory, kernels and caches of the first frame
        end = time.perf_counter() + seconds * len(contenders)
        for index in count(1):
            # Who comes first finds a cache that the other has left: take turns.
            for stopwatch in stopwatches if index % 2 else stopwatches[::-1]:
                stopwatch.round(index)
            if index >= _FEWEST_ROUNDS and time.perf_counter() >= end:
                break
    return [stopwatch.result(size) for stopwatch in stopwatches]


@contextmanager
def _bag() -> Iterator[ResultWriter]:
    """Give a bag that is thrown away."""
    from blur_imu_ros.results.bag_writer import BagWriter

    with TemporaryDirectory() as folder:
        path = Path(folder) / "all.mcap"
        with BagWriter(path, Axes.OPTICAL, Direction.NONE, "benchmark") as bag:
            yield bag


class _Nowhere:
    def write(self, frame: Frame, estimate: VelocityEstimate) -> None:
        """Keep nothing."""


def ratios(results: list[Result]) -> Iterator[tuple[Result, str, float]]:
    """Yield how many times as long as the first contender each other one took, stage by stage."""
    first = {(r.width, r.height): r for r in reversed(results)}
    for result in results:
        reference = first[result.width, result.height]
        for stage in ("network", WHOLE) if result is not reference else ():
            yield result, stage, result.stages[stage].median / reference.stages[stage].median


class Source(Protocol):
    """An image of a recording that is timed."""

    @property
    def camera(self) -> Camera:
        """What took it."""

    def frame(self, index: int) -> Frame:
        """Return it as frame number `index`."""


@dataclass(frozen=True)
class EncodedFrame:
    """A JPEG as a camera sends it, and when it was taken."""

    jpeg: NDArray[np.uint8]
    camera: Camera

    def frame(self, index: int) -> Frame:
        """Return the decoded image as frame number `index` of a recording."""
        image = decode_compressed(self.jpeg)
        return Frame(image, 1 + index / FRAME_RATE, EXPOSURE_TIME, self.camera, f"{index}")


class _Decoded:
    """An image as a driver gives it."""

    def __init__(self, source: EncodedFrame) -> None:
        self.camera, self._image = source.camera, source.frame(0).image

    def frame(self, index: int) -> Frame:
        return Frame(self._image, 1 + index / FRAME_RATE, EXPOSURE_TIME, self.camera, f"{index}")


def rendered_frames(size: tuple[int, int]) -> list[EncodedFrame]:
    """Return consecutive blurred images of our rendered room, enlarged to `size` (width, height).

    Raises:
        FrameError: a size that no image has.
    """
    width, height = size
    if not all(16 <= side <= LARGEST_SIDE for side in size):
        raise FrameError(f"image size {width}x{height}: sides go from 16 to {LARGEST_SIDE}")
    small_height = max(1, round(_RENDERED_WIDTH * height / width))
    focal = 0.75 * _RENDERED_WIDTH
    small = Camera(
        _RENDERED_WIDTH, small_height, focal, focal, _RENDERED_WIDTH / 2, small_height / 2
    )
    room, trajectory = furnished_room(), hand_held()
    frames = []
    for index in range(_RENDERED_FRAMES):
        t = 1 + index / FRAME_RATE
        image = blurred_image(room, small, trajectory, t, EXPOSURE_TIME, seed=index)
        large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        jpeg = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        frames.append(EncodedFrame(np.asarray(jpeg, np.uint8), small.resized(*size)))
    return frames


class _Stopwatch:
    """Times one contender, frame by frame."""

    def __init__(
        self,
        contender: Contender,
        frames: Sequence[Source],
        bag: ResultWriter,
        clock: Callable[[], float],
    ) -> None:
        self._contender, self._frames, self._bag = contender, frames, bag
        self._clock = clock
        self._view = network_view(contender.network, frames[0].camera)
        self._solver, self._direction = VelocitySolver(), DirectionFilter()
        self._autocorrelation = AutocorrelationConfig()
        self._links = Links(
            RegistrationConfig(),
            MotionFilterConfig(),
            self._solver.weak_prior,
            lag=True,
        )
        self._waiting: deque[Node] = deque()
        self._imu = VisualImu(
            contender.network, self._solver, autocorrelation=self._autocorrelation
        )
        self._tracker = self._imu.tracker()
        self._seconds: dict[str, list[float]] = {name: [] for name in (*STAGES, WHOLE)}
        self._processor_seconds = 0.0

    def round(self, index: int, keep: bool = True) -> None:
        """Time every stage, and the whole chain, on frame `index`."""
        source = self._frame(index)
        marks = [self._clock(), *self._staged(source, index)]
        processor = time.process_time()
        for measurement in self._tracker.push(self._imu.measure(source.frame(index))):
            self._bag.write(measurement.frame, measurement.estimate)
        processor = time.process_time() - processor
        whole = self._clock() - marks[-1]
        if not keep:
            return
        for name, spent in zip((*STAGES, WHOLE), [*np.diff(marks), whole], strict=True):
            self._seconds[name].append(float(spent))
        self._processor_seconds += processor

    def _frame(self, index: int) -> Source:
        """Go through the frames to and fro: neighbours stay neighbours."""
        there_and_back = [*self._frames, *self._frames[-2:0:-1]]
        return there_and_back[index % len(there_and_back)]

    def _staged(self, source: Source, index: int) -> Iterator[float]:
        """Yield the clock after each of `STAGES`."""
        frame = source.frame(index)
        yield self._clock()
        view = self._view.apply(frame.image)
        yield self._clock()
        field = self._contender.network.predict(view, self._view.camera)
        yield self._clock()
        estimate = self._solver.solve(field, frame.exposure_time, frame.t)
        yield self._clock()
        single = Measurement(frame, estimate, view, field).with_whole(self._autocorrelation)
        estimate = single.estimate
        yield self._clock()
        node = self._links.node(single, single)
        first = self._links.link(node)
        yield self._clock()
        observation = self._direction.observe(view, field, estimate)
        if first is None:
            self._direction.push(observation)
        else:
            self._direction.follow(observation, node.probability)
        yield self._clock()
        self._waiting.append(node)
        self._links.fuse(node, first, None)
        self._links.release(self._waiting)
        yield self._clock()
        self._bag.write(frame, estimate)
        yield self._clock()

    def result(self, size: tuple[int, int]) -> Result:
        """Return the figures of all rounds."""
        whole = self._seconds[WHOLE]
        return Result(
            contender=self._contender.name,
            width=size[0],
            height=size[1],
            frames=len(whole),
            stages={name: _timing(seconds) for name, seconds in self._seconds.items()},
            cores=self._processor_seconds / sum(whole),
            peak_memory_mb=peak_memory_mb(),
        )


def _timing(seconds: list[float]) -> Timing:
    median, p95, p99 = 1e3 * np.percentile(seconds, [50, 95, 99])
    return Timing(float(median), float(p95), float(p99), len(seconds) / sum(seconds))


def peak_memory_mb() -> float:
    """Return the peak memory of this process, MB; NaN where the system does not report it."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    import onnxruntime

    return {
        "processor": _processor(),
        "cores": usual_jobs(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
