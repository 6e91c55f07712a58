# SPDX-License-Identifier: Apache-2.0
"""Attacks of a compromised hypervisor through its port: reading, writing, stealing."""

from blindvisor.hdl.abi import Call, ClusterState, HypervisorRegister, Result, StatusKind, VmState
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import searcher
from blindvisor.verification.attacks.world import ACCOMPLICE, SPARE, VICTIM, Place, World

__all__ = ["OWNERSHIP_ATTACKS"]

_PORT = range(0x1000)
_WORDS = range(0, 0x1000, 4)
_ARGUMENTS = range(HypervisorRegister.ARG0.value, HypervisorRegister.ARG4.value + 4, 4)


def _scan_port(world: World) -> None:
    hypervisor = world.hypervisor
    answered = world.scan_port(_PORT, "while the victim runs")
    world.note(f"read all {len(_PORT)} addresses", f"{answered} registers answer")
    # The same image again: plaintext passes through the I/O cluster now.
    place = world.next_door
    width = world.home.width
    at = (place.x, place.y) if world.config.width >= place.x + width else (0, 0)
    hypervisor.vm_create(ACCOMPLICE, x=at[0], y=at[1], width=width, height=1)
    image = world.victim_image()
    scans = 0

    def watch(sent: int) -> None:
        nonlocal scans
        scans += 1
        world.scan_port(_WORDS, f"after {sent} bytes of a load")

    hypervisor.vm_load(ACCOMPLICE, image, progress=watch)
    world.note("read all registers during a load", f"{scans} times, nothing")
    world.scan_port(_WORDS, "right after a load")
    hypervisor.vm_freeze(VICTIM)
    world.scan_port(_WORDS, "while the victim is frozen")
    hypervisor.vm_resume(VICTIM)
    world.note("read all registers of a frozen victim's machine", "nothing")


def _dump_status(world: World) -> None:
    kinds = (*range(8), 0xFFFF_FFFF)
    indices = range(max(world.config.clusters, world.config.vms, world.config.channels) + 2)

    def dump(when: str) -> None:
        values = []
        for kind in kinds:
            for index in (*indices, 0xFFFF_FFFF):
                world.hypervisor.invoke(Call.STATUS, kind, index)
                values += world.hypervisor.values()
        for cluster in world.home.clusters(world.config) * 8:
            if world.hypervisor.invoke(Call.STATUS, StatusKind.CLUSTER.value, cluster) is Result.OK:
                values += world.hypervisor.values()
        world.note(f"every STATUS {when}", f"{len(values)} words, no secret")
        world.saw_words(values, f"STATUS {when}")

    dump("while it runs")
    world.hypervisor.vm_freeze(VICTIM)
    dump("while it is frozen")
    world.hypervisor.vm_resume(VICTIM)


def _dump_status_running(world: World) -> None:
    """Only while the victim runs: what a cluster must refuse by itself."""
    values = []
    for cluster in world.home.clusters(world.config) * 16:
        if world.hypervisor.invoke(Call.STATUS, StatusKind.CLUSTER.value, cluster) is Result.OK:
            values += world.hypervisor.values()
    world.note("STATUS of its clusters, again and again", f"{len(values)} words, no secret")
    world.saw_words(values, "STATUS")


def _write_port(world: World) -> None:
    before = world.all_status()
    register = HypervisorRegister
    skip = {register.COMMAND.value, *_ARGUMENTS}
    taken = []
    for value in (Call.VM_DESTROY.value, 0xFFFF_FFFF):
        for n in _ARGUMENTS:
            world.link.write(n, VICTIM)
        taken = [at for at in _PORT if at not in skip and world.write_port(at, value)]
        world.link.advance(2_000)
    world.note(
        f"write all {len(_PORT)} addresses",
        f"{len(taken)} take it: {', '.join(f'{at:#05x}' for at in taken)}",
    )
    world.link.write(register.STATUS.value, 1)
    if world.all_status() != before:
        world.gain("writes of addresses that start no call have changed owners or states")
        world.victim_lives = False


def _overlaps(world: World) -> list[Place]:
    """All rectangles of the mesh that hold a cluster of the victim, the smallest first."""
    config = world.config
    home = set(world.home.clusters(config))
    places = [
        Place(x, y, width, height)
        for height in range(1, config.height + 1)
        for width in range(1, config.width + 1)
        for y in range(config.height - height + 1)
        for x in range(config.width - width + 1)
    ]
    return [place for place in places if home & set(place.clusters(config))]


