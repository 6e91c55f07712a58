# SPDX-License-Identifier: Apache-2.0
"""Random guests beside a victim with a secret, on machine and model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any, Self

from blindvisor.hdl.abi import Call, Result, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.errors import HypervisorError
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout
from blindvisor.sw.image.format import KEY_BYTES, NONCE_BYTES
from blindvisor.sw.image.pack import Secrets, pack, unpack
from blindvisor.verification.attacks.programs import SECRET_OFFSET, victim
from blindvisor.verification.attacks.world import VICTIM, World, check_machine
from blindvisor.verification.fuzz import coverage
from blindvisor.verification.fuzz.guests import LAST, MEMORY_BYTES, Block, Guest, blocks
from blindvisor.verification.fuzz.lockstep import Difference, Pair, QuickHypervisor, compare

__all__ = ["Crowd", "Disturbance", "check_crowd", "crowd", "run_crowd", "simpler"]

PASSES = 24
_POLL = 2000  # cycles between looks at the terminals


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What the hypervisor does while guests run.

    Members
    -------
    after : :class:`int`
        Cycles that pass before.
    vm : :class:`int`
        Which is frozen.
    held : :class:`int`
        Cycles for which it stays so.
    """

    after: int
    vm: int
    held: int


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Guests that run at the same time, and what disturbs them. The victim is VM 1."""

    secret: bytes
    guests: tuple[Guest, ...]
    disturbances: tuple[Disturbance, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "secret": self.secret.hex(),
            "guests": [guest.as_dict() for guest in self.guests],
            "disturbances": [asdict(item) for item in self.disturbances],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Undo :meth:`as_dict`."""
        return cls(
            secret=bytes.fromhex(values["secret"]),
            guests=tuple(map(Guest.from_dict, values["guests"])),
            disturbances=tuple(Disturbance(**item) for item in values["disturbances"]),
        )

    @property
    def blocks(self) -> list[tuple[int, int, Block]]:
        """All blocks, each with guest and cluster: what is shrunk."""
        return [
            (number, index, block)
            for number, guest in enumerate(self.guests)
            for index, program in enumerate(guest.programs)
            for block in program
        ]

    def with_blocks(self, kept: Sequence[tuple[int, int, Block]]) -> "Crowd":
        """Return the crowd with these blocks alone."""
        guests = tuple(
            replace(
                guest,
                programs=tuple(
                    tuple(block for g, c, block in kept if (g, c) == (number, index))
                    for index in range(guest.clusters)
                ),
            )
            for number, guest in enumerate(self.guests)
        )
        return replace(self, guests=guests)


def check_crowd(config: MachineConfig) -> None:
    """Raise :exc:`ValueError` if random guests do not fit on a machine."""
    if config.memory_bytes < MEMORY_BYTES:
        raise ValueError(
            f"random guests need memory_bytes of at least {MEMORY_BYTES}, not {config.memory_bytes}"
        )
    check_machine(config)


def simpler(crowd: Crowd) -> list[Crowd]:
    """Give simpler crowds that may do the same, to try one upon the other."""
    calm = replace(crowd, disturbances=())
    once = replace(calm, guests=tuple(replace(guest, passes=1) for guest in crowd.guests))
    return [once, calm]


def crowd(rng: Random, config: MachineConfig) -> Crowd:
    """Return random guests around the place of the victim."""
    x0, y0 = config.width // 2 - 1, config.height // 2
    free = {(x, y) for x in range(config.width) for y in range(config.height)}
    free -= {(x0, y0), (x0 + 1, y0)}
    guests: list[Guest] = []
    for vm in range(VICTIM + 1, config.vms + 1):
        places = _places(free, config)
        if not places or vm - 1 >= config.tty_channels:
            break
        x, y, width, height = rng.choice(places)
        free -= {(x + i, y + j) for i in range(width) for j in range(height)}
        numbers = rng.sample(range(config.guest_channels), 2)
        guest = Guest(
            vm=vm,
            x=x,
            y=y,
            width=width,
            height=height,
            tty=numbers[0],
            mailbox=numbers[1] if vm - 2 < config.mailbox_channels else -1,
            seed=rng.getrandbits(32),
            passes=PASSES,
            programs=(),
        )
        programs = tuple(blocks(rng, config, guest, n) for n in range(guest.clusters))
        guests.append(replace(guest, programs=programs))
    disturbances = tuple(
        Disturbance(
            after=rng.randrange(20_000),
            vm=rng.choice((VICTIM, *(guest.vm for guest in guests))),
            held=rng.randrange(5_000),
        )
        for _ in range(rng.randrange(4))
    )
    return Crowd(secret=rng.randbytes(16), guests=tuple(guests), disturbances=disturbances)


