# SPDX-License-Identifier: Apache-2.0
"""A machine with a victim on it, what an attacker can do there, and what it got out of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from blindvisor.hdl.abi import Call, ClusterState, Fault, Result, StatusKind, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.hypervisor import Hypervisor, Vm
from blindvisor.sw.hypervisor.link import BusError
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.attack import Step
from blindvisor.verification.attacks.programs import (
    INTACT,
    Found,
    Probe,
    prober,
    read_frames,
    searcher,
    victim,
)

__all__ = ["ACCOMPLICE", "SPARE", "VICTIM", "Place", "World", "check_machine"]

VICTIM, ACCOMPLICE, SPARE = 1, 2, 3
"""VM numbers."""

VICTIM_TTY, ACCOMPLICE_TTY = 0, 1
"""Physical channels; each is its VM's guest channel 0."""

_POLL = 2_000
_PATIENCE = 60  # polls that a guest may take until it has said what it has to say


def check_machine(config: MachineConfig) -> None:
    """Raise :exc:`ValueError` if the attacks do not fit on a machine."""
    for what, has, needs in (
        ("width", config.width, 2),
        ("height", config.height, 2),
        ("vms", config.vms, 3),
        ("tty_channels", config.tty_channels, 3),
        ("guest_channels", config.guest_channels, 2),
        ("memory_bytes", config.memory_bytes, 4096),
    ):
        if has < needs:
            raise ValueError(f"attacks need a machine with {what} of at least {needs}, not {has}")


@dataclass(frozen=True)
class Place:
    """A rectangle of the mesh."""

    x: int
    y: int
    width: int = 1
    height: int = 1

    def clusters(self, config: MachineConfig) -> list[int]:
        """Return the indices of its clusters, row by row."""
        return [
            (self.y + j) * config.width + self.x + i
            for j in range(self.height)
            for i in range(self.width)
        ]


