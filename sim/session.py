# SPDX-License-Identifier: Apache-2.0
"""Runs a scenario: on RTL in a simulator process of its own, or on the model."""

import importlib
import json
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.compiled import (
    CompiledModel,
    SimulatorError,
    compile_model,
    log_tail,
)
from blindvisor.sim.events import Event, Sink, deliver_to
from blindvisor.sim.runner import default_seed, simulate
from blindvisor.sim.store import FileStore
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.store import Store

__all__ = [
    "JOB_VARIABLE",
    "MACHINE_TOP",
    "Scenario",
    "ScenarioError",
    "compile_machine",
    "find_scenario",
    "power_on",
    "run_on_model",
    "run_scenario",
]

MACHINE_TOP = "blindvisor"
"""Top module of every machine."""

TILE = "blindvisor_tile"
"""Module that every machine has once per cluster."""

JOB_VARIABLE = "BLINDVISOR_JOB"
"""Holds, for the simulator's process, what to do, as JSON."""


Scenario = Callable[[Hypervisor, dict[str, Any]], Any]
"""A function of the hypervisor's layer and of parameters; both they and its result are JSON."""


class ScenarioError(Exception):
    """A scenario ended with an exception.

    Members
    -------
    error, message : :class:`str`
        Class and text of that exception.
    trace : :class:`str`
        Its traceback.
    """

    def __init__(self, error: str, message: str, trace: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
        self.trace = trace


def compile_machine(
    verilog: str,
    *,
    sim: str | None = None,
    fast: bool = True,
    trace: bool = False,
    watched: Sequence[tuple[str, str]] = (),
    cache: Path | None = None,
) -> CompiledModel:
    """Return the compiled model of a machine, as :func:`run_scenario` uses it."""
    return compile_model(
        verilog,
        top=MACHINE_TOP,
        sim=sim,
        internals=False,
        fast=fast,
        trace=trace,
        own_clock=True,
        repeated=TILE if f"module {TILE}(" in verilog else None,
        watched=watched,
        cache=cache,
    )


def run_scenario(
    verilog: str,
    scenario: str,
    params: dict[str, Any],
    *,
    config: MachineConfig,
    root_key: bytes,
    build_dir: Path,
    store: Path | None = None,
    epoch: bool = True,
    sim: str | None = None,
    fast: bool = True,
    seed: int | None = None,
    vcd: Path | None = None,
    watched: Sequence[tuple[str, str]] = (),
    timeout_cycles: int = 10_000_000,
    timeout: float = 1800.0,
    on_event: Sink | None = None,
) -> Any:
    """Run ``scenario`` on the RTL of a machine and return its result.

    Parameters
    ----------
    verilog : :class:`str`
        The machine: what ``generate(config)`` returns, possibly with a planted fault.
    scenario : :class:`str`
        ``module:function``: called with a :class:`Hypervisor` and ``params`` in the simulator's
        process; it may :func:`~blindvisor.sim.events.emit` events.
    params : :class:`dict`
        What JSON can hold; big things by file name.
    config, root_key
        The machine's configuration and its root key (32 bytes), which the bench stands in for.
    build_dir : :class:`~pathlib.Path`
        Receives log and results.
    store, epoch
        See :func:`power_on`.
    fast : :class:`bool`
        Whether to spend compile time on speed; not worth it for a machine that runs briefly, once.
    vcd : :class:`~pathlib.Path`
        Where to write a trace (Verilator only; several times slower).
    watched : pairs of :class:`str`
        Signals that the scenario can record (:mod:`~blindvisor.sim.recording`; Verilator only).
    timeout_cycles : :class:`int`
        Cycles after which the scenario's next access raises :exc:`LinkTimeout`.
    timeout : :class:`float`
        Wall-clock seconds, compilation not included.
    on_event : callable
        Called with each event, as it happens.

    Raises
    ------
    :exc:`ScenarioError`
        If the scenario raised something.
    :exc:`~blindvisor.sim.compiled.SimulatorError`
        If the simulator could not be built, died, or took too long.
    :exc:`~blindvisor.sim.store.StoreFileError`
        If the store is none.

    Notes
    -----
    Memory without reset starts with random contents, made from the seed, as after power-on.
    """
    if store is not None:
        FileStore(store, config.store_rows)  # told here, not from inside of the simulator
    model = compile_machine(verilog, sim=sim, fast=fast, trace=vcd is not None, watched=watched)
    seed = default_seed() if seed is None else seed
    arguments: list[str] = []
    if model.simulator == "verilator":
        arguments += ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (1 << 31) or 1}"]
    if vcd is not None:
        if model.simulator != "verilator":
            raise SimulatorError(f"a trace needs verilator, not {model.simulator}")
        arguments += ["--trace", str(vcd.resolve())]
    build_dir.mkdir(parents=True, exist_ok=True)
    log = build_dir / f"{scenario.rpartition(':')[2]}.{model.simulator}.log"
    job = {
        "scenario": scenario,
        "params": params,
        "config": config.as_dict(),
        "root_key": root_key.hex(),
        "store": None if store is None else str(store.resolve()),
        "epoch": epoch,
        "cycles": timeout_cycles,
        "own_clock": model.own_clock,
    }
    ended: list[Event] = []

    def listen(event: Event) -> None:
        if event["kind"] in ("result", "failure"):
            ended.append(event)
        elif on_event is not None:
            on_event(event)

    simulate(
        model,
        "blindvisor.sim.scenario",
        log,
        seed=seed,
        timeout=timeout,
        env={JOB_VARIABLE: json.dumps(job)},  # no file: it holds the root key
        arguments=arguments,
        on_event=listen,
    )
    if not ended:
        raise SimulatorError(f"the scenario ended without a result; end of {log}:\n{log_tail(log)}")
    if ended[0]["kind"] == "failure":
        raise ScenarioError(ended[0]["error"], ended[0]["message"], ended[0]["trace"])
    return ended[0]["value"]


def run_on_model(
    scenario: str,
    params: dict[str, Any],
    *,
    config: MachineConfig,
    root_key: bytes,
    store: Path | None = None,
    epoch: bool = True,
    on_event: Sink | None = None,
) -> Any:
    """Run the same scenario on the model of the machine, in this process; return its result.

    Parameters are those of :func:`run_scenario`.

    Raises
    ------
    :exc:`ScenarioError`
        If the scenario raised something.
    """
    function = find_scenario(scenario)
    with deliver_to(on_event or (lambda event: None)):
        try:
            kept, number = power_on(config, store, epoch=epoch)
            link = ModelLink(config, root_key=root_key, store=kept, epoch=number)
            return function(Hypervisor(link), params)
        except Exception as error:
            raise ScenarioError(type(error).__name__, str(error), traceback.format_exc()) from error


def power_on(config: MachineConfig, file: Path | None, *, epoch: bool) -> tuple[Store, int | None]:
    """Switch a machine on: return its store and the epoch that it gets.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    file : :class:`~pathlib.Path` or None
        Keeps the store, and the number of power-ons, from one simulation to the next
        (:class:`~blindvisor.sim.store.FileStore`). None: it is the first power-on ever.
    epoch : :class:`bool`
        Whether the key store gives an epoch: the number of power-ons.
    """
    store = Store(config.store_rows) if file is None else FileStore(file, config.store_rows)
    number = store.power_on()
    return store, number if epoch else None


def find_scenario(name: str) -> Scenario:
    """Return the function that ``module:function`` names.

    Raises
    ------
    :exc:`ValueError`
        If there is none.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"scenario must be an importable module:function, not {name}") from error
