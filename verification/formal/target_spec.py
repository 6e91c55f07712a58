# SPDX-License-Identifier: Apache-2.0
"""Properties of the half of the network interface that serves, for every packet."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from blindvisor.hdl.cluster.target import Target
from blindvisor.hdl.noc.packets import ADDRESS, COORDINATES, FLIT, REQUEST_HEAD

__all__ = ["TargetSpec"]


class TargetSpec(wiring.Component):
    """Takes packets apart beside the gateware.

    Claims
    ------
    P8-SERVE
        An access begins only with ``serve``, for a request that has fully arrived and is well
        formed (a read of two flits, a write of three), and at most once for it; it asks for what
        the packet says, and goes on saying so until the next packet; a reset makes it zero.
    P8-ONE-ANSWER
        Each request is followed by one response packet, before the next is taken: to its sender,
        for its core, with the data of a read, with an error unless the access was acknowledged.
    P8-PROMPT
        While the bus is not waited for and the network takes flits, no cycle is lost but one.
    P5-BUSY
        ``busy`` is set from a request's first flit to its answer's last one.
    STREAM
        An offer stands, unchanged but for ``own``, until it is accepted.

    Assumed: the bus answers accesses alone.
    """

    requests: stream.Interface
    serve: Signal
    own: data.View
    ready: Signal
    ack: Signal
    err: Signal
    dat_r: Signal

    def __init__(self) -> None:
        self.dut = Target()
        super().__init__(
            {
                "requests": In(stream.Signature(FLIT)),
                "serve": In(1),
                "own": In(COORDINATES),
                "ready": In(1),
                "ack": In(1),
                "err": In(1),
                "dat_r": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Restate the rules in the words of the packets."""
        m = Module()
        m.submodules.dut = dut = self.dut
        bus, requests, responses = dut.bus, self.requests, dut.responses
        connect(m, flipped(requests), dut.requests)
        m.d.comb += [
            dut.serve.eq(self.serve),
            dut.own.eq(self.own),
            responses.ready.eq(self.ready),
            bus.ack.eq(self.ack),
            bus.err.eq(self.err),
            bus.dat_r.eq(self.dat_r),
            Assume(bus.stb | ~(self.ack | self.err), "the bus answers accesses"),
        ]
        flit = requests.payload
        flits = Signal(3)  # of the request so far; more than four count as four
        head = Signal(REQUEST_HEAD)
        word = Signal(32)
        written = Signal(32)
        owed = Signal()
        accepted = requests.valid & requests.ready
        with m.If(accepted):
            m.d.sync += [flits.eq(Mux(flits == 4, 4, flits + 1)), owed.eq(flit.last)]
            with m.Switch(flits):
                with m.Case(0):
                    m.d.sync += head.eq(flit.data)
                with m.Case(1):
                    m.d.sync += word.eq(flit.data)
                with m.Case(2):
                    with m.If(head.write):
                        m.d.sync += written.eq(flit.data)

        asking = Signal()  # an access has begun and is not over
        asked = Signal()
        good = Signal()
        read = Signal(32)
        well_formed = Signal()
        m.d.comb += well_formed.eq(flits == Mux(head.write, 3, 2))
        with m.If(bus.stb):
            m.d.sync += asking.eq(~(self.ack | self.err))
            with m.If(self.ack | self.err):
                m.d.sync += [asked.eq(1), good.eq(self.ack), read.eq(self.dat_r)]
        m.d.comb += [
            Assert(~bus.stb | (owed & well_formed & ~asked), "P8-SERVE"),
            Assert(~bus.stb | self.serve | asking, "P8-SERVE"),
            Assert(~asking | bus.stb, "P8-SERVE"),
        ]
        m.d.comb += Assert(
            (bus.we == head.write)
            & (bus.adr == data.View(ADDRESS, word).word)
            & (bus.sel == head.select)
            & (bus.dat_w == written),
            "P8-SERVE",
        )

        second = Signal()  # the head of the answer has left
        leaves = responses.valid & responses.ready
        final = Signal()
        m.d.comb += final.eq(leaves & responses.payload.last)
        with m.If(leaves):
            m.d.sync += second.eq(~responses.payload.last)
        with m.If(final):
            m.d.sync += [owed.eq(0), asked.eq(0), good.eq(0), flits.eq(0)]
        with m.If(responses.valid):
            m.d.comb += Assert(owed & ~bus.stb, "P8-ONE-ANSWER")
            with m.If(second):
                m.d.comb += Assert(responses.payload.data == read, "P8-ONE-ANSWER")
                m.d.comb += Assert(responses.payload.last & good, "P8-ONE-ANSWER")
            with m.Else():
                answer = Cat(head.source, self.own, Const(0, 8), head.core, ~good, Const(0, 5))
                m.d.comb += Assert(responses.payload.data == answer, "P8-ONE-ANSWER")
                m.d.comb += Assert(responses.payload.last == (head.write | ~good), "P8-ONE-ANSWER")
        m.d.comb += Assert(requests.ready == ~owed, "P8-ONE-ANSWER")
        m.d.comb += Assert(dut.busy == (owed | (flits != 0)), "P5-BUSY")

        idle = Signal(2)
        m.d.sync += idle.eq(Mux(owed & ~bus.stb & ~responses.valid, idle + 1, 0))
        m.d.comb += Assert(idle <= 1, "P8-PROMPT")

        standing = Signal()
        offer = Signal(FLIT)
        had = Signal(COORDINATES)
        m.d.sync += [
            standing.eq(responses.valid & ~responses.ready),
            offer.eq(responses.payload),
            had.eq(self.own),
        ]
        with m.If(standing):
            m.d.comb += Assert(responses.valid, "STREAM")
            m.d.comb += Assert((self.own != had) | (responses.payload == offer), "STREAM")
        m.d.comb += [
            Cover(final & second & standing, "a read is answered"),
            Cover(final & head.write & good, "a write is answered"),
            Cover(final & ~good & asked, "the bus refused"),
            Cover(final & ~asked & well_formed, "not served"),
            Cover(final & (flits == 4), "a packet that is too long"),
            Cover(bus.stb & ~self.serve, "serve ends within an access"),
        ]
        return m
