# SPDX-License-Identifier: Apache-2.0
"""Attacks of several VMs at once, and what a key changes in the time of a load.

The machine model has no cycles, so there the one with a clock only loads its images.
"""

from typing import Any

from blindvisor.hdl.abi import Result
from blindvisor.sw.image.pack import Secrets, pack
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.memory import STOLEN, foreign_bases
from blindvisor.verification.attacks.programs import Probe, ProbeKind, prober
from blindvisor.verification.attacks.world import (
    ACCOMPLICE,
    ACCOMPLICE_TTY,
    SPARE,
    Place,
    World,
)

__all__ = ["INTERFERENCE_ATTACKS"]

_SPARE_TTY = 2
_FRAME = 4096  # cycles: whole frames of the I/O network on every machine
_KEYS = 12


def _two_attackers(world: World) -> None:
    """Two VMs write at the same time, and the hypervisor asks for the victim's state."""
    second = Place(world.next_door.x + 1, world.next_door.y)
    clusters = world.home.clusters(world.config)
    for vm, tty, place in (
        (ACCOMPLICE, ACCOMPLICE_TTY, world.next_door),
        (SPARE, _SPARE_TTY, second),
    ):
        probes = [
            Probe(ProbeKind.STORE, base + offset, STOLEN)
            for base in foreign_bases(world, place)[:4]
            for offset in range(0x800, 0x880, 4)
        ]
        world.start(vm, place, prober(probes), (tty, 0))
    for n in range(40):
        world.hypervisor.cluster_status(clusters[n % len(clusters)])
    for tty in (ACCOMPLICE_TTY, _SPARE_TTY):
        found = world.frames(tty)
        world.note("128 stores, both at once", f"{found.traps} access faults")
        for address in found.stored[:1]:
            world.gain(f"a store at {address:#010x} was answered without an error")
        if found.traps is None:
            world.surprises.append("an access got no answer at all")


def _time_of_load(world: World) -> None:
    """Loads of the same program under random keys, each from the same place in a frame on."""
    link: Any = world.link
    times = []
    for _ in range(_KEYS):
        secrets = Secrets.fresh()
        image = pack([prober([])], width=1, height=1, root_key=world.root_key, test_secrets=secrets)
        vm = world.create()
        begin = getattr(link, "cycles", 0)
        link.advance(-begin % _FRAME)
        begin += -begin % _FRAME
        result = world.hypervisor.load(ACCOMPLICE, image)
        times.append(getattr(link, "cycles", 0) - begin)
        if result is not Result.OK:
            raise RuntimeError(f"an image of the attacker's must load, not {result.name}")
        vm.destroy()
    if not hasattr(link, "cycles"):
        return
    world.note(f"time {_KEYS} loads under {_KEYS} keys", f"{sorted(set(times))} cycles")
    if len(set(times)) != 1:
        world.gain(f"a load takes {sorted(set(times))} cycles, as its key is")


INTERFERENCE_ATTACKS = (
    attack("two-attackers", _two_attackers, shown=False),
    attack("time-of-load", _time_of_load, shown=False),
)
"""Stores, then a clock."""
