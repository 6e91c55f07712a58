# SPDX-License-Identifier: Apache-2.0
"""The local interconnect: who of a cluster's masters reaches which of its slaves, and when."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from blindvisor.hdl.abi import OWN_CLUSTER
from blindvisor.hdl.arbiter import RoundRobin
from blindvisor.hdl.cluster.bus import LocalBus, RegisterBus
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.noc.packets import COORDINATES

__all__ = ["Interconnect"]


class _Slave(enum.Enum, shape=2):
    ERROR = 0  # also the answer to everything that is nowhere
    MEMORY = 1
    REGISTERS = 2


class Interconnect(wiring.Component):
    """Decodes guest-physical addresses and shares memory and registers fairly.

    A local access takes two cycles: request, answer. Another master's may start in the second.

    ===========================  ==================================================
    offset in the own cluster    answer
    ===========================  ==================================================
    memory                       memory (fetches: only this)
    0x80_0000 .. 0x80_0FFF       registers, whole words
    0xC0_0000 ..                 I/O window, for the own cores
    anything else                error
    ===========================  ==================================================

    Data accesses to other clusters go to the initiator.

    Members
    -------
    fetch, access : :py:`In(LocalBus(address_width=30))` for each core
    target : :py:`In(LocalBus(address_width=22))`
        Accesses of other clusters.
    own : :py:`In(COORDINATES)`
        Guest coordinates of this cluster.
    run : :py:`In(1)`
        Cores may start accesses. What has started ends, so that a frozen core loses nothing.
    hold : :py:`In(1)`
        No VM runs here: the order of arbitration is forgotten (P5, P12).
    blocked : :py:`In(1)`
        The memory's second port is somebody else's in this cycle.
    fetch_address, fetch_data, address, read_data, write_enable, write_data
        The memory, see :class:`~blindvisor.hdl.cluster.memory.ClusterMemory`.
    registers : :py:`Out(RegisterBus())`
    window, remote : :py:`Out(LocalBus(address_width=30))` for each core
        ``stb`` is not gated by ``run``: who serves them takes new ones with ``run`` alone.
    idle : :py:`Out(1)`
        No local access is half done.
    """

    fetch: list[Any]
    access: list[Any]
    target: Any
    own: data.View
    run: Signal
    hold: Signal
    blocked: Signal
    fetch_address: Signal
    fetch_data: Signal
    address: Signal
    read_data: Signal
    write_enable: Signal
    write_data: Signal
    registers: Any
    window: list[Any]
    remote: list[Any]
    idle: Signal

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        core_bus = LocalBus(address_width=30)
        width = ceil_log2(config.memory_words)
        super().__init__(
            {
                "fetch": In(core_bus).array(config.cores),
                "access": In(core_bus).array(config.cores),
                "target": In(LocalBus(address_width=22)),
                "own": In(COORDINATES),
                "run": In(1),
                "hold": In(1),
                "blocked": In(1),
                "fetch_address": Out(width),
                "fetch_data": In(32),
                "address": Out(width),
                "read_data": In(32),
                "write_enable": Out(4),
                "write_data": Out(32),
                "registers": Out(RegisterBus()),
                "window": Out(core_bus).array(config.cores),
                "remote": Out(core_bus).array(config.cores),
                "idle": Out(1),
            }
        )

    def _own(self, address: Any) -> Any:
        """Whether a core's word address lies in its own cluster."""
        coordinates = address[22:]
        return (coordinates == OWN_CLUSTER) | (coordinates == Cat(self.own.y, self.own.x))

    def elaborate(self, platform: object) -> Module:
        """Two small pipelines, one per memory port, and the split of data accesses before them."""
        m = Module()
        self._fetches(m)
        locals_ = [self._split(m, core) for core in range(self._config.cores)]
        self._accesses(m, locals_)
        return m

    def _in_memory(self, offset: Any) -> Any:
        return offset >> ceil_log2(self._config.memory_words) == 0

    def _fetches(self, m: Module) -> None:
        cores = self._config.cores
        m.submodules.fetch_arbiter = arbiter = RoundRobin(count=cores)
        served = Signal(cores)  # in their answer cycle
        failing = Signal()
        m.d.comb += [
            arbiter.requests.eq(
                Cat(bus.stb for bus in self.fetch) & ~served & self.run.replicate(cores)
            ),
            arbiter.taken.eq(1),
            arbiter.clear.eq(self.hold),
        ]
        m.d.sync += served.eq(arbiter.grants)
        for core, bus in enumerate(self.fetch):
            with m.If(arbiter.grants[core]):
                m.d.comb += self.fetch_address.eq(bus.adr)
                m.d.sync += failing.eq(~(self._own(bus.adr) & self._in_memory(bus.adr[:22])))
            m.d.comb += [
                bus.ack.eq(served[core] & ~failing),
                bus.err.eq(served[core] & failing),
                bus.dat_r.eq(self.fetch_data),
            ]

    def _split(self, m: Module, core: int) -> Signal:
        """Send a core's data access where its address points; return the local request."""
        bus, window, remote = self.access[core], self.window[core], self.remote[core]
        own = Signal(name=f"own{core}")
        in_window = Signal(name=f"in_window{core}")
        local = Signal(name=f"local{core}")
        m.d.comb += [
            own.eq(self._own(bus.adr)),
            in_window.eq(own & bus.adr[20:22].all()),
            local.eq(bus.stb & own & ~in_window),
            window.stb.eq(bus.stb & in_window),
            remote.stb.eq(bus.stb & ~own),
        ]
        for other in (window, remote):
            m.d.comb += [
                other.we.eq(bus.we),
                other.adr.eq(bus.adr),
                other.sel.eq(bus.sel),
                other.dat_w.eq(bus.dat_w),
            ]
        return local

    def _accesses(self, m: Module, locals_: list[Signal]) -> None:
        cores = self._config.cores
        masters = cores + 1  # the target is the last
        m.submodules.access_arbiter = arbiter = RoundRobin(count=masters)
        served = Signal(masters)
        slave = Signal(_Slave)
        was = Signal(_Slave)
        requests = Cat(
            Cat(*locals_) & self.run.replicate(cores),
            self.target.stb,
        )
        m.d.comb += [
            arbiter.requests.eq(requests & ~served & (~self.blocked).replicate(masters)),
            arbiter.taken.eq(1),
            arbiter.clear.eq(self.hold),
            self.idle.eq(~served.any()),
        ]
        m.d.sync += [served.eq(arbiter.grants), was.eq(slave)]

        chosen = Signal(
            data.StructLayout({"adr": 22, "we": 1, "sel": 4, "dat_w": 32, "core": 2, "own": 1})
        )
        buses = [(bus, Cat(Const(core, 2), 1)) for core, bus in enumerate(self.access)]
        for number, (bus, who) in enumerate([*buses, (self.target, Const(0, 3))]):
            with m.If(arbiter.grants[number]):
                m.d.comb += chosen.eq(Cat(bus.adr[:22], bus.we, bus.sel, bus.dat_w, who))

        offset = chosen.adr
        with m.If(arbiter.grants.any()):
            with m.If(self._in_memory(offset)):
                m.d.comb += slave.eq(_Slave.MEMORY)
            with m.Elif((offset[10:] == 0b10_0000000000) & chosen.sel.all()):
                m.d.comb += slave.eq(_Slave.REGISTERS)
        m.d.comb += [
            self.address.eq(offset),
            self.write_enable.eq(Mux((slave == _Slave.MEMORY) & chosen.we, chosen.sel, 0)),
            self.write_data.eq(chosen.dat_w),
            self.registers.stb.eq(slave == _Slave.REGISTERS),
            self.registers.we.eq(chosen.we),
            self.registers.adr.eq(Cat(Const(0, 2), offset[:10])),
            self.registers.core.eq(chosen.core),
            self.registers.own.eq(chosen.own),
            self.registers.dat_w.eq(chosen.dat_w),
        ]

        good = Signal()
        answer = Signal(32)
        with m.Switch(was):
            with m.Case(_Slave.MEMORY):
                m.d.comb += [good.eq(1), answer.eq(self.read_data)]
            with m.Case(_Slave.REGISTERS):
                m.d.comb += [good.eq(~self.registers.err), answer.eq(self.registers.dat_r)]
        for core, bus in enumerate(self.access):
            window, remote = self.window[core], self.remote[core]
            m.d.comb += [
                bus.ack.eq((served[core] & good) | window.ack | remote.ack),
                bus.err.eq((served[core] & ~good) | window.err | remote.err),
                bus.dat_r.eq(
                    Mux(served[core], answer, Mux(window.ack, window.dat_r, remote.dat_r))
                ),
            ]
        m.d.comb += [
            self.target.ack.eq(served[cores] & good),
            self.target.err.eq(served[cores] & ~good),
            self.target.dat_r.eq(answer),
        ]
