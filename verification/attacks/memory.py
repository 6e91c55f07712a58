# SPDX-License-Identifier: Apache-2.0
"""Attacks of a VM on what lies outside its rectangle."""

from blindvisor.hdl.abi import (
    REGISTER_OFFSET,
    WINDOW_OFFSET,
    ChannelRegister,
    Fault,
    GuestRegister,
)
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.guests.expected import ATTACKER_CLASSES, attacker_tries
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.attack import Step, attack
from blindvisor.verification.attacks.programs import (
    CORE_MAILBOX,
    SECRET_OFFSET,
    Probe,
    ProbeKind,
    channel_address,
)
from blindvisor.verification.attacks.world import (
    ACCOMPLICE_TTY,
    VICTIM_TTY,
    Place,
    World,
)

__all__ = ["MEMORY_ATTACKS", "STOLEN", "foreign_bases", "judge_attacker"]

STOLEN = 0xBADC_0DE5
"""What attackers store."""

_OFFSETS = (
    SECRET_OFFSET,
    0,
    REGISTER_OFFSET + GuestRegister.COORDINATES.value,
    CORE_MAILBOX,
    WINDOW_OFFSET,
)


def foreign_bases(world: World, origin: Place) -> list[int]:
    """Bases of all clusters outside a VM of one cluster at ``origin``, as its guest names them.

    The victim's come first, by the coordinates that lead there if nobody checks: relative to the
    attacker's place, and as they are in the mesh.
    """
    home = world.home
    first = [
        (x, y)
        for x0, y0 in ((home.x - origin.x, home.y - origin.y), (home.x, home.y))
        for x, y in ((x0, y0), (x0 + 1, y0))
    ]
    rest = [(x, y) for y in range(16) for x in range(16)]
    places = dict.fromkeys((x & 15, y & 15) for x, y in (*first, *rest))
    return [x << 28 | y << 24 for x, y in places if (x, y) not in ((0, 0), (15, 15))]


def _probe_foreign(world: World, kind: ProbeKind) -> None:
    probes = [
        Probe(kind, base + offset, STOLEN)
        for number, base in enumerate(foreign_bases(world, world.next_door))
        for offset in (_OFFSETS if number < 4 else _OFFSETS[:1])
    ]
    found = world.probe(probes)
    trapped = "no end" if found.traps is None else f"{found.traps} access faults"
    world.note(f"{len(probes)} {kind.name.lower()}s outside the rectangle", trapped)
    world.saw(found.data, "loads outside the rectangle")
    for address, word in found.words[:1]:
        world.gain(f"a load at {address:#010x} was answered with {word:#010x}")
    for address in found.stored[:1]:
        world.gain(f"a store at {address:#010x} was answered without an error")
    if found.traps is None:
        # The denied access of a core that hangs: no data, so by itself no gain here.
        world.surprises.append("an access got no answer at all")


def _read_outside(world: World) -> None:
    _probe_foreign(world, ProbeKind.LOAD)


def _write_outside(world: World) -> None:
    _probe_foreign(world, ProbeKind.STORE)


def _cross_the_border(world: World) -> None:
    bases = foreign_bases(world, world.next_door)
    found = world.probe([Probe(ProbeKind.LOAD, base + SECRET_OFFSET) for base in bases])
    index = world.next_door.clusters(world.config)[0]
    status = world.hypervisor.cluster_status(index)
    world.note(
        f"{len(bases)} packets to other rectangles",
        f"{found.traps} access faults; record: {status.faults} x {status.first_fault.name}",
    )
    if found.traps is None:
        world.gain("an access got no answer: its packet left, or the core hangs")
    if status.first_fault is not Fault.OUTSIDE or status.faults != len(bases):
        world.gain(f"the attacker's SMMU recorded {status.faults} of {len(bases)} packets")


