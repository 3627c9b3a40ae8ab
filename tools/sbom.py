"""Write what a release consists of: `python tools/sbom.py build`.

`sbom.json` (CycloneDX 1.5) lists the package and all that its runtime needs, as installed here, and
`SHA256SUMS` the files that git tracks, for `sha256sum --check`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

PACKAGE = "blur_imu_ros"


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sbom.json").write_text(json.dumps(bill_of_materials(), indent=2) + "\n")
    (folder / "SHA256SUMS").write_text("".join(f"{line}\n" for line in check_sums()))


def bill_of_materials() -> dict[str, Any]:
    """Return a CycloneDX document of the package and what it needs."""
    ours = distribution(PACKAGE)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(ours, "application")},
        "components": [component(one, "library") for one in needed(ours)],
    }


def needed(root: Distribution) -> list[Distribution]:
    """Return all distributions that the runtime of `root` needs, without extras, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(requirements(root))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # for another system or version of Python
            continue
        waiting += requirements(found[name])
    return [found[name] for name in sorted(found)]


def requirements(one: Distribution) -> Iterator[str]:
    """Yield the normalised names of what a distribution always needs."""
    for line in one.requires or []:
        text, _, marker = line.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+", text.strip())
        if match and "extra" not in marker:
            yield re.sub(r"[-_.]+", "-", match[0]).lower()


def component(one: Distribution, kind: str) -> dict[str, Any]:
    """Return what CycloneDX says of a distribution."""
    name, version = one.metadata["Name"], one.version
    metadata = one.metadata
    named = [
        metadata[field].strip() for field in ("License-Expression", "License") if field in metadata
    ]
    licence = next(filter(None, named), "see the package").splitlines()[0][:80]
    return {
        "type": kind,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower()}@{version}",
        "licenses": [{"license": {"name": licence}}],
    }


def check_sums() -> Iterator[str]:
    """Yield a line of SHA256SUMS for each file that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        yield f"{hashlib.sha256(Path(name).read_bytes()).hexdigest()}  {name}"


if __name__ == "__main__":
    main()
