# SPDX-License-Identifier: Apache-2.0
"""Oracle of the monitor's benches: the tables of docs/interfaces.md, and clusters to command."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from blindvisor.hdl.abi import Call, ChannelKind, ClusterState, Result, StatusKind, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import CLAIM, FAULT_REPLY, GRANT, LAUNCH, STATUS_REPLY, LaneOp

__all__ = ["Clusters", "Rules", "Slot", "random_call"]


@dataclass
class Slot:
    """One VM slot."""

    state: VmState = VmState.EMPTY
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0


@dataclass
class Rules:
    """What each call must answer and change, for machines whose clusters do as they must.

    ``clusters`` holds owners by index, ``channels`` pairs of owner and guest channel.
    """

    config: MachineConfig
    slots: dict[int, Slot] = field(init=False)
    clusters: list[int] = field(init=False)
    channels: list[tuple[int, int]] = field(init=False)
    last_load: Result = Result.NONE

    def __post_init__(self) -> None:
        """Start with nothing owned."""
        self.slots = {vm: Slot() for vm in range(1, self.config.vms + 1)}
        self.clusters = [0] * self.config.clusters
        self.channels = [(0, 0)] * self.config.channels

    def span(self, slot: Slot) -> list[int]:
        """Indices of a rectangle's clusters."""
        return [
            y * self.config.width + x
            for y in range(slot.y, slot.y + slot.height)
            for x in range(slot.x, slot.x + slot.width)
        ]

    def owned(self, vm: int) -> list[int]:
        """Indices of a VM's clusters."""
        return self.span(self.slots[vm])

    def call(self, command: int, words: Sequence[int], loader: Result) -> Result:
        """Do one call; ``loader`` is what the loader would say, ABORTED if the call is aborted."""
        match command:
            case Call.VM_CREATE.value:
                return self._create(*words)
            case Call.VM_LOAD.value:
                return self._load(words[0], loader)
            case Call.VM_START.value:
                return self._change(words[0], VmState.READY, VmState.RUNNING)
            case Call.VM_FREEZE.value:
                return self._change(words[0], VmState.RUNNING, VmState.FROZEN)
            case Call.VM_RESUME.value:
                return self._change(words[0], VmState.FROZEN, VmState.RUNNING)
            case Call.VM_SAVE.value:
                result = self._change(words[0], VmState.FROZEN, VmState.FROZEN)
                return loader if result is Result.OK else result
            case Call.VM_DESTROY.value:
                if words[0] not in self.slots:
                    return Result.BAD_VM
                if self.slots[words[0]].state is VmState.EMPTY:
                    return Result.WRONG_STATE
                self._destroy(words[0])
                return Result.OK
            case Call.CHANNEL_GRANT.value:
                return self._grant(*words[:3])
            case Call.CHANNEL_REVOKE.value:
                if words[0] >= self.config.channels:
                    return Result.BAD_CHANNEL
                if not self.channels[words[0]][0]:
                    return Result.WRONG_STATE
                self.channels[words[0]] = (0, 0)
                return Result.OK
            case Call.STATUS.value:
                known = {
                    StatusKind.CLUSTER.value: range(self.config.clusters),
                    StatusKind.VM.value: self.slots,
                    StatusKind.CHANNEL.value: range(self.config.channels),
                    StatusKind.LOAD.value: range(1),
                }
                return Result.OK if words[1] in known.get(words[0], ()) else Result.BAD_ARGUMENT
            case Call.FAULT_CLEAR.value:
                return Result.OK if words[0] < self.config.clusters else Result.BAD_ARGUMENT
            case _:
                return Result.UNKNOWN_CALL

    def _create(self, vm: int, x: int, y: int, width: int, height: int) -> Result:
        if vm not in self.slots:
            return Result.BAD_VM
        if self.slots[vm].state is not VmState.EMPTY:
            return Result.WRONG_STATE
        if 0 in (width, height) or width == height == 16:
            return Result.BAD_RECTANGLE
        if x + width > self.config.width or y + height > self.config.height:
            return Result.BAD_RECTANGLE
        slot = Slot(VmState.CREATED, x, y, width, height)
        if any(self.clusters[cluster] for cluster in self.span(slot)):
            return Result.OCCUPIED
        self.slots[vm] = slot
        for cluster in self.span(slot):
            self.clusters[cluster] = vm
        return Result.OK

    def _change(self, vm: int, needed: VmState, following: VmState) -> Result:
        if vm not in self.slots:
            return Result.BAD_VM
        if self.slots[vm].state is not needed:
            return Result.WRONG_STATE
        self.slots[vm].state = following
        return Result.OK

    def _load(self, vm: int, loader: Result) -> Result:
        refused = self._change(vm, VmState.CREATED, VmState.READY)
        if refused is not Result.OK:
            return refused
        self.last_load = loader
        if loader is not Result.OK:
            self._destroy(vm)
        return loader

    def _destroy(self, vm: int) -> None:
        for cluster in self.owned(vm):
            self.clusters[cluster] = 0
        self.channels = [(0, 0) if row[0] == vm else row for row in self.channels]
        self.slots[vm] = Slot()

    def _grant(self, channel: int, vm: int, guest: int) -> Result:
        if channel >= self.config.channels:
            return Result.BAD_CHANNEL
        if vm not in self.slots:
            return Result.BAD_VM
        if self.slots[vm].state is VmState.EMPTY:
            return Result.WRONG_STATE
        if guest >= self.config.guest_channels:
            return Result.BAD_GUEST_CHANNEL
        if self.channels[channel][0]:
            return Result.CHANNEL_TAKEN
        if (vm, guest) in self.channels:
            return Result.GUEST_CHANNEL_TAKEN
        self.channels[channel] = (vm, guest)
        return Result.OK

    def values(self, kind: int, index: int, clusters: "Clusters", denied: int) -> list[int]:
        """VALUE0..VALUE3 after a STATUS that was answered with OK."""
        match StatusKind(kind):
            case StatusKind.CLUSTER:
                count, first = clusters.faults[index]
                return [clusters.states[index].value, self.clusters[index], count, first]
            case StatusKind.VM:
                slot = self.slots[index]
                place = slot.x | slot.y << 8 | slot.width << 16 | slot.height << 24
                return [slot.state.value, place, 0, 0]
            case StatusKind.CHANNEL:
                kinds = [ChannelKind.TTY] * self.config.tty_channels
                kinds += [ChannelKind.MAILBOX] * self.config.mailbox_channels
                kinds += [ChannelKind.ATTEST] * self.config.attest_channels
                return [*self.channels[index], kinds[index].value, denied]
            case _:
                return [self.last_load.value, 0, 0, 0]

    def cluster_states(self) -> list[ClusterState]:
        """Lifecycle of all clusters, between calls."""
        lifecycle = {
            VmState.CREATED: ClusterState.LOADING,
            VmState.READY: ClusterState.LOADING,
            VmState.RUNNING: ClusterState.RUNNING,
            VmState.FROZEN: ClusterState.FROZEN,
        }
        return [
            lifecycle[self.slots[vm].state] if vm else ClusterState.FREE for vm in self.clusters
        ]