class World:
    """Sets up a victim, acts for the attacker, and remembers everything that it got to see.

    Parameters
    ----------
    hypervisor : :class:`~blindvisor.sw.hypervisor.hypervisor.Hypervisor`
        A machine without VMs.
    root_key : :class:`bytes`
        For the owners of VMs, who pack images; the attacker does not have it.
    secret : :class:`bytes`
        16 bytes that the victim holds.
    """

    def __init__(self, hypervisor: Hypervisor, *, root_key: bytes, secret: bytes) -> None:
        self.hypervisor = hypervisor
        self.link = hypervisor.link
        self.config = config = hypervisor.link.config
        check_machine(config)
        self.root_key = root_key
        self.secret = secret
        self.steps: list[Step] = []
        self.gains: list[str] = []
        self.surprises: list[str] = []
        self.victim_lives = True
        """Whether the victim must be found alive in the end; an attack may destroy it openly."""
        x, y = config.width // 2 - 1, config.height // 2
        self.home = Place(x, y, 2, 1)
        """The victim's."""
        self.next_door = Place(x, y - 1)
        """One cluster above it, for the accomplice."""

    # For the owner of the victim

    def pack(self, program: bytes, width: int = 1, height: int = 1) -> bytes:
        """Return an image with the same program in all clusters."""
        return pack(
            [program] * (width * height), width=width, height=height, root_key=self.root_key
        )

    def victim_image(self) -> bytes:
        """Return a fresh image of the victim."""
        return self.pack(victim(self.secret), self.home.width, self.home.height)

    def victim_image_of_one(self) -> bytes:
        """Return a fresh image of a VM of one cluster with the same program and secret."""
        return self.pack(victim(self.secret))

    def set_up(self) -> None:
        """Start the victim and wait until it has said that all is well."""
        home = self.home
        vm = self.hypervisor.vm_create(
            VICTIM, x=home.x, y=home.y, width=home.width, height=home.height
        )
        vm.load(self.victim_image())
        vm.grant(VICTIM_TTY, 0)
        vm.start()
        said = self.hear(VICTIM_TTY, lambda text: {INTACT, INTACT + 1} <= set(text))
        if set(said) != {INTACT, INTACT + 1}:
            raise RuntimeError(f"the victim must run, and find itself intact, not say {said!r}")
        for cluster in home.clusters(self.config):
            self.hypervisor.fault_clear(cluster)

    def hear(self, tty: int, enough: Callable[[bytes], bool]) -> bytes:
        """Let the machine run until what a TTY says is enough, or patience is over."""
        said = self.link.tty_read(tty)
        for _ in range(_PATIENCE):
            if enough(said):
                break
            self.link.advance(_POLL)
            said += self.link.tty_read(tty)
        return said

    # For the attacker

    def note(self, tried: str, answer: str) -> None:
        """Remember a step."""
        self.steps.append(Step(tried, answer))

    def gain(self, what: str) -> None:
        """The attacker got something that it must not have."""
        self.gains.append(what)

    def saw(self, data: bytes, where: str) -> None:
        """The attacker read this; a gain if there is any word of a secret in it."""
        words = {self.secret[n : n + 4] for n in range(0, 16, 4)} | {self.root_key[:4]}
        for word in words | {word[::-1] for word in words}:
            if word in data:
                self.gain(f"{where}: holds {word.hex()} of the secret")
                return

    def saw_words(self, words: Iterable[int], where: str) -> None:
        """The same for words of a register."""
        for word in words:
            self.saw(word.to_bytes(4, "little"), where)

    def call(self, call: Call | int, *arguments: int, expect: Result | None) -> Result:
        """Make a call; note it, and whether the answer is the expected one (None: any)."""
        result = self.hypervisor.invoke(call, *arguments)
        name = call.name.lower() if isinstance(call, Call) else f"call {call:#x}"
        tried = f"{name}({', '.join(map(str, arguments))})"
        self.note(tried, result.name)
        if expect is not None and result is not expect:
            self.surprises.append(f"{tried} ended with {result.name}, not {expect.name}")
        return result

    def create(self, vm: int = ACCOMPLICE, *, width: int = 1, height: int = 1) -> Vm:
        """Create a VM next door."""
        at = self.next_door
        return self.hypervisor.vm_create(vm, x=at.x, y=at.y, width=width, height=height)

    def load(self, vm: int, image: bytes, *, expect: Result | None, what: str) -> Result:
        """Load an image; ``what`` says which, for the notes."""
        result = self.hypervisor.load(vm, image)
        self.note(f"vm_load({vm}) of {what}", result.name)
        if expect is not None and result is not expect:
            self.surprises.append(
                f"vm_load({vm}) of {what} ended with {result.name}, not {expect.name}"
            )
        return result

    def read_port(self, address: int) -> int | None:
        """Read an address of the hypervisor's port; None: a bus error."""
        try:
            return self.link.read(address)
        except BusError:
            return None

    def write_port(self, address: int, value: int) -> bool:
        """Write an address of the hypervisor's port; False: a bus error."""
        try:
            self.link.write(address, value)
        except BusError:
            return False
        return True

    def scan_port(self, addresses: Iterable[int], when: str) -> int:
        """Read addresses, look for the secret, return how many answered."""
        words = [word for at in addresses if (word := self.read_port(at)) is not None]
        self.saw_words(words, f"hypervisor's port {when}")
        return len(words)

    def start(self, vm: int, place: Place, program: bytes, *grants: tuple[int, int]) -> None:
        """Run a program of the attacker's in a VM of its own; raise if the machine refuses.

        ``grants``: physical channel and guest channel.
        """
        handle = self.hypervisor.vm_create(
            vm, x=place.x, y=place.y, width=place.width, height=place.height
        )
        handle.load(self.pack(program, place.width, place.height))
        for channel, guest in grants:
            handle.grant(channel, guest)
        handle.start()

    def frames(self, tty: int) -> Found:
        """Wait for what a searcher or prober has to say; everything in it counts as seen."""
        said = self.hear(tty, lambda text: read_frames(text).traps is not None)
        return read_frames(said)

    def probe(self, probes: Sequence[Probe], *, channels: Sequence[tuple[int, int]] = ()) -> Found:
        """Make accesses from a VM next door to the victim; return what came of it."""
        grants = ((ACCOMPLICE_TTY, 0), *channels)
        self.start(ACCOMPLICE, self.next_door, prober(probes), *grants)
        return self.frames(ACCOMPLICE_TTY)

    def search(self, place: Place, owner: str) -> None:
        """Take the clusters of a former owner, one VM each, and search them."""
        indices = place.clusters(self.config)
        ttys = range(ACCOMPLICE_TTY, ACCOMPLICE_TTY + len(indices))
        width = self.config.width
        for number, (index, tty) in enumerate(zip(indices, ttys, strict=True)):
            where = Place(index % width, index // width)
            self.start(ACCOMPLICE + number, where, searcher(self.config.memory_bytes), (tty, 0))
        for index, tty in zip(indices, ttys, strict=True):
            found = self.frames(tty)
            what = f"cluster {index % width},{index // width} of {owner}"
            if found.traps is None:
                raise RuntimeError(f"the searcher in {what} did not get to its end")
            self.note(f"search {what}", f"{len(found.words)} words that are not zero")
            self.saw(found.data, f"what was left in {what}")
            if found.words:
                address, word = found.words[0]
                self.gain(f"{what}: {word:#010x} was left at {address:#010x}")

    # For the judge

    def vm_state(self, vm: int) -> VmState:
        """Return the state of a slot."""
        return self.hypervisor.vm_status(vm).state

    def victim_faults(self) -> list[Fault]:
        """Return what the SMMUs of the victim's clusters recorded since the start of the attack."""
        statuses = [self.hypervisor.cluster_status(n) for n in self.home.clusters(self.config)]
        return [status.first_fault for status in statuses if status.faults]

    def judge(self) -> None:
        """Look at the victim: ownership, integrity and progress."""
        if not self.victim_lives:
            return
        for index in self.home.clusters(self.config):
            status = self.hypervisor.cluster_status(index)
            if (status.owner, status.state) != (VICTIM, ClusterState.RUNNING):
                self.gain(
                    f"cluster {index} of the victim is {status.state.name} and belongs to"
                    f" {status.owner}"
                )
                return
        for fault in self.victim_faults():
            if fault in (Fault.FOREIGN, Fault.LATE):
                self.gain(f"a packet from outside came as far as the victim's SMMU: {fault.name}")
        self.heard(self.link.tty_read(VICTIM_TTY))
        said = self.hear(VICTIM_TTY, lambda text: {INTACT, INTACT + 1} <= set(text))
        self.heard(said)
        if not {INTACT, INTACT + 1} <= set(said):
            self.gain("the victim makes no progress any more")

    def heard(self, said: bytes) -> None:
        """What the victim said: a gain if it saw a change or an interrupt."""
        if ord("!") in said:
            self.gain("the victim says that its memory was changed")
        elif ord("i") in said:
            self.gain("the victim saw an interrupt of a channel that it does not own")
        elif set(said) - {INTACT, INTACT + 1}:
            self.gain(f"the victim says {said!r}")

    def tear_down(self) -> None:
        """Destroy all VMs and forget what the terminals hold."""
        for vm in (VICTIM, ACCOMPLICE, SPARE):
            if self.vm_state(vm) is not VmState.EMPTY:
                self.hypervisor.vm_destroy(vm)
        for channel in range(self.config.tty_channels):
            self.link.tty_read(channel)
        for cluster in range(self.config.clusters):
            self.hypervisor.fault_clear(cluster)

    def all_status(self) -> list[tuple[int, ...]]:
        """Return all that STATUS tells about owners and states, without counts."""
        hypervisor, config = self.hypervisor, self.config
        return [
            *(hypervisor.status(StatusKind.CLUSTER, n)[:2] for n in range(config.clusters)),
            *(hypervisor.status(StatusKind.VM, n + 1) for n in range(config.vms)),
            *(hypervisor.status(StatusKind.CHANNEL, n)[:3] for n in range(config.channels)),
        ]
