# SPDX-License-Identifier: Apache-2.0
"""The half of the network interface that serves other clusters of the same VM."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.cluster.bus import LocalBus
from blindvisor.hdl.noc.packets import ADDRESS, COORDINATES, FLIT, REQUEST_HEAD, RESPONSE_HEAD

__all__ = ["Target"]


class _Step(enum.Enum, shape=3):
    HEAD = 0
    ADDRESS = 1
    DATA = 2
    EXCESS = 3  # flits beyond a well-formed packet
    ACCESS = 4
    ANSWER_HEAD = 5
    ANSWER_DATA = 6


class Target(wiring.Component):
    """Takes one request packet at a time, does the access, sends the response packet.

    A packet of the wrong length has no effect and is answered with an error.

    Members
    -------
    requests : :py:`In(stream(FLIT))`
        Packets that ingress let in.
    responses : :py:`Out(stream(FLIT))`
        To the sender's guest coordinates; egress translates them.
    serve : :py:`In(1)`
        Accesses take effect. While it is 0 a request is answered with an error instead, so that its
        sender drains.
    own : :py:`In(COORDINATES)`
        Guest coordinates of this cluster.
    bus : :py:`Out(LocalBus(address_width=22))`
        Word offset in this cluster.
    busy : :py:`Out(1)`
        A request has arrived in part or is unanswered.
    """

    requests: stream.Interface
    responses: stream.Interface
    serve: Signal
    own: data.View
    bus: Any
    busy: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "requests": In(stream.Signature(FLIT)),
                "responses": Out(stream.Signature(FLIT)),
                "serve": In(1),
                "own": In(COORDINATES),
                "bus": Out(LocalBus(address_width=22)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One step per flit, then the access, then the answer."""
        m = Module()
        step = Signal(_Step)
        head = Signal(REQUEST_HEAD)
        word = Signal(22)
        written = Signal(32)
        malformed = Signal()
        started = Signal()
        error = Signal()
        read = Signal(32)

        flit = self.requests.payload
        end = self.requests.valid & flit.last
        m.d.comb += self.busy.eq(step != _Step.HEAD)

        answer = Signal(RESPONSE_HEAD)
        m.d.comb += answer.eq(
            Cat(head.source, self.own, Const(0, 8), head.core, error, Const(0, 5))
        )
        with m.Switch(step):
            with m.Case(_Step.HEAD):
                m.d.comb += self.requests.ready.eq(1)
                with m.If(self.requests.valid):
                    m.d.sync += [
                        head.eq(flit.data),
                        malformed.eq(flit.last),
                        step.eq(Mux(flit.last, _Step.ACCESS, _Step.ADDRESS)),
                    ]
            with m.Case(_Step.ADDRESS):
                m.d.comb += self.requests.ready.eq(1)
                with m.If(self.requests.valid):
                    m.d.sync += [
                        word.eq(data.View(ADDRESS, flit.data).word),
                        malformed.eq(flit.last == head.write),
                        step.eq(
                            Mux(flit.last, _Step.ACCESS, Mux(head.write, _Step.DATA, _Step.EXCESS))
                        ),
                    ]
            with m.Case(_Step.DATA):
                m.d.comb += self.requests.ready.eq(1)
                with m.If(self.requests.valid):
                    m.d.sync += [
                        written.eq(flit.data),
                        malformed.eq(~flit.last),
                        step.eq(Mux(flit.last, _Step.ACCESS, _Step.EXCESS)),
                    ]
            with m.Case(_Step.EXCESS):
                m.d.comb += self.requests.ready.eq(1)
                with m.If(end):
                    m.d.sync += step.eq(_Step.ACCESS)
            with m.Case(_Step.ACCESS):
                m.d.comb += self.bus.stb.eq((self.serve | started) & ~malformed)
                # An access that the bus has taken is waited for, whatever becomes of ``serve``.
                m.d.sync += started.eq(self.bus.stb)
                with m.If(~self.bus.stb | self.bus.ack | self.bus.err):
                    m.d.sync += [
                        started.eq(0),
                        error.eq(~self.bus.ack),
                        read.eq(self.bus.dat_r),
                        step.eq(_Step.ANSWER_HEAD),
                    ]
            with m.Case(_Step.ANSWER_HEAD):
                m.d.comb += [
                    self.responses.valid.eq(1),
                    self.responses.payload.eq(Cat(answer, head.write | error)),
                ]
                with m.If(self.responses.ready):
                    m.d.sync += step.eq(Mux(head.write | error, _Step.HEAD, _Step.ANSWER_DATA))
            with m.Case(_Step.ANSWER_DATA):
                m.d.comb += [
                    self.responses.valid.eq(1),
                    self.responses.payload.eq(Cat(read, 1)),
                ]
                with m.If(self.responses.ready):
                    m.d.sync += step.eq(_Step.HEAD)
            with m.Default():
                m.d.sync += step.eq(_Step.HEAD)

        m.d.comb += [
            self.bus.we.eq(head.write),
            self.bus.adr.eq(word),
            self.bus.sel.eq(head.select),
            self.bus.dat_w.eq(written),
        ]
        return m
