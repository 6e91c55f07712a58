# SPDX-License-Identifier: Apache-2.0
"""The rate points of the AES-GCM engine: what each costs, and what it gives a whole load."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from amaranth.back import verilog

from blindvisor.fpga.measure import CACHE, kept, measure
from blindvisor.hdl.loader.engine import GcmEngine
from blindvisor.hdl.loader.loader import Loader
from blindvisor.sim.events import Event
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import gcm, loader, loader_rate, loader_rig

__all__ = ["GOALS", "POINTS", "REFERENCE", "SHARE", "SYNTHESIS", "Point", "judge", "measure_points"]

Point = tuple[int, int]
"""``sboxes`` and ``digit`` of :class:`GcmEngine` and :class:`Loader`."""

Step = Callable[[Point, str], None]

REFERENCE: Point = (32, 16)
POINTS: tuple[Point, ...] = ((4, 2), (16, 8), REFERENCE, (64, 32))
"""From the smallest to one block every 4 cycles."""

SHARE = 95.0
GOALS = {"cycles_256": 8.0, "lut4": 8000, "mhz": 60.0}
"""Of the reference point: at most, at most, at least. A whole load: at least :data:`SHARE` % of
the lane's limit."""

SYNTHESIS = ("-nowidelut", "")
"""Options of ``synth_ecp5``: what we recommend, for every point; and the default of yosys, with
which the peers were measured, for the reference point."""

SEEDS = (1, 2, 3)
"""Of the placement; the peers' clocks are medians of three as well."""


def measure_points(
    points: Sequence[Point],
    *,
    fpga: bool = True,
    measuring: bool = True,
    cache: Path = CACHE,
    step: Step = lambda point, what: None,
) -> list[dict[str, Any]]:
    """Return all figures of some points, in their order.

    What is cheap comes first: cycles of all points, area of all, a clock of all, then the clocks of
    the other seeds; the reference point's before the others. Each figure is kept when it is there,
    so a run that was ended goes on where it was.

    Parameters
    ----------
    points : sequence of pairs
        ``sboxes`` and ``digit``.
    fpga : :class:`bool`
        Whether to synthesize, place and route too.
    measuring : :class:`bool`
        Whether to synthesize, place and route what is not in the cache; else it is left out.
    cache : :class:`~pathlib.Path`
        Where figures are kept.
    step : callable
        Called with what is begun for which point, if it is not in the cache.

    Returns
    -------
    :class:`list` of :class:`dict`
        Of each point: ``sboxes``, ``digit``; ``cycles_128``, ``cycles_256`` per block of the
        engine; ``loads``, as ``loader_rate`` tells them, with ``share`` (%), ``bytes_per_cycle``,
        ``cycles_per_byte`` and ``limit_per_byte``; ``fpga``: by option of ``synth_ecp5`` what
        :func:`~blindvisor.fpga.measure.measure` returns.

    Raises
    ------
    :exc:`AssertionError`
        If a message or a load did not end well.
    :exc:`~blindvisor.fpga.measure.ToolMissing`
        If synthesis is wanted and its tools are not there.
    """
    figures = {
        point: {"sboxes": point[0], "digit": point[1]} | _cycles(point, cache, step)
        for point in points
    }
    if fpga:
        first = sorted(points, key=lambda point: point != REFERENCE)
        for seeds in ((), SEEDS[:1], SEEDS) if measuring else (SEEDS,):
            for point in first:
                figures[point]["fpga"] = {
                    options: measure(
                        partial(_engine, point),
                        options=options,
                        seeds=seeds,
                        cache=cache,
                        measuring=measuring,
                        step=partial(step, point),
                    )
                    for options in SYNTHESIS
                    if options == SYNTHESIS[0] or point == REFERENCE
                }
    return list(figures.values())


def _engine(point: Point) -> GcmEngine:
    sboxes, digit = point
    return GcmEngine(sboxes=sboxes, digit=digit)


def _cycles(point: Point, cache: Path, step: Step) -> dict[str, Any]:
    """Return cycles per block and of whole loads, from the cache if nothing has changed."""
    sboxes, digit = point
    engine = verilog.convert(_engine(point), name="top", strip_internal_attrs=True)
    whole = verilog.convert(
        Loader(loader.CONFIG, sboxes=sboxes, digit=digit), name="top", strip_internal_attrs=True
    )

    def run(folder: Path) -> dict[str, Any]:
        figures: dict[str, Any] = {"loads": []}

        def hear(event: Event) -> None:
            if event["kind"] == "rate":
                figures[f"cycles_{event['bits']}"] = event["cycles"]
            elif event["kind"] == "load":
                figures["loads"].append(_load(event))

        with tempfile.TemporaryDirectory(prefix="blindvisor-") as name:
            step(point, "cycles per block")
            run_bench(
                engine,
                gcm.__name__,
                Path(name),
                internals=False,
                testcase="cycles_depend_on_lengths_alone",
                env=gcm.environment(sboxes=sboxes, digit=digit),
                on_event=hear,
            )
            step(point, "cycles of whole loads")
            run_bench(
                whole,
                loader_rate.__name__,
                Path(name),
                internals=False,
                timeout=3600.0,
                on_event=hear,
            )
        return figures

    benches: list[ModuleType] = [gcm, loader, loader_rate, loader_rig]
    texts = [Path(str(bench.__file__)).read_text() for bench in benches]
    return kept(cache, [engine, whole, *texts], run)


def _load(event: Event) -> dict[str, Any]:
    """Return what a load took and what it is of the lane's limit."""
    load = {name: event[name] for name in event if name != "kind"}
    return load | {
        "share": 100 * load["limit"] / load["cycles"],
        "bytes_per_cycle": load["contents"] / load["cycles"],
        "cycles_per_byte": load["cycles"] / load["contents"],
        "limit_per_byte": load["limit"] / load["contents"],
    }


def judge(figures: dict[str, Any]) -> list[str]:
    """Return which goals of the reference point its figures miss, one sentence each."""
    missed = [
        f"a load of {load['clusters']} clusters must have {SHARE:g} % of the lane's limit, "
        f"not {load['share']:.1f} %"
        for load in figures["loads"]
        if load["share"] < SHARE
    ]
    if figures["cycles_256"] > GOALS["cycles_256"]:
        missed.append(
            f"a block must take at most {GOALS['cycles_256']:g} cycles, "
            f"not {figures['cycles_256']:.2f}"
        )
    area = figures.get("fpga", {}).get(SYNTHESIS[0], {})
    if area.get("lut4", 0) > GOALS["lut4"]:
        missed.append(f"the engine must have at most {GOALS['lut4']} LUT4, not {area['lut4']}")
    if area.get("mhz", GOALS["mhz"]) < GOALS["mhz"]:
        missed.append(f"the engine must reach {GOALS['mhz']:g} MHz, not {area['mhz']}")
    return missed
