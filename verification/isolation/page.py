# SPDX-License-Identifier: Apache-2.0
"""The tables and the plot of docs/isolation.md, from the figures in docs/isolation.json.

``blindvisor bench isolation --table`` writes all of them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blindvisor.sw.files import write_whole
from blindvisor.verification.isolation.plots import plot
from blindvisor.verification.pages import fill, table

__all__ = ["FIGURES", "PAGE", "PLOT", "load_per_kib", "render", "write"]

PAGE = Path(__file__).parents[2] / "docs" / "isolation.md"
FIGURES = PAGE.with_suffix(".json")
PLOT = PAGE.with_name("isolation-time.svg")

_CALLS = ("create", "load", "grant", "start", "freeze", "resume", "status", "destroy")


def render(page: str, figures: dict[str, Any]) -> str:
    """Return the page with the tables of these figures.

    Parameters
    ----------
    figures : :class:`dict`
        Of :func:`~blindvisor.verification.isolation.measure.measure`; ``command``, ``date``.

    Raises
    ------
    :exc:`ValueError`
        If a mark is missing.
    """
    width, height = figures["clusters"]
    machine = f"`{figures['config']}` ({width} x {height} clusters)"
    return fill(
        page,
        {
            "command": [f"`{figures['command']}`, {figures['date']}, machine {machine}"],
            "runs": _runs(figures["runs"]),
            "traces": _traces(figures["runs"]),
            "controls": _controls(figures["controls"], figures["runs"]),
            "covert": _covert(figures["covert"]),
            "accesses": _accesses(figures["accesses"]),
            "calls": _calls(figures["calls"]),
            "mailbox": _mailbox(figures),
        },
    )


def write(figures: dict[str, Any], *, page: Path = PAGE) -> None:
    """Write the figures beside the page, and the tables and the plot from them."""
    text = render(page.read_text(), figures)
    write_whole(page.with_suffix(".json"), (json.dumps(figures, indent=1) + "\n").encode())
    write_whole(page.with_name(PLOT.name), plot(figures).encode())
    write_whole(page, text.encode())


def load_per_kib(lives: list[dict[str, Any]]) -> float:
    """Return the cycles that a KiB more of image takes: between the smallest and the largest."""
    small, large = min(lives, key=_image), max(lives, key=_image)
    return (large["load"] - small["load"]) / (large["image"] - small["image"]) * 1024


def _image(life: dict[str, Any]) -> int:
    return life["image"]


def _at(run: dict[str, Any]) -> list[str]:
    x, y, width, height = run["at"]
    return [f"`{run['guest']}`", f"{width} x {height} at {x},{y}"]


def _runs(runs: list[dict[str, Any]]) -> Iterator[str]:
    rows = []
    for run in runs:
        among = sorted({f"{one['cycles']:,}" for one in run["among"]})
        same = "the same" if run["unchecked_difference"] is None else "differs"
        rows.append(
            [
                *_at(run),
                f"{run['cycles']:,}",
                f"{run['unchecked']:,}",
                f"**{run['overhead']:.2f} %**",
                same,
                " / ".join(among),
            ]
        )
    head = ["guest", "where", "alone", "without the SMMU's checks", "the SMMU costs"]
    head += ["traces of both", "among attackers"]
    return table(head, rows)


def _traces(runs: list[dict[str, Any]]) -> Iterator[str]:
    rows = []
    for run in runs:
        for one in run["among"]:
            rows.append(
                [
                    *_at(run),
                    f"{one['seed']}",
                    f"{one['attackers']}",
                    f"{one['calls']:,}",
                    f"{one['traced']:,}",
                    f"`{run['digest'][:12]}`",
                    f"`{one['digest'][:12]}`",
                    _where(one["difference"]),
                ]
            )
    head = ["guest", "where", "seed", "attacker VMs", "monitor calls", "cycles compared"]
    return table([*head, "hash alone", "hash among attackers", "first difference"], rows)


def _where(found: dict[str, Any] | None) -> str:
    if found is None:
        return "none"
    return f"cycle {found['cycle']:,}: `{found['signal'].removeprefix('blindvisor.')}`"


def _controls(controls: list[dict[str, Any]], runs: list[dict[str, Any]]) -> Iterator[str]:
    rows = []
    for run in controls:
        one = run["among"]
        slower = (
            f"{one['cycles']:,} ({100 * (one['cycles'] / run['cycles'] - 1):+.1f} %)"
            if one["cycles"]
            else "not ended in the time it takes alone"
        )
        shipped = next(r["cycles"] for r in runs if r["guest"] == run["guest"])
        alone = f"{run['cycles']:,} ({100 * (run['cycles'] / shipped - 1):+.1f} %)"
        rows.append([*_at(run), f"{shipped:,}", alone, slower, _where(one["difference"])])
    head = ["guest", "where", "shipped, alone", "leaky, alone", "leaky, among attackers"]
    return table([*head, "first difference"], rows)


def _covert(channels: list[dict[str, Any]]) -> Iterator[str]:
    rows = [
        [
            found["medium"],
            found["variant"],
            f"{found['symbols']}",
            f"{found['period']:,}",
            f"**{found['bits_per_symbol']:.3f}**",
            f"{found['bits_per_million_cycles']:.0f}",
        ]
        for found in channels
    ]
    head = ["over", "machine", "symbols", "cycles each", "bits per symbol"]
    return table([*head, "bits per million cycles"], rows)


def _accesses(times: dict[str, Any]) -> Iterator[str]:
    rows = []
    for guest, by_machine in times.items():
        shipped, unchecked = by_machine["shipped"], by_machine["unchecked"]
        for kind, one in shipped.items():
            rows.append(
                [f"`{guest}`", kind, f"{one['count']:,}", *map(_times, (one, unchecked[kind]))]
            )
    return table(["guest", "access", "how many", "cycles", "without the SMMU's checks"], rows)


def _times(one: dict[str, Any]) -> str:
    if one["least"] == one["most"]:
        return f"{one['least']}"
    return f"{one['least']}..{one['most']}, mean {one['mean']:.2f}"


def _calls(lives: list[dict[str, Any]]) -> Iterator[str]:
    rows = [
        [f"{life['clusters']}", f"{life['image']:,}", *(f"{life[name]:,}" for name in _CALLS)]
        for life in lives
    ]
    yield from table(["clusters", "image, bytes", *_CALLS], rows)
    yield ""
    yield f"A KiB of image takes {load_per_kib(lives):.1f} cycles."


def _mailbox(figures: dict[str, Any]) -> Iterator[str]:
    times = figures["mailbox"]
    spread = f"{min(times):,} to {max(times):,} cycles, mean {sum(times) / len(times):,.0f}"
    yield f"A word to the guest `mailbox` and its answer: {spread}, {len(times)} words."