def _steal_cluster(world: World) -> None:
    before = world.all_status()
    places = _overlaps(world)
    results = []
    for place in places:
        result = world.hypervisor.invoke(
            Call.VM_CREATE, SPARE, place.x, place.y, place.width, place.height
        )
        results.append(result)
        if result is Result.OK:
            break
    refused = sum(result is Result.OCCUPIED for result in results)
    world.note(
        f"vm_create over the victim, {len(results)} rectangles",
        f"{refused} x OCCUPIED" + (f", then {results[-1].name}" if refused < len(results) else ""),
    )
    if world.all_status() == before:
        if refused < len(results):
            world.surprises.append(f"vm_create over the victim gave {set(results)}")
        return
    place = places[len(results) - 1]
    stolen = place.clusters(world.config)[0]
    owner = world.hypervisor.cluster_status(stolen).owner
    world.gain(f"cluster {stolen} of the running victim now belongs to VM {owner}")
    world.hypervisor.vm_load(SPARE, world.pack(searcher(world.config.memory_bytes)))
    world.hypervisor.channel_grant(2, SPARE, 0)
    world.hypervisor.vm_start(SPARE)
    found = world.frames(2)
    world.note("search the stolen cluster", f"{len(found.words)} words that are not zero")
    world.saw(found.data, "the stolen cluster")


def _beyond_the_mesh(world: World) -> None:
    config = world.config
    before = world.all_status()
    top = 0xFFFF_FFFF
    for x, y, width, height in (
        (config.width - 1, world.next_door.y, 2, 1),
        (world.next_door.x, config.height - 1, 1, 2),
        (config.width, 0, 1, 1),
        (0, config.height, 1, 1),
        (16, 0, 1, 1),
        (0, 0x100, 1, 1),
        (top, 0, 2, 1),
        (0, top, 1, 2),
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (0, 0, 0x21, 1),
        (0, 0, 16, 16),
        (0, 0, top, top),
    ):
        arguments = (SPARE, x, y, width, height)
        if world.call(Call.VM_CREATE, *arguments, expect=Result.BAD_RECTANGLE) is Result.OK:
            status = world.hypervisor.vm_status(SPARE)
            world.gain(
                f"a rectangle beyond the mesh ({width} x {height} at {x},{y}) became a VM of"
                f" {status.width} x {status.height} at {status.x},{status.y}"
            )
            return
    if world.all_status() != before:
        world.gain("a refused VM_CREATE has changed owners or states")


def _unknown_calls(world: World) -> None:
    place = world.next_door
    world.create()
    before = world.all_status()
    known = {call.value for call in Call if call is not Call.NONE}
    numbers = [n for n in range(0x40) if n not in known]
    numbers += [1 << bit | call for bit in range(6, 32) for call in (0, Call.VM_START.value)]
    for number in numbers:
        result = world.hypervisor.invoke(number, ACCOMPLICE, 0, 0, 1, 1)
        if result is not Result.UNKNOWN_CALL:
            world.surprises.append(f"call {number:#x} ended with {result.name}")
    world.note(f"{len(numbers)} call numbers that mean nothing", "UNKNOWN_CALL")
    status = world.hypervisor.cluster_status(place.clusters(world.config)[0])
    if status.state is ClusterState.RUNNING:
        world.gain("a VM without an image runs")
    elif world.all_status() != before:
        world.gain("a call that means nothing has changed owners or states")


def _overwrite_running(world: World) -> None:
    home = world.home
    image = world.pack(searcher(world.config.memory_bytes), home.width, home.height)
    world.load(VICTIM, image, expect=Result.WRONG_STATE, what="another image, victim running")
    world.link.advance(4_000)
    if world.vm_state(VICTIM) is VmState.RUNNING:
        world.hypervisor.vm_freeze(VICTIM)
        world.load(VICTIM, image, expect=Result.WRONG_STATE, what="another image, victim frozen")
        world.hypervisor.vm_resume(VICTIM)
    status = world.hypervisor.cluster_status(home.clusters(world.config)[0])
    if status.owner != VICTIM:
        world.victim_lives = False  # scrubbed: denied service, but nothing was overwritten


OWNERSHIP_ATTACKS = (
    attack("scan-port", _scan_port),
    attack("dump-status", _dump_status),
    attack("dump-running", _dump_status_running),
    attack("write-port", _write_port),
    attack("steal-cluster", _steal_cluster),
    attack("beyond-the-mesh", _beyond_the_mesh),
    attack("unknown-calls", _unknown_calls),
    attack("overwrite-running", _overwrite_running),
)
"""Reading, then writing."""
