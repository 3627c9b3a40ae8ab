"""Runs the notebook and writes it as a page with its pictures: `python tools/docs_notebook.py`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTEBOOK = DOCS / "examples" / "first_steps.ipynb"
PAGE = DOCS / "FIRST_STEPS.md"
PICTURES = "pictures/first_steps"
HEAD = """<!-- Written by `python tools/docs_notebook.py` from examples/first_steps.ipynb. -->

"""
RUN_IT = "\nThis page is [a notebook](examples/first_steps.ipynb) with what came out of it.\n"


def main() -> None:
    """Write the page and its pictures."""
    (DOCS / PICTURES).mkdir(exist_ok=True)
    PAGE.write_text(HEAD + "\n\n".join(_parts()) + "\n", encoding="utf-8")
    print(PAGE)


def _parts() -> Iterator[str]:
    names: dict[str, Any] = {}
    for index, cell in enumerate(json.loads(NOTEBOOK.read_text())["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source.replace("](../", "](") + (RUN_IT if index == 0 else "")
            continue
        yield f"```python\n{source}\n```"
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(source, str(NOTEBOOK), "exec"), names)
        if printed.getvalue():
            yield f"```text\n{printed.getvalue().rstrip()}\n```"
        for number in plt.get_fignums():
            name = f"{PICTURES}/{index}.png"
            plt.figure(number).savefig(DOCS / name, dpi=72, bbox_inches="tight")
            yield f"![What the cell above draws]({name})"
        plt.close("all")


if __name__ == "__main__":
    main()
