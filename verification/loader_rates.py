# SPDX-License-Identifier: Apache-2.0
"""The rate points of the AES-GCM engine: what each costs, and what it gives a whole load."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blindvisor.fpga.measure import measure
from blindvisor.hdl.loader.engine import GcmEngine
from blindvisor.hdl.loader.loader import Loader
from blindvisor.sim.events import Event
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import gcm, loader, loader_rate

__all__ = ["GOALS", "POINTS", "REFERENCE", "judge", "measure_point"]

REFERENCE = (32, 16)
POINTS = ((4, 2), (16, 8), REFERENCE, (64, 32))
"""``sboxes`` and ``digit``, from the smallest to one block every 4 cycles."""

SHARE = 95.0
GOALS = {"cycles_256": 8.0, "lut4": 8000, "mhz": 60.0}
"""Of the reference point: at most, at most, at least. A whole load: at least :data:`SHARE` % of
the lane's limit."""

SYNTHESIS = ("-nowidelut", "")
"""Options of ``synth_ecp5``: what we recommend, and the default of yosys for the comparison."""


def measure_point(
    sboxes: int,
    digit: int,
    *,
    fpga: bool = True,
    place: bool = True,
    step: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Return all figures of one point.

    Parameters
    ----------
    sboxes, digit : :class:`int`
        Of :class:`GcmEngine` and :class:`Loader`.
    fpga, place : :class:`bool`
        Whether to synthesize the engine, and to place and route it too.
    step : callable
        Called with what is begun.

    Returns
    -------
    :class:`dict`
        ``sboxes``, ``digit``; ``cycles_128``, ``cycles_256`` per block of the engine; ``loads``, as
        ``loader_rate`` tells them, with ``share`` (%), ``bytes_per_cycle``, ``cycles_per_byte`` and
        ``limit_per_byte``; ``fpga``: by option of ``synth_ecp5`` what :func:`measure` returns.

    Raises
    ------
    :exc:`AssertionError`
        If a message or a load did not end well.
    :exc:`~blindvisor.fpga.measure.ToolMissing`
        If synthesis is wanted and its tools are not there.
    """
    figures: dict[str, Any] = {"sboxes": sboxes, "digit": digit, "loads": []}

    def hear(event: Event) -> None:
        if event["kind"] == "rate":
            figures[f"cycles_{event['bits']}"] = event["cycles"]
        elif event["kind"] == "load":
            load = {name: event[name] for name in event if name != "kind"}
            load["share"] = 100 * load["limit"] / load["cycles"]
            load["bytes_per_cycle"] = load["contents"] / load["cycles"]
            load["cycles_per_byte"] = load["cycles"] / load["contents"]
            load["limit_per_byte"] = load["limit"] / load["contents"]
            figures["loads"].append(load)

    with tempfile.TemporaryDirectory(prefix="blindvisor-") as folder:
        step("engine")
        run_bench(
            GcmEngine(sboxes=sboxes, digit=digit),
            gcm.__name__,
            Path(folder),
            internals=False,
            testcase="cycles_depend_on_lengths_alone",
            env=gcm.environment(sboxes=sboxes, digit=digit),
            on_event=hear,
        )
        step("whole loads")
        run_bench(
            Loader(loader.CONFIG, sboxes=sboxes, digit=digit),
            loader_rate.__name__,
            Path(folder),
            internals=False,
            timeout=3600.0,
            on_event=hear,
        )
    if fpga:
        figures["fpga"] = {}
        for options in SYNTHESIS:
            routed = place and options == SYNTHESIS[0]
            step(f"synthesis{', place and route' if routed else ''}")
            figures["fpga"][options] = measure(
                lambda: GcmEngine(sboxes=sboxes, digit=digit), options=options, place=routed
            )
    return figures


def judge(figures: dict[str, Any]) -> list[str]:
    """Return which goals of the reference point its figures miss, one sentence each."""
    missed = [
        f"a load of {load['clusters']} clusters must have {SHARE} % of the lane's limit, "
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
