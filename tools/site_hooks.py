"""What mkdocs asks while it builds the site; see `hooks` in mkdocs.yml."""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert

_OUTWARD = re.compile(r"\[([^\]]+)\]\(\.\./([^)]*)\)")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.M | re.S)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\w$])\$(?=\S)([^$\n]+?)(?<=\S)\$(?![\w$])", re.S)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page without links to files beside `docs/`, its formulas as MathML.

    Those files are in the repository alone. MathML is drawn by the browser: nothing is fetched.
    """
    parts = _CODE.split(_OUTWARD.sub(r"\1", markdown))
    return "".join(part if k % 2 else _FORMULA.sub(_drawn, part) for k, part in enumerate(parts))


def _drawn(formula: re.Match[str]) -> str:
    block, inline = formula.groups()
    return convert(block, display="block") if block else convert(inline)
