# SPDX-License-Identifier: Apache-2.0
"""The cores' way to I/O channels."""

from typing import Any

from amaranth import Array, Cat, Const, Module, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.arbiter import RoundRobin
from blindvisor.hdl.cluster.bus import LocalBus
from blindvisor.hdl.ionet.flits import IO_REQUEST, LEAF_ANSWER

__all__ = ["Window"]


class _Step(enum.Enum, shape=2):
    IDLE = 0
    CHECK = 1
    SEND = 2
    WAIT = 3


class Window(wiring.Component):
    """Turns accesses to the I/O window into requests on the I/O network, one at a time.

    Page *n* of 64 KiB is guest channel *n*. Whole words at the offsets of a channel's registers are
    requests; anything else in the window is answered with an error.

    Parameters
    ----------
    cores : :class:`int`
        Cores of the cluster, 1 to 4.

    Members
    -------
    buses : :py:`In(LocalBus(address_width=30))` for each core
        ``stb`` only for addresses in the own cluster's window.
    start : :py:`In(1)`
        New accesses may be taken.
    hold : :py:`In(1)`
        No VM runs here: the order of arbitration is forgotten (P5, P12).
    guest : :py:`Out(4)`, granted : :py:`In(1)`, channel : :py:`In(4)`
        Look-up in the SMMU's channel table.
    requests : :py:`Out(stream(IO_REQUEST))`, answer : :py:`In(LEAF_ANSWER)`
        The leaf of the I/O network.
    channel_denied, channel_refused : :py:`Out(1)`
        One cycle each, for the fault record.
    denied : :py:`Out(1)`, denied_address : :py:`Out(30)`
        One cycle: either of them happened, for the guest's own fault registers.
    busy : :py:`Out(1)`
        An access is under way.
    """

    buses: list[Any]
    start: Signal
    hold: Signal
    guest: Signal
    granted: Signal
    channel: Signal
    requests: stream.Interface
    answer: data.View
    channel_denied: Signal
    channel_refused: Signal
    denied: Signal
    denied_address: Signal
    busy: Signal

    def __init__(self, *, cores: int) -> None:
        self._cores = cores
        super().__init__(
            {
                "buses": In(LocalBus(address_width=30)).array(cores),
                "start": In(1),
                "hold": In(1),
                "guest": Out(4),
                "granted": In(1),
                "channel": In(4),
                "requests": Out(stream.Signature(IO_REQUEST)),
                "answer": In(LEAF_ANSWER),
                "channel_denied": Out(1),
                "channel_refused": Out(1),
                "denied": Out(1),
                "denied_address": Out(30),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Copy the access, check it, send it, pass the answer on."""
        m = Module()
        m.submodules.arbiter = arbiter = RoundRobin(count=self._cores)
        step = Signal(_Step)
        core = Signal(range(self._cores))
        access = Signal(data.StructLayout({"adr": 30, "we": 1, "sel": 4, "dat_w": 32}))
        granted = Signal()
        finished = Signal()
        failed = Signal()

        m.d.comb += [
            self.busy.eq(step != _Step.IDLE),
            arbiter.requests.eq(
                Cat(bus.stb for bus in self.buses) & self.start.replicate(self._cores)
            ),
            arbiter.taken.eq(step == _Step.IDLE),
            arbiter.clear.eq(self.hold),
            self.guest.eq(access.adr[14:18]),
            self.requests.payload.eq(
                Cat(access.dat_w, self.channel, Const(0, 2), access.adr[:2], access.we)
            ),
            self.denied.eq(self.channel_denied | self.channel_refused),
            self.denied_address.eq(access.adr),
        ]
        well_formed = (access.sel == 0b1111) & (access.adr[2:14] == 0)
        m.d.comb += granted.eq(self.granted & (access.adr[18:20] == 0))
        with m.Switch(step):
            with m.Case(_Step.IDLE):
                for number, bus in enumerate(self.buses):
                    with m.If(arbiter.grants[number]):
                        m.d.sync += [
                            core.eq(number),
                            access.eq(Cat(bus.adr, bus.we, bus.sel, bus.dat_w)),
                            step.eq(_Step.CHECK),
                        ]
            with m.Case(_Step.CHECK):
                with m.If(granted & well_formed):
                    m.d.sync += step.eq(_Step.SEND)
                with m.Else():
                    m.d.comb += [
                        finished.eq(1),
                        failed.eq(1),
                        self.channel_denied.eq(~granted),
                    ]
                    m.d.sync += step.eq(_Step.IDLE)
            with m.Case(_Step.SEND):
                # The row may have been revoked since: look again until the leaf takes the request.
                m.d.comb += self.requests.valid.eq(granted)
                with m.If(~granted):
                    m.d.comb += [finished.eq(1), failed.eq(1), self.channel_denied.eq(1)]
                    m.d.sync += step.eq(_Step.IDLE)
                with m.Elif(self.requests.ready):
                    m.d.sync += step.eq(_Step.WAIT)
            with m.Case(_Step.WAIT):
                with m.If(self.answer.valid):
                    m.d.comb += [
                        finished.eq(1),
                        failed.eq(self.answer.error),
                        self.channel_refused.eq(self.answer.error),
                    ]
                    m.d.sync += step.eq(_Step.IDLE)

        buses = Array(Cat(bus.ack, bus.err) for bus in self.buses)
        m.d.comb += buses[core].eq(Cat(finished & ~failed, finished & failed))
        for bus in self.buses:
            m.d.comb += bus.dat_r.eq(self.answer.data)
        return m