class Clusters:
    """All clusters of a machine, as the monitor lane sees them.

    Draining and scrubbing take a random number of polls. ``disobey(op, cluster)`` makes a cluster
    refuse a command.

    Attributes
    ----------
    states, owners, origins, rows, faults
        By cluster: lifecycle, owner, claim (origin and last coordinates), channel table by guest
        channel, count and first kind of faults.
    written : list
        (cluster, word) of every WRITE.
    resumed
        By cluster: what its last LAUNCH said.
    reads : int
        READs so far; each gives its number.
    """

    def __init__(self, config: MachineConfig, rng: random.Random) -> None:
        count = config.clusters
        self.config = config
        self.rng = rng
        self.disobey: Callable[[LaneOp, int], bool] = lambda op, cluster: False
        self.states = [ClusterState.SCRUBBING] * count
        self.owners = [0] * count
        self.origins: list[tuple[int, int, int, int] | None] = [None] * count
        self.rows: list[dict[int, int]] = [{} for _ in range(count)]
        self.faults = [(0, 0)] * count
        self.written: list[tuple[int, int]] = []
        self.resumed = [False] * count
        self.reads = 0
        self._scrubbed = [True] * count
        self._drain = [0] * count
        self._clean = [rng.randrange(4) for _ in range(count)]

    def broadcast(self, op: LaneOp, data: int) -> None:
        """Take a broadcast."""
        state = ClusterState
        edges = {
            LaneOp.LAUNCH: ((state.LOADING,), state.RUNNING),
            LaneOp.FREEZE: ((state.RUNNING,), state.FROZEN),
            LaneOp.RESUME: ((state.FROZEN,), state.RUNNING),
            LaneOp.STOP: ((state.LOADING, state.RUNNING, state.FROZEN), state.SCRUBBING),
        }
        origins, following = edges[op]
        vm = data & 0xFF if op is LaneOp.LAUNCH else data
        assert 0 < vm < 256, f"{op} must name an owner, not {data}"
        for cluster, owner in enumerate(self.owners):
            if owner == vm and self.states[cluster] in origins:
                self.states[cluster] = following
                if op is LaneOp.LAUNCH:
                    self.resumed[cluster] = bool(LAUNCH.from_bits(data).resumed)
                if op is LaneOp.STOP:
                    self._scrubbed[cluster] = False
                    self._drain[cluster] = self.rng.randrange(4)

    def named(self, op: LaneOp, cluster: int, data: int) -> tuple[int, int]:
        """Take a command to one cluster; return the reply's data and ok."""
        if self.disobey(op, cluster):
            return 0, 0
        state = self.states[cluster]
        scrubbing = state is ClusterState.SCRUBBING
        match op:
            case LaneOp.CLAIM if state is ClusterState.FREE:
                claim = CLAIM.from_bits(data)
                self.states[cluster] = ClusterState.LOADING
                self.owners[cluster] = int(claim.owner)
                self.origins[cluster] = (
                    claim.origin_x,
                    claim.origin_y,
                    claim.last_x,
                    claim.last_y,
                )
            case LaneOp.SCRUB if scrubbing and not self._drain[cluster]:
                self._scrubbed[cluster] = True
                self._clean[cluster] = self.rng.randrange(6)
            case LaneOp.FREE if scrubbing and self._is_clean(cluster):
                self.states[cluster] = ClusterState.FREE
                self.owners[cluster] = 0
                self.origins[cluster] = None
                self.rows[cluster] = {}
            case LaneOp.CHANNEL:
                grant = GRANT.from_bits(data)
                if grant.valid:
                    self.rows[cluster][grant.guest] = grant.channel
                else:
                    self.rows[cluster].pop(grant.guest, None)
            case LaneOp.STATUS:
                reply: dict[int | str, int] = {
                    "state": state.value,
                    "drained": int(scrubbing and not self._drain[cluster]),
                    "clean": int(scrubbing and self._is_clean(cluster)),
                    "owner": self.owners[cluster],
                }
                if scrubbing and self._drain[cluster]:
                    self._drain[cluster] -= 1
                elif scrubbing and self._clean[cluster]:
                    self._clean[cluster] -= 1
                return STATUS_REPLY.const(reply).as_bits(), 1
            case LaneOp.FAULT:
                count, first = self.faults[cluster]
                if data & 1:
                    self.faults[cluster] = (0, 0)
                return FAULT_REPLY.const({"count": count, "first": first}).as_bits(), 1
            case LaneOp.ADDRESS:
                pass
            case LaneOp.WRITE if state is ClusterState.LOADING:
                self.written.append((cluster, data))
            case LaneOp.READ if state is ClusterState.FROZEN:
                self.reads += 1
                return self.reads, 1
            case _:
                return 0, 0
        return 0, 1

    def _is_clean(self, cluster: int) -> bool:
        return self._scrubbed[cluster] and not self._drain[cluster] and not self._clean[cluster]

    def fault(self) -> None:
        """Have some cluster record a fault."""
        cluster = self.rng.randrange(self.config.clusters)
        count, first = self.faults[cluster]
        self.faults[cluster] = (count + 1, first or self.rng.randrange(1, 7))


