# SPDX-License-Identifier: Apache-2.0
"""Random sequences of monitor calls, valid and not, as plain data for any machine.

The model and the gateware must give the same outcome for every step of the same sequence. Any
:class:`random.Random` is a source: a seeded one in benches, hypothesis's in tests, which shrinks.
"""

from dataclasses import dataclass
from random import Random

from blindvisor.hdl.abi import Call, HypervisorRegister, Result, StatusKind, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.errors import ImageTruncated
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.hypervisor.status import ChannelStatus, ClusterStatus, VmStatus
from blindvisor.sw.image.format import HEADER_BYTES, KEY_BYTES, NONCE_BYTES, TAG_BYTES, Flags
from blindvisor.sw.image.pack import Secrets, pack, rewrap, seal

__all__ = ["Outcome", "Snapshot", "Step", "StepSource", "execute", "snapshot"]

_SPIN = 0x0000_006F  # j . : what images hold first, so that started VMs stay where they are

_FIELDS = {
    "magic": range(0, 8),
    "version": range(8, 10),
    "flags": range(10, 12),
    "size": range(12, 14),
    "reserved": (14, 15, *range(28, 32), *range(60, 64), *range(124, 128)),
    "what only saved images have": (*range(24, 28), *range(128, 160)),
    "bytes per cluster": range(16, 20),
    "authenticated": (*range(20, 24), *range(32, 60)),
    "wrapped key": range(64, 112),
    "nonce": range(112, 124),
}
"""Header bytes by what a change of them does."""

_IDENTITIES = (0, 0, 0, 1, 1, 1, 2, 2, 3)
"""VMs that the images are of: few, so that their versions meet, and the last ones rarely, so that
a store of two rows is full sometimes."""

_VERSIONS = (*[1] * 9, 0, 2)
_GENERATIONS = (*[2] * 6, 1, 3)

_TAKEN = (1, 40, 200)
"""Words of a saved image after which a hypervisor may give up: the header at the least, so that
the save number is used up, and never so many that the row of the store may be written."""

