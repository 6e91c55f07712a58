# SPDX-License-Identifier: Apache-2.0
"""Attacks on what a VM leaves behind."""

from blindvisor.hdl.abi import Call, HypervisorRegister, Result
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.world import SPARE, VICTIM, World

__all__ = ["RESIDUE_ATTACKS"]


def _forensics(world: World) -> None:
    world.call(Call.VM_DESTROY, VICTIM, expect=Result.OK)
    world.victim_lives = False
    world.search(world.home, "the destroyed victim")


def _forensics_frozen(world: World) -> None:
    """Destroy a frozen VM, and try to take its clusters before they are scrubbed."""
    link, register, home = world.link, HypervisorRegister, world.home
    world.call(Call.VM_FREEZE, VICTIM, expect=Result.OK)
    world.victim_lives = False
    world.hypervisor.begin(Call.VM_DESTROY, VICTIM)
    for n, argument in enumerate((SPARE, home.x, home.y, home.width, home.height)):
        link.write(register.ARG0.value + 4 * n, argument)
    taken = world.write_port(register.COMMAND.value, Call.VM_CREATE.value)
    world.note(
        "vm_create in the victim's place during its vm_destroy", "taken" if taken else "bus error"
    )
    world.hypervisor.finish()
    if world.vm_state(SPARE).value:
        world.hypervisor.vm_destroy(SPARE)
    world.search(home, "the victim, destroyed while frozen")


RESIDUE_ATTACKS = (
    attack("forensics", _forensics),
    attack("race-the-scrub", _forensics_frozen),
)
"""By how the VM went."""
