# SPDX-License-Identifier: Apache-2.0
"""A cluster: cores, memory, registers, and the checks of its SMMU."""

from dataclasses import dataclass
from typing import NoReturn, Protocol

from blindvisor.hdl.abi import (
    OWN_CLUSTER,
    REGISTER_OFFSET,
    WINDOW_OFFSET,
    ClusterState,
    CoreRegister,
    Fault,
    GuestRegister,
)
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.cheader import CORE_REGISTERS, CORE_STRIDE, PAGE
from blindvisor.sw.model.channels import SATURATED, Channel
from blindvisor.sw.model.rv32 import AccessError, Core, Decoder

__all__ = ["Cluster", "Rectangle", "Surroundings"]

_REGISTER_BYTES = 0x1000
_PAGE_BITS = PAGE.bit_length() - 1
_LANES = {
    select: sum(0xFF << 8 * lane for lane in range(4) if select >> lane & 1) for select in range(16)
}


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """Clusters of a VM, in mesh coordinates."""

    x: int
    y: int
    width: int
    height: int


class Surroundings(Protocol):
    """What a cluster is in: the machine."""

    channels: list[Channel]

    def cluster(self, x: int, y: int) -> "Cluster":
        """Return the cluster at mesh coordinates."""
        ...


@dataclass(kw_only=True)
class _CoreRegisters:
    """Timer, mailbox and enables of a core."""

    compare: int = (1 << 64) - 1
    mailbox: int = 0
    full: bool = False
    enable: int = 0


