# SPDX-License-Identifier: Apache-2.0
"""Attacks with a stopwatch: what an access takes, and who can change that.

The machine model has no cycles, so there these attacks only run their programs.
"""

from collections.abc import Iterable

from blindvisor.hdl.abi import OWN_CLUSTER, REGISTER_OFFSET, GuestRegister
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.assembly import Assembler, sub
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import (
    channel_address,
    finish_frames,
    send_word_frame,
)
from blindvisor.verification.attacks.world import (
    ACCOMPLICE,
    ACCOMPLICE_TTY,
    SPARE,
    VICTIM,
    Place,
    World,
)
from blindvisor.verification.rv32 import addi, csrw, li, lw, sw

__all__ = ["TIMING_ATTACKS"]

_SPARE_TTY = 2
_ROUNDS = 8
_OWN = OWN_CLUSTER << 24
_TARGET = 0x700  # offset of the word that is read, past the program

_TIMES = 0xC00  # where the stopwatch keeps what it measured
_MTVEC = 0x305

LOCAL_CYCLES = 6
"""TIME to TIME around one load from own memory: three loads of the core, one after another.

This and the next number were measured on a machine whose SMMUs check nothing (planted fault
``flat-mesh``), so the shipped one is compared with a machine without protection.
"""

REMOTE_CYCLES = 15
"""The same around a load from the next cluster."""

HOP_CYCLES = 2
"""More for each cluster further away: one router more for the request, one for the answer."""


def stopwatch(targets: Iterable[int]) -> bytes:
    """Return a guest whose cluster (0, 0) times loads, and then sends the cycles of each.

    It first waits for its slot of the I/O network, so that where in a frame it was started, which
    is the hypervisor's choice, is not measured. The other clusters do nothing.
    """
    a = Assembler()
    a.la(3, "trap")
    a.emit(csrw(_MTVEC, 3), li(2, _OWN + REGISTER_OFFSET), li(10, channel_address(0)))
    a.emit(lw(7, 2, GuestRegister.COORDINATES.value))
    a.bne(7, 0, "other")
    a.emit(li(20, _OWN + _TIMES), addi(21, 0, _ROUNDS), addi(15, 0, 0), lw(7, 10))
    a.label("round")
    for target in targets:
        a.emit(li(5, target), lw(6, 2, GuestRegister.TIME.value), lw(7, 5))
        a.emit(lw(8, 2, GuestRegister.TIME.value), sub(8, 8, 6), sw(8, 20), addi(20, 20, 4))
    a.emit(addi(21, 21, -1))
    a.bne(21, 0, "round")
    a.emit(li(11, _OWN + _TIMES))
    a.label("send")
    a.emit(lw(13, 11))
    send_word_frame(a, address=11, word=13)
    a.emit(addi(11, 11, 4))
    a.bne(11, 20, "send")
    a.jump("end")
    a.label("trap")
    a.emit(addi(15, 0, 1))
    a.label("end")
    finish_frames(a)
    a.label("other")
    a.jump("other")
    if a.size > _TARGET:
        raise AssertionError(f"the stopwatch must fit below {_TARGET:#x}, not take {a.size} bytes")
    return a.finish()


def flooder() -> bytes:
    """Return a guest for 2 x 1 clusters that accesses its other cluster and its TTY for ever."""
    a = Assembler()
    a.emit(li(2, _OWN + REGISTER_OFFSET), li(10, channel_address(0)))
    a.emit(li(5, _TARGET), lw(7, 2, GuestRegister.COORDINATES.value))
    a.bne(7, 0, "flood")
    a.emit(li(5, 0x1000_0000 + _TARGET))
    a.label("flood")
    a.emit(lw(7, 10), sw(7, 5), lw(7, 10), lw(7, 5))
    a.jump("flood")
    return a.finish()


def _stores_for_ever(address: int) -> bytes:
    """Return a guest that stores to one address and does nothing else, not even anything first."""
    a = Assembler()
    a.emit(li(5, address))
    a.label("store")
    a.emit(sw(0, 5))
    a.jump("store")
    return a.finish()


def _first_load() -> bytes:
    """Return a guest whose first access reads TIME; it sends what it read.

    The access comes when the first store from the next cluster does (:func:`_stores_for_ever`).
    """
    a = Assembler()
    a.emit(li(2, _OWN + REGISTER_OFFSET), addi(0, 0, 0), addi(0, 0, 0))
    a.emit(lw(13, 2, GuestRegister.TIME.value), li(10, channel_address(0)), addi(15, 0, 0))
    a.emit(li(11, _OWN + REGISTER_OFFSET))
    send_word_frame(a, address=11, word=13)
    finish_frames(a)
    return a.finish()


