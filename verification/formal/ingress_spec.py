# SPDX-License-Identifier: Apache-2.0
"""Properties of ingress, for every owner, every packet and every pause."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from blindvisor.hdl.noc.packets import FLIT, REQUEST_HEAD
from blindvisor.hdl.smmu.ingress import Ingress

__all__ = ["IngressSpec"]


class IngressSpec(wiring.Component):
    """Drives ingress with anything: nothing about egress is assumed.

    Claims
    ------
    P1-OWNER
        A head flit that comes in bears the owner's stamp, the owner is not 0, and the state
        allows it.
    P2-WHOLE
        A packet comes in whole and unchanged, or not at all; nothing comes in that did not arrive
        in that cycle. The wires inside show zeros while a packet is dropped.
    P8-NO-HANG
        What does not come in is dropped at one flit per cycle.
    P9-COUNT
        A dropped packet is reported once, in the cycle of its last flit, as foreign if its stamp
        was wrong and as late if only the state was against it; no other packet is reported.
    P13-COMBINATIONAL
        A flit comes in in the cycle in which it is accepted.

    Assumed: offers stand until accepted.
    """

    owner: Signal
    allow: Signal
    outside: stream.Interface
    ready: Signal

    def __init__(self, dut: Ingress) -> None:
        self.dut = dut
        super().__init__(
            {
                "owner": In(8),
                "allow": In(1),
                "outside": In(stream.Signature(FLIT)),
                "ready": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Restate the rules in the words of the claims."""
        m = Module()
        m.submodules.dut = dut = self.dut
        outside, inside = self.outside, dut.inside
        connect(m, flipped(outside), dut.outside)
        m.d.comb += [
            dut.owner.eq(self.owner),
            dut.allow.eq(self.allow),
            inside.ready.eq(self.ready),
        ]
        flit = outside.payload
        accepted = outside.valid & outside.ready
        was_offered = Signal()
        before = Signal(FLIT)
        m.d.sync += [was_offered.eq(outside.valid & ~outside.ready), before.eq(flit)]
        m.d.comb += Assume(~was_offered | (outside.valid & (flit == before)), "offers stand")

        in_body = Signal()
        ours = Signal()
        was_ours = Signal()
        passing = Signal()
        was_passing = Signal()
        m.d.comb += [
            ours.eq((data.View(REQUEST_HEAD, flit.data).owner == self.owner) & (self.owner != 0)),
            passing.eq(Mux(in_body, was_passing, ours & self.allow)),
        ]
        with m.If(accepted):
            m.d.sync += in_body.eq(~flit.last)
            with m.If(~in_body):
                m.d.sync += [was_passing.eq(passing), was_ours.eq(ours)]

        with m.If(inside.valid & ~in_body):
            stamp = data.View(REQUEST_HEAD, inside.payload.data).owner
            m.d.comb += [
                Assert(stamp == self.owner, "P1-OWNER"),
                Assert((self.owner != 0) & self.allow, "P1-OWNER"),
            ]
        with m.If(inside.valid):
            m.d.comb += [
                Assert(outside.valid & passing, "P2-WHOLE"),
                Assert(inside.payload == flit, "P2-WHOLE"),
            ]
        with m.If(outside.valid & passing):
            m.d.comb += [
                Assert(inside.valid, "P13-COMBINATIONAL"),
                Assert(accepted == (inside.valid & inside.ready), "P13-COMBINATIONAL"),
            ]
        with m.If(outside.valid & ~passing):
            m.d.comb += [
                Assert(outside.ready, "P8-NO-HANG"),
                Assert(inside.payload.as_value() == 0, "P2-WHOLE"),
            ]
        ended = outside.valid & ~passing & flit.last
        was_right = Mux(in_body, was_ours, ours)
        m.d.comb += [
            Assert(dut.foreign == (ended & ~was_right), "P9-COUNT"),
            Assert(dut.late == (ended & was_right), "P9-COUNT"),
            Cover(inside.valid & inside.ready & in_body & flit.last, "a long packet comes in"),
            Cover(dut.foreign & in_body, "a long foreign packet is dropped"),
            Cover(dut.late, "a late packet is dropped"),
        ]
        return m
