# SPDX-License-Identifier: Apache-2.0
"""The security monitor: every call, its checks in order, its effect."""

from dataclasses import dataclass

from blindvisor.hdl.abi import Call, ClusterState, Fault, Result, StatusKind, VmState
from blindvisor.sw.image.format import Flags
from blindvisor.sw.model.cluster import Cluster, Rectangle
from blindvisor.sw.model.loader import Loader, Record, SaveNumbers, Saver, make_report
from blindvisor.sw.model.machine import Machine
from blindvisor.sw.model.store import Store

__all__ = ["Monitor"]

Arguments = list[int]


class _Refused(Exception):
    """A check failed; nothing has changed."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result


@dataclass(kw_only=True)
class _Slot:
    """One row of the table of VMs."""

    state: VmState = VmState.EMPTY
    rectangle: Rectangle | None = None
    record: Record | None = None
    line: int = 0


def _demand(condition: object, result: Result) -> None:
    if not condition:
        raise _Refused(result)


class Monitor:
    """The only thing that changes who owns what.

    Parameters
    ----------
    machine : :class:`~blindvisor.sw.model.machine.Machine`
        What it rules.
    root_key : :class:`bytes`
        For the loader.
    store : :class:`~blindvisor.sw.model.store.Store`
        What the machine remembers beyond its power-off.
    epoch : :class:`int` or None
        Of this power-on; None: the key store has none.

    Members
    -------
    result : :class:`~blindvisor.hdl.abi.Result`
        Of the last call that ended.
    values : list of :class:`int`
        Of the last successful STATUS.
    loader : :class:`~blindvisor.sw.model.loader.Loader` or None
        While a VM_LOAD runs.
    saver : :class:`~blindvisor.sw.model.loader.Saver` or None
        While a VM_SAVE runs.
    """

    def __init__(
        self, machine: Machine, root_key: bytes, *, store: Store, epoch: int | None
    ) -> None:
        self._machine = machine
        self._config = machine.config
        self._root_key = root_key
        self._store = store
        self._numbers = SaveNumbers(epoch)
        self._slots = {n: _Slot() for n in range(1, machine.config.vms + 1)}
        self._loading = 0
        self._last_load = Result.NONE
        self.loader: Loader | None = None
        self.saver: Saver | None = None
        self._saving = 0
        machine.reporter = self._report
        self.result = Result.NONE
        self.values = [0, 0, 0, 0]

    @property
    def states(self) -> dict[int, VmState]:
        """State of each slot."""
        return {vm: slot.state for vm, slot in self._slots.items()}

    def call(self, number: int, arguments: Arguments) -> bool:
        """Make a call; return whether it has ended.

        A load that wants words and a save that has some have not.
        """
        effects = {
            Call.VM_CREATE.value: self._vm_create,
            Call.VM_LOAD.value: self._vm_load,
            Call.VM_START.value: self._vm_start,
            Call.VM_FREEZE.value: self._vm_freeze,
            Call.VM_RESUME.value: self._vm_resume,
            Call.VM_SAVE.value: self._vm_save,
            Call.VM_DESTROY.value: self._vm_destroy,
            Call.CHANNEL_GRANT.value: self._channel_grant,
            Call.CHANNEL_REVOKE.value: self._channel_revoke,
            Call.STATUS.value: self._status,
            Call.FAULT_CLEAR.value: self._fault_clear,
        }
        try:
            _demand(number in effects, Result.UNKNOWN_CALL)
            effects[number](arguments)
        except _Refused as refused:
            self.result = refused.result
            return True
        if self.loader is not None:
            return self._load_ended()
        if self.saver is not None:
            return self._save_ended()
        self.result = Result.OK
        return True

    def feed(self, word: int) -> bool:
        """Give the running load a word; return whether that ended it."""
        assert self.loader is not None
        self.loader.feed(word)
        return self._load_ended()

    def take(self) -> tuple[int, bool]:
        """Take a word from the running save; return it, and whether that ended the save."""
        assert self.saver is not None
        return self.saver.take(), self._save_ended()

    def abort(self) -> None:
        """End the running load or save."""
        if self.saver is not None:
            self._slots[self._saving].line = self.saver.line
            self.saver, self.result = None, Result.ABORTED
        else:
            self._end_load(Result.ABORTED)

    # VMs

    def _slot(self, vm: int, *states: VmState) -> _Slot:
        _demand(vm in self._slots, Result.BAD_VM)
        slot = self._slots[vm]
        _demand(slot.state in states, Result.WRONG_STATE)
        return slot

    def _clusters(self, slot: _Slot) -> list[Cluster]:
        place = slot.rectangle
        assert place is not None
        return self._all(place)

    def _all(self, place: Rectangle) -> list[Cluster]:
        return [
            self._machine.cluster(place.x + i, place.y + j)
            for j in range(place.height)
            for i in range(place.width)
        ]

    def _vm_create(self, arguments: Arguments) -> None:
        vm, x, y, width, height = arguments
        slot = self._slot(vm, VmState.EMPTY)
        _demand(
            width > 0
            and height > 0
            and x + width <= self._config.width
            and y + height <= self._config.height
            and not width == height == 16,
            Result.BAD_RECTANGLE,
        )
        place = Rectangle(x=x, y=y, width=width, height=height)
        clusters = self._all(place)
        _demand(all(item.state is ClusterState.FREE for item in clusters), Result.OCCUPIED)
        for cluster in clusters:
            cluster.claim(vm, place)
        slot.state, slot.rectangle = VmState.CREATED, place

    def _vm_load(self, arguments: Arguments) -> None:
        vm, length, *_ = arguments
        slot = self._slot(vm, VmState.CREATED)
        place = slot.rectangle
        assert place is not None
        self._loading = vm
        self.loader = Loader(
            root_key=self._root_key,
            store=self._store,
            length=length,
            width=place.width,
            height=place.height,
            memory_bytes=self._config.memory_bytes,
        )

    def _load_ended(self) -> bool:
        assert self.loader is not None
        if self.loader.result is Result.NONE:
            return False
        self._end_load(self.loader.result)
        return True

    def _end_load(self, result: Result) -> None:
        loader, vm = self.loader, self._loading
        assert loader is not None
        slot = self._slots[vm]
        if result is Result.OK:
            for cluster, memory in zip(self._clusters(slot), loader.memories, strict=True):
                words = memoryview(memory)
                cluster.memory[: len(words) // 4] = [
                    int.from_bytes(words[n : n + 4], "little") for n in range(0, len(words), 4)
                ]
            slot.state, slot.record, slot.line = VmState.READY, loader.record, loader.line
        else:
            self._destroy(vm)
        self.loader = None
        self.result = self._last_load = result

    def _change(self, vm: int, before: VmState, after: VmState, state: ClusterState) -> None:
        slot = self._slot(vm, before)
        for cluster in self._clusters(slot):
            cluster.state = state
        slot.state = after

    def _vm_start(self, arguments: Arguments) -> None:
        slot = self._slot(arguments[0], VmState.READY)
        assert slot.record is not None
        for cluster in self._clusters(slot):
            cluster.resumed = Flags.SAVED in slot.record.flags
        self._change(arguments[0], VmState.READY, VmState.RUNNING, ClusterState.RUNNING)

    def _vm_freeze(self, arguments: Arguments) -> None:
        self._change(arguments[0], VmState.RUNNING, VmState.FROZEN, ClusterState.FROZEN)

    def _vm_resume(self, arguments: Arguments) -> None:
        self._change(arguments[0], VmState.FROZEN, VmState.RUNNING, ClusterState.RUNNING)

    def _vm_save(self, arguments: Arguments) -> None:
        slot = self._slot(arguments[0], VmState.FROZEN)
        assert slot.record is not None
        self._saving = arguments[0]
        self.saver = Saver(
            root_key=self._root_key,
            store=self._store,
            numbers=self._numbers,
            record=slot.record,
            line=slot.line,
            memories=[
                b"".join(word.to_bytes(4, "little") for word in cluster.memory)
                for cluster in self._clusters(slot)
            ],
        )

    def _save_ended(self) -> bool:
        assert self.saver is not None
        if self.saver.result is Result.NONE:
            return False
        self._slots[self._saving].line = self.saver.line
        self.result, self.saver = self.saver.result, None
        return True

    def _report(self, vm: int, nonce: bytes) -> bytes | None:
        """What the attestation channel asks for; None while the loader is at work."""
        record = self._slots[vm].record
        if self.loader is not None or self.saver is not None or record is None:
            return None
        return make_report(record, nonce, root_key=self._root_key)

    def _vm_destroy(self, arguments: Arguments) -> None:
        vm = arguments[0]
        self._slot(vm, *(state for state in VmState if state is not VmState.EMPTY))
        self._destroy(vm)

    def _destroy(self, vm: int) -> None:
        for channel in self._machine.channels:
            if channel.owner == vm:
                channel.give(0, 0)
        for cluster in self._clusters(self._slots[vm]):
            cluster.free()
        self._slots[vm] = _Slot()

    # Channels

    def _channel_grant(self, arguments: Arguments) -> None:
        number, vm, guest, *_ = arguments
        channels = self._machine.channels
        _demand(number < len(channels), Result.BAD_CHANNEL)
        slot = self._slot(vm, VmState.CREATED, VmState.READY, VmState.RUNNING, VmState.FROZEN)
        _demand(guest < self._config.guest_channels, Result.BAD_GUEST_CHANNEL)
        _demand(channels[number].owner == 0, Result.CHANNEL_TAKEN)
        _demand(
            all((item.owner, item.guest_channel) != (vm, guest) for item in channels),
            Result.GUEST_CHANNEL_TAKEN,
        )
        channels[number].give(vm, guest)
        for cluster in self._clusters(slot):
            cluster.channels[guest] = number

    def _channel_revoke(self, arguments: Arguments) -> None:
        number = arguments[0]
        channels = self._machine.channels
        _demand(number < len(channels), Result.BAD_CHANNEL)
        channel = channels[number]
        _demand(channel.owner, Result.WRONG_STATE)
        for cluster in self._clusters(self._slots[channel.owner]):
            del cluster.channels[channel.guest_channel]
        channel.give(0, 0)

    # What the hypervisor may know

    def _status(self, arguments: Arguments) -> None:
        kind, index, *_ = arguments
        values: list[int]
        match kind:
            case StatusKind.CLUSTER.value if index < self._config.clusters:
                cluster = self._machine.clusters[index]
                values = [
                    cluster.state.value,
                    cluster.owner,
                    cluster.fault_count,
                    cluster.first_fault.value,
                ]
            case StatusKind.VM.value if index in self._slots:
                slot = self._slots[index]
                place = slot.rectangle or Rectangle(x=0, y=0, width=0, height=0)
                corners = place.x | place.y << 8 | place.width << 16 | place.height << 24
                values = [slot.state.value, corners]
            case StatusKind.CHANNEL.value if index < self._config.channels:
                channel = self._machine.channels[index]
                values = [
                    channel.owner,
                    channel.guest_channel,
                    channel.kind.value,
                    channel.denied,
                ]
            case StatusKind.LOAD.value if index == 0:
                values = [self._last_load.value]
            case _:
                raise _Refused(Result.BAD_ARGUMENT)
        self.values = [*values, 0, 0, 0][:4]

    def _fault_clear(self, arguments: Arguments) -> None:
        index = arguments[0]
        _demand(index < self._config.clusters, Result.BAD_ARGUMENT)
        cluster = self._machine.clusters[index]
        cluster.fault_count, cluster.first_fault = 0, Fault.NONE
