"""What a run has to do with an earlier one of the same output: go on, leave it, or keep it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from blur_imu_ros import __version__
from blur_imu_ros.choices import DEFAULT_MODEL, MotionPrior
from blur_imu_ros.cli.notes import print_notes
from blur_imu_ros.cli.run_options import RunOptions
from blur_imu_ros.core.visual_imu import Network
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.files import moved_aside
from blur_imu_ros.network.blur_network import shipped_models
from blur_imu_ros.network.model_card import CALIBRATION
from blur_imu_ros.network.precision import SUFFIX
from blur_imu_ros.recordings import FrameSettings
from blur_imu_ros.recordings.bag_names import BAG_SUFFIXES
from blur_imu_ros.recordings.images import images_at
from blur_imu_ros.recordings.live import address_of
from blur_imu_ros.recordings.live_camera import without_password
from blur_imu_ros.results.csv_files import whole_rows
from blur_imu_ros.results.run_record import Recipe, RunRecord, model_of, record_of


def with_model_of_earlier(options: RunOptions) -> RunOptions:
    """Return the options with the model of the run to go on with, unless the user names another.

    The default may have been another one then, and `auto` may decide otherwise than it did on what
    runs the model, and in how many bits.
    """
    known, backend = model_of(options.output) if options.resume else (None, None)
    if known is None:
        return options
    exact = options.backend == "auto"
    if exact and backend is not None and not known.endswith(SUFFIX):
        options = replace(options, backend=backend)
    same = not options.model_is_named or options.model == known.removesuffix(SUFFIX)
    if not same or known not in shipped_models():
        return options
    return replace(options, model=known if exact else known.removesuffix(SUFFIX))


def recipe_of(options: RunOptions, settings: FrameSettings, network: Network) -> Recipe:
    """Return everything that the numbers depend on."""
    card, stamps = getattr(network, "card", None), settings.stamps
    return {
        "version": __version__,
        "recording": _name_of(options.source),
        "topic": options.topic,
        "camera": None if settings.camera is None else asdict(settings.camera),
        "exposure_time": settings.exposure_time,
        "stamps": None if stamps is None else _hash(stamps, settings.stamp_names),
        "stamp_reference": options.stamp_reference.value,
        "model": str(getattr(network, "name", options.model)),
        "model_sha256": getattr(card, "sha256", None),
        **{name: getattr(card, name, None) for name in CALIBRATION},
        "backend": "torch" if getattr(network, "runs_on", "").startswith("torch") else "onnx",
        "device": options.device,
        "direction": options.direction.value,
        "registration": options.registration,
        "motion_prior": (MotionPrior.PIVOT if options.pivot else MotionPrior.NONE).value,
        "lever_arm": options.lever_arm,
        "linear_scale": options.known.linear_scale,
        "axes": options.axes.value,
        "settings": sha256(repr(options.method).encode()).hexdigest(),
    }


def _name_of(source: Path) -> str:
    address = address_of(source)
    return str(source.resolve()) if address is None else without_password(str(address))


def _hash(stamps: NDArray[Any], names: Sequence[str]) -> str:
    return sha256(stamps.tobytes() + "\n".join(names).encode()).hexdigest()


def earlier_run(options: RunOptions, now: RunRecord) -> RunRecord | None:
    """Return the run to go on with or to leave as it is, if there is one.

    Raises:
        RecordingError: the result that is there comes from another recording or other settings.
    """
    if address_of(options.source) is not None:
        raise RecordingError(
            f"{options.source}: a live camera cannot be resumed; leave out --resume"
        )
    earlier = RunRecord.load(options.output)
    if earlier is None:
        if options.output.is_file():
            raise RecordingError(
                f"{options.output}: does not tell which run it comes from (its .run.json is "
                "missing); leave out --resume to start anew"
            )
        return None
    earlier.check(options.output, now.recipe)
    if not options.model_is_named and options.model.removesuffix(SUFFIX) != DEFAULT_MODEL:
        print_notes(
            f"{options.output}: was begun with the model {options.model} and keeps it; the default "
            f"is {DEFAULT_MODEL}"
        )
    rows = whole_rows(options.output)
    if rows is not None and rows < earlier.rows:
        # What the filter knew at the last of these rows is not kept.
        print_notes(
            f"{options.output}: holds {rows} of the {earlier.rows} rows that were written to it; "
            "starting anew"
        )
        return None
    if earlier.finished:
        whole = options.overlay is None or options.overlay.is_file()
        return earlier if whole and earlier.frames == now.frames else None
    if not options.can_be_completed:
        print_notes("a bag, an overlay video or a .rrd cannot be resumed; starting anew")
        return None
    return replace(earlier, frames=now.frames)


def keep_other_result(options: RunOptions) -> None:
    """Rename what is in the place of the output, unless it is an earlier result of this
    recording."""
    if not options.output.is_file():
        return
    earlier = record_of(options.output)
    live = address_of(options.source) is not None  # Each time it is another recording.
    if live or earlier is None or earlier.recipe.get("recording") != _name_of(options.source):
        kept = moved_aside(options.output)
        print_notes(
            f"{options.output}: held the result of another recording, which is kept as {kept}"
        )


def is_newer(recording: Path, record: Path) -> bool:
    """Return whether a file, or an image or part of a bag in a folder, was written after the record
    of its result."""
    try:
        files = images_at(recording)
        if recording.is_dir():
            files += [path for path in recording.iterdir() if path.suffix.lower() in BAG_SUFFIXES]
        written = max((file.stat().st_mtime for file in files), default=0.0)
        return written > record.stat().st_mtime
    except (OSError, RecordingError):
        return False
