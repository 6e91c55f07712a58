# SPDX-License-Identifier: Apache-2.0
"""What other commands measured and wrote into the documentation, for the report."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "Evidence", "collect"]

DOCS = Path(__file__).parents[2] / "docs"

_SHOWN = (
    ("What the SMMU costs a guest", "isolation.md", "runs", ""),
    ("A guest's bus, alone and among attackers", "isolation.md", "traces", ""),
    ("Covert channels", "isolation.md", "covert", "isolation-time.svg"),
    ("The mesh under load", "noc.md", "uniform", "noc-load.svg"),
)
"""Title, page, mark of the table in it, picture."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A table that a command wrote.

    Parameters
    ----------
    title : :class:`str`
        What it is about.
    page : :class:`str`
        File under ``docs/`` that says what its words mean.
    command : :class:`str`
        What wrote it, and when.
    head : :class:`tuple` of :class:`str`
        Titles of columns.
    rows : :class:`tuple` of :class:`tuple` of :class:`str`
        Cells.
    picture : :class:`str`
        SVG as a ``data:`` address; may be empty.
    """

    title: str
    page: str
    command: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    picture: str = ""


def collect(docs: Path = DOCS) -> list[Evidence]:
    """Return what there is; a page or table that was never written is left out."""
    found = []
    for title, name, mark, picture in _SHOWN:
        page = docs / name
        if not page.is_file():
            continue
        text = page.read_text()
        rows = [
            tuple(_plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            for line in _between(text, mark)
            if line.startswith("|")
        ]
        if len(rows) < 3:  # head, rule, and something
            continue
        image = docs / picture
        found.append(
            Evidence(
                title=title,
                page=f"docs/{name}",
                command=_plain(" ".join(_between(text, "command"))),
                head=rows[0],
                rows=tuple(rows[2:]),
                picture=_data(image) if picture and image.is_file() else "",
            )
        )
    return found


def _between(text: str, mark: str) -> list[str]:
    found = re.search(rf"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", text, re.DOTALL)
    return found[1].splitlines() if found is not None else []


def _plain(cell: str) -> str:
    """Return a cell without its Markdown."""
    return re.sub(r"\*\*|`", "", cell).strip()


def _data(image: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(image.read_bytes()).decode()}"
