# SPDX-License-Identifier: Apache-2.0
"""The half of the network interface that asks other clusters on behalf of the cores."""

from typing import Any

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.arbiter import RoundRobin
from blindvisor.hdl.cluster.bus import LocalBus
from blindvisor.hdl.noc.packets import ADDRESS, COORDINATES, FLIT, REQUEST_HEAD, RESPONSE_HEAD

__all__ = ["Initiator"]


class Initiator(wiring.Component):
    """Makes request packets of remote accesses, and answers of response packets.

    A request is copied before its first flit leaves, so a core that is reset meanwhile never cuts a
    packet. Each core has at most one request outstanding.

    Parameters
    ----------
    cores : :class:`int`
        Cores of the cluster, 1 to 4.

    Members
    -------
    buses : :py:`In(LocalBus(address_width=30))` for each core
        ``stb`` only for remote addresses, and only while a new access may start or the present one
        is unanswered.
    start : :py:`In(1)`
        New requests may be taken.
    hold : :py:`In(1)`
        No VM runs here: the order of arbitration is forgotten (P5, P12).
    own : :py:`In(COORDINATES)`
        Guest coordinates of this cluster.
    requests : :py:`Out(stream(FLIT))`, responses : :py:`In(stream(FLIT))`
        In guest coordinates, stamp zero.
    denied, denied_core : :py:`In(1)`, :py:`In(2)`
        The SMMU swallowed this core's request: it is answered with an error at once.
    denied_address : :py:`Out(30)`
        Guest-physical word address of the request on its way.
    busy : :py:`Out(1)`
        A request is being sent or is unanswered.

    Notes
    -----
    A response that nobody waits for is taken and dropped (P8).
    """

    buses: list[Any]
    start: Signal
    hold: Signal
    own: data.View
    requests: stream.Interface
    responses: stream.Interface
    denied: Signal
    denied_core: Signal
    denied_address: Signal
    busy: Signal

    def __init__(self, *, cores: int) -> None:
        self._cores = cores
        super().__init__(
            {
                "buses": In(LocalBus(address_width=30)).array(cores),
                "start": In(1),
                "hold": In(1),
                "own": In(COORDINATES),
                "requests": Out(stream.Signature(FLIT)),
                "responses": In(stream.Signature(FLIT)),
                "denied": In(1),
                "denied_core": In(2),
                "denied_address": Out(30),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One packetizer for all cores, one pending bit for each."""
        m = Module()
        pending = Signal(self._cores)

        # Request side.
        request = Signal(
            data.StructLayout(
                {"core": 2, "we": 1, "sel": 4, "word": 22, "y": 4, "x": 4, "data": 32}
            )
        )
        sending = Signal()
        m.submodules.arbiter = arbiter = RoundRobin(count=self._cores)
        take = Signal()
        m.d.comb += [
            arbiter.requests.eq(
                Cat(bus.stb for bus in self.buses) & ~pending & self.start.replicate(self._cores)
            ),
            take.eq(~sending & arbiter.grants.any()),
            arbiter.taken.eq(take),
            arbiter.clear.eq(self.hold),
        ]
        for core, bus in enumerate(self.buses):
            with m.If(take & arbiter.grants[core]):
                m.d.sync += [
                    request.eq(Cat(Const(core, 2), bus.we, bus.sel, bus.adr, bus.dat_w)),
                    sending.eq(1),
                ]

        head = Signal(REQUEST_HEAD)
        address = Signal(ADDRESS)
        m.d.comb += [
            head.eq(
                Cat(
                    request.x,
                    request.y,
                    self.own,
                    Const(0, 8),  # egress stamps it
                    request.core,
                    request.we,
                    request.sel,
                    Const(0, 1),
                )
            ),
            address.eq(request.word),
        ]
        stage = Signal(2)  # number of the flit on offer
        last = Mux(request.we, stage == 2, stage == 1)
        m.d.comb += [
            self.requests.valid.eq(sending),
            self.requests.payload.eq(Cat(Array([head, address, request.data])[stage], last)),
        ]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += stage.eq(Mux(last, 0, stage + 1))
            with m.If(last):
                m.d.sync += sending.eq(0)

        # Response side: an answer is complete with the last flit of its packet.
        flit = self.responses.payload
        arriving = data.View(RESPONSE_HEAD, flit.data)
        body = Signal()
        core = Signal(2)
        error = Signal()
        answered = Signal(4)
        failed = Signal(4)
        m.d.comb += self.responses.ready.eq(1)
        with m.If(self.responses.valid):
            m.d.sync += body.eq(~flit.last)
            with m.If(~body):
                m.d.sync += [core.eq(arriving.core), error.eq(arriving.error)]
            with m.If(flit.last):
                m.d.comb += [
                    answered.bit_select(Mux(body, core, arriving.core), 1).eq(1),
                    failed.bit_select(Mux(body, core, arriving.core), 1).eq(
                        Mux(body, error, arriving.error)
                    ),
                ]
        denials = Signal(4)
        m.d.comb += denials.bit_select(self.denied_core, 1).eq(self.denied)

        for number, bus in enumerate(self.buses):
            done = pending[number] & (answered[number] | denials[number])
            bad = failed[number] | denials[number]
            m.d.comb += [
                bus.ack.eq(done & ~bad),
                bus.err.eq(done & bad),
                bus.dat_r.eq(flit.data),
            ]
            with m.If(take & arbiter.grants[number]):
                m.d.sync += pending[number].eq(1)
            with m.Elif(done):
                m.d.sync += pending[number].eq(0)
        m.d.comb += [
            self.busy.eq(pending.any() | self.requests.valid),
            self.denied_address.eq(Cat(request.word, request.y, request.x)),
        ]
        return m