def random_call(rules: Rules, rng: random.Random) -> tuple[int, list[int]]:
    """Return a command and five arguments: what a VM needs next, or anything, or malformed."""
    config = rules.config
    vm = rng.randrange(1, config.vms + 1)
    expected = {
        VmState.EMPTY: [Call.VM_CREATE],
        VmState.CREATED: [Call.VM_LOAD],
        VmState.READY: [Call.VM_START, Call.CHANNEL_GRANT],
        VmState.RUNNING: [Call.VM_FREEZE, Call.CHANNEL_GRANT, Call.CHANNEL_GRANT],
        VmState.FROZEN: [Call.VM_RESUME, Call.VM_SAVE, Call.VM_DESTROY],
    }
    command = rng.choice(expected[rules.slots[vm].state]).value
    if rng.random() < 0.4:
        command = rng.choice(list(Call)).value
    words = _arguments(config, command, vm, rng)
    if rng.random() < 0.2:
        place = rng.randrange(5)
        words[place] ^= rng.choice([1, 2, 16, 1 << rng.randrange(8, 32), rng.getrandbits(32)])
    if rng.random() < 0.05:
        command ^= rng.choice([8, 16, 1 << rng.randrange(4, 32)])
    return command, words


def _arguments(config: MachineConfig, command: int, vm: int, rng: random.Random) -> list[int]:
    channel = rng.randrange(config.channels)
    match command:
        case Call.VM_CREATE.value:
            x, y = rng.randrange(config.width), rng.randrange(config.height)
            width = rng.randint(1, config.width - x)
            return [vm, x, y, width, rng.randint(1, config.height - y)]
        case Call.CHANNEL_GRANT.value:
            return [channel, vm, rng.randrange(config.guest_channels), 0, 0]
        case Call.CHANNEL_REVOKE.value:
            return [channel, 0, 0, 0, 0]
        case Call.STATUS.value:
            kind = rng.choice(list(StatusKind))
            indices = {
                StatusKind.CLUSTER: rng.randrange(config.clusters),
                StatusKind.VM: vm,
                StatusKind.CHANNEL: channel,
            }
            return [kind.value, indices.get(kind, 0), 0, 0, 0]
        case Call.FAULT_CLEAR.value:
            return [rng.randrange(config.clusters), 0, 0, 0, 0]
        case _:
            return [vm, rng.randrange(0, 1024, 16), 0, 0, 0]
