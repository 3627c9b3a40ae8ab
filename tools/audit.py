"""Ask pip-audit what is known against the packages that the runtime needs: `python tools/audit.py`.

Exit 1 if something is. Where pip-audit or its database cannot be had, it says so and exits with 0.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from sbom import PACKAGE, needed

PATIENCE = 60.0
"""Seconds for all answers."""


def main() -> int:
    """Ask and print."""
    if importlib.util.find_spec("pip_audit") is None:
        return unasked("pip-audit is not installed")
    answers = asked(
        [f"{one.metadata['Name']}=={one.version}" for one in needed(distribution(PACKAGE))]
    )
    known = [one for one in answers if "vulns" in one]
    if not known:
        return unasked("the database of pip-audit cannot be reached")
    weak = [f"{one['name']} {one['version']}: {v['id']}" for one in known for v in one["vulns"]]
    print("\n".join([*weak, f"{len(weak)} known weaknesses in {len(known)} packages"]))
    if len(known) < len(answers):
        print(
            f"Nothing is known of {', '.join(one['name'] for one in answers if one not in known)}"
        )
    return int(bool(weak))


def asked(requirements: list[str]) -> list[dict[str, Any]]:
    """Return what pip-audit says of each package; nothing if it does not come to an answer."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("\n".join(requirements))
        options = ["--requirement", str(listed), "--no-deps", "--disable-pip", "--timeout", "5"]
        command = [sys.executable, "-m", "pip_audit", *options, "--format", "json"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
            found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return []
    return found


def unasked(reason: str) -> int:
    """Print why nothing is known."""
    print(f"{reason}: known weaknesses were not asked for")
    return 0


if __name__ == "__main__":
    sys.exit(main())
