# SPDX-License-Identifier: Apache-2.0
"""The tables and plots of docs/noc.md, from the figures in docs/noc.json.

``blindvisor bench noc --table`` writes all of them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from blindvisor.sw.files import write_whole
from blindvisor.verification.noc.measure import DEFAULT_DEPTH
from blindvisor.verification.noc.plots import plot
from blindvisor.verification.pages import fill, table

__all__ = ["FIGURES", "PAGE", "PEERS", "PLOT", "render", "write"]

PAGE = Path(__file__).parents[2] / "docs" / "noc.md"
FIGURES = PAGE.with_suffix(".json")
PLOT = PAGE.with_name("noc-load.svg")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An open router under the same overload, in flits per cluster and cycle."""

    router: str
    flits: int
    carried: tuple[float, float]
    """On 4 x 4 and on 8 x 8."""


PEERS = (
    Peer(router="bsg_mesh_router_buffered (b778890)", flits=1, carried=(0.538, 0.290)),
    Peer(router="FlooNoC, input FIFO 2 (2fa02eb)", flits=1, carried=(0.564, 0.300)),
    Peer(router="bsg_wormhole_router (b778890)", flits=4, carried=(0.456, 0.248)),
    Peer(router="FlooNoC, input FIFO 2 (2fa02eb)", flits=4, carried=(0.468, 0.260)),
    Peer(router="FlooNoC, input 2 + output 2 (2fa02eb)", flits=4, carried=(0.513, 0.282)),
    Peer(router="OpenPiton dynamic_node (41a14a0)", flits=4, carried=(0.458, 0.276)),
)
"""Measured 2026-11-23; those on 8 x 8 in short runs, which may read up to 10 % high."""

STEADY = 0.97
"""Share of what is offered that must leave the mesh in the same window; else queues grow."""

CAPACITY = {4: 0.9375, 8: 0.4921875}
"""``4 K (N - 1) / N^2`` of a K x K mesh."""


def render(page: str, figures: dict[str, Any]) -> str:
    """Return the page with the tables of these figures.

    Parameters
    ----------
    figures : :class:`dict`
        ``meshes``: of :func:`~blindvisor.verification.noc.measure.measure_mesh`; ``command``,
        ``date``.

    Raises
    ------
    :exc:`ValueError`
        If a mark is missing.
    """
    meshes = figures["meshes"]
    return fill(
        page,
        {
            "command": [f"`{figures['command']}`, {figures['date']}"],
            "zero-load": _zero_load(meshes),
            "uniform": _uniform(meshes),
            "patterns": _patterns(meshes),
        },
    )


def write(figures: dict[str, Any], *, page: Path = PAGE) -> None:
    """Write the figures beside the page, and the tables and the plot from them."""
    text = render(page.read_text(), figures)
    write_whole(page.with_suffix(".json"), (json.dumps(figures, indent=1) + "\n").encode())
    write_whole(page.with_name(PLOT.name), plot(figures).encode())
    write_whole(page, text.encode())


def _mesh(mesh: dict[str, Any]) -> str:
    return f"{mesh['width']} x {mesh['height']}"


def _zero_load(meshes: list[dict[str, Any]]) -> Iterator[str]:
    rows = []
    for mesh in meshes:
        if mesh["fifo_depth"] != DEFAULT_DEPTH:
            continue
        for flits, by_hops in mesh["zero_load"].items():
            near, far = min(by_hops, key=int), max(by_hops, key=int)
            nearest, farthest = by_hops[near], by_hops[far]
            slope = (farthest[1] - nearest[0]) / (int(far) - int(near))
            spread = max(most - least for least, most in by_hops.values())
            rows.append(
                [
                    _mesh(mesh),
                    flits,
                    *(_range(*by_hops[hops]) for hops in (near, far)),
                    f"{near} and {far}",
                    f"{slope:g}",
                    f"{nearest[0] - slope * int(near):g}",
                    f"{spread}",
                ]
            )
    head = ["mesh", "flits", "cycles, nearest", "cycles, farthest", "hops of these"]
    return table([*head, "cycles per hop", "constant", "spread"], rows)


def _range(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least}..{most}"


def _uniform(meshes: list[dict[str, Any]]) -> Iterator[str]:
    rows = []
    widths = sorted({mesh["width"] for mesh in meshes if mesh["width"] in CAPACITY})
    for flits in (1, 4):
        for depth in sorted({mesh["fifo_depth"] for mesh in meshes}):
            carried = {
                mesh["width"]: found["carried"]
                for mesh in meshes
                for found in mesh["traffic"]
                if mesh["fifo_depth"] == depth
                and (found["pattern"], found["flits"]) == ("uniform random", flits)
            }
            name = f"Blindvisor, {depth} flits per input"
            if depth == DEFAULT_DEPTH:
                name = f"**{name}** (default)"
            rows.append([name, f"{flits}", *(_share(carried.get(w), w) for w in widths)])
        for peer in PEERS:
            if peer.flits == flits:
                shares = dict(zip(CAPACITY, peer.carried, strict=True))
                rows.append([peer.router, f"{flits}", *(_share(shares[w], w) for w in widths)])
    return table(["router", "flits", *(f"{w} x {w}" for w in widths)], rows)


def _share(carried: float | None, width: int) -> str:
    return f"{carried:.3f} ({carried / CAPACITY[width]:.0%})" if carried is not None else "-"


def _patterns(meshes: list[dict[str, Any]]) -> Iterator[str]:
    rows = []
    for mesh in meshes:
        for found in mesh["traffic"]:
            if mesh["fifo_depth"] != DEFAULT_DEPTH or "curve" not in found:
                continue
            steady = takewhile(lambda p: p["carried"] >= STEADY * p["offered"], found["curve"])
            knee = max((point["offered"] for point in steady), default=0.0)
            rows.append(
                [
                    _mesh(mesh),
                    found["pattern"],
                    f"{found['flits']}",
                    f"{found['bound']:.3f}",
                    *(f"{_latency_at(found, part)}" for part in (0.1, 0.5)),
                    f"{knee:.3f} ({knee / found['bound']:.0%})",
                    f"{found['carried']:.3f}",
                    f"{found['slowest']:.3f}",
                ]
            )
    head = ["mesh", "traffic", "flits", "bound", "cycles at 10 % of it", "at 50 %"]
    head += ["steady up to", "overload: mean", "slowest sender"]
    return table(head, rows)


def _latency_at(found: dict[str, Any], part: float) -> str:
    nearest = min(found["curve"], key=lambda p: abs(p["offered"] - part * found["bound"]))
    reached = abs(nearest["offered"] / found["bound"] - part) < 0.03
    return f"{nearest['latency']:.1f}" if reached and nearest["latency"] is not None else "-"