class Cluster:
    """One cluster of the mesh; what its cores are attached to (:class:`rv32.CoreBus`).

    Parameters
    ----------
    machine : :class:`Surroundings`
        For what lies outside: other clusters and channels.
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        The machine's sizes.
    decoder : :class:`~blindvisor.sw.model.rv32.Decoder`
        The instructions.
    x, y : :class:`int`
        Place in the mesh.
    """

    def __init__(
        self, *, machine: Surroundings, config: MachineConfig, decoder: Decoder, x: int, y: int
    ) -> None:
        self._machine = machine
        self._config = config
        self._place = (x, y)
        self._memory_bytes = config.memory_bytes
        self.state = ClusterState.SCRUBBING
        self.fault_count = 0
        self.first_fault = Fault.NONE
        self.cores = [
            Core(number=n, bus=self, decoder=decoder, reset_address=OWN_CLUSTER << 24)
            for n in range(config.cores)
        ]
        self.free()

    # Lifecycle

    def free(self) -> None:
        """Scrub everything and belong to nobody (P5)."""
        self.state = ClusterState.FREE
        self.owner = 0
        self.rectangle = Rectangle(x=0, y=0, width=1, height=1)
        self.own = 0  # guest coordinates as an address has them
        self.memory = [0] * self._config.memory_words
        self.channels: dict[int, int] = {}  # physical by guest channel number
        self.time = 0
        self.resumed = False  # restored from a saved image
        self._faults = 0
        self._fault_address = 0
        self._core_registers = [_CoreRegisters() for _ in self.cores]
        for core in self.cores:
            core.reset()

    def claim(self, owner: int, rectangle: Rectangle) -> None:
        """FREE -> LOADING."""
        self.state = ClusterState.LOADING
        self.owner = owner
        self.rectangle = rectangle
        x, y = self._place
        self.own = x - rectangle.x << 4 | y - rectangle.y

    # CoreBus

    def fetch(self, address: int) -> int:
        """Own memory alone."""
        offset = address & 0xFF_FFFF
        if address >> 24 in (OWN_CLUSTER, self.own) and offset < self._memory_bytes:
            return self.memory[offset >> 2]
        raise AccessError

    def load(self, core: int, address: int, select: int) -> int:
        """Data access of an own core."""
        if address >> 24 == OWN_CLUSTER and (offset := address & 0xFF_FFFF) < self._memory_bytes:
            return self.memory[offset >> 2]  # most accesses: a shortcut
        return self._access(core, address, select, None)

    def store(self, core: int, address: int, select: int, value: int) -> None:
        """Data access of an own core."""
        self._access(core, address, select, value)

    def interrupts(self, core: int) -> int:
        """Bits 3 (mailbox), 7 (timer) and 11 (channels)."""
        registers = self._core_registers[core]
        return (
            registers.full << 3
            | (self.time >= registers.compare) << 7
            | bool(registers.enable & self._pending()) << 11
        )

    # Where an address leads

    def _access(self, core: int, address: int, select: int, value: int | None) -> int:
        cluster, offset = address >> 24, address & 0xFF_FFFF
        if cluster in (OWN_CLUSTER, self.own):
            if offset >= WINDOW_OFFSET:
                return self._window(address, select, value)
            return self._local(core, offset, select, value)
        # Egress: inside the VM's rectangle, or not at all (P1, P2).
        gx, gy = cluster >> 4, cluster & 15
        if gx >= self.rectangle.width or gy >= self.rectangle.height:
            self._deny(Fault.OUTSIDE, address)
        other = self._machine.cluster(self.rectangle.x + gx, self.rectangle.y + gy)
        return other._local(None, offset, select, value)

    def _local(self, core: int | None, offset: int, select: int, value: int | None) -> int:
        """Memory and registers; ``core`` None: another cluster's."""
        if offset < self._memory_bytes:
            index = offset >> 2
            if value is None:
                return self.memory[index]
            lanes = _LANES[select]
            self.memory[index] = self.memory[index] & ~lanes | value & lanes
            return 0
        register = offset - REGISTER_OFFSET
        if not 0 <= register < _REGISTER_BYTES or select != 15:
            raise AccessError
        if CORE_REGISTERS <= register < 2 * CORE_REGISTERS:
            return self._core_register(register - CORE_REGISTERS, value)
        return self._guest_register(core, register, value)

    def _window(self, address: int, select: int, value: int | None) -> int:
        page = (address & 0xFF_FFFF) - WINDOW_OFFSET >> _PAGE_BITS
        register = address & PAGE - 1
        channel = self.channels.get(page)
        if channel is None:
            self._deny(Fault.CHANNEL, address)
        if select != 15 or register > 0xF:
            raise AccessError
        try:
            return self._machine.channels[channel].guest_access(self.owner, register, value)
        except AccessError:
            self._deny(Fault.REFUSED, address)

    def _deny(self, fault: Fault, address: int) -> NoReturn:
        """Keep the denial for the guest and, without address, for the hypervisor (P9)."""
        self.fault_count = min(self.fault_count + 1, SATURATED)
        if self.first_fault is Fault.NONE:
            self.first_fault = fault
        self._faults = min(self._faults + 1, SATURATED)
        self._fault_address = address
        raise AccessError

    # Registers

    def _guest_register(self, core: int | None, register: int, value: int | None) -> int:
        if value is not None:
            if register != GuestRegister.FAULT_ADDRESS.value:
                raise AccessError
            self._faults = self._fault_address = 0
            return 0
        match register:
            case GuestRegister.COORDINATES.value:
                return self.own >> 4 | (self.own & 15) << 8
            case GuestRegister.SIZE.value:
                return self.rectangle.width | self.rectangle.height << 8
            case GuestRegister.CORE.value:
                return (core or 0) | len(self.cores) << 8
            case GuestRegister.MEMORY.value:
                return self._memory_bytes
            case GuestRegister.FAULTS.value:
                return self._faults
            case GuestRegister.FAULT_ADDRESS.value:
                return self._fault_address
            case GuestRegister.TIME.value:
                return self.time & 0xFFFF_FFFF
            case GuestRegister.TIME_HIGH.value:
                return self.time >> 32
            case GuestRegister.FLAGS.value:
                return int(self.resumed)
        raise AccessError

    def _core_register(self, offset: int, value: int | None) -> int:
        number, register = divmod(offset, CORE_STRIDE)
        if number >= len(self.cores):
            raise AccessError
        core = self._core_registers[number]
        match register, value:
            case CoreRegister.COMPARE.value, None:
                return core.compare & 0xFFFF_FFFF
            case CoreRegister.COMPARE.value, int():
                core.compare = core.compare >> 32 << 32 | value
            case CoreRegister.COMPARE_HIGH.value, None:
                return core.compare >> 32
            case CoreRegister.COMPARE_HIGH.value, int():
                core.compare = core.compare & 0xFFFF_FFFF | value << 32
            case CoreRegister.MAILBOX.value, None:
                word = core.mailbox
                core.mailbox, core.full = 0, False
                return word
            case CoreRegister.MAILBOX.value, int():
                core.mailbox, core.full = value, True
            case CoreRegister.MAILBOX_FULL.value, None:
                return int(core.full)
            case CoreRegister.PENDING.value, None:
                return self._pending()
            case CoreRegister.ENABLE.value, None:
                return core.enable
            case CoreRegister.ENABLE.value, int():
                core.enable = value & (1 << self._config.guest_channels) - 1
            case _:
                raise AccessError
        return 0

    def _pending(self) -> int:
        """Bit n: guest channel n has an interrupt; only of channels that the owner owns (P11)."""
        channels = self._machine.channels
        return sum(
            1 << guest
            for guest, number in self.channels.items()
            if channels[number].owner == self.owner and channels[number].interrupt
        )
