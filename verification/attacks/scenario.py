# SPDX-License-Identifier: Apache-2.0
"""Carries out attacks on a running machine, be it RTL or the model."""

import traceback
from typing import Any

from blindvisor.sim.events import emit
from blindvisor.sw.hypervisor.errors import HypervisorError
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.hypervisor.link import LinkTimeout
from blindvisor.verification.attacks.attack import Attack, Outcome, Verdict
from blindvisor.verification.attacks.catalogue import find_attacks
from blindvisor.verification.attacks.world import World

__all__ = ["SCENARIO", "attack_machine"]

SCENARIO = f"{__name__}:attack_machine"


def attack_machine(hypervisor: Hypervisor, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Carry out ``params["attacks"]``, each on a fresh victim; return the outcomes.

    ``params["root_key"]`` and ``params["secret"]`` are hexadecimal. Emits an event ``outcome``
    after each. If a VM cannot be removed after an attack, the list ends there: whoever wants the
    others carried out too needs a fresh machine.
    """
    outcomes: list[Outcome] = []
    for attack in find_attacks(params["attacks"]):
        world = World(
            hypervisor,
            root_key=bytes.fromhex(params["root_key"]),
            secret=bytes.fromhex(params["secret"]),
        )
        outcome = _carry_out(attack, world)
        outcomes.append(outcome)
        emit("outcome", **outcome.as_dict())
        try:
            world.tear_down()
        except (HypervisorError, LinkTimeout):
            break
    return [outcome.as_dict() for outcome in outcomes]


def _carry_out(attack: Attack, world: World) -> Outcome:
    begin = getattr(world.link, "cycles", 0)
    problem = ""
    try:
        world.set_up()
        attack.run(world)
        world.judge()
    except Exception as error:
        # What was got before is got; without that, the attack proves nothing.
        problem = "".join(traceback.format_exception(error))
    verdict = Verdict.DENIED
    if world.gains:
        verdict = Verdict.SUCCEEDED
    elif problem:
        verdict = Verdict.BROKEN
    return Outcome(
        name=attack.name,
        verdict=verdict,
        gains=world.gains,
        surprises=world.surprises,
        steps=world.steps,
        problem=problem,
        cycles=getattr(world.link, "cycles", 0) - begin,
    )
