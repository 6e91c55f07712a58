# SPDX-License-Identifier: Apache-2.0
"""All published AES-GCM vectors and random messages through the Verilog of the loader's engine."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blindvisor.hdl.loader.engine import GcmEngine
from blindvisor.sim.events import Event
from blindvisor.sim.runner import default_seed, run_bench
from blindvisor.verification.benches import gcm

__all__ = ["run_vectors"]

TESTS = "published_vectors|random_messages_follow_pycryptodome"


def run_vectors(
    *,
    messages: int,
    every: int = 1,
    seed: int | None = None,
    sboxes: int = 32,
    digit: int = 16,
    timeout: float = 14_400.0,
    step: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Any]:
    """Run them; return how many there were of each kind, and what failed.

    Parameters
    ----------
    messages : :class:`int`
        Random messages, compared with pycryptodome.
    every : :class:`int`
        Takes every how-manieth published vector.
    seed : :class:`int`
        By default ``COCOTB_RANDOM_SEED``, else 1.
    sboxes, digit : :class:`int`
        Of :class:`GcmEngine`.
    timeout : :class:`float`
        Wall-clock seconds for the simulation.
    step : callable
        Called with what is being done, how much of it is done, and of how much.

    Returns
    -------
    :class:`dict`
        ``published``: messages by source and kind; ``random``; ``failures``: one line each;
        ``seed``, ``sboxes``, ``digit``.

    Raises
    ------
    :exc:`~blindvisor.sim.compiled.SimulatorError`
        If the engine could not be simulated to the end.
    """
    seed = default_seed() if seed is None else seed
    figures: dict[str, Any] = {"seed": seed, "sboxes": sboxes, "digit": digit}
    figures |= {"published": {}, "random": 0, "failures": []}

    def hear(event: Event) -> None:
        if event["kind"] == "progress":
            step(event["what"], event["done"], event["total"])
        else:
            figures[event["kind"]] = event["ran"]
            figures["failures"] += event["failures"]

    environment = gcm.environment(sboxes=sboxes, digit=digit)
    environment |= {"GCM_VECTORS": str(every), "GCM_MESSAGES": str(messages)}
    with tempfile.TemporaryDirectory(prefix="blindvisor-") as folder:
        try:
            run_bench(
                GcmEngine(sboxes=sboxes, digit=digit),
                gcm.__name__,
                Path(folder),
                seed=seed,
                timeout=timeout,
                internals=False,
                testcase=TESTS,
                env=environment,
                on_event=hear,
            )
        except AssertionError as error:
            if not figures["failures"]:  # a bench that ended early is a failure too
                figures["failures"].append(str(error))
    if not figures["published"] or figures["random"] != messages:
        figures["failures"].append("the bench did not tell what it ran")
    return figures
