# SPDX-License-Identifier: Apache-2.0
"""Properties of egress, for every rectangle, every packet and every pause."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from blindvisor.hdl.noc.packets import COORDINATES, FLIT, REQUEST_HEAD
from blindvisor.hdl.smmu.egress import Egress
from blindvisor.hdl.smmu.lifecycle import OWNERSHIP

__all__ = ["EgressSpec"]


class EgressSpec(wiring.Component):
    """Drives egress with anything; what enters and what leaves is compared flit by flit.

    Claims
    ------
    P1-RECTANGLE
        Where a packet leaves for lies in the rectangle at ``origin`` of the size ``last`` + 1, and
        is not the cluster itself; there is an owner and the state allows it.
    P1-STAMP
        Its stamp is the owner.
    P2-TRANSLATION
        Its destination is the guest's plus the origin, and nothing else in it is changed.
    P2-WHOLE
        A packet leaves whole or not at all, and no flit leaves that did not enter in that cycle.
    P8-DENIAL
        A packet that does not leave is reported once, with its core and the reason, in the cycle of
        its last flit; a packet that leaves is never reported.
    P8-NO-HANG
        What does not leave is swallowed at one flit per cycle, whatever the network does.
    P13-COMBINATIONAL
        A flit leaves in the cycle in which it is accepted.
    STREAM
        An offer stands, unchanged, until it is accepted, as long as owner, state and rectangle do.

    Assumed: offers stand until accepted; a VM's rectangle does not wrap around the 16 x 16
    coordinate space (the monitor proves P4); ownership is constant within a packet (the
    lifecycle changes it only when nothing is in flight).
    """

    ownership: data.View
    allow: Signal
    own: data.View
    inside: stream.Interface
    ready: Signal

    def __init__(self, dut: Egress) -> None:
        self.dut = dut
        super().__init__(
            {
                "ownership": In(OWNERSHIP),
                "allow": In(1),
                "own": In(COORDINATES),
                "inside": In(stream.Signature(FLIT)),
                "ready": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Restate the rules in the words of the claims."""
        m = Module()
        m.submodules.dut = dut = self.dut
        ownership, inside, outside = self.ownership, self.inside, dut.outside
        connect(m, flipped(inside), dut.inside)
        m.d.comb += [
            dut.ownership.eq(ownership),
            dut.allow.eq(self.allow),
            dut.own.eq(self.own),
            outside.ready.eq(self.ready),
        ]
        flit = inside.payload
        head = data.View(REQUEST_HEAD, flit.data)
        sent = data.View(REQUEST_HEAD, outside.payload.data)
        accepted = inside.valid & inside.ready
        leaves = outside.valid & outside.ready

        # What is assumed.
        was_offered = Signal()
        before = Signal(FLIT)
        m.d.sync += [was_offered.eq(inside.valid & ~inside.ready), before.eq(flit)]
        in_body = Signal()  # the next flit accepted is no head
        kept = Signal(OWNERSHIP)
        with m.If(accepted):
            m.d.sync += [in_body.eq(~flit.last), kept.eq(ownership)]
        m.d.comb += [
            Assume(~was_offered | (inside.valid & (flit == before)), "offers stand"),
            Assume(ownership.origin.x + ownership.last.x < 16, "rectangle in the mesh, x"),
            Assume(ownership.origin.y + ownership.last.y < 16, "rectangle in the mesh, y"),
            Assume(~in_body | (ownership == kept), "ownership is constant within a packet"),
        ]

        # What the head of the packet was, and what became of it.
        entitled = Signal()
        m.d.comb += entitled.eq(
            (head.destination.x <= ownership.last.x)
            & (head.destination.y <= ownership.last.y)
            & ((head.destination.x != self.own.x) | (head.destination.y != self.own.y))
        )
        passing = Signal()
        was_passing = Signal()
        was_entitled = Signal()
        was_core = Signal(2)
        m.d.comb += passing.eq(
            Mux(in_body, was_passing, entitled & self.allow & (ownership.owner != 0))
        )
        with m.If(accepted & ~in_body):
            m.d.sync += [
                was_passing.eq(passing),
                was_entitled.eq(entitled),
                was_core.eq(head.core),
            ]

        with m.If(outside.valid & ~in_body):
            dx, dy = sent.destination.x, sent.destination.y
            m.d.comb += [
                Assert(dx >= ownership.origin.x, "P1-RECTANGLE"),
                Assert(dx - ownership.origin.x <= ownership.last.x, "P1-RECTANGLE"),
                Assert(dy >= ownership.origin.y, "P1-RECTANGLE"),
                Assert(dy - ownership.origin.y <= ownership.last.y, "P1-RECTANGLE"),
                Assert(
                    (dx != ownership.origin.x + self.own.x)
                    | (dy != ownership.origin.y + self.own.y),
                    "P1-RECTANGLE",
                ),
                Assert(self.allow & (ownership.owner != 0), "P1-RECTANGLE"),
                Assert(sent.owner == ownership.owner, "P1-STAMP"),
                Assert(dx == head.destination.x + ownership.origin.x, "P2-TRANSLATION"),
                Assert(dy == head.destination.y + ownership.origin.y, "P2-TRANSLATION"),
                Assert(
                    Cat(sent.source, sent.core, sent.write, sent.select, sent.reserved)
                    == Cat(head.source, head.core, head.write, head.select, head.reserved),
                    "P2-TRANSLATION",
                ),
            ]
        with m.If(outside.valid):
            m.d.comb += [
                Assert(inside.valid & passing, "P2-WHOLE"),
                Assert(outside.payload.last == flit.last, "P2-WHOLE"),
            ]
            with m.If(in_body):
                m.d.comb += Assert(outside.payload.data == flit.data, "P2-TRANSLATION")
        with m.If(inside.valid & passing):
            m.d.comb += [
                Assert(outside.valid, "P13-COMBINATIONAL"),
                Assert(accepted == leaves, "P13-COMBINATIONAL"),
            ]
        with m.If(inside.valid & ~passing):
            m.d.comb += [
                Assert(inside.ready, "P8-NO-HANG"),
                Assert(outside.payload.as_value() == 0, "P2-WHOLE"),
            ]

        m.d.comb += Assert(dut.denied == (inside.valid & ~passing & flit.last), "P8-DENIAL")
        with m.If(dut.denied):
            m.d.comb += [
                Assert(dut.denied_core == Mux(in_body, was_core, head.core), "P8-DENIAL"),
                Assert(dut.denied_state == Mux(in_body, was_entitled, entitled), "P8-DENIAL"),
            ]

        standing = Signal()
        offered = Signal(FLIT)
        settings = Cat(ownership, self.allow, self.own)
        had = Signal.like(settings)
        m.d.sync += [
            standing.eq(outside.valid & ~outside.ready),
            offered.eq(outside.payload),
            had.eq(settings),
        ]
        with m.If(standing & (settings == had)):
            m.d.comb += Assert(outside.valid & (outside.payload == offered), "STREAM")

        m.d.comb += [
            Cover(leaves & in_body & flit.last, "a packet of two flits or more leaves"),
            Cover(dut.denied & in_body & dut.denied_state, "a packet is denied for the state"),
            Cover(dut.denied & ~dut.denied_state, "a packet is denied for its destination"),
            Cover(standing & leaves & ~in_body, "a head flit had to wait"),
        ]
        return m