def _places(free: set[tuple[int, int]], config: MachineConfig) -> list[tuple[int, int, int, int]]:
    return [
        (x, y, width, height)
        for x, y in sorted(free)
        for width in (1, 2)
        for height in (1, 2)
        if {(x + i, y + j) for i in range(width) for j in range(height)} <= free
    ]


class _Victim(World):
    """The world of the attacks, with an image that machine and model share."""

    image = b""

    def victim_image(self) -> bytes:
        """The same for both."""
        return self.image


def run_crowd(pair: Pair, people: Crowd, *, root_key: bytes) -> None:
    """Run guests on both, compare all that can be seen of them, look for the victim's secret.

    Raises
    ------
    :exc:`~blindvisor.verification.fuzz.lockstep.Difference`
        If machine and model do not agree, or the victim lost something.
    """
    pair.begin()
    worlds = [_Victim(side, root_key=root_key, secret=people.secret) for side in pair.both]
    try:
        _run(pair, worlds, people, root_key)
        worlds[0].judge()
    except (HypervisorError, LinkTimeout, BusError, RuntimeError) as error:
        raise Difference(f"{type(error).__name__}: {error}") from error
    if worlds[0].gains:
        raise Difference("; ".join(worlds[0].gains))
    _compare_victims(pair, people, root_key)
    _count(pair, people)


def _run(pair: Pair, worlds: list[_Victim], people: Crowd, root_key: bytes) -> None:
    machine, model = pair.both
    rng = Random(people.secret)
    home = worlds[0].home
    image = _packed(rng, [victim(people.secret)] * 2, home.width, home.height, root_key)
    images = [
        _packed(
            rng,
            [guest.memory(n) for n in range(guest.clusters)],
            guest.width,
            guest.height,
            root_key,
        )
        for guest in people.guests
    ]
    for side, world in zip(pair.both, worlds, strict=True):
        world.image = image
        world.set_up()
        _start(side, people.guests, images)
    disturbed = 0
    for item in people.disturbances:
        results = [_disturb(side, item, worlds[0]) for side in pair.both]
        compare("disturbance", *results)
        disturbed += 1
    for guest in people.guests:
        said = [_listen(side, guest) for side in pair.both]
        compare(f"vm {guest.vm} prints", *said)
    for guest in people.guests:
        if guest.mailbox >= 0:
            got = [_mailbox(side, guest) for side in pair.both]
            compare(f"vm {guest.vm} sends", *got)
    pair.look()
    for guest in people.guests:
        pair.forget()
        saved = [_save(side, guest.vm) for side in (machine, model)]
        memories = [unpack(item, root_key=root_key).memories for item in saved]
        for index, (found, right) in enumerate(zip(*memories, strict=True)):
            worlds[0].saw(found, f"memory of vm {guest.vm}")
            _compare_memories(f"vm {guest.vm}, cluster {index}", found, right)
        compare(f"saved image of vm {guest.vm}", saved[0].hex(), saved[1].hex())
    if disturbed:
        pair.counts[coverage.FREEZE_BIN] += 1
        pair.counts[coverage.REFUSED_BIN] += 1


