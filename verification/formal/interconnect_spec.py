# SPDX-License-Identifier: Apache-2.0
"""A cluster's interconnect: whose access is done, when, and who is answered."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover, Fragment
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.abi import OWN_CLUSTER
from blindvisor.hdl.arbiter import RoundRobin
from blindvisor.hdl.cluster import interconnect as shipped
from blindvisor.hdl.cluster.interconnect import Interconnect
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.noc.packets import COORDINATES
from blindvisor.verification.formal.inner import replaced

__all__ = ["InterconnectSpec"]

REGISTERS = 0x80_0000 >> 12
WINDOW = 0b11
ANSWER = data.StructLayout({"ack": 1, "err": 1, "dat_r": 32})


def _request(address_width: int) -> data.StructLayout:
    return data.StructLayout({"stb": 1, "we": 1, "adr": address_width, "sel": 4, "dat_w": 32})


class InterconnectSpec(wiring.Component):
    """Masters that keep their accesses up until they are answered; slaves that answer anything.

    Claims
    ------
    P8-ONE-ANSWER
        Of the accesses to memory and registers at most one is granted in a cycle, to one who asks,
        and in the next cycle it alone is answered: what memory or registers say, an error if the
        address is nowhere. A fetch reaches memory alone. Window and initiator answer what is
        theirs.
    P8-ALONE
        Who does not ask is not answered; nobody gets two answers to one access. That is what
        ``target`` assumes.
    P8-UNCHANGED
        Window and initiator of a core are told that core's access and no other, and the data of
        their answer is what it gets, and no other core.
    P8-FAIR
        From the last ``hold`` on, an access waits for each other master once, and while the memory
        is somebody else's.
    P5-WRITES
        Memory is written and registers are reached only for an access that was granted, at its
        address, with its bytes and data: of the target, or of a core while ``run`` is set; never
        while the memory is somebody else's. With ``target`` (P8-SERVE, P5-BUSY) that is what
        ``scrub`` assumes.
    P5-ORDER
        With ``hold`` the next choice is that of power-on.

    Assumed: an access stands, unchanged, until it is answered, but those of cores in reset
    (``hold``); no core runs in reset, and the cluster's place in its VM changes in reset alone
    (``lifecycle``); window and initiator answer what asks them.
    """

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        cores = config.cores
        super().__init__(
            {
                "fetch": In(_request(30)).array(cores),
                "access": In(_request(30)).array(cores),
                "target": In(_request(22)),
                "window": In(ANSWER).array(cores),
                "remote": In(ANSWER).array(cores),
                "own": In(COORDINATES),
                "run": In(1),
                "hold": In(1),
                "blocked": In(1),
                "fetch_data": In(32),
                "read_data": In(32),
                "register_data": In(32),
                "register_error": In(1),
            }
        )

    fetch: list[Any]
    access: list[Any]
    target: Any
    window: list[Any]
    remote: list[Any]
    own: data.View
    run: Signal
    hold: Signal
    blocked: Signal
    fetch_data: Signal
    read_data: Signal
    register_data: Signal
    register_error: Signal

    def elaborate(self, platform: object) -> Module:
        """Place the interconnect, with a view of its two arbiters."""
        m = Module()
        arbiters: list[RoundRobin] = []

        def arbiter(*, count: int) -> RoundRobin:
            arbiters.append(RoundRobin(count=count))
            return arbiters[-1]

        dut = Interconnect(self._config)
        with replaced((shipped, "RoundRobin", arbiter)):
            m.submodules.dut = Fragment.get(dut, platform)
        fetches, accesses = arbiters
        self._connect(m, dut)
        started, was_own, held = Signal(), Signal(COORDINATES), Signal()
        m.d.sync += [started.eq(1), was_own.eq(self.own), held.eq(self.hold)]
        same = self.own.as_value() == was_own.as_value()
        m.d.comb += [
            Assume(~(self.run & self.hold), "no core runs in reset"),
            Assume(~started | same | (held & self.hold), "a VM stays where it is"),
        ]
        self._masters(m, dut)
        self._accesses(m, dut, accesses)
        self._fetches(m, dut, fetches)
        self._order(m, accesses, fetches)
        return m

    def _connect(self, m: Module, dut: Interconnect) -> None:
        pairs = (
            *zip(dut.fetch, self.fetch, strict=True),
            *zip(dut.access, self.access, strict=True),
            (dut.target, self.target),
        )
        for bus, given in pairs:
            m.d.comb += [
                getattr(bus, name).eq(given[name]) for name in ("stb", "we", "adr", "sel", "dat_w")
            ]
        for buses, answers in ((dut.window, self.window), (dut.remote, self.remote)):
            for bus, answer in zip(buses, answers, strict=True):
                m.d.comb += [
                    *(getattr(bus, name).eq(answer[name]) for name in ("ack", "err", "dat_r")),
                    Assume(~(answer.ack & answer.err), "one answer"),
                    Assume(bus.stb | ~(answer.ack | answer.err), "who is asked answers"),
                ]
        m.d.comb += [
            dut.own.eq(self.own),
            dut.run.eq(self.run),
            dut.hold.eq(self.hold),
            dut.blocked.eq(self.blocked),
            dut.fetch_data.eq(self.fetch_data),
            dut.read_data.eq(self.read_data),
            dut.registers.dat_r.eq(self.register_data),
            dut.registers.err.eq(self.register_error),
        ]

    def _masters(self, m: Module, dut: Interconnect) -> None:
        """Assume that accesses stand; claim that only they are answered."""
        cores = [
            *zip(dut.fetch, self.fetch, strict=True),
            *zip(dut.access, self.access, strict=True),
        ]
        for n, (bus, given) in enumerate([*cores, (dut.target, self.target)]):
            waiting, was = Signal(name=f"waiting{n}"), Signal(given.shape(), name=f"was{n}")
            resets = self.hold if n < len(cores) else 0
            answered = bus.ack | bus.err
            m.d.sync += [waiting.eq(given.stb & ~answered & ~resets), was.eq(given)]
            m.d.comb += [
                Assume(~waiting | resets | (Value.cast(given) == Value.cast(was)), "it stands"),
                Assert(~answered | given.stb | resets, "P8-ALONE"),
                Assert(~(bus.ack & bus.err) | resets, "P8-ALONE"),
            ]

    def _accesses(self, m: Module, dut: Interconnect, arbiter: RoundRobin) -> None:
        cores = self._config.cores
        masters = [*self.access, self.target]
        grants, granted = arbiter.grants, Signal(cores + 1)
        local = [
            given.stb & self._ours(given.adr) & (given.adr[20:22] != WINDOW)
            for given in self.access
        ]
        asks = Cat(Cat(*local) & self.run.replicate(cores), self.target.stb)
        number = Signal(range(cores + 1))
        for n in range(cores + 1):
            with m.If(grants[n]):
                m.d.comb += number.eq(n)
        chosen = Array(Cat(g.we, g.sel, g.dat_w, g.adr[:22]) for g in masters)[number]
        view = data.View(data.StructLayout({"we": 1, "sel": 4, "dat_w": 32, "offset": 22}), chosen)
        any_ = grants.any()
        memory = any_ & (view.offset < self._config.memory_words)
        registers = any_ & ~memory & (view.offset[10:] == REGISTERS) & view.sel.all()
        was_memory, was_registers = Signal(), Signal()
        m.d.sync += [granted.eq(grants), was_memory.eq(memory), was_registers.eq(registers)]
        bus = dut.registers
        said = Cat(bus.we, bus.adr, bus.dat_w, bus.own)
        meant = Cat(view.we, 0, 0, view.offset[:10], view.dat_w, number != cores)
        m.d.comb += [
            Assert((grants & (grants - 1))[: len(grants)] == 0, "P8-ONE-ANSWER"),
            Assert((grants & ~asks)[: len(grants)] == 0, "P5-WRITES"),
            Assert(~(any_ & self.blocked), "P5-WRITES"),
            Assert((dut.write_enable == 0) | (memory & view.we), "P5-WRITES"),
            Assert(
                (dut.write_enable == 0)
                | ((dut.write_enable == view.sel) & (dut.write_data == view.dat_w)),
                "P5-WRITES",
            ),
            Assert(~memory | (dut.address == view.offset), "P5-WRITES"),
            Assert(bus.stb == registers, "P5-WRITES"),
            Assert(~bus.stb | (said == meant), "P5-WRITES"),
            Assert(~bus.stb | (number == cores) | (bus.core == number), "P5-WRITES"),
            Assert(dut.idle == ~granted.any(), "P8-ONE-ANSWER"),
        ]
        good = was_memory | (was_registers & ~self.register_error)
        answer = Mux(was_memory, self.read_data, self.register_data)
        for n, bus in enumerate([*dut.access, dut.target]):
            other_ack = other_err = Value.cast(0)
            if n < cores:
                window, remote = self.window[n], self.remote[n]
                other_ack, other_err = window.ack | remote.ack, window.err | remote.err
                away = ~self._ours(self.access[n].adr)
                in_window = ~away & (self.access[n].adr[20:22] == WINDOW)
                m.d.comb += [
                    Assert(dut.window[n].stb == (self.access[n].stb & in_window), "P8-ALONE"),
                    Assert(dut.remote[n].stb == (self.access[n].stb & away), "P8-ALONE"),
                    Assert(~(granted[n] & other_ack) | self.hold, "P8-UNCHANGED"),
                ]
                for shown, given in ((dut.window[n], window), (dut.remote[n], remote)):
                    mine = given.ack & ~granted[n]
                    told = Cat(shown.stb, shown.we, shown.adr, shown.sel, shown.dat_w)
                    m.d.comb += [
                        Assert(~shown.stb | (told == Value.cast(self.access[n])), "P8-UNCHANGED"),
                        Assert(~mine | (bus.dat_r == given.dat_r), "P8-UNCHANGED"),
                    ]
            m.d.comb += [
                Assert(bus.ack == ((granted[n] & good) | other_ack), "P8-ONE-ANSWER"),
                Assert(bus.err == ((granted[n] & ~good) | other_err), "P8-ONE-ANSWER"),
                Assert(~(granted[n] & good) | (bus.dat_r == answer), "P8-ONE-ANSWER"),
            ]
            # Others may each be served once before, and then in the cycle of their answers again.
            passed = Signal(range(cores + 2), name=f"passed{n}")
            waits = asks[n] & ~granted[n]
            with m.If(~waits | grants[n] | self.hold):
                m.d.sync += passed.eq(0)
            with m.Elif(~self.blocked):
                m.d.sync += passed.eq(passed + 1)
            m.d.comb += Assert(passed <= cores, "P8-FAIR")
        m.d.comb += [
            Cover(dut.target.ack & granted[cores] & was_memory, "another cluster is answered"),
            Cover(dut.access[0].err & granted[0], "an address that is nowhere"),
            Cover(granted[1] & was_registers & grants[0] & memory, "one after the other"),
            Cover((dut.write_enable != 0) & grants[cores] & ~self.run, "a write while none runs"),
            Cover(self.window[0].ack & self.remote[1].ack, "two cores are answered from outside"),
        ]

    def _fetches(self, m: Module, dut: Interconnect, arbiter: RoundRobin) -> None:
        grants, granted = arbiter.grants, Signal(self._config.cores, name="fetched")
        there = Signal()
        m.d.sync += granted.eq(grants)
        for n, (bus, given) in enumerate(zip(dut.fetch, self.fetch, strict=True)):
            inside = self._ours(given.adr) & (given.adr[:22] < self._config.memory_words)
            with m.If(grants[n]):
                m.d.sync += there.eq(inside)
            m.d.comb += [
                Assert(~grants[n] | (given.stb & self.run & ~granted[n]), "P8-ONE-ANSWER"),
                Assert(
                    ~(grants[n] & inside) | (dut.fetch_address == given.adr[:22]), "P8-ONE-ANSWER"
                ),
                Assert(bus.ack == (granted[n] & there), "P8-ONE-ANSWER"),
                Assert(bus.err == (granted[n] & ~there), "P8-ONE-ANSWER"),
                Assert(~bus.ack | (bus.dat_r == self.fetch_data), "P8-ONE-ANSWER"),
            ]
        m.d.comb += Cover(dut.fetch[1].ack & granted[1], "a fetch is answered")

    def _order(self, m: Module, *arbiters: RoundRobin) -> None:
        """Claim that after ``hold`` the lowest of all is chosen."""
        held = Signal()
        m.d.sync += held.eq(self.hold)
        for arbiter in arbiters:
            lowest = (arbiter.requests & -arbiter.requests)[: len(arbiter.requests)]
            m.d.comb += Assert(~held | (arbiter.grants == lowest), "P5-ORDER")

    def _ours(self, address: Value) -> Value:
        return (address[22:] == OWN_CLUSTER) | (address[22:] == Cat(self.own.y, self.own.x))
