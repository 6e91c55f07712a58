# SPDX-License-Identifier: Apache-2.0
"""Latency and throughput over offered load, as one SVG."""

from typing import Any

from blindvisor.verification.drawing import figures_hash, svg
from blindvisor.verification.noc.measure import DEFAULT_DEPTH

__all__ = ["plot"]

_MOST = 80
"""Cycles at the top of the plot of latencies."""


def plot(figures: dict[str, Any]) -> str:
    """Return a picture with a column per mesh of the default depth that has curves.

    Raises
    ------
    :exc:`ImportError`
        If matplotlib is not installed.
    """
    meshes = [
        mesh
        for mesh in figures["meshes"]
        if mesh["fifo_depth"] == DEFAULT_DEPTH and any("curve" in t for t in mesh["traffic"])
    ]
    with svg(2, len(meshes), size=(4.6 * len(meshes), 6.4)) as (axes, picture):
        for column, mesh in enumerate(meshes):
            above, below = axes[0][column], axes[1][column]
            above.set_title(f"{mesh['width']} x {mesh['height']} clusters")
            patterns = list(dict.fromkeys(found["pattern"] for found in mesh["traffic"]))
            for found in mesh["traffic"]:
                several = "s" if found["flits"] > 1 else ""
                style = {
                    "color": f"C{patterns.index(found['pattern'])}",
                    "linestyle": "-" if found["flits"] == 1 else "--",
                    "marker": "." if found["flits"] == 1 else "x",
                    "markersize": 4,
                    "linewidth": 1.1,
                    "label": f"{found['pattern']}, {found['flits']} flit{several}",
                }
                arrived = [(p["offered"], p["latency"]) for p in found["curve"] if p["latency"]]
                above.plot(*zip(*arrived, strict=True), **style)
                carried = [(p["offered"], p["carried"]) for p in found["curve"]]
                below.plot(*zip(*carried, (1.0, found["carried"]), strict=True), **style)
            above.set_ylim(0, _MOST)
            above.set_xlim(0, 1)
            below.set_ylim(0, 1)
            below.set_xlim(0, 1)
            below.set_xlabel("offered, flits per sender and cycle (right edge: overload)")
            if column == 0:
                above.set_ylabel("mean latency, cycles")
                below.set_ylabel("carried, flits per sender and cycle")
                below.legend(fontsize=7, loc="upper left")
        picture.description = figures_hash(figures)
    return picture.text
