# SPDX-License-Identifier: Apache-2.0
"""Attacks on I/O channels and their interrupts, by a hypervisor that works with a VM of its own."""

from blindvisor.hdl.abi import REPORT_WORDS, Call, ChannelRegister, Result
from blindvisor.sw.hypervisor.hypervisor import Vm
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import (
    Found,
    Probe,
    ProbeKind,
    channel_address,
    prober,
)
from blindvisor.verification.attacks.world import (
    ACCOMPLICE,
    ACCOMPLICE_TTY,
    VICTIM,
    VICTIM_TTY,
    Place,
    World,
)

__all__ = ["CHANNEL_ATTACKS"]

_SECOND = 2  # another TTY channel
_READABLE = 1  # of STATUS
_TYPING = 6_000  # cycles in which four typed bytes arrive


def _reads(guest: int, count: int = 8) -> list[Probe]:
    """Read status, interrupt enables and data of a guest channel."""
    page = channel_address(guest)
    registers = (ChannelRegister.STATUS, ChannelRegister.ENABLE)
    data = [Probe(ProbeKind.LOAD, page + ChannelRegister.DATA.value)] * count
    return [*(Probe(ProbeKind.LOAD, page + register.value) for register in registers), *data]


def _type_secret(world: World, channel: int) -> None:
    """A user types something that is for the channel's owner."""
    world.link.tty_write(channel, world.secret[:4])
    world.link.advance(_TYPING)


def _remap_live_channel(world: World) -> None:
    hypervisor = world.hypervisor
    vm = world.create()
    vm.load(world.pack(prober(_reads(1))))
    vm.grant(ACCOMPLICE_TTY, 0)
    for guest in (2, 1):
        world.call(Call.CHANNEL_GRANT, VICTIM_TTY, ACCOMPLICE, guest, expect=Result.CHANNEL_TAKEN)
    owner = hypervisor.channel_status(VICTIM_TTY).owner
    if owner != VICTIM:
        world.gain(f"the victim's channel belongs to VM {owner}, and nobody revoked it")
    _type_secret(world, VICTIM_TTY)
    vm.start()
    found = world.frames(ACCOMPLICE_TTY)
    world.note("read it as the accomplice", f"{found.traps} access faults")
    world.saw(found.data, "the victim's channel")


def _channel_residue(world: World) -> None:
    _type_secret(world, VICTIM_TTY)
    world.call(Call.CHANNEL_REVOKE, VICTIM_TTY, expect=Result.OK)
    found = world.probe(_reads(1), channels=[(VICTIM_TTY, 1)])
    world.note(
        "read the channel as its next owner",
        f"{len(found.words) - 2} bytes, status {found.words[0][1]:#x}" if found.words else "traps",
    )
    world.saw(found.data, "the channel's buffers")
    for address, word in found.words[2:3]:
        world.gain(f"the channel gave {word:#x} at {address:#010x} to its next owner")
    if [word for _, word in found.words[1:2]] not in ([], [0]):
        world.gain("the next owner finds the former owner's interrupt enables")
    world.hypervisor.vm_destroy(ACCOMPLICE)
    world.hypervisor.channel_grant(VICTIM_TTY, VICTIM, 0)


def _channel_after_revoke(world: World) -> None:
    hypervisor, place = world.hypervisor, world.next_door
    probes = [Probe(ProbeKind.WAIT, value=3_000), *_reads(1)]
    grants = ((ACCOMPLICE_TTY, 0), (_SECOND, 1))
    world.start(ACCOMPLICE, place, prober(probes), *grants)
    world.call(Call.CHANNEL_REVOKE, _SECOND, expect=Result.OK)
    hypervisor.channel_grant(_SECOND, VICTIM, 1)
    _type_secret(world, _SECOND)
    found = world.frames(ACCOMPLICE_TTY)
    world.note("use the channel after the revoke", f"{found.traps} access faults")
    world.saw(found.data, "the victim's channel")
    for address, word in found.words[:1]:
        world.gain(f"channel register {address:#010x} answered {word:#x} after the revoke")