_EDGES = (
    (Call.VM_START, VmState.READY, VmState.RUNNING),
    (Call.VM_FREEZE, VmState.RUNNING, VmState.FROZEN),
    (Call.VM_RESUME, VmState.FROZEN, VmState.RUNNING),
    (Call.VM_SAVE, VmState.FROZEN, VmState.FROZEN),
    (Call.VM_SAVE, VmState.FROZEN, VmState.FROZEN),
)
_EDGES_FROM = frozenset(before for _, before, _ in _EDGES)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call: its number, its arguments, and for VM_LOAD what the hypervisor then sends.

    An image that is shorter than the length in the arguments makes the hypervisor abort before
    it sends a word. A VM_SAVE with ``take`` is aborted after so many words.
    """

    call: int
    arguments: tuple[int, ...]
    image: bytes = b""
    take: int | None = None

    def __str__(self) -> str:
        """Fit for a failure message."""
        name = Call(self.call).name if self.call in {call.value for call in Call} else self.call
        image = f" with {len(self.image)} bytes" if self.image else ""
        take = f" for {self.take} words" if self.take is not None else ""
        return f"{name}({', '.join(map(hex, self.arguments))}){image}{take}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the hypervisor sees after a step: RESULT, VALUE0..VALUE3, and a saved image."""

    result: Result
    values: tuple[int, int, int, int]
    saved: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that STATUS tells."""

    clusters: tuple[ClusterStatus, ...]
    vms: tuple[VmStatus, ...]
    channels: tuple[ChannelStatus, ...]
    load: Result


def execute(hypervisor: Hypervisor, step: Step) -> Outcome:
    """Make the call of a step."""
    saved = b""
    if step.call == Call.VM_LOAD.value:
        vm, length = step.arguments
        try:
            result = hypervisor.load(vm, step.image, length=length)
        except ImageTruncated:
            result = Result(hypervisor.link.read(HypervisorRegister.RESULT.value))
    elif step.call == Call.VM_SAVE.value:
        result, given = _save(hypervisor, step)
        saved = given if result is Result.OK else b""
    else:
        result = hypervisor.invoke(step.call, *step.arguments)
    return Outcome(result=result, values=hypervisor.values(), saved=saved)


def _save(hypervisor: Hypervisor, step: Step) -> tuple[Result, bytes]:
    vm = step.arguments[0]
    if step.take is None:
        return hypervisor.save(vm)
    link, register = hypervisor.link, HypervisorRegister
    link.write(register.ARG0.value, vm)
    link.write(register.COMMAND.value, Call.VM_SAVE.value)
    link.read_words(register.SAVED.value, step.take)
    link.write(register.ABORT.value, 1)
    link.wait_done(hypervisor.timeout)
    result = Result(link.read(register.RESULT.value))
    link.write(register.STATUS.value, 1)
    return result, b""


def snapshot(hypervisor: Hypervisor) -> Snapshot:
    """Ask for everything there is to know."""
    config = hypervisor.link.config
    return Snapshot(
        clusters=tuple(map(hypervisor.cluster_status, range(config.clusters))),
        vms=tuple(map(hypervisor.vm_status, range(1, config.vms + 1))),
        channels=tuple(map(hypervisor.channel_status, range(config.channels))),
        load=hypervisor.load_status(),
    )


class StepSource:
    """Makes steps one after the other.

    Most are near what could succeed; it keeps its own rough idea of the slots for that, which
    need not be right.

    Parameters
    ----------
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        The machine.
    root_key : :class:`bytes`
        Its root key, for images that load.
    """

    def __init__(self, config: MachineConfig, *, root_key: bytes) -> None:
        self.config = config
        self._root_key = root_key
        self._sizes: dict[int, tuple[int, int]] = {}
        self._states: dict[int, VmState] = {}

    def steps(self, rng: Random, count: int) -> list[Step]:
        """Return the next ``count`` steps."""
        return [self.step(rng) for _ in range(count)]

    def step(self, rng: Random) -> Step:
        """Return the next step."""
        held = self._states.values()
        usable = any(state is not VmState.EMPTY for state in held)
        likely = [self._create, self._status]
        likely += [self._load] * 3 * (VmState.CREATED in held)
        likely += [self._change] * 8 * (not {*held}.isdisjoint(_EDGES_FROM))
        likely += [self._grant, self._grant, self._revoke, self._destroy] * usable
        anything = (
            *(self._create, self._load, self._change, self._destroy, self._grant, self._revoke),
            *(self._status, self._fault_clear, self._random_words),
        )
        return rng.choice(likely if rng.randrange(5) else anything)(rng)

    def lives(self, rng: Random) -> list[Step]:
        """Return steps after which, from power-on, some VMs live, each in any of its states."""
        config, steps = self.config, []
        for vm in range(1, rng.randint(0, min(config.vms, config.clusters)) + 1):
            y, x = divmod(vm - 1, config.width)
            steps.append(Step(call=Call.VM_CREATE.value, arguments=(vm, x, y, 1, 1)))
            self._sizes[vm] = 1, 1
            self._states[vm] = VmState.CREATED
            if rng.randrange(2):
                channel, guest = (
                    rng.randrange(config.channels),
                    rng.randrange(config.guest_channels),
                )
                steps.append(Step(call=Call.CHANNEL_GRANT.value, arguments=(channel, vm, guest)))
            image = self._good_image(rng, 1, 1)
            life = [
                (Call.VM_LOAD, VmState.READY),
                *((call, after) for call, _, after in _EDGES[:2]),
            ]
            for call, after in life[: rng.randint(0, len(life))]:
                loading = call is Call.VM_LOAD
                arguments = (vm, len(image)) if loading else (vm,)
                steps.append(
                    Step(call=call.value, arguments=arguments, image=image if loading else b"")
                )
                self._states[vm] = after
        return steps

    # Arguments

    def _number(self, rng: Random, last: int, *, first: int = 0) -> int:
        """Mostly within the range; sometimes just outside, or right but for a high bit."""
        value = rng.randint(first, last)
        match rng.randrange(30):
            case 0:
                return rng.choice((0, last + 1, 0xFFFF_FFFF))
            case 1:
                return value | 1 << rng.choice((4, 5, 8, 16, 31))
        return value

    def _vm(self, rng: Random, *states: VmState) -> int:
        """Mostly a slot that is believed to be in one of the states."""
        fitting = [vm for vm, state in self._states.items() if state in states]
        if fitting and rng.randrange(5):
            return rng.choice(fitting)
        return self._number(rng, self.config.vms, first=1)

    def _believe(self, vm: int, state: VmState) -> None:
        if state is VmState.EMPTY:
            self._states.pop(vm, None)
            self._sizes.pop(vm, None)
        else:
            self._states[vm] = state

    # Calls

    def _create(self, rng: Random) -> Step:
        config = self.config
        vm = self._number(rng, config.vms, first=1)
        x = self._number(rng, config.width - 1)
        y = self._number(rng, config.height - 1)
        width = self._number(rng, max(1, config.width - x), first=1)
        height = self._number(rng, max(1, config.height - y), first=1)
        if vm not in self._sizes and 0 < width <= config.width and 0 < height <= config.height:
            self._sizes[vm] = width, height
            self._states[vm] = VmState.CREATED
        return Step(call=Call.VM_CREATE.value, arguments=(vm, x, y, width, height))

    def _load(self, rng: Random) -> Step:
        vm = self._vm(rng, VmState.CREATED)
        width, height = self._sizes.get(vm, (1, 1))
        image = self._good_image(rng, width, height)
        length = len(image)
        good = False
        match rng.randrange(8):
            case 0:  # one bit, anywhere that matters
                area = rng.choice((*_FIELDS.values(), range(HEADER_BYTES, length)))
                image = _flip(rng, image, rng.choice(area))
            case 1:  # not for this machine
                image = self._good_image(rng, width, height, root_key=_random_bytes(rng, KEY_BYTES))
            case 2:  # the hypervisor gives up
                image, length = image[: HEADER_BYTES // 2], HEADER_BYTES + TAG_BYTES + 16
            case 3:
                length = rng.choice((0, 4, 160, 175, length - 16, length + 1, length + 16))
                length = rng.choice((length, 0xFFFF_FFF0))
                image = image.ljust(min(length, 2 * len(image)), b"\0")
                # What is sent must be all that is asked for, lest it becomes an abort.
                if len(image) < length:
                    image, length = b"", 16
            case 4:  # for a VM of another shape
                image = self._good_image(rng, height + 1, width)
                length = len(image)
            case _:
                good = True
        if vm in self._sizes:
            self._believe(vm, VmState.READY if good else VmState.EMPTY)
        return Step(call=Call.VM_LOAD.value, arguments=(vm, length), image=image[:length])

    def _good_image(
        self, rng: Random, width: int, height: int, *, root_key: bytes | None = None
    ) -> bytes:
        """An image that a machine accepts, unless it has accepted a later one of the same VM."""
        key = self._root_key if root_key is None else root_key
        size = 16 * rng.randint(1, 3)
        memories = [
            _SPIN.to_bytes(4, "little") + _random_bytes(rng, size - 4)
            for _ in range(width * height)
        ]
        identity = bytes([rng.choice(_IDENTITIES)] * 16)
        version = rng.choice(_VERSIONS)
        migrate = rng.random() < 0.5
        secrets = [
            Secrets(
                vm_key=_random_bytes(rng, KEY_BYTES),
                wrap_nonce=_random_bytes(rng, NONCE_BYTES),
                nonce=_random_bytes(rng, NONCE_BYTES),
            )
            for _ in range(2)
        ]
        if rng.randrange(3):
            return pack(
                memories,
                width=width,
                height=height,
                root_key=key,
                identity=identity,
                security_version=version,
                migrate=migrate,
                test_secrets=secrets[0],
            )
        saved = seal(
            memories,
            width=width,
            height=height,
            root_key=key,
            number=_random_bytes(rng, NONCE_BYTES),
            flags=Flags.MIGRATE if migrate else Flags(0),
            identity=identity,
            security_version=version,
            generation=rng.choice(_GENERATIONS),
            measurement=_random_bytes(rng, 32),
        )
        if migrate and rng.random() < 0.5:
            return rewrap(saved, root_key=key, new_root_key=key, test_secrets=secrets[1])
        return saved

    def _change(self, rng: Random) -> Step:
        held = {*self._states.values()}
        fitting = [edge for edge in _EDGES if edge[1] in held]
        call, before, after = rng.choice(fitting if fitting and rng.randrange(5) else _EDGES)
        vm = self._vm(rng, before)
        if self._states.get(vm) is before:
            self._states[vm] = after
        take = rng.choice(_TAKEN) if call is Call.VM_SAVE and rng.randrange(4) == 0 else None
        return Step(call=call.value, arguments=(vm,), take=take)

    def _destroy(self, rng: Random) -> Step:
        vm = self._vm(rng, *(state for state in VmState if state is not VmState.EMPTY))
        self._believe(vm, VmState.EMPTY)
        return Step(call=Call.VM_DESTROY.value, arguments=(vm,))

    def _grant(self, rng: Random) -> Step:
        config = self.config
        return Step(
            call=Call.CHANNEL_GRANT.value,
            arguments=(
                self._number(rng, config.channels - 1),
                self._vm(rng, VmState.CREATED, VmState.READY, VmState.RUNNING, VmState.FROZEN),
                self._number(rng, config.guest_channels - 1),
            ),
        )

    def _revoke(self, rng: Random) -> Step:
        channel = self._number(rng, self.config.channels - 1)
        return Step(call=Call.CHANNEL_REVOKE.value, arguments=(channel,))

    def _status(self, rng: Random) -> Step:
        config = self.config
        kind, last = rng.choice(
            (
                (StatusKind.CLUSTER, config.clusters - 1),
                (StatusKind.VM, config.vms),
                (StatusKind.CHANNEL, config.channels - 1),
                (StatusKind.LOAD, 0),
            )
        )
        number = rng.choice((kind.value, kind.value, self._number(rng, len(StatusKind))))
        return Step(call=Call.STATUS.value, arguments=(number, self._number(rng, last)))

    def _fault_clear(self, rng: Random) -> Step:
        cluster = self._number(rng, self.config.clusters - 1)
        return Step(call=Call.FAULT_CLEAR.value, arguments=(cluster,))

    def _random_words(self, rng: Random) -> Step:
        """No call of that number, or one with words from nowhere."""
        known = [call.value for call in Call if call is not Call.VM_LOAD]
        call = rng.choice((0, len(Call), 0x103, 0xFFFF_FFFF, rng.choice(known)))
        return Step(call=call, arguments=tuple(rng.getrandbits(32) for _ in range(5)))


def _random_bytes(rng: Random, count: int) -> bytes:
    return rng.getrandbits(8 * count).to_bytes(count, "little")


def _flip(rng: Random, data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1 << rng.randrange(8)]) + data[index + 1 :]