def _foreign_channels(world: World) -> None:
    typed = world.secret[:4]
    world.link.tty_write(VICTIM_TTY, typed)
    world.link.advance(8_000)
    pages = [channel_address(guest) for guest in range(1, 64)]
    probes = [Probe(ProbeKind.LOAD, page + ChannelRegister.STATUS.value) for page in pages]
    probes += [
        Probe(ProbeKind.LOAD, page + ChannelRegister.DATA.value)
        for page in pages[:16]
        for _ in range(4)
    ]
    found = world.probe(probes)
    world.note(f"{len(probes)} reads of channels never granted", f"{found.traps} access faults")
    world.saw(found.data, "channels of others")
    for address, word in found.words[:1]:
        world.gain(f"channel register {address:#010x} answered {word:#x}")


def _record(world: World, probes: list[Probe]) -> tuple[int, Fault]:
    """Make accesses that are all denied; return what the attacker's SMMU recorded of them."""
    found = world.probe(probes)
    (index,) = world.next_door.clusters(world.config)
    status = world.hypervisor.cluster_status(index)
    world.note(
        f"{len(probes)} accesses, {found.traps} access faults",
        f"record: {status.faults} x {status.first_fault.name}",
    )
    return status.faults, status.first_fault


def _cover_tracks(world: World) -> None:
    """What the record must hold is the first denial, whatever comes behind it."""
    outside = Probe(ProbeKind.LOAD, foreign_bases(world, world.next_door)[0])
    noise = [Probe(ProbeKind.LOAD, channel_address(guest)) for guest in range(1, 9)] * 4
    count, first = _record(world, [outside, *noise])
    if first is not Fault.OUTSIDE:
        world.gain(f"the record says {first.name}: the first denial was overwritten")
    if count != len(noise) + 1:
        world.gain(f"the SMMU counted {count} of {len(noise) + 1} denials")


def _knock_quietly(world: World) -> None:
    knocks = [Probe(ProbeKind.LOAD, channel_address(guest)) for guest in range(1, 9)] * 4
    count, _ = _record(world, knocks)
    if count != len(knocks):
        world.gain(f"the SMMU counted {count} of {len(knocks)} accesses without a channel")


def _attacker_guest(world: World) -> None:
    config = world.config
    memories = read_guest(BIN / "attacker.elf", width=1, height=1, memory_bytes=config.memory_bytes)
    vm = world.create()
    vm.load(pack(memories, width=1, height=1, root_key=world.root_key))
    vm.grant(ACCOMPLICE_TTY, 0)
    vm.start()
    said = b""
    for _ in range(40):
        said += world.hear(ACCOMPLICE_TTY, lambda text: b"[exit" in text)
        if b"[exit" in said and said.endswith(b"\n"):
            break
    steps, gains = judge_attacker(said.decode(errors="replace"), attacker_tries(1, 1, config.cores))
    world.steps += steps
    world.gains += gains


def judge_attacker(text: str, tries: dict[str, int]) -> tuple[list[Step], list[str]]:
    """Return what the attacker guest tried, and what it got, from what it printed.

    Whatever is not "all tried, all trapped" is a gain, not finishing too: P8 promises an answer to
    every access.
    """
    lines = text.splitlines()
    steps, gains = [], []
    for name in ATTACKER_CLASSES:
        wanted = f"{name}: {tries[name]} tried, {tries[name]} trapped, 0 leaked"
        line = next((line for line in lines if line.startswith(f"{name}:")), None)
        steps.append(Step(name, line.partition(": ")[2] if line is not None else "not finished"))
        if line != wanted:
            gains.append(f"attacker: {line or f'{name} did not finish'}")
    if not gains and lines[-1:] != ["[exit 0]"]:
        gains.append(f"attacker: ended with {' '.join(lines[-1:])}")
    return steps, gains


MEMORY_ATTACKS = (
    attack("read-outside", _read_outside),
    attack("write-outside", _write_outside),
    attack("cross-the-border", _cross_the_border),
    attack("foreign-channels", _foreign_channels),
    attack("cover-tracks", _cover_tracks, shown=False),
    attack("knock-quietly", _knock_quietly, shown=False),
    attack("attacker-guest", _attacker_guest),
)
"""By what is in the way."""
