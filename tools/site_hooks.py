"""What mkdocs asks while it builds the site; see `hooks` in mkdocs.yml."""

from __future__ import annotations

import re
from typing import Any

_OUTWARD = re.compile(r"\[([^\]]+)\]\(\.\./([^)]*)\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page without links to files beside `docs/`, which are in the repository alone."""
    return _OUTWARD.sub(r"\1", markdown)
