# SPDX-License-Identifier: Apache-2.0
"""Plots for documentation pages, with matplotlib, the same bytes from the same figures."""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Picture", "drawn_from", "figures_hash", "svg"]


@dataclass
class Picture:
    """An SVG in the making: say what it was drawn from; ``text`` is there in the end."""

    description: str = ""
    text: str = ""


def figures_hash(figures: Any) -> str:
    """Return what a picture keeps of the figures that it was drawn from."""
    return "figures " + hashlib.sha256(json.dumps(figures).encode()).hexdigest()[:20]


def drawn_from(text: str, figures: Any) -> bool:
    """Return whether an SVG was drawn from these figures."""
    return figures_hash(figures) in text


@contextmanager
def svg(rows: int, columns: int, *, size: tuple[float, float]) -> Iterator[tuple[Any, Picture]]:
    """Yield a table of axes to draw on, and the picture that it becomes.

    Parameters
    ----------
    rows, columns : :class:`int`
        Of axes.
    size : pair of numbers
        Width and height in inches.

    Raises
    ------
    :exc:`ImportError`
        If matplotlib is not installed.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Identifiers in an SVG are random without a salt; text stays text, which is small and readable.
    with matplotlib.rc_context(
        {"svg.hashsalt": "blindvisor", "svg.fonttype": "none", "font.size": 9, "axes.grid": True}
    ):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        picture = Picture()
        yield axes, picture
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            facecolor="white",
            metadata={"Date": None, "Creator": None, "Description": picture.description},
        )
        picture.text = re.sub(r"[ \t]+$", "", buffer.getvalue(), flags=re.MULTILINE)
