# SPDX-License-Identifier: Apache-2.0
"""Fuzzing on RTL, with or without a planted fault; reproducers as files, and their replay."""

import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

from blindvisor.hdl.config import ConfigurationError, MachineConfig
from blindvisor.sim.compiled import CACHE
from blindvisor.sim.events import Sink
from blindvisor.sim.session import run_scenario
from blindvisor.sw.files import write_whole
from blindvisor.verification.attacks.runs import ready_machine
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import Fault, together
from blindvisor.verification.fuzz import crowd
from blindvisor.verification.fuzz.actions import ProgramSource
from blindvisor.verification.fuzz.scenario import FUZZERS, PROGRAM

__all__ = ["FOLDER", "MACHINES", "ReproducerError", "fault_named", "fuzz", "replay"]

MACHINES = {
    "calls": MachineConfig(
        name="fuzz-calls",
        width=2,
        height=2,
        vms=3,
        memory_bytes=1024,
        attest_channels=1,
        store_rows=2,
    ),
    "guests": MachineConfig(
        name="fuzz-guests",
        width=2,
        height=2,
        vms=3,
        memory_bytes=8192,
        attest_channels=1,
        store_rows=2,
    ),
}
"""What each fuzzer runs on unless told otherwise: little to scrub and few rows, so that calls are
quick and the store gets full; room for programs."""

FOLDER = CACHE.parent / "fuzz"
"""Logs and reproducers; it may be deleted at any time."""

SHRINKING, TRIES = 240.0, 120
"""Seconds and runs that a finding may be shrunk for."""

_LONGEST = 1 << 40  # cycles: the budget ends a run, not this


class ReproducerError(ValueError):
    """A file that is no reproducer of this version."""


def fault_named(names: str | None) -> Fault | None:
    """Return the planted fault of a name, or several with ``+`` between them as one.

    Raises
    ------
    :exc:`ValueError`
        If there is none of that name.
    """
    if names is None:
        return None
    faults = []
    for name in names.split("+"):
        if name not in FAULTS:
            raise ValueError(f"fault must be one of {', '.join(FAULTS)}, not {name}")
        faults.append(FAULTS[name])
    return faults[0] if len(faults) == 1 else together(faults)


def fuzz(
    kind: str,
    *,
    seed: int,
    total: int,
    config: MachineConfig | None = None,
    fault: str | None = None,
    seconds: float = 600.0,
    shrinking: float = SHRINKING,
    tries: int = TRIES,
    folder: Path = FOLDER,
    on_event: Sink | None = None,
) -> dict[str, Any]:
    """Fuzz until the budget is used up, or a difference between machine and model is found.

    Parameters
    ----------
    kind : :class:`str`
        ``calls`` or ``guests``.
    seed : :class:`int`
        All that is random comes from it.
    total : :class:`int`
        Monitor calls, or cycles.
    config : :class:`~blindvisor.hdl.config.MachineConfig` or None
        The machine; None: that of :data:`MACHINES`.
    fault : :class:`str` or None
        Planted in the machine, see :func:`fault_named`.
    seconds : :class:`float`
        Of wall-clock time after which nothing new is begun.
    shrinking, tries : :class:`float`, :class:`int`
        Seconds and runs that a finding may be shrunk for.
    folder : :class:`~pathlib.Path`
        Gets logs, and a reproducer if something is found.

    Returns
    -------
    :class:`dict`
        What :func:`~blindvisor.verification.fuzz.scenario.fuzz_calls` returns, with ``kind``,
        ``seed`` and, if something is found, its ``file`` and whether it was ``confirmed``: seen
        again from that file in a fresh simulation.
    """
    config = config if config is not None else MACHINES[kind]
    if kind == "guests":
        crowd.check_crowd(config)
    root_key = Random(f"root key {seed}").randbytes(32)
    params = {"seed": seed, "total": total, "seconds": seconds}
    params |= {"shrink": shrinking, "tries": tries}
    result = _run(
        FUZZERS[kind][0],
        params,
        kind,
        seed,
        config,
        root_key,
        fault,
        folder,
        seconds=seconds + 2 * shrinking + 120,
        on_event=on_event,
    )
    result |= {"kind": kind, "seed": seed, "config": config.name}
    if result["found"] is not None:
        _keep(result, config, root_key, fault, folder)
    return result


def _keep(
    result: dict[str, Any],
    config: MachineConfig,
    root_key: bytes,
    fault: str | None,
    folder: Path,
) -> None:
    """Write the reproducer; if what is short does not fail in a fresh machine, the whole one."""
    kind, seed, found = result["kind"], result["seed"], result["found"]
    content = {
        "reproducer": 1,
        "kind": kind,
        "config": config.as_dict(),
        "root_key": root_key.hex(),
        "fault": fault,
        "seed": seed,
        **found,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    path = folder / f"{kind}-{seed}-{found['program']}-{digest}.json"
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in ("shrunk", "whole"):
        if attempt == "whole":
            content |= _whole(kind, seed, found["program"], config, root_key)
        write_whole(path, (json.dumps(content, indent=1) + "\n").encode())
        found["confirmed"] = bool(replay(path, folder=folder))
        if found["confirmed"]:
            break
    found["file"] = str(path)


def _whole(
    kind: str, seed: int, program: int, config: MachineConfig, root_key: bytes
) -> dict[str, Any]:
    rng = Random(f"{seed}/{program}")
    if kind == "guests":
        return {"crowd": crowd.crowd(rng, config).as_dict()}
    source = ProgramSource(config, root_key=root_key)
    return {"actions": [action.as_dict() for action in source.program(rng, PROGRAM)]}


def replay(path: Path, *, folder: Path = FOLDER, plant: bool = True) -> str:
    """Run a reproducer on a fresh machine; return the difference, empty if there is none.

    Parameters
    ----------
    path : :class:`~pathlib.Path`
        What :func:`fuzz` wrote.
    folder : :class:`~pathlib.Path`
        Gets the log.
    plant : :class:`bool`
        Whether the fault with which it was found is planted again.

    Raises
    ------
    :exc:`ReproducerError`
        If the file is none.
    """
    try:
        content = json.loads(path.read_text())
        if content["reproducer"] != 1:
            raise ReproducerError(
                f"{path} must be a reproducer of version 1, not {content['reproducer']}"
            )
        kind, seed, fault = content["kind"], content["seed"], content["fault"]
        config = MachineConfig(**content["config"])
        root_key = bytes.fromhex(content["root_key"])
        what = {"calls": "actions", "guests": "crowd"}[kind]
        params = {what: content[what]}
    except ReproducerError:
        raise
    except (ValueError, KeyError, TypeError, ConfigurationError) as error:
        raise ReproducerError(f"{path} must be a file that fuzzing wrote: {error!r}") from error
    scenario = FUZZERS[kind][1]
    fault = fault if plant else None
    result = _run(scenario, params, kind, seed, config, root_key, fault, folder, seconds=600.0)
    return result["message"]


def _run(
    scenario: str,
    params: dict[str, Any],
    kind: str,
    seed: int,
    config: MachineConfig,
    root_key: bytes,
    fault: str | None,
    folder: Path,
    *,
    seconds: float,
    on_event: Sink | None = None,
) -> dict[str, Any]:
    planted = fault_named(fault)
    return run_scenario(
        ready_machine(config, planted),
        scenario,
        params | {"root_key": root_key.hex()},
        config=config,
        root_key=root_key,
        build_dir=folder / f"{kind}-{seed}",
        fast=planted is None,
        seed=seed,
        timeout_cycles=_LONGEST,
        timeout=seconds,
        on_event=on_event,
    )