def _channel_after_destroy(world: World) -> None:
    hypervisor, home = world.hypervisor, world.home
    _type_secret(world, VICTIM_TTY)
    world.call(Call.VM_DESTROY, VICTIM, expect=Result.OK)
    world.victim_lives = False
    owner = hypervisor.channel_status(VICTIM_TTY).owner
    world.note("owner of the destroyed VM's channel", str(owner))
    # A new VM with the old number and clusters, to which the channel is not granted.
    program = prober(_reads(0), speaks_on=1)
    world.start(VICTIM, Place(home.x, home.y), program, (ACCOMPLICE_TTY, 1))
    found = world.frames(ACCOMPLICE_TTY)
    world.note("use it as a new VM with the same number", f"{found.traps} access faults")
    world.saw(found.data, "the destroyed VM's channel")
    for address, word in found.words[:1]:
        world.gain(f"channel register {address:#010x} answered {word:#x} without a grant")


def _mailbox_residue(world: World) -> None:
    """A word for one VM in a mailbox channel, which then goes to another VM."""
    mailbox = world.config.tty_channels
    vm = _accomplice(world, [])
    vm.grant(mailbox, 1)
    world.hypervisor.mailbox_send(mailbox, int.from_bytes(world.secret[:4], "little"))
    world.link.advance(2_000)
    vm.destroy()
    found = world.probe(_reads(1), channels=[(mailbox, 1)])
    _nothing_left(world, found, "the mailbox")


def _report_residue(world: World) -> None:
    """A report that one VM had made, in a channel which then goes to another VM."""
    config = world.config
    if not config.attest_channels:
        raise RuntimeError("this attack needs a machine with an attestation channel")
    channel = config.tty_channels + config.mailbox_channels
    data = channel_address(1) + ChannelRegister.DATA.value
    asks = [Probe(ProbeKind.STORE, data, 0x5A5A_0000 + n) for n in range(8)]
    vm = _accomplice(world, [*asks, Probe(ProbeKind.WAIT, value=4_000)])
    vm.grant(channel, 1)
    vm.start()
    if world.frames(ACCOMPLICE_TTY).traps != 0:
        raise RuntimeError("the accomplice must be able to ask for a report")
    world.call(Call.CHANNEL_REVOKE, channel, expect=Result.OK)
    vm.destroy()
    found = world.probe(_reads(1, REPORT_WORDS), channels=[(channel, 1)])
    _nothing_left(world, found, "the attestation channel")


def _accomplice(world: World, probes: list[Probe]) -> Vm:
    vm = world.create()
    vm.load(world.pack(prober(probes)))
    vm.grant(ACCOMPLICE_TTY, 0)
    return vm


def _nothing_left(world: World, found: Found, what: str) -> None:
    """What the next owner read: STATUS says "nothing to read", and all words are zero."""
    world.note(f"read {what} as its next owner", f"{len(found.words)} answers, {found.traps} traps")
    world.saw(found.data, what)
    status = dict(found.words).get(channel_address(1) + ChannelRegister.STATUS.value)
    if status is None:
        raise RuntimeError("the next owner must be able to read STATUS of its channel")
    if status & _READABLE:
        world.gain(f"{what} has something for its next owner: STATUS {status:#x}")
    if words := [word for _, word in found.words[2:] if word]:
        world.gain(f"{what} gave {words[0]:#x} to its next owner")


def _inject_interrupts(world: World) -> None:
    hypervisor = world.hypervisor
    hypervisor.channel_grant(_SECOND, VICTIM, 1)
    world.call(Call.CHANNEL_REVOKE, _SECOND, expect=Result.OK)
    # The accomplice raises the level of each channel that it gets.
    enables = [
        Probe(ProbeKind.STORE, channel_address(1) + ChannelRegister.ENABLE.value, 0b11),
        Probe(ProbeKind.LOAD, channel_address(1) + ChannelRegister.ENABLE.value),
    ]
    found = world.probe(enables, channels=[(_SECOND, 1)])
    if not found.stored:
        raise RuntimeError("the accomplice must be able to enable interrupts of its own channel")
    config = world.config
    for channel in range(config.tty_channels, config.tty_channels + config.mailbox_channels):
        hypervisor.mailbox_send(channel, 0xFFFF_FFFF)
    world.link.advance(4_000)
    world.note(
        "raise interrupts on every channel that is not the victim's",
        "the victim's PENDING register stays 0",
    )


CHANNEL_ATTACKS = (
    attack("remap-live-channel", _remap_live_channel),
    attack("channel-residue", _channel_residue),
    attack("channel-after-revoke", _channel_after_revoke),
    attack("channel-after-destroy", _channel_after_destroy),
    attack("mailbox-residue", _mailbox_residue, shown=False),
    attack("report-residue", _report_residue, shown=False),
    attack("inject-interrupts", _inject_interrupts),
)
"""By what is tried."""
