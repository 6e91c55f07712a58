# SPDX-License-Identifier: Apache-2.0
"""Verdicts of earlier runs, and how to find them without elaborating a design again.

A verdict lies under a hash of the design's text and of all that decides how it is proved. Making
that text takes seconds. A *short cut* leads to it from a hash of all sources that a design can be
made of: as long as none of them has changed, neither has the text.
"""

import hashlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["ROOTS", "digest", "follow", "lead", "read", "short_cut", "sources", "write"]

_PACKAGE = Path(__file__).parents[2]

ROOTS = (_PACKAGE / "hdl", _PACKAGE / "verification")
"""Folders with every source of ours that designs, specifications and planted faults come from."""


def digest(*parts: str | bytes) -> str:
    """Hash some texts, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        text = part.encode() if isinstance(part, str) else part
        total.update(len(text).to_bytes(8, "little") + text)
    return total.hexdigest()


def _now() -> str:
    files = sorted(file for root in ROOTS for file in root.rglob("*.py"))
    named = ((str(file.relative_to(_PACKAGE)), file.read_bytes()) for file in files)
    return digest(_installed(), *(part for pair in named for part in pair))


@cache
def _installed() -> str:
    """Return the versions of Python and of all packages that it can import."""
    found = {(one.name, one.version) for one in importlib.metadata.distributions()}
    return repr((sys.version, sorted(found)))


_IMPORTED = _now()
"""What this module's import found. Known limit: sources that change after the process has loaded
some of our modules and before this import are taken for what was loaded."""


def sources() -> str:
    """Return a hash of all sources and of all packages, or nothing if a source has changed.

    What a process elaborates is what it imported when it began. When the files no longer are what
    they were then, their hash says nothing about its designs.
    """
    return _IMPORTED if _now() == _IMPORTED else ""


def read(entry: Path) -> dict[str, Any] | None:
    """Return what :func:`write` left at this very place; None for anything else."""
    try:
        total, body = json.loads(entry.read_text())
        if total != digest(entry.name, body):
            return None
        kept = json.loads(body)
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # nothing there, or a file that a crash left
    return kept if isinstance(kept, dict) else None


def write(entry: Path, kept: dict[str, Any]) -> None:
    """Leave ``kept`` for later runs, with a hash of it and of its place."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    body = json.dumps(kept)
    beside = entry.with_suffix(f".{time.monotonic_ns()}")
    beside.write_text(json.dumps([digest(entry.name, body), body]))
    beside.replace(entry)


def short_cut(folder: Path, *what: str) -> Path | None:
    """Return where the short cut for ``what`` is, or None if sources have changed."""
    if not (known := sources()):
        return None
    return folder / f"short-{digest(known, *what)[:24]}.json"


def lead(cut: Path | None, key: str) -> None:
    """Make a short cut to a verdict, unless a source has changed since ``cut`` was asked for."""
    if cut is not None and key and sources():
        write(cut, {"key": key})


def follow(cut: Path | None) -> Iterator[Path]:
    """Yield where a short cut leads to, if there is one."""
    kept = None if cut is None else read(cut)
    if cut is not None and kept is not None and isinstance(kept.get("key"), str):
        yield cut.with_name(f"{kept['key']}.json")
