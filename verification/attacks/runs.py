# SPDX-License-Identifier: Apache-2.0
"""Attacks on RTL, with or without a planted fault, in simulator processes of their own."""

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.compiled import CACHE
from blindvisor.sim.events import Event
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.session import ScenarioError, compile_machine, run_on_model, run_scenario
from blindvisor.sw.files import write_whole
from blindvisor.verification.attacks.attack import Attack, Outcome, Verdict
from blindvisor.verification.attacks.scenario import SCENARIO
from blindvisor.verification.controls.plant import HDL, Fault, generate_with

__all__ = ["carry_out", "carry_out_on_model", "machine", "ready_machine"]

Listener = Callable[[Outcome], None]


def machine(config: MachineConfig, fault: Fault | None = None) -> str:
    """Return the Verilog of a machine, from a cache if the gateware's source is the same."""
    if fault is None:
        return machine_verilog(config)
    key = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode())
    for path in sorted(HDL.rglob("*.py")):
        key.update(path.relative_to(HDL).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for edit in fault.edits:
        key.update("\0".join((edit.file, edit.old, edit.new, "")).encode())
    file = CACHE / f"planted-{key.hexdigest()[:20]}.v"
    if not file.is_file():
        text = generate_with(fault, config)
        CACHE.mkdir(parents=True, exist_ok=True)
        write_whole(file, text.encode())
    return file.read_text()


def ready_machine(config: MachineConfig, fault: Fault | None = None) -> str:
    """Return the Verilog, once its simulator is built too.

    One with a fault is built in a hurry: it only runs for its few controls.
    """
    verilog = machine(config, fault)
    compile_machine(verilog, fast=fault is None)
    return verilog


def carry_out(
    attacks: Sequence[Attack],
    *,
    config: MachineConfig,
    fault: Fault | None = None,
    folder: Path | None = None,
    on_outcome: Listener = lambda outcome: None,
) -> list[Outcome]:
    """Carry out attacks on the RTL of one machine.

    ``fault``: planted in it; ``folder``: gets the log, and must be another one for each process
    that does this at the same time.

    An attack after which the machine cannot be used any more (with a fault, that happens) ends the
    simulation; the next one gets a fresh one.
    """
    verilog = ready_machine(config, fault)
    left = list(attacks)
    outcomes: list[Outcome] = []
    if folder is None:
        planted = fault.name if fault is not None else "shipped"
        folder = CACHE.parent / "attacks" / f"{config.name}-{planted}"
    while left:
        got: list[Outcome] = []

        def listen(event: Event, got: list[Outcome] = got) -> None:
            if event["kind"] == "outcome":
                outcome = Outcome.from_dict({k: v for k, v in event.items() if k != "kind"})
                got.append(outcome)
                on_outcome(outcome)

        root_key, params = _params(left)
        try:
            run_scenario(
                verilog,
                SCENARIO,
                params,
                config=config,
                root_key=root_key,
                build_dir=folder,
                fast=fault is None,
                on_event=listen,
            )
        except ScenarioError as error:
            outcome = Outcome(name=left[len(got)].name, verdict=Verdict.BROKEN, problem=error.trace)
            got.append(outcome)
            on_outcome(outcome)
        outcomes += got
        left = left[len(got) :]
    return outcomes


def carry_out_on_model(
    attacks: Sequence[Attack],
    *,
    config: MachineConfig,
    on_outcome: Listener = lambda outcome: None,
) -> list[Outcome]:
    """Carry out attacks on the model of a machine, in this process."""

    def listen(event: Event) -> None:
        if event["kind"] == "outcome":
            on_outcome(Outcome.from_dict({k: v for k, v in event.items() if k != "kind"}))

    root_key, params = _params(attacks)
    found = run_on_model(SCENARIO, params, config=config, root_key=root_key, on_event=listen)
    return [Outcome.from_dict(values) for values in found]


def _params(attacks: Sequence[Attack]) -> tuple[bytes, dict[str, object]]:
    """Key and secret are fresh: no attack may depend on them."""
    root_key, secret = secrets.token_bytes(32), secrets.token_bytes(16)
    return root_key, {
        "attacks": [attack.name for attack in attacks],
        "root_key": root_key.hex(),
        "secret": secret.hex(),
    }
