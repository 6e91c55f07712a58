# SPDX-License-Identifier: Apache-2.0
"""Properties of the half of the network interface that asks, for cores that do what they like."""

from typing import Any

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from blindvisor.hdl.cluster.bus import LocalBus
from blindvisor.hdl.cluster.initiator import Initiator
from blindvisor.hdl.noc.packets import COORDINATES, FLIT, REQUEST_HEAD, RESPONSE_HEAD

__all__ = ["InitiatorSpec"]


class InitiatorSpec(wiring.Component):
    """Compares each packet with the access that it was made from, a cycle before it began.

    Claims
    ------
    P8-PACKET
        A packet is made of one access that a core offered while new ones may start, and is well
        formed and whole, whatever becomes of the core (reset) or of its access meanwhile. What the
        wires tell of a packet stays until the next one.
    P12-ORDER
        Of several cores that may be served, the first one after the last that was is; who was is
        forgotten with ``hold``.
    P8-PROMPT
        While no packet is being sent and an access may start, one begins in the next cycle.
    P8-OUTSTANDING
        A core has at most one request unanswered.
    P8-ONE-ANSWER
        It is answered in the cycle of its response's last flit, or of its denial, once, with the
        error that these say; no access is answered that has no request. Responses are taken
        whatever they are.
    P5-BUSY
        ``busy`` is set exactly while a packet is being sent or a request is unanswered.
    STREAM
        An offer stands, unchanged but for ``own``, until it is accepted.

    Nothing is assumed: ``stb`` may vanish at any time, responses and denials may be made up.
    """

    buses: list[Any]
    start: Signal
    hold: Signal
    own: data.View
    ready: Signal
    responses: stream.Interface
    denied: Signal
    denied_core: Signal

    def __init__(self, *, cores: int) -> None:
        self._cores = cores
        self.dut = Initiator(cores=cores)
        super().__init__(
            {
                "buses": In(LocalBus(address_width=30)).array(cores),
                "start": In(1),
                "hold": In(1),
                "own": In(COORDINATES),
                "ready": In(1),
                "responses": In(stream.Signature(FLIT)),
                "denied": In(1),
                "denied_core": In(2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Follow packets out and answers back."""
        m = Module()
        m.submodules.dut = dut = self.dut
        for bus, inner in zip(self.buses, dut.buses, strict=True):
            connect(m, flipped(bus), inner)
        connect(m, flipped(self.responses), dut.responses)
        requests = dut.requests
        m.d.comb += [
            dut.start.eq(self.start),
            dut.hold.eq(self.hold),
            dut.own.eq(self.own),
            requests.ready.eq(self.ready),
            dut.denied.eq(self.denied),
            dut.denied_core.eq(self.denied_core),
        ]

        stage = Signal(2)  # flits of the packet that have left
        offered = Signal()  # its first flit was on offer a cycle before
        begins = Signal()
        leaves = requests.valid & requests.ready
        m.d.comb += begins.eq(requests.valid & (stage == 0) & ~offered)
        m.d.sync += offered.eq(requests.valid & ~requests.ready)
        with m.If(leaves):
            m.d.sync += stage.eq(Mux(requests.payload.last, 0, stage + 1))

        sent = data.View(REQUEST_HEAD, requests.payload.data)
        accesses = Array(Cat(bus.we, bus.sel, bus.adr, bus.dat_w) for bus in self.buses)
        might = Signal(self._cores)
        before = [Signal(67, name=f"before{n}") for n in range(self._cores)]
        m.d.sync += might.eq(Cat(bus.stb for bus in self.buses) & self.start.replicate(self._cores))
        for kept, access in zip(before, accesses, strict=True):
            m.d.sync += kept.eq(access)
        layout = data.StructLayout({"we": 1, "sel": 4, "word": 22, "y": 4, "x": 4, "data": 32})
        core = Signal(2)
        kept_core = Signal(2)
        kept_request = Signal(layout)
        request = Signal(layout)
        m.d.comb += [
            core.eq(Mux(begins, sent.core, kept_core)),
            request.eq(Mux(begins, Array(before)[sent.core], kept_request)),
        ]
        m.d.sync += [kept_core.eq(core), kept_request.eq(request)]

        outstanding = Signal(4)
        was_outstanding = Signal(4)
        starting = Signal(4)
        m.d.comb += [
            starting.bit_select(sent.core, 1).eq(begins),
            outstanding.eq(was_outstanding | starting),
        ]
        with m.If(begins):
            m.d.comb += Assert((might >> sent.core)[0], "P8-PACKET")
            m.d.comb += Assert(~(was_outstanding & starting).any(), "P8-OUTSTANDING")
        with m.Switch(stage):
            with m.Case(0):
                head = Cat(
                    *(request.x, request.y, self.own, Const(0, 8)),
                    *(core, request.we, request.sel, Const(0, 1)),
                )
                m.d.comb += Assert(requests.payload.data == head, "P8-PACKET")
                m.d.comb += Assert(~requests.payload.last, "P8-PACKET")
            with m.Case(1):
                m.d.comb += Assert(requests.payload.data == request.word, "P8-PACKET")
                m.d.comb += Assert(requests.payload.last == ~request.we, "P8-PACKET")
            with m.Case(2):
                m.d.comb += Assert(requests.payload.data == request.data, "P8-PACKET")
                m.d.comb += Assert(requests.payload.last & request.we, "P8-PACKET")
        m.d.comb += [
            Assert(stage != 3, "P8-PACKET"),
            Assert(dut.denied_address == Cat(request.word, request.y, request.x), "P8-PACKET"),
        ]
        asks = Signal(self._cores)
        m.d.comb += asks.eq(
            Cat(bus.stb for bus in self.buses)
            & self.start.replicate(self._cores)
            & ~was_outstanding[: self._cores]
        )
        self._order(m, asks=asks, begins=begins, core=core)
        m.d.comb += Assert((~offered & (stage == 0)) | requests.valid, "STREAM")

        flit = self.responses.payload
        arriving = data.View(RESPONSE_HEAD, flit.data)
        in_body = Signal()
        kept = Signal(3)
        now = Mux(in_body, kept, Cat(arriving.core, arriving.error))
        with m.If(self.responses.valid):
            m.d.sync += [in_body.eq(~flit.last), kept.eq(now)]
        answers = []
        for number, bus in enumerate(self.buses):
            answer = Signal(name=f"answer{number}")
            denial = Signal(name=f"denial{number}")
            m.d.comb += [
                answer.eq(self.responses.valid & flit.last & (now[:2] == number)),
                denial.eq(self.denied & (self.denied_core == number)),
                Assert(
                    (bus.ack | bus.err) == (outstanding[number] & (answer | denial)),
                    "P8-ONE-ANSWER",
                ),
                Assert(
                    ~bus.ack | (~bus.err & ~denial & ~now[2] & (bus.dat_r == flit.data)),
                    "P8-ONE-ANSWER",
                ),
                Assert(~bus.err | denial | (answer & now[2]), "P8-ONE-ANSWER"),
            ]
            answers.append(bus.ack | bus.err)
        m.d.sync += was_outstanding.eq(outstanding & ~Cat(answers))
        m.d.comb += Assert(
            (dut.busy == (outstanding.any() | requests.valid)) & self.responses.ready, "P5-BUSY"
        )

        last = self._cores - 1
        gone = ~Value.cast(Array(bus.stb for bus in self.buses)[core])
        m.d.comb += [
            Cover(leaves & (stage == 2) & gone & (core == last), "a core vanishes meanwhile"),
            Cover(self.buses[last].ack & in_body, "a read is answered"),
            Cover(self.buses[0].err & self.denied, "a request is denied"),
            Cover(begins & was_outstanding.any(), "two cores wait"),
        ]
        return m

    def _order(self, m: Module, *, asks: Signal, begins: Signal, core: Signal) -> None:
        """Compare the core of each packet with who was next, a cycle before it began."""
        later = Signal(self._cores)  # cores behind the last one that was served
        first, chosen, was_held, was_asked = Signal(2), Signal(2), Signal(), Signal()
        for number in reversed(range(self._cores)):
            with m.If(asks[number] & (later[number] | ~(asks & later).any())):
                m.d.comb += first.eq(number)
        m.d.sync += [
            chosen.eq(first),
            was_held.eq(self.hold),
            was_asked.eq(asks.any() & ~self.dut.requests.valid),
        ]
        with m.If(begins):
            m.d.sync += later.eq(Cat(core < number for number in range(self._cores)))
        with m.If(self.hold | (begins & was_held)):
            m.d.sync += later.eq(0)
        m.d.comb += [
            Assert(~begins | (core == chosen), "P12-ORDER"),
            Assert(~was_asked | begins, "P8-PROMPT"),
        ]
