# SPDX-License-Identifier: Apache-2.0
"""Attacks of many accesses at once, and what they or a key change in the time of others.

The machine model has no cycles, so there those with a clock only run their programs.
"""

from typing import Any

from blindvisor.hdl.abi import Result
from blindvisor.sw.image.pack import Secrets, pack
from blindvisor.verification.attacks.assembly import Assembler
from blindvisor.verification.attacks.attack import Attack, Threat
from blindvisor.verification.attacks.memory import STOLEN, foreign_bases
from blindvisor.verification.attacks.programs import Probe, ProbeKind, prober
from blindvisor.verification.attacks.timing import TARGET, measure, row_of
from blindvisor.verification.attacks.world import (
    ACCOMPLICE,
    ACCOMPLICE_TTY,
    SPARE,
    VICTIM,
    Place,
    World,
)
from blindvisor.verification.rv32 import csrw, li, sw

__all__ = ["INTERFERENCE_ATTACKS"]

_SPARE_TTY = 2
_FRAME = 4096  # cycles: whole frames of the I/O network on every machine
_KEYS = 12
_MTVEC = 0x305


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


def _storm(target: int) -> bytes:
    """Return a guest that stores to one address for ever, whatever it is answered."""
    a = Assembler()
    a.la(3, "again")
    a.emit(csrw(_MTVEC, 3), li(5, target))
    a.label("again")
    a.emit(sw(0, 5))
    a.jump("again")
    return a.finish()


def _flood_the_mesh(world: World) -> None:
    home, row = world.home, row_of(world)
    world.hypervisor.vm_destroy(VICTIM)
    world.victim_lives = False
    targets = [TARGET, (row.width - 1) << 28 | TARGET]
    alone = measure(world, targets)
    # At the cluster that the remote loads go to: there both would meet.
    x, y = (row.x + row.width - 1 - home.x) & 15, (row.y - home.y) & 15
    program = _storm(x << 28 | y << 24 | TARGET)
    world.start(ACCOMPLICE, home, program)
    beside = measure(world, targets)
    if alone is None or beside is None:
        return
    for what, before, after in zip(("local", "remote"), alone, beside, strict=True):
        same = before == after
        world.note(f"time {len(before)} {what} loads, twice", "the same" if same else "they differ")
        if not same:
            world.gain(f"{what} loads: {before} cycles alone, {after} beside a storm of stores")


def _time_of_load(world: World) -> None:
    """Loads of the same program under random keys, each from the same place in a frame on."""
    link: Any = world.link
    place = world.next_door
    times = []
    for _ in range(_KEYS):
        secrets = Secrets.fresh()
        image = pack([prober([])], width=1, height=1, root_key=world.root_key, test_secrets=secrets)
        vm = world.hypervisor.vm_create(ACCOMPLICE, x=place.x, y=place.y, width=1, height=1)
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
    Attack(
        name="two-attackers",
        threat=Threat.BOTH,
        promises=("P2", "P8"),
        goal="get a store through while others keep the checks busy",
        steps=("two VMs store to the victim at once", "the hypervisor asks for its state"),
        denial="an access fault for each store; the victim finds its memory intact",
        controls=("borders-open",),
        run=_two_attackers,
        shown=False,
    ),
    Attack(
        name="flood-the-mesh",
        threat=Threat.VM,
        promises=("P12",),
        goal="slow another VM's accesses down by stores to its clusters",
        steps=("time local and remote loads", "again while two clusters store there for ever"),
        denial="the same cycles, load by load: no packet of the attacker leaves its cluster",
        controls=("borders-open",),
        modelled_on="covert channel over a commercial mesh (Don't Mesh Around)",
        run=_flood_the_mesh,
        shown=False,
    ),
    Attack(
        name="time-of-load",
        threat=Threat.HYPERVISOR,
        promises=("P7",),
        goal="learn of a key by the time that a load takes",
        steps=(f"time loads of the same program under {_KEYS} keys",),
        denial="the same cycles",
        controls=("cipher-time-of-key",),
        run=_time_of_load,
        shown=False,
    ),
)
"""By what is kept busy."""