def _row(world: World) -> Place:
    """Return the row of clusters that the stopwatch measures: the first one of the mesh."""
    return Place(0, 0, min(world.config.width, 4), 1)


def _measure(
    world: World,
    targets: list[int],
    *,
    flood: bool = False,
) -> list[list[int]] | None:
    """Run the stopwatch; return the cycles of each target in each round, None on the model."""
    world.start(SPARE, _row(world), stopwatch(targets), (_SPARE_TTY, 0))
    if flood:
        for _ in range(40):
            world.hypervisor.cluster_status(world.config.clusters - 1)
    found = world.frames(_SPARE_TTY)
    world.hypervisor.vm_destroy(SPARE)
    times = [word for _, word in found.words]
    if found.traps != 0 or len(times) != _ROUNDS * len(targets):
        raise RuntimeError(
            f"the stopwatch must measure {_ROUNDS * len(targets)} loads, not {len(times)},"
            f" without a trap ({found.traps})"
        )
    if not hasattr(world.link, "cycles"):
        return None
    return [times[n :: len(targets)] for n in range(len(targets))]


def _time_of_access(world: World) -> None:
    distances = range(_row(world).width)
    times = _measure(world, [distance << 28 | _TARGET for distance in distances])
    if times is None:
        return
    for distance, measured in zip(distances, times, strict=True):
        right = LOCAL_CYCLES if distance == 0 else REMOTE_CYCLES + HOP_CYCLES * (distance - 1)
        world.note(f"time loads {distance} clusters away", f"{sorted(set(measured))} cycles")
        if set(measured) != {right}:
            world.gain(
                f"a load {distance} clusters away takes {sorted(set(measured))} cycles; without"
                f" protection it takes {right}"
            )


def _listen_to_a_neighbour(world: World) -> None:
    home = world.home
    world.hypervisor.vm_destroy(VICTIM)
    world.victim_lives = False
    last = _row(world).width - 1
    targets = [_TARGET, last << 28 | _TARGET, channel_address(0)]
    alone = _measure(world, targets)
    world.start(ACCOMPLICE, home, flooder(), (ACCOMPLICE_TTY, 0))
    beside = _measure(world, targets, flood=True)
    if alone is None or beside is None:
        return
    for what, before, after in zip(("local", "remote", "I/O"), alone, beside, strict=True):
        same = before == after
        world.note(f"time {_ROUNDS} {what} loads, twice", "the same" if same else "they differ")
        if not same:
            world.gain(f"{what} loads: {before} cycles alone, {after} beside a busy neighbour")


def _inherit_the_order(world: World) -> None:
    hypervisor, home = world.hypervisor, world.home
    hypervisor.vm_destroy(VICTIM)
    world.victim_lives = False
    stays = Assembler()
    stays.label("stay")
    stays.jump("stay")
    idle, remote = stays.finish(), _stores_for_ever(_TARGET)
    times: list[int] = []
    for last in ([_stores_for_ever(_OWN + _TARGET), idle], [idle, remote]):
        for vm, tty, programs in (
            (ACCOMPLICE, ACCOMPLICE_TTY, last),
            (SPARE, _SPARE_TTY, [_first_load(), remote]),
        ):
            handle = hypervisor.vm_create(vm, x=home.x, y=home.y, width=2, height=1)
            handle.load(pack(programs, width=2, height=1, root_key=world.root_key))
            handle.grant(tty, 0)
            handle.start()
            if vm == SPARE:
                times += [word for _, word in world.frames(tty).words]
            hypervisor.vm_destroy(vm)
    after_own, after_remote = times
    if not hasattr(world.link, "cycles"):
        return
    world.note("time a first load that contends", f"{after_own} cycles after launch")
    world.note("the same after a VM that ended otherwise", f"{after_remote} cycles after launch")
    if after_own != after_remote:
        world.gain(
            f"the next VM's first load comes {after_own} or {after_remote} cycles after launch, as"
            " the last VM chose"
        )


TIMING_ATTACKS = (
    attack("time-of-access", _time_of_access),
    attack("listen-to-a-neighbour", _listen_to_a_neighbour),
    attack("inherit-the-order", _inherit_the_order),
)
"""By what is measured."""
