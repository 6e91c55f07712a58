# SPDX-License-Identifier: Apache-2.0
"""What a neighbour sees, and what it does to run times, as one SVG."""

from typing import Any

from blindvisor.verification.drawing import figures_hash, svg
from blindvisor.verification.isolation.guests import ACCESSES

__all__ = ["plot"]

_WIDTH = 0.2


def plot(figures: dict[str, Any]) -> str:
    """Return a picture: on top the receivers of covert channels, below the guests' run times.

    Raises
    ------
    :exc:`ImportError`
        If matplotlib is not installed.
    """
    media = list(dict.fromkeys(found["medium"] for found in figures["covert"]))
    with svg(2, len(media), size=(3.7 * len(media), 5.6)) as (axes, picture):
        for column, medium in enumerate(media):
            above = axes[0][column]
            above.set_title(f"covert channel over: {medium}")
            for found in figures["covert"]:
                if found["medium"] == medium:
                    above.plot(
                        found["seen"][0],
                        drawstyle="steps-mid",
                        linewidth=1,
                        color="C0" if found["variant"] == "shipped" else "C3",
                        label=f"{found['variant']}: {found['bits_per_symbol']:.2f} bits per symbol",
                    )
            above.set_ylim(bottom=0)
            above.set_xlabel("symbol")
            above.legend(fontsize=7, loc="lower right")
            if column == 0:
                above.set_ylabel(f"receiver: cycles of {ACCESSES} loads")
        grid = axes[1][0].get_gridspec()
        for spare in axes[1]:
            spare.remove()
        _run_times(axes[0][0].figure.add_subplot(grid[1, :]), figures)
        picture.description = figures_hash(figures)
    return picture.text


def _run_times(axes: Any, figures: dict[str, Any]) -> None:
    """Bars per guest, as share of the machine without the SMMU's checks."""
    controls = {control["guest"]: control for control in figures["controls"]}
    names = list(controls)
    firsts = [next(run for run in figures["runs"] if run["guest"] == name) for name in names]
    heights: dict[tuple[str, str], list[float]] = {
        ("shipped, alone", "C0"): [run["cycles"] for run in firsts],
        ("shipped, among attackers", "C2"): [run["among"][0]["cycles"] or 0 for run in firsts],
        ("leaky, alone", "C1"): [controls[name]["cycles"] for name in names],
        ("leaky, among attackers (no bar: did not end)", "C3"): [
            controls[name]["among"]["cycles"] or 0 for name in names
        ],
    }
    for number, ((label, color), cycles) in enumerate(heights.items()):
        places = [n + (number - 1.5) * _WIDTH for n in range(len(names))]
        parts = [c / run["unchecked"] for c, run in zip(cycles, firsts, strict=True)]
        axes.bar(places, parts, _WIDTH, label=label, color=color)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("run time, of the unchecked machine's")
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])  # room for the legend
    axes.legend(fontsize=7, loc="upper center", ncols=4)
