"""Compare how long the parts of the chain take beside each other: `python
tools/performance_smoke.py`.

Times on a machine that others share say nothing, but ratios of the processor time of parts that
take turns in one process do. They are compared with those of `tools/performance_ratios.json`. Only
what has become several times as slow counts as a fault (exit code 1): such things happen by a loop
or a copy too many, never by chance.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from blur_imu_ros.choices import DEFAULT_MODEL
from blur_imu_ros.evaluation.benchmark import (
    SIZES,
    WHOLE,
    Contender,
    Timing,
    benchmark,
    machine,
)
from blur_imu_ros.network.blur_network import load_network, model_path
from blur_imu_ros.network.precision import with_8_bits
from markdown import heading, row

REFERENCE = Path(__file__).with_name("performance_ratios.json")
GROSS = 3.0
"""Times as large a ratio as its reference. Processors differ by less than two."""
IN_8_BITS = "network in 8 bits / in 32 bits"
PARTS = {
    "whole / network": (WHOLE,),
    "decode and view / network": ("decode", "prepare"),
    "solve / network": ("solve",),
    "autocorrelation / network": ("autocorrelation",),
    "registration, sign and filter / network": ("registration", "direction", "filter"),
    "publish / network": ("publish",),
}


def main() -> None:
    """Measure, print, store, and exit with 1 where something has become several times as slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each model")
    parser.add_argument("--json", type=Path, help="where the ratios are written")
    parser.add_argument("--against", type=Path, default=REFERENCE, help="ratios of before")
    options = parser.parse_args()
    before = json.loads(options.against.read_text())["ratios"] if options.against.exists() else {}
    now = measured(options.seconds)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": machine(), "ratios": {k: round(v, 3) for k, v in now.items()}}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    slower = slower_stages(now, before)
    if slower:
        raise SystemExit(f"more than {GROSS:g} times as slow as before: {', '.join(slower)}")


def measured(seconds: float) -> dict[str, float]:
    """Return the ratios of median processor times, of one model in one thread."""
    contenders = [Contender("32", load_network(DEFAULT_MODEL, "onnx", threads=1))]
    reduced = with_8_bits(model_path(DEFAULT_MODEL))
    if reduced is not None and calculates_in_8_bits():
        contenders.append(Contender("8", load_network(reduced, "onnx", threads=1)))
    first, *others = benchmark(contenders, SIZES[0], seconds, time.process_time)
    ratios = {name: of(first.stages, parts) for name, parts in PARTS.items()}
    for other in others:
        ratios[IN_8_BITS] = other.stages["network"].median / first.stages["network"].median
    return ratios


def of(stages: dict[str, Timing], parts: tuple[str, ...]) -> float:
    """Return what parts of the chain take, of what the network takes."""
    return sum(stages[part].median for part in parts) / stages["network"].median


def calculates_in_8_bits() -> bool:
    """Whether the processor says that it can (Linux): without, 8 bits need not be faster."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def slower_stages(now: dict[str, float], before: dict[str, float]) -> list[str]:
    """Print the ratios beside those of before; return the names of those grossly larger."""
    heading("ratio", ["now", "before", "times as large"])
    known = {name: now[name] / before[name] for name in now if name in before}
    for name, value in now.items():
        row(name, [value, before.get(name, float("nan")), known.get(name, float("nan"))])
    return [name for name, times in known.items() if times > GROSS]


if __name__ == "__main__":
    main()
