# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/loader.md: the rate points, and the reference point beside its open peers.

``blindvisor bench loader --table`` writes what it measured to docs/loader.json, and from that the
lines between the marks in docs/loader.md.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindvisor.verification.loader_rates import REFERENCE
from blindvisor.verification.pages import fill

__all__ = ["FIGURES", "PAGE", "PEERS", "Peer", "render", "write"]

PAGE = Path(__file__).parents[1] / "docs" / "loader.md"
FIGURES = PAGE.with_suffix(".json")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An open core, as measured with the same tools, in yosys's default options.

    Members
    -------
    cycles_128, cycles_256 : :class:`int`
        Per block; None: cannot be done, or not measured.
    mhz : :class:`float`
        Median of three seeds; None: not known.
    """

    core: str
    what: str
    lut4: int
    ff: int
    mhz: float | None = None
    cycles_128: int | None = None
    cycles_256: int | None = None


PEERS = (
    Peer(
        core="secworks/aes (80dc471)",
        what="encryption only",
        lut4=6844,
        ff=2333,
        mhz=52.9,
        cycles_128=52,
        cycles_256=72,
    ),
    Peer(
        core="secworks/aes (80dc471)",
        what="whole, no GCM",
        lut4=11818,
        ff=2476,
        mhz=50.8,
        cycles_128=53,
        cycles_256=73,
    ),
    Peer(
        core="BLu85 AES-GCM-256 XS (d0515ae)",
        what="complete GCM",
        lut4=21900,
        ff=1699,
        cycles_256=14,
    ),
    Peer(
        core="OpenTitan AES with GCM (34ceb5e)",
        what="GCM, masking off",
        lut4=19722,
        ff=2588,
        cycles_128=12,
        cycles_256=16,
    ),
)
"""Measured 2026-11-23."""


def render(page: str, figures: dict[str, Any]) -> str:
    """Return the page with the tables of these figures.

    Parameters
    ----------
    figures : :class:`dict`
        ``points``: of :func:`~blindvisor.verification.loader_rates.measure_points`.

    Raises
    ------
    :exc:`ValueError`
        If a mark is missing.
    """
    points = figures["points"]
    return fill(page, {"loads": _loads(points), "areas": _areas(points), "peers": _peers(points)})


def write(figures: dict[str, Any], *, page: Path = PAGE) -> None:
    """Write the figures beside the page, and the tables into it."""
    text = render(page.read_text(), figures)
    page.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    page.write_text(text)


def _name(point: dict[str, Any]) -> list[str]:
    name = [str(point["sboxes"]), str(point["digit"])]
    chosen = (point["sboxes"], point["digit"]) == REFERENCE
    return [f"**{part}**" for part in name] if chosen else name


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(cells: list[str]) -> list[str]:
    return [_line(cells), "|" + "---|" * len(cells)]


def _loads(points: list[dict[str, Any]]) -> Iterator[str]:
    yield from _head(
        [
            "`sboxes`",
            "`digit`",
            "cycles per block, AES-128 / 256",
            "clusters",
            "cycles",
            "bytes per cycle",
            "cycles per byte",
            "the lane's limit",
            "share of it",
        ]
    )
    for point in points:
        for load in point["loads"]:
            yield _line(
                [
                    *_name(point),
                    f"{point['cycles_128']:.2f} / {point['cycles_256']:.2f}",
                    f"{load['clusters']}",
                    f"{load['cycles']:,}",
                    f"{load['bytes_per_cycle']:.3f}",
                    f"{load['cycles_per_byte']:.3f}",
                    f"{load['limit_per_byte']:.3f}",
                    f"{load['share']:.1f} %",
                ]
            )


def _rates(cycles: float | None, mhz: float | None, lut4: int) -> list[str]:
    """Mbit/s, and kbit/s per LUT."""
    if not cycles or not mhz:
        return ["-", "-"]
    rate = 128 * mhz / cycles
    return [f"{rate:.0f}", f"{1000 * rate / lut4:.1f}"]


def _areas(points: list[dict[str, Any]]) -> Iterator[str]:
    yield from _head(
        [
            "`sboxes`",
            "`digit`",
            "`synth_ecp5`",
            "LUT4",
            "CCU2C",
            "FF",
            "EBR",
            "MHz, by seed",
            "MHz, median",
            "Mbit/s 256",
            "kbit/s per LUT",
        ]
    )
    for point in points:
        for options, area in point.get("fpga", {}).items():
            if not area:
                continue
            seeds = area.get("mhz_by_seed", {})
            yield _line(
                [
                    *_name(point),
                    f"`{options}`" if options else "default",
                    *(f"{area[cell]:,}" for cell in ("lut4", "ccu2c", "ff", "ebr")),
                    ", ".join(f"{mhz:.1f}" for mhz in seeds.values()) or "not measured",
                    f"{area['mhz']:.1f}" if "mhz" in area else "-",
                    *_rates(point["cycles_256"], area.get("mhz"), area["lut4"]),
                ]
            )


def _peers(points: list[dict[str, Any]]) -> Iterator[str]:
    yield from _head(
        [
            "core",
            "what",
            "LUT4",
            "FF",
            "MHz",
            "cycles per block, 128 / 256",
            "Mbit/s 256",
            "kbit/s per LUT",
        ]
    )
    for point in points:
        area = point.get("fpga", {}).get("")  # yosys's default, as for the peers
        if not area or (point["sboxes"], point["digit"]) != REFERENCE:
            continue
        yield _line(
            [
                f"Blindvisor {REFERENCE}",
                "complete GCM, 128 and 256",
                f"{area['lut4']:,}",
                f"{area['ff']:,}",
                f"{area['mhz']:.1f}" if "mhz" in area else "not measured",
                f"{point['cycles_128']:.2f} / {point['cycles_256']:.2f}",
                *_rates(point["cycles_256"], area.get("mhz"), area["lut4"]),
            ]
        )
    for peer in PEERS:
        yield _line(
            [
                peer.core,
                peer.what,
                f"{peer.lut4:,}",
                f"{peer.ff:,}",
                f"{peer.mhz:.1f}" if peer.mhz else "-",
                f"{peer.cycles_128 or '-'} / {peer.cycles_256 or '-'}",
                *_rates(peer.cycles_256, peer.mhz, peer.lut4),
            ]
        )
