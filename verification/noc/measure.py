# SPDX-License-Identifier: Apache-2.0
"""What the mesh is measured for: latency without load, latency under load, and saturation."""

from collections.abc import Callable, Sequence
from typing import Any

from blindvisor.hdl.config import MachineConfig
from blindvisor.verification.noc.model import MeshModel
from blindvisor.verification.noc.patterns import PATTERNS, Weights, bound, hops

__all__ = ["DEFAULT_DEPTH", "FLITS", "GOALS", "PEERS_DEPTH", "Step", "judge", "measure_mesh"]

Step = Callable[[str, int, int | None], None]

DEFAULT_DEPTH = MachineConfig(name="default", width=1, height=1).fifo_depth
PEERS_DEPTH = 2
"""Flits per router input: of our machines, and of the routers that we compare with."""

FLITS = (1, 4)
"""Per packet."""

GOALS = {1: 0.65, 4: 0.60}
"""Least share of the bisection capacity under an overload of uniform random packets, by flits per
packet. Without load a packet must take one cycle per hop and a constant."""

SEEDS = (1, 2, 3)
WARM_UP = 2_000
WINDOW = 10_000
"""Cycles, of an overload. Of a point of a curve it is half."""

DRAIN = 5_000
"""Cycles after the window in which all its packets must arrive; else the mesh is saturated."""

STEPS = 20
"""Points of a curve, up to the bound."""


def measure_mesh(
    *,
    width: int,
    height: int,
    fifo_depth: int = DEFAULT_DEPTH,
    patterns: Sequence[str] = tuple(PATTERNS),
    curves: bool = True,
    window: int = WINDOW,
    seeds: Sequence[int] = SEEDS,
    verilog: str | None = None,
    step: Step = lambda what, done, total: None,
) -> dict[str, Any]:
    """Return the figures of one mesh.

    Parameters
    ----------
    width, height, fifo_depth, verilog
        As for :meth:`MeshModel.build`.
    patterns : names
        Of :data:`~blindvisor.verification.noc.patterns.PATTERNS`.
    curves : :class:`bool`
        Whether to measure below saturation too.
    window : :class:`int`
        Cycles that are counted.
    seeds : numbers
        Of the overloads; curves use the first.
    step : callable
        Told of progress.

    Returns
    -------
    :class:`dict`
        ``width``, ``height``, ``fifo_depth``, ``window``, ``seeds``; ``zero_load``: by flits per
        packet, cycles by hops, each as least and most over all pairs; ``traffic``: per pattern and
        packet length ``bound`` (flits per sender and cycle), ``carried`` (the same, mean of all
        seeds under overload), ``by_seed``, ``slowest`` (least that one sender got through), and
        ``curve``: ``offered``, ``carried``, ``latency`` and ``p99`` in cycles (None if not all
        arrived) of growing loads up to the first that is not carried.
    """
    name = f"{width} x {height}, {fifo_depth} flits per input"
    step(f"building {name}", 0, None)
    model = MeshModel.build(width=width, height=height, fifo_depth=fifo_depth, verilog=verilog)
    figures: dict[str, Any] = {
        "width": width,
        "height": height,
        "fifo_depth": fifo_depth,
        "window": window,
        "seeds": list(seeds),
        "zero_load": {str(flits): _zero_load(model, flits) for flits in FLITS},
        "traffic": [],
    }
    total = len(patterns) * len(FLITS)
    for pattern in patterns:
        weights = PATTERNS[pattern](width, height)
        for flits in FLITS:
            step(name, len(figures["traffic"]), total)
            found = {"pattern": pattern, "flits": flits, "bound": bound(width, weights)}
            found |= _overload(model, weights, flits, window, seeds)
            if curves:
                found["curve"] = _curve(model, weights, flits, window // 2, seeds[0])
            figures["traffic"].append(found)
    step(name, total, total)
    return figures


def judge(figures: dict[str, Any]) -> list[str]:
    """Return the goals that a mesh misses."""
    name = f"{figures['width']} x {figures['height']}, {figures['fifo_depth']} flits per input"
    missed = []
    for flits, by_hops in figures["zero_load"].items():
        constants = {
            cycles - int(distance) for distance, both in by_hops.items() for cycles in both
        }
        if len(constants) != 1:
            missed.append(
                f"{name}: a packet of {flits} alone must take one cycle per hop and a constant,"
                f" not {sorted(constants)} cycles more than its hops"
            )
    for found in figures["traffic"]:
        if found["pattern"] != "uniform random":
            continue
        share, goal = found["carried"] / found["bound"], GOALS[found["flits"]]
        if share < goal:
            missed.append(
                f"{name}: packets of {found['flits']} must reach {goal:.0%} of the capacity,"
                f" not {share:.1%}"
            )
    return missed


def _zero_load(model: MeshModel, flits: int) -> dict[str, list[int]]:
    by_hops: dict[int, list[int]] = {}
    for a, b, cycles in model.alone(flits):
        by_hops.setdefault(hops(model.width, a, b), []).append(cycles)
    return {str(distance): [min(seen), max(seen)] for distance, seen in sorted(by_hops.items())}


def _overload(
    model: MeshModel, weights: Weights, flits: int, window: int, seeds: Sequence[int]
) -> dict[str, Any]:
    rates = []
    slowest = []
    for seed in seeds:
        run = model.load(
            weights, flits=flits, rate=0, warm_up=WARM_UP, window=window, drain=0, seed=seed
        )
        senders = [c / window for c, row in zip(run["carried"], weights, strict=True) if any(row)]
        rates.append(sum(senders) / len(senders))
        slowest.append(min(senders))
    return {"carried": sum(rates) / len(rates), "by_seed": rates, "slowest": min(slowest)}


def _curve(
    model: MeshModel, weights: Weights, flits: int, window: int, seed: int
) -> list[dict[str, Any]]:
    """Measure at growing rates, until one is not carried any more."""
    senders = sum(map(any, weights))
    most = bound(model.width, weights)
    curve = []
    for number in range(1, STEPS + 1):
        run = model.load(
            weights,
            flits=flits,
            rate=number / STEPS * most,
            warm_up=WARM_UP,
            window=window,
            drain=DRAIN,
            seed=seed,
        )
        all_there = run["arrived"] == run["packets"]
        point = {
            "offered": run["offered"] / window / senders,
            "carried": sum(run["carried"]) / window / senders,
            "latency": run["latency_sum"] / run["packets"] if all_there else None,
            "p99": run["p99"] if all_there else None,
        }
        curve.append(point)
        if not all_there:
            break
    return curve