def _packed(
    rng: Random, memories: Sequence[bytes], width: int, height: int, root_key: bytes
) -> bytes:
    return pack(
        memories,
        width=width,
        height=height,
        root_key=root_key,
        identity=rng.randbytes(16),
        test_secrets=Secrets(
            vm_key=rng.randbytes(KEY_BYTES),
            wrap_nonce=rng.randbytes(NONCE_BYTES),
            nonce=rng.randbytes(NONCE_BYTES),
        ),
    )


def _start(side: QuickHypervisor, guests: Sequence[Guest], images: Sequence[bytes]) -> None:
    """Load all, then start all: they run at the same time."""
    config = side.link.config
    for guest, image in zip(guests, images, strict=True):
        vm = side.vm_create(guest.vm, x=guest.x, y=guest.y, width=guest.width, height=guest.height)
        vm.load(image)
        vm.grant(guest.vm - 1, guest.tty)
        if guest.mailbox >= 0:
            channel = vm.grant(config.tty_channels + guest.vm - 2, guest.mailbox)
            for word in range(config.channel_depth // 2):
                channel.send(guest.seed + word & 0xFFFF_FFFF)
    for guest in guests:
        side.vm_start(guest.vm)


def _disturb(side: QuickHypervisor, item: Disturbance, world: World) -> list[Result]:
    """Freeze a VM for a while; meanwhile ask for what must be refused."""
    side.link.advance(item.after)
    home = world.home
    results = [side.invoke(Call.VM_FREEZE, item.vm)]
    results.append(side.invoke(Call.VM_CREATE, item.vm, home.x, home.y, 1, 1))
    results.append(side.invoke(Call.VM_START, item.vm))
    results.append(side.invoke(Call.CHANNEL_GRANT, 0, item.vm, 0))
    side.link.advance(item.held)
    results.append(side.invoke(Call.VM_RESUME, item.vm))
    return results


def _listen(side: QuickHypervisor, guest: Guest) -> tuple[bytes, bytes]:
    """Wait until all clusters are at their end, or must hang; return what they print, and ends."""
    said, ends = b"", []
    # Twice what a pass takes, and more with more clusters in the I/O network's frame.
    patience = 60 + guest.passes * (5 + side.link.config.clusters)
    for _ in range(patience):
        said += side.link.tty_read(guest.vm - 1)
        ends = sorted(byte for byte in said if byte >= LAST)
        if len(ends) >= guest.clusters:
            break
        side.link.advance(_POLL)
    return bytes(byte for byte in said if byte < LAST), bytes(ends)


def _mailbox(side: QuickHypervisor, guest: Guest) -> list[int]:
    words = []
    channel = side.link.config.tty_channels + guest.vm - 2
    for _ in range(2 * side.link.config.channel_depth):
        if (word := side.mailbox_receive(channel)) is None:
            break
        words.append(word)
    return words


def _save(side: QuickHypervisor, vm: int) -> bytes:
    if side.vm_status(vm).state is VmState.RUNNING:
        side.vm_freeze(vm)
    return side.vm_save(vm)


def _compare_memories(whose: str, found: bytes, right: bytes) -> None:
    for at in range(0, len(right), 4):
        compare(f"{whose}, {at:#06x}", found[at : at + 4].hex(), right[at : at + 4].hex())


def _compare_victims(pair: Pair, people: Crowd, root_key: bytes) -> None:
    pair.forget()
    saved = [_save(side, VICTIM) for side in pair.both]
    memories = [unpack(item, root_key=root_key).memories for item in saved]
    for index, (found, right) in enumerate(zip(*memories, strict=True)):
        _compare_memories(f"victim, cluster {index}", found, right)
        compare("the victim's secret", found[SECRET_OFFSET : SECRET_OFFSET + 16], people.secret)


def _count(pair: Pair, people: Crowd) -> None:
    """Everything was generated, ran to its end, and was as it should be."""
    for guest in people.guests:
        state = coverage.GUEST_STATES[guest.clusters > 1]
        for program in guest.programs:
            pair.counts.update(
                str(coverage.guest_bin(block.target, block.access, state)) for block in program
            )
